//! Entries of the audit log in the words of people: what happened, and the facts. The list of entries and the histories of
//! people and leads share them. `docs/AUDIT.md` describes the same entries by their stored names.

use chrono::DateTime;
use chrono_tz::Tz;
use serde_json::Value;

use super::{channel, lead_state, limit, reason};
use crate::{
    admin::figures::grouped,
    domain::{
        audit::{Action, Detail},
        budget::Budget,
        delivery::{Channel, UnreachableReason},
        lead::State,
        verdict::wait,
    },
};

/// What happened, as a sentence. An action of a newer version is shown by its name.
pub fn sentence(action: &str) -> String {
    action.parse().map_or_else(|_| plain(action), |action| of_action(action).to_owned())
}

/// What happened, as a sentence without a full stop.
pub fn of_action(action: Action) -> &'static str {
    match action {
        Action::CodeSent => "A code was sent",
        Action::CodeNotSent => "The provider did not take the code",
        Action::CodeRefused => "A request for a code was refused",
        Action::CodeResentByStaff => "Staff had a code sent",
        Action::WrongCode => "A wrong code was entered",
        Action::GuessRefused => "A code was not checked",
        Action::PhoneLocked => "Wrong codes locked the number",
        Action::PhoneUnlocked => "The number was unlocked",
        Action::SignedIn => "The user signed in",
        Action::SignInRefused => "A sign-in was refused",
        Action::WrongPassword => "A wrong password was entered",
        Action::WrongSecondFactor => "A wrong code of the second factor was entered",
        Action::SecondFactorClosed => "Wrong codes closed the second step of the sign-in",
        Action::SecondFactorEnrolled => "A second factor was set up",
        Action::SecondFactorReset => "The second factor was reset",
        Action::EnrolmentLinkMade => "A link that sets up a second factor was made",
        Action::RecoveryCodeUsed => "A recovery code was used",
        Action::Registered => "The account was registered",
        Action::RegistrationRefused => "A registration was refused",
        Action::RefreshReused => "An old token was used again, and the session was ended",
        Action::LoggedOutEverywhere => "The user signed out everywhere",
        Action::PhoneChanged => "The phone number was changed",
        Action::PasswordChanged => "The password was set or changed",
        Action::Confirmed => "The user proved again who they are",
        Action::PhoneLeft => "The account moved from this number to another one",
        Action::PhoneMoved => "The account was moved to another phone number",
        Action::SessionEnded => "A session was ended",
        Action::AccountDeleted => "The account was deleted",
        Action::AccountUnlinked => "The account lost its number to a new owner",
        Action::AccountReunited => "The account got its number back",
        Action::AccountsMerged => "Two accounts of the user became one",
        Action::MergeUndone => "Two accounts that had become one are two again",
        Action::AccountEdited => "The names or the e-mail address were changed",
        Action::RoleChanged => "The role was changed",
        Action::AccountDeactivated => "The account was deactivated",
        Action::AccountActivated => "The account was activated",
        Action::PhoneShown => "The whole number was shown",
        Action::PhonesShown => "A list of whole numbers was shown",
        Action::ReviewSignIn => "An app reviewer signed in with the fixed code",
        Action::PrefixClosed => "A prefix was closed",
        Action::PrefixOpened => "A prefix was opened",
        Action::PrefixHeldOpen => "A prefix is held open",
        Action::ProvidersReordered => "The order of the SMS providers was changed",
        Action::EventSkipped => "An event was given up",
        Action::EventsReplayed => "Events are sent again",
        Action::CapReached => "The messages of the day are nearly used up",
        Action::ChallengeFailed => "A bot check was not passed",
        Action::BlockMade => "A block was made",
        Action::BlockEnded => "A block was ended",
        Action::InvitationMade => "An invitation was made",
        Action::InvitationEnded => "An invitation was ended",
        Action::InvitationUsed => "An account was made with an invitation",
        Action::InterestAdded => "An event interest was added",
        Action::InterestChanged => "An event interest was changed",
        Action::SettingsChanged => "The settings were changed",
        Action::ServerStarted => "A server was started",
        Action::LeadChanged => "The lead was changed",
        Action::LeadVerifiedByStaff => "The number was verified by hand",
        Action::LeadsExported => "An export of leads began",
        Action::LeadsExportEnded => "An export of leads ended",
        Action::ImportBegan => "An import from another system began",
        Action::ImportEnded => "An import from another system ended",
        Action::RenumberingBegan => "A change of a country's numbers began",
        Action::PhoneRenumbered => "The country changed the number",
        Action::RenumberingEnded => "A change of a country's numbers ended",
        Action::AuditDropped => "Old months of the audit log were dropped",
        Action::ApiKeyMade => "An API key was made",
        Action::ApiKeyEnded => "An API key was ended",
        Action::VerificationApproved => "The right code was entered for another service",
        Action::VerificationCanceled => "Another service canceled its check",
        Action::AuditLost => "Entries of the audit log were lost",
    }
}

