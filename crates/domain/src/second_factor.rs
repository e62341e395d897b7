//! The second factor of staff: the codes of an authenticator app (TOTP, RFC 6238) and recovery codes. Decides whether a code is
//! right, and when wrong codes close the second step of a sign-in.
//!
//! It stores nothing: whether a code was used before is decided by the statement that uses it up.

pub(crate) mod code;
mod keys;
mod link;

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

pub use self::{
    code::{FactorCode, InvalidFactorCode, RecoveryCode},
    keys::{FactorKeys, FactorSecret, SealedSecret},
    link::{EnrolmentLink, EnrolmentToken, LinkMaker, LinkState},
};
pub use super::rights::{AfterPassword, FactorPolicy, Rights};

/// How long a code of an authenticator app is shown.
const STEP_SECONDS: i64 = 30;

/// So many wrong codes in a row close the second step of an account for [`CLOSED_FOR`].
pub const MOST_IN_A_ROW: i64 = 5;

/// How long the second step stays closed.
pub const CLOSED_FOR: Duration = Duration::minutes(15);

/// So many wrong codes within [`DAY`] lock the second step of an account until its factor is reset.
pub const MOST_IN_A_DAY: i64 = 20;

/// The time in which [`MOST_IN_A_DAY`] counts. It begins with the first wrong code.
pub const DAY: Duration = Duration::days(1);

/// How many recovery codes an enrolment gives.
pub const RECOVERY_CODES: usize = 10;

/// How long an enrolment link works.
pub const LINK_LIFE: Duration = Duration::hours(24);

/// How long a link works that a signed-in user made with the password, and follows at once.
pub const OWN_LINK_LIFE: Duration = Duration::minutes(10);

/// The second factor of an account that is enrolled.
#[derive(Debug, Clone)]
pub struct Factor {
    /// The account.
    pub account_id: Uuid,
    /// The secret, encrypted.
    pub secret: SealedSecret,
    /// When it was set up.
    pub enrolled_at: DateTime<Utc>,
    /// The time step of the newest code that was accepted.
    pub last_step: i64,
    /// Wrong codes since the last right one or the last closure.
    pub failures: i64,
    /// Until when the second step is closed.
    pub closed_until: Option<DateTime<Utc>>,
    /// Since when the second step is locked.
    pub locked_at: Option<DateTime<Utc>>,
}

/// Why a code is not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Too many wrong codes in a row: closed until this time.
    Until(DateTime<Utc>),
    /// Too many wrong codes in a day: locked until the factor is reset.
    UntilReset,
}

impl Factor {
    /// Why a code would not be judged now, if it would not be. A closure longer than [`CLOSED_FOR`] was written by a clock that
    /// was ahead; it counts from now.
    #[must_use]
    pub fn closed(&self, now: DateTime<Utc>) -> Option<Closed> {
        if self.locked_at.is_some() {
            return Some(Closed::UntilReset);
        }
        let until = self.closed_until.filter(|until| *until > now)?;
        Some(Closed::Until(until.min(now + CLOSED_FOR)))
    }

    /// How many wrong codes are left before the second step closes.
    #[must_use]
    pub fn left(&self, now: DateTime<Utc>) -> i64 {
        if self.closed(now).is_some() { 0 } else { (MOST_IN_A_ROW - self.failures).max(0) }
    }
}

/// A code that may be right. The statement that uses it up decides: it was not used before, and the factor is still the same.
#[derive(Debug)]
pub struct FactorProof {
    account_id: Uuid,
    kind: ProofKind,
}

/// What is used up.
#[derive(Debug)]
pub enum ProofKind {
    /// The code of a time step.
    Step {
        /// The secret that it was compared with.
        secret: SealedSecret,
        /// The step of the code.
        step: i64,
        /// The current step. A stored step that is more than one ahead was written by a clock that was ahead.
        current: i64,
        /// The secret under the current key, if it was under an earlier one.
        renewed: Option<SealedSecret>,
    },
    /// A recovery code: its hashes under every key.
    Recovery(Vec<String>),
}

impl FactorProof {
    /// The account.
    #[must_use]
    pub fn account_id(&self) -> Uuid {
        self.account_id
    }

    /// What is used up.
    #[must_use]
    pub fn kind(&self) -> &ProofKind {
        &self.kind
    }

    /// The name of the kind, for the audit log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.kind {
            ProofKind::Step { .. } => "totp",
            ProofKind::Recovery(_) => "recovery_code",
        }
    }
}

/// The verdict on a code.
#[derive(Debug)]
pub enum Judged {
    /// It is right, if it can be used up.
    Right(FactorProof),
    /// It is wrong, or was used before.
    Wrong,
    /// The secret cannot be decrypted with any listed key.
    Unreadable,
}

/// Judges a code. `nonce` must be random; it is used if the secret is encrypted again. An attempt must have been counted before.
#[must_use]
pub fn judge(
    factor: &Factor,
    code: &FactorCode,
    keys: &FactorKeys,
    nonce: [u8; 12],
    now: DateTime<Utc>,
) -> Judged {
    let account_id = factor.account_id;
    let digits = match code {
        FactorCode::Recovery(code) => {
            let kind = ProofKind::Recovery(keys.recovery_hashes(account_id, code));
            return Judged::Right(FactorProof { account_id, kind });
        }
        FactorCode::App(digits) => digits,
    };
    let Some((secret, is_current_key)) = keys.open(account_id, &factor.secret) else {
        return Judged::Unreadable;
    };
    let Some(step) = secret.step_of(digits, now) else {
        return Judged::Wrong;
    };
    let current = current_step(now);
    if step <= factor.last_step && factor.last_step <= current + 1 {
        return Judged::Wrong;
    }
    let renewed = (!is_current_key).then(|| keys.seal(account_id, &secret, nonce));
    let kind = ProofKind::Step { secret: factor.secret.clone(), step, current, renewed };
    Judged::Right(FactorProof { account_id, kind })
}

fn current_step(now: DateTime<Utc>) -> i64 {
    now.timestamp().max(0) / STEP_SECONDS
}

#[cfg(test)]
#[path = "second_factor/tests.rs"]
mod tests;
