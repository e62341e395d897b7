//! Which rows a request is charged to.

use chrono::{DateTime, Duration, NaiveDate, Utc};
use uuid::Uuid;

use super::{Bound, Budget, BudgetKey, BudgetPolicy, Charge, Limit, Network, Rule};
use crate::{address::ClientAddress, phone::PhoneNumber, pseudonym::Pseudonym};

/// From this share of a daily cap on, only phones that have an account get messages, and the operator is told.
pub const SMS_ALARM_PERCENT: i64 = 80;

/// How long a row is kept when only its count is of use.
pub const REMEMBERED: Duration = Duration::days(400);

/// A message that a user requests.
#[derive(Debug, Clone)]
pub struct MessageCharge<'a> {
    /// The recipient.
    pub phone: &'a PhoneNumber,
    /// The hash of the phone.
    pub phone_hash: &'a Pseudonym,
    /// The address of the client. `None` when staff send a code: their address is charged nothing.
    pub address: Option<ClientAddress>,
    /// The device, if it was signed in before.
    pub device: Option<Uuid>,
    /// Whether the phone has an account.
    pub is_known: bool,
    /// The cooldown between two sends; zero for none.
    pub resend_after: Duration,
    /// The current day in the product's time zone, and when it ends.
    pub day: (NaiveDate, DateTime<Utc>),
    /// A proof of work that the request spends.
    pub proof: Option<Uuid>,
}

/// A guess at a code.
#[derive(Debug, Clone, Copy)]
pub struct Guess<'a> {
    /// The hash of the phone.
    pub phone_hash: &'a Pseudonym,
    /// The address of the client.
    pub address: ClientAddress,
    /// The device, if it was signed in before.
    pub device: Option<Uuid>,
}

/// The count of a daily cap at which the operator is told: from then on phones without an account are refused.
#[must_use]
pub fn alarm_at(cap: i64) -> i64 {
    for_strangers(cap).max(1)
}

/// How much of a daily cap phones without an account can use.
fn for_strangers(cap: i64) -> i64 {
    cap * SMS_ALARM_PERCENT / 100
}

impl Charge {
    pub(super) fn new(key: BudgetKey, rules: Vec<Rule>, now: DateTime<Utc>) -> Self {
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

    pub(super) fn windows(key: BudgetKey, budget: Budget, limits: &[Limit], now: DateTime<Utc>) -> Self {
        Self::new(key, limits.iter().map(|limit| Rule::window(budget, *limit)).collect(), now)
    }

    /// The same rows, checked and not charged.
    pub(super) fn check_only(mut charges: Vec<Self>) -> Vec<Self> {
        for charge in &mut charges {
            charge.is_charged = false;
        }
        charges
    }
}

impl BudgetPolicy {
    /// A request of `signup` or `login`, whatever its result.
    #[must_use]
    pub fn request(&self, address: ClientAddress, now: DateTime<Utc>) -> Vec<Charge> {
        let key = BudgetKey::AddressRequests(address.into());
        vec![Charge::windows(key, Budget::AddressRequests, &[self.address_requests], now)]
    }

    /// The locks of a phone that apply to this client.
    fn locks(
        &self,
        of_phone: &Pseudonym,
        address: Option<ClientAddress>,
        device: Option<Uuid>,
        now: DateTime<Utc>,
    ) -> Vec<Charge> {
        if let Some(device) = device {
            let key = BudgetKey::DeviceGuesses(device);
            return vec![Charge::windows(key, Budget::DeviceGuesses, &[self.device_guesses], now)];
        }
        let phone_hash = || of_phone.clone();
        let in_a_row = Bound::Count { most: self.failures_in_a_row, until: None };
        let rules = vec![
            Rule::window(Budget::PhoneGuesses, self.phone_guesses),
            Rule { budget: Budget::PhoneFailures, bound: in_a_row },
        ];
        let from_anywhere = Charge {
            // Failures in a row are counted until a success. Without further guesses they are forgotten after this time.
            ends_at: now + REMEMBERED,
            ..Charge::new(BudgetKey::PhoneGuesses(phone_hash()), rules, now)
        };
        let from_address = address.map(|address| {
            Charge::windows(
                BudgetKey::PhoneGuessesFromAddress(phone_hash(), address.into()),
                Budget::PhoneGuessesFromAddress,
                &[self.phone_guesses_from_address],
                now,
            )
        });
        std::iter::once(from_anywhere).chain(from_address).collect()
    }

