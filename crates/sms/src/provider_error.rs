//! What Twilio's refusals mean: its error codes and HTTP statuses, sorted into [`SendError`].
//!
//! The meanings are those of Twilio's error dictionary, <https://www.twilio.com/docs/api/errors>. Twilio adds codes and
//! splits old ones without notice, so a code that the table lacks is sorted by the status of the answer.

use super::{Outcome, SendError, UnreachableReason};
use Sorted::{Ours, Passing, Theirs};
use UnreachableReason::{Blocked, Invalid, NotMobile, OptedOut, RegionNotAllowed};

/// A sorted refusal, with what to tell the operator.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProviderError {
    pub(super) error: SendError,
    /// What it means or what to do about it. Our own words: Twilio's text names the phone and the account.
    pub(super) hint: &'static str,
}

/// Whose trouble a code is.
#[derive(Debug, Clone, Copy)]
enum Sorted {
    /// The number's.
    Theirs(UnreachableReason),
    /// The operator's.
    Ours,
    /// Nobody's: it passes.
    Passing(Outcome),
}

/// What to do about a 401.
const CREDENTIALS: &str =
    "wrong credentials: check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or the API key's SID and secret";

/// What to do about a 5xx.
const FAULT_OF_TWILIOS: &str = "Twilio has a fault of its own: see status.twilio.com";

/// Sorts an answer that is no success. `retry_after` is in seconds.
pub(super) fn from_answer(http_status: u16, code: Option<u32>, retry_after: Option<u64>) -> ProviderError {
    // Twilio says of a 5xx that the message may have gone out all the same (error 20500), so no code makes it definite.
    let (sorted, hint) = if http_status >= 500 {
        (Passing(Outcome::Unknown), FAULT_OF_TWILIOS)
    } else {
        code.and_then(known).unwrap_or_else(|| by_status(http_status))
    };
    provider_error(sorted, hint, Some(http_status), code, retry_after)
}

/// Sorts a message that was taken and is already `failed` or `undelivered` in the same answer.
pub(super) fn failed_message(http_status: u16, code: Option<u32>) -> ProviderError {
    // Twilio had the message in its hands, so an unknown reason is not proof that nobody got it.
    let (sorted, hint) = code.and_then(known).unwrap_or((
        Passing(Outcome::Unknown),
        "Twilio took the message and failed at once: look it up in its log",
    ));
    provider_error(sorted, hint, Some(http_status), code, None)
}

/// What Twilio holds back as suspected SMS pumping: somebody who earns by our messages would earn by the next one too.
const PUMPING: [u32; 3] = [30450, 30453, 60410];

/// Whether a delivery failed because Twilio took it for SMS pumping.
pub(super) fn is_pumping(code: u32) -> bool {
    PUMPING.contains(&code)
}

/// What a code in a report of a delivery says of the number; nothing for what is ours to mend and for what passes.
///
/// A message that a filter stopped on its way is told as blocked: whoever waits for it can only try another number or
/// another channel, though the operator may have something to mend.
pub(super) fn reason_of(code: u32) -> Option<UnreachableReason> {
    if FILTERED.contains(&code) {
        return Some(Blocked);
    }
    match known(code)?.0 {
        Theirs(reason) => Some(reason),
        Ours | Passing(_) => None,
    }
}

/// Stopped by a filter of a carrier or of WhatsApp, for its text, its template or its sender.
const FILTERED: [u32; 3] = [30007, 63013, 63049];

/// Sorts a request that got no answer.
pub(super) fn from_no_answer(outcome: Outcome) -> ProviderError {
    provider_error(Passing(outcome), hint_of(outcome), None, None, None)
}

fn hint_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotSent => {
            "no connection: check TWILIO_API_BASE_URL, the network, DNS and the CA certificates"
        }
        Outcome::Unknown => "the connection was slow or was cut: the message may have gone out",
    }
}

/// A phone in a country that nobody writes to. Twilio is not asked.
pub(super) fn of_unserved_country() -> ProviderError {
    provider_error(Theirs(RegionNotAllowed), UNSERVED, None, None, None)
}

const UNSERVED: &str = "no sender for this country: name one in TWILIO_SENDERS, or one for * (all others)";

/// A message that this server is not set up for. Twilio is not asked.
pub(super) fn from_settings(hint: &'static str) -> ProviderError {
    provider_error(Ours, hint, None, None, None)
}

