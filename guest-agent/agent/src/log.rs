//! Where the program's own log goes: standard error, with the time only where nobody else adds it.

use tracing_subscriber::EnvFilter;

/// Begins to log. Every program under a service manager writes to a journal, which knows the time.
pub(crate) fn begin(level: Option<&str>) {
    let level = level
        .map(str::to_owned)
        .or_else(|| std::env::var("PROA_LOG").ok());
    let level = level.unwrap_or_else(|| "info".to_owned());
    let filter = EnvFilter::try_new(&level).unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    // A second call in one process changes nothing.
    let _ = if std::env::var_os("JOURNAL_STREAM").is_some() {
        subscriber.without_time().try_init()
    } else {
        subscriber.try_init()
    };
}

/// An error with all its causes in one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
