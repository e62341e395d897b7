//! Invitations: with `SIGNUPS=invited` a person needs one to get an account. Staff make them, for one account or several, until an
//! end, for everyone or for one phone.
//!
//! An invitation is 128 random bits, shown once; its row holds only the hash. [`Invitation::admits`] is asked before a code is sent.
//! The use itself is taken by one guarded statement in the transaction that creates the account, whose conditions are the same.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{derived::half_hex, phone::PhoneNumber, second_factor::code::base32};

/// What an invitation begins with, so that people and scanners for secrets know what it is.
const PREFIX: &str = "inv_";

/// How many characters 128 bits have in base32 without padding (RFC 4648, section 6).
const CHARACTERS: usize = 26;

/// The most accounts that one invitation makes.
pub const MOST_USES: i64 = 1_000;

/// How far away the end of an invitation may be. Rows compare years of four digits.
const LONGEST: Duration = Duration::days(36_500);

/// The text of an invitation. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct InvitationCode(String);

impl fmt::Debug for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvitationCode(..)")
    }
}

impl InvitationCode {
    /// An invitation from random bytes.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self(base32(&random).to_ascii_lowercase())
    }

    /// Reads what was typed or followed: in any letter case, with or without its beginning, spaces and hyphens. `None` for what
    /// no invitation looks like.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_left_out = |c: &char| c.is_whitespace() || *c == '-';
        let text: String = text.chars().filter(|c| !is_left_out(c)).map(|c| c.to_ascii_lowercase()).collect();
        let code = text.strip_prefix(PREFIX).unwrap_or(&text);
        let is_base32 = code.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        (code.len() == CHARACTERS && is_base32).then(|| Self(code.to_owned()))
    }

    /// The text to give away.
    #[must_use]
    pub fn text(&self) -> SecretString {
        format!("{PREFIX}{}", self.0).into()
    }

    /// What the row holds. The text is random, so the hash needs no key.
    #[must_use]
    pub fn hash(&self) -> String {
        let digest: [u8; 32] = Sha256::digest(&self.0).into();
        format!("{}{}", half_hex(digest.first_chunk()), half_hex(digest.last_chunk()))
    }
}

/// An invitation as stored, without its text.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The id (UUID version 7): a newer invitation has a larger one.
    pub id: Uuid,
    /// The only phone that it admits; `None` for any.
    pub phone: Option<PhoneNumber>,
    /// How many accounts it makes.
    pub uses: i64,
    /// How many it still makes.
    pub uses_left: i64,
    /// The member of staff who made it; `None` for the command line.
    pub made_by: Option<Uuid>,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The member of staff who ended it.
    pub ended_by: Option<Uuid>,
    /// When it made its last account.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// What became of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It makes accounts.
    Live,
    /// It made all of its accounts.
    UsedUp,
    /// Its time is over.
    Expired,
    /// Staff ended it.
    Ended,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Live, Self::UsedUp, Self::Expired, Self::Ended];

    /// The name for clients.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::UsedUp => "used_up",
            Self::Expired => "expired",
            Self::Ended => "ended",
        }
    }
}

impl Invitation {
    /// What became of it by now.
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> State {
        if self.ended_at.is_some() {
            State::Ended
        } else if self.uses_left <= 0 {
            State::UsedUp
        } else if self.expires_at.is_some_and(|expires_at| expires_at <= now) {
            State::Expired
        } else {
            State::Live
        }
    }

    /// Whether the owner of this phone may sign up with it. `None` for a person without a proved phone, whom an invitation for one
    /// phone does not admit.
    #[must_use]
    pub fn admits(&self, phone: Option<&PhoneNumber>, now: DateTime<Utc>) -> bool {
        self.state(now) == State::Live && (self.phone.is_none() || self.phone.as_ref() == phone)
    }
}

/// An invitation to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvitation {
    /// How many accounts it makes.
    pub uses: i64,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// The only phone that it admits.
    pub phone: Option<PhoneNumber>,
}

impl NewInvitation {
    /// For one account of the owner of this phone.
    #[must_use]
    pub fn for_phone(phone: PhoneNumber, expires_at: DateTime<Utc>) -> Self {
        Self { uses: 1, expires_at: Some(expires_at), phone: Some(phone) }
    }
}