    /// A guess. The first charge of a phone is the one that counts failures in a row.
    #[must_use]
    pub fn guess(&self, guess: Guess<'_>, now: DateTime<Utc>) -> Vec<Charge> {
        let mut charges = self.locks(guess.phone_hash, Some(guess.address), guess.device, now);
        // A device that was signed in before has guesses of its own, so other users of its address cannot lock it out.
        if guess.device.is_none() {
            let key = BudgetKey::AddressGuesses(guess.address.into());
            charges.push(Charge::windows(key, Budget::AddressGuesses, &[self.address_guesses], now));
        }
        charges
    }

    /// A guess at the code of a name as it was sent, whether an account has the name or not. A name has the limits of a phone, without
    /// the lock that only staff can end.
    #[must_use]
    pub fn name_guess(&self, name: &Pseudonym, address: ClientAddress, now: DateTime<Utc>) -> Vec<Charge> {
        let mut charges = self.name_locks(name, address, now);
        let key = BudgetKey::AddressGuesses(address.into());
        charges.push(Charge::windows(key, Budget::AddressGuesses, &[self.address_guesses], now));
        charges
    }

    /// The part of a guess at the code of a name that counts for the phone which the code was sent to.
    #[must_use]
    pub fn guess_by_name(
        &self,
        phone_hash: &Pseudonym,
        address: ClientAddress,
        now: DateTime<Utc>,
    ) -> Vec<Charge> {
        self.locks(phone_hash, Some(address), None, now)
    }

    fn name_locks(&self, name: &Pseudonym, address: ClientAddress, now: DateTime<Utc>) -> Vec<Charge> {
        let mut charges = self.locks(name, Some(address), None, now);
        for charge in &mut charges {
            charge.rules.retain(|rule| rule.budget != Budget::PhoneFailures);
        }
        charges
    }

    /// A request for a new password by a name, with the limits of a code to a phone. The message is charged to the phone, if one is
    /// sent.
    #[must_use]
    pub fn name_request(
        &self,
        name: &Pseudonym,
        address: ClientAddress,
        proof: Option<Uuid>,
        now: DateTime<Utc>,
    ) -> Vec<Charge> {
        let from_anywhere =
            Charge::windows(BudgetKey::PhoneSends(name.clone()), Budget::PhoneSends, &self.phone_sends, now);
        let from_address = Charge::windows(
            BudgetKey::PhoneSendsFromAddress(name.clone(), address.into()),
            Budget::PhoneSendsFromAddress,
            &self.phone_sends_from_address,
            now,
        );
        let mut charges = vec![from_anywhere, from_address];
        charges.extend(Charge::check_only(self.name_locks(name, address, now)));
        charges.extend(proof.map(|proof| Self::spent_proof(proof, now)));
        charges
    }

    fn spent_proof(proof: Uuid, now: DateTime<Utc>) -> Charge {
        let once = Limit { most: 1, per: Duration::hours(1) };
        Charge::windows(BudgetKey::Proof(proof), Budget::Proof, &[once], now)
    }

    /// An API key that nobody has.
    #[must_use]
    pub fn unknown_key(&self, address: ClientAddress, now: DateTime<Utc>) -> Vec<Charge> {
        let key = BudgetKey::AddressKeys(address.into());
        vec![Charge::windows(key, Budget::AddressKeys, &[self.address_guesses], now)]
    }

    /// A token of another system, which counts as a wrong guess of its address unless it opens a session.
    #[must_use]
    pub fn exchange(&self, address: ClientAddress, now: DateTime<Utc>) -> Vec<Charge> {
        let key = BudgetKey::AddressGuesses(address.into());
        vec![Charge::windows(key, Budget::AddressGuesses, &[self.address_guesses], now)]
    }

    /// The rows that limit how often a phone gets a code.
    #[must_use]
    pub fn phone_sends(&self, send: &MessageCharge<'_>, now: DateTime<Utc>) -> Vec<Charge> {
        let cooldown = (send.resend_after > Duration::zero())
            .then_some(Rule { budget: Budget::Cooldown, bound: Bound::Cooldown(send.resend_after) });
        let rules = |budget, limits: &[Limit]| -> Vec<Rule> {
            limits.iter().map(|limit| Rule::window(budget, *limit)).chain(cooldown.clone()).collect()
        };
        if let Some(device) = send.device {
            let rules = rules(Budget::DeviceSends, &[self.device_sends]);
            return vec![Charge::new(BudgetKey::DeviceSends(device), rules, now)];
        }
        let phone_hash = || send.phone_hash.clone();
        let from_anywhere = Charge::new(
            BudgetKey::PhoneSends(phone_hash()),
            rules(Budget::PhoneSends, &self.phone_sends),
            now,
        );
        let from_address = send.address.map(|address| {
            let key = BudgetKey::PhoneSendsFromAddress(phone_hash(), address.into());
            Charge::windows(key, Budget::PhoneSendsFromAddress, &self.phone_sends_from_address, now)
        });
        std::iter::once(from_anywhere).chain(from_address).collect()
    }

