//! Which addresses are public, and which URLs are endpoints.

use crate::{Endpoint, EndpointError, Rules, network::is_public};

const PROD: Rules = Rules { allow_http: false, allow_private_networks: false };
const DEV: Rules = Rules { allow_http: true, allow_private_networks: false };
const PRIVATE: Rules = Rules { allow_http: true, allow_private_networks: true };

/// On both sides of the boundaries of every network.
const ADDRESSES: [(&str, bool); 77] = [
    ("0.0.0.0", false),
    ("0.255.255.255", false),
    ("1.0.0.0", true),
    ("9.255.255.255", true),
    ("10.0.0.0", false),
    ("10.255.255.255", false),
    ("11.0.0.0", true),
    ("100.63.255.255", true),
    ("100.64.0.0", false),
    ("100.100.100.200", false),
    ("100.127.255.255", false),
    ("100.128.0.0", true),
    ("126.255.255.255", true),
    ("127.0.0.1", false),
    ("127.255.255.255", false),
    ("128.0.0.0", true),
    ("168.63.129.15", true),
    ("168.63.129.16", false),
    ("168.63.129.17", true),
    ("169.253.255.255", true),
    ("169.254.0.0", false),
    ("169.254.169.254", false),
    ("169.254.255.255", false),
    ("169.255.0.0", true),
    ("172.15.255.255", true),
    ("172.16.0.0", false),
    ("172.31.255.255", false),
    ("172.32.0.0", true),
    ("192.0.0.192", false),
    ("192.0.1.0", true),
    ("192.0.2.1", false),
    ("192.88.99.1", false),
    ("192.167.255.255", true),
    ("192.168.0.0", false),
    ("192.168.255.255", false),
    ("192.169.0.0", true),
    ("198.17.255.255", true),
    ("198.18.0.0", false),
    ("198.19.255.255", false),
    ("198.20.0.0", true),
    ("198.51.100.1", false),
    ("203.0.113.1", false),
    ("223.255.255.255", true),
    ("224.0.0.1", false),
    ("239.255.255.255", false),
    ("240.0.0.1", false),
    ("255.255.255.255", false),
    ("::", false),
    ("::1", false),
    // IPv4-mapped: judged as the IPv4 address.
    ("::ffff:127.0.0.1", false),
    ("::ffff:10.0.0.1", false),
    ("::ffff:169.254.169.254", false),
    ("::ffff:8.8.8.8", true),
    // IPv4-compatible, which is deprecated.
    ("::127.0.0.1", false),
    // NAT64: judged as the IPv4 address.
    ("64:ff9b::127.0.0.1", false),
    ("64:ff9b::10.0.0.1", false),
    ("64:ff9b::169.254.169.254", false),
    ("64:ff9b::8.8.8.8", true),
    // NAT64 with a prefix of the network's own.
    ("64:ff9b:1::8.8.8.8", false),
    ("100::1", false),
    ("1fff:ffff::1", false),
    ("2000::1", true),
    ("2001::1", false),
    ("2001:1ff::1", false),
    ("2001:200::1", true),
    ("2001:db8::1", false),
    ("2001:4860:4860::8888", true),
    ("2002:7f00:1::1", false),
    ("2002:808:808::1", false),
    ("2606:4700::1111", true),
    ("3ffe::1", true),
    ("3fff::1", false),
    ("4000::1", false),
    ("fc00::1", false),
    ("fd00:ec2::254", false),
    ("fe80::1", false),
    ("ff02::1", false),
];

#[test]
fn only_addresses_on_the_internet_are_public() {
    for (address, expected) in ADDRESSES {
        assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
    }
}

#[test]
fn an_endpoint_is_an_https_url_of_a_public_host() {
    for (text, rules, expected) in [
        ("https://hooks.example.com/before-send?key=1", PROD, Ok(())),
        (" https://hooks.example.com:8443 ", PROD, Ok(())),
        ("https://8.8.8.8/", PROD, Ok(())),
        ("http://hooks.example.com", PROD, Err(EndpointError::NotHttps)),
        ("http://hooks.example.com", DEV, Ok(())),
        ("ftp://hooks.example.com", DEV, Err(EndpointError::NotHttps)),
        ("hooks.example.com", DEV, Err(EndpointError::NotAUrl)),
        ("https://", DEV, Err(EndpointError::NotAUrl)),
        ("", DEV, Err(EndpointError::NotAUrl)),
        ("https://user@hooks.example.com", DEV, Err(EndpointError::Credentials)),
        ("https://:password@hooks.example.com", DEV, Err(EndpointError::Credentials)),
        ("https://hooks.example.com/#here", DEV, Err(EndpointError::Fragment)),
        ("https://localhost", PROD, Err(EndpointError::PrivateAddress)),
        ("http://localhost:3000", DEV, Err(EndpointError::PrivateAddress)),
        ("http://LOCALHOST.:3000", DEV, Err(EndpointError::PrivateAddress)),
        ("http://hooks.localhost:3000", DEV, Err(EndpointError::PrivateAddress)),
        ("http://localhost:3000", PRIVATE, Ok(())),
        ("https://notlocalhost", PROD, Ok(())),
        ("http://10.0.0.5", PRIVATE, Ok(())),
        ("http://10.0.0.5", DEV, Err(EndpointError::PrivateAddress)),
        // Other spellings of 127.0.0.1.
        ("https://2130706433/", PROD, Err(EndpointError::PrivateAddress)),
        ("https://0x7f.1/", PROD, Err(EndpointError::PrivateAddress)),
        ("https://0177.0.0.1/", PROD, Err(EndpointError::PrivateAddress)),
        ("https://127.0.0.1./", PROD, Err(EndpointError::PrivateAddress)),
        ("https://127。0。0。1/", PROD, Err(EndpointError::PrivateAddress)),
        ("https://[::1]/", PROD, Err(EndpointError::PrivateAddress)),
        ("https://[::ffff:169.254.169.254]/", PROD, Err(EndpointError::PrivateAddress)),
        ("https://[64:ff9b::a9fe:a9fe]/", PROD, Err(EndpointError::PrivateAddress)),
        ("https://[2606:4700::1111]/", PROD, Ok(())),
    ] {
        assert_eq!(Endpoint::parse(text, rules).map(|_| ()), expected, "{text}");
    }
}

#[test]
fn an_endpoint_shows_no_path() {
    let endpoint = Endpoint::parse("https://hooks.example.com:8443/secret?key=secret", PROD).unwrap();
    assert_eq!(
        format!("{endpoint} {endpoint:?}"),
        "https://hooks.example.com:8443 https://hooks.example.com:8443"
    );
}
