//! What the operations on locks and prefixes take and give.

use chrono::{DateTime, SecondsFormat, Utc};
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
        fields::{Describe, Field},
        users::shapes::Parameter,
    },
};

/// `state`.
pub struct StateIs;

impl Describe for StateIs {
    const REQUIRED: bool = false;
    const NAME: &'static str = "StateIs";

    fn schema() -> MetaSchema {
        MetaSchema {
            enum_items: ["closed", "open"].map(Value::from).to_vec(),
            example: Some("closed".into()),
            ..MetaSchema::new("string")
        }
    }
}

/// Which prefixes are asked for.
pub type PrefixState = Parameter<StateIs>;

/// `hours`.
pub struct HoursAre;

impl Describe for HoursAre {
    const REQUIRED: bool = false;
    const NAME: &'static str = "HoursAre";

    fn schema() -> MetaSchema {
        MetaSchema {
            minimum: Some(1.0),
            maximum: Some(720.0),
            description: Some(
                "For so long it is held open, whatever comes back. Left out: it is opened, and no more.",
            ),
            example: Some(24.into()),
            ..MetaSchema::new_with_format("integer", "int64")
        }
    }
}

/// For how long a prefix is held open.
#[derive(Debug, Object)]
#[oai(example, rename = "OpenPrefixRequest")]
pub struct Opening {
    #[oai(skip_serializing_if_is_none)]
    pub(super) hours: Field<HoursAre>,
}

impl Example for Opening {
    fn example() -> Self {
        Self { hours: Field::of(24) }
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// A prefix of numbers.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Prefix {
    /// A plus, the country code and the four digits behind it.
    prefix: String,
    /// The country by its two letters; `--` for a number of no country.
    country: String,
    /// `open`; `closed`: only phones that have an account get messages; `half_open`: a few messages are let through, to
    /// see; `held_open`: staff keep it open.
    state: String,
    /// Messages, since anything is known of it.
    sent: i64,
    /// Codes of them that came back.
    verified: i64,
    /// Messages to phones without an account that are held against it now.
    unanswered: u64,
    /// Until when it is closed (RFC 3339, UTC). Null where it is not.
    closed_until: Option<String>,
    /// Until when staff hold it open (RFC 3339, UTC). Null where they do not.
    held_until: Option<String>,
}

impl Prefix {
    fn of(prefix: &budget::Prefix) -> Self {
        Self {
            prefix: prefix.prefix.clone(),
            country: prefix.country.clone(),
            state: prefix.state.as_str().to_owned(),
            sent: prefix.sent,
            verified: prefix.verified,
            unanswered: u64::try_from(prefix.unanswered).unwrap_or(u64::MAX),
            closed_until: prefix.closed_until.map(time),
            held_until: prefix.held_until.map(time),
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
    /// Its two letters; `--` for numbers of no country.
    country: String,
    /// How many prefixes are known of it.
    prefixes: i64,
    /// How many of them are closed.
    closed: i64,
    /// Messages.
    sent: i64,
    /// Codes of them that came back.
    verified: i64,
}

impl Country {
    fn of(country: &budget::Country) -> Self {
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
    /// Those with the most messages first; none past the end.
    prefixes: Vec<Prefix>,
    /// The sums of every country, those with the most messages first.
    countries: Vec<Country>,
    /// How many prefixes there are in this state.
    total: u64,
    /// Which page this is, from 1.
    page: u64,
    /// How many prefixes a page has at most.
    per_page: u64,
    /// How many pages there are: none where there is no prefix.
    total_pages: u64,
}

impl Prefixes {
    pub(super) fn of(listed: &Listed, page: PageOf) -> Self {
        Self {
            prefixes: listed.prefixes.iter().map(Prefix::of).collect(),
            countries: listed.countries.iter().map(Country::of).collect(),
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

/// A prefix, as it is in every country that shares its code: usually one.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PrefixRows {
    /// Each of them.
    prefixes: Vec<Prefix>,
}

impl PrefixRows {
    pub(super) fn of(rows: &[budget::Prefix]) -> Self {
        Self { prefixes: rows.iter().map(Prefix::of).collect() }
    }
}

impl Example for PrefixRows {
    fn example() -> Self {
        let opened = Prefix { state: "open".to_owned(), closed_until: None, ..Prefix::example() };
        Self { prefixes: vec![opened] }
    }
}

/// A budget of a phone of which something is used.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PhoneBudget {
    /// Its name, as in `RateLimit` headers.
    budget: String,
    /// The address that it is kept for, an IPv6 one as its /64. Null for one of all addresses together.
    address: Option<String>,
    /// How much of it is used.
    used: i64,
    /// How much it allows.
    most: i64,
    /// In how many seconds. Null: until a right code comes, or somebody unlocks the phone.
    window: Option<i64>,
    /// Whether it refuses now.
    is_spent: bool,
    /// When a spent one allows one more (RFC 3339, UTC). Null beside a spent one: when somebody unlocks the phone.
    until: Option<String>,
}

impl PhoneBudget {
    fn of(spent: &Spent) -> Self {
        Self {
            budget: spent.budget.as_str().to_owned(),
            address: spent.network.clone(),
            used: spent.used,
            most: spent.most,
            window: spent.window,
            is_spent: spent.is_spent,
            until: spent.until.map(time),
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

/// How a phone stands.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PhoneStanding {
    /// The phone in E.164.
    phone_number: String,
    /// Whether one of its locks refuses codes and guesses now, from some address or from all.
    is_locked: bool,
    /// Why the settings leave it out: `region_not_allowed` or `blocked`. Null where they do not.
    not_served: Option<String>,
    /// Its budgets, as far as something of them is used.
    budgets: Vec<PhoneBudget>,
    /// How its prefix stands. Null when no message was ever sent to it.
    prefix: Option<Prefix>,
}

impl PhoneStanding {
    pub(super) fn of(phone: &PhoneNumber, standing: &unlock::PhoneStanding) -> Self {
        Self {
            phone_number: phone.full().to_owned(),
            is_locked: standing.spent.iter().any(Spent::is_lock),
            not_served: standing.not_served.map(|reason| reason.as_str().to_owned()),
            budgets: standing.spent.iter().map(PhoneBudget::of).collect(),
            prefix: standing.prefix.as_ref().map(Prefix::of),
        }
    }
}

impl Example for PhoneStanding {
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

/// What unlocking did.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Unlocked {
    /// The phone in E.164.
    phone_number: String,
    /// What had locked it, by name; none when nothing had.
    unlocked: Vec<String>,
}

impl Unlocked {
    pub(super) fn of(phone: &PhoneNumber, unlocked: &unlock::Unlocked) -> Self {
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
