//! A change that is wanted, before it is sent.

use super::Writer;

/// One request to change something; [`Route::run`](super::Route::run) sends it.
#[derive(Clone, Debug)]
pub struct Request {
    /// `RTM_*`
    pub(super) kind: u16,
    /// `NLM_F_*` beside those that every request has.
    pub(super) flags: u16,
    /// What follows the message's header.
    pub(super) body: Vec<u8>,
    /// For the error: what is attempted …
    pub(super) action: &'static str,
    /// … on what.
    pub(super) object: String,
}

/// Makes it anew; what is there already is an error.
pub(super) const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;

impl Request {
    pub(super) fn new(
        kind: u16,
        flags: u16,
        action: &'static str,
        object: impl Into<String>,
        body: impl FnOnce(&mut Writer),
    ) -> Self {
        let mut writer = Writer::default();
        body(&mut writer);
        Self {
            kind,
            flags,
            body: writer.bytes,
            action,
            object: object.into(),
        }
    }

    /// All of them as messages, with numbers from `first` on.
    ///
    /// Only the last asks to be acknowledged: a failure is told anyway, and the silence of the others means success.
    pub(super) fn write(requests: &[Self], first: u32) -> Vec<u8> {
        let mut writer = Writer::default();
        for (index, request) in requests.iter().enumerate() {
            let last = index + 1 == requests.len();
            let ack = if last { libc::NLM_F_ACK } else { 0 };
            writer.message(
                request.kind,
                request.flags | (libc::NLM_F_REQUEST | ack) as u16,
                first.wrapping_add(index as u32),
                |w| w.raw(&request.body),
            );
        }
        writer.bytes
    }
}
