//! The cases that the last message and its code decide.

use super::*;

#[test]
fn messages_that_the_provider_refused() {
    let failed = |reason, cause, blame| sent(refused_by_provider(reason, cause, blame));
    let whatsapp = MessageFacts {
        channel: Channel::WhatsApp,
        ..refused_by_provider(Some(UnreachableReason::OptedOut), None, Some(Blame::Number))
    };
    check(vec![
        (
            failed(Some(UnreachableReason::OptedOut), None, Some(Blame::Number)),
            "opted_out",
            "The provider refused the message at 10:02:09: the user wrote STOP to our number.",
        ),
        (
            sent(whatsapp),
            "opted_out",
            "The provider refused the message at 10:02:09: the user blocked our WhatsApp sender.",
        ),
        (
            failed(Some(UnreachableReason::Invalid), Some("it is not a valid number"), Some(Blame::Number)),
            "number_unreachable",
            "The provider refused the message at 10:02:09: it is not a valid number.",
        ),
        (
            failed(Some(UnreachableReason::NotMobile), None, Some(Blame::Number)),
            "number_unreachable",
            "The provider refused the message at 10:02:09: the number takes no messages: it may be a landline.",
        ),
        (
            failed(None, Some("wrong credentials"), Some(Blame::Us)),
            "provider_refuses_us",
            "The provider refused the message at 10:02:09 because of our account or our settings.",
        ),
        (
            failed(None, None, None),
            "provider_unavailable",
            "The provider was not available at 10:02:09, so no code was sent.",
        ),
        (
            sent(message(DeliveryStatus::Unknown)),
            "outcome_unknown",
            "The provider did not confirm the message at 10:02:09: it may have been sent or not.",
        ),
    ]);
}

#[test]
fn messages_on_their_way_and_at_their_end() {
    let lost =
        |cause, reason, blame| MessageFacts { reason, cause, blame, ..message(DeliveryStatus::Undelivered) };
    let handset =
        lost(Some("the number is not in use"), Some(UnreachableReason::Invalid), Some(Blame::Number));
    let ours = lost(None, None, Some(Blame::Us));
    let call = MessageFacts { channel: Channel::Call, ..lost(None, None, None) };
    let stop = lost(None, Some(UnreachableReason::OptedOut), Some(Blame::Number));
    let second = MessageFacts { channel: Channel::WhatsApp, ..message(DeliveryStatus::Delivered) };
    let by_vonage = MessageFacts { provider: Some("Vonage"), ..message(DeliveryStatus::Queued) };
    let no_money =
        MessageFacts { accepted_at: None, ..lost(Some("the account has no credit"), None, Some(Blame::Us)) };
    let unserved = refused_by_provider(Some(UnreachableReason::RegionNotAllowed), None, Some(Blame::Number));
    let fallen_back = |second| PhoneFacts { messages: vec![second, handset.clone()], ..delivered() };
    check(vec![
        (
            sent(message(DeliveryStatus::Pending)),
            "sending",
            "The message was handed to the provider at 10:02:09, and it has not answered yet.",
        ),
        (
            sent(message(DeliveryStatus::Queued)),
            "accepted_no_report",
            "Accepted by the provider at 10:02:09, and no report came yet.",
        ),
        (
            sent(message(DeliveryStatus::Sent)),
            "passed_on_no_report",
            "Passed on to the carrier at 10:02:09, and no report of its delivery came yet.",
        ),
        (
            sent(handset.clone()),
            "undelivered",
            "The SMS was not delivered, as reported at 10:02:09: the number is not in use.",
        ),
        (
            sent(ours),
            "undelivered",
            "The SMS was not delivered, as reported at 10:02:09: the provider or the carrier refuses our sender or \
             our text.",
        ),
        (
            sent(call),
            "undelivered",
            "The phone call was not delivered, as reported at 10:02:09: the call was not answered.",
        ),
        (
            sent(stop),
            "opted_out",
            "The provider refused the message at 10:02:09: the user wrote STOP to our number.",
        ),
        (
            fallen_back(second.clone()),
            "another_channel",
            "The SMS failed (the number is not in use), so the code went by WhatsApp: delivered at 10:02:09, and no \
             code was entered since.",
        ),
        (
            fallen_back(MessageFacts { status: DeliveryStatus::Queued, ..second }),
            "another_channel",
            "The SMS failed (the number is not in use), so the code went by WhatsApp: sent at 10:02:09, and no code \
             was entered since.",
        ),
        (
            PhoneFacts { messages: vec![by_vonage, no_money.clone()], ..delivered() },
            "another_provider",
            "The SMS through Twilio failed (the account has no credit), so the code went through Vonage: sent at \
             10:02:09, and no code was entered since.",
        ),
        (
            PhoneFacts { messages: vec![unserved.clone(), no_money], ..delivered() },
            "provider_refuses_us",
            "The provider refused the message at 10:02:09 because of our account or our settings.",
        ),
        (
            sent(unserved),
            "number_unreachable",
            "The provider refused the message at 10:02:09: the provider does not serve this country or network.",
        ),
        (
            fallen_back(handset.clone()),
            "undelivered",
            "The SMS was not delivered, as reported at 10:02:09: the number is not in use.",
        ),
        (delivered(), "delivered_not_entered", DELIVERED),
    ]);
}

