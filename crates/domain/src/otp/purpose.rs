//! What codes are for.

/// The purpose of a challenge. A code is never valid for another purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Sign-up and login. They share one challenge, so each resends the other's code.
    SignIn,
    /// Verifying a new phone for an existing account.
    ChangePhone,
    /// Verifying again that the user holds the session.
    Confirm,
    /// Verifying the new phone of a user whom an admin moves.
    MovePhone,
    /// Verifying the phone of another account of the same user.
    Merge,
    /// Setting a new password in the place of a forgotten one.
    ResetPassword,
    /// Reserved for a second factor of staff. No request uses it yet.
    Staff,
    /// Verifying a phone for another service.
    Verification,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 8] = [
        Self::SignIn,
        Self::ChangePhone,
        Self::Confirm,
        Self::MovePhone,
        Self::Merge,
        Self::ResetPassword,
        Self::Staff,
        Self::Verification,
    ];

    /// The name in rows and code derivations. It must never change.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::ChangePhone => "change_phone",
            Self::Confirm => "confirm",
            Self::MovePhone => "move_phone",
            Self::Merge => "merge",
            Self::ResetPassword => "reset_password",
            Self::Staff => "staff",
            Self::Verification => "verification",
        }
    }

    /// The purpose with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == name)
    }
}
