//! Verbs about images.

pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod remove;
pub(crate) mod save;
pub(crate) mod tag;

/// The platform that was asked for, by flag or by Docker's variable.
pub(crate) fn platform(flag: Option<&String>) -> Option<String> {
    flag.cloned()
        .or_else(|| std::env::var("DOCKER_DEFAULT_PLATFORM").ok())
        .filter(|platform| !platform.is_empty())
}

/// A platform as the document that some requests take: `{"os":…,"architecture":…,"variant":…}`.
pub(crate) fn platform_document(platform: &str) -> String {
    let mut parts = platform.split('/');
    let mut document = crate::flags::document::Document::default();
    for field in ["os", "architecture", "variant"] {
        document.put(field, parts.next());
    }
    document.into_value().to_string()
}
