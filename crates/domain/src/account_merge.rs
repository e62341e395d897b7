//! Two accounts of one person become one: which may be joined, what the one that stays has then, and what an undo brings back.
//!
//! The account that stays keeps its id: it is the one whose session asks, or whose page an admin acts on. What it has then:
//!
//! - **profile** (name, birth date, gender, bio, location, pictures): that of the account with more of these filled in; of two
//!   with equally many that of the account that stays. It is taken as a whole, so that it is one that its user wrote.
//! - **interests**: those of both, first those of the account with the profile, as many as a profile may have.
//! - **phone**: the one that was just proved; without a proof, by an admin, the one of the account that stays, else the other's.
//! - **username, e-mail address, first and last name, password, id in another system**: its own; what it lacks comes along.
//!
//! `docs/MERGING.md` says the same to operators.

mod snapshot;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

pub use self::snapshot::{Holdings, Kept, ProfileTexts, Snapshot};
use super::{
    account::{Account, Role},
    phone::PhoneNumber,
    phone_move::Reference,
    profile::MOST_INTERESTS,
};

/// How long a merge can be undone, and what is kept for that.
pub const UNDO_FOR: Duration = Duration::days(30);

/// An account that is to be joined with another one, and what the rows of the account do not say.
#[derive(Debug, Clone, Copy)]
pub struct Party<'a> {
    /// The account.
    pub account: &'a Account,
    /// Whether its phone is blocked.
    pub is_blocked: bool,
    /// Whether its phone was not used for so long that the number may have another owner.
    pub is_stale: bool,
}

/// Why an account is not joined with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Both are the same account.
    Same,
    /// It belongs to staff, or many people know the code of its phone.
    Staff,
    /// It is deactivated.
    Disabled,
    /// Its phone is blocked: the user would leave the block behind.
    Blocked,
    /// Its phone was not used for so long that the number may have another owner.
    Stale,
}

/// The proof that two accounts may be joined. Only [`may_merge`] makes it.
#[derive(Debug, Clone, Copy)]
pub struct Mergeable {
    stays: Uuid,
    goes: Uuid,
}

impl Mergeable {
    /// The account that stays.
    #[must_use]
    pub fn stays(self) -> Uuid {
        self.stays
    }

    /// The account that goes.
    #[must_use]
    pub fn goes(self) -> Uuid {
        self.goes
    }
}

/// Whether two accounts may be joined. What stops the account that goes is said first: it is the one that others may want.
///
/// # Errors
/// [`Unfit`] when one of them may not be.
pub fn may_merge(stays: Party<'_>, goes: Party<'_>) -> Result<Mergeable, Unfit> {
    if stays.account.id == goes.account.id {
        return Err(Unfit::Same);
    }
    for Party { account, is_blocked, is_stale } in [goes, stays] {
        if account.role != Role::User || account.is_review {
            return Err(Unfit::Staff);
        } else if is_blocked {
            return Err(Unfit::Blocked);
        } else if !account.is_active {
            return Err(Unfit::Disabled);
        } else if is_stale {
            return Err(Unfit::Stale);
        }
    }
    Ok(Mergeable { stays: stays.account.id, goes: goes.account.id })
}

