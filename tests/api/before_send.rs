//! The hook before sending: what it is asked, and what follows from its decisions.

use std::time::Duration;

use loopin_auth::domain::audit::Action;
use poem::http::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use wiremock::{MockServer, ResponseTemplate};

use super::{
    prefixes::entries,
    roles::sign_in_with_role,
    sms::{accepted, sent_to, set_answer},
    twilio_status::{MESSAGE, report, with_twilio},
};
use crate::{
    on_both,
    support::{Answer, Database, OTHER_PHONE, PHONE, TestServer, WIDE_LIMITS, hook::Hook},
};

const POW: [(&str, &str); 2] = [("BOT_PROOF", "pow"), ("BOT_PROOF_DIFFICULTY", "8")];
const ONE_SEND: (&str, &str) = ("LIMIT_SENDS_PER_PHONE", "1/1h");

fn denied(answer: &Answer) {
    answer.assert_error(400, "phone_unreachable");
    assert_eq!(answer.text_at("/error/reason"), "blocked");
}

/// What the audit log says about refusals, oldest first.
async fn reasons(server: &TestServer, action: Action) -> Vec<String> {
    let word = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    entries(server, action).await.iter().map(|entry| word(entry.detail.get("reason"))).collect()
}

fn asked(server: &TestServer, outcome: &str) -> u32 {
    let line = format!("loopin_hooks_total{{hook=\"before_send\",outcome=\"{outcome}\"}} ");
    let text = server.services.metrics.text();
    text.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
}

fn solve(refused: &Answer) -> String {
    refused.assert_error(403, "challenge_required");
    let challenge = refused.text_at("/error/challenge/challenge");
    let answers = (0_u64..).map(|number| format!("{challenge}.{number}"));
    // Eight zero bits are a zero byte.
    answers.into_iter().find(|answer| Sha256::digest(answer)[0] == 0).unwrap()
}

async fn row(server: &TestServer) -> (i64, i64) {
    let all = "SELECT COUNT(*) FROM messages";
    let closed = "SELECT COUNT(*) FROM messages WHERE status = 'failed' AND reason = 'blocked' \
                  AND provider = 'none' AND failed_at IS NOT NULL";
    (server.count(all).await, server.count(closed).await)
}

