//! Who gets an account: the setting `SIGNUPS`, and the one rule that every creation of an account passes.
//!
//! The ids of a new account hold an [`Admission`], and no row of an account can be written without these ids. So a use case that
//! creates accounts has to ask [`Signups::admit`], or be one of the exceptions that are named here.

use std::str::FromStr;

use uuid::Uuid;

use super::{
    account_merge::Kept,
    roles::{AccountPermission, AdminPermission, StaffPermission},
};

/// Who may sign up: `SIGNUPS`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signups {
    /// Everyone.
    #[default]
    Open,
    /// People with an invitation.
    Invited,
    /// Nobody.
    Closed,
}

/// An invitation of which one use was taken for the account that is about to be created. Only `store::invitations::claim`
/// creates it: a test of the architecture looks for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedInvitation {
    id: Uuid,
}

impl UsedInvitation {
    /// One use of the invitation with this id was taken.
    #[must_use]
    pub fn claimed(id: Uuid) -> Self {
        Self { id }
    }

    /// The id of the invitation.
    #[must_use]
    pub fn id(self) -> Uuid {
        self.id
    }
}

/// The permission to create one account, in whichever way.
#[derive(Debug, Clone, Copy)]
pub struct Admission {
    invitation: Option<Uuid>,
}

/// A user without an account gets none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignupClosed;

impl Signups {
    /// The rule: whether a person who has no account gets one.
    ///
    /// # Errors
    /// [`SignupClosed`] where nobody signs up, or nobody without an invitation.
    pub fn admit(self, invitation: Option<&UsedInvitation>) -> Result<Admission, SignupClosed> {
        match (self, invitation) {
            (Self::Open, None) => Ok(Admission::WITHOUT_INVITATION),
            (Self::Open | Self::Invited, Some(used)) => Ok(Admission { invitation: Some(used.id) }),
            (Self::Invited, None) | (Self::Closed, _) => Err(SignupClosed),
        }
    }

    /// Whether an invitation can make a difference.
    #[must_use]
    pub fn takes_invitations(self) -> bool {
        match self {
            Self::Invited => true,
            Self::Open | Self::Closed => false,
        }
    }

    /// The name of the setting's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Invited => "invited",
            Self::Closed => "closed",
        }
    }
}

/// The exceptions: an account that staff or the operator make. Each is used in one place, which a test of the architecture checks.
impl Admission {
    const WITHOUT_INVITATION: Self = Self { invitation: None };

    /// The invitation that made the account.
    #[must_use]
    pub fn invitation(self) -> Option<Uuid> {
        self.invitation
    }

    /// Staff verify a phone by hand: they know the user.
    #[must_use]
    pub fn by_hand(_: StaffPermission) -> Self {
        Self::WITHOUT_INVITATION
    }

    /// An admin makes the account of another person.
    #[must_use]
    pub fn by_admin(_: AdminPermission) -> Self {
        Self::WITHOUT_INVITATION
    }

    /// The operator brings users from another system.
    #[must_use]
    pub fn by_import() -> Self {
        Self::WITHOUT_INVITATION
    }

    /// An admin brings back an account that was joined with another one.
    #[must_use]
    pub fn by_undo(_: AccountPermission, gone: &Kept) -> Self {
        Self { invitation: gone.invitation_id }
    }

    /// The operator makes an admin.
    #[must_use]
    pub fn by_createsuperuser() -> Self {
        Self::WITHOUT_INVITATION
    }
}

/// The setting has none of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownSignups;

impl FromStr for Signups {
    type Err = UnknownSignups;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Open, Self::Invited, Self::Closed]
            .into_iter()
            .find(|signups| signups.as_str().eq_ignore_ascii_case(text))
            .ok_or(UnknownSignups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_invited_come_in_where_an_invitation_is_needed_and_nobody_where_it_is_closed() {
        let invitation = UsedInvitation::claimed(Uuid::from_u128(7));
        for (signups, without, with) in
            [(Signups::Open, true, true), (Signups::Invited, false, true), (Signups::Closed, false, false)]
        {
            assert_eq!(signups.admit(None).is_ok(), without, "{signups:?} without an invitation");
            assert_eq!(signups.admit(Some(&invitation)).is_ok(), with, "{signups:?} with an invitation");
        }
    }

    #[test]
    fn the_values_of_the_setting_are_these_three() {
        for (text, expected) in [
            ("open", Ok(Signups::Open)),
            ("invited", Ok(Signups::Invited)),
            ("Closed", Ok(Signups::Closed)),
            ("", Err(UnknownSignups)),
            ("true", Err(UnknownSignups)),
            ("invite", Err(UnknownSignups)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        assert_eq!(Signups::default(), Signups::Open);
    }
}
