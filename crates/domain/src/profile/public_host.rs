//! Whether a host belongs to the public internet, as far as its spelling tells.
//!
//! The URL parser has already decoded disguised addresses: `0x7f.1`, `2130706433` and full-width digits arrive here
//! as 127.0.0.1.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::Host;

/// The longest label of a host name, from RFC 1035.
const MAX_LABEL: usize = 63;

/// Top-level domains outside of the public DNS.
///
/// `.example` is not among them, nor are `example.com` and similar names: by RFC 6761 programs treat them as ordinary
/// names, documents and tests use them, and they lead nowhere.
const PRIVATE_DOMAINS: [&str; 14] = [
    // RFC 6761. `test` is for private networks, `invalid` never exists.
    "localhost",
    // The default domain of many systems.
    "localdomain",
    "test",
    "invalid",
    // RFC 6762: multicast DNS, and in appendix G the common private top-level domains.
    "local",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    // Reserved for private use by ICANN on 29 July 2024; also in that appendix.
    "internal",
    // Infrastructure, with `home.arpa` of RFC 8375.
    "arpa",
    // Names outside of the DNS: RFC 7686 and RFC 9476.
    "onion",
    "alt",
];

/// The blocks that the IANA IPv4 Special-Purpose Address Registry and RFC 5771 (multicast) exclude from the public
/// space.
const SPECIAL_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),           // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // shared by carriers' NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local; cloud metadata services are here
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // IETF protocols
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // formerly 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, with the broadcast address
];

/// Everything that IANA assigns as global unicast. Loopback, unspecified, unique local, link-local and multicast
/// addresses are outside of it.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The blocks that the IANA IPv6 Special-Purpose Address Registry excludes from [`GLOBAL_V6`].
const SPECIAL_V6: [(Ipv6Addr, u32); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // IETF protocols: Teredo, benchmarks, ORCHID
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Whether `host` is a name of the public DNS or a public address.
pub(super) fn is_public(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => is_public_name(name),
        Host::Ipv4(address) => is_public_v4(*address),
        Host::Ipv6(address) => is_public_v6(*address),
    }
}

/// The parser has made `name` lower-case ASCII. A dot at the end does not change the name.
fn is_public_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let Some((_, top)) = name.rsplit_once('.') else {
        return false; // a single label names a machine in the local network
    };
    let well_formed = name.split('.').all(|label| (1..=MAX_LABEL).contains(&label.len()));
    well_formed && !PRIVATE_DOMAINS.contains(&top)
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !SPECIAL_V4.iter().any(|(net, length)| (bits ^ net.to_bits()) >> (32 - length) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = inner_v4(address) {
        return is_public_v4(inner);
    }
    let within = |(net, length): (Ipv6Addr, u32)| (address.to_bits() ^ net.to_bits()) >> (128 - length) == 0;
    within(GLOBAL_V6) && !SPECIAL_V6.into_iter().any(within)
}

