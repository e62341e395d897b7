//! The network address that a request came from, as budgets and the audit log count it.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// How much of an IPv6 address names a subscriber, in bits: a customer is given a whole /64 at least (RFC 6177), so
/// whoever has one address has 2^64 of them.
const SUBSCRIBER_BITS: u32 = 64;

/// A client's address. An IPv4 address that comes mapped into IPv6 (RFC 4291, section 2.5.5.2) is the IPv4 one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// The address, without its disguise.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The address itself.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// By what it is counted: an IPv4 address, or the /64 of an IPv6 one.
    #[must_use]
    pub fn network(self) -> String {
        match self.0 {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let kept = Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - SUBSCRIBER_BITS)));
                format!("{kept}/{SUBSCRIBER_BITS}")
            }
        }
    }
}

/// The whole address, as the owner of a session is shown it.
impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_counted_as_its_subscriber() {
        for (address, network) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(ClientAddress::new(address.parse().unwrap()).network(), network, "{address}");
        }
    }
}
