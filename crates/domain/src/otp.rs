//! One-time codes: the challenge that a person answers, the code that answers it, and the judgement.
//!
//! A challenge holds no code. The code is `truncate(HMAC-SHA256(key, id || phone || purpose))`, truncated as RFC 4226
//! section 5.3 truncates, so a leaked database gives no code away and a resend needs none stored.

mod state;
mod which;

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use uuid::Uuid;

pub use self::{
    state::CodeState,
    which::{ChallengeKey, Holder},
};
use super::{clocks::is_ahead, derived::DerivedKey, phone::PhoneNumber};

/// An open challenge with less than this to go is not resent: a new one begins, so that nobody is sent a code that
/// dies while she types it.
pub const RESEND_NEEDS: Duration = Duration::minutes(2);

/// How codes are made and how long they live.
#[derive(Debug, Clone, Copy)]
pub struct OtpPolicy {
    /// Digits of a code, 4 to 8.
    pub length: CodeLength,
    /// How long a code is taken, counted from when its challenge was opened.
    pub life: Duration,
    /// How many guesses a challenge bears.
    pub max_attempts: i64,
    /// The least time between two sends to one phone; zero is no cooldown.
    pub resend_after: Duration,
}

/// The number of digits of a code, 4 to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeLength(u32);

impl CodeLength {
    /// Takes 4 to 8. RFC 4226 asks for at least 6; 4 is what Loopin's clients were built for.
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
    /// What Loopin's clients were built for.
    fn default() -> Self {
        Self(4)
    }
}

/// What a challenge is for. A code never verifies under another purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Signing up and logging in: each is a resend of the other.
    SignIn,
    /// Proving a new number for an account that exists.
    ChangePhone,
    /// Proving again who holds a session.
    Confirm,
    /// A staff member's second factor.
    Staff,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 4] = [Self::SignIn, Self::ChangePhone, Self::Confirm, Self::Staff];

    /// The name that rows and derivations use. It must never change.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::ChangePhone => "change_phone",
            Self::Confirm => "confirm",
            Self::Staff => "staff",
        }
    }

    /// The purpose of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == name)
    }
}

/// What a send asks of the database: begin a challenge, or keep the one that is open.
#[derive(Debug)]
pub struct Opening<'a> {
    /// The id of the challenge that begins, if one does.
    pub id: Uuid,
    /// The key that its code is derived with.
    pub key_version: &'a str,
    /// When it dies.
    pub expires_at: DateTime<Utc>,
    /// An open challenge is kept if its key is one of these,
    pub keep_versions: Vec<&'a str>,
    /// if fewer guesses than these were taken,
    pub max_attempts: i64,
    /// and if it lives at least until then.
    pub keep_if_alive_at: DateTime<Utc>,
    /// Nothing is sent if a code was sent after this moment.
    pub refuse_if_sent_after: Option<DateTime<Utc>>,
    /// What a deleted account may have left of this phone ([`OtpKeys::marks`]): nothing is sent while one holds.
    pub phone_hashes: Vec<String>,
    /// The time of the send.
    pub now: DateTime<Utc>,
}

impl OtpPolicy {
    /// Until when the mark of a deleted account may hold at most.
    #[must_use]
    pub fn longest_mark(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + self.life.max(self.resend_after)
    }

    /// What a send at this time asks of the database.
    #[must_use]
    pub fn opening<'a>(
        &self,
        id: Uuid,
        keys: &'a OtpKeys,
        of: ChallengeKey<'_>,
        now: DateTime<Utc>,
    ) -> Opening<'a> {
        Opening {
            id,
            key_version: keys.current_version(),
            expires_at: now + self.life,
            keep_versions: keys.versions(),
            max_attempts: self.max_attempts,
            keep_if_alive_at: now + RESEND_NEEDS,
            refuse_if_sent_after: (self.resend_after > Duration::zero()).then(|| now - self.resend_after),
            phone_hashes: keys.phone_hashes(of.phone),
            now,
        }
    }
}

/// A challenge as the database holds it.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// 128 random bits, from which the code is derived.
    pub id: Uuid,
    /// The key that the code is derived with.
    pub key_version: String,
    /// Guesses taken so far, the one in hand included.
    pub attempts: i64,
    /// The last moment at which the code is taken.
    pub expires_at: DateTime<Utc>,
    /// When a code was last sent, unless that send was given back.
    pub sent_at: Option<DateTime<Utc>>,
    /// When the right code came, once it has.
    pub consumed_at: Option<DateTime<Utc>>,
}

