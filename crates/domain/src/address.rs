//! The network address of a client, the form in which budgets and the audit log count it, and lists of networks.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

/// How many bits of an IPv6 address identify a subscriber. A subscriber gets at least a whole /64 (RFC 6177), so a
/// client with one address has 2^64 of them.
const SUBSCRIBER_BITS: u32 = 64;

/// The bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// A client's address. An IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2) becomes the IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// Converts an IPv4-mapped address to IPv4.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The address itself.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// The key for counting: the IPv4 address, or the /64 network of the IPv6 address.
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

/// The whole address, as the owner of a session sees it.
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

/// Networks, as a setting lists them. An IPv4-mapped network is IPv4, as addresses are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// The items of a list that are not networks, separated by commas.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0} must be addresses or networks, such as 10.0.0.5 or 10.0.0.0/8, separated by commas")]
pub struct InvalidNetworks(String);

impl Networks {
    /// Whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them contains the address.
    #[must_use]
    pub fn contains(&self, address: ClientAddress) -> bool {
        self.0.iter().any(|network| network.contains(&address.ip()))
    }

    /// Whether one of them contains every address of IPv4 or of IPv6.
    #[must_use]
    pub fn contains_everything(&self) -> bool {
        self.0.iter().any(|network| network.prefix_len() == 0)
    }
}

impl FromStr for Networks {
    type Err = InvalidNetworks;

    fn from_str(text: &str) -> Result<Self, InvalidNetworks> {
        let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let bad: Vec<&str> = items().filter(|item| network(item).is_none()).collect();
        if !bad.is_empty() {
            return Err(InvalidNetworks(bad.join(", ")));
        }
        Ok(Self(items().filter_map(network).collect()))
    }
}

/// A network, or an address as a network of one.
fn network(text: &str) -> Option<IpNet> {
    let network: IpNet = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    match network {
        IpNet::V6(wide) if wide.prefix_len() >= MAPPED_BITS => Some(
            wide.addr()
                .to_ipv4_mapped()
                .and_then(|address| Ipv4Net::new(address, wide.prefix_len() - MAPPED_BITS).ok())
                .map_or(network, IpNet::V4),
        ),
        IpNet::V4(_) | IpNet::V6(_) => Some(network),
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{network}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_networks_knows_its_addresses() {
        let networks: Networks =
            "203.0.113.7, 10.0.0.0/8,2001:db8::/32, ::ffff:192.0.2.0/120".parse().unwrap();
        for (address, is_in) in [
            ("203.0.113.7", true),
            ("::ffff:203.0.113.7", true),
            ("203.0.113.8", false),
            ("10.255.0.1", true),
            ("11.0.0.0", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("192.0.2.255", true),
            ("192.0.3.0", false),
        ] {
            assert_eq!(networks.contains(ClientAddress::new(address.parse().unwrap())), is_in, "{address}");
        }
        assert_eq!(networks.to_string(), "203.0.113.7/32, 10.0.0.0/8, 2001:db8::/32, 192.0.2.0/24");
        assert!(!networks.contains_everything());
        assert!("10.0.0.1, 0.0.0.0/0".parse::<Networks>().unwrap().contains_everything());
        assert!(" , ".parse::<Networks>().unwrap().is_empty());
        let bad = "10.0.0.0/33, office, 10.0.0.1".parse::<Networks>();
        assert_eq!(bad, Err(InvalidNetworks("10.0.0.0/33, office".to_owned())));
    }

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
