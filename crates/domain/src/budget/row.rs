//! The row of a budget, charges of it, and the rule that decides about them.

use std::fmt;

use chrono::{DateTime, Duration, Utc};

use super::{Budget, BudgetKey, Kind, LONGEST_HOLD, Limit, PrefixPolicy, PrefixState};
use crate::{clocks::is_ahead, otp::seconds_up};

/// Identifies a charge, so that it can be refunded without another one of the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChargeId {
    /// When it was charged.
    pub at: DateTime<Utc>,
    /// A random number.
    pub chance: u32,
}

/// The row of a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetRow {
    /// What it is kept for.
    pub key: BudgetKey,
    /// The times of its charges, newest first.
    pub log: Vec<DateTime<Utc>>,
    /// How many charges there were; of guesses, how many since the last right one.
    pub count: i64,
    /// How many messages to a prefix were verified.
    pub answered: i64,
    /// When its cooldown started.
    pub cooldown_started_at: Option<DateTime<Utc>>,
    /// Until when a prefix is closed. A time in the past: only a few trial messages are sent.
    pub closed_until: Option<DateTime<Utc>>,
    /// Until when staff hold a prefix in its state, whether codes are verified or not: closed if `closed_until` is in the
    /// future, otherwise open.
    pub held_until: Option<DateTime<Utc>>,
    /// Whether the operator was told that a daily cap is nearly spent.
    pub is_alarm_sent: bool,
}

impl BudgetRow {
    /// A row that was never charged.
    #[must_use]
    pub fn empty(key: BudgetKey) -> Self {
        Self {
            key,
            log: Vec::new(),
            count: 0,
            answered: 0,
            cooldown_started_at: None,
            closed_until: None,
            held_until: None,
            is_alarm_sent: false,
        }
    }

    /// Whether a clock that was wrong wrote a part of the row.
    #[must_use]
    pub fn is_ahead(&self, policy: &PrefixPolicy, now: DateTime<Utc>) -> bool {
        self.log.iter().copied().chain(self.cooldown_started_at).any(|at| is_ahead(at, now))
            || self.closed_until.is_some_and(|until| is_ahead(until, now + policy.closed_for))
            || self.held_until.is_some_and(|until| is_ahead(until, now + LONGEST_HOLD))
    }

    /// How many charges are in the window that ends now.
    #[must_use]
    pub fn within(&self, per: Duration, now: DateTime<Utc>) -> usize {
        self.log.iter().filter(|at| **at > now - per).count()
    }
}

/// The limit of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// At most so many charges in any window.
    Window(Limit),
    /// At most so many charges in all.
    Count {
        /// How many charges.
        most: i64,
        /// When the count ends. `None`: when something resets it.
        until: Option<DateTime<Utc>>,
    },
    /// No charge for so long after the last one.
    Cooldown(Duration),
    /// The prefix must be open.
    Open(PrefixPolicy),
}

/// A bound, and the budget that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which budget.
    pub budget: Budget,
    /// Its limit.
    pub bound: Bound,
}

/// What a request charges to one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Which row.
    pub key: BudgetKey,
    /// All of these must hold. Without rules the charge is counted and never refused.
    pub rules: Vec<Rule>,
    /// Whether the row is charged, or only checked.
    pub is_charged: bool,
    /// Whether the time is kept. A count alone needs no times.
    pub is_logged: bool,
    /// Whether it starts a cooldown.
    pub starts_cooldown: bool,
    /// When the row can be removed.
    pub ends_at: DateTime<Utc>,
}

impl Charge {
    /// How many entries the log of its row must keep.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.rules.iter().filter_map(Rule::limit).map(|limit| limit.most).max().unwrap_or_default()
    }
}

/// How a charge is settled when the result of its request is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Which row.
    pub key: BudgetKey,
    /// How the row changes.
    pub change: Change,
}

