//! The embedded image `proa/hello`: put among the images the first time somebody asks for it.
//!
//! It is not there before, so that a fresh engine is empty, and a user who removed it is rid of it.

use std::sync::Arc;

use proa_engine::Engine;
use proa_protocol::progress::Progress;

use crate::server::ApiError;

/// A gzipped docker-archive, made by `build.rs` from the crate `proa-hello`.
const ARCHIVE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hello.tar.gz"));

/// Whether a reference, as a user types it, means the embedded image.
pub(crate) fn is_meant(reference: &str) -> bool {
    let short = reference.strip_prefix("docker.io/").unwrap_or(reference);
    matches!(short, "proa/hello" | "proa/hello:latest")
}

/// Puts the image among the others, unless something of that name is there.
pub(crate) async fn bring(engine: &Arc<Engine>) -> Result<(), ApiError> {
    let engine = engine.clone();
    let work = move || match engine.images().find("proa/hello:latest") {
        Ok(_) => Ok(()),
        Err(_) => engine.images().seed_embedded(ARCHIVE).map(drop),
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| ApiError::internal(format!("the work was broken off: {e}")))??;
    Ok(())
}

/// What a pull of it tells.
pub(crate) fn told() -> [Progress; 2] {
    [
        Progress::of("latest", "Taken out of proa-agent: proa/hello"),
        Progress::status("Status: Image is up to date for proa/hello:latest"),
    ]
}

#[cfg(test)]
mod tests {
    use super::is_meant;

    #[test]
    fn only_its_own_name_means_it() {
        assert!(is_meant("proa/hello"));
        assert!(is_meant("docker.io/proa/hello:latest"));
        assert!(!is_meant("proa/hello:2"));
        assert!(!is_meant("localhost/proa/hello"));
        assert!(!is_meant("hello"));
    }
}
