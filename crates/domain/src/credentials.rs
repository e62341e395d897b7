//! What people sign in with who have no code: names, e-mail addresses and passwords.
//!
//! To change: what a username may hold is [`Username::parse`], what a password must be is [`Password::check`], what a
//! hash costs is `hash.rs`. Each rule has its row in the tests beside it.

mod hash;
mod names;
mod password;

pub use self::{
    hash::{HashFault, PasswordHash, SALT_BYTES, Workspace},
    names::{
        ClaimedPhone, Email, LONGEST_EMAIL, LONGEST_NAME, LONGEST_PHONE, Login, NameFault, PersonName,
        Username,
    },
    password::Password,
};

use super::account::Account;

/// What became of a name and a password.
#[derive(Debug)]
pub enum SignIn {
    /// They are right.
    Right(Box<Account>),
    /// They are right, and the account was disabled.
    Disabled,
    /// One of them is wrong. Which one is for nobody to know.
    Wrong,
}

/// Judges a name and a password: whoever was found by the name, and whether the password is hers. Only whoever knows
/// the password learns that an account is disabled.
#[must_use]
pub fn judge(found: Option<Account>, is_right: bool) -> SignIn {
    match found {
        Some(account) if is_right && account.has_password => {
            if account.is_active {
                SignIn::Right(Box::new(account))
            } else {
                SignIn::Disabled
            }
        }
        Some(_) | None => SignIn::Wrong,
    }
}

#[cfg(test)]
mod tests;
