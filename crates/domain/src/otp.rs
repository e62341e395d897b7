//! One-time codes: challenges, how their codes are derived, and how a guess is judged.
//!
//! A challenge does not contain its code. The code is `truncate(HMAC-SHA256(key, id || phone || purpose || holder))`,
//! truncated as in RFC 4226, section 5.3; the holder is empty for an ordinary sign-in. So a leaked database reveals no code, and a resend needs no stored one.

mod judge;
mod keys;
mod purpose;
mod state;
mod which;

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use uuid::Uuid;

pub use self::{
    judge::{Accepted, Claim, Verdict, judge, judge_as_wrong, judge_fixed},
    keys::OtpKeys,
    purpose::Purpose,
    state::CodeState,
    which::{ChallengeKey, ChallengeRow, Holder},
};
use super::clocks::is_ahead;

/// An open challenge that expires sooner than this is not resent. A new challenge starts instead, so that a code does
/// not expire while the user types it.
pub const RESEND_NEEDS: Duration = Duration::minutes(2);

/// The settings for codes.
#[derive(Debug, Clone, Copy)]
pub struct OtpPolicy {
    /// The number of digits of a code, 4 to 8.
    pub length: CodeLength,
    /// How long a code is valid, counted from the start of its challenge.
    pub life: Duration,
    /// The maximum number of guesses per challenge.
    pub max_attempts: i64,
    /// The cooldown between two sends to one phone; zero means none.
    pub resend_after: Duration,
}

/// The number of digits of a code, 4 to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeLength(u32);

impl CodeLength {
    /// Accepts 4 to 8 digits. RFC 4226 requires at least 6; Loopin's clients expect 4.
    #[must_use]
    pub fn new(digits: u32) -> Option<Self> {
        (4..=8).contains(&digits).then_some(Self(digits))
    }

    /// The number of digits.
    #[must_use]
    pub fn digits(self) -> usize {
        self.0 as usize
    }
}

impl Default for CodeLength {
    /// Four digits, which Loopin's clients expect.
    fn default() -> Self {
        Self(4)
    }
}

/// The parameters of the upsert behind a send: it starts a challenge or keeps the open one.
#[derive(Debug)]
pub struct Opening<'a> {
    /// The id of the new challenge, if one starts.
    pub id: Uuid,
    /// The key version for its code.
    pub key_version: &'a str,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
    /// An open challenge is kept if its key version is one of these,
    pub keep_versions: Vec<&'a str>,
    /// if fewer guesses than this were taken,
    pub max_attempts: i64,
    /// and if it expires no earlier than this.
    pub keep_if_alive_at: DateTime<Utc>,
    /// Nothing is sent if a code was sent after this moment.
    pub refuse_if_sent_after: Option<DateTime<Utc>>,
    /// The hashes of this phone ([`OtpKeys::phone_hashes`]) that a deleted account may have left: nothing is sent
    /// while such a row is in force.
    pub phone_hashes: Vec<String>,
    /// The invitation with which the code was requested, if it admits the phone. An open challenge keeps its own without one.
    pub invitation: Option<Uuid>,
    /// The time of the send.
    pub now: DateTime<Utc>,
}

impl OtpPolicy {
    /// The latest end that the tombstone of a deleted account may have.
    #[must_use]
    pub fn latest_tombstone_end(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + self.life.max(self.resend_after)
    }

    /// The parameters of a send at this time.
    #[must_use]
    pub fn opening<'a>(
        &self,
        id: Uuid,
        keys: &'a OtpKeys,
        of: ChallengeKey<'_>,
        now: DateTime<Utc>,
    ) -> Opening<'a> {
        Opening { phone_hashes: keys.phone_hashes(of.phone), ..self.opening_of_name(id, keys, now) }
    }

    /// The parameters of a request for a new password, for the row of its name.
    #[must_use]
    pub fn opening_of_name<'a>(&self, id: Uuid, keys: &'a OtpKeys, now: DateTime<Utc>) -> Opening<'a> {
        Opening {
            id,
            key_version: keys.current_version(),
            expires_at: now + self.life,
            keep_versions: keys.versions(),
            max_attempts: self.max_attempts,
            keep_if_alive_at: now + RESEND_NEEDS,
            refuse_if_sent_after: (self.resend_after > Duration::zero()).then(|| now - self.resend_after),
            phone_hashes: Vec::new(),
            invitation: None,
            now,
        }
    }
}

