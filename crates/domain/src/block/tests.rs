//! Tests of blocks: how they are written, and which one applies.

use chrono::{Duration, TimeZone};

use super::*;

const PHONE: &str = "+916205829376";

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 14, 9, 26, 53).unwrap()
}

fn india() -> Region {
    "IN".parse().unwrap()
}

fn target(kind: Kind, text: &str) -> Target {
    Target::parse(kind, text, india()).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

fn block(kind: Kind, text: &str) -> Block {
    Block {
        id: Uuid::nil(),
        target: target(kind, text),
        reason: "abuse".to_owned(),
        reference: None,
        made_by: None,
        made_at: now(),
        ends_at: None,
        ended_at: None,
        ended_by: None,
    }
}

fn phone(text: &str) -> PhoneNumber {
    PhoneNumber::from_e164(text).unwrap()
}

fn address(text: &str) -> ClientAddress {
    ClientAddress::new(text.parse().unwrap())
}

#[test]
fn a_value_is_read_in_any_spelling_and_stored_in_one() {
    for (kind, text, value) in [
        (Kind::Phone, "062058 29376", PHONE),
        (Kind::Phone, "+91 (6205) 829-376", PHONE),
        (Kind::Prefix, " +91 987 ", "+91987"),
        (Kind::Prefix, "0091-987", "+91987"),
        (Kind::Prefix, "+882", "+882"),
        (Kind::Country, "gb", "GB"),
        (Kind::Address, "203.0.113.7", "203.0.113.7"),
        (Kind::Address, "203.0.113.7/32", "203.0.113.7"),
        (Kind::Address, "203.0.113.7/24", "203.0.113.0/24"),
        (Kind::Address, "::ffff:203.0.113.7", "203.0.113.7"),
        (Kind::Address, "::ffff:203.0.113.7/120", "203.0.113.0/24"),
        (Kind::Address, "2001:db8:1:2::7", "2001:db8:1:2::/64"),
        (Kind::Address, "2001:db8:1:2::7/128", "2001:db8:1:2::7/128"),
        (Kind::Address, "2001:DB8::/32", "2001:db8::/32"),
        (Kind::Address, "10.0.0.0/8", "10.0.0.0/8"),
        (Kind::Address, "2001::/16", "2001::/16"),
    ] {
        let read = target(kind, text);
        assert_eq!(read.value(), value, "{text}");
        assert_eq!(Target::from_stored(kind.as_str(), value), Some(read), "{value}");
    }
    assert_eq!(target(Kind::Phone, PHONE).to_string(), "+91******9376");
    assert_eq!(Target::from_stored("planet", "Mars"), None);
}

#[test]
fn a_search_finds_what_is_stored() {
    for (text, value) in [
        ("062058 29376", PHONE),
        ("+91 987", "+91987"),
        ("gb", "GB"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        (" nonsense ", "nonsense"),
    ] {
        assert_eq!(search_value(text, india()), value);
    }
}

#[test]
fn a_value_that_is_none_gets_a_sentence() {
    for (kind, text) in [
        (Kind::Phone, ""),
        (Kind::Phone, "12"),
        (Kind::Prefix, "91987"),
        (Kind::Prefix, "+"),
        (Kind::Prefix, "+91"),
        (Kind::Prefix, "+0987"),
        (Kind::Prefix, "+91987x"),
        (Kind::Prefix, PHONE),
        (Kind::Country, "India"),
        (Kind::Country, "QQ"),
        (Kind::Address, "203.0.113"),
        (Kind::Address, "203.0.113.7/33"),
        (Kind::Address, "example.com"),
        (Kind::Address, "0.0.0.0/0"),
        (Kind::Address, "8.0.0.0/7"),
        (Kind::Address, "::/0"),
        (Kind::Address, "2001::/15"),
        (Kind::Address, "::ffff:0.0.0.0/96"),
    ] {
        let errors = Target::parse(kind, text, india()).unwrap_err();
        assert!(errors.len() == 1 && errors[0].contains(' '), "{text}: {errors:?}");
    }
}

#[test]
fn the_most_specific_block_of_a_phone_applies() {
    let all =
        [(Kind::Country, "IN"), (Kind::Prefix, "+9162"), (Kind::Prefix, "+91620"), (Kind::Phone, PHONE)];
    for count in 0..=all.len() {
        let blocks = Blocks::new(all[..count].iter().map(|(kind, text)| block(*kind, text)).collect());
        let applies = blocks.of_phone(&phone(PHONE), now()).map(|block| block.target.value());
        assert_eq!(applies.as_deref(), count.checked_sub(1).map(|last| all[last].1));
        // Only a block of the phone itself shuts its owner out.
        assert_eq!(blocks.of_owner(&phone(PHONE), now()).is_some(), count == all.len());
        assert!(blocks.of_phone(&phone("+447400123456"), now()).is_none());
    }
    let blocks = Blocks::new(vec![block(Kind::Prefix, "+88213")]);
    assert!(blocks.of_phone(&phone("+88213312345"), now()).is_some());
    let blocks = Blocks::new(vec![block(Kind::Country, "IN")]);
    assert!(blocks.of_phone(&phone("+88213312345"), now()).is_none());
}

#[test]
fn the_smallest_network_of_an_address_applies() {
    let blocks = Blocks::new(vec![
        block(Kind::Address, "203.0.0.0/16"),
        block(Kind::Address, "203.0.113.7"),
        block(Kind::Address, "203.0.113.0/24"),
        block(Kind::Address, "2001:db8:1:2::1"),
    ]);
    for (from, applies) in [
        ("203.0.113.7", Some("203.0.113.7")),
        ("::ffff:203.0.113.7", Some("203.0.113.7")),
        ("203.0.113.8", Some("203.0.113.0/24")),
        ("203.0.114.1", Some("203.0.0.0/16")),
        ("203.1.0.1", None),
        ("2001:db8:1:2:ffff::1", Some("2001:db8:1:2::/64")),
        ("2001:db8:1:3::1", None),
    ] {
        let found = blocks.of_address(address(from), now()).map(|block| block.target.value());
        assert_eq!(found.as_deref(), applies, "{from}");
    }
}

#[test]
fn a_block_ends_at_its_end_or_when_it_is_ended() {
    let second = Duration::seconds(1);
    let to = |ends_at, ended_at| Block { ends_at, ended_at, ..block(Kind::Phone, PHONE) };
    for (block, is_live) in [
        (to(None, None), true),
        (to(Some(now() + second), None), true),
        (to(Some(now()), None), false),
        (to(None, Some(now() - second)), false),
        (to(Some(now() + second), Some(now())), false),
    ] {
        assert_eq!((block.is_live(now()), block.ended(now()).is_none()), (is_live, is_live), "{block:?}");
        let blocks = Blocks::new(vec![block]);
        assert_eq!(blocks.of_phone(&phone(PHONE), now()).is_some(), is_live);
    }
    assert!(check_end(now() + second, now()).is_ok());
    assert!(check_end(now(), now()).is_err());
}

#[test]
fn a_reason_is_required_and_a_reference_is_not() {
    assert_eq!(Reason::parse("  spam  ").unwrap().as_str(), "spam");
    for bad in ["", " ", "two\nlines", &"x".repeat(501)] {
        assert!(Reason::parse(bad).is_err(), "{bad:?}");
    }
    assert_eq!(parse_reference(" "), Ok(None));
    assert_eq!(parse_reference("FIR 12/2026"), Ok(Some("FIR 12/2026".to_owned())));
    assert!(parse_reference(&"x".repeat(101)).is_err());
}
