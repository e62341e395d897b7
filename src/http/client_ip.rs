//! From which address a request comes. The socket knows who sent it on; `X-Forwarded-For` is believed as far as those
//! are trusted who wrote it.
//!
//! Each proxy puts the address that it was asked from at the end of `X-Forwarded-For`, so what stands on the right was
//! written last, and what stands left of an address that is not trusted was written by a stranger. Reading it from the
//! left, as many do, lets anybody be anyone: every budget that is kept by address would be an attacker's to reset.

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

/// The address of a request that came through no socket that has one: from within the process, or by a Unix socket.
const NO_SOCKET: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// How many bits an IPv6 address has before the IPv4 address that is mapped into it (RFC 4291, section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// The networks whose word is taken for where a request comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// What is wrong with a list of networks.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProxies {
    /// One or more are not networks.
    #[error("{0} must be addresses or networks, such as 10.0.0.5 or 10.0.0.0/8, between commas")]
    NotNetworks(String),
    /// One of them is the whole world.
    #[error("{0} is everybody: whoever asks could then say that she is somebody else")]
    Everybody(String),
}

impl FromStr for TrustedProxies {
    type Err = NotProxies;

    fn from_str(text: &str) -> Result<Self, NotProxies> {
        let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let bad: Vec<&str> = items().filter(|item| network(item).is_none()).collect();
        if !bad.is_empty() {
            return Err(NotProxies::NotNetworks(bad.join(", ")));
        }
        let everybody = items().find(|item| network(item).is_some_and(|network| network.prefix_len() == 0));
        if let Some(everybody) = everybody {
            return Err(NotProxies::Everybody(everybody.to_owned()));
        }
        Ok(Self(items().filter_map(network).collect()))
    }
}

/// A network, or an address as a network of one. What is mapped into IPv6 is IPv4, as addresses are.
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
    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn trusts(&self, address: ClientAddress) -> bool {
        self.0.iter().any(|network| network.contains(&address.ip()))
    }

    /// Walks from the socket's peer, past those that are trusted, to the first that is not. Where an entry is no
    /// address the walk ends, and the last trusted hop counts: it let something through that it should not have, and
    /// what stands left of it could be anybody's.
    fn walk(&self, peer: ClientAddress, headers: &HeaderMap) -> ClientAddress {
        let mut last = peer;
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        for entry in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
            // An empty member of a list is none (RFC 9110, section 5.6.1).
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

/// Finds the address of each request. One for the whole server.
#[derive(Debug)]
pub struct Finder {
    proxies: TrustedProxies,
    has_warned: AtomicBool,
}

impl Finder {
    /// One that believes these.
    #[must_use]
    pub fn new(proxies: TrustedProxies) -> Self {
        Self { proxies, has_warned: AtomicBool::new(false) }
    }

    /// Finds where a request comes from and puts it into the request, for [`of`].
    pub fn note(&self, request: &mut Request) {
        let socket = request.remote_addr().as_socket_addr().map(SocketAddr::ip);
        let address = self.find(socket, request.headers());
        request.extensions_mut().insert(address);
    }

    fn find(&self, socket: Option<IpAddr>, headers: &HeaderMap) -> ClientAddress {
        let peer = ClientAddress::new(socket.unwrap_or(NO_SOCKET));
        if self.is_behind_an_unknown_proxy(peer, headers) {
            tracing::warn!(
                "a proxy seems to stand before the server: TRUSTED_PROXIES does not name it, so everybody has its address"
            );
        }
        self.proxies.walk(peer, headers)
    }

    /// The header comes from a private address and nobody is trusted: true once.
    fn is_behind_an_unknown_proxy(&self, peer: ClientAddress, headers: &HeaderMap) -> bool {
        self.proxies.is_empty()
            && headers.contains_key(FORWARDED_FOR)
            && is_near(peer.ip())
            && !self.has_warned.swap(true, Ordering::Relaxed)
    }
}

/// An address of this machine or of a network of one's own: where proxies stand, and strangers do not.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// The client's address, as the edge found it. Every budget that is kept by address, every session and every entry of
/// the audit log takes this one.
#[must_use]
pub fn from_request(request: &Request) -> ClientAddress {
    request.data().copied().unwrap_or(ClientAddress::new(NO_SOCKET))
}

#[cfg(test)]
#[path = "client_ip/tests.rs"]
mod tests;