/// Checks how many accounts a new invitation makes. A phone has one account.
///
/// # Errors
/// With a sentence.
pub fn check_uses(uses: i64, has_phone: bool) -> Result<i64, &'static str> {
    match uses {
        1 => Ok(1),
        2..=MOST_USES if has_phone => Err("Uses must be 1 for an invitation of one phone"),
        2..=MOST_USES => Ok(uses),
        _ => Err("Uses must be from 1 to 1000"),
    }
}

/// Checks the end of a new invitation.
///
/// # Errors
/// With a sentence.
pub fn check_end(expires_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<DateTime<Utc>, &'static str> {
    if expires_at <= now {
        Err("The end must be in the future")
    } else if expires_at - now > LONGEST {
        Err("The end must be within 100 years; leave it out for an invitation without an end")
    } else {
        Ok(expires_at)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use secrecy::ExposeSecret;

    use super::*;

    fn now() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 3, 14, 9, 0, 0).unwrap()
    }

    fn phone(text: &str) -> PhoneNumber {
        PhoneNumber::from_e164(text).unwrap()
    }

    fn live() -> Invitation {
        Invitation {
            id: Uuid::from_u128(7),
            phone: None,
            uses: 2,
            uses_left: 1,
            made_by: None,
            made_at: now() - Duration::days(1),
            expires_at: Some(now() + Duration::microseconds(1)),
            ended_at: None,
            ended_by: None,
            last_used_at: None,
        }
    }

    #[test]
    fn an_invitation_is_read_as_it_was_written_however_it_is_typed() {
        let code = InvitationCode::new([0xA5; 16]);
        let text = code.text().expose_secret().to_owned();
        assert_eq!(text.len(), "inv_".len() + 26);
        let random = text.trim_start_matches("inv_").to_owned();
        let spaced = format!(" {} {} ", &random[..13], &random[13..]);
        let hyphened = format!("INV_{}-{}", &random[..4], &random[4..]);
        for typed in [&text, &text.to_ascii_uppercase(), &random, &spaced, &hyphened] {
            let read = InvitationCode::parse(typed).unwrap();
            assert_eq!((read.hash(), &read), (code.hash(), &code), "{typed}");
        }
        for bad in ["", "inv_", &random[1..], &format!("{random}a"), &random.replace('u', "1"), "inv_é"] {
            assert_eq!(InvitationCode::parse(bad), None, "{bad}");
        }
        assert_eq!(code.hash().len(), 64);
        assert_ne!(code.hash(), InvitationCode::new([0xA4; 16]).hash());
        assert!(!format!("{code:?}").contains(&random));
    }

    #[test]
    fn an_invitation_admits_while_it_lives_and_only_its_phone() {
        let (own, other) = (phone("+916205829376"), phone("+919876543210"));
        let bound = Invitation { phone: Some(own.clone()), ..live() };
        for (invitation, of, expected, why) in [
            (live(), Some(&own), true, "it is for everyone"),
            (live(), None, true, "also without a phone"),
            (Invitation { expires_at: None, ..live() }, None, true, "it has no end"),
            (Invitation { expires_at: Some(now()), ..live() }, None, false, "its time is over"),
            (Invitation { uses_left: 0, ..live() }, None, false, "it is used up"),
            (Invitation { ended_at: Some(now()), ..live() }, None, false, "it was ended"),
            (bound.clone(), Some(&own), true, "it is the phone's"),
            (bound.clone(), Some(&other), false, "it is another phone's"),
            (bound, None, false, "no phone is proved"),
        ] {
            assert_eq!(invitation.admits(of, now()), expected, "{why}");
        }
    }

    #[test]
    fn the_numbers_of_a_new_invitation_have_bounds() {
        for (uses, has_phone, is_right) in [
            (0, false, false),
            (1, false, true),
            (1, true, true),
            (2, false, true),
            (2, true, false),
            (1_000, false, true),
            (1_001, false, false),
            (-1, false, false),
        ] {
            assert_eq!(check_uses(uses, has_phone).is_ok(), is_right, "{uses} {has_phone}");
        }
        for (seconds, is_right) in
            [(0, false), (1, true), (36_500 * 86_400, true), (36_500 * 86_400 + 1, false)]
        {
            assert_eq!(check_end(now() + Duration::seconds(seconds), now()).is_ok(), is_right, "{seconds}");
        }
    }
}
