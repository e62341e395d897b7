//! Reads from the audit log what happened to a sign-in.

use chrono::Duration;
use serde_json::Value;
use uuid::Uuid;

use super::facts::{Happened, What};
use crate::{
    audit::{Action, Entry},
    budget::Budget,
};

/// What an entry says about a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// Nothing.
    Nothing,
    /// A message was sent, or was to be sent: its row says more.
    Message,
    /// Something else happened.
    Happened(Happened),
}

/// The newest thing that happened to a sign-in. `None` if it was a message, or if the entries know nothing. They are sorted,
/// newest first.
#[must_use]
pub fn last_happened<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Option<Happened> {
    let newest = entries.into_iter().map(read).find(|says| *says != Says::Nothing)?;
    match newest {
        Says::Happened(happened) => Some(happened),
        Says::Message | Says::Nothing => None,
    }
}

/// What an entry says about a sign-in.
#[must_use]
pub fn read(entry: &Entry) -> Says {
    let is = |action: Action| entry.action == action.as_str();
    if is(Action::CodeSent) || is(Action::CodeNotSent) {
        return Says::Message;
    }
    let what = if is(Action::CodeRefused) {
        (!is_of_key(entry)).then(|| code_refused(entry))
    } else if is(Action::GuessRefused) || is(Action::PhoneLocked) {
        Some(by_budget(entry).unwrap_or_else(|| excluded(entry)))
    } else if is(Action::ChallengeFailed) {
        Some(match word(entry, "reason") {
            Some("missing") => What::BotCheckMissing,
            Some("unavailable") => What::BotCheckUnavailable,
            Some("hook") => What::HookChallenged,
            _ => What::BotCheckFailed,
        })
    } else if is(Action::SignInRefused) {
        sign_in_refused(entry)
    } else if is(Action::WrongPassword) {
        (word(entry, "for") == Some("sign_in")).then_some(What::WrongPassword)
    } else if is(Action::SignedIn) {
        Some(match word(entry, "by") {
            Some("code") => What::SignedIn,
            Some("exchange") => What::SignedInByToken,
            _ => What::SignedInByPassword,
        })
    } else if is(Action::ReviewSignIn) || is(Action::PhoneChanged) {
        Some(What::SignedIn)
    } else if is(Action::PhoneLeft) {
        Some(What::MovedAway)
    } else if is(Action::PhoneMoved) {
        Some(What::MovedHere)
    } else if is(Action::BlockMade) {
        Some(What::Blocked(block(entry)))
    } else if is(Action::LeadVerifiedByStaff) {
        Some(What::VerifiedByHand)
    } else if is(Action::RefreshReused) {
        Some(What::SignedOut)
    } else {
        is(Action::AccountDeleted).then_some(What::AccountDeleted)
    };
    what.map_or(Says::Nothing, |what| {
        Says::Happened(Happened { at: entry.at, what, address: entry.address.clone() })
    })
}

/// Whether the key of another service may not send to the country, which says nothing about a sign-in.
fn is_of_key(entry: &Entry) -> bool {
    word(entry, "service").is_some() && word(entry, "reason") == Some("region_not_allowed")
}

fn code_refused(entry: &Entry) -> What {
    by_budget(entry).unwrap_or_else(|| match word(entry, "reason") {
        Some("no_account") => What::NoAccount,
        Some("already_registered") => What::AlreadyRegistered,
        Some("signup_closed") => What::SignupClosed,
        Some("hook_denied") => What::HookDenied,
        Some("hook_failed") => What::HookFailed,
        _ => excluded(entry),
    })
}

/// `None` for a token of another system: what is wrong with it says nothing about codes.
fn sign_in_refused(entry: &Entry) -> Option<What> {
    if word(entry, "by") == Some("exchange") && word(entry, "block").is_none() {
        return None;
    }
    Some(by_budget(entry).unwrap_or_else(|| match word(entry, "reason") {
        Some("no_account") => What::RightCodeNoAccount,
        Some("signup_closed") => What::RightCodeSignupClosed,
        _ => excluded(entry),
    }))
}

/// A refusal without a budget: by a block, which the entry names, or by the settings or the account.
fn excluded(entry: &Entry) -> What {
    if word(entry, "block").is_some() { What::RefusedByBlock(block(entry)) } else { What::Excluded }
}

/// The id of the block that an entry is about.
fn block(entry: &Entry) -> Option<Uuid> {
    word(entry, "block")?.parse().ok()
}

/// The budget that refused, and until when.
fn by_budget(entry: &Entry) -> Option<What> {
    let name = word(entry, "budget")?;
    let budget = Budget::ALL.into_iter().find(|budget| budget.as_str() == name)?;
    let seconds = entry.detail.get("retry_after").and_then(Value::as_i64);
    Some(What::Refused(budget, seconds.map(|seconds| entry.at + Duration::seconds(seconds))))
}

fn word<'a>(entry: &'a Entry, name: &str) -> Option<&'a str> {
    entry.detail.get(name).and_then(Value::as_str)
}