/// Who acts: one of [`crate::domain::audit::Actor::KINDS`].
pub fn actor(kind: &str) -> String {
    match kind {
        "person" => "User".to_owned(),
        "system" => "Server".to_owned(),
        "command" => "Command line".to_owned(),
        "service" => "Another service".to_owned(),
        kind => plain(kind),
    }
}

/// What the facts of entries are called. `settings` is for the server: `changed` says the same to people.
const FACTS: [(&str, &str); 77] = [
    ("service", "Service"),
    ("scopes", "Allows"),
    ("purpose", "Purpose"),
    ("channel", "Channel"),
    ("resend", "Same code again"),
    ("reason", "Reason"),
    ("budget", "Limit"),
    ("retry_after", "Wait"),
    ("until", "Until"),
    ("left", "Left"),
    ("uses", "Accounts"),
    ("by", "By"),
    ("issuer", "Issuer"),
    ("for", "At"),
    ("second_factor", "Second factor"),
    ("from", "From"),
    ("to", "To"),
    ("fields", "Changed"),
    ("changed", "Changed"),
    ("reference", "Reference"),
    ("old_phone", "Old number"),
    ("ended", "Sessions ended"),
    ("was", "Was before"),
    ("unused_days", "Days unused"),
    ("new_account", "New account"),
    ("converted", "Lead verified"),
    ("role", "Role"),
    ("enrolled", "Was set up before"),
    ("first", "First password"),
    ("device", "Known device"),
    ("kind", "Kind"),
    ("value", "Blocked"),
    ("prefix", "Prefix"),
    ("country", "Country"),
    ("half", "On trial"),
    ("sent", "Sent"),
    ("verified", "Verified"),
    ("cap", "Limit of the day"),
    ("percent", "Percent used"),
    ("provider", "Provider"),
    ("interest", "Interest"),
    ("is_active", "Active"),
    ("leads", "Leads"),
    ("filters", "Filters"),
    ("list", "List"),
    ("accounts", "Accounts"),
    ("blocks", "Blocks"),
    ("conflicts", "Conflicts"),
    ("number", "Number"),
    ("outcome", "Outcome"),
    ("before", "Before"),
    ("order", "Order of providers"),
    ("shares", "Codes entered, of those sent"),
    ("type", "Type"),
    ("events", "Events"),
    ("entries", "Entries"),
    ("source", "Source"),
    ("merged", "Merged"),
    ("refused", "Refused"),
    ("version", "Version"),
    ("environment", "Environment"),
    ("delivery_id", "Delivery"),
    ("sid", "Session"),
    ("kept", "Session that goes on"),
    ("block", "Block"),
    ("invitation", "Invitation"),
    ("event", "Event"),
    ("lead_id", "Lead"),
    ("verification", "Verification"),
    ("new_user_id", "Account that has it now"),
    ("from_user_id", "Account that had it"),
    ("merged_user_id", "Account that went"),
    ("into_user_id", "Account that stayed"),
    ("restored_user_id", "Account that is there again"),
    ("name", "Hash of the name"),
    ("old_phone_mark", "Hash of the old number"),
    ("settings", ""),
];

