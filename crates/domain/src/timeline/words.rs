//! What an entry of the audit log says to staff who look at a phone.

use serde_json::Value;

use super::Tone;
use crate::{
    audit::{Action, Entry},
    budget::Budget,
    lead::State,
};

/// A fact of an entry that is a word.
pub(super) fn fact<'a>(entry: &'a Entry, name: &str) -> Option<&'a str> {
    entry.detail.get(name).and_then(Value::as_str)
}

/// The entry as a sentence. `outcome` says what became of a code that staff asked for. `None` if another part of the timeline
/// says the same, or if staff need not see it.
pub(super) fn tell(entry: &Entry, outcome: Option<&Entry>) -> Option<(Action, (String, Tone))> {
    let action: Action = entry.action.parse().ok()?;
    Some((action, sentence(action, entry, outcome)?))
}

fn sentence(action: Action, entry: &Entry, outcome: Option<&Entry>) -> Option<(String, Tone)> {
    if let Some(service) = fact(entry, "service") {
        return of_service(action, entry, service);
    }
    let good = |text: &str| Some((text.to_owned(), Tone::Good));
    let bad = |text: &str| Some((text.to_owned(), Tone::Bad));
    let plain = |text: &str| Some((text.to_owned(), Tone::Plain));
    match action {
        Action::CodeRefused => bad(&format!("No code was sent: {}.", why(entry))),
        Action::WrongCode => bad("A wrong code was entered."),
        Action::GuessRefused => bad(&format!("A code was not checked: {}.", why(entry))),
        Action::PhoneLocked => bad(&format!("The number was locked: {}.", why(entry))),
        Action::PhoneUnlocked => good("The number was unlocked."),
        Action::CodeResentByStaff => Some(resent(outcome)),
        Action::LeadVerifiedByStaff => good("Staff verified the number by hand."),
        Action::LeadChanged => lead_changed(entry),
        Action::SignedIn => good(&format!("The user signed in {}.", by(entry))),
        Action::ReviewSignIn => good("The fixed code for app review signed in."),
        Action::SignInRefused => bad(&format!("A sign-in was refused: {}.", why(entry))),
        Action::WrongPassword => bad("A wrong password was entered."),
        Action::Registered => plain("The account was registered."),
        Action::RefreshReused => bad("A session was ended: an old token came back."),
        Action::LoggedOutEverywhere => plain("The user ended all sessions."),
        Action::PhoneChanged => plain("The user changed the account to this number."),
        Action::PhoneMoved => plain("Staff moved the account to this number."),
        Action::PhoneLeft => plain("The account moved from this number to another one."),
        Action::PasswordChanged => plain("The password was set or changed."),
        Action::Confirmed => plain(&format!("The user confirmed {}.", by(entry))),
        Action::AccountDeleted => plain("The account was deleted."),
        Action::AccountUnlinked => bad("The account lost this number, because it was unused."),
        Action::AccountReunited => plain("Staff gave an account this number back."),
        Action::AccountsMerged => plain("Two accounts of the user became one."),
        Action::MergeUndone => plain("Staff made two accounts of one again."),
        Action::PhoneRenumbered => plain("The account has this number since the country changed its numbers."),
        Action::AccountEdited => plain("Staff changed the account."),
        Action::RoleChanged => plain("The role of the account was changed."),
        Action::AccountDeactivated => bad("The account was deactivated."),
        Action::AccountActivated => good("The account was activated."),
        Action::InvitationMade => plain("Staff made an invitation for this number."),
        Action::InvitationEnded => plain("Staff ended the invitation of this number."),
        Action::InvitationUsed => good("The account was made with an invitation."),
        Action::ChallengeFailed => bad(bot_check(fact(entry, "reason"))),
        // The messages, the sessions and the blocks say it themselves.
        Action::CodeSent
        | Action::CodeNotSent
        | Action::SessionEnded
        | Action::BlockMade
        | Action::BlockEnded
        // Not about sign-ins, or not about one phone.
        | Action::WrongSecondFactor
        | Action::SecondFactorClosed
        | Action::SecondFactorEnrolled
        | Action::SecondFactorReset
        | Action::EnrolmentLinkMade
        | Action::RecoveryCodeUsed
        | Action::RegistrationRefused
        | Action::PhoneShown
        | Action::PhonesShown
        | Action::PrefixClosed
        | Action::PrefixOpened
        | Action::PrefixHeldOpen
        | Action::ProvidersReordered
        | Action::EventSkipped
        | Action::EventsReplayed
        | Action::CapReached
        | Action::InterestAdded
        | Action::InterestChanged
        | Action::SettingsChanged
        | Action::ServerStarted
        | Action::LeadsExported
        | Action::LeadsExportEnded
        | Action::ImportBegan
        | Action::ImportEnded
        | Action::RenumberingBegan
        | Action::RenumberingEnded
        | Action::ApiKeyMade
        | Action::ApiKeyEnded
        // Told with the name of their service.
        | Action::VerificationApproved
        | Action::VerificationCanceled
        | Action::AuditDropped
        | Action::AuditLost => None,
    }
}

/// What another service did with the number. `{service}` is its name, and `{why}` the reason of the entry.
const OF_SERVICE: [(Action, &str, Tone); 8] = [
    (Action::CodeSent, "The service {service} asked for a check of this number.", Tone::Plain),
    (
        Action::CodeNotSent,
        "The service {service} asked for a check of this number. The provider did not take the code.",
        Tone::Bad,
    ),
    (
        Action::CodeRefused,
        "The service {service} asked for a check of this number. No code was sent: {why}.",
        Tone::Bad,
    ),
    (Action::WrongCode, "A wrong code was entered at the service {service}.", Tone::Bad),
    (
        Action::GuessRefused,
        "A code that was entered at the service {service} was not checked: {why}.",
        Tone::Bad,
    ),
    (Action::PhoneLocked, "Checks of this number for the service {service} were locked: {why}.", Tone::Bad),
    (
        Action::VerificationApproved,
        "The service {service} got its proof: the right code was entered there.",
        Tone::Good,
    ),
    (Action::VerificationCanceled, "The service {service} canceled its check.", Tone::Plain),
];

