//! How much of a phone's budgets is used, for staff who look up why a user gets no code.

use chrono::{DateTime, Duration, Utc};

use super::{Bound, Budget, BudgetKey, BudgetPolicy, BudgetRow, Charge, Kind, Limit, Network, Rule, decide};
use crate::pseudonym::Pseudonym;

/// A budget of a phone of which a part is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// Which budget.
    pub budget: Budget,
    /// The network that it is kept for; `None` for a budget of all addresses together.
    pub network: Option<String>,
    /// How much of it is used.
    pub used: i64,
    /// How much it allows.
    pub most: i64,
    /// The length of its window in seconds. `None`: until something resets it.
    pub window: Option<i64>,
    /// Whether it refuses now.
    pub is_spent: bool,
    /// When a spent budget allows one more. `None` for a spent one: when staff unlock the phone.
    pub until: Option<DateTime<Utc>>,
}

impl BudgetPolicy {
    /// Which budgets of a phone these rows have used. Rows of other keys, and budgets of which nothing is used, are left out.
    #[must_use]
    pub fn spent(
        &self,
        phone_hash: &Pseudonym,
        rows: &[BudgetRow],
        resend_after: Duration,
        now: DateTime<Utc>,
    ) -> Vec<Spent> {
        let of_row = |row| self.spent_of_row(phone_hash, row, resend_after, now);
        rows.iter().flat_map(of_row).collect()
    }

    fn spent_of_row(
        &self,
        phone_hash: &Pseudonym,
        row: &BudgetRow,
        resend_after: Duration,
        now: DateTime<Utc>,
    ) -> Vec<Spent> {
        let windows = |budget, limits: &[Limit]| -> Vec<Rule> {
            limits.iter().map(|limit| Rule::window(budget, *limit)).collect()
        };
        let (of, network, rules) = match &row.key {
            BudgetKey::PhoneGuesses(of) => {
                let in_a_row = Bound::Count { most: self.failures_in_a_row, until: None };
                let mut rules = windows(Budget::PhoneGuesses, &[self.phone_guesses]);
                rules.push(Rule { budget: Budget::PhoneFailures, bound: in_a_row });
                (of, None, rules)
            }
            BudgetKey::PhoneGuessesFromAddress(of, network) => {
                let limits = &[self.phone_guesses_from_address];
                (of, Some(network), windows(Budget::PhoneGuessesFromAddress, limits))
            }
            BudgetKey::PhoneSends(of) => {
                let mut rules = windows(Budget::PhoneSends, &self.phone_sends);
                rules.push(Rule { budget: Budget::Cooldown, bound: Bound::Cooldown(resend_after) });
                (of, None, rules)
            }
            BudgetKey::PhoneSendsFromAddress(of, network) => {
                (of, Some(network), windows(Budget::PhoneSendsFromAddress, &self.phone_sends_from_address))
            }
            BudgetKey::ServicePhoneGuesses(of, _) => {
                (of, None, windows(Budget::ServicePhoneGuesses, &[self.phone_guesses_from_address]))
            }
            BudgetKey::AddressRequests(_)
            | BudgetKey::AddressGuesses(_)
            | BudgetKey::AddressPasswords(_)
            | BudgetKey::Registrations(_)
            | BudgetKey::Guests(_)
            | BudgetKey::DeviceGuesses(_)
            | BudgetKey::DeviceSends(_)
            | BudgetKey::Prefix(_)
            | BudgetKey::Day(_)
            | BudgetKey::Country(..)
            | BudgetKey::NamePasswords(_)
            | BudgetKey::NamePasswordsFromAddress(..)
            | BudgetKey::Proof(_)
            | BudgetKey::AddressKeys(_)
            | BudgetKey::ServiceSends(_)
            | BudgetKey::ServiceDay(..)
            | BudgetKey::ServiceSendsFromAddress(..)
            | BudgetKey::ServiceGuesses(_)
            | BudgetKey::ServiceGuessesFromAddress(..) => return Vec::new(),
        };
        if of != phone_hash {
            return Vec::new();
        }
        rules.into_iter().filter_map(|rule| spent(row, rule, network, now)).collect()
    }
}

fn spent(row: &BudgetRow, rule: Rule, network: Option<&Network>, now: DateTime<Utc>) -> Option<Spent> {
    let size = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    let (used, most, window) = match &rule.bound {
        Bound::Window(limit) => (size(row.within(limit.per, now)), size(limit.most), Some(limit.per)),
        Bound::Count { most, .. } => (row.count, *most, None),
        Bound::Cooldown(cooldown) => {
            (i64::from(row.cooldown_started_at.is_some_and(|at| at + *cooldown > now)), 1, Some(*cooldown))
        }
        Bound::Open(_) => return None,
    };
    if used == 0 {
        return None;
    }
    let budget = rule.budget;
    let check = Charge {
        key: row.key.clone(),
        rules: vec![rule],
        is_charged: false,
        is_logged: false,
        starts_cooldown: false,
        ends_at: now,
    };
    let refusal = decide(&[check], std::slice::from_ref(row), now);
    Some(Spent {
        budget,
        network: network.map(Network::to_string),
        used,
        most,
        window: window.map(|window| window.num_seconds()),
        is_spent: refusal.is_some(),
        until: refusal
            .and_then(|refusal| refusal.retry_after)
            .map(|seconds| now + Duration::seconds(seconds)),
    })
}

impl Spent {
    /// Whether it locks the phone now.
    #[must_use]
    pub fn is_lock(&self) -> bool {
        self.is_spent && self.budget.kind() == Kind::Lock
    }
}
