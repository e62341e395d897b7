use poem::http::HeaderValue;

use super::*;

/// The proxies of the tests: a machine, a network of each kind, and an IPv4-mapped one.
const PROXIES: &str = "127.0.0.1, 10.0.0.0/8,2001:db8:aaaa::/48 , ::ffff:192.168.7.0/120,";

fn found_as(proxies: &str, socket: &str, lines: &[&[u8]]) -> String {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap());
    }
    let socket = (!socket.is_empty()).then(|| socket.parse().unwrap());
    Finder::new(proxies.parse().unwrap()).find(socket, &headers).to_string()
}

fn found(socket: &str, lines: &[&str]) -> String {
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    found_as(PROXIES, socket, &lines)
}

#[test]
fn without_a_trusted_peer_the_socket_counts_whatever_is_said() {
    for (socket, expected) in [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("192.168.8.1", "192.168.8.1"),
        ("127.0.0.2", "127.0.0.2"),
    ] {
        for lines in [&[][..], &["198.51.100.1"], &["127.0.0.1"], &["198.51.100.1, 10.0.0.1"], &["junk"]] {
            assert_eq!(found(socket, lines), expected, "{lines:?}");
        }
    }
    assert_eq!(found_as("", "127.0.0.1", &[b"198.51.100.1"]), "127.0.0.1");
    assert_eq!(found_as("", "", &[b"198.51.100.1"]), "0.0.0.0");
}

