//! The database runs a statement, and the connection breaks before its answer arrives.

use loopin_auth::{
    domain::audit::Action,
    domain::{audit::Filter, delivery::Channel},
    store,
};
use serde_json::json;

use crate::support::{OTHER_PHONE, PHONE, TestServer};

/// A number of the test inbox: an SMS to it is reported as undelivered after three seconds.
const UNDELIVERED: &str = "+15005550011";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_came_back_is_followed_although_the_answer_to_its_report_was_lost() {
    let settings = [("OTP_CHANNELS", "sms,whatsapp"), ("OTP_FALLBACK", "whatsapp")];
    let Some((server, proxy)) = TestServer::behind_proxy(&settings).await else { return };
    server.signup(UNDELIVERED).await.assert_ok();
    server.play(1).await;
    proxy.lose_the_answer_to(r#"UPDATE "messages""#);
    server.play(5).await;
    assert!(proxy.has_lost_it());
    let channels: Vec<Channel> = server.inbox_of(UNDELIVERED).iter().map(|message| message.channel).collect();
    assert_eq!(channels, [Channel::WhatsApp, Channel::Sms]);
    server.play(60).await;
    assert_eq!(server.inbox_of(UNDELIVERED).len(), 2, "once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_gives_its_alarm_although_the_answer_that_it_is_remembered_was_lost() {
    let Some((server, proxy)) = TestServer::behind_proxy(&[("LIMIT_SENDS_PER_DAY", "5")]).await else {
        return;
    };
    for number in 0..3 {
        server.signup(&format!("+91987650000{number}")).await.assert_ok();
    }
    proxy.lose_the_answer_to(r#"UPDATE "budgets" SET "is_alarm_sent""#);
    server.signup("+919876500009").await.assert_ok();
    assert!(proxy.has_lost_it());
    server.services.audit.flush().await.unwrap();
    let filter = Filter { action: Some(Action::CapReached), ..Filter::default() };
    let entries = store::audit::list_after(&server.services.store, &filter, None, 10).await.unwrap();
    assert_eq!(entries.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guess_whose_answer_was_lost_counts_twice_and_never_less() {
    let Some((server, proxy)) = TestServer::behind_proxy(&[]).await else { return };
    server.signup(PHONE).await.assert_ok();
    let wrong = server.wrong_code_for(PHONE);
    proxy.lose_the_answer_to(r#"UPDATE "challenges""#);
    let answer = server.verify_otp(PHONE, &wrong).await;
    assert!(proxy.has_lost_it());
    answer.assert_error(400, "otp_invalid");
    assert_eq!(answer.at("/error/attempts_remaining"), json!(1));
}

/// A repetition would answer "no such session", which would be wrong, so the client has to repeat the request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_by_the_rows_it_touched_is_not_repeated() {
    let Some((server, proxy)) = TestServer::behind_proxy(&[]).await else { return };
    let tokens = server.sign_in(OTHER_PHONE).await;
    let list = server.get_as(&tokens.access, "/api/auth/sessions").await;
    let path = format!("/api/auth/sessions/{}", list.text_at("/data/0/id"));
    proxy.lose_the_answer_to(r#"UPDATE "sessions""#);
    let answer = server.send_as(&tokens.access, poem::http::Method::DELETE, &path, json!({})).await;
    assert!(proxy.has_lost_it());
    answer.assert_error(503, "database_unavailable");
    server.get_as(&tokens.access, "/api/auth/profile").await.assert_error(401, "token_revoked");

    // A repeated refresh returns the same pair of tokens.
    server.advance(30);
    server.login(OTHER_PHONE).await.assert_ok();
    let answer = server.verify_login(OTHER_PHONE, &server.last_code_for(OTHER_PHONE)).await;
    proxy.lose_the_answer_to(r#"WITH "rotated""#);
    let refresh = answer.text_at("/data/refresh_token");
    server.refresh(&refresh).await.assert_error(503, "database_unavailable");
    assert!(proxy.has_lost_it());
    server.refresh(&refresh).await.assert_ok();
}
