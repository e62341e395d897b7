//! Which addresses are public.
//!
//! A name is resolved once for each connection. The addresses that are not public are removed, and the connection uses what
//! is left, so no second lookup can give another answer (DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use tokio::net::lookup_host;

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(a: u16, b: u16, c: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

/// The networks of IPv4 that are not public, by the registry of IANA:
/// <https://www.iana.org/assignments/iana-ipv4-special-registry>.
const NOT_PUBLIC_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    // Shared by carriers (CGNAT). Alibaba's metadata service is in it.
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    // Azure's metadata service, which is a public address.
    v4(168, 63, 129, 16, 32),
    // Link-local. The metadata services of most clouds are in it.
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// All public addresses of IPv6 are in this network. Loopback, link-local, unique local and multicast are outside.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// The networks in [`GLOBAL_V6`] that are not public: <https://www.iana.org/assignments/iana-ipv6-special-registry>.
const NOT_PUBLIC_V6: [Ipv6Net; 4] = [
    // Protocol assignments. Teredo is in it, which contains an IPv4 address.
    v6(0x2001, 0, 0, 23),
    v6(0x2001, 0xdb8, 0, 32),
    // 6to4, which contains an IPv4 address.
    v6(0x2002, 0, 0, 16),
    v6(0x3fff, 0, 0, 20),
];

/// NAT64 (RFC 6052): the last 32 bits are the IPv4 address to which the request goes. A host without IPv4 reaches public
/// IPv4 addresses by it.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

/// Whether an address is on the internet, and not in a network that only this host or its neighbours reach.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) if NAT64.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(&address) && !NOT_PUBLIC_V6.iter().any(|network| network.contains(&address))
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !NOT_PUBLIC_V4.iter().any(|network| network.contains(&address))
}

/// A name has addresses, and none of them is public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the name has no public address")]
pub(crate) struct NoPublicAddress;

/// Resolves names to the addresses that are allowed.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    pub(crate) lookup: Lookup,
    pub(crate) is_allowed: fn(IpAddr) -> bool,
}

/// Where the addresses of a name come from.
#[derive(Debug, Clone)]
pub(crate) enum Lookup {
    /// The system.
    System,
    /// Prepared answers. The last one is repeated.
    #[cfg(test)]
    Prepared(std::sync::Arc<std::sync::Mutex<Vec<Vec<IpAddr>>>>),
}

impl Lookup {
    async fn addresses(&self, name: &str) -> std::io::Result<Vec<SocketAddr>> {
        match self {
            // The port comes from the URL later.
            Self::System => Ok(lookup_host((name, 0)).await?.collect()),
            #[cfg(test)]
            Self::Prepared(answers) => {
                let mut answers = answers.lock().unwrap();
                let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
                Ok(answer.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
            }
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { lookup, is_allowed } = self.clone();
        Box::pin(async move {
            let mut addresses = lookup.addresses(name.as_str()).await?;
            let is_known = !addresses.is_empty();
            addresses.retain(|address| is_allowed(address.ip()));
            if is_known && addresses.is_empty() {
                return Err(NoPublicAddress.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
