//! What the checks of another service are charged to.
//!
//! Its codes count for the phone as all others do. Its wrong codes count for the key, and lock this key's checks of this phone: a key that was
//! stolen locks nobody out of signing in, and strangers at the sign-in lock nobody out of a check. The same holds for the address of the
//! service's user: what a key reports about it counts for this key alone.

use chrono::{DateTime, Duration, NaiveDate, Utc};
use uuid::Uuid;

use super::{Bound, Budget, BudgetKey, BudgetPolicy, Charge, Limit, MessageCharge, Rule};
use crate::{address::ClientAddress, pseudonym::Pseudonym};

/// The key that asks for a check, and the address of the service's user, if the service names it.
#[derive(Debug, Clone, Copy)]
pub struct ServiceCharge {
    /// The id of the key.
    pub key: Uuid,
    /// Codes that it may have sent.
    pub sends: Limit,
    /// Codes that it may have sent in a day.
    pub sends_per_day: i64,
    /// Wrong codes at its checks.
    pub wrong_codes: Limit,
    /// The address of the service's user.
    pub end_user: Option<ClientAddress>,
}

impl BudgetPolicy {
    /// A code that a service asks for.
    #[must_use]
    pub fn service_send(
        &self,
        send: &MessageCharge<'_>,
        service: ServiceCharge,
        now: DateTime<Utc>,
    ) -> Vec<Charge> {
        let ServiceCharge { key, sends, sends_per_day, end_user, .. } = service;
        let mut charges = self.phone_sends(send, now);
        // A lock also refuses the next code.
        charges.extend(Charge::check_only(vec![self.service_lock(send.phone_hash, key, now)]));
        charges.extend(self.traffic(send, now));
        let budget = Budget::ServiceSends;
        charges.push(Charge::windows(BudgetKey::ServiceSends(key), budget, &[sends], now));
        charges.push(daily(key, sends_per_day, send.day, now));
        charges.extend(end_user.map(|address| {
            let key = BudgetKey::ServiceSendsFromAddress(key, address.into());
            Charge::windows(key, Budget::ServiceAddress, &[self.address_requests], now)
        }));
        charges
    }

    /// A code that is checked for a service.
    #[must_use]
    pub fn service_guess(
        &self,
        phone_hash: &Pseudonym,
        service: ServiceCharge,
        now: DateTime<Utc>,
    ) -> Vec<Charge> {
        let ServiceCharge { key, wrong_codes, end_user, .. } = service;
        let of_key = BudgetKey::ServiceGuesses(key);
        let of_key = Charge::windows(of_key, Budget::ServiceGuesses, &[wrong_codes], now);
        let mut charges = vec![self.service_lock(phone_hash, key, now), of_key];
        charges.extend(end_user.map(|address| {
            let key = BudgetKey::ServiceGuessesFromAddress(key, address.into());
            Charge::windows(key, Budget::ServiceAddress, &[self.address_guesses], now)
        }));
        charges
    }

    /// The wrong codes that lock this key's checks of this phone: as many as lock a phone for one address.
    fn service_lock(&self, phone_hash: &Pseudonym, key: Uuid, now: DateTime<Utc>) -> Charge {
        let key = BudgetKey::ServicePhoneGuesses(phone_hash.clone(), key);
        Charge::windows(key, Budget::ServicePhoneGuesses, &[self.phone_guesses_from_address], now)
    }
}

fn daily(key: Uuid, most: i64, (day, until): (NaiveDate, DateTime<Utc>), now: DateTime<Utc>) -> Charge {
    let bound = Bound::Count { most, until: Some(until) };
    let rules = vec![Rule { budget: Budget::ServiceSends, bound }];
    let charge = Charge::new(BudgetKey::ServiceDay(key, day), rules, now);
    Charge { ends_at: until + Duration::days(1), ..charge }
}