/// Facts that only name or mark rows. A history leaves them out.
const REFERENCES: [&str; 12] = [
    "verification",
    "delivery_id",
    "sid",
    "kept",
    "block",
    "invitation",
    "event",
    "lead_id",
    "new_user_id",
    "from_user_id",
    "name",
    "old_phone_mark",
];

/// All facts of an entry: their names and values.
pub fn facts(detail: &Detail, zone: Tz) -> Vec<(String, String)> {
    let known = FACTS.iter().filter_map(|(name, label)| Some((*name, *label, detail.get(name)?)));
    let is_unknown = |name: &str| !FACTS.iter().any(|(known, _)| *known == name);
    let known = known.filter(|(_, label, _)| !label.is_empty());
    let told = known.map(|(name, label, fact)| (label.to_owned(), value(name, fact, zone)));
    let unknown = detail.iter().filter(|(name, _)| is_unknown(name));
    let told = told.chain(unknown.map(|(name, fact)| (plain(name), value(name, fact, zone))));
    told.filter(|(_, text)| !text.is_empty()).collect()
}

/// The facts that say something in a history, in one line.
pub fn short_facts(detail: &Detail, zone: Tz) -> String {
    let told = FACTS.iter().filter(|(name, label)| !label.is_empty() && !REFERENCES.contains(name));
    let told = told.filter_map(|(name, label)| Some((label, value(name, detail.get(name)?, zone))));
    let told = told.filter(|(_, text)| !text.is_empty());
    told.map(|(label, text)| format!("{label}: {text}")).collect::<Vec<_>>().join("; ")
}

fn value(name: &str, fact: &Value, zone: Tz) -> String {
    match fact {
        Value::Null if name == "changed" => "default".to_owned(),
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => match number.as_i64() {
            Some(seconds) if name == "retry_after" => wait(seconds),
            Some(number) => grouped(number),
            None => number.to_string(),
        },
        Value::String(text) => word(name, text, zone),
        Value::Array(items) => {
            items.iter().map(|item| value(name, item, zone)).collect::<Vec<_>>().join(", ")
        }
        // A changed setting.
        Value::Object(change) => {
            let part = |name: &str| match change.get(name) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => "default".to_owned(),
                Some(other) => other.to_string(),
            };
            format!("{}: {} → {}", part("name"), part("old"), part("new"))
        }
    }
}

/// A fixed word of an entry, in the words of people; a text as it is.
fn word(name: &str, text: &str, zone: Tz) -> String {
    let state = || text.parse::<State>().ok().map(|state| lead_state(state).to_lowercase());
    let known = match name {
        // A name is shown as it was given, even if it looks like a word of ours.
        "service" => Some(text.to_owned()),
        "old_phone" => Some(masked(text)),
        "until" => DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|at| at.with_timezone(&zone).format("%-d %b %Y, %H:%M:%S").to_string()),
        "channel" => text.parse::<Channel>().ok().map(|sent_by| channel(sent_by).to_owned()),
        "budget" => budget(text).map(str::to_owned),
        "from" | "to" => state(),
        "reason" => {
            refused(text).or_else(|| text.parse::<UnreachableReason>().ok().map(reason)).map(str::to_owned)
        }
        _ => None,
    };
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    known.unwrap_or_else(|| match text {
        "totp" => "a code of the app".to_owned(),
        "pow" => "proof of work".to_owned(),
        "staff" if name == "purpose" => "asked for by staff".to_owned(),
        "client_left" => "cancelled by the browser".to_owned(),
        text if is_word(text) => text.replace('_', " "),
        text => text.to_owned(),
    })
}

fn budget(name: &str) -> Option<&'static str> {
    Budget::ALL.into_iter().find(|budget| budget.as_str() == name).map(limit)
}

