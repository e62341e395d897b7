//! `HIDE_ACCOUNT_EXISTENCE`: up to the right code no answer tells whether a phone has an account. `tests/answer_times/run.py`
//! measures whether the time of an answer does.

use std::collections::BTreeMap;

use poem::http::Method;
use serde_json::json;

use crate::{
    again::post_as,
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer, whole_profile, wrong},
};

/// The kinds of phones.
const KINDS: [&str; 4] = ["unknown", "unfinished", "finished", "disabled"];

async fn hiding(server: &TestServer) -> TestServer {
    server.second_server(&[("HIDE_ACCOUNT_EXISTENCE", "true")]).await
}

/// A phone of each kind. They were prepared two days ago.
async fn phones(server: &TestServer, first: u32) -> Vec<(&'static str, String)> {
    let open = server.second_server(&[("RATE_LIMITS_ENABLED", "false")]).await;
    let mut phones = Vec::new();
    for (place, kind) in (first..).zip(KINDS) {
        let phone = format!("+9198765{place:05}");
        if kind != "unknown" {
            let tokens = open.sign_in(&phone).await;
            if kind == "finished" {
                let mut profile = whole_profile();
                profile["phone_number"] = json!(phone);
                let path = "/api/auth/complete-profile";
                open.send_as(&tokens.access, Method::POST, path, profile).await.assert_ok();
            }
            if kind == "disabled" {
                open.disable(&phone).await;
            }
        }
        phones.push((kind, phone));
    }
    server.advance(2 * 24 * 60 * 60);
    phones
}

/// Everything of an answer, without what differs between users anyway: the phone of the request, the id of the delivery, the
/// id of the request, and the time of day.
fn shown(answer: &Answer, phone: &str) -> String {
    let mut headers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in &answer.headers {
        if !["x-request-id", "date"].contains(&name.as_str()) {
            headers.entry(name.as_str()).or_default().push(value.to_str().unwrap());
        }
    }
    let delivery = answer.text_at("/data/delivery_id");
    let text = answer.text.replace(phone, "PHONE");
    let text = if delivery.is_empty() { text } else { text.replace(&delivery, "DELIVERY") };
    format!("{} {headers:?} {text}", answer.status)
}

