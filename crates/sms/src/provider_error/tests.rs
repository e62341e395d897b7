//! The tables of errors.

use super::*;
use UnreachableReason::{Invalid, NotMobile, OptedOut};

fn errors() -> impl Iterator<Item = &'static Errors> {
    Provider::ALL.into_iter().map(Provider::errors)
}

/// The binary search relies on the order, and a second row for a code would be hidden.
#[test]
fn the_table_is_in_order_and_names_each_code_once() {
    for errors in errors() {
        assert!(errors.known.is_sorted_by(|(one, ..), (next, ..)| one < next), "{}", errors.provider);
    }
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
        assert_eq!(Provider::Twilio.errors().reason_of(code), reason, "{code}");
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
        let explanation = explain(Provider::Twilio, &error);
        assert!(explanation.contains(words), "{explanation}");
        let code = error.provider_code();
        assert!(
            code.is_none_or(|code| explanation.ends_with(&format!("(Twilio's error {code})"))),
            "{explanation}"
        );
    }
}

#[test]
fn every_row_has_a_hint() {
    assert!(errors().all(|errors| errors.known.iter().all(|(_, _, hint)| !hint.is_empty())));
    let meaning = meaning(Provider::Twilio, 30_034).unwrap();
    assert_eq!(meaning.mender, Mender::Operator);
    assert_eq!(meaning.cause, "our sender is not registered with the carriers of this country");
    assert_eq!(meaning.cure, Some("register a campaign for US A2P 10DLC"));
}

#[test]
fn errors_of_the_indian_registry_say_what_to_compare() {
    for (provider, code, cause, cure) in [
        (Provider::Msg91, 9001, "the text differs from the registered template", "DLT platform"),
        (Provider::Msg91, 9002, "the header is not registered", "DLT platform"),
        (Provider::Msg91, 9003, "the entity is not known", "DLT platform"),
        (Provider::Msg91, 9005, "the template is not registered", "DLT id"),
        (Provider::Msg91, 9006, "may not send for our entity", "telemarketer"),
        (Provider::Twilio, 21_900, "the entity id for India is not valid", "ask Twilio's support"),
        (Provider::Twilio, 30_007, "filter", "(in India: DLT)"),
        (Provider::Twilio, 30_008, "the carrier gave no reason", "in India compare"),
        (Provider::Vonage, 1210, "filter", "(in India: DLT)"),
    ] {
        let meaning = meaning(provider, code).unwrap();
        assert!(meaning.cause.contains(cause), "{code}: {}", meaning.cause);
        assert!(meaning.cure.is_some_and(|words| words.contains(cure)), "{code}: {:?}", meaning.cure);
    }
}
