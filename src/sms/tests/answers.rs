//! What Twilio answers, and what it means.

use super::*;

#[tokio::test]
async fn a_taken_message_gives_the_providers_id() {
    for (said, status) in [
        ("queued", ReceiptStatus::Queued),
        ("accepted", ReceiptStatus::Queued),
        ("sending", ReceiptStatus::Queued),
        ("a status of next year", ReceiptStatus::Queued),
        ("sent", ReceiptStatus::Sent),
        ("delivered", ReceiptStatus::Sent),
    ] {
        let receipt = answered(created(said, Value::Null)).await.unwrap();
        assert_eq!(receipt, Receipt { provider_id: Some(MESSAGE_SID.into()), status }, "{said}");
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
        (21265, NotMobile),
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
        (60200, Invalid),
        (60205, NotMobile),
        (60410, Blocked),
        (60605, RegionNotAllowed),
        (63014, OptedOut),
    ] {
        let error = answered(refused(400, code)).await.unwrap_err();
        assert_eq!(error, SendError::Unreachable { reason, provider_code: Some(code) });
        assert!(error.definitely_not_sent());
    }
}

#[tokio::test]
async fn what_is_ours_to_mend_is_rejected() {
    for code in [
        10001, 20008, 20404, 21212, 21219, 21601, 21603, 21604, 21606, 21608, 21617, 21659, 21660, 21661,
        21701, 21703, 21705, 30002, 30007, 30032, 30034, 63038, 572_002,
        // Not in the table, and 4xx.
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
        (20429, NotSent),
        (21611, NotSent),
        (21730, NotSent),
        (30001, NotSent),
        (30008, Unknown),
        (30022, NotSent),
        (30410, Unknown),
        (63017, NotSent),
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
    for (status, outcome) in [
        (408, Outcome::Unknown),
        (429, Outcome::NotSent),
        (500, Outcome::Unknown),
        (502, Outcome::Unknown),
        (503, Outcome::Unknown),
        (504, Outcome::Unknown),
    ] {
        assert_eq!(
            answered(ResponseTemplate::new(status)).await.unwrap_err(),
            unavailable(outcome),
            "{status}"
        );
    }
}

#[tokio::test]
async fn wrong_credentials_are_rejected() {
    let error = answered(refused(401, 20003)).await.unwrap_err();
    assert_eq!(error, SendError::Rejected { provider_code: Some(20003), http_status: Some(401) });
}

#[tokio::test]
async fn no_code_makes_a_fault_of_twilios_own_definite() {
    for code in [20500, 20429, 21211] {
        let error = answered(refused(500, code)).await.unwrap_err();
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
    for (header, expected) in [
        ("7", Some(7)),
        (" 7 ", Some(7)),
        ("0", Some(1)),
        ("999999999", Some(3_600)),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("-1", None),
        ("soon", None),
    ] {
        for status in [429, 503] {
            let error =
                answered(refused(status, 20429).insert_header("Retry-After", header)).await.unwrap_err();
            let SendError::Unavailable { retry_after, .. } = error else { panic!("{error:?}") };
            assert_eq!(retry_after, expected, "{header}");
        }
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
        assert_eq!(receipt, Receipt { provider_id: None, status: ReceiptStatus::Queued }, "{body:.20}");

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