impl Challenge {
    /// Seconds until the code dies, rounded up.
    #[must_use]
    pub fn seconds_left(&self, now: DateTime<Utc>) -> i64 {
        seconds_up(self.expires_at - now)
    }

    /// Whether it waits for a guess.
    #[must_use]
    pub fn waits(&self, policy: &OtpPolicy, now: DateTime<Utc>) -> bool {
        self.consumed_at.is_none() && self.attempts < policy.max_attempts && self.expires_at >= now
    }

    /// Whether its code can still be answered, with time enough to type it.
    #[must_use]
    pub fn is_worth_sending(&self, policy: &OtpPolicy, now: DateTime<Utc>) -> bool {
        self.consumed_at.is_none()
            && self.attempts < policy.max_attempts
            // Of a code that lives for two minutes or less, nobody would be sent a second message.
            && self.expires_at - now >= RESEND_NEEDS.min(policy.life / 2)
    }

    /// Until when a phone owes the wait that this challenge asks of it, if its account is deleted meanwhile: until the
    /// next code may be asked for, and where guesses were taken, until the code dies. So whoever deletes an account and
    /// signs up again gets neither sends nor guesses by it.
    #[must_use]
    pub fn owed_until(&self, policy: &OtpPolicy, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let cooldown = self.sent_at.map(|sent| sent.min(now) + policy.resend_after);
        let dies_at = self.expires_at.min(now + policy.life);
        let guessed = (self.consumed_at.is_none() && self.attempts > 0).then_some(dies_at);
        cooldown.max(guessed).filter(|until| *until > now)
    }

    /// When it was sent, where a clock that was wrong says so.
    #[must_use]
    pub fn sent_ahead(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.sent_at.filter(|at| is_ahead(*at, now))
    }

    /// Seconds until the next code may be asked for, at least 1 as `Retry-After` wants it.
    #[must_use]
    pub fn resend_in(&self, policy: &OtpPolicy, now: DateTime<Utc>) -> i64 {
        self.wait_left(policy, now).max(1)
    }

    /// Seconds until the next code may be asked for; none when it may be at once.
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
    let cooldown = duration - Duration::seconds(whole);
    (whole + i64::from(cooldown > Duration::zero())).max(0)
}

/// Why a text is no code. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("OTP code must be exactly {0} digits")]
pub struct CodeError(usize);

/// A code as a person types it. It has no `Display`, and `Debug` does not show it.
#[derive(Clone)]
pub struct OtpCode(SecretString);

impl OtpCode {
    /// Takes exactly `length` ASCII digits; leading zeros count.
    ///
    /// # Errors
    /// Anything else: another length, spaces, digits of another script.
    pub fn parse(text: &str, length: CodeLength) -> Result<Self, CodeError> {
        if text.len() == length.digits() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(SecretString::from(text)))
        } else {
            Err(CodeError(length.digits()))
        }
    }

    /// The digits, for the message that carries them.
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

/// The keys that codes are derived with: the first one signs, every listed one verifies.
pub struct OtpKeys(Vec<OtpKey>);

struct OtpKey {
    version: String,
    key: DerivedKey,
}

impl OtpKeys {
    /// Derives a key from each secret, the current one first.
    #[must_use]
    pub fn derive(current: &SecretString, fallbacks: &[SecretString]) -> Self {
        Self(std::iter::once(current).chain(fallbacks).map(OtpKey::derive).collect())
    }

    /// The version that new challenges name.
    #[must_use]
    pub fn current_version(&self) -> &str {
        self.0.first().map_or("", |key| key.version.as_str())
    }

    /// Every version that still verifies.
    #[must_use]
    pub fn versions(&self) -> Vec<&str> {
        self.0.iter().map(|key| key.version.as_str()).collect()
    }

    /// What stands for a phone where the phone itself may not be kept: an HMAC with each key, the current one first.
    #[must_use]
    pub fn phone_hashes(&self, phone: &PhoneNumber) -> Vec<String> {
        self.0.iter().map(|key| key.phone_hash(phone)).collect()
    }

    /// The code of a challenge; `None` when its key is not listed any more.
    #[must_use]
    pub fn code(&self, challenge: &Challenge, of: ChallengeKey<'_>, length: CodeLength) -> Option<OtpCode> {
        let key = self.0.iter().find(|key| key.version == challenge.key_version)?;
        let digest = key.key.mac(&[
            challenge.id.as_bytes(),
            of.phone.full().as_bytes(),
            of.purpose.as_str().as_bytes(),
            &of.holder.map(Holder::bytes).unwrap_or_default(),
        ]);
        Some(OtpCode(SecretString::from(truncate(&digest, length))))
    }
}

