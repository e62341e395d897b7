//! Users that the load test makes up. Each has a phone number and an address of its own, so that limits count and refuse nothing.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;

/// Mobile numbers of India: all prefixes from here on, each with every six digits after it.
const FIRST_PREFIX: u64 = 8918;
const PREFIXES: u64 = 1082;

/// Gives each new user the next number.
#[derive(Debug, Default)]
pub struct Numbers(AtomicU64);

impl Numbers {
    /// The next user.
    #[must_use]
    pub fn next(&self) -> Person {
        Person::new(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// A user.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Person {
    /// The phone number.
    pub phone: String,
    /// The address that requests come from: one of the 131,072 that are for benchmarks (RFC 2544).
    pub address: String,
    /// The code of the last message.
    pub code: String,
    /// The access token.
    pub token: String,
    /// The refresh token.
    pub refresh: String,
    /// How long the answer to the last request for a code took.
    pub asked: Duration,
}

impl Person {
    /// The user with this number. Numbers in a row have different prefixes, as the limits of prefixes expect of users.
    #[must_use]
    pub fn new(number: u64) -> Self {
        let (prefix, rest) = (FIRST_PREFIX + number % PREFIXES, number / PREFIXES % 1_000_000);
        let [_, high, middle, low] = u32::try_from(number % (1 << 17)).unwrap_or_default().to_be_bytes();
        Self {
            phone: format!("+91{prefix:04}{rest:06}"),
            address: format!("198.{}.{middle}.{low}", 18 + high),
            ..Self::default()
        }
    }

    /// The name for a sign-in by password.
    #[must_use]
    pub fn username(&self) -> String {
        self.phone.replace('+', "load")
    }
}

/// The newest code of each phone, from the JSON of the inbox, which has the newest message first.
pub fn codes(inbox: &str) -> Result<HashMap<String, String>> {
    let inbox: Value = serde_json::from_str(inbox)?;
    let messages = inbox.get("messages").and_then(Value::as_array).context("no messages in the inbox")?;
    let text = |message: &Value, name| Some(message.get(name)?.as_str()?.to_owned());
    let pairs =
        messages.iter().rev().filter_map(|message| Some((text(message, "to")?, text(message, "otp_code")?)));
    Ok(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_share_neither_number_nor_address() {
        let numbers = Numbers::default();
        assert_eq!(numbers.next().phone, "+918918000000");
        assert_eq!(numbers.next().phone, "+918919000000");
        assert_eq!(Person::new(1081).phone, "+919999000000");
        assert_eq!(Person::new(1082).phone, "+918918000001");
        assert_eq!(Person::new(0).address, "198.18.0.0");
        assert_eq!(Person::new(256).address, "198.18.1.0");
        assert_eq!(Person::new(65_536).address, "198.19.0.0");
        assert_eq!(Person::new(131_071).address, "198.19.255.255");
        assert_eq!(Person::new(131_072).address, "198.18.0.0");
    }

    #[test]
    fn the_newest_code_of_a_phone_is_taken() {
        let inbox = r#"{"messages": [
            {"to": "+911", "otp_code": "2222"}, {"to": "+912", "otp_code": null},
            {"to": "+913", "otp_code": "3333"}, {"to": "+911", "otp_code": "1111"}]}"#;
        let found = codes(inbox).unwrap();
        assert_eq!(found.get("+911").map(String::as_str), Some("2222"));
        assert_eq!(found.get("+913").map(String::as_str), Some("3333"));
        assert_eq!(found.len(), 2);
        assert!(codes("{}").is_err());
    }
}
