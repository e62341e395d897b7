//! Credentials for sign-in without a code: usernames, e-mail addresses and passwords.
//!
//! To change a rule: usernames in [`Username::parse`], passwords in [`Password::check`], the cost of a hash in
//! `hash.rs`. Each rule has a row in the tests.

mod hash;
mod names;
mod old_hash;
mod password;

pub use self::{
    hash::{HashError, PasswordHash, SALT_BYTES, Workspace},
    names::{
        ClaimedPhone, Email, LONGEST_EMAIL, LONGEST_NAME, LONGEST_PHONE, Login, NameError, PersonName,
        Username,
    },
    old_hash::{OldCosts, OldHashError},
    password::Password,
};

#[cfg(test)]
mod tests;
