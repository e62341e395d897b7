//! How a guess is judged.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Challenge, ChallengeKey, OtpCode, OtpKeys, OtpPolicy};

/// The result of the conditional UPDATE that claims an attempt.
#[derive(Debug)]
pub enum Claim {
    /// An attempt was claimed from this challenge.
    Taken(Challenge),
    /// No attempt was claimed. Contains the challenge, if there is one.
    NotTaken(Option<Challenge>),
}

/// The verdict on a guess.
#[derive(Debug)]
pub enum Verdict {
    /// The right code, in time. The store requires the proof to consume the challenge.
    Accepted(Accepted),
    /// The wrong code.
    Wrong {
        /// The number of guesses left.
        left: i64,
    },
    /// The code has expired.
    Expired,
    /// All guesses were used before this one.
    Exhausted {
        /// The challenge, which tells when the next code may be requested.
        challenge: Challenge,
    },
    /// No code is pending: none was requested, or it was used.
    NoneRequested,
}

/// The proof that the right code was given in time. Only [`judge`] and [`judge_fixed`] create it.
#[derive(Debug)]
pub struct Accepted {
    challenge: Challenge,
}

impl Accepted {
    /// The id of the accepted challenge.
    #[must_use]
    pub fn challenge_id(&self) -> Uuid {
        self.challenge.id
    }
}

/// Judges a guess. Its attempt has been claimed before.
#[must_use]
pub fn judge(
    claim: Claim,
    code: &OtpCode,
    of: ChallengeKey<'_>,
    keys: &OtpKeys,
    policy: &OtpPolicy,
    now: DateTime<Utc>,
) -> Verdict {
    judge_with(claim, policy, now, |challenge| Some(keys.code(challenge, of, policy.length)?.matches(code)))
}

/// Judges a guess of the fixed code of a review number by the same rules.
#[must_use]
pub fn judge_fixed(
    claim: Claim,
    code: &OtpCode,
    fixed: &OtpCode,
    policy: &OtpPolicy,
    now: DateTime<Utc>,
) -> Verdict {
    judge_with(claim, policy, now, |_| Some(fixed.matches(code)))
}

/// What is said about a guess that is not right, whatever the code is: never that it is accepted.
#[must_use]
pub fn judge_as_wrong(claim: Claim, policy: &OtpPolicy, now: DateTime<Utc>) -> Verdict {
    judge_with(claim, policy, now, |_| Some(false))
}

fn judge_with(
    claim: Claim,
    policy: &OtpPolicy,
    now: DateTime<Utc>,
    is_right: impl FnOnce(&Challenge) -> Option<bool>,
) -> Verdict {
    let challenge = match claim {
        Claim::Taken(challenge) => challenge,
        Claim::NotTaken(None) => return Verdict::NoneRequested,
        Claim::NotTaken(Some(challenge)) if challenge.consumed_at.is_some() => return Verdict::NoneRequested,
        Claim::NotTaken(Some(challenge)) if challenge.expires_at < now => return Verdict::Expired,
        Claim::NotTaken(Some(challenge)) => return Verdict::Exhausted { challenge },
    };
    // The statement that claimed the attempt checked these too. They are checked again here, so that no other
    // statement can pass an expired or used challenge to this rule.
    if challenge.consumed_at.is_some() {
        return Verdict::NoneRequested;
    }
    if challenge.expires_at < now {
        return Verdict::Expired;
    }
    match is_right(&challenge) {
        Some(true) => Verdict::Accepted(Accepted { challenge }),
        Some(false) => Verdict::Wrong { left: (policy.max_attempts - challenge.attempts).max(0) },
        // Its key is no longer listed, so no code can match.
        None => Verdict::NoneRequested,
    }
}
