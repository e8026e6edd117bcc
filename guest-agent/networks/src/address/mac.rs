//! Hardware addresses derived from IP addresses, so that neighbours' caches stay right when an address moves.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::Mac;

/// `02:42` (locally administered, as Docker's users know it) and the IPv4 address, or else the end of the IPv6 one.
pub(crate) fn mac_of(ipv4: Option<Ipv4Addr>, ipv6: Option<Ipv6Addr>) -> Mac {
    let tail = match (ipv4, ipv6) {
        (Some(ipv4), _) => ipv4.octets(),
        (None, Some(ipv6)) => u32::try_from(u128::from(ipv6) & u128::from(u32::MAX))
            .unwrap_or_default()
            .to_be_bytes(),
        (None, None) => [0; 4],
    };
    let [a, b, c, d] = tail;
    Mac([0x02, 0x42, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_the_address() {
        let ipv4 = Some(Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(mac_of(ipv4, None).to_string(), "02:42:ac:11:00:02");
        let ipv6 = "fd00::1:2".parse().ok();
        assert_eq!(mac_of(None, ipv6).to_string(), "02:42:00:01:00:02");
        assert_eq!(mac_of(ipv4, ipv6), mac_of(ipv4, None));
    }
}
