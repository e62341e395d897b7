//! Twilio's responses and their meaning.

use super::*;

fn receipt(status: DeliveryStatus) -> Receipt {
    Receipt { provider_id: Some(MESSAGE_SID.into()), status, segments: Some(1), price: None }
}

#[tokio::test]
async fn a_taken_message_gives_the_providers_id_and_how_far_it_got() {
    for (said, status) in [
        ("accepted", DeliveryStatus::Queued),
        ("scheduled", DeliveryStatus::Queued),
        ("queued", DeliveryStatus::Queued),
        ("sending", DeliveryStatus::Queued),
        ("a status of next year", DeliveryStatus::Queued),
        ("sent", DeliveryStatus::Sent),
        ("partially_delivered", DeliveryStatus::Sent),
        ("delivered", DeliveryStatus::Delivered),
        ("read", DeliveryStatus::Delivered),
    ] {
        assert_eq!(answered(created(said, Value::Null)).await.unwrap(), receipt(status), "{said}");
    }
}

#[tokio::test]
async fn segments_and_price_are_kept_when_they_are_given() {
    let price = |amount: &str| Some(Price { amount: amount.to_owned(), unit: "USD".to_owned() });
    for (segments, said, unit, expected) in [
        (json!("2"), json!("-0.00750"), json!("USD"), (Some(2), price("-0.00750"))),
        (json!(3), json!(-0.015), json!("USD"), (Some(3), price("-0.015"))),
        (json!("0"), Value::Null, json!("USD"), (None, None)),
        (json!(-1), json!("free"), json!("USD"), (None, None)),
        (json!("many"), json!("1e9"), json!("USD"), (None, None)),
        (Value::Null, json!("."), json!("USD"), (None, None)),
        (json!([1]), json!("0.1"), Value::Null, (None, None)),
        (json!(u64::MAX), json!("0.1"), json!("<b>"), (None, None)),
    ] {
        let answer = ResponseTemplate::new(201).set_body_json(json!({
            "sid": MESSAGE_SID, "status": "queued", "num_segments": segments, "price": said, "price_unit": unit,
        }));
        let receipt = answered(answer).await.unwrap();
        assert_eq!((receipt.segments, receipt.price), expected, "{segments} {said} {unit}");
    }
}

#[tokio::test]
async fn a_call_has_words_of_its_own() {
    let call = "CAdddddddddddddddddddddddddddddddd";
    for (said, expected) in [
        ("queued", Ok(DeliveryStatus::Queued)),
        ("initiated", Ok(DeliveryStatus::Queued)),
        ("ringing", Ok(DeliveryStatus::Sent)),
        ("in-progress", Ok(DeliveryStatus::Sent)),
        ("completed", Ok(DeliveryStatus::Delivered)),
        ("busy", Err(unavailable(Outcome::Unknown))),
        ("no-answer", Err(unavailable(Outcome::Unknown))),
        ("failed", Err(unavailable(Outcome::Unknown))),
        ("canceled", Err(unavailable(Outcome::Unknown))),
    ] {
        let answer = ResponseTemplate::new(201).set_body_json(json!({"sid": call, "status": said}));
        let server = stub(answer).await;
        let settings =
            TwilioSettings { voice_number: Some("+15005550006".to_owned()), ..settings(&server.uri()) };
        let message = Message { channel: Channel::Call, ..message() };
        let expected = expected.map(|status| Receipt {
            provider_id: Some(call.to_owned()),
            status,
            segments: None,
            price: None,
        });
        assert_eq!(sms(settings).send(&message).await, expected, "{said}");
    }
}

#[tokio::test]
async fn an_id_that_is_none_stays_outside() {
    let long = "a".repeat(65);
    for sid in ["", "SM<script>", "SM 1", long.as_str()] {
        let answer = ResponseTemplate::new(201).set_body_json(json!({"sid": sid, "status": "queued"}));
        assert_eq!(answered(answer).await.unwrap().provider_id, None, "{sid}");
    }
}

