//! What Twilio's refusals mean: its error codes and HTTP statuses, sorted into [`SendError`].
//!
//! The meanings are those of Twilio's error dictionary, <https://www.twilio.com/docs/api/errors>. Twilio adds codes and
//! splits old ones without notice, so a code that the table lacks is sorted by the status of the answer.

use super::{Outcome, SendError, UnreachableReason};
use Sorted::{Ours, Passing, Theirs};
use UnreachableReason::{Blocked, Invalid, NotMobile, OptedOut, RegionNotAllowed};

/// A sorted refusal, with what to tell the operator.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
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

/// Sorts an answer that is no success. `retry_after` is in seconds.
pub(super) fn of_answer(http_status: u16, code: Option<u32>, retry_after: Option<u64>) -> Refusal {
    // Twilio says of a 5xx that the message may have gone out all the same (error 20500), so no code makes it definite.
    let (sorted, hint) = if http_status >= 500 {
        (Passing(Outcome::Unknown), "Twilio has a fault of its own: see status.twilio.com")
    } else {
        code.and_then(known).unwrap_or_else(|| by_status(http_status))
    };
    refusal(sorted, hint, Some(http_status), code, retry_after)
}

/// Sorts a message that was taken and is already `failed` or `undelivered` in the same answer.
pub(super) fn of_failed_message(http_status: u16, code: Option<u32>) -> Refusal {
    // Twilio had the message in its hands, so an unknown reason is not proof that nobody got it.
    let (sorted, hint) = code.and_then(known).unwrap_or((
        Passing(Outcome::Unknown),
        "Twilio took the message and failed at once: look it up in its log",
    ));
    refusal(sorted, hint, Some(http_status), code, None)
}

/// Sorts a request that got no answer.
pub(super) fn of_no_answer(outcome: Outcome) -> Refusal {
    let hint = match outcome {
        Outcome::NotSent => {
            "no connection: check TWILIO_API_BASE_URL, the network, DNS and the CA certificates"
        }
        Outcome::Unknown => "the connection was slow or was cut: the message may have gone out",
    };
    refusal(Passing(outcome), hint, None, None, None)
}

fn refusal(
    sorted: Sorted,
    hint: &'static str,
    http_status: Option<u16>,
    provider_code: Option<u32>,
    retry_after: Option<u64>,
) -> Refusal {
    let error = match sorted {
        Theirs(reason) => SendError::Unreachable { reason, provider_code },
        Ours => SendError::Rejected { provider_code, http_status },
        Passing(outcome) => SendError::Unavailable { outcome, retry_after, provider_code },
    };
    Refusal { error, hint }
}

/// The fall-back for a code that the table does not know.
fn by_status(http_status: u16) -> (Sorted, &'static str) {
    match http_status {
        401 | 403 => (Ours, "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"),
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
    (20003, Ours, "wrong credentials: check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"),
    (20005, Ours, "the account is not active: see the Twilio console"),
    (20006, Ours, "access denied: the credentials belong to another account"),
    (20008, Ours, "these are test credentials: set the live ones"),
    (20403, Ours, "the account may not use this: see the Twilio console"),
    (20404, Ours, "no such account there: check TWILIO_ACCOUNT_SID and TWILIO_API_BASE_URL"),
    (20429, Passing(Outcome::NotSent), "too many requests at once for this account"),
    (20500, Passing(Outcome::Unknown), "Twilio has a fault of its own: see status.twilio.com"),
    (20503, Passing(Outcome::Unknown), "Twilio has a fault of its own: see status.twilio.com"),
    (21211, Theirs(Invalid), "not a valid number"),
    (21212, Ours, "the sender is not valid: check TWILIO_PHONE_NUMBER"),
    (21214, Theirs(Invalid), "the number cannot be reached"),
    (21217, Theirs(Invalid), "not a valid number"),
    (21219, Ours, "a trial account only sends to numbers verified with Twilio: upgrade it"),
    (21265, Theirs(NotMobile), "a short code"),
    (21266, Theirs(Invalid), "our own sender's number"),
    (21267, Ours, "a trial account sends from no alphanumeric sender: set a number"),
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
    (21610, Theirs(OptedOut), "its owner answered STOP; only START from that phone lifts it"),
    (21611, Passing(Outcome::NotSent), "the sender's queue is full: more senders or a messaging service send faster"),
    // Twilio names the country's rules for senders and networks that it does not reach: hardly ever the person's fault.
    (21612, Theirs(RegionNotAllowed), "not reachable from this sender: see Twilio's SMS guidelines of the country"),
    (21614, Theirs(NotMobile), "not a mobile number"),
    (21616, Ours, "the sender matches several numbers: write TWILIO_PHONE_NUMBER as +…"),
    (21617, Ours, "the text is over 1,600 characters: shorten the product's name"),
    (21635, Theirs(NotMobile), "a landline"),
    (21657, Ours, "this sender is not allowed in the country: see Twilio's SMS guidelines"),
    (21659, Ours, "the sender is not a Twilio number: check TWILIO_PHONE_NUMBER"),
    (21660, Ours, "the sender belongs to another account: check TWILIO_PHONE_NUMBER and TWILIO_ACCOUNT_SID"),
    (21661, Ours, "the sender cannot send SMS: check TWILIO_PHONE_NUMBER"),
    (21701, Ours, "no such messaging service in this account: check TWILIO_MESSAGING_SERVICE_SID"),
    (21703, Ours, "the messaging service has no sender: add one in the Twilio console"),
    (21705, Ours, "not a messaging service: check TWILIO_MESSAGING_SERVICE_SID"),
    (21730, Passing(Outcome::NotSent), "Twilio is under maintenance"),
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
    (30500, Passing(Outcome::Unknown), "Twilio has a fault of its own: see status.twilio.com"),
    (60200, Theirs(Invalid), "not a valid number"),
    (60205, Theirs(NotMobile), "a landline"),
    (60410, Theirs(Blocked), "numbers like this are blocked for some hours as suspected SMS pumping"),
    (60605, Theirs(RegionNotAllowed), "to serve this country, allow it in Twilio's geo permissions"),
    (60728, Passing(Outcome::NotSent), "over the account's messages of an hour: ask Twilio's support for more"),
    (63014, Theirs(OptedOut), "its owner blocked our sender"),
    (63017, Passing(Outcome::NotSent), "too many messages at once for this account"),
    (63038, Ours, "over the account's messages of a day: ask Twilio's support for more"),
    (572_002, Ours, "a trial account sends to each verified number from the number assigned to it: upgrade it"),
    (572_005, Ours, "a trial account only sends to numbers verified with Twilio: upgrade it"),
];

#[cfg(test)]
mod tests {
    use super::KNOWN;

    /// The search relies on it, and a code in two rows would hide one of them.
    #[test]
    fn the_table_is_in_order_and_names_each_code_once() {
        assert!(KNOWN.is_sorted_by(|(one, ..), (next, ..)| one < next));
    }

    #[test]
    fn every_row_has_a_hint() {
        assert!(KNOWN.iter().all(|(_, _, hint)| !hint.is_empty()));
    }
}
