//! The rights that a sign-in gives to its session, and who needs a second factor for them.

use super::account::Role;

/// Whether staff need a second factor (`STAFF_SECOND_FACTOR`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorPolicy {
    /// All staff need one.
    Required,
    /// Only those who have set one up.
    Optional,
}

impl FactorPolicy {
    /// The name of the value in the settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
        }
    }

    /// What must follow the right password before a session has the rights of this role.
    #[must_use]
    pub fn after_password(self, role: Role, is_enrolled: bool) -> AfterPassword {
        match (role, is_enrolled, self) {
            (Role::Guest | Role::User, _, _) | (Role::Staff | Role::Admin, false, Self::Optional) => {
                AfterPassword::Nothing
            }
            (Role::Staff | Role::Admin, true, _) => AfterPassword::Code,
            (Role::Staff | Role::Admin, false, Self::Required) => AfterPassword::Enrolment,
        }
    }
}

/// What must follow the right password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterPassword {
    /// Nothing: the password is enough.
    Nothing,
    /// A code of the second factor.
    Code,
    /// Setting up a second factor, which the password alone does not allow.
    Enrolment,
}

/// The rights that a sign-in gives to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    role: Role,
    has_second_factor: bool,
}

impl Rights {
    /// The rights of a user, whatever the account's role is.
    #[must_use]
    pub fn of_user() -> Self {
        Self { role: Role::User, has_second_factor: false }
    }

    /// The rights of a guest.
    #[must_use]
    pub fn of_guest() -> Self {
        Self { role: Role::Guest, has_second_factor: false }
    }

    /// The rights of the password alone: those of a user where a second factor is needed.
    #[must_use]
    pub fn of_password(policy: FactorPolicy, role: Role, is_enrolled: bool) -> Self {
        match policy.after_password(role, is_enrolled) {
            AfterPassword::Nothing => Self { role, has_second_factor: false },
            AfterPassword::Code | AfterPassword::Enrolment => Self::of_user(),
        }
    }

    /// The rights of the password and a code that was used up for this session.
    #[must_use]
    pub fn of_second_factor(role: Role) -> Self {
        Self { role, has_second_factor: true }
    }

    /// The role of the session.
    #[must_use]
    pub fn role(self) -> Role {
        self.role
    }

    /// Whether a second factor was given.
    #[must_use]
    pub fn has_second_factor(self) -> bool {
        self.has_second_factor
    }
}