/// A message that Twilio was not asked to send, because there was no time left or no sense in it.
pub(super) fn of_not_asked(hint: &'static str, retry_after: Option<u64>) -> ProviderError {
    provider_error(Passing(Outcome::NotSent), hint, None, None, retry_after)
}

/// What an error means and what to do about it, in our own words, for the operator's eyes: a command shows it. Clients
/// get the contract's sentences instead.
#[must_use]
pub fn explain(error: &SendError) -> String {
    let code = error.provider_code();
    let in_table = code.and_then(known);
    let hint = match (error, in_table) {
        (SendError::Unreachable { .. }, Some((Theirs(_), hint)))
        | (SendError::Rejected { .. }, Some((Ours, hint)))
        | (SendError::Unavailable { .. }, Some((Passing(_), hint))) => hint,
        (SendError::Unreachable { .. }, _) => UNSERVED,
        (SendError::Rejected { http_status: Some(status), .. }, _) => by_status(*status).1,
        (SendError::Rejected { http_status: None, .. }, _) => {
            "the settings lack what this channel needs: TWILIO_WHATSAPP_SENDER and TWILIO_WHATSAPP_CONTENT_SID, or \
             TWILIO_VOICE_NUMBER"
        }
        (SendError::Unavailable { retry_after: Some(_), .. }, _) => "Twilio asks to wait",
        (SendError::Unavailable { outcome: Outcome::NotSent, .. }, _) => hint_of(Outcome::NotSent),
        (SendError::Unavailable { outcome: Outcome::Unknown, .. }, _) => {
            "it was slow, cut the connection or has a fault of its own: see status.twilio.com"
        }
    };
    match code {
        Some(code) => format!("{error}: {hint} (Twilio's error {code})"),
        None => format!("{error}: {hint}"),
    }
}

fn provider_error(
    sorted: Sorted,
    hint: &'static str,
    http_status: Option<u16>,
    provider_code: Option<u32>,
    retry_after: Option<u64>,
) -> ProviderError {
    let error = match sorted {
        Theirs(reason) => SendError::Unreachable { reason, provider_code },
        Ours => SendError::Rejected { provider_code, http_status },
        Passing(outcome) => SendError::Unavailable { outcome, retry_after, provider_code },
    };
    ProviderError { error, hint }
}

/// The fall-back for a code that the table does not know.
fn by_status(http_status: u16) -> (Sorted, &'static str) {
    match http_status {
        401 | 403 => (Ours, CREDENTIALS),
        404 => (Ours, "no such account there: check TWILIO_ACCOUNT_SID and TWILIO_API_BASE_URL"),
        // Not a word on whether the request had been read to its end.
        408 => (Passing(Outcome::Unknown), "Twilio was tired of waiting for our request"),
        429 => (Passing(Outcome::NotSent), "too many requests at once for this account"),
        400..=499 => (Ours, "look the code up at https://www.twilio.com/docs/api/errors"),
        _ => (Ours, "not an answer of Twilio's API: check TWILIO_API_BASE_URL"),
    }
}

fn known(code: u32) -> Option<(Sorted, &'static str)> {
    let found = KNOWN.binary_search_by_key(&code, |(known, _, _)| *known).ok()?;
    KNOWN.get(found).map(|(_, sorted, hint)| (*sorted, *hint))
}

