//! `SMS_ALLOWED_COUNTRIES`, `SMS_BLOCKED_PREFIXES` and `SMS_ALLOWED_PREFIXES`.

use loopin_auth::domain::audit::Action;
use poem::http::Method;
use serde_json::json;

use crate::{
    on_both,
    prefixes::entries,
    support::{Answer, OTHER_PHONE, PHONE},
};

const BRITISH: &str = "+447400123456";

fn assert_left_out(answer: &Answer, reason: &str) {
    answer.assert_error(400, "phone_unreachable");
    assert_eq!(answer.text_at("/error/reason"), reason, "{}", answer.text);
}

on_both! {
    async fn another_country_gets_no_code_whoever_asks_and_nothing_is_charged(server: TestServer) {
        // The account was made before the country was excluded.
        server.sign_in(BRITISH).await;
        server.advance(30);
        let other = server.second_server(&[("SMS_ALLOWED_COUNTRIES", "IN")]).await;
        other.signup(PHONE).await.assert_ok();
        let rows = "SELECT COUNT(*) FROM budgets WHERE key NOT LIKE 'address/%/requests'";
        let before = other.count(rows).await;
        let unknown = "+447400123457";
        // A known, an unknown and a disabled one: the same answer.
        let mut answers = Vec::new();
        for phone in [BRITISH, unknown] {
            answers.push(other.signup(phone).await);
            answers.push(other.login(phone).await);
        }
        server.disable(BRITISH).await;
        answers.push(other.login(BRITISH).await);
        for answer in &answers {
            assert_left_out(answer, "region_not_allowed");
            assert_eq!(answer.text, answers[0].text);
        }
        assert_eq!(other.count(rows).await, before);
        assert!(other.inbox_of(BRITISH).is_empty() && other.inbox_of(unknown).is_empty());
        let refused = entries(&other, Action::CodeRefused).await;
        assert_eq!(refused.len(), 5);
        assert_eq!(
            refused[0].detail.json(),
            json!({"purpose": "sign_in", "reason": "region_not_allowed", "country": "GB"})
        );
    }

    async fn the_longest_beginning_decides(server: TestServer) {
        let settings = [
            ("SMS_ALLOWED_COUNTRIES", "IN"),
            ("SMS_BLOCKED_PREFIXES", "+91987,+88213"),
            ("SMS_ALLOWED_PREFIXES", "+9198765432,+447400"),
            // These settings are not limits, and apply without them.
            ("RATE_LIMITS_ENABLED", "false"),
        ];
        let server = server.second_server(&settings).await;
        server.signup(BRITISH).await.assert_ok();
        server.signup("+919876543210").await.assert_ok();
        assert_left_out(&server.signup("+919876543310").await, "blocked");
        assert_left_out(&server.signup("+12025550123").await, "region_not_allowed");
        server.signup(PHONE).await.assert_ok();
    }

    async fn signed_in_people_are_held_to_it_too(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.sign_in(OTHER_PHONE).await;
        server.advance(30);
        let settings = [("SMS_BLOCKED_PREFIXES", "+91")];
        let server = server.second_server(&settings).await;
        let code = "/api/auth/confirm-code";
        assert_left_out(&server.send_as(&tokens.access, Method::POST, code, json!({})).await, "blocked");
        // The answer does not tell whether the number has an account.
        for phone in [OTHER_PHONE, "+919876543999"] {
            let body = json!({ "phone_number": phone });
            let answer = server.send_as(&tokens.access, Method::POST, "/api/auth/change-phone", body).await;
            assert_left_out(&answer, "blocked");
        }
        let purposes: Vec<_> = entries(&server, Action::CodeRefused).await;
        let purposes: Vec<_> = purposes.iter().map(|entry| entry.detail.get("purpose").unwrap().clone()).collect();
        assert_eq!(purposes, [json!("confirm"), json!("change_phone"), json!("change_phone")]);
    }
}
