//! Messages without a code, which tell a user of a change of the account.

/// A message without a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// To the old number of an account that has another one.
    PhoneChanged,
    /// To the phone of an account whose password was set in the place of a forgotten one.
    PasswordChanged,
    /// To the phones of two accounts that were joined.
    AccountsMerged,
}

impl Notice {
    /// Every notice.
    pub const ALL: [Self; 3] = [Self::PhoneChanged, Self::PasswordChanged, Self::AccountsMerged];

    /// Its key in the files of texts, and the template name in the rows of messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PhoneChanged => "phone_changed",
            Self::PasswordChanged => "password_changed",
            Self::AccountsMerged => "accounts_merged",
        }
    }
}