fn of_service(action: Action, entry: &Entry, service: &str) -> Option<(String, Tone)> {
    let (_, text, tone) = OF_SERVICE.iter().find(|(of, ..)| *of == action)?;
    let text = text.replace("{why}", why(entry)).replace("{service}", &format!("“{service}”"));
    Some((text, *tone))
}

/// What became of a code that staff asked for.
fn resent(outcome: Option<&Entry>) -> (String, Tone) {
    let Some(outcome) = outcome else {
        return ("Staff asked for a code to be sent.".to_owned(), Tone::Plain);
    };
    if outcome.action == Action::CodeSent.as_str() {
        ("Staff had a code sent.".to_owned(), Tone::Plain)
    } else if outcome.action == Action::CodeRefused.as_str() {
        (format!("Staff wanted to send a code. It was refused: {}.", why(outcome)), Tone::Bad)
    } else {
        ("Staff wanted to send a code. The provider did not take it.".to_owned(), Tone::Bad)
    }
}

fn lead_changed(entry: &Entry) -> Option<(String, Tone)> {
    let state =
        fact(entry, "to").and_then(|name| State::ALL.into_iter().find(|state| state.as_str() == name));
    let text = match state {
        Some(State::New) => "Staff marked the lead as new.",
        Some(State::Waiting) => "Staff marked the lead as waiting.",
        Some(State::Contacted) => "Staff marked the lead as contacted.",
        Some(State::Lost) => "Staff marked the lead as lost.",
        // Verifying the number says it.
        Some(State::Converted) => return None,
        None => "Staff changed the lead or added a note.",
    };
    Some((text.to_owned(), Tone::Plain))
}

fn by(entry: &Entry) -> &'static str {
    match fact(entry, "by") {
        Some("code") => "with a code",
        Some("console") => "to this console",
        Some("exchange") => "with a token of another system",
        _ => "with the password",
    }
}

/// Why an entry says that something was refused.
fn why(entry: &Entry) -> &'static str {
    if fact(entry, "block").is_some() {
        return "staff had blocked the number or the network";
    }
    fact(entry, "budget").and_then(budget).unwrap_or_else(|| reason(fact(entry, "reason")))
}

/// A budget that refuses, in words.
fn budget(name: &str) -> Option<&'static str> {
    let budget = Budget::ALL.into_iter().find(|budget| budget.as_str() == name)?;
    Some(match budget {
        Budget::PhoneGuessesFromAddress => "too many wrong codes from this address",
        Budget::PhoneGuesses | Budget::ServicePhoneGuesses => "too many wrong codes within a day",
        Budget::PhoneFailures => "too many wrong codes in a row",
        Budget::AddressGuesses => "too many wrong codes from this address, at any number",
        Budget::Cooldown => "the last one was a moment ago",
        Budget::PhoneSends => "this number got as many codes as it may",
        Budget::PhoneSendsFromAddress => "this address requested as many for the number as it may",
        Budget::AddressRequests => "this address sent as many requests as it may",
        Budget::DeviceGuesses => "too many wrong codes on the user's device",
        Budget::DeviceSends => "the user's device requested as many as it may",
        Budget::Prefix => "numbers that begin like this one are closed",
        Budget::Day => "the messages of the day are used up",
        Budget::Country => "the messages of the day to this country are used up",
        Budget::NamePasswordsFromAddress | Budget::NamePasswords | Budget::AddressPasswords => {
            "too many wrong passwords"
        }
        Budget::Registrations => "too many registrations from this address",
        Budget::Guests => "too many new guests from this address",
        Budget::Proof => "the bot check was used before",
        Budget::AddressKeys => "too many unknown API keys from this address",
        Budget::ServiceSends => "the service had as many codes sent as it may",
        Budget::ServiceGuesses => "too many wrong codes at this service, at any number",
        Budget::ServiceAddress => "too many requests by this service for one address",
    })
}

fn reason(word: Option<&str>) -> &'static str {
    match word {
        Some("region_not_allowed") => "the country is not served",
        Some("blocked") => "the settings exclude the number",
        Some("account_disabled") => "the account is disabled",
        Some("review_number") => "the number is for app review, and its code is fixed",
        Some("not_staff") => "the account is not one of staff",
        Some("not_enrolled") => "the account has no second factor yet",
        Some("second_factor_closed") => "too many wrong codes of the second factor",
        Some("no_account") => "the number has no account",
        Some("signup_closed") => "there is no account, and none may be made",
        Some("phone_taken") => "the number belongs to another account",
        Some("token_used") => "the token was used before",
        Some("staff") => "staff sign in with their password",
        Some("already_registered") => "the number has an account already",
        Some("hook_denied") => "the operator's check before sending denied it",
        Some("hook_failed") => "the operator's check before sending did not answer",
        _ => "it was not allowed",
    }
}

fn bot_check(reason: Option<&str>) -> &'static str {
    match reason {
        Some("missing") => "The app was asked to prove that it is no bot.",
        Some("unavailable") => "The provider of the bot check did not answer.",
        Some("hook") => "The operator's check before sending wanted the app to prove that it is no bot.",
        _ => "The bot check failed.",
    }
}