/// The codes that the answer to a created message can carry, in order. The 602xx to 606xx are Twilio Verify's, for an
/// account that sends through its fraud guard.
#[rustfmt::skip] // A row is a line.
const KNOWN: &[(u32, Sorted, &str)] = &[
    (10001, Ours, "the account is not active: see the Twilio console"),
    (10002, Ours, "a trial account cannot do this: upgrade it"),
    (10004, Passing(Outcome::NotSent), "as many calls at once as the account may make: ask Twilio's support for more"),
    (10005, Ours, "the account may not make calls: see the Twilio console"),
    (13223, Theirs(Invalid), "not a number that can be called"),
    (13224, Theirs(Invalid), "not a number that can be called"),
    (13225, Theirs(Blocked), "Twilio does not call this number"),
    (13226, Theirs(Invalid), "no such country code"),
    (13227, Theirs(RegionNotAllowed), "to call this country, allow it in Twilio's voice geo permissions"),
    (20001, Ours, "Twilio does not know a field of the request: a fault of this server"),
    (20003, Ours, CREDENTIALS),
    (20005, Ours, "the account is not active: see the Twilio console"),
    (20006, Ours, "access denied: the credentials belong to another account"),
    (20008, Ours, "these are test credentials: set the live ones"),
    (20403, Ours, "the account may not use this: see the Twilio console"),
    (20404, Ours, "no such account there: check TWILIO_ACCOUNT_SID and TWILIO_API_BASE_URL"),
    (20422, Ours, "Twilio does not take a field of the request: check the senders and templates"),
    (20429, Passing(Outcome::NotSent), "too many requests at once for this account"),
    (20500, Passing(Outcome::Unknown), FAULT_OF_TWILIOS),
    (20503, Passing(Outcome::Unknown), FAULT_OF_TWILIOS),
    (21201, Ours, "the call had no recipient: a fault of this server"),
    (21202, Theirs(NotMobile), "a premium number"),
    (21203, Theirs(RegionNotAllowed), "to call other countries, allow it in Twilio's voice geo permissions"),
    (21205, Ours, "an address in the request is not valid: check PUBLIC_BASE_URL"),
    (21208, Ours, "the call's time-out is not valid: a fault of this server"),
    (21210, Ours, "the caller's number is not yours: check TWILIO_VOICE_NUMBER"),
    (21211, Theirs(Invalid), "not a valid number"),
    (21212, Ours, "the sender is not valid: check TWILIO_PHONE_NUMBER, TWILIO_SENDERS or TWILIO_VOICE_NUMBER"),
    (21213, Ours, "no caller's number: set TWILIO_VOICE_NUMBER"),
    (21214, Theirs(Invalid), "the number cannot be reached"),
    (21215, Theirs(RegionNotAllowed), "to call this country, allow it in Twilio's voice geo permissions"),
    (21216, Theirs(Blocked), "Twilio does not call this number; for +1 the account needs a primary customer profile"),
    (21217, Theirs(Invalid), "not a valid number"),
    (21219, Ours, "a trial account only sends to numbers verified with Twilio: upgrade it"),
    (21265, Theirs(NotMobile), "a short code"),
    (21266, Theirs(Invalid), "our own sender's number"),
    (21267, Ours, "a trial account sends from no alphanumeric sender: set a number"),
    (21268, Theirs(NotMobile), "a premium or information service"),
    (21407, Theirs(NotMobile), "this kind of number takes no SMS"),
    (21408, Theirs(RegionNotAllowed), "to serve this country, allow it in Twilio's messaging geo permissions"),
    (21601, Ours, "the sender cannot send SMS: check TWILIO_PHONE_NUMBER"),
    (21602, Ours, "the message had no text: a fault of this server"),
    (21603, Ours, "no sender: set TWILIO_PHONE_NUMBER or TWILIO_MESSAGING_SERVICE_SID"),
    (21604, Ours, "the message had no recipient: a fault of this server"),
    (21605, Ours, "the text is too long: shorten the product's name"),
    (21606, Ours, "the sender is not yours or cannot send SMS there: check TWILIO_PHONE_NUMBER"),
    (21607, Ours, "a trial account only sends from its trial number: upgrade it"),
    (21608, Ours, "a trial account only sends to numbers verified with Twilio: upgrade it"),
    (21609, Ours, "Twilio cannot report to this address: check PUBLIC_BASE_URL, a public host without an underscore"),
    (21610, Theirs(OptedOut), "its owner answered STOP; only START from that phone lifts it"),
    (21611, Passing(Outcome::NotSent), "the sender's queue is full: more senders or a messaging service send faster"),
    // Twilio names the country's rules for senders and networks that it does not reach: hardly ever the person's fault.
    (21612, Theirs(RegionNotAllowed), "not reachable from this sender: see Twilio's SMS guidelines of the country"),
    (21614, Theirs(NotMobile), "not a mobile number"),
    (21616, Ours, "the sender matches several numbers: write TWILIO_PHONE_NUMBER as +…"),
    (21617, Ours, "the text is over 1,600 characters: shorten the product's name"),
    (21618, Ours, "Twilio does not send this text: see its messaging policy"),
    (21619, Ours, "the message had no text: a fault of this server"),
    (21624, Ours, "the validity period is out of range: a fault of this server"),
    (21626, Ours, "Twilio does not know an event to report: a fault of this server"),
    (21627, Passing(Outcome::Unknown), "the carrier has a fault"),
    (21635, Theirs(NotMobile), "a landline"),
    (21654, Ours, "no template: set TWILIO_WHATSAPP_CONTENT_SID"),
    (21655, Ours, "no such template in this account: check TWILIO_WHATSAPP_CONTENT_SID"),
    (21656, Ours, "the template takes other variables: its first must be the code, and its only one"),
    (21657, Ours, "this sender is not allowed in the country: see Twilio's SMS guidelines"),
    (21658, Ours, "a field of the request is too long: shorten the product's name"),
    (21659, Ours, "the sender is not a Twilio number: check TWILIO_PHONE_NUMBER"),
    (21660, Ours, "the sender belongs to another account: check TWILIO_PHONE_NUMBER and TWILIO_ACCOUNT_SID"),
    (21661, Ours, "the sender cannot send SMS: check TWILIO_PHONE_NUMBER"),
    (21701, Ours, "no such messaging service in this account: check TWILIO_MESSAGING_SERVICE_SID"),
    (21702, Ours, "the messaging service may not send: see the Twilio console"),
    (21703, Ours, "the messaging service has no sender: add one in the Twilio console"),
    (21704, Ours, "the messaging service has no sender: add one in the Twilio console"),
    (21705, Ours, "not a messaging service: check TWILIO_MESSAGING_SERVICE_SID"),
    (21730, Passing(Outcome::NotSent), "Twilio is under maintenance"),
    (21910, Ours, "the sender is of another channel than the number: check TWILIO_WHATSAPP_SENDER"),
    (30001, Passing(Outcome::NotSent), "Twilio's queue is full"),
    (30002, Ours, "the account is suspended: see the Twilio console"),
    // Off or without reception: it may pass, but to the person at the other end the number is what is wrong.
    (30003, Theirs(Invalid), "the handset cannot be reached"),
    (30004, Theirs(Blocked), "the number is blocked from getting messages"),
    (30005, Theirs(Invalid), "an unknown handset"),
    (30006, Theirs(NotMobile), "a landline, or a carrier that cannot be reached"),
    // The filter dislikes the text or the sender, so another number of the person would fare no better.
    (30007, Ours, "a carrier's filter stopped the text: register the sender and the text for this country"),
    (30008, Passing(Outcome::Unknown), "Twilio does not know why it failed"),
    (30017, Passing(Outcome::Unknown), "the carrier's network is congested"),
    (30022, Passing(Outcome::NotSent), "over the carrier's rate for this US A2P 10DLC campaign"),
    (30023, Ours, "over the carrier's day of this US A2P 10DLC brand: raise its tier"),
    (30024, Ours, "the carrier does not know the sender yet: ask Twilio's support"),
    (30032, Ours, "the toll-free sender is not verified: verify it in the Twilio console"),
    (30034, Ours, "the sender is not registered for US A2P 10DLC: register a campaign"),
    (30036, Passing(Outcome::NotSent), "the code ended before the message left Twilio's queue"),
    (30037, Ours, "the account may not send: see the Twilio console"),
    (30038, Ours, "this account may not send codes: ask Twilio's support"),
    (30040, Ours, "the carrier wants this sender registered: see Twilio's SMS guidelines of the country"),
    (30042, Ours, "the sender id is too generic: choose another"),
    (30410, Passing(Outcome::Unknown), "the carrier did not answer Twilio"),
    (30450, Theirs(Blocked), "blocked as suspected SMS pumping"),
    (30453, Theirs(Blocked), "Twilio's protection against fraud stopped it"),
    (30500, Passing(Outcome::Unknown), FAULT_OF_TWILIOS),
    (60005, Passing(Outcome::Unknown), "the carrier has a fault"),
    (60200, Theirs(Invalid), "not a valid number"),
    (60205, Theirs(NotMobile), "a landline"),
    (60238, Theirs(Blocked), "Twilio does not send to this number"),
    (60410, Theirs(Blocked), "numbers like this are blocked for some hours as suspected SMS pumping"),
    (60605, Theirs(RegionNotAllowed), "to serve this country, allow it in Twilio's geo permissions"),
    (60728, Passing(Outcome::NotSent), "over the account's messages of an hour: ask Twilio's support for more"),
    (63001, Ours, "WhatsApp does not know the account: see the sender in the Twilio console"),
    (63002, Ours, "WhatsApp does not know the sender: check TWILIO_WHATSAPP_SENDER"),
    (63003, Theirs(Invalid), "not on WhatsApp"),
    (63005, Ours, "WhatsApp does not take the template's content"),
    (63007, Ours, "not a WhatsApp sender of this account: check TWILIO_WHATSAPP_SENDER"),
    (63008, Ours, "the WhatsApp sender is not set up: see the Twilio console"),
    (63009, Passing(Outcome::Unknown), "WhatsApp has a fault"),
    (63010, Passing(Outcome::Unknown), FAULT_OF_TWILIOS),
    (63012, Passing(Outcome::Unknown), "WhatsApp has a fault"),
    (63013, Ours, "it breaks WhatsApp's policy: see the sender and the template in WhatsApp Manager"),
    (63014, Theirs(OptedOut), "its owner blocked our sender"),
    (63015, Ours, "a sandbox only writes to phones that joined it: set a WhatsApp sender of your own"),
    (63016, Ours, "WhatsApp wants an approved template here: check TWILIO_WHATSAPP_CONTENT_SID"),
    (63017, Passing(Outcome::NotSent), "too many messages at once for this account"),
    (63018, Passing(Outcome::NotSent), "over what this WhatsApp sender may send: raise its limit in WhatsApp Manager"),
    (63020, Ours, "WhatsApp holds the business account back: see WhatsApp Manager"),
    (63021, Ours, "WhatsApp does not take the template's content"),
    (63022, Ours, "the WhatsApp sender's name is not verified: see WhatsApp Manager"),
    (63024, Theirs(Invalid), "not on WhatsApp, or with a WhatsApp that is too old"),
    (63027, Ours, "WhatsApp has no such template in this language: check TWILIO_WHATSAPP_CONTENT_SID"),
    (63028, Ours, "the template takes other variables: its first must be the code, and its only one"),
    (63029, Passing(Outcome::Unknown), "the phone could not load the template"),
    (63030, Ours, "WhatsApp does not take a field of the request: see the template in the Twilio console"),
    (63031, Theirs(Invalid), "our own sender's number"),
    (63032, Theirs(Blocked), "WhatsApp does not let this person get it"),
    (63038, Ours, "over the account's messages of a day: ask Twilio's support for more"),
    (63040, Ours, "WhatsApp refused the template: see WhatsApp Manager"),
    (63041, Ours, "WhatsApp paused the template: see WhatsApp Manager"),
    (63042, Ours, "WhatsApp switched the template off: see WhatsApp Manager"),
    (63049, Ours, "WhatsApp takes the template for marketing: use one of the category authentication"),
    (70051, Ours, "access denied: check the credentials, and the permissions of a restricted API key"),
    (572_002, Ours, "a trial account sends to each verified number from the number assigned to it: upgrade it"),
    (572_005, Ours, "a trial account only sends to numbers verified with Twilio: upgrade it"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The search relies on it, and a code in two rows would hide one of them.
    #[test]
    fn the_table_is_in_order_and_names_each_code_once() {
        assert!(KNOWN.is_sorted_by(|(one, ..), (next, ..)| one < next));
    }

    #[test]
    fn a_report_blames_the_number_for_its_own_codes_and_for_filters_only() {
        for (code, reason) in [
            (21610, Some(OptedOut)),
            (30003, Some(Invalid)),
            (30006, Some(NotMobile)),
            (30007, Some(Blocked)),
            (30450, Some(Blocked)),
            (63024, Some(Invalid)),
            (30034, None),
            (30008, None),
            (29_999, None),
        ] {
            assert_eq!(reason_of(code), reason, "{code}");
        }
    }

    #[test]
    fn an_error_is_explained_in_our_own_words_with_its_code() {
        let rejected = |provider_code, http_status| SendError::Rejected { provider_code, http_status };
        let unavailable =
            |outcome, provider_code| SendError::Unavailable { outcome, retry_after: None, provider_code };
        for (error, words) in [
            (SendError::Unreachable { reason: Invalid, provider_code: Some(21211) }, "not a valid number"),
            (SendError::Unreachable { reason: RegionNotAllowed, provider_code: None }, "TWILIO_SENDERS"),
            (rejected(Some(20003), Some(401)), "wrong credentials"),
            (rejected(None, Some(401)), "wrong credentials"),
            (rejected(Some(29_999), Some(400)), "look the code up"),
            (unavailable(Outcome::NotSent, None), "no connection"),
            (unavailable(Outcome::Unknown, None), "it was slow"),
            (unavailable(Outcome::Unknown, Some(21211)), "status.twilio.com"),
        ] {
            let told = explain(&error);
            assert!(told.contains(words), "{told}");
            let code = error.provider_code();
            assert!(code.is_none_or(|code| told.ends_with(&format!("(Twilio's error {code})"))), "{told}");
        }
    }

    #[test]
    fn every_row_has_a_hint() {
        assert!(KNOWN.iter().all(|(_, _, hint)| !hint.is_empty()));
    }
}
