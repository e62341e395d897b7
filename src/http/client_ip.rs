//! Finds the client address of a request: the peer of the socket, or an address in `X-Forwarded-For` if trusted proxies
//! wrote it.
//!
//! Each proxy appends the address of its own client to `X-Forwarded-For`. So the rightmost entry is the newest, and
//! everything to the left of an untrusted address may be forged. Reading the header from the left would let attackers
//! choose their address, and reset every budget that is counted by address.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
};

use ipnet::{IpNet, Ipv4Net};
use poem::{
    Request,
    http::{HeaderMap, HeaderName},
};

use crate::domain::address::ClientAddress;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of a request whose socket has none: from within the process, or by a Unix socket.
const NO_SOCKET: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// The networks of proxies whose `X-Forwarded-For` is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// What is wrong with a list of networks.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProxies {
    /// One or more are not networks.
    #[error("{0} must be addresses or networks, such as 10.0.0.5 or 10.0.0.0/8, separated by commas")]
    NotNetworks(String),
    /// One of them contains every address.
    #[error("{0} contains every address: any client could then forge its address")]
    EveryAddress(String),
}

impl FromStr for TrustedProxies {
    type Err = InvalidProxies;

    fn from_str(text: &str) -> Result<Self, InvalidProxies> {
        let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let bad: Vec<&str> = items().filter(|item| network(item).is_none()).collect();
        if !bad.is_empty() {
            return Err(InvalidProxies::NotNetworks(bad.join(", ")));
        }
        let all = items().find(|item| network(item).is_some_and(|network| network.prefix_len() == 0));
        if let Some(all) = all {
            return Err(InvalidProxies::EveryAddress(all.to_owned()));
        }
        Ok(Self(items().filter_map(network).collect()))
    }
}

/// A network, or an address as a network of one. An IPv4-mapped network is IPv4, as addresses are.
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

impl TrustedProxies {
    /// Whether no proxy is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn trusts(&self, address: ClientAddress) -> bool {
        self.0.iter().any(|network| network.contains(&address.ip()))
    }

    /// Walks from the peer of the socket past the trusted addresses to the first untrusted one. At an entry that is not an
    /// address the walk ends at the last trusted hop: that proxy forwarded an invalid header, and the entries to the left
    /// may be forged.
    fn client_address(&self, peer: ClientAddress, headers: &HeaderMap) -> ClientAddress {
        let mut last = peer;
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        for entry in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
            // Empty list members are ignored (RFC 9110, section 5.6.1).
            if entry.trim_ascii().is_empty() {
                continue;
            }
            if !self.trusts(last) {
                break;
            }
            match entry_address(entry) {
                Some(address) => last = address,
                None => break,
            }
        }
        last
    }
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{network}")?;
        }
        Ok(())
    }
}

/// `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`.
fn entry_address(entry: &[u8]) -> Option<ClientAddress> {
    let text = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(inner) => IpAddr::V6(inner.parse().ok()?),
        None => text.parse().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip())).ok()?,
    };
    Some(ClientAddress::new(address))
}

/// Finds the client address of each request. There is one for the whole server.
#[derive(Debug)]
pub struct Finder {
    proxies: TrustedProxies,
    has_warned: AtomicBool,
}

impl Finder {
    /// A finder that trusts these proxies.
    #[must_use]
    pub fn new(proxies: TrustedProxies) -> Self {
        Self { proxies, has_warned: AtomicBool::new(false) }
    }

    /// Finds the client address and stores it in the request, for [`from_request`].
    pub fn attach(&self, request: &mut Request) {
        let socket = request.remote_addr().as_socket_addr().map(SocketAddr::ip);
        let address = self.find(socket, request.headers());
        request.extensions_mut().insert(address);
    }

    fn find(&self, socket: Option<IpAddr>, headers: &HeaderMap) -> ClientAddress {
        let peer = ClientAddress::new(socket.unwrap_or(NO_SOCKET));
        if self.is_behind_an_unknown_proxy(peer, headers) {
            tracing::warn!(
                "a proxy seems to stand before the server: TRUSTED_PROXIES does not name it, so all clients have its address"
            );
        }
        self.proxies.client_address(peer, headers)
    }

    /// True once, for a request with the header from a private address, if no proxy is trusted.
    fn is_behind_an_unknown_proxy(&self, peer: ClientAddress, headers: &HeaderMap) -> bool {
        self.proxies.is_empty()
            && headers.contains_key(FORWARDED_FOR)
            && is_private(peer.ip())
            && !self.has_warned.swap(true, Ordering::Relaxed)
    }
}

/// An address of this machine or of a private network, where proxies are and clients are not.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// The client address that the edge found. All budgets, sessions and audit entries use this one.
#[must_use]
pub fn from_request(request: &Request) -> ClientAddress {
    request.data().copied().unwrap_or(ClientAddress::new(NO_SOCKET))
}

#[cfg(test)]
#[path = "client_ip/tests.rs"]
mod tests;