/// What the account that stays has afterwards.
#[must_use]
pub fn joined(stays: &Holdings, goes: &Holdings, proved: Option<&PhoneNumber>) -> Holdings {
    let (more, less) =
        if goes.profile.filled() > stays.profile.filled() { (goes, stays) } else { (stays, goes) };
    let mut interests = more.interests.clone();
    interests.extend(less.interests.iter().filter(|id| !more.interests.contains(id)));
    interests.truncate(MOST_INTERESTS.max(more.interests.len()));
    let own_or = |own: &Option<String>, other: &Option<String>| own.clone().or_else(|| other.clone());
    let phone = proved.map(|phone| phone.full().to_owned()).or_else(|| own_or(&stays.phone, &goes.phone));
    let has_same_phone = phone == stays.phone;
    let (first_name, last_name) = if stays.first_name.is_some() || stays.last_name.is_some() {
        (stays.first_name.clone(), stays.last_name.clone())
    } else {
        (goes.first_name.clone(), goes.last_name.clone())
    };
    Holdings {
        username: own_or(&stays.username, &goes.username),
        email: own_or(&stays.email, &goes.email),
        first_name,
        last_name,
        password_hash: own_or(&stays.password_hash, &goes.password_hash),
        external_id: own_or(&stays.external_id, &goes.external_id),
        // As after a change of the phone.
        claimed_phone: stays.claimed_phone.clone().filter(|_| has_same_phone),
        former_phone: stays.former_phone.clone().filter(|_| has_same_phone),
        unlinked_at: stays.unlinked_at.filter(|_| has_same_phone),
        phone,
        profile: more.profile.clone(),
        interests,
    }
}

/// What the account that stayed has after an undo: each value that is still the one that the merge wrote is again what it was
/// before. What was changed since stays.
#[must_use]
pub fn undone(now: &Holdings, before: &Holdings, written: &Holdings) -> Holdings {
    fn back<T: Clone + PartialEq>(now: &T, before: &T, written: &T) -> T {
        if now == written { before.clone() } else { now.clone() }
    }
    Holdings {
        phone: back(&now.phone, &before.phone, &written.phone),
        username: back(&now.username, &before.username, &written.username),
        email: back(&now.email, &before.email, &written.email),
        first_name: back(&now.first_name, &before.first_name, &written.first_name),
        last_name: back(&now.last_name, &before.last_name, &written.last_name),
        password_hash: back(&now.password_hash, &before.password_hash, &written.password_hash),
        external_id: back(&now.external_id, &before.external_id, &written.external_id),
        claimed_phone: back(&now.claimed_phone, &before.claimed_phone, &written.claimed_phone),
        former_phone: back(&now.former_phone, &before.former_phone, &written.former_phone),
        unlinked_at: back(&now.unlinked_at, &before.unlinked_at, &written.unlinked_at),
        profile: back(&now.profile, &before.profile, &written.profile),
        interests: back(&now.interests, &before.interests, &written.interests),
    }
}

/// A merge that happened.
#[derive(Debug, Clone)]
pub struct Merge {
    /// The id of the account that went.
    pub id: Uuid,
    /// The account that stayed.
    pub into: Uuid,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The admin who did it; `None`: the user.
    pub by: Option<Uuid>,
    /// What is kept for an undo.
    pub snapshot: Option<Snapshot>,
}

impl Merge {
    /// Until when it can be undone.
    #[must_use]
    pub fn undo_until(&self) -> DateTime<Utc> {
        self.at + UNDO_FOR
    }

    /// What an undo needs, while it is possible.
    #[must_use]
    pub fn undoable(&self, now: DateTime<Utc>) -> Option<&Snapshot> {
        self.snapshot.as_ref().filter(|_| now < self.undo_until())
    }
}

/// Why an admin joins two accounts, or undoes that. It is a fixed word, because the audit log keeps it for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeReason {
    /// The user asked for it.
    UserAsked,
    /// The user has two accounts by mistake, and lost the way into one.
    Duplicate,
    /// The accounts belong to two people.
    TwoPeople,
    /// Another reason; the reference leads to it.
    Other,
}

impl MergeReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::UserAsked, Self::Duplicate, Self::TwoPeople, Self::Other];

    /// The name in the audit log. It must never change.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserAsked => "user_asked",
            Self::Duplicate => "duplicate",
            Self::TwoPeople => "two_people",
            Self::Other => "other",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// Why an admin acts: a reason, and the number of a ticket or an order if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeGrounds {
    /// The reason.
    pub reason: MergeReason,
    /// The number of a ticket, an order or a call.
    pub reference: Option<Reference>,
}
