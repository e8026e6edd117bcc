//! The bodies that pass: a client's, the engine's, our own words.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};

use crate::machine::supervisor::Busy;

/// A body on its way.
pub(super) struct Body {
    content: Content,
    /// Work under way until the body is sent or given up.
    _busy: Option<Busy>,
}

enum Content {
    Whole(Option<Bytes>),
    Passing(Incoming),
}

impl Body {
    /// Bytes of ours.
    pub(super) fn whole(bytes: Bytes) -> Self {
        let bytes = Some(bytes).filter(|bytes| !bytes.is_empty());
        Self {
            content: Content::Whole(bytes),
            _busy: None,
        }
    }

    /// `body`, whose passing is work.
    pub(super) fn busy(body: Incoming, busy: Busy) -> Self {
        Self {
            content: Content::Passing(body),
            _busy: Some(busy),
        }
    }
}

impl From<Incoming> for Body {
    fn from(body: Incoming) -> Self {
        Self {
            content: Content::Passing(body),
            _busy: None,
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.get_mut().content {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Passing(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Passing(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Content::Passing(body) => body.size_hint(),
        }
    }
}
