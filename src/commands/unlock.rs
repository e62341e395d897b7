//! `loopin-auth unlock`: its output.

use crate::domain::phone::PhoneNumber;

/// What locked a phone, as a sentence. The number is masked, because terminals are shared and recorded.
#[must_use]
pub fn said(phone: &PhoneNumber, unlocked: &[&'static str]) -> String {
    if unlocked.is_empty() {
        format!("{phone} was not locked; wrong guesses at it are forgotten")
    } else {
        format!("{phone} is unlocked; it was locked by {}", unlocked.join(", "))
    }
}