#[tokio::test]
async fn a_number_that_gets_no_messages_is_unreachable_with_the_reason() {
    use UnreachableReason::{Blocked, Invalid, NotMobile, OptedOut, RegionNotAllowed};
    for (code, reason) in [
        (21211, Invalid),
        (21214, Invalid),
        (21217, Invalid),
        (13223, Invalid),
        (13225, Blocked),
        (13227, RegionNotAllowed),
        (21202, NotMobile),
        (21215, RegionNotAllowed),
        (21216, Blocked),
        (21265, NotMobile),
        (21268, NotMobile),
        (21407, NotMobile),
        (21408, RegionNotAllowed),
        (21610, OptedOut),
        (21612, RegionNotAllowed),
        (21614, NotMobile),
        (21635, NotMobile),
        (30003, Invalid),
        (30004, Blocked),
        (30005, Invalid),
        (30006, NotMobile),
        (30450, Blocked),
        (30453, Blocked),
        (60200, Invalid),
        (60205, NotMobile),
        (60410, Blocked),
        (60605, RegionNotAllowed),
        (63003, Invalid),
        (63014, OptedOut),
        (63024, Invalid),
        (63032, Blocked),
    ] {
        let error = answered(refused(400, code)).await.unwrap_err();
        assert_eq!(error, SendError::Unreachable { reason, provider_code: Some(code) });
        assert!(error.definitely_not_sent());
    }
}

#[tokio::test]
async fn what_is_ours_to_mend_is_rejected() {
    for code in [
        10001, 10005, 20003, 20008, 20404, 21205, 21210, 21212, 21219, 21609, 21626, 21655, 21601, 21603,
        21604, 21606, 21608, 21617, 21659, 21660, 21661, 21701, 21703, 21705, 30002, 30007, 30032, 30034,
        63007, 63013, 63015, 63016, 63038, 63049, 70051, 572_002, // not in the table, and 4xx
        29_999,
    ] {
        let error = answered(refused(400, code)).await.unwrap_err();
        assert_eq!(error, SendError::Rejected { provider_code: Some(code), http_status: Some(400) });
        assert!(error.definitely_not_sent());
    }
}

#[tokio::test]
async fn what_passes_is_unavailable() {
    use Outcome::{NotSent, Unknown};
    for (code, outcome) in [
        (10004, NotSent),
        (20429, NotSent),
        (21611, NotSent),
        (21730, NotSent),
        (30001, NotSent),
        (30008, Unknown),
        (30022, NotSent),
        (30410, Unknown),
        (63009, Unknown),
        (63017, NotSent),
        (63018, NotSent),
    ] {
        let error = answered(refused(400, code)).await.unwrap_err();
        assert_eq!(error, SendError::Unavailable { outcome, retry_after: None, provider_code: Some(code) });
        assert_eq!(error.definitely_not_sent(), outcome == NotSent);
    }
}

