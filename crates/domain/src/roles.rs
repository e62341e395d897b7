//! Permissions: which role may do what to which account.
//!
//! The session and the account must both give a right: the session knows how the user signed in. So a session opened
//! with a phone code has no staff rights, and neither has a session from before a demotion.
//!
//! To add an act: a function here that returns a permission value, which the store's function then requires, and rows
//! in the tests below.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    access::{Session, SignedIn},
    account::{Account, Role},
    address::ClientAddress,
    audit::Actor,
};

/// The caller does not have the permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden;

/// Permission to list users. Only [`may_list`] creates it.
#[derive(Debug, Clone, Copy)]
pub struct ListPermission(());

/// Permission to read one account. Only [`may_read`] creates it.
#[derive(Debug, Clone, Copy)]
pub struct ReadPermission(Uuid);

impl ReadPermission {
    /// The account.
    #[must_use]
    pub fn target(self) -> Uuid {
        self.0
    }
}

/// Permission to change one account, as long as the account has one of the listed roles.
#[derive(Debug, Clone, Copy)]
pub struct EditPermission {
    by: Uuid,
    target: Uuid,
    over: &'static [Role],
}

impl EditPermission {
    /// The account of the caller.
    #[must_use]
    pub fn by(self) -> Uuid {
        self.by
    }

    /// The account to change.
    #[must_use]
    pub fn target(self) -> Uuid {
        self.target
    }

    /// The roles that the account may have. Its role can change between this check and the write, so the write checks
    /// again.
    #[must_use]
    pub fn over(self) -> &'static [Role] {
        self.over
    }

    /// Permission to read the changed account.
    #[must_use]
    pub fn read_permission(self) -> ReadPermission {
        ReadPermission(self.target)
    }
}

/// Permission to do the daily work of staff: leads, messages, locks, prefix rules.
#[derive(Debug, Clone, Copy)]
pub struct StaffPermission {
    actor: Actor,
    from: Option<ClientAddress>,
}

impl StaffPermission {
    /// For the command line: an operator who can run commands can change the database anyway.
    #[must_use]
    pub fn by_command() -> Self {
        Self { actor: Actor::Command, from: None }
    }

    /// The actor for the audit log.
    #[must_use]
    pub fn actor(self) -> Actor {
        self.actor
    }

    /// The client's address, if there is one.
    #[must_use]
    pub fn from(self) -> Option<ClientAddress> {
        self.from
    }
}

/// Permission to do what only admins do: blocks, exports, deletion, the second factor of others.
#[derive(Debug, Clone, Copy)]
pub struct AdminPermission(StaffPermission);

impl AdminPermission {
    /// For the command line, like [`StaffPermission::by_command`].
    #[must_use]
    pub fn by_command() -> Self {
        Self(StaffPermission::by_command())
    }

    /// The actor for the audit log.
    #[must_use]
    pub fn actor(self) -> Actor {
        self.0.actor
    }

    /// The client's address, if there is one.
    #[must_use]
    pub fn from(self) -> Option<ClientAddress> {
        self.0.from
    }

    /// The permission of staff, which admins have too.
    #[must_use]
    pub fn staff(self) -> StaffPermission {
        self.0
    }
}

/// Permission to do to one account of another person what only admins do: delete it, or move its phone.
#[derive(Debug, Clone, Copy)]
pub struct AccountPermission {
    admin: AdminPermission,
    target: Uuid,
}

impl AccountPermission {
    /// The account.
    #[must_use]
    pub fn target(self) -> Uuid {
        self.target
    }

    /// The permission without the account.
    #[must_use]
    pub fn admin(self) -> AdminPermission {
        self.admin
    }

    /// The actor for the audit log.
    #[must_use]
    pub fn actor(self) -> Actor {
        self.admin.actor()
    }

    /// The client's address, if there is one.
    #[must_use]
    pub fn from(self) -> Option<ClientAddress> {
        self.admin.from()
    }

    /// Permission to read the account.
    #[must_use]
    pub fn read_permission(self) -> ReadPermission {
        ReadPermission(self.target)
    }
}

const ALL_ROLES: &[Role] = &Role::ALL;
const USERS_AND_STAFF: &[Role] = &[Role::Guest, Role::User, Role::Staff];
const USERS_ONLY: &[Role] = &[Role::Guest, Role::User];
const WITH_A_ROLE_TO_CHANGE: &[Role] = &Role::NEW;

/// The role that applies in this session: the lesser of the session's and the account's.
#[must_use]
pub fn effective(caller: &SignedIn) -> Role {
    effective_of(caller.session(), caller.account())
}

fn effective_of(session: &Session, account: &Account) -> Role {
    session.role.min(account.role)
}

/// Users may change what opens or ends their own account: its e-mail address, phone, password, other sessions, and the account
/// itself. A session of staff that has fewer rights than its account may not: it was opened by a phone code, or without
/// the second factor, and could take the account away from its owner. It may still read, change the profile, and end itself.
///
/// # Errors
/// [`Forbidden`] when the account's role is above that of this session.
pub fn may_control_own(session: &Session, account: &Account) -> Result<(), Forbidden> {
    if account.role > effective_of(session, account) { Err(Forbidden) } else { Ok(()) }
}