/// How a row changes when its charge is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The charge is refunded, and the cooldown that it started ends.
    Refund,
    /// Only the cooldown ends.
    ClearCooldown,
    /// The charge is refunded, and failures in a row are reset, unless they have locked the phone.
    ResetFailures {
        /// How many failures lock it until staff unlock it.
        locked_at: i64,
        /// When the row can be removed.
        ends_at: DateTime<Utc>,
    },
    /// A message to this prefix was verified.
    Answer {
        /// How many unanswered messages are forgotten for it; zero if the phone had an account before.
        forgiven: usize,
    },
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetExceeded {
    /// The budget that is spent.
    pub budget: Budget,
    /// Seconds until the request can be repeated, at least 1. `None`: only staff can help.
    pub retry_after: Option<i64>,
    /// What the budget allows and in how many seconds, if it is a window or a cooldown.
    pub quota: Option<(usize, i64)>,
}

/// Until when a rule refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Until {
    Time(DateTime<Utc>),
    Unlocked,
}

impl Rule {
    fn new(budget: Budget, bound: Bound) -> Self {
        Self { budget, bound }
    }

    /// A rule with a window.
    #[must_use]
    pub fn window(budget: Budget, limit: Limit) -> Self {
        Self::new(budget, Bound::Window(limit))
    }

    /// Its window, if it has one.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        match &self.bound {
            Bound::Window(limit) => Some(*limit),
            Bound::Open(policy) => Some(policy.unanswered),
            Bound::Count { .. } | Bound::Cooldown(_) => None,
        }
    }

    /// Until when this row refuses another charge; `None` when it accepts one.
    fn refuses(&self, row: &BudgetRow, now: DateTime<Utc>) -> Option<Until> {
        match &self.bound {
            Bound::Window(limit) => window(row, *limit, now),
            Bound::Count { most, until } => {
                (row.count >= *most).then(|| until.map_or(Until::Unlocked, Until::Time))
            }
            Bound::Cooldown(cooldown) => {
                let until = row.cooldown_started_at.map(|at| at.min(now) + *cooldown);
                until.filter(|until| *until > now).map(Until::Time)
            }
            Bound::Open(policy) => open(row, policy, now),
        }
    }
}

fn window(row: &BudgetRow, limit: Limit, now: DateTime<Utc>) -> Option<Until> {
    let frees =
        limit.most.checked_sub(1).and_then(|nth| row.log.get(nth)).map(|at| (*at).min(now) + limit.per);
    frees.filter(|until| *until > now).map(Until::Time)
}

fn open(row: &BudgetRow, policy: &PrefixPolicy, now: DateTime<Utc>) -> Option<Until> {
    let most = match row.prefix_state(now) {
        PrefixState::Closed => {
            return row.closed_until.map(|until| Until::Time(until.min(now + policy.closed_for)));
        }
        PrefixState::HeldOpen => return None,
        PrefixState::HalfOpen => policy.probes,
        PrefixState::Open => policy.unanswered.most,
    };
    // The refusal is about to close the prefix for the full time.
    window(row, Limit { most, ..policy.unanswered }, now).map(|_| Until::Time(now + policy.closed_for))
}

/// Which budget refuses these charges, if one does. A lock comes first; among others the one with the longest wait, so that a
/// client that waits for it is not refused again.
#[must_use]
pub fn decide(charges: &[Charge], rows: &[BudgetRow], now: DateTime<Utc>) -> Option<BudgetExceeded> {
    let refusing = charges.iter().flat_map(|charge| {
        let stored = rows.iter().find(|row| row.key == charge.key).cloned();
        let row = stored.unwrap_or_else(|| BudgetRow::empty(charge.key.clone()));
        charge.rules.iter().filter_map(move |rule| Some((rule, rule.refuses(&row, now)?)))
    });
    let (rule, until) = refusing.max_by_key(|(rule, until)| (rule.budget.kind() == Kind::Lock, *until))?;
    Some(BudgetExceeded {
        budget: rule.budget,
        retry_after: match until {
            Until::Time(until) => Some(seconds_up(until - now).max(1)),
            Until::Unlocked => None,
        },
        quota: match rule.bound {
            Bound::Window(limit) => Some((limit.most, limit.per.num_seconds())),
            Bound::Cooldown(cooldown) => Some((1, cooldown.num_seconds())),
            Bound::Count { .. } | Bound::Open(_) => None,
        },
    })
}

impl fmt::Display for BudgetExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.budget.as_str())
    }
}
