//! The daily caps, in total and by country: their last fifth, their alarm and their end, and which messages they count.

use loopin_auth::domain::{audit::Action, delivery::Channel};
use poem::http::Method;
use serde_json::json;

use crate::{
    on_both,
    prefixes::{assert_sent, entries, phone, request_code},
    support::{Answer, OTHER_PHONE, PHONE, TestServer},
};

/// From the beginning of every test to midnight in India, in whole seconds: 18:30:00 UTC less 09:26:53.589793.
const TO_MIDNIGHT: i64 = 32_587;

fn assert_waits(answer: &Answer, seconds: i64) {
    answer.assert_error(429, "rate_limited");
    assert_eq!(answer.at("/error/retry_after"), json!(seconds), "{}", answer.text);
}

async fn sent_today(server: &TestServer) -> i64 {
    server.count("SELECT count FROM budgets WHERE key = 'day/2026-03-14'").await
}

on_both! {
    async fn the_last_fifth_of_a_day_is_for_phones_that_have_an_account(server: TestServer) {
        let server = server.second_server(&[("LIMIT_SENDS_PER_DAY", "10")]).await;
        server.sign_in(PHONE).await;
        server.sign_in(OTHER_PHONE).await;
        assert_sent(&server, 0..6).await;
        let alarms = entries(&server, Action::CapReached).await;
        assert_eq!(alarms.len(), 1);
        assert_eq!(alarms[0].detail.json(), json!({"budget": "day", "cap": 10, "percent": 80}));
        assert_waits(&request_code(&server, 6).await, TO_MIDNIGHT);
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        server.signup(OTHER_PHONE).await.assert_ok();
        assert_eq!(sent_today(&server).await, 10);
        server.advance(30);
        assert_waits(&server.login(PHONE).await, TO_MIDNIGHT - 60);
        // The last second of the day, and the first of the next.
        server.advance(TO_MIDNIGHT - 61);
        assert_waits(&request_code(&server, 6).await, 1);
        server.advance(1);
        assert_sent(&server, 6..14).await;
        assert_waits(&request_code(&server, 14).await, 86_400);
        assert_eq!(entries(&server, Action::CapReached).await.len(), 2, "once a day");
    }

    async fn a_country_has_its_own(server: TestServer) {
        let server = server.second_server(&[("LIMIT_SENDS_PER_DAY_AND_COUNTRY", "IN:5,GB:100")]).await;
        assert_sent(&server, 0..4).await;
        assert_waits(&request_code(&server, 4).await, TO_MIDNIGHT);
        server.signup("+12025550123").await.assert_ok();
        server.signup("+447400123456").await.assert_ok();
        let alarms = entries(&server, Action::CapReached).await;
        assert_eq!(alarms.len(), 1);
        assert_eq!(
            alarms[0].detail.json(),
            json!({"budget": "country", "country": "IN", "cap": 5, "percent": 80})
        );
        let text = server.services.metrics.text();
        assert!(text.contains("loopin_cap_used_ratio{scope=\"IN\"} 0.8"), "{text}");
        let refused = entries(&server, Action::CodeRefused).await;
        assert_eq!(refused[0].detail.get("budget"), Some(&json!("country")));
    }

    async fn a_message_that_is_given_back_sounds_no_second_alarm(server: TestServer) {
        let server = server.second_server(&[("LIMIT_SENDS_PER_DAY", "10")]).await;
        assert_sent(&server, 0..7).await;
        server.signup("+15005550001").await.assert_error(400, "phone_unreachable");
        assert_eq!(sent_today(&server).await, 7);
        assert_sent(&server, 7..8).await;
        let other = server.second_server(&[]).await;
        assert_waits(&request_code(&other, 8).await, TO_MIDNIGHT);
        assert_eq!(entries(&server, Action::CapReached).await.len(), 1);
    }

    async fn a_closed_prefix_and_a_spent_cap_still_serve_accounts(server: TestServer) {
        server.sign_in(&phone(900)).await;
        server.advance(30);
        assert_sent(&server, 0..50).await;
        request_code(&server, 50).await.assert_error(429, "rate_limited");
        let server = server.second_server(&[("LIMIT_SENDS_PER_DAY", "1")]).await;
        assert_waits(&request_code(&server, 51).await, TO_MIDNIGHT - 30);
        server.from("203.0.113.9").signup(&phone(900)).await.assert_ok();
    }

    async fn the_next_channel_counts_and_is_not_tried_where_the_cap_is_spent(server: TestServer) {
        let settings = [
            ("OTP_CHANNELS", "sms,whatsapp"),
            ("OTP_FALLBACK", "whatsapp"),
            // Two for phones without an account.
            ("LIMIT_SENDS_PER_DAY", "3"),
        ];
        let server = server.second_server(&settings).await;
        let undelivered = "+15005550011";
        server.signup(undelivered).await.assert_ok();
        server.play(5).await;
        assert_eq!(server.inbox_of(undelivered).len(), 2);
        assert_eq!(sent_today(&server).await, 2);
        let sent = entries(&server, Action::CodeSent).await;
        let ways: Vec<_> = sent.iter().map(|entry| (entry.actor_kind.clone(), entry.detail.get("channel").cloned())).collect();
        assert_eq!(ways, [("person".into(), Some(json!("sms"))), ("system".into(), Some(json!("whatsapp")))]);
        // On the next day one message is left when a message is undelivered, and another phone uses it.
        server.advance(86_400);
        assert_sent(&server, 0..1).await;
        server.from("203.0.113.9").signup(undelivered).await.assert_ok();
        server.play(5).await;
        let ways: Vec<Channel> = server.inbox_of(undelivered).iter().map(|message| message.channel).collect();
        assert_eq!(ways, [Channel::Sms, Channel::WhatsApp, Channel::Sms], "newest first");
        let refused = entries(&server, Action::CodeRefused).await;
        assert_eq!(refused.len(), 1);
        assert_eq!((refused[0].actor_kind.as_ref(), refused[0].detail.get("budget")), ("system", Some(&json!("day"))));
    }

    async fn the_notice_to_an_old_number_counts_and_goes_out_all_the_same(server: TestServer) {
        let server = server.second_server(&[("LIMIT_SENDS_PER_DAY", "10")]).await;
        let tokens = server.sign_in(PHONE).await;
        let body = json!({ "phone_number": OTHER_PHONE });
        server.send_as(&tokens.access, Method::POST, "/api/auth/change-phone", body).await.assert_ok();
        server.execute("UPDATE budgets SET count = 10 WHERE key = 'day/2026-03-14'").await;
        let body = json!({ "phone_number": OTHER_PHONE, "otp_code": server.last_code_for(OTHER_PHONE) });
        server.send_as(&tokens.access, Method::POST, "/api/auth/verify-change-phone", body).await.assert_ok();
        assert_eq!(server.inbox_of(PHONE).len(), 2, "the code and the notice");
        assert_eq!(sent_today(&server).await, 11);
        assert_eq!(server.count("SELECT count FROM budgets WHERE key = 'prefix/IN/+916205'").await, 2);
    }
}

