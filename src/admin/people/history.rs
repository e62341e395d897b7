//! The history of an account from the audit log, in words.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::audit::{Action, Actor, Entry},
    store::users::Called,
};

/// An entry as the page shows it.
pub(super) struct Line {
    pub(super) at: DateTime<Utc>,
    pub(super) what: String,
    /// Who did it, if it was not the user.
    pub(super) who: Option<String>,
    /// The page of the member of staff who did it.
    pub(super) by: Option<String>,
    /// Further facts, one text each.
    pub(super) facts: Vec<String>,
    pub(super) address: Option<String>,
}

/// What happened, in words. An action without words is shown by its name.
const WORDS: [(Action, &str); 21] = [
    (Action::CodeSent, "Code sent"),
    (Action::CodeNotSent, "Code not sent"),
    (Action::CodeRefused, "Code refused"),
    (Action::WrongCode, "Wrong code typed"),
    (Action::SignedIn, "Signed in"),
    (Action::SignInRefused, "Sign-in refused"),
    (Action::WrongPassword, "Wrong password"),
    (Action::Registered, "Registered"),
    (Action::RefreshReused, "An old token was used again: the session was ended"),
    (Action::LoggedOutEverywhere, "Signed out everywhere"),
    (Action::PhoneChanged, "Changed the phone number"),
    (Action::PhoneMoved, "Moved to another phone number"),
    (Action::PasswordChanged, "Changed the password"),
    (Action::Confirmed, "Confirmed the identity again"),
    (Action::AccountUnlinked, "Lost the phone number to its new owner"),
    (Action::AccountReunited, "Got the lost phone number back"),
    (Action::AccountEdited, "Names or e-mail address changed"),
    (Action::RoleChanged, "Role changed"),
    (Action::AccountDeactivated, "Deactivated"),
    (Action::AccountActivated, "Activated"),
    (Action::SessionEnded, "Session ended"),
];

/// Facts that say something to staff, with their names.
const FACTS: [(&str, &str); 13] = [
    ("by", "by"),
    ("from", "from"),
    ("to", "to"),
    ("fields", "fields"),
    ("reason", "reason"),
    ("reference", "reference"),
    ("ended", "sessions ended"),
    ("old_phone", "old number"),
    ("channel", "channel"),
    ("purpose", "purpose"),
    ("budget", "limit"),
    ("left", "guesses left"),
    ("unused_days", "days unused"),
];

/// An entry about the account `id`. `actors` are the accounts that acted.
pub(super) fn line(entry: &Entry, id: Uuid, actors: &[Called]) -> Line {
    let is_other = entry.actor_id.is_some_and(|actor| actor != id);
    let is_staff = entry.actor_kind == Actor::Staff(id).kind();
    let who = match entry.actor_kind.as_ref() {
        _ if is_staff && !is_other => Some("this account, as staff".to_owned()),
        _ if is_staff => {
            let actor = actors.iter().find(|actor| Some(actor.id) == entry.actor_id);
            let name = actor.and_then(|actor| actor.name.clone());
            Some(name.unwrap_or_else(|| "a member of staff".to_owned()))
        }
        kind if kind == Actor::System.kind() => Some("the server".to_owned()),
        kind if kind == Actor::Command.kind() => Some("an operator on the command line".to_owned()),
        _ => None,
    };
    Line {
        at: entry.at,
        what: words(&entry.action),
        who,
        by: entry.actor_id.filter(|_| is_staff && is_other).map(super::path_of),
        facts: facts(entry),
        address: entry.address.clone(),
    }
}

fn words(action: &str) -> String {
    let found = WORDS.into_iter().find(|(known, _)| known.as_str() == action);
    found.map_or_else(|| action.replace('_', " "), |(_, words)| words.to_owned())
}

fn facts(entry: &Entry) -> Vec<String> {
    let fact = |(name, shown)| {
        let value = entry.detail.get(name)?;
        let words = value.as_array().map(|items| {
            let words: Vec<&str> = items.iter().filter_map(|item| item.as_str()).collect();
            words.join(", ")
        });
        let text = value.as_str().map(str::to_owned).or(words);
        let text = text.or_else(|| value.as_i64().map(|number| number.to_string()))?;
        Some(format!("{shown}: {}", text.replace('_', " ")))
    };
    FACTS.into_iter().filter_map(fact).collect()
}
