//! Who may do what to whose account.
//!
//! Rights come from two rows that must both still give them: the session, which knows how its holder came in, and the
//! account. So a phone code opens no rights of staff, and neither does a session from before somebody was made less.
//!
//! To add an act: a function here that returns a leave, which the store's function then asks for, and its rows in the
//! tests below.

use uuid::Uuid;

use super::{access::SignedIn, account::Role, address::ClientAddress, audit::Actor};

/// Whoever asks may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden;

/// Leave to look at everybody. Only [`may_list`] gives it.
#[derive(Debug, Clone, Copy)]
pub struct ListPermission(());

/// Leave to read one account. Only [`may_read`] gives it.
#[derive(Debug, Clone, Copy)]
pub struct ReadPermission(Uuid);

impl ReadPermission {
    /// Whose account.
    #[must_use]
    pub fn target(self) -> Uuid {
        self.0
    }
}

/// Leave to change one account, as long as its role is one of those that it is good for.
#[derive(Debug, Clone, Copy)]
pub struct EditPermission {
    by: Uuid,
    target: Uuid,
    over: &'static [Role],
}

impl EditPermission {
    /// Who acts.
    #[must_use]
    pub fn by(self) -> Uuid {
        self.by
    }

    /// On whose account.
    #[must_use]
    pub fn target(self) -> Uuid {
        self.target
    }

    /// Which roles that account may have. Somebody may be given another one between this answer and the write, so the
    /// write asks again.
    #[must_use]
    pub fn over(self) -> &'static [Role] {
        self.over
    }

    /// Leave to read what was changed.
    #[must_use]
    pub fn read_permission(self) -> ReadPermission {
        ReadPermission(self.target)
    }
}

/// Leave to look at locks and prefixes of numbers, and to lift and set them.
#[derive(Debug, Clone, Copy)]
pub struct AbusePermission {
    actor: Actor,
    from: Option<ClientAddress>,
}

impl AbusePermission {
    /// Whoever may run the program's commands can do as much to the database anyway.
    #[must_use]
    pub fn by_command() -> Self {
        Self { actor: Actor::Command, from: None }
    }

    /// Who acts.
    #[must_use]
    pub fn actor(self) -> Actor {
        self.actor
    }

    /// From where.
    #[must_use]
    pub fn from(self) -> Option<ClientAddress> {
        self.from
    }
}

const EVERYBODY: &[Role] = &[Role::User, Role::Staff, Role::Admin];
const USERS: &[Role] = &[Role::User];

/// What somebody may in this session: the lesser of its two roles.
#[must_use]
pub fn effective(who: &SignedIn) -> Role {
    who.session().role.min(who.account().role)
}

fn is_self(who: &SignedIn, target: Uuid) -> bool {
    who.account().id == target
}

/// Staff see who there is.
///
/// # Errors
/// Everybody else may not.
pub fn may_list(who: &SignedIn) -> Result<ListPermission, Forbidden> {
    if effective(who) >= Role::Staff { Ok(ListPermission(())) } else { Err(Forbidden) }
}

/// Everybody may read what is held about herself; staff read about all.
///
/// # Errors
/// A user may not read of others, whether they exist or not.
pub fn may_read(who: &SignedIn, target: Uuid) -> Result<ReadPermission, Forbidden> {
    if is_self(who, target) || effective(who) >= Role::Staff {
        Ok(ReadPermission(target))
    } else {
        Err(Forbidden)
    }
}

/// Everybody may change her own names and address. Staff change those of users, admins those of everybody.
///
/// # Errors
/// Nobody else may.
pub fn may_edit(who: &SignedIn, target: Uuid) -> Result<EditPermission, Forbidden> {
    if is_self(who, target) {
        Ok(edit_permission(who, target, EVERYBODY))
    } else {
        may_deactivate(who, target)
    }
}

/// An account is switched off and on by staff where it is a user's, by admins where it is anybody's, and never by its
/// owner.
///
/// # Errors
/// Nobody else may.
pub fn may_deactivate(who: &SignedIn, target: Uuid) -> Result<EditPermission, Forbidden> {
    match effective(who) {
        _ if is_self(who, target) => Err(Forbidden),
        Role::Admin => Ok(edit_permission(who, target, EVERYBODY)),
        Role::Staff => Ok(edit_permission(who, target, USERS)),
        Role::User => Err(Forbidden),
    }
}

/// What somebody may do is said by admins, and never by herself.
///
/// # Errors
/// Nobody else may.
pub fn may_promote(who: &SignedIn, target: Uuid) -> Result<EditPermission, Forbidden> {
    match effective(who) {
        Role::Admin => may_deactivate(who, target),
        Role::Staff | Role::User => Err(Forbidden),
    }
}

/// Staff look after locks and prefixes.
///
/// # Errors
/// Users do not.
pub fn may_manage_abuse(who: &SignedIn, from: ClientAddress) -> Result<AbusePermission, Forbidden> {
    match effective(who) {
        Role::Staff | Role::Admin => {
            Ok(AbusePermission { actor: Actor::Staff(who.account().id), from: Some(from) })
        }
        Role::User => Err(Forbidden),
    }
}

fn edit_permission(who: &SignedIn, target: Uuid, over: &'static [Role]) -> EditPermission {
    EditPermission { by: who.account().id, target, over }
}

#[cfg(test)]
#[path = "roles/tests.rs"]
mod tests;
