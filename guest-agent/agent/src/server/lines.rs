//! A long request's answer: lines of progress while it works, and its failure as the last of them.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use proa_protocol::progress::Progress;
use tokio::sync::mpsc;

use super::ApiError;
use super::answer::{self, Answer};

/// Where the work puts its lines.
#[derive(Clone)]
pub(crate) struct Lines(mpsc::UnboundedSender<Bytes>);

impl Lines {
    /// Adds one line. A client that left needs none.
    pub(crate) fn put(&self, line: &Progress) {
        let _ = self.0.send(line.to_line().into());
    }

    /// Does the work and answers with its lines. A failure before the first line is an ordinary refusal; a later
    /// one is the last line. The work ends when the client leaves.
    pub(crate) async fn answer<F>(work: impl FnOnce(Lines) -> F) -> Answer
    where
        F: Future<Output = Result<(), ApiError>> + Send + 'static,
    {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut work = Box::pin(work(Lines(sender)));
        let first = tokio::select! {
            biased;
            Some(line) = receiver.recv() => line,
            done = &mut work => {
                done?;
                let mut rest = Vec::new();
                while let Ok(line) = receiver.try_recv() {
                    rest.extend_from_slice(&line);
                }
                return answer::bytes("application/json", rest.into());
            }
        };
        let rest = stream::unfold((receiver, Some(work)), |(mut receiver, work)| async move {
            let Some(mut work) = work else {
                return receiver.recv().await.map(|line| (line, (receiver, None)));
            };
            tokio::select! {
                biased;
                Some(line) = receiver.recv() => Some((line, (receiver, Some(work)))),
                done = &mut work => {
                    let mut last = Vec::new();
                    while let Ok(line) = receiver.try_recv() {
                        last.extend_from_slice(&line);
                    }
                    if let Err(error) = done {
                        last.extend_from_slice(&Progress::failed(error.message).to_line());
                    }
                    drop(work);
                    receiver.close();
                    Some((last.into(), (receiver, None)))
                }
            }
        });
        answer::stream(
            "application/json",
            stream::iter([first]).chain(rest).map(Ok),
        )
    }
}