/// A challenge as stored.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// 128 random bits, from which the code is derived.
    pub id: Uuid,
    /// The version of the key that the code is derived with.
    pub key_version: String,
    /// Guesses taken so far, including the current one.
    pub attempts: i64,
    /// The last moment at which the code is valid.
    pub expires_at: DateTime<Utc>,
    /// When a code was last sent, unless that send was refunded.
    pub sent_at: Option<DateTime<Utc>>,
    /// When the right code was given.
    pub consumed_at: Option<DateTime<Utc>>,
}

impl Challenge {
    /// Seconds until the code expires, rounded up.
    #[must_use]
    pub fn seconds_left(&self, now: DateTime<Utc>) -> i64 {
        seconds_up(self.expires_at - now)
    }

    /// Whether a guess is still possible.
    #[must_use]
    pub fn accepts_guess(&self, policy: &OtpPolicy, now: DateTime<Utc>) -> bool {
        self.consumed_at.is_none() && self.attempts < policy.max_attempts && self.expires_at >= now
    }

    /// Whether a guess is still possible, with enough time to type the code.
    #[must_use]
    pub fn is_worth_sending(&self, policy: &OtpPolicy, now: DateTime<Utc>) -> bool {
        self.consumed_at.is_none()
            && self.attempts < policy.max_attempts
            // The `min` is for short lifetimes: without it, a code that is valid for two minutes or less could never
            // be resent.
            && self.expires_at - now >= RESEND_NEEDS.min(policy.life / 2)
    }

    /// Until when the phone stays limited by this challenge if its account is deleted now: until the cooldown ends,
    /// and if guesses were taken, until the code expires. So deleting the account and signing up again gives no extra
    /// sends or guesses.
    #[must_use]
    pub fn owed_until(&self, policy: &OtpPolicy, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let cooldown = self.sent_at.map(|sent| sent.min(now) + policy.resend_after);
        let expires_at = self.expires_at.min(now + policy.life);
        let guessed = (self.consumed_at.is_none() && self.attempts > 0).then_some(expires_at);
        cooldown.max(guessed).filter(|until| *until > now)
    }

    /// The time of the last send, if a wrong clock wrote it.
    #[must_use]
    pub fn sent_ahead(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.sent_at.filter(|at| is_ahead(*at, now))
    }

    /// Seconds until the next code may be requested, at least 1 as `Retry-After` requires.
    #[must_use]
    pub fn resend_in(&self, policy: &OtpPolicy, now: DateTime<Utc>) -> i64 {
        self.wait_left(policy, now).max(1)
    }

    /// Seconds until the next code may be requested; 0 if it may be now.
    #[must_use]
    pub fn wait_left(&self, policy: &OtpPolicy, now: DateTime<Utc>) -> i64 {
        let ends = self.sent_at.map_or(now, |sent| sent.min(now) + policy.resend_after);
        seconds_up(ends - now)
    }
}

/// Whole seconds, rounded up and never negative.
#[must_use]
pub fn seconds_up(duration: Duration) -> i64 {
    let whole = duration.num_seconds();
    let remainder = duration - Duration::seconds(whole);
    (whole + i64::from(remainder > Duration::zero())).max(0)
}

/// Why a text is not a code. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("OTP code must be exactly {0} digits")]
pub struct CodeError(usize);

/// A code as typed or sent. It has no `Display`, and `Debug` does not show it.
#[derive(Clone)]
pub struct OtpCode(SecretString);

impl OtpCode {
    /// Accepts exactly `length` ASCII digits, leading zeros included. Spaces and digits of other scripts are errors.
    pub fn parse(text: &str, length: CodeLength) -> Result<Self, CodeError> {
        if text.len() == length.digits() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(SecretString::from(text)))
        } else {
            Err(CodeError(length.digits()))
        }
    }

    /// The digits, for the message to the user.
    #[must_use]
    pub fn expose(&self) -> &SecretString {
        &self.0
    }

    fn matches(&self, other: &Self) -> bool {
        self.0.expose_secret().as_bytes().ct_eq(other.0.expose_secret().as_bytes()).into()
    }
}

impl fmt::Debug for OtpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OtpCode(****)")
    }
}

#[cfg(test)]
mod tests;