/// Why a request was refused, where it was no limit and not the provider.
fn refused(word: &str) -> Option<&'static str> {
    Some(match word {
        "blocked" => "blocked by an admin, the settings or the provider",
        "hook_denied" => "the operator's check before sending denied it",
        "hook_failed" => "the operator's check before sending did not answer",
        "hook" => "the operator's check before sending wanted a bot check",
        "no_account" => "the number has no account",
        "already_registered" => "the number has an account already",
        "account_disabled" => "the account is disabled",
        "not_staff" => "not a staff account",
        "not_enrolled" => "no second factor is set up",
        "second_factor_closed" => "the second step is closed",
        "signup_closed" => "no account, and none may be made",
        "phone_taken" => "the number belongs to another account",
        "token_invalid" => "not a token of a trusted issuer",
        "token_expired" => "the token has expired",
        "token_used" => "the token was used before",
        "staff" => "staff sign in with their password",
        "review_number" => "the number is for app review",
        "issuer_unavailable" => "the issuer's keys could not be fetched",
        "missing" => "the app was asked to prove that it is no bot",
        "spent" => "the proof was used before",
        "unavailable" => "the provider did not answer",
        "lost_sim" => "lost SIM",
        _ => return None,
    })
}

/// The number of an entry has four digits at the end, `+91******9376`. A list shows three, `+91 ••••• ••376`.
pub fn masked(stored: &str) -> String {
    let Some((code, rest)) = stored.split_once('*') else { return stored.to_owned() };
    let digits = rest.trim_start_matches('*');
    let hidden = rest.len() - digits.len() + 2;
    let mut text = format!("{code} ");
    let dots = std::iter::repeat_n('•', hidden);
    for (at, c) in dots.chain(digits.chars().skip(1)).enumerate() {
        if at == 5 {
            text.push(' ');
        }
        text.push(c);
    }
    text
}

/// `wrong_code` becomes `Wrong code`.
fn plain(name: &str) -> String {
    let text = name.replace('_', " ");
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: Tz = Tz::Asia__Kolkata;

    fn told(detail: &str) -> Vec<String> {
        let facts = facts(&Detail::parse(detail).unwrap(), ZONE);
        facts.iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    #[test]
    fn every_action_is_a_sentence_and_every_fact_has_a_name() {
        for action in Action::ALL {
            let text = of_action(action);
            assert!(text.contains(' ') && !text.contains('_') && !text.ends_with('.'), "{action}: {text}");
            assert_eq!(sentence(action.as_str()), text);
            for fact in action.facts() {
                assert!(FACTS.iter().any(|(name, _)| name == fact), "{fact} of {action} has no name");
            }
        }
        assert_eq!(sentence("code_of_tomorrow"), "Code of tomorrow");
    }

    #[test]
    fn facts_are_told_in_words() {
        assert_eq!(
            told(
                r#"{"purpose": "sign_in", "left": 2, "device": true, "settings": {"OTP_LENGTH": "6"},
                "changed": [{"name": "OTP_LENGTH", "old": null, "new": "6"}, {"name": "SECRET_KEY", "old": "secret", "new": "secret"}]}"#
            ),
            [
                "Purpose: sign in",
                "Left: 2",
                "Changed: OTP_LENGTH: default → 6, SECRET_KEY: secret → secret",
                "Known device: yes",
            ]
        );
        assert_eq!(
            told(
                r#"{"budget": "phone-sends", "retry_after": 7200, "channel": "whatsapp", "country": null, "tomorrow": "a_word"}"#
            ),
            ["Channel: WhatsApp", "Limit: Codes sent", "Wait: 2 hours", "Tomorrow: a word"]
        );
        assert_eq!(
            told(
                r#"{"from": "new", "to": "converted", "until": "2026-03-14T09:26:53+00:00", "old_phone": "+91******9376", "leads": 12345}"#
            ),
            [
                "Until: 14 Mar 2026, 14:56:53",
                "From: new",
                "To: verified",
                "Old number: +91 ••••• ••376",
                "Leads: 12,345",
            ]
        );
        let short = Detail::parse(r#"{"sid": "0199aa55", "reason": "no_account", "by": "code"}"#).unwrap();
        assert_eq!(short_facts(&short, ZONE), "Reason: the number has no account; By: code");
        assert_eq!(masked("odd"), "odd");
    }
}
