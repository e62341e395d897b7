//! Requests and responses of the operations on locks and prefixes.

use poem_openapi::{Object, registry::MetaSchema, types::Example};
use serde_json::Value;

use crate::{
    domain::{
        budget::{self, Spent},
        phone::PhoneNumber,
        users::{PageOf, USUAL_PER_PAGE},
    },
    flows::{prefixes::Listed, unlock},
    http::{
        fields::{Describe, Field, describe},
        timestamp::rfc3339,
    },
};

/// The longest time for which a prefix is held open: 30 days.
pub const MAX_HOURS: u16 = 720;

describe!(/// `state`.
PrefixState, required: false, MetaSchema {
    enum_items: ["closed", "open"].map(Value::from).to_vec(),
    example: Some("closed".into()),
    ..MetaSchema::new("string")
});
describe!(/// `hours`.
Hours, required: false, MetaSchema {
    minimum: Some(1.0),
    maximum: Some(MAX_HOURS.into()),
    description: Some("Hours for which it is held open. If left out, it is only opened."),
    example: Some(24.into()),
    ..MetaSchema::new_with_format("integer", "int64")
});

/// How long a prefix is held open.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct OpenPrefixRequest {
    #[oai(skip_serializing_if_is_none)]
    pub(super) hours: Field<Hours>,
}

impl Example for OpenPrefixRequest {
    fn example() -> Self {
        Self { hours: Field::from_value(24) }
    }
}

/// A number prefix.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Prefix {
    /// A plus, the country code and the next four digits.
    prefix: String,
    /// The country as two letters (ISO 3166-1); `--` for no country.
    country: String,
    /// `open`; `closed`: only phones that have an account get messages; `half_open`: a few messages are let through;
    /// `held_open`: staff hold it open.
    state: String,
    /// All messages.
    sent: i64,
    /// Codes that came back.
    verified: i64,
    /// Messages to phones without an account that count against it now.
    unanswered: u64,
    /// Until when it is closed (RFC 3339, UTC), or null.
    closed_until: Option<String>,
    /// Until when staff hold it open (RFC 3339, UTC), or null.
    held_until: Option<String>,
}

impl Prefix {
    fn from_prefix(prefix: &budget::Prefix) -> Self {
        Self {
            prefix: prefix.prefix.clone(),
            country: prefix.country.clone(),
            state: prefix.state.as_str().to_owned(),
            sent: prefix.sent,
            verified: prefix.verified,
            unanswered: u64::try_from(prefix.unanswered).unwrap_or(u64::MAX),
            closed_until: prefix.closed_until.map(rfc3339),
            held_until: prefix.held_until.map(rfc3339),
        }
    }
}

impl Example for Prefix {
    fn example() -> Self {
        Self {
            prefix: "+916205".to_owned(),
            country: "IN".to_owned(),
            state: "closed".to_owned(),
            sent: 62,
            verified: 1,
            unanswered: 0,
            closed_until: Some("2026-11-21T12:00:00.000000+00:00".to_owned()),
            held_until: None,
        }
    }
}

/// The sums of a country's prefixes.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Country {
    /// Two letters (ISO 3166-1); `--` for numbers of no country.
    country: String,
    /// Known prefixes.
    prefixes: i64,
    /// Closed prefixes.
    closed: i64,
    /// Messages.
    sent: i64,
    /// Codes that came back.
    verified: i64,
}

impl Country {
    fn from_country(country: &budget::Country) -> Self {
        let budget::Country { country, prefixes, closed, sent, verified } = country;
        Self {
            country: country.clone(),
            prefixes: *prefixes,
            closed: *closed,
            sent: *sent,
            verified: *verified,
        }
    }
}

impl Example for Country {
    fn example() -> Self {
        Self { country: "IN".to_owned(), prefixes: 214, closed: 1, sent: 18_240, verified: 15_911 }
    }
}

/// A page of prefixes, without an envelope.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Prefixes {
    /// Most messages first; empty past the end.
    prefixes: Vec<Prefix>,
    /// The sums of every country, most messages first.
    countries: Vec<Country>,
    /// All prefixes in this state.
    total: u64,
    /// The page, from 1.
    page: u64,
    /// Prefixes per page.
    per_page: u64,
    /// The number of pages.
    total_pages: u64,
}

