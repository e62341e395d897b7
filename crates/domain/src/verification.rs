//! Verifications: another service asks whether a phone belongs to the person who uses it. There is no account and no session in it. The
//! statuses are in the words of Twilio Verify, so that a client of that moves here without a change.

use chrono::{DateTime, Utc};
use thiserror::Error;
use uuid::Uuid;

use super::{delivery::Channel, phone::PhoneNumber};

/// The name of the template of its messages, in rows. They have the text of every other code.
pub const TEMPLATE: &str = "verification";

/// The longest reference.
pub const MAX_REFERENCE_CHARS: usize = 100;

/// How a verification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The code was not entered yet.
    Pending,
    /// The right code was entered.
    Approved,
    /// The service canceled it.
    Canceled,
    /// The time of the code is over.
    Expired,
    /// All guesses were wrong.
    MaxAttemptsReached,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Approved, Self::Canceled, Self::Expired, Self::MaxAttemptsReached];

    /// Its name, in rows too. It must never change.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::MaxAttemptsReached => "max_attempts_reached",
        }
    }

    /// The statuses that it may take the place of. A right code counts even if a wrong one of the same moment was the last guess; a user who
    /// cancels first is first.
    #[must_use]
    pub fn replaces(self) -> &'static [Self] {
        match self {
            Self::Approved => &[Self::Pending, Self::MaxAttemptsReached],
            Self::Canceled | Self::MaxAttemptsReached => &[Self::Pending],
            // Neither is written: the first begins a verification, and time makes the other.
            Self::Pending | Self::Expired => &[],
        }
    }

    /// The status with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// A verification.
#[derive(Debug, Clone)]
pub struct Verification {
    /// Its id.
    pub id: Uuid,
    /// The key of the service.
    pub api_key_id: Uuid,
    /// The phone.
    pub phone: PhoneNumber,
    /// What the service calls it.
    pub reference: Option<String>,
    /// The channel of the last code.
    pub channel: Channel,
    /// As it is stored: one whose time is over is still pending there.
    pub stored: Status,
    /// Whether the phone had proved itself before: its messages are not held against its prefix.
    pub was_known: bool,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// The last moment at which its code is valid.
    pub expires_at: DateTime<Utc>,
}

impl Verification {
    /// How it stands now.
    #[must_use]
    pub fn status(&self, now: DateTime<Utc>) -> Status {
        match self.stored {
            Status::Pending if self.expires_at < now => Status::Expired,
            stored => stored,
        }
    }
}

/// The text is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Reference must be 1 to {MAX_REFERENCE_CHARS} characters long")]
pub struct ReferenceError;

/// Reads what a service calls a verification: the number of an order.
///
/// # Errors
/// When it is empty or too long.
pub fn reference(text: &str) -> Result<String, ReferenceError> {
    let text = text.trim();
    (1..=MAX_REFERENCE_CHARS).contains(&text.chars().count()).then(|| text.to_owned()).ok_or(ReferenceError)
}

#[cfg(test)]
mod tests {
    use chrono::{Duration, TimeZone};

    use super::*;

    #[test]
    fn only_a_pending_one_expires() {
        let end = Utc.with_ymd_and_hms(2026, 3, 14, 9, 36, 53).unwrap();
        let verification = |stored| Verification {
            id: Uuid::nil(),
            api_key_id: Uuid::nil(),
            phone: PhoneNumber::from_e164("+916205829376").unwrap(),
            reference: None,
            channel: Channel::Sms,
            stored,
            was_known: false,
            created_at: end - Duration::minutes(10),
            expires_at: end,
        };
        assert_eq!(verification(Status::Pending).status(end), Status::Pending);
        let after = end + Duration::microseconds(1);
        assert_eq!(verification(Status::Pending).status(after), Status::Expired);
        for stored in [Status::Approved, Status::Canceled, Status::MaxAttemptsReached] {
            assert_eq!(verification(stored).status(after), stored);
        }
    }

    #[test]
    fn a_reference_has_a_length() {
        assert_eq!(reference(" order 17 "), Ok("order 17".to_owned()));
        assert_eq!(reference(&"ग".repeat(100)), Ok("ग".repeat(100)));
        for bad in ["", "  ", &"x".repeat(101)] {
            assert_eq!(reference(bad), Err(ReferenceError));
        }
    }
}
