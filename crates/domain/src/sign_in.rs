//! The verdict on a sign-in with a name and a password.

use super::account::Account;

/// The outcome of a sign-in with a password.
#[derive(Debug)]
pub enum SignIn {
    /// Name and password are right.
    Right(Box<Account>),
    /// Name and password are right, but the account is disabled.
    Disabled,
    /// The name or the password is wrong. Callers cannot tell which.
    Wrong,
}

/// Judges a sign-in from the account that has the name and from whether the password matches. Only a caller with the
/// right password learns that an account is disabled.
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