#[tokio::test]
async fn without_a_known_code_the_status_decides() {
    for status in [302, 304, 400, 401, 403, 404, 415, 422] {
        let error = answered(ResponseTemplate::new(status)).await.unwrap_err();
        assert_eq!(error, SendError::Rejected { provider_code: None, http_status: Some(status) });
    }
    assert_eq!(answered(ResponseTemplate::new(408)).await, Err(unavailable(Outcome::Unknown)));
    let passing =
        [(429, Outcome::NotSent), (500, Outcome::Unknown), (502, Outcome::Unknown), (504, Outcome::Unknown)];
    let sending = passing.map(|(status, _)| answered_each_time(ResponseTemplate::new(status)));
    for (result, (status, outcome)) in join_all(sending).await.into_iter().zip(passing) {
        assert_eq!(result, Err(unavailable(outcome)), "{status}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_rejected() {
    let error = answered(refused(401, 20003)).await.unwrap_err();
    assert_eq!(error, SendError::Rejected { provider_code: Some(20003), http_status: Some(401) });
}

#[tokio::test]
async fn no_code_makes_a_fault_of_twilios_own_definite() {
    let codes = [20500, 20429, 21211];
    let sending = codes.map(|code| answered_each_time(refused(500, code)));
    for (result, code) in join_all(sending).await.into_iter().zip(codes) {
        let error = result.unwrap_err();
        assert!(!error.definitely_not_sent(), "{error:?}");
        assert_eq!(error.provider_code(), Some(code));
    }
}

#[tokio::test]
async fn an_error_code_may_be_a_number_a_string_or_null() {
    for (code, expected) in [
        (json!(21606), Some(21606)),
        (json!("21606"), Some(21606)),
        (Value::Null, None),
        (json!("none"), None),
        (json!(-1), None),
        (json!(u64::MAX), None),
        (json!([21606]), None),
    ] {
        let error = answered(refused(400, code.clone())).await.unwrap_err();
        assert_eq!(error.provider_code(), expected, "{code}");
        assert!(matches!(error, SendError::Rejected { .. }), "{code}");
    }
}

#[tokio::test]
async fn retry_after_is_kept_in_seconds_and_bounded() {
    let retry_after = |result: Result<Receipt, SendError>| match result.unwrap_err() {
        SendError::Unavailable { retry_after, .. } => retry_after,
        error => panic!("{error:?}"),
    };
    // The waits exceed the deadline of these settings, so there is no second request. The test clock is at the
    // beginning of 1970.
    let known = [
        ("7", 7),
        (" 7 ", 7),
        ("999999999", 3_600),
        ("18446744073709551615", 3_600),
        ("99999999999999999999999", 3_600),
        ("Thu, 01 Jan 1970 00:00:07 GMT", 7),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 3_600),
    ];
    for (header, expected) in known {
        for status in [429, 503] {
            let answer = refused(status, 20429).insert_header("Retry-After", header);
            assert_eq!(retry_after(answered(answer).await), Some(expected), "{header}");
        }
    }
    let others = [("0", Some(1)), ("Wed, 31 Dec 1969 23:59:00 GMT", Some(1)), ("-1", None), ("soon", None)];
    let sending = others
        .map(|(header, _)| answered_each_time(refused(429, 20429).insert_header("Retry-After", header)));
    for (result, (header, expected)) in join_all(sending).await.into_iter().zip(others) {
        assert_eq!(retry_after(result), expected, "{header}");
    }
}

#[tokio::test]
async fn a_message_that_failed_at_once_is_a_failure_by_its_code() {
    let error = answered(created("failed", 21610)).await.unwrap_err();
    let reason = UnreachableReason::OptedOut;
    assert_eq!(error, SendError::Unreachable { reason, provider_code: Some(21610) });

    let error = answered(created("undelivered", "30034")).await.unwrap_err();
    assert_eq!(error, SendError::Rejected { provider_code: Some(30034), http_status: Some(201) });

    for status in ["failed", "undelivered", "canceled"] {
        assert_eq!(answered(created(status, Value::Null)).await.unwrap_err(), unavailable(Outcome::Unknown));
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_does_not_undo_what_was_taken() {
    let huge = format!(r#"{{"sid": "{MESSAGE_SID}", "padding": "{}"}}"#, "a".repeat(64 * 1024));
    for body in ["<html>Welcome</html>", "", "[]", "null", "{\"sid\"", huge.as_str()] {
        let receipt = answered(ResponseTemplate::new(201).set_body_string(body)).await.unwrap();
        let taken =
            Receipt { provider_id: None, status: DeliveryStatus::Queued, segments: None, price: None };
        assert_eq!(receipt, taken, "{body:.20}");

        let error = answered(ResponseTemplate::new(400).set_body_string(body)).await.unwrap_err();
        assert_eq!(error, SendError::Rejected { provider_code: None, http_status: Some(400) }, "{body:.20}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = stub(created("queued", Value::Null)).await;
    for status in [302, 307, 308] {
        let answer = ResponseTemplate::new(status).insert_header("Location", target.uri());
        let error = answered(answer).await.unwrap_err();
        assert_eq!(error, SendError::Rejected { provider_code: None, http_status: Some(status) });
    }
    assert!(target.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_success_that_is_not_twilios_is_no_message() {
    for answer in [
        ResponseTemplate::new(200).set_body_string("<html>Sign in to the network</html>"),
        ResponseTemplate::new(200),
        ResponseTemplate::new(204),
        ResponseTemplate::new(200).set_body_json(json!({ "sid": SID, "status": "active" })),
    ] {
        let error = answered(answer).await.unwrap_err();
        assert!(matches!(error, SendError::Rejected { .. }), "{error:?}");
    }
    // A 200 with a message in it is accepted.
    let taken = ResponseTemplate::new(200).set_body_json(json!({ "sid": MESSAGE_SID, "status": "queued" }));
    assert!(answered(taken).await.is_ok());
}
