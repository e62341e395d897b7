//! Signing in by a name and a password: what comes of them.

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