impl Prefixes {
    pub(super) fn from_listed(listed: &Listed, page: PageOf) -> Self {
        Self {
            prefixes: listed.prefixes.iter().map(Prefix::from_prefix).collect(),
            countries: listed.countries.iter().map(Country::from_country).collect(),
            total: listed.total,
            page: page.number(),
            per_page: page.size(),
            total_pages: page.pages(listed.total),
        }
    }
}

impl Example for Prefixes {
    fn example() -> Self {
        Self {
            prefixes: vec![Prefix::example()],
            countries: vec![Country::example()],
            total: 1,
            page: 1,
            per_page: USUAL_PER_PAGE,
            total_pages: 1,
        }
    }
}

/// A prefix in every country that shares its country code: usually one.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PrefixRows {
    /// The prefix in each country.
    prefixes: Vec<Prefix>,
}

impl PrefixRows {
    pub(super) fn from_rows(rows: &[budget::Prefix]) -> Self {
        Self { prefixes: rows.iter().map(Prefix::from_prefix).collect() }
    }
}

impl Example for PrefixRows {
    fn example() -> Self {
        let opened = Prefix { state: "open".to_owned(), closed_until: None, ..Prefix::example() };
        Self { prefixes: vec![opened] }
    }
}

/// A limit of a phone that is partly or fully used.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PhoneBudget {
    /// Its name, as in `RateLimit` headers.
    budget: String,
    /// The client address that it applies to, IPv6 as a /64. Null for all addresses together.
    address: Option<String>,
    /// How much is used.
    used: i64,
    /// How much is allowed.
    most: i64,
    /// The window in seconds. Null: until a right code, or until staff unlock the phone.
    window: Option<i64>,
    /// Whether it is used up now.
    is_spent: bool,
    /// When a used-up limit allows one more (RFC 3339, UTC). Null if only staff can unlock it.
    until: Option<String>,
}

impl PhoneBudget {
    fn from_spent(spent: &Spent) -> Self {
        Self {
            budget: spent.budget.as_str().to_owned(),
            address: spent.network.clone(),
            used: spent.used,
            most: spent.most,
            window: spent.window,
            is_spent: spent.is_spent,
            until: spent.until.map(rfc3339),
        }
    }
}

impl Example for PhoneBudget {
    fn example() -> Self {
        Self {
            budget: "phone-guesses-from-address".to_owned(),
            address: Some("203.0.113.7".to_owned()),
            used: 10,
            most: 10,
            window: Some(86_400),
            is_spent: true,
            until: Some("2026-11-22T09:26:53.000000+00:00".to_owned()),
        }
    }
}

/// The state of a phone.
#[derive(Debug, Object)]
#[oai(example, rename = "PhoneStanding")]
pub struct PhoneStatus {
    /// The phone in E.164.
    phone_number: String,
    /// Whether a lock refuses codes and guesses now, from one address or from all.
    is_locked: bool,
    /// Why settings exclude it: `region_not_allowed` or `blocked`. Null if they do not.
    not_served: Option<String>,
    /// Its limits that are partly or fully used.
    budgets: Vec<PhoneBudget>,
    /// The state of its prefix. Null if no message was ever sent to it.
    prefix: Option<Prefix>,
}

impl PhoneStatus {
    pub(super) fn from_status(phone: &PhoneNumber, status: &unlock::PhoneStatus) -> Self {
        Self {
            phone_number: phone.full().to_owned(),
            is_locked: status.spent.iter().any(Spent::is_lock),
            not_served: status.not_served.map(|reason| reason.as_str().to_owned()),
            budgets: status.spent.iter().map(PhoneBudget::from_spent).collect(),
            prefix: status.prefix.as_ref().map(Prefix::from_prefix),
        }
    }
}

impl Example for PhoneStatus {
    fn example() -> Self {
        Self {
            phone_number: "+916205829376".to_owned(),
            is_locked: true,
            not_served: None,
            budgets: vec![PhoneBudget::example()],
            prefix: Some(Prefix::example()),
        }
    }
}

/// The result of unlocking.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Unlocked {
    /// The phone in E.164.
    phone_number: String,
    /// The limits that had locked it; empty if none had.
    unlocked: Vec<String>,
}

impl Unlocked {
    pub(super) fn from_unlocked(phone: &PhoneNumber, unlocked: &unlock::Unlocked) -> Self {
        Self {
            phone_number: phone.full().to_owned(),
            unlocked: unlocked.0.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

impl Example for Unlocked {
    fn example() -> Self {
        Self {
            phone_number: "+916205829376".to_owned(),
            unlocked: vec!["phone-failures-in-a-row".to_owned()],
        }
    }
}