/// Sends every kind of request before the right code. Returns the name and the answer of each.
async fn answers_before_the_code(server: &TestServer, phone: &str) -> Vec<(&'static str, String)> {
    let mut steps: Vec<(&'static str, String)> = Vec::new();
    let mut keep = |name, answer: &Answer| steps.push((name, shown(answer, phone)));
    keep("a guess before there is a code", &server.verify_otp(phone, "0000").await);
    let sent = server.signup(phone).await;
    keep("signup", &sent);
    keep("the delivery", &server.delivery(&sent).await);
    keep("signup, too soon", &server.signup(phone).await);
    keep("login, too soon", &server.login(phone).await);
    server.advance(30);
    keep("login", &server.login(phone).await);
    let code = server.last_code_for(phone);
    keep("verify-otp, wrong", &server.verify_otp(phone, &wrong(&code)).await);
    keep("verify-login, wrong", &server.verify_login(phone, &wrong(&code)).await);
    keep("verify-login, wrong again", &server.verify_login(phone, &wrong(&code)).await);
    keep("exhausted", &server.verify_otp(phone, &code).await);
    server.advance(30);
    keep("signup again", &server.signup(phone).await);
    server.advance(30);
    keep("a fourth of an hour", &server.signup(phone).await);
    server.advance(-90);
    steps
}

on_both! {
    async fn every_answer_up_to_the_right_code_is_the_same(server: TestServer) {
        let server = hiding(&server).await;
        let mut walks = Vec::new();
        for (place, (kind, phone)) in phones(&server, 0).await.into_iter().enumerate() {
            walks.push((kind, answers_before_the_code(&server.from(format!("203.0.113.{place}")), &phone).await));
        }
        let (_, first) = walks.remove(0);
        assert!(first.iter().any(|(_, answer)| answer.starts_with("200")), "{first:#?}");
        for (kind, steps) in walks {
            for (one, other) in first.iter().zip(&steps) {
                assert_eq!(one, other, "{kind}");
            }
            assert_eq!(steps.len(), first.len());
        }
        let (_, signup) = &first[1];
        assert!(signup.contains("OTP sent successfully to your phone number"), "{signup}");
    }

    async fn the_right_code_says_what_is_what(server: TestServer) {
        let server = hiding(&server).await;
        for (place, (kind, phone)) in phones(&server, 0).await.into_iter().enumerate() {
            let server = server.from(format!("203.0.113.{place}"));
            server.login(&phone).await.assert_ok();
            let answer = server.verify_login(&phone, &server.last_code_for(&phone)).await;
            match kind {
                "unknown" => {
                    answer.assert_error(404, "user_not_found");
                    server.verify_otp(&phone, &server.last_code_for(&phone)).await.assert_ok();
                }
                "disabled" => answer.assert_error(403, "account_disabled"),
                _ => drop(answer.assert_ok()),
            }
            server.advance(30);
            server.signup(&phone).await.assert_ok();
            let answer = server.verify_otp(&phone, &server.last_code_for(&phone)).await;
            match kind {
                "disabled" => answer.assert_error(403, "account_disabled"),
                "finished" => {
                    let message = answer.assert_ok().text_at("/message");
                    assert_eq!(message, "OTP verified successfully. You are logged in.");
                }
                _ => drop(answer.assert_ok()),
            }
        }
    }

    async fn a_number_that_is_taken_is_told_after_its_code(server: TestServer) {
        let server = hiding(&server).await;
        server.sign_in(OTHER_PHONE).await;
        let tokens = server.sign_in(PHONE).await;
        server.advance(30);
        let mut answers = Vec::new();
        for phone in [OTHER_PHONE, "+919876543299"] {
            let body = json!({ "phone_number": phone });
            let answer = post_as(&server, &tokens, "/api/auth/change-phone", body).await;
            answer.assert_ok();
            let guess = |code: String| json!({ "phone_number": phone, "otp_code": code });
            let path = "/api/auth/verify-change-phone";
            let code = server.last_code_for(phone);
            let refused = post_as(&server, &tokens, path, guess(wrong(&code))).await;
            refused.assert_error(400, "otp_invalid");
            answers.push([shown(&answer, phone), shown(&refused, phone)]);
            if phone == OTHER_PHONE {
                post_as(&server, &tokens, path, guess(code)).await.assert_error(409, "phone_taken");
            }
        }
        assert_eq!(answers[0], answers[1]);
    }

    async fn a_spent_cap_serves_devices_and_nobody_else(server: TestServer) {
        let settings = [("HIDE_ACCOUNT_EXISTENCE", "true"), ("LIMIT_SENDS_PER_DAY", "5")];
        let server = server.second_server(&settings).await;
        server.signup(PHONE).await.assert_ok();
        let signed_in = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await;
        let token = signed_in.assert_ok().text_at("/data/device_token");
        // The last fifth of the cap is for known devices: one of five.
        for place in 0..3 {
            let stranger = server.from(format!("203.0.113.{place}"));
            stranger.signup(&format!("+91987654320{place}")).await.assert_ok();
        }
        server.advance(30);
        let mut answers = Vec::new();
        for (place, phone) in [PHONE, "+919876543209"].into_iter().enumerate() {
            let stranger = server.from(format!("198.51.100.{place}"));
            let answer = stranger.signup(phone).await;
            answer.assert_error(429, "rate_limited");
            answers.push(shown(&answer, phone));
        }
        assert_eq!(answers[0], answers[1]);
        let body = json!({ "phone_number": PHONE, "device_token": token });
        server.post("/api/auth/login", body).await.assert_ok();
    }

    async fn without_it_apps_are_told_as_ever(server: TestServer) {
        server.sign_in_and_complete(PHONE).await;
        server.signup(PHONE).await.assert_error(409, "user_already_exists");
        server.login(OTHER_PHONE).await.assert_error(404, "user_not_found");
    }
}
