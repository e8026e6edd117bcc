//! How much either side of a stream may still send (virtio 1.2, section 5.10.6.3).
//!
//! Counters run freely and wrap; each side tells the other how large its buffer is and how much it has taken out of
//! it, in every packet.

use super::BUFFER;

/// The counters of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Credit {
    /// Size of the guest's buffer.
    guest_buffer: u32,
    /// What the guest's program has read of what we sent.
    guest_taken: u32,
    /// What we have sent.
    sent: u32,
    /// What the host's program has taken of what the guest sent.
    taken: u32,
    /// What of `taken` the guest knows.
    told: u32,
}

impl Credit {
    /// The guest told about its buffer.
    pub(super) fn heard(&mut self, buffer: u32, taken: u32) {
        self.guest_buffer = buffer;
        self.guest_taken = taken;
    }

    /// How many bytes the guest has room for.
    pub(super) fn room(&self) -> u32 {
        let under_way = self.sent.wrapping_sub(self.guest_taken);
        self.guest_buffer.saturating_sub(under_way)
    }

    pub(super) fn sent(&mut self, bytes: u32) {
        self.sent = self.sent.wrapping_add(bytes);
    }

    pub(super) fn taken(&mut self, bytes: u32) {
        self.taken = self.taken.wrapping_add(bytes);
    }

    /// What goes into a packet for the guest: our buffer, and what was taken out of it.
    pub(super) fn tell(&mut self) -> (u32, u32) {
        self.told = self.taken;
        (BUFFER, self.taken)
    }

    /// Whether the guest should be told without a packet that goes anyway: when half of what it believes to be full
    /// is empty.
    pub(super) fn is_worth_telling(&self) -> bool {
        self.taken.wrapping_sub(self.told) >= BUFFER / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_is_never_sent_more_than_it_has_room_for() {
        let mut credit = Credit::default();
        assert_eq!(credit.room(), 0);
        credit.heard(1000, 0);
        credit.sent(600);
        assert_eq!(credit.room(), 400);
        credit.heard(1000, 500);
        assert_eq!(credit.room(), 900);
        // A guest that made its buffer smaller than what is under way.
        credit.heard(50, 500);
        assert_eq!(credit.room(), 0);
    }

    #[test]
    fn counters_wrap() {
        let mut credit = Credit {
            sent: u32::MAX - 9,
            guest_taken: u32::MAX - 9,
            ..Credit::default()
        };
        credit.heard(100, u32::MAX - 9);
        credit.sent(20);
        assert_eq!(credit.room(), 80);
        credit.heard(100, 10);
        assert_eq!(credit.room(), 100);
    }

    #[test]
    fn the_guest_hears_of_empty_buffers_now_and_then() {
        let mut credit = Credit::default();
        credit.taken(BUFFER / 2 - 1);
        assert!(!credit.is_worth_telling());
        credit.taken(1);
        assert!(credit.is_worth_telling());
        assert_eq!(credit.tell(), (BUFFER, BUFFER / 2));
        assert!(!credit.is_worth_telling());
    }
}
