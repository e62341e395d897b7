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

use poem::{
    Request,
    http::{HeaderMap, HeaderName},
};

use crate::domain::address::{ClientAddress, InvalidNetworks, Networks};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of a request whose socket has none: from within the process, or by a Unix socket.
const NO_SOCKET: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The networks of proxies whose `X-Forwarded-For` is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Networks);

/// What is wrong with a list of networks.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProxies {
    /// One or more are not networks.
    #[error(transparent)]
    NotNetworks(#[from] InvalidNetworks),
    /// One of them contains every address.
    #[error("{0} contains every address: any client could then forge its address")]
    EveryAddress(String),
}

impl FromStr for TrustedProxies {
    type Err = InvalidProxies;

    fn from_str(text: &str) -> Result<Self, InvalidProxies> {
        let networks = text.parse()?;
        let has_every_address =
            |item: &&str| item.parse().is_ok_and(|item: Networks| item.contains_everything());
        match text.split(',').map(str::trim).find(has_every_address) {
            Some(item) => Err(InvalidProxies::EveryAddress(item.to_owned())),
            None => Ok(Self(networks)),
        }
    }
}

impl TrustedProxies {
    /// Whether no proxy is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn trusts(&self, address: ClientAddress) -> bool {
        self.0.contains(address)
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
        fmt::Display::fmt(&self.0, f)
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
