//! The settings of which numbers can get messages.

use super::*;
use crate::domain::{delivery::UnreachableReason, phone::PhoneNumber};

fn refuses(settings: &[(&str, &str)], phone: &str) -> Option<UnreachableReason> {
    dev(settings).destinations.refuses(&PhoneNumber::from_e164(phone).unwrap())
}

#[test]
fn every_number_is_served_unless_told_otherwise() {
    for settings in [&[][..], &[("SMS_ALLOWED_COUNTRIES", ""), ("SMS_BLOCKED_PREFIXES", " , ")]] {
        assert_eq!(refuses(settings, "+916205829376"), None);
        assert_eq!(refuses(settings, "+88213312345"), None);
    }
}

#[test]
fn countries_and_beginnings_stand_between_commas() {
    let settings = [
        ("SMS_ALLOWED_COUNTRIES", "in, NP"),
        ("SMS_BLOCKED_PREFIXES", "+9162, +88213"),
        ("SMS_ALLOWED_PREFIXES", "+44"),
    ];
    assert_eq!(refuses(&settings, "+919876543210"), None);
    assert_eq!(refuses(&settings, "+9779841234567"), None);
    assert_eq!(refuses(&settings, "+447400123456"), None);
    assert_eq!(refuses(&settings, "+916205829376"), Some(UnreachableReason::Blocked));
    assert_eq!(refuses(&settings, "+12025550123"), Some(UnreachableReason::RegionNotAllowed));
    // They are not limits.
    let off = [("RATE_LIMITS_ENABLED", "false"), ("SMS_BLOCKED_PREFIXES", "+91")];
    assert_eq!(refuses(&off, "+916205829376"), Some(UnreachableReason::Blocked));
}

#[test]
fn what_is_none_is_named() {
    assert!(
        problem(&[("SMS_ALLOWED_COUNTRIES", "IN,India")]).starts_with("SMS_ALLOWED_COUNTRIES: each must be")
    );
    for bad in ["91", "+0", "+91x", "+91 62"] {
        for name in ["SMS_BLOCKED_PREFIXES", "SMS_ALLOWED_PREFIXES"] {
            assert!(
                problem(&[(name, bad)]).starts_with(&format!("{name} must be prefixes of numbers")),
                "{bad}"
            );
        }
    }
    assert_eq!(
        problem(&[("SMS_BLOCKED_PREFIXES", "+91,+44"), ("SMS_ALLOWED_PREFIXES", "+44")]),
        "SMS_BLOCKED_PREFIXES and SMS_ALLOWED_PREFIXES both name +44"
    );
}
