//! What people sign in with who have no code: names, e-mail addresses and passwords.
//!
//! To change: what a username may hold is [`Username::parse`], what a password must be is [`Password::check`], what a
//! hash costs is `hash.rs`. Each rule has its row in the tests beside it.

mod hash;
mod names;
mod password;

pub use self::{
    hash::{HashError, PasswordHash, SALT_BYTES, Workspace},
    names::{
        ClaimedPhone, Email, LONGEST_EMAIL, LONGEST_NAME, LONGEST_PHONE, Login, NameError, PersonName,
        Username,
    },
    password::Password,
};

#[cfg(test)]
mod tests;
