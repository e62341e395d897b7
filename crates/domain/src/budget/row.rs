//! A row that counts, what is asked of it, and the rule.

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
    /// When it was charged, the newest first.
    pub log: Vec<DateTime<Utc>>,
    /// How often it was charged in all; of guesses, since the last right one.
    pub count: i64,
    /// How many messages to a prefix were verified.
    pub answered: i64,
    /// Since when a cooldown runs.
    pub cooldown_started_at: Option<DateTime<Utc>>,
    /// Until when a prefix is closed. In the past: only a few are let through, to see.
    pub closed_until: Option<DateTime<Utc>>,
    /// Until when a prefix stays as it is whatever comes back, because staff said so: closed, where `closed_until` says so
    /// too, else open.
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

    /// Whether a clock that was wrong wrote some of it.
    #[must_use]
    pub fn is_ahead(&self, policy: &PrefixPolicy, now: DateTime<Utc>) -> bool {
        self.log.iter().copied().chain(self.cooldown_started_at).any(|at| is_ahead(at, now))
            || self.closed_until.is_some_and(|until| is_ahead(until, now + policy.closed_for))
            || self.held_until.is_some_and(|until| is_ahead(until, now + LONGEST_HOLD))
    }

    /// How many charges lie in the window that ends now.
    #[must_use]
    pub fn within(&self, per: Duration, now: DateTime<Utc>) -> usize {
        self.log.iter().filter(|at| **at > now - per).count()
    }
}

/// What a row must still bear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// At most so many in any window.
    Window(Limit),
    /// At most so many in all; until then, or until somebody resets it.
    Count {
        /// How many.
        most: i64,
        /// When it ends by itself.
        until: Option<DateTime<Utc>>,
    },
    /// Nothing for so long after the last one.
    Cooldown(Duration),
    /// A prefix that is open.
    Open(PrefixPolicy),
}

/// A bound, and the budget that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which budget.
    pub budget: Budget,
    /// What it bears.
    pub bound: Bound,
}

/// What a request wants of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Which row.
    pub key: BudgetKey,
    /// All of these must hold. None: it is counted, and never refused.
    pub rules: Vec<Rule>,
    /// Whether it is charged, or only looked at.
    pub is_charged: bool,
    /// Whether the times are kept. A count alone needs none.
    pub is_logged: bool,
    /// Whether a cooldown begins.
    pub starts_cooldown: bool,
    /// When nothing of the row matters any more.
    pub ends_at: DateTime<Utc>,
}

/// What becomes of a charge afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Which row.
    pub key: BudgetKey,
    /// What happens to it.
    pub change: Change,
}

/// What happens to a row that was charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The charge is given back, and its cooldown lifted.
    Refund,
    /// Only its cooldown is lifted.
    ClearCooldown,
    /// The charge is given back, and failures in a row are none any more, unless there were as many as lock for good.
    ResetFailures {
        /// How many lock for good.
        locked_at: i64,
        /// When nothing of the row matters any more.
        ends_at: DateTime<Utc>,
    },
    /// A message to this prefix came back verified.
    Answer {
        /// How many that did not come back are forgotten for it; none where the phone had an account before.
        forgiven: usize,
    },
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetExceeded {
    /// The budget that stopped it.
    pub budget: Budget,
    /// Seconds after which it may be tried again, at least 1. `None`: only staff can help.
    pub retry_after: Option<i64>,
    /// What the budget allows, and in how many seconds, where it is a window.
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

    /// At most so many in any window.
    #[must_use]
    pub fn window(budget: Budget, limit: Limit) -> Self {
        Self::new(budget, Bound::Window(limit))
    }

    /// The window that it is, if it is one.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        match &self.bound {
            Bound::Window(limit) => Some(*limit),
            Bound::Open(policy) => Some(policy.unanswered),
            Bound::Count { .. } | Bound::Cooldown(_) => None,
        }
    }

    /// Until when this row refuses another charge; `None` when it bears one.
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
    // It is about to be closed for a whole time.
    window(row, Limit { most, ..policy.unanswered }, now).map(|_| Until::Time(now + policy.closed_for))
}

/// Which budget stops these charges, if one does. A lock is told before anything else; then the one that takes longest, so
/// that whoever waits as told is not refused again.
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
