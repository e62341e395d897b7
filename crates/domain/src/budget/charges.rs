//! Which rows a request is charged to, by what it wants.

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::{Bound, Budget, BudgetPolicy, Charge, Limit, PREFIX_KEYS, Rule};
use crate::{address::ClientAddress, phone::PhoneNumber, pseudonym::Pseudonym};

/// From this share of a daily cap on, the rest is for phones that have an account, and the operator is told.
pub const SMS_ALARM_PERCENT: i64 = 80;

/// How long a row is kept that has nothing left to say but how many there were.
pub const REMEMBERED: Duration = Duration::days(400);

/// A message that somebody wants.
#[derive(Debug, Clone)]
pub struct Send<'a> {
    /// To whom.
    pub phone: &'a PhoneNumber,
    /// What stands for that in rows.
    pub phone_hash: &'a Pseudonym,
    /// From where she asks.
    pub address: ClientAddress,
    /// The device, if it was signed in before.
    pub device: Option<Uuid>,
    /// Whether the phone has an account.
    pub is_known: bool,
    /// The wait between two sends; zero is none.
    pub resend_after: Duration,
    /// Which day it is where the product lives, and when that ends.
    pub day: (String, DateTime<Utc>),
    /// A proof of work that is spent with it.
    pub proof: Option<Uuid>,
}

/// A guess at a code.
#[derive(Debug, Clone, Copy)]
pub struct Guess<'a> {
    /// What stands for the phone in rows.
    pub phone_hash: &'a Pseudonym,
    /// From where it comes.
    pub address: ClientAddress,
    /// The device, if it was signed in before.
    pub device: Option<Uuid>,
}

/// At how many of a daily cap the operator is told: when the next stranger is refused.
#[must_use]
pub fn alarm_at(cap: i64) -> i64 {
    for_strangers(cap).max(1)
}

/// How much of a daily cap is for phones without an account.
fn for_strangers(cap: i64) -> i64 {
    cap * SMS_ALARM_PERCENT / 100
}

impl Charge {
    fn new(key: String, rules: Vec<Rule>, now: DateTime<Utc>) -> Self {
        let longest = rules.iter().filter_map(|rule| match &rule.bound {
            Bound::Window(limit) => Some(limit.per),
            Bound::Cooldown(cooldown) => Some(*cooldown),
            Bound::Open(_) => Some(REMEMBERED),
            Bound::Count { .. } => None,
        });
        let ends_at = now + longest.max().unwrap_or(REMEMBERED);
        let is_logged = rules.iter().any(|rule| !matches!(rule.bound, Bound::Count { .. }));
        let starts_cooldown = rules.iter().any(|rule| matches!(rule.bound, Bound::Cooldown(_)));
        Self { key, rules, is_charged: true, is_logged, starts_cooldown, ends_at }
    }

    fn windows(key: String, budget: Budget, limits: &[Limit], now: DateTime<Utc>) -> Self {
        Self::new(key, limits.iter().map(|limit| Rule::window(budget, *limit)).collect(), now)
    }

    /// The row of a number's prefix.
    #[must_use]
    pub fn prefix_key(phone: &PhoneNumber) -> Option<String> {
        let region = phone.region().map_or_else(|| "--".to_owned(), |region| region.to_string());
        Some(format!("{PREFIX_KEYS}{region}/{}", phone.prefix()?))
    }

    /// The same rows, looked at and not charged.
    fn watched(mut charges: Vec<Self>) -> Vec<Self> {
        for charge in &mut charges {
            charge.is_charged = false;
        }
        charges
    }
}

impl BudgetPolicy {
    /// A request of `signup` or `login`, whatever becomes of it.
    #[must_use]
    pub fn request(&self, address: ClientAddress, now: DateTime<Utc>) -> Vec<Charge> {
        let key = format!("address/{}/requests", address.network());
        vec![Charge::windows(key, Budget::AddressRequests, &[self.address_requests], now)]
    }

    /// The locks of a phone, as they stand for whoever asks.
    fn locks(&self, guess: Guess<'_>, now: DateTime<Utc>) -> Vec<Charge> {
        let phone_hash = guess.phone_hash.as_str();
        if let Some(device) = guess.device {
            let key = format!("device/{device}/guesses");
            return vec![Charge::windows(key, Budget::DeviceGuesses, &[self.device_guesses], now)];
        }
        let in_a_row = Bound::Count { most: self.failures_in_a_row, until: None };
        let rules = vec![
            Rule::window(Budget::PhoneGuesses, self.phone_guesses),
            Rule { budget: Budget::PhoneFailures, bound: in_a_row },
        ];
        let from_address = format!("phone/{phone_hash}/guesses/{}", guess.address.network());
        vec![
            Charge {
                // Failures in a row are counted until a success, and forgotten where nobody guesses for so long.
                ends_at: now + REMEMBERED,
                ..Charge::new(format!("phone/{phone_hash}/guesses"), rules, now)
            },
            Charge::windows(
                from_address,
                Budget::PhoneGuessesFromAddress,
                &[self.phone_guesses_from_address],
                now,
            ),
        ]
    }

