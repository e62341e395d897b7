//! Counting messages: what each row adds to the numbers of its day.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::Histogram;
use crate::delivery::{Channel, DeliveryStatus, Price, UnreachableReason};

/// What is counted apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The country of the number: two letters, or `--` for none.
    pub region: String,
    /// The channel.
    pub channel: Channel,
    /// The provider.
    pub provider: String,
}

/// A message that was given to a provider, without what names its recipient.
#[derive(Debug, Clone)]
pub struct CountedMessage {
    /// Where it is counted.
    pub group: Group,
    /// Whether it carries a code.
    pub has_code: bool,
    /// Its status.
    pub status: DeliveryStatus,
    /// Why it failed, if that is known.
    pub reason: Option<UnreachableReason>,
    /// When it was given to the provider.
    pub created_at: DateTime<Utc>,
    /// When the phone received it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When its code was used.
    pub verified_at: Option<DateTime<Utc>>,
    /// What it cost.
    pub price: Option<Price>,
}

/// The counts of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// All messages.
    pub messages: i64,
    /// Those that carry a code.
    pub codes: i64,
    /// Those that the phone received.
    pub delivered: i64,
    /// Those whose code was used. The same code can go out twice; both messages count then, except one that is known to be
    /// lost.
    pub verified: i64,
    /// Those that the provider refused or the carrier did not deliver.
    pub lost: i64,
    /// Those whose price the provider gave.
    pub priced: i64,
    /// The lost ones, by the reason in rows, or `other`.
    pub failures: BTreeMap<String, i64>,
    /// The time until the phone received it.
    pub delivered_in: Histogram,
    /// The time until its code was used.
    pub verified_in: Histogram,
    /// The sum of prices by currency, in millionths.
    pub costs: BTreeMap<String, i64>,
}

/// The reason of a loss that the provider did not explain.
const OTHER: &str = "other";

impl Counts {
    /// Counts a message.
    pub fn add(&mut self, message: &CountedMessage) {
        self.messages += 1;
        self.codes += i64::from(message.has_code);
        if message.status == DeliveryStatus::Delivered {
            self.delivered += 1;
            if let Some(at) = message.delivered_at {
                self.delivered_in.add(at - message.created_at);
            }
        }
        if message.status.is_lost() {
            self.lost += 1;
            let reason = message.reason.map_or(OTHER, UnreachableReason::as_str);
            *self.failures.entry(reason.to_owned()).or_default() += 1;
        } else if let Some(at) = message.verified_at {
            self.verified += 1;
            self.verified_in.add(at - message.created_at);
        }
        if let Some((unit, cost)) = message.price.as_ref().and_then(cost) {
            self.priced += 1;
            *self.costs.entry(unit).or_default() += cost;
        }
    }

    /// Adds other counts.
    pub fn merge(&mut self, other: &Self) {
        self.messages += other.messages;
        self.codes += other.codes;
        self.delivered += other.delivered;
        self.verified += other.verified;
        self.lost += other.lost;
        self.priced += other.priced;
        for (into, from) in [(&mut self.failures, &other.failures), (&mut self.costs, &other.costs)] {
            for (name, count) in from {
                *into.entry(name.clone()).or_default() += count;
            }
        }
        self.delivered_in.merge(&other.delivered_in);
        self.verified_in.merge(&other.verified_in);
    }
}

/// The counts of all groups of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageCounts(pub BTreeMap<Group, Counts>);

impl MessageCounts {
    /// Counts a message.
    pub fn add(&mut self, message: &CountedMessage) {
        self.0.entry(message.group.clone()).or_default().add(message);
    }
}

/// What messages cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Costs {
    /// All messages.
    pub messages: i64,
    /// Those whose price the provider gave.
    pub priced: i64,
    /// The sum of prices by currency, in millionths.
    pub by_currency: BTreeMap<String, i64>,
}

impl Costs {
    /// Adds other costs.
    pub fn merge(&mut self, other: &Self) {
        self.messages += other.messages;
        self.priced += other.priced;
        for (currency, cost) in &other.by_currency {
            *self.by_currency.entry(currency.clone()).or_default() += cost;
        }
    }
}

/// What a message cost, by currency. Providers write a charge as a negative price.
fn cost(price: &Price) -> Option<(String, i64)> {
    let is_currency = price.unit.len() == 3 && price.unit.bytes().all(|byte| byte.is_ascii_alphabetic());
    let micros = micros(&price.amount)?;
    is_currency.then(|| (price.unit.to_ascii_uppercase(), -micros))
}

/// A decimal number in millionths. Further digits are cut off. `None` when it is no number, or out of range.
#[must_use]
pub fn micros(text: &str) -> Option<i64> {
    const DECIMALS: usize = 6;
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let fraction: String = fraction.chars().chain("000000".chars()).take(DECIMALS).collect();
    Some(sign * format!("{whole}{fraction}").parse::<i64>().ok()?)
}