/// Guests may use their profile, verify a phone, sign out and delete the account. Everything else is for users.
///
/// # Errors
/// [`Forbidden`] for a guest.
pub fn may_act_as_user(caller: &SignedIn) -> Result<(), Forbidden> {
    if effective(caller) >= Role::User { Ok(()) } else { Err(Forbidden) }
}

/// Whether the user was proved to be there recently, as changing the phone and deleting the account require. A guest has nothing to
/// prove it with: the holder of the session is the guest.
#[must_use]
pub fn has_recent_proof(session: &Session, account: &Account, now: DateTime<Utc>) -> bool {
    account.role == Role::Guest || session.has_recent_auth(now)
}

fn is_self(caller: &SignedIn, target: Uuid) -> bool {
    caller.account().id == target
}

/// Staff may list users.
pub fn may_list(caller: &SignedIn) -> Result<ListPermission, Forbidden> {
    if effective(caller) >= Role::Staff { Ok(ListPermission(())) } else { Err(Forbidden) }
}

/// Every user may read their own account; staff may read all.
///
/// # Errors
/// [`Forbidden`] for another's account, whether it exists or not.
pub fn may_read(caller: &SignedIn, target: Uuid) -> Result<ReadPermission, Forbidden> {
    if is_self(caller, target) || effective(caller) >= Role::Staff {
        Ok(ReadPermission(target))
    } else {
        Err(Forbidden)
    }
}

/// Staff, and the user of the account that stayed, may know which account another one was joined with.
#[must_use]
pub fn may_know_merge(caller: &SignedIn, into: Uuid) -> bool {
    may_read(caller, into).is_ok()
}

/// Users may change their own names and e-mail address, as [`may_control_own`] says: a user signs in by the address, and
/// colleagues know each other by the names. Staff may change those of users, admins those of all accounts.
pub fn may_edit(caller: &SignedIn, target: Uuid) -> Result<EditPermission, Forbidden> {
    if is_self(caller, target) {
        may_control_own(caller.session(), caller.account())?;
        let up_to = match effective(caller) {
            Role::Admin => ALL_ROLES,
            Role::Staff => USERS_AND_STAFF,
            Role::User | Role::Guest => USERS_ONLY,
        };
        Ok(edit_permission(caller, target, up_to))
    } else {
        may_deactivate(caller, target)
    }
}

/// Staff may activate and deactivate users, admins all accounts, but never their own.
pub fn may_deactivate(caller: &SignedIn, target: Uuid) -> Result<EditPermission, Forbidden> {
    match effective(caller) {
        _ if is_self(caller, target) => Err(Forbidden),
        Role::Admin => Ok(edit_permission(caller, target, ALL_ROLES)),
        Role::Staff => Ok(edit_permission(caller, target, USERS_ONLY)),
        Role::User | Role::Guest => Err(Forbidden),
    }
}

/// Admins may change roles, but never their own, and never a guest's: as a user a guest could not sign in again.
pub fn may_promote(caller: &SignedIn, target: Uuid) -> Result<EditPermission, Forbidden> {
    let permission = may_deactivate(caller, target)?;
    match effective(caller) {
        Role::Admin => Ok(EditPermission { over: WITH_A_ROLE_TO_CHANGE, ..permission }),
        Role::Staff | Role::User | Role::Guest => Err(Forbidden),
    }
}

/// Staff and admins may do the daily work.
pub fn may_act_as_staff(caller: &SignedIn, from: ClientAddress) -> Result<StaffPermission, Forbidden> {
    match effective(caller) {
        Role::Staff | Role::Admin => {
            Ok(StaffPermission { actor: Actor::Staff(caller.account().id), from: Some(from) })
        }
        Role::User | Role::Guest => Err(Forbidden),
    }
}

/// Only admins may do what cannot be undone, or shows much at once.
pub fn may_act_as_admin(caller: &SignedIn, from: ClientAddress) -> Result<AdminPermission, Forbidden> {
    match effective(caller) {
        Role::Admin => may_act_as_staff(caller, from).map(AdminPermission),
        Role::Staff | Role::User | Role::Guest => Err(Forbidden),
    }
}

/// Admins may delete and move every account but their own.
pub fn may_administer(
    caller: &SignedIn,
    target: Uuid,
    from: ClientAddress,
) -> Result<AccountPermission, Forbidden> {
    if is_self(caller, target) {
        return Err(Forbidden);
    }
    Ok(AccountPermission { admin: may_act_as_admin(caller, from)?, target })
}

fn edit_permission(caller: &SignedIn, target: Uuid, over: &'static [Role]) -> EditPermission {
    EditPermission { by: caller.account().id, target, over }
}

#[cfg(test)]
#[path = "roles/tests.rs"]
mod tests;