/// The IPv4 address inside of an IPv6 address: mapped (`::ffff:0:0/96`), NAT64 (`64:ff9b::/96`, RFC 6052) or 6to4
/// (`2002::/16`, RFC 3056).
fn inner_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(host: &str) -> bool {
        let host = Host::parse(host).unwrap();
        match host {
            Host::Domain(name) => is_public(&Host::Domain(name.as_str())),
            Host::Ipv4(address) => is_public(&Host::Ipv4(address)),
            Host::Ipv6(address) => is_public(&Host::Ipv6(address)),
        }
    }

    #[test]
    fn names_of_the_public_dns() {
        let longest = format!("{}.company", "a".repeat(63));
        for name in [
            "cdn.company",
            "example.com",
            "example.com.",
            "pictures.example",
            "localhost.example.com",
            "mylocalhost.com",
            "local.dev",
            "10.0.0.1.example.com",
            "xn--h2brj9c.xn--h2brj9c",
            "a_b.example.com",
            longest.as_str(),
        ] {
            assert!(public(name), "{name}");
        }
    }

    #[test]
    fn names_of_networks_of_ones_own() {
        let too_long = format!("{}.company", "a".repeat(64));
        for name in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "localhost..",
            "a.localhost",
            "a.localhost.",
            "localhost.localdomain.local",
            "nas",
            "nas.",
            "com",
            "nas.local",
            "Nas.LOCAL.",
            "metadata.google.internal",
            "app.test",
            "app.invalid",
            "router.lan",
            "router.home",
            "mail.corp",
            "wiki.intranet",
            "db.private",
            "nas.home.arpa",
            "1.0.0.127.in-addr.arpa",
            "abc.onion",
            "abc.alt",
            "a..company",
            ".company",
            too_long.as_str(),
        ] {
            assert!(!public(name), "{name}");
        }
    }

    /// The first and last address of each block, and their neighbours outside.
    #[test]
    fn ipv4_blocks_to_their_edges() {
        for (before, first, last, after) in [
            ("", "0.0.0.0", "0.255.255.255", "1.0.0.0"),
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
            ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
            ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
            ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
            ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
            ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
            ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
            ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
            ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
            ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
            ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
            ("223.255.255.255", "224.0.0.0", "255.255.255.255", ""),
        ] {
            assert!(!public(first) && !public(last), "{first} to {last}");
            for outside in [before, after] {
                assert!(outside.is_empty() || public(outside), "{outside}");
            }
        }
    }

    #[test]
    fn ipv4_in_disguise() {
        for host in [
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "127.1",
            "0",
            "127.0.0.1.",
            "0xa9fea9fe",
            "%31%30.1",
            "１０.1",
        ] {
            assert!(!public(host), "{host}");
        }
        assert!(public("134744072")); // 8.8.8.8
    }

    #[test]
    fn ipv6() {
        for (host, expected) in [
            ("[::]", false),
            ("[::1]", false),
            ("[::8.8.8.8]", false),    // IPv4-compatible, long gone
            ("[100::1]", false),       // discarded
            ("[1fff:ffff::1]", false), // the last before global unicast
            ("[2000::1]", true),
            ("[2001::1]", false),          // Teredo
            ("[2001:2::1]", false),        // benchmarks
            ("[2001:1ff:ffff::1]", false), // the last of IETF protocols
            ("[2001:200::1]", true),
            ("[2001:db7:ffff::1]", true),
            ("[2001:db8::1]", false), // documentation
            ("[2001:db8:ffff:ffff::1]", false),
            ("[2001:db9::1]", true),
            ("[2606:4700::1111]", true),
            ("[3ffe:ffff::1]", true),
            ("[3fff::1]", false), // documentation
            ("[3fff:fff:ffff::1]", false),
            ("[3fff:1000::1]", true),
            ("[4000::1]", false),
            ("[5f00::1]", false), // segment routing
            ("[fc00::1]", false), // unique local
            ("[fd12:3456::1]", false),
            ("[fe80::1]", false), // link-local
            ("[fec0::1]", false), // formerly site-local
            ("[ff02::1]", false), // multicast
            // IPv4 inside: mapped, NAT64, 6to4.
            ("[::ffff:127.0.0.1]", false),
            ("[::ffff:a9fe:a9fe]", false),
            ("[::ffff:8.8.8.8]", true),
            ("[::ffff:0:8.8.8.8]", false), // translated, used within one network only
            ("[64:ff9b::10.0.0.1]", false),
            ("[64:ff9b::8.8.8.8]", true),
            ("[64:ff9b:1::8.8.8.8]", false), // NAT64 inside of a private network
            ("[2002:7f00:1::1]", false),
            ("[2002:a9fe:a9fe::1]", false),
            ("[2002:c0a8:101::]", false),
            ("[2002:808:808::1]", true),
        ] {
            assert_eq!(public(host), expected, "{host}");
        }
    }
}
