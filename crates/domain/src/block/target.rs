//! What is blocked: its kind and its value, as an admin types it and as it is stored.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

use crate::{
    address::ClientAddress,
    destination::Beginning,
    phone::{PhoneNumber, Region},
    profile::FieldErrors,
};

/// The fewest digits of a blocked prefix. One or two digits would be a whole continent.
const PREFIX_MIN_DIGITS: usize = 3;

/// The widest networks that can be blocked: half of an internet is a mistake.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 16;

/// A subscriber of IPv6 gets at least this network (RFC 6177), so a single address means all of it, as in the limits.
const SUBSCRIBER_V6: u8 = 64;

const NO_NETWORK: &str =
    "Address must be an IP address or a network, such as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32";

/// The kind of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One phone number.
    Phone,
    /// All numbers that begin with some digits.
    Prefix,
    /// All numbers of a country.
    Country,
    /// An address or network of clients.
    Address,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Phone, Self::Prefix, Self::Country, Self::Address];

    /// The word in rows and requests. It must never change.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Prefix => "prefix",
            Self::Country => "country",
            Self::Address => "address",
        }
    }
}

/// The text is not a kind of block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be phone, prefix, country or address")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownKind)
    }
}

/// A network of clients. An IPv4-mapped one is IPv4, as in [`ClientAddress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let network = match (text.parse::<IpAddr>(), text.parse::<IpNet>()) {
            (Ok(address), _) => match ClientAddress::new(address).ip() {
                IpAddr::V4(address) => IpNet::from(IpAddr::V4(address)),
                IpAddr::V6(address) => {
                    IpNet::new(IpAddr::V6(address), SUBSCRIBER_V6).map_err(|_| NO_NETWORK)?.trunc()
                }
            },
            (Err(_), Ok(network)) => unmapped(network.trunc()),
            (Err(_), Err(_)) => return Err(NO_NETWORK),
        };
        let widest = if network.addr().is_ipv4() { WIDEST_V4 } else { WIDEST_V6 };
        if network.prefix_len() < widest {
            return Err("Address must be a smaller network: at most /8 of IPv4 or /16 of IPv6");
        }
        Ok(Self(network))
    }

    fn has(self, address: ClientAddress) -> bool {
        self.0.contains(&address.ip())
    }
}

/// `::ffff:203.0.113.0/120` is `203.0.113.0/24`.
fn unmapped(network: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    let mapped = match network.addr() {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Ipv6Addr::to_ipv4_mapped(&address),
    };
    let length = network.prefix_len().checked_sub(MAPPED_BITS);
    let unmapped = mapped.zip(length).and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    unmapped.map_or(network, IpNet::V4)
}

/// A single address of IPv4 without its length, everything else in CIDR.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpNet::V4(network) if network.prefix_len() == network.max_prefix_len() => {
                fmt::Display::fmt(&network.addr(), f)
            }
            network => fmt::Display::fmt(&network, f),
        }
    }
}

/// What is blocked. Its `Display` masks a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A phone.
    Phone(PhoneNumber),
    /// All numbers that begin so.
    Prefix(Beginning),
    /// All numbers of a country.
    Country(Region),
    /// All clients of a network.
    Address(Network),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phone(phone) => fmt::Display::fmt(phone, f),
            Self::Prefix(_) | Self::Country(_) | Self::Address(_) => f.write_str(&self.value()),
        }
    }
}

impl Target {
    /// Reads what an admin typed.
    ///
    /// # Errors
    /// With a sentence that says what is wrong.
    pub fn parse(kind: Kind, text: &str, region: Region) -> Result<Self, FieldErrors> {
        let error = |sentence: &dyn fmt::Display| vec![sentence.to_string()];
        let text = text.trim();
        if text.is_empty() {
            return Err(error(&"This field is required"));
        }
        match kind {
            Kind::Phone => {
                PhoneNumber::parse(text, region).map(Self::Phone).map_err(|refused| error(&refused))
            }
            Kind::Prefix => prefix(text, region).map(Self::Prefix).map_err(|refused| error(&refused)),
            Kind::Country => text
                .parse()
                .map(Self::Country)
                .map_err(|_| error(&"Country must be two letters, such as IN or US")),
            Kind::Address => Network::parse(text).map(Self::Address).map_err(|refused| error(&refused)),
        }
    }

    /// Reads what [`Target::value`] wrote; `None` for what a later version wrote.
    #[must_use]
    pub fn from_stored(kind: &str, value: &str) -> Option<Self> {
        match kind.parse().ok()? {
            Kind::Phone => PhoneNumber::from_e164(value).map(Self::Phone),
            Kind::Prefix => value.parse().ok().map(Self::Prefix),
            Kind::Country => value.parse().ok().map(Self::Country),
            Kind::Address => Network::parse(value).ok().map(Self::Address),
        }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Phone(_) => Kind::Phone,
            Self::Prefix(_) => Kind::Prefix,
            Self::Country(_) => Kind::Country,
            Self::Address(_) => Kind::Address,
        }
    }

    /// The whole value, as it is stored. A whole phone is for the database, and for pages that show it alone.
    #[must_use]
    pub fn value(&self) -> String {
        match self {
            Self::Phone(phone) => phone.full().to_owned(),
            Self::Prefix(prefix) => prefix.to_string(),
            Self::Country(country) => country.to_string(),
            Self::Address(network) => network.to_string(),
        }
    }

    /// The phone, if it is one.
    #[must_use]
    pub fn phone(&self) -> Option<&PhoneNumber> {
        match self {
            Self::Phone(phone) => Some(phone),
            Self::Prefix(_) | Self::Country(_) | Self::Address(_) => None,
        }
    }

    /// Whether it is about many phones at once, which an admin has to confirm.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        matches!(self, Self::Prefix(_) | Self::Country(_))
    }

    /// Whether it is a network with this address.
    #[must_use]
    pub fn has_address(&self, address: ClientAddress) -> bool {
        matches!(self, Self::Address(network) if network.has(address))
    }

    /// Whether it is a prefix of this phone.
    pub(super) fn has_phone(&self, phone: &PhoneNumber) -> bool {
        matches!(self, Self::Prefix(prefix) if prefix.matches(phone))
    }

    /// How specific a prefix or a network is: its length.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Prefix(prefix) => prefix.as_str().len(),
            Self::Address(network) => network.0.prefix_len().into(),
            Self::Phone(_) | Self::Country(_) => 0,
        }
    }
}

/// Reads a prefix: a plus or 00, then digits, with spaces and dashes between. A whole number is refused: as a prefix it would
/// be shown in lists, where numbers are masked.
fn prefix(text: &str, region: Region) -> Result<Beginning, &'static str> {
    if PhoneNumber::parse(text, region).is_ok() {
        return Err("This is a whole phone number: block it as a phone");
    }
    let digits: String = text.chars().filter(|character| !" \u{a0}-.()".contains(*character)).collect();
    let digits = digits.strip_prefix("00").map_or_else(|| digits.clone(), |digits| format!("+{digits}"));
    match digits.parse::<Beginning>() {
        Ok(prefix) if prefix.as_str().len() > PREFIX_MIN_DIGITS => Ok(prefix),
        Ok(_) => Err("Prefix must have at least 3 digits. To block a country choose the kind country"),
        Err(_) => Err("Prefix must be a plus, the country code and the first digits, such as +91987"),
    }
}