on_both! {
    async fn the_hook_is_told_everything_but_the_code(server: TestServer) {
        let hook = Hook::that_answers("allow").await;
        let server = hook.asked_by(&server, &[]).await;
        server.from("203.0.113.7").signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        assert_eq!(
            hook.questions(&server).await,
            [json!({
                "type": "before_send",
                "timestamp": server.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false),
                "phone_number": PHONE,
                "country": "IN",
                "purpose": "sign_in",
                "channel": "sms",
                "address": "203.0.113.7",
                "device_known": false,
                "bot_check": "not_passed",
                "can_challenge": false,
            })]
        );
        let [request] = <[_; 1]>::try_from(hook.requests().await).unwrap();
        let body = String::from_utf8(request.body.clone()).unwrap();
        // The phone and the time could contain the four digits.
        let rest = body.replace(PHONE, "").split_once("phone_number").unwrap().1.to_owned();
        assert!(!rest.contains(&code), "{body}");
        // A device that was signed in before.
        let token = server.verify_otp(PHONE, &code).await.assert_ok().text_at("/data/device_token");
        server.advance(30);
        let body = json!({"phone_number": PHONE, "device_token": token});
        server.post("/api/auth/login", body).await.assert_ok();
        let questions = hook.questions(&server).await;
        assert_eq!((questions.len(), &questions[1]["device_known"]), (2, &json!(true)));
        let ids: Vec<_> = hook.requests().await.iter().map(|request| request.headers["webhook-id"].clone()).collect();
        assert_ne!(ids[0], ids[1]);
        assert_eq!(asked(&server, "allow"), 2);
    }

    async fn a_denied_code_is_not_sent_and_costs_the_phone_nothing(server: TestServer) {
        let hook = Hook::that_answers("deny").await;
        let server = hook.asked_by(&server, &[ONE_SEND]).await;
        denied(&server.signup(PHONE).await);
        // Without a cooldown.
        denied(&server.signup(PHONE).await);
        assert_eq!((server.inbox_of(PHONE).len(), row(&server).await), (0, (2, 2)));
        assert_eq!(reasons(&server, Action::CodeRefused).await, ["hook_denied", "hook_denied"]);
        assert!(entries(&server, Action::CodeNotSent).await.is_empty());
        assert_eq!(asked(&server, "deny"), 2);
        hook.decide("allow");
        server.signup(PHONE).await.assert_ok();
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        server.advance(60);
        server.login(PHONE).await.assert_error(429, "rate_limited");
        assert_eq!(hook.questions(&server).await.len(), 3, "the hook is asked after the budgets");
    }

    async fn a_challenge_is_the_bot_check_and_its_answer_counts_as_allowed(server: TestServer) {
        let hook = Hook::that_answers("challenge").await;
        let server = hook.asked_by(&server, &[POW[0], POW[1], ONE_SEND]).await;
        let refused = server.signup(PHONE).await;
        let proof = solve(&refused);
        assert_eq!((server.inbox_of(PHONE).len(), row(&server).await), (0, (1, 1)));
        assert_eq!(reasons(&server, Action::ChallengeFailed).await, ["hook"]);
        let again = async |proof: &str| {
            server.post("/api/auth/signup", json!({"phone_number": PHONE, "challenge_response": proof})).await
        };
        // A wrong answer does not reach the hook.
        again("wrong").await.assert_error(403, "challenge_required");
        again(&proof).await.assert_ok();
        let questions = hook.questions(&server).await;
        let told = |question: &Value| (question["bot_check"].clone(), question["can_challenge"].clone());
        let told: Vec<_> = questions.iter().map(told).collect();
        assert_eq!(told, [(json!("not_passed"), json!(true)), (json!("passed"), json!(false))]);
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn a_proof_does_not_help_against_a_denial_and_works_once(server: TestServer) {
        let hook = Hook::that_answers("challenge").await;
        let server = hook.asked_by(&server, &POW).await;
        let proof = solve(&server.signup(PHONE).await);
        let body = json!({"phone_number": PHONE, "challenge_response": proof});
        hook.decide("deny");
        denied(&server.post("/api/auth/signup", body.clone()).await);
        hook.decide("challenge");
        server.advance(30);
        let other = solve(&server.signup(PHONE).await);
        let body_of_other = json!({"phone_number": PHONE, "challenge_response": other});
        server.post("/api/auth/signup", body_of_other.clone()).await.assert_ok();
        server.advance(30);
        server.post("/api/auth/signup", body_of_other).await.assert_error(403, "challenge_required");
        assert_eq!(server.codes_for(PHONE).len(), 1);
    }

    async fn a_known_device_can_be_challenged_too(server: TestServer) {
        let hook = Hook::that_answers("allow").await;
        let server = hook.asked_by(&server, &POW).await;
        server.signup(PHONE).await.assert_ok();
        let token = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok().text_at("/data/device_token");
        hook.decide("challenge");
        server.advance(60);
        let mut body = json!({"phone_number": PHONE, "device_token": token});
        let proof = solve(&server.post("/api/auth/login", body.clone()).await);
        body["challenge_response"] = json!(proof);
        server.post("/api/auth/login", body).await.assert_ok();
        let questions = hook.questions(&server).await;
        let last = questions.last().unwrap();
        assert_eq!((&last["device_known"], &last["bot_check"]), (&json!(true), &json!("passed")));
    }

    async fn a_challenge_that_is_not_possible_counts_as_denied(server: TestServer) {
        let hook = Hook::that_answers("challenge").await;
        let server = hook.asked_by(&server, &[]).await;
        denied(&server.signup(PHONE).await);
        assert_eq!(reasons(&server, Action::CodeRefused).await, ["hook_denied"]);
    }

    async fn what_is_no_decision_follows_the_setting(server: TestServer) {
        let hook = Hook::that_answers("allow").await;
        // More codes to one phone than the limits allow.
        let server = server.second_server(&WIDE_LIMITS).await;
        let allowing = hook.asked_by(&server, &[]).await;
        let denying = hook.asked_by(&server, &[("BEFORE_SEND_ON_FAILURE", "deny")]).await;
        let text = |status, text: &str| ResponseTemplate::new(status).set_body_string(text);
        let deny = r#"{"decision": "deny"}"#;
        let answers = [
            text(200, "<html>"),
            text(200, r#"{"decision": "maybe"}"#),
            text(204, ""),
            text(400, deny),
            text(500, deny),
            text(302, deny).insert_header("location", "http://127.0.0.1:9/"),
            text(200, &format!("{deny}{}", " ".repeat(70_000))),
            // The deadline is real: a second.
            text(200, deny).set_delay(Duration::from_secs(20)),
        ];
        let times = u32::try_from(answers.len()).unwrap();
        for answer in answers {
            hook.answer(answer);
            denied(&denying.signup(PHONE).await);
            allowing.signup(PHONE).await.assert_ok();
            server.advance(3600);
        }
        assert_eq!((asked(&denying, "failed"), asked(&allowing, "failed")), (times, times));
        assert!(reasons(&denying, Action::CodeRefused).await.iter().all(|reason| reason == "hook_failed"));
        assert_eq!(allowing.codes_for(PHONE).len(), 8);
    }

    async fn a_hidden_denial_looks_like_a_code_that_was_sent(server: TestServer) {
        let hook = Hook::that_answers("allow").await;
        let server = hook.asked_by(&server, &[("HIDE_ACCOUNT_EXISTENCE", "true")]).await;
        let sent = server.signup(OTHER_PHONE).await;
        hook.decide("deny");
        let silent = server.signup(PHONE).await;
        let shown = |answer: &Answer| {
            let data = answer.assert_ok().at("/data");
            (answer.text_at("/message"), data["expires_in"].clone(), data["resend_in"].clone())
        };
        assert_eq!(shown(&silent), shown(&sent));
        assert_eq!(server.inbox_of(PHONE).len(), 0);
        let status = async |answer: &Answer| {
            let known = server.delivery(answer).await;
            (known.text_at("/status"), known.text_at("/channel"), known.at("/reason"))
        };
        assert_eq!(status(&silent).await, status(&sent).await);
        assert_eq!(status(&silent).await.0, "queued");
        for phone in [PHONE, OTHER_PHONE] {
            server.signup(phone).await.assert_error(429, "otp_cooldown");
        }
        // Staff see what happened.
        assert_eq!(reasons(&server, Action::CodeRefused).await.first().unwrap(), "hook_denied");
        let admin = sign_in_with_role(&server.second_server(&[("BEFORE_SEND_URL", ""), ("BEFORE_SEND_SECRET", "")]).await, "+916205829377", "staff").await;
        server.advance(60);
        let path = format!("/api/admin/phones/{PHONE}/resend");
        let resent = server.send_as(&admin.access, Method::POST, &path, json!({})).await;
        denied(&resent);
    }

    async fn every_send_of_a_code_is_asked_about(server: TestServer) {
        let hook = Hook::that_answers("allow").await;
        // More codes to one phone than the limits allow.
        let server = hook.asked_by(&server, &WIDE_LIMITS).await;
        let user = server.sign_in(PHONE).await;
        let staff = sign_in_with_role(&server, "+916205829377", "staff").await;
        server.advance(60);
        let post = async |path: &str, body: Value| server.send_as(&user.access, Method::POST, path, body).await;
        let told = async || {
            let question = hook.questions(&server).await.pop().unwrap();
            let text = |name: &str| question[name].as_str().unwrap_or("-").to_owned();
            (text("purpose"), text("phone_number"), text("address"))
        };
        let own = |purpose: &str, phone: &str| (purpose.to_owned(), phone.to_owned(), "0.0.0.0".to_owned());
        let before = hook.requests().await.len();
        server.login(PHONE).await.assert_ok();
        assert_eq!(told().await, own("sign_in", PHONE));
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        assert_eq!(hook.requests().await.len(), before + 2, "a resend is asked about");
        server.advance(60);
        post("/api/auth/confirm-code", json!({})).await.assert_ok();
        assert_eq!(told().await, own("confirm", PHONE));
        post("/api/auth/change-phone", json!({"phone_number": OTHER_PHONE})).await.assert_ok();
        assert_eq!(told().await, own("change_phone", OTHER_PHONE));
        server.advance(60);
        let path = format!("/api/admin/phones/{PHONE}/resend");
        server.send_as(&staff.access, Method::POST, &path, json!({})).await.assert_ok();
        assert_eq!(told().await, ("sign_in".to_owned(), PHONE.to_owned(), "-".to_owned()));
        // And each can be denied.
        hook.decide("deny");
        server.advance(60);
        denied(&server.login(PHONE).await);
        denied(&post("/api/auth/confirm-code", json!({})).await);
        denied(&post("/api/auth/change-phone", json!({"phone_number": OTHER_PHONE})).await);
        let resent = server.send_as(&staff.access, Method::POST, &path, json!({})).await;
        denied(&resent);
        assert!(resent.text_at("/message").contains("the operator's check before sending"), "{}", resent.text);
    }

    async fn the_next_channel_is_asked_about_too(server: TestServer) {
        let hook = Hook::that_answers("allow").await;
        let server = hook.asked_by(&server, &[]).await;
        let stub = MockServer::start().await;
        set_answer(&stub, accepted()).await;
        let server = with_twilio(&server, &stub, &[("OTP_CHANNELS", "sms,call"), ("OTP_FALLBACK", "call")]).await;
        server.signup(PHONE).await.assert_ok();
        hook.decide("deny");
        report(&server, MESSAGE, "undelivered", &[("ErrorCode", "30003")]).await;
        let questions = hook.questions(&server).await;
        let told: Vec<_> = questions.iter().map(|question| question["channel"].as_str().unwrap()).collect();
        assert_eq!(told, ["sms", "call"]);
        assert_eq!(sent_to(&stub).await.len(), 1);
        assert_eq!((row(&server).await, reasons(&server, Action::CodeRefused).await), ((2, 1), vec!["hook_denied".to_owned()]));
    }

    async fn a_fixed_code_is_not_sent_and_not_asked_about(server: TestServer) {
        let hook = Hook::that_answers("deny").await;
        let review = [("OTP_REVIEW_NUMBERS", "+916205829376=4821@2026-12-31")];
        let server = hook.asked_by(&server, &review).await;
        server.signup(PHONE).await.assert_ok();
        assert!(hook.requests().await.is_empty());
    }
}

/// In real time: the test is about how long the answer takes.
#[tokio::test]
async fn a_hidden_denial_takes_as_long_as_a_send() {
    let hook = Hook::that_answers("allow").await;
    let hidden = TestServer::with(Database::Sqlite, &[("HIDE_ACCOUNT_EXISTENCE", "true")]).await;
    let server = hook.asked_by(&hidden, &[]).await;
    let stub = MockServer::start().await;
    let slow = Duration::from_millis(500);
    set_answer(&stub, accepted().set_delay(slow)).await;
    let server = with_twilio(&server, &stub, &[]).await;
    server.signup(PHONE).await.assert_ok();
    hook.decide("deny");
    let began = Instant::now();
    server.signup(OTHER_PHONE).await.assert_ok();
    assert!(began.elapsed() >= slow, "{:?}", began.elapsed());
    assert_eq!(sent_to(&stub).await.len(), 1);
}
