//! What is known about a phone: the input of the rule.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use uuid::Uuid;

use crate::{
    budget::{Budget, Spent},
    delivery::{Channel, DeliveryStatus, UnreachableReason},
};

/// Everything that the verdict on a phone depends on.
#[derive(Debug, Clone)]
pub struct PhoneFacts {
    /// The current time.
    pub now: DateTime<Utc>,
    /// The time zone of the sentences.
    pub zone: Tz,
    /// The country as two letters.
    pub country: Option<String>,
    /// The block of staff that applies to the phone.
    pub block: Option<StaffBlock>,
    /// The block of staff that applies to the address of the last request.
    pub address_block: Option<StaffBlock>,
    /// Why the settings exclude the number.
    pub not_served: Option<UnreachableReason>,
    /// Until when the number has a fixed code for app reviewers.
    pub review_until: Option<DateTime<Utc>>,
    /// The account that has the phone.
    pub account: Option<AccountFacts>,
    /// The block that the newest entry is about, if it is over and still stored.
    pub past_block: Option<PastBlock>,
    /// The account that left the phone last for another number.
    pub moved_away: Option<MovedAway>,
    /// When an account lost the phone because it was unused for too long, and has not got it back.
    pub unlinked_at: Option<DateTime<Utc>>,
    /// The budgets of the phone of which a part is used.
    pub spent: Vec<Spent>,
    /// The closed prefix of the number, if messages to the phone are refused because of it.
    pub prefix: Option<ClosedPrefix>,
    /// The cap of all messages of the day, if the phone gets none because of it, and when the day ends.
    pub day_cap_until: Option<DateTime<Utc>>,
    /// The same for the messages of the day to its country.
    pub country_cap_until: Option<DateTime<Utc>>,
    /// Until when a deleted account still limits the phone.
    pub deleted_until: Option<DateTime<Utc>>,
    /// The newest thing that happened to a sign-in, other than a message.
    pub last: Option<Happened>,
    /// The messages of the newest code, newest first: more than one if it went by several channels.
    pub messages: Vec<MessageFacts>,
    /// The challenge of that code. `None` if it is no longer stored.
    pub code: Option<CodeFacts>,
    /// When a code was last requested, however long ago.
    pub last_asked_at: Option<DateTime<Utc>>,
}

/// What a block by staff shuts out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockedPart {
    /// The number alone.
    Number,
    /// All numbers that begin like it.
    Prefix,
    /// Its country.
    Country,
    /// The address that the last request came from.
    Address,
}

/// A block by staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffBlock {
    /// What it shuts out.
    pub part: BlockedPart,
    /// Until when. `None`: until staff lift it.
    pub until: Option<DateTime<Utc>>,
}

/// A block by staff that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastBlock {
    /// What it shut out.
    pub part: BlockedPart,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
}

/// An account that left a phone for another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovedAway {
    /// When.
    pub at: DateTime<Utc>,
    /// Whether staff moved it. Otherwise the user changed the number.
    pub is_by_staff: bool,
    /// Whether the account was deleted since.
    pub is_deleted: bool,
}

/// The account of a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountFacts {
    /// Whether it may sign in.
    pub is_active: bool,
    /// Whether it was unused for so long that its number counts as recycled.
    pub is_stale: bool,
}

/// A closed prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedPrefix {
    /// The prefix: `+916205`.
    pub prefix: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// A message with a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFacts {
    /// The channel.
    pub channel: Channel,
    /// The provider in a sentence. `None` where none is worth a name: the test inbox, or no provider.
    pub provider: Option<&'static str>,
    /// The delivery status.
    pub status: DeliveryStatus,
    /// When it got this status.
    pub at: DateTime<Utc>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When the provider accepted it, if it did.
    pub accepted_at: Option<DateTime<Utc>>,
    /// What the failure says about the number.
    pub reason: Option<UnreachableReason>,
    /// What the provider's code of the failure means, as the end of a sentence. `None` without a code that is known.
    pub cause: Option<&'static str>,
    /// The provider's own words about the failure, with its code.
    pub said: Option<String>,
    /// Who can mend the failure.
    pub blame: Option<Blame>,
}

/// Who can mend the failure of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The user, with another number or another channel.
    Number,
    /// The operator.
    Us,
    /// No person: it passes.
    Passing,
}

/// A code that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeFacts {
    /// Wrong guesses, and the one that is being judged.
    pub attempts: i64,
    /// How many guesses it allows.
    pub max_attempts: i64,
    /// The last moment at which it is valid.
    pub expires_at: DateTime<Utc>,
    /// When it was used.
    pub consumed_at: Option<DateTime<Utc>>,
    /// When the last wrong code was entered.
    pub last_wrong_at: Option<DateTime<Utc>>,
    /// Whether another service asked for it.
    pub is_of_service: bool,
}

/// Something that happened to a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub what: What,
    /// The client's address.
    pub address: Option<String>,
}

/// What can happen to a sign-in, other than messages and wrong codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A budget refused a code or a guess, until this time. `None`: until staff unlock the phone.
    Refused(Budget, Option<DateTime<Utc>>),
    /// The settings or a disabled account refused it. Whether they still do is another fact.
    Excluded,
    /// A block by staff refused it, the one with this id if it is known.
    RefusedByBlock(Option<Uuid>),
    /// Staff blocked the phone, by the block with this id.
    Blocked(Option<Uuid>),
    /// The account of the phone left it for another number.
    MovedAway,
    /// Staff moved an account to the phone.
    MovedHere,
    /// `login` was called for a phone without an account.
    NoAccount,
    /// `signup` was called for a phone with a complete account.
    AlreadyRegistered,
    /// `signup` was called for a phone that has no account and gets none.
    SignupClosed,
    /// The right code was given to `verify-login`, and the phone has no account.
    RightCodeNoAccount,
    /// The right code was given, and the phone has no account and gets none.
    RightCodeSignupClosed,
    /// A bot check was required and not answered.
    BotCheckMissing,
    /// A bot check was answered wrongly, or with an answer that was used before.
    BotCheckFailed,
    /// The provider of the bot check did not answer.
    BotCheckUnavailable,
    /// The operator's hook denied a code.
    HookDenied,
    /// The operator's hook gave no decision, and the settings deny then.
    HookFailed,
    /// The operator's hook wanted a bot check first.
    HookChallenged,
    /// The wrong password was given.
    WrongPassword,
    /// A code opened a session.
    SignedIn,
    /// A password opened a session.
    SignedInByPassword,
    /// A token of another system opened a session.
    SignedInByToken,
    /// Staff verified the phone by hand.
    VerifiedByHand,
    /// A retired refresh token ended a session.
    SignedOut,
    /// The user deleted the account.
    AccountDeleted,
}

impl What {
    /// The block that it is about, if it is known.
    #[must_use]
    pub fn block(self) -> Option<Uuid> {
        match self {
            Self::RefusedByBlock(block) | Self::Blocked(block) => block,
            Self::Refused(..)
            | Self::Excluded
            | Self::MovedAway
            | Self::MovedHere
            | Self::NoAccount
            | Self::AlreadyRegistered
            | Self::SignupClosed
            | Self::RightCodeNoAccount
            | Self::RightCodeSignupClosed
            | Self::BotCheckMissing
            | Self::BotCheckFailed
            | Self::BotCheckUnavailable
            | Self::HookDenied
            | Self::HookFailed
            | Self::HookChallenged
            | Self::WrongPassword
            | Self::SignedIn
            | Self::SignedInByPassword
            | Self::SignedInByToken
            | Self::VerifiedByHand
            | Self::SignedOut
            | Self::AccountDeleted => None,
        }
    }
}
