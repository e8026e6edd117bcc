//! `POST /proa/v1/fsevents`: lines of JSON, as long as the host cares to send them.

use bytes::BytesMut;
use futures_util::TryStreamExt;
use proa_protocol::proa::FileEvent;

use crate::fsevents::Watchers;
use crate::server::{Answer, ApiError, Call, no_content};

/// A line longer than this is none.
const LONGEST: usize = 64 << 10;

/// Answers when the host has sent the last of them.
pub(super) async fn answer(call: Call) -> Answer {
    super::machine::in_machine()?;
    let mut watchers = Watchers::open().map_err(|e| ApiError::internal(crate::log::told(&e)))?;
    let mut pieces = call.pieces();
    let mut pending = BytesMut::new();
    let broken = |e| ApiError::bad(format!("read events of files: {e}"));
    while let Some(piece) = pieces.try_next().await.map_err(broken)? {
        pending.extend_from_slice(&piece);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            tell(&mut watchers, &pending.split_to(end + 1))?;
        }
        if pending.len() > LONGEST {
            return Err(ApiError::bad(format!(
                "a line of more than {LONGEST} bytes tells no event of a file"
            )));
        }
    }
    tell(&mut watchers, &pending)?;
    no_content()
}

fn tell(watchers: &mut Watchers, line: &[u8]) -> Result<(), ApiError> {
    if line.trim_ascii().is_empty() {
        return Ok(());
    }
    let event: FileEvent = serde_json::from_slice(line)
        .map_err(|e| ApiError::bad(format!("understand an event of a file: {e}")))?;
    // The next one may concern a file that is there.
    if let Err(error) = watchers.tell(&event) {
        tracing::debug!("tell watchers of {}: {error}", event.path);
    }
    Ok(())
}