    /// A guess. The first row of a phone's is the one that counts failures in a row.
    #[must_use]
    pub fn guess(&self, guess: Guess<'_>, now: DateTime<Utc>) -> Vec<Charge> {
        let mut charges = self.locks(guess, now);
        // A device that was signed in before has its own guesses, whoever else shares its address.
        if guess.device.is_none() {
            let key = format!("address/{}/guesses", guess.address.network());
            charges.push(Charge::windows(key, Budget::AddressGuesses, &[self.address_guesses], now));
        }
        charges
    }

    /// The rows that hold how often a phone may be sent a code.
    #[must_use]
    pub fn phone_sends(&self, send: &Send<'_>, now: DateTime<Utc>) -> Vec<Charge> {
        let phone_hash = send.phone_hash.as_str();
        let cooldown = (send.resend_after > Duration::zero())
            .then_some(Rule { budget: Budget::Cooldown, bound: Bound::Cooldown(send.resend_after) });
        let rules = |budget, limits: &[Limit]| -> Vec<Rule> {
            limits.iter().map(|limit| Rule::window(budget, *limit)).chain(cooldown.clone()).collect()
        };
        if let Some(device) = send.device {
            let rules = rules(Budget::DeviceSends, &[self.device_sends]);
            return vec![Charge::new(format!("device/{device}/sends"), rules, now)];
        }
        let from_address = format!("phone/{phone_hash}/sends/{}", send.address.network());
        vec![
            Charge::new(
                format!("phone/{phone_hash}/sends"),
                rules(Budget::PhoneSends, &self.phone_sends),
                now,
            ),
            Charge::windows(from_address, Budget::PhoneSendsFromAddress, &self.phone_sends_from_address, now),
        ]
    }

    /// A message. Everything that it is charged to, and the locks, which refuse it too.
    #[must_use]
    pub fn send(&self, send: &Send<'_>, now: DateTime<Utc>) -> Vec<Charge> {
        let guess = Guess { phone_hash: send.phone_hash, address: send.address, device: send.device };
        let mut charges = self.phone_sends(send, now);
        if send.device.is_none() {
            charges.extend(Charge::watched(self.locks(guess, now)));
        }
        charges.extend(self.traffic(send, now));
        if let Some(proof) = send.proof {
            let once = Limit { most: 1, per: Duration::hours(1) };
            charges.push(Charge::windows(format!("proof/{proof}"), Budget::Proof, &[once], now));
        }
        charges
    }

    /// What every message is charged to, be it a person's wish or the next channel of one: its prefix and its day.
    #[must_use]
    pub fn traffic(&self, send: &Send<'_>, now: DateTime<Utc>) -> Vec<Charge> {
        self.message(send.phone, send.is_known, &send.day, now)
    }

    /// The same, of a message that nobody asked for just now.
    #[must_use]
    pub fn message(
        &self,
        phone: &PhoneNumber,
        is_known: bool,
        (day, until): &(String, DateTime<Utc>),
        now: DateTime<Utc>,
    ) -> Vec<Charge> {
        let mut charges = Vec::new();
        if let Some(key) = Charge::prefix_key(phone) {
            let open = Rule { budget: Budget::Prefix, bound: Bound::Open(self.prefix) };
            let mut charge = Charge::new(key, vec![open], now);
            if is_known {
                // It is counted, and served; and it is not held against the strangers of that prefix. Else a prefix whose
                // people log in all the time would find its trial messages used up, and never open again.
                charge.rules.clear();
                charge.is_logged = false;
            }
            charges.push(charge);
        }
        let mut cap = |key: String, budget, most: i64| {
            let most = if is_known { most } else { for_strangers(most) };
            let bound = Bound::Count { most, until: Some(*until) };
            let charge = Charge::new(key, vec![Rule { budget, bound }], now);
            charges.push(Charge { ends_at: *until + Duration::days(1), ..charge });
        };
        if let Some(most) = self.day {
            cap(format!("day/{day}"), Budget::Day, most);
        }
        let region = phone.region().map(|region| region.to_string());
        if let Some((region, most)) = region.and_then(|region| self.countries.get_key_value(&region)) {
            cap(format!("day/{day}/{region}"), Budget::Country, *most);
        }
        charges
    }

    /// A password that may be wrong. `name` stands for what was typed, be it known or not.
    #[must_use]
    pub fn password(&self, name: &Pseudonym, address: ClientAddress, now: DateTime<Utc>) -> Vec<Charge> {
        let (name, network) = (name.as_str(), address.network());
        let limits = &self.passwords;
        [
            (format!("name/{name}/passwords"), Budget::NamePasswords, limits.name),
            (
                format!("name/{name}/passwords/{network}"),
                Budget::NamePasswordsFromAddress,
                limits.name_from_address,
            ),
            (format!("address/{network}/passwords"), Budget::AddressPasswords, limits.address),
        ]
        .map(|(key, budget, limit)| Charge::windows(key, budget, &[limit], now))
        .into()
    }

    /// A new account with a password.
    #[must_use]
    pub fn registration(&self, address: ClientAddress, now: DateTime<Utc>) -> Vec<Charge> {
        let key = format!("address/{}/registrations", address.network());
        vec![Charge::windows(key, Budget::Registrations, &[self.registrations], now)]
    }
}
