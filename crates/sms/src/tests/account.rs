//! The account check of the `doctor` command.

use super::*;

async fn checked(settings: TwilioSettings) -> Result<AccountCheck, SendError> {
    Twilio::new(settings, Clock::fixed(DateTime::UNIX_EPOCH))
        .unwrap()
        .check_account()
        .await
        .map_err(|unsent| unsent.error)
}

fn account(status: &str, kind: &str) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({"sid": SID, "status": status, "type": kind, "friendly_name": "Café"}))
}

#[tokio::test]
async fn the_account_says_whether_it_may_be_used_and_is_paid_for() {
    for (status, kind, expected) in [
        ("active", "Full", (Some(AccountStatus::Active), Some(AccountKind::Full))),
        ("active", "Trial", (Some(AccountStatus::Active), Some(AccountKind::Trial))),
        ("suspended", "Full", (Some(AccountStatus::Suspended), Some(AccountKind::Full))),
        ("closed", "Full", (Some(AccountStatus::Closed), Some(AccountKind::Full))),
        ("dormant", "Gold", (None, None)),
    ] {
        let server = stub(account(status, kind)).await;
        let check = checked(settings(&server.uri())).await.unwrap();
        assert_eq!((check.status, check.kind), expected);
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].method.as_str(), "GET");
        assert_eq!(requests[0].url.path(), format!("/2010-04-01/Accounts/{SID}.json"));
        assert_eq!(requests[0].headers["authorization"], BASIC);
    }
}

#[tokio::test]
async fn an_api_key_reads_the_messages_because_the_account_is_closed_to_it() {
    let server = stub(ResponseTemplate::new(200).set_body_json(json!({"messages": []}))).await;
    let key = Credentials { user: "SKeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee".into(), password: "hush".into() };
    let check = checked(TwilioSettings { credentials: key, ..settings(&server.uri()) }).await.unwrap();
    assert_eq!(check, AccountCheck { status: None, kind: None });
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].url.path(), format!("/2010-04-01/Accounts/{SID}/Messages.json"));
    assert_eq!(requests[0].url.query(), Some("PageSize=1"));
    assert_eq!(requests[0].method.as_str(), "GET");
}

#[tokio::test]
async fn what_is_wrong_is_told_in_our_own_words() {
    for (answer, error, words) in [
        (
            refused(401, 20003),
            SendError::Rejected { provider_code: Some(20003), http_status: Some(401) },
            "wrong credentials",
        ),
        (
            refused(404, 20404),
            SendError::Rejected { provider_code: Some(20404), http_status: Some(404) },
            "does not exist there",
        ),
        (ResponseTemplate::new(503), unavailable(Outcome::Unknown), "status.twilio.com"),
        (
            // A success that is not Twilio's.
            ResponseTemplate::new(200).set_body_string("<html>It works!</html>"),
            SendError::Rejected { provider_code: None, http_status: Some(200) },
            "TWILIO_API_BASE_URL",
        ),
    ] {
        let server = stub(answer).await;
        let result = checked(settings(&server.uri())).await;
        assert_eq!(result, Err(error.clone()));
        let explanation = explain(Provider::Twilio, &error);
        assert!(explanation.contains(words), "{explanation}");
        assert!(!explanation.contains(SID) && !explanation.contains("127.0.0.1"), "{explanation}");
    }
}
