//! The URL of an operator's receiver, and the rules that it must follow.

use std::{fmt, net::IpAddr};

use thiserror::Error;
use url::{Host, Url};

use crate::network::is_public;

/// What an [`Endpoint`] may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Whether `http` is allowed as well as `https`. Never in production.
    pub allow_http: bool,
    /// `HOOKS_ALLOW_PRIVATE_NETWORKS`
    pub allow_private_networks: bool,
}

/// Why a text is not an [`Endpoint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EndpointError {
    /// It is no URL with a host.
    #[error("must be an https URL")]
    NotAUrl,
    /// The scheme is not `https`, or not even `http` where that is allowed.
    #[error("must be an https URL (http is for development only)")]
    NotHttps,
    /// It contains a user or a password, which would be in logs and error messages.
    #[error("must not hold a user or a password")]
    Credentials,
    /// It has a fragment, which is never sent.
    #[error("must not have a fragment")]
    Fragment,
    /// The host is a private address, or the name of this host.
    #[error("must not be a private address, unless HOOKS_ALLOW_PRIVATE_NETWORKS is true")]
    PrivateAddress,
}

/// The URL of a receiver. Path and query can contain a secret of the operator, so `Debug` and `Display` show only scheme,
/// host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Parses a URL. A name is not resolved here: its addresses are checked at every connection.
    pub fn parse(text: &str, rules: Rules) -> Result<Self, EndpointError> {
        let url = Url::parse(text.trim()).map_err(|_| EndpointError::NotAUrl)?;
        match url.scheme() {
            "https" => {}
            "http" if rules.allow_http => {}
            _ => return Err(EndpointError::NotHttps),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Fragment);
        }
        let endpoint = Self(url);
        let is_private =
            endpoint.is_local_name() || endpoint.literal().is_some_and(|address| !is_public(address));
        if is_private && !rules.allow_private_networks {
            return Err(EndpointError::PrivateAddress);
        }
        Ok(endpoint)
    }

    /// The address in the URL, if its host is not a name.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    /// Whether the host is a name that always means this host (RFC 6761).
    fn is_local_name(&self) -> bool {
        let Some(Host::Domain(name)) = self.0.host() else { return false };
        let name = name.trim_end_matches('.');
        name == "localhost" || name.ends_with(".localhost")
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