    /// A message that a user requests: everything that it is charged to, and the locks, which refuse it too.
    #[must_use]
    pub fn send(&self, send: &MessageCharge<'_>, now: DateTime<Utc>) -> Vec<Charge> {
        let mut charges = self.phone_sends(send, now);
        if send.device.is_none() {
            let locks = self.locks(send.phone_hash, send.address, None, now);
            charges.extend(Charge::check_only(locks));
        }
        charges.extend(self.traffic(send, now));
        charges.extend(send.proof.map(|proof| Self::spent_proof(proof, now)));
        charges
    }

    /// The part of [`Self::send`] that every message is charged to: its prefix and its day.
    #[must_use]
    pub fn traffic(&self, send: &MessageCharge<'_>, now: DateTime<Utc>) -> Vec<Charge> {
        self.message(send.phone, send.is_known, send.day, now)
    }

    /// A message that no user requests at the moment, such as the next channel of a code.
    #[must_use]
    pub fn message(
        &self,
        phone: &PhoneNumber,
        is_known: bool,
        (day, until): (NaiveDate, DateTime<Utc>),
        now: DateTime<Utc>,
    ) -> Vec<Charge> {
        let mut charges = Vec::new();
        if let Some(key) = BudgetKey::of_prefix(phone) {
            let open = Rule { budget: Budget::Prefix, bound: Bound::Open(self.prefix) };
            let mut charge = Charge::new(key, vec![open], now);
            if is_known {
                // The message is counted and always sent, and not held against the prefix. Otherwise the logins of a closed
                // prefix's users would use up its trial messages, and it would never open again.
                charge.rules.clear();
                charge.is_logged = false;
            }
            charges.push(charge);
        }
        let mut cap = |key: BudgetKey, budget, most: i64| {
            let most = if is_known { most } else { for_strangers(most) };
            let bound = Bound::Count { most, until: Some(until) };
            let charge = Charge::new(key, vec![Rule { budget, bound }], now);
            charges.push(Charge { ends_at: until + Duration::days(1), ..charge });
        };
        if let Some(most) = self.day {
            cap(BudgetKey::Day(day), Budget::Day, most);
        }
        let region = phone.region().map(|region| region.to_string());
        if let Some((region, most)) = region.and_then(|region| self.countries.get_key_value(&region)) {
            cap(BudgetKey::Country(day, region.clone()), Budget::Country, *most);
        }
        charges
    }

    /// A password that may be wrong. `name` is the hash of what the user typed, whether it is a known name or not.
    #[must_use]
    pub fn password(&self, name: &Pseudonym, address: ClientAddress, now: DateTime<Utc>) -> Vec<Charge> {
        let network = Network::from(address);
        let limits = &self.passwords;
        [
            (BudgetKey::NamePasswords(name.clone()), Budget::NamePasswords, limits.name),
            (
                BudgetKey::NamePasswordsFromAddress(name.clone(), network.clone()),
                Budget::NamePasswordsFromAddress,
                limits.name_from_address,
            ),
            (BudgetKey::AddressPasswords(network), Budget::AddressPasswords, limits.address),
        ]
        .map(|(key, budget, limit)| Charge::windows(key, budget, &[limit], now))
        .into()
    }

    /// A new account with a password.
    #[must_use]
    pub fn registration(&self, address: ClientAddress, now: DateTime<Utc>) -> Vec<Charge> {
        let key = BudgetKey::Registrations(address.into());
        vec![Charge::windows(key, Budget::Registrations, &[self.registrations], now)]
    }

    /// A new guest.
    #[must_use]
    pub fn guest(&self, address: ClientAddress, now: DateTime<Utc>) -> Vec<Charge> {
        let key = BudgetKey::Guests(address.into());
        vec![Charge::windows(key, Budget::Guests, &[self.guests], now)]
    }
}