#[test]
fn codes_that_were_entered_or_have_expired() {
    let wrong = |attempts| CodeFacts { attempts, last_wrong_at: Some(time("04:33:00")), ..code() };
    let expired = |code| CodeFacts { expires_at: time("04:42:08"), ..code };
    let before = CodeFacts { last_wrong_at: Some(time("04:30:00")), ..wrong(1) };
    let no_report = PhoneFacts { code: Some(expired(code())), ..sent(message(DeliveryStatus::Sent)) };
    check(vec![
        (with_code(wrong(1)), "wrong_code", "A wrong code was entered at 10:03:00; 2 guesses are left."),
        (with_code(wrong(2)), "wrong_code", "A wrong code was entered at 10:03:00; 1 guess is left."),
        // It was sent again since.
        (with_code(before), "delivered_not_entered", DELIVERED),
        (
            with_code(wrong(3)),
            "guesses_used_up",
            "The code was entered wrongly three times, the last time at 10:03:00.",
        ),
        (
            with_code(expired(code())),
            "expired_unused",
            "Delivered at 10:02:09, and no code was entered before it expired at 10:12:08.",
        ),
        (
            PhoneFacts { code: None, ..delivered() },
            "expired_unused",
            "Delivered at 10:02:09, and no code was entered before it expired.",
        ),
        (
            no_report,
            "expired_without_report",
            "Accepted by the provider at 10:02:08, and no report came before the code expired at 10:12:08.",
        ),
        (
            with_code(expired(wrong(1))),
            "expired_after_wrong_code",
            "The code expired at 10:12:08, after a wrong code was entered.",
        ),
        (
            with_code(CodeFacts { consumed_at: Some(time("04:33:00")), is_of_service: true, ..code() }),
            "checked_for_service",
            "The right code was entered at 10:03:00 for a check of another service, which signs nobody in.",
        ),
        (
            with_code(CodeFacts { consumed_at: Some(time("04:33:00")), ..wrong(1) }),
            "verified",
            "The right code was entered at 10:03:00.",
        ),
    ]);
}

#[test]
fn a_code_that_the_next_provider_has_not_delivered_is_not_said_to_be_there() {
    let lost = MessageFacts { blame: Some(Blame::Us), ..message(DeliveryStatus::Failed) };
    for channel in [Channel::Sms, Channel::WhatsApp] {
        for (status, tell) in [
            (DeliveryStatus::Sent, "The code is on its way."),
            (DeliveryStatus::Delivered, "The code has arrived"),
        ] {
            let next = MessageFacts { channel, ..message(status) };
            let verdict = judge(&PhoneFacts { messages: vec![next, lost.clone()], ..delivered() });
            assert!(verdict.advice.tell.starts_with(tell), "{channel:?} {status:?}: {verdict:?}");
        }
    }
}