#[test]
fn the_walk_goes_from_the_right_to_the_first_that_is_not_trusted() {
    for (lines, expected) in [
        // No header: the proxy itself is the client.
        (&[][..], "127.0.0.1"),
        (&["203.0.113.7"], "203.0.113.7"),
        // What a client forges is on the left.
        (&["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        (&["127.0.0.1, 203.0.113.7"], "203.0.113.7"),
        (&["junk, 203.0.113.7"], "203.0.113.7"),
        (&[", 203.0.113.7"], "203.0.113.7"),
        // Past trusted proxies.
        (&["203.0.113.7, 10.1.2.3"], "203.0.113.7"),
        (&["198.51.100.1, 203.0.113.7, 10.1.2.3,10.0.0.1"], "203.0.113.7"),
        (&["203.0.113.7,2001:db8:aaaa::5\t,  192.168.7.9 "], "203.0.113.7"),
        // IPv4-mapped: a hop, and a trusted network.
        (&["203.0.113.7, ::ffff:10.1.2.3"], "203.0.113.7"),
        (&["203.0.113.7, ::ffff:192.168.7.255"], "203.0.113.7"),
        (&["203.0.113.7, 192.168.8.1"], "192.168.8.1"),
        // Empty members are ignored everywhere.
        (&["203.0.113.7,"], "203.0.113.7"),
        (&["203.0.113.7 ,\t, ", ""], "203.0.113.7"),
        (&["198.51.100.1, , 203.0.113.7,, 10.1.2.3,"], "203.0.113.7"),
        (&["203.0.113.7", "", " , ", "10.1.2.3"], "203.0.113.7"),
        (&[","], "127.0.0.1"),
        (&["", " "], "127.0.0.1"),
        // Several lines are one list, in their order.
        (&["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        (&["198.51.100.1, 203.0.113.7", "10.1.2.3", "10.0.0.1, 10.0.0.2"], "203.0.113.7"),
        (&["203.0.113.7", "junk, 198.51.100.1", "10.1.2.3"], "198.51.100.1"),
        // Only trusted ones: the leftmost is the client.
        (&["10.1.2.3, 10.0.0.1"], "10.1.2.3"),
        (&["10.9.9.9", "10.0.0.1"], "10.9.9.9"),
    ] {
        assert_eq!(found("127.0.0.1", lines), expected, "{lines:?}");
    }
}

#[test]
fn addresses_come_with_ports_and_brackets() {
    for (entry, expected) in [
        ("203.0.113.7:4711", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:80", "203.0.113.7"),
        ("::ffff:cb00:7107", "203.0.113.7"),
    ] {
        assert_eq!(found("127.0.0.1", &[entry]), expected, "{entry}");
        assert_eq!(found("::ffff:127.0.0.1", &[&format!("junk,{entry},10.0.0.1:80")]), expected, "{entry}");
    }
}

#[test]
fn what_is_no_address_ends_the_walk_and_the_last_trusted_hop_counts() {
    for junk in [
        "unknown",
        "_hidden",
        "localhost",
        "203.0.113",
        "203.0.113.7.9",
        "203.0.113.256",
        "203.0.113.07",
        "0x7f.0.0.1",
        "3405803783",
        "203.0.113.7:",
        "203.0.113.7:99999",
        "203.0.113.7:-1",
        "[203.0.113.7]",
        "[2001:db8::1",
        "2001:db8::1]",
        "[]",
        "[]:80",
        "2001:db8::1::2",
        "\"203.0.113.7\"",
        "for=203.0.113.7",
        "203.0.113.7/32",
        "203.0.113.7;10.0.0.1",
        "203.0.113.7 10.0.0.1",
        "fe80::1%eth0",
    ] {
        assert_eq!(found("127.0.0.1", &[junk]), "127.0.0.1", "{junk:?}");
        assert_eq!(found("127.0.0.1", &[&format!("198.51.100.1, {junk}, 10.0.0.9")]), "10.0.0.9", "{junk:?}");
        assert_eq!(found("127.0.0.1", &["198.51.100.1", junk, "10.0.0.9"]), "10.0.0.9", "{junk:?}");
        // Entries to the right of it still count.
        assert_eq!(found("127.0.0.1", &[&format!("{junk}, 203.0.113.7")]), "203.0.113.7", "{junk:?}");
    }
    let not_text = [&b"198.51.100.1, \xff\xfe, 10.0.0.9"[..]];
    assert_eq!(found_as(PROXIES, "127.0.0.1", &not_text), "10.0.0.9");
}

#[test]
fn a_thousand_entries_are_walked_and_change_nothing() {
    let strangers = vec!["198.51.100.1"; 1000].join(", ");
    assert_eq!(found("127.0.0.1", &[&strangers, "203.0.113.7"]), "203.0.113.7");
    let ours = vec!["10.0.0.1"; 1000].join(",");
    assert_eq!(found("127.0.0.1", &[&ours]), "10.0.0.1");
    assert_eq!(found("127.0.0.1", &["198.51.100.1, 203.0.113.7", &ours]), "203.0.113.7");
    let lines = vec!["10.0.0.1"; 1000];
    assert_eq!(found("127.0.0.1", &lines), "10.0.0.1");
}

#[test]
fn a_request_without_a_socket_is_of_nobody_and_can_be_trusted_by_that_name() {
    assert_eq!(found_as(PROXIES, "", &[b"203.0.113.7"]), "0.0.0.0");
    assert_eq!(found_as("0.0.0.0", "", &[b"203.0.113.7"]), "203.0.113.7");
    assert_eq!(from_request(&Request::default()).to_string(), "0.0.0.0");
}

#[test]
fn lists_of_proxies_are_read_as_a_whole() {
    let shown = |text: &str| text.parse::<TrustedProxies>().map(|proxies| proxies.to_string());
    assert_eq!(shown("").as_deref(), Ok(""));
    assert!(" , ".parse::<TrustedProxies>().unwrap().is_empty());
    assert_eq!(shown(PROXIES).as_deref(), Ok("127.0.0.1/32, 10.0.0.0/8, 2001:db8:aaaa::/48, 192.168.7.0/24"));
    let bad = "10.0.0.0/33, localhost, 10.0.0.1, 10.0.0, ::1/129";
    assert_eq!(
        shown(bad).unwrap_err().to_string(),
        "10.0.0.0/33, localhost, 10.0.0, ::1/129 must be addresses or networks, such as 10.0.0.5 or 10.0.0.0/8, separated by commas"
    );
    for network in ["0.0.0.0/0", "::/0", "::ffff:0:0/96", "10.0.0.0/0"] {
        assert_eq!(
            shown(&format!("10.0.0.1, {network}")),
            Err(InvalidProxies::EveryAddress(network.to_owned()))
        );
    }
}

#[test]
fn a_proxy_that_nobody_named_is_spoken_of_once() {
    let finder = Finder::new(TrustedProxies::default());
    let address = |text: &str| ClientAddress::new(text.parse().unwrap());
    let forwarded = HeaderMap::from_iter([(FORWARDED_FOR, HeaderValue::from_static("203.0.113.7"))]);
    // Not for a public address that sends the header itself, and not without the header.
    assert!(!finder.is_behind_an_unknown_proxy(address("203.0.113.7"), &forwarded));
    assert!(!finder.is_behind_an_unknown_proxy(address("2001:db8::1"), &forwarded));
    assert!(!finder.is_behind_an_unknown_proxy(address("10.0.0.1"), &HeaderMap::new()));
    assert!(finder.is_behind_an_unknown_proxy(address("10.0.0.1"), &forwarded));
    assert!(!finder.is_behind_an_unknown_proxy(address("10.0.0.1"), &forwarded));
    for near in [
        "127.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.1.1",
        "::1",
        "fd00::1",
        "fe80::1",
        "::ffff:10.0.0.1",
    ] {
        let finder = Finder::new(TrustedProxies::default());
        assert!(finder.is_behind_an_unknown_proxy(address(near), &forwarded), "{near}");
    }
    let named = Finder::new("10.0.0.9".parse().unwrap());
    assert!(!named.is_behind_an_unknown_proxy(address("10.0.0.1"), &forwarded));
}