impl fmt::Debug for OtpKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OtpKeys").field(&self.versions()).finish()
    }
}

impl OtpKey {
    /// `SECRET_KEY` serves more than codes, so codes get a key of their own, and a name for it that tells nothing.
    fn derive(secret: &SecretString) -> Self {
        let key = DerivedKey::new(secret, b"loopin-auth/otp");
        Self { version: key.phone_hash(&[b"version"]), key }
    }

    /// With a key of its own, so that no mark is ever the digest of a code.
    fn phone_hash(&self, phone: &PhoneNumber) -> String {
        format!("hmac:{}", self.key.child(b"mark").phone_hash(&[phone.full().as_bytes()]))
    }
}

/// RFC 4226, section 5.3: the low four bits of the last byte choose where 31 bits are read from.
fn truncate(digest: &[u8; 32], length: CodeLength) -> String {
    let offset = usize::from(digest[31] & 0x0f);
    let word = digest.iter().skip(offset).take(4).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
    let digits = length.digits();
    let number = (word & 0x7fff_ffff) % 10_u32.pow(length.0);
    format!("{number:0digits$}")
}

/// What the guarded statement that takes an attempt came back with.
#[derive(Debug)]
pub enum Claim {
    /// An attempt was taken, and the challenge is this.
    Taken(Challenge),
    /// No attempt was taken; the challenge, if there is one, is this.
    NotTaken(Option<Challenge>),
}

/// What became of a guess.
#[derive(Debug)]
pub enum Verdict {
    /// The right code, in time. The proof lets the store consume the challenge.
    Accepted(Accepted),
    /// The wrong code; so many guesses are left.
    Wrong {
        /// Guesses left.
        left: i64,
    },
    /// The code is older than its life.
    Expired,
    /// All guesses were used before this one.
    Exhausted {
        /// The challenge, for when the next code may be asked for.
        challenge: Challenge,
    },
    /// No code is waiting: none was asked for, or it was used.
    NoneRequested,
}

/// The proof that a right code was given in time. Only [`judge`] makes one.
#[derive(Debug)]
pub struct Accepted {
    challenge: Challenge,
}

impl Accepted {
    /// The id of the challenge that was answered.
    #[must_use]
    pub fn challenge_id(&self) -> Uuid {
        self.challenge.id
    }
}

/// Judges a guess whose attempt has been counted already.
#[must_use]
pub fn judge(
    claim: Claim,
    code: &OtpCode,
    of: ChallengeKey<'_>,
    keys: &OtpKeys,
    policy: &OtpPolicy,
    now: DateTime<Utc>,
) -> Verdict {
    judge_by(claim, code, policy, now, |challenge| keys.code(challenge, of, policy.length))
}

/// Judges a guess at the fixed code of a review number, by the same rules.
#[must_use]
pub fn judge_fixed(
    claim: Claim,
    code: &OtpCode,
    fixed: &OtpCode,
    policy: &OtpPolicy,
    now: DateTime<Utc>,
) -> Verdict {
    judge_by(claim, code, policy, now, |_| Some(fixed.clone()))
}

fn judge_by(
    claim: Claim,
    code: &OtpCode,
    policy: &OtpPolicy,
    now: DateTime<Utc>,
    right_code: impl FnOnce(&Challenge) -> Option<OtpCode>,
) -> Verdict {
    let challenge = match claim {
        Claim::Taken(challenge) => challenge,
        Claim::NotTaken(None) => return Verdict::NoneRequested,
        Claim::NotTaken(Some(challenge)) if challenge.consumed_at.is_some() => return Verdict::NoneRequested,
        Claim::NotTaken(Some(challenge)) if challenge.expires_at < now => return Verdict::Expired,
        Claim::NotTaken(Some(challenge)) => return Verdict::Exhausted { challenge },
    };
    // The statement that took the attempt looked at these too. It is asked again here, so that no other statement
    // can ever hand a dead challenge to this rule.
    if challenge.consumed_at.is_some() {
        return Verdict::NoneRequested;
    }
    if challenge.expires_at < now {
        return Verdict::Expired;
    }
    match right_code(&challenge) {
        Some(right) if right.matches(code) => Verdict::Accepted(Accepted { challenge }),
        Some(_) => Verdict::Wrong { left: (policy.max_attempts - challenge.attempts).max(0) },
        // Its key is not listed any more: nobody can answer this challenge.
        None => Verdict::NoneRequested,
    }
}

#[cfg(test)]
mod tests;