on_both! {
    async fn who_used_up_her_guesses_is_told_when_the_next_code_may_be_asked_for(server: TestServer) {
        for (name, limit) in [
            ("LIMIT_SENDS_PER_DAY", "2"), ("LIMIT_SENDS_PER_DAY_AND_COUNTRY", "IN:2"),
            ("LIMIT_UNVERIFIED_SENDS_PER_PREFIX", "1/1h"), ("LIMIT_REQUESTS_PER_ADDRESS", "1/1h"),
        ] {
            let server = TestServer::with(server.database, &[(name, limit)]).await;
            let sent = server.signup(PHONE).await;
            sent.assert_ok();
            let wait = sent.at("/data/resend_in").as_i64().expect("seconds");
            let wrong = server.wrong_code_for(PHONE);
            for _ in 0..3 {
                server.verify_otp(PHONE, &wrong).await.assert_error(400, "otp_invalid");
            }
            let answer = server.verify_otp(PHONE, &wrong).await;
            answer.assert_error(429, "otp_attempts_exhausted");
            assert_eq!(answer.at("/error/retry_after"), wait, "{name}");
            server.advance(wait - 1);
            // A request for a full prefix before its time closes it, and the wait begins again.
            if !name.ends_with("PREFIX") {
                server.signup(PHONE).await.assert_error(429, "rate_limited");
            }
            server.advance(1);
            server.signup(PHONE).await.assert_ok();
        }
    }
}
