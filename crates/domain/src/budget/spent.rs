//! What a phone's budgets look like from outside: for somebody who is asked why there is no code.

use chrono::{DateTime, Duration, Utc};

use super::{Bound, Budget, BudgetPolicy, BudgetRow, Charge, Kind, Rule, decide};
use crate::pseudonym::Pseudonym;

/// A budget of a phone of which something is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// Which.
    pub budget: Budget,
    /// The address that it is kept for, an IPv6 one as its /64; `None` for those of all addresses together.
    pub network: Option<String>,
    /// How much of it is used.
    pub used: i64,
    /// How much it allows.
    pub most: i64,
    /// In how many seconds. `None`: until something resets it.
    pub window: Option<i64>,
    /// Whether it refuses now.
    pub is_spent: bool,
    /// When a spent one allows one more. `None` beside a spent one: when somebody unlocks the phone.
    pub until: Option<DateTime<Utc>>,
}

impl BudgetPolicy {
    /// What the rows below `phone/<mark>/` say. Those of which nothing is used are left out.
    #[must_use]
    pub fn spent(
        &self,
        phone_hash: &Pseudonym,
        rows: &[BudgetRow],
        resend_after: Duration,
        now: DateTime<Utc>,
    ) -> Vec<Spent> {
        let beginning = format!("phone/{}/", phone_hash.as_str());
        let rows = rows.iter().filter_map(|row| Some((row, row.key.strip_prefix(&beginning)?)));
        rows.flat_map(|(row, place)| {
            // A network may hold a slash itself.
            let (what, network) =
                place.split_once('/').map_or((place, None), |(what, network)| (what, Some(network)));
            let rules = self.rules_of(what, network.is_some(), resend_after);
            rules.into_iter().filter_map(move |rule| spent(row, rule, network, now))
        })
        .collect()
    }

    fn rules_of(&self, what: &str, is_of_an_address: bool, resend_after: Duration) -> Vec<Rule> {
        let windows = |budget, limits: &[super::Limit]| -> Vec<Rule> {
            limits.iter().map(|limit| Rule::window(budget, *limit)).collect()
        };
        match (what, is_of_an_address) {
            ("guesses", true) => windows(Budget::PhoneGuessesFromAddress, &[self.phone_guesses_from_address]),
            ("guesses", false) => {
                let in_a_row = Bound::Count { most: self.failures_in_a_row, until: None };
                let mut rules = windows(Budget::PhoneGuesses, &[self.phone_guesses]);
                rules.push(Rule { budget: Budget::PhoneFailures, bound: in_a_row });
                rules
            }
            ("sends", true) => windows(Budget::PhoneSendsFromAddress, &self.phone_sends_from_address),
            ("sends", false) => {
                let mut rules = windows(Budget::PhoneSends, &self.phone_sends);
                rules.push(Rule { budget: Budget::Cooldown, bound: Bound::Cooldown(resend_after) });
                rules
            }
            _ => Vec::new(),
        }
    }
}

fn spent(row: &BudgetRow, rule: Rule, network: Option<&str>, now: DateTime<Utc>) -> Option<Spent> {
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
    let watched = Charge {
        key: row.key.clone(),
        rules: vec![rule],
        is_charged: false,
        is_logged: false,
        starts_cooldown: false,
        ends_at: now,
    };
    let refusal = decide(&[watched], std::slice::from_ref(row), now);
    Some(Spent {
        budget,
        network: network.map(str::to_owned),
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
    /// Whether it is a lock that holds.
    #[must_use]
    pub fn is_lock(&self) -> bool {
        self.is_spent && self.budget.kind() == Kind::Lock
    }
}
