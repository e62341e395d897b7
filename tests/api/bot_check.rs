//! The bot check over HTTP: which requests need a proof, and the results of the proofs.

use futures_util::future::join_all;
use loopin_auth::{
    domain::audit::{Action, Entry, Filter},
    store,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::{
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer},
};

const ADDRESS: &str = "203.0.113.7";
const SIGNUP: &str = "/api/auth/signup";
const LOGIN: &str = "/api/auth/login";
const HOUR: i64 = 3600;

/// A proof of eight bits takes 256 hashes on average.
const POW: [(&str, &str); 2] = [("BOT_PROOF", "pow"), ("BOT_PROOF_DIFFICULTY", "8")];

/// A server with the bot check, on the same database.
async fn with_bot_check(server: &TestServer, more: &[(&str, &str)]) -> TestServer {
    server.second_server(&[&POW, more].concat()).await
}

/// An address that has used up half of its requests, by requests that send nothing.
async fn half_used(server: &TestServer, address: &str) -> TestServer {
    let one = server.from(address);
    for _ in 0..10 {
        one.login("1").await.assert_error(422, "validation_failed");
    }
    one
}

async fn answer(from: &TestServer, path: &str, phone: &str, response: impl Into<Value>) -> Answer {
    let response: Value = response.into();
    from.post(path, json!({ "phone_number": phone, "challenge_response": response })).await
}

/// The challenge in a refusal.
#[track_caller]
fn challenge(refused: &Answer) -> String {
    refused.assert_error(403, "challenge_required");
    let challenge = refused.text_at("/error/challenge/challenge");
    assert!(!challenge.is_empty(), "{}", refused.text);
    challenge
}

/// The first answer to a challenge whose hash begins with a zero byte, or whose hash does not.
pub fn work(challenge: &str, is_enough: bool) -> String {
    let answers = (0_u64..).map(|number| format!("{challenge}.{number}"));
    answers.into_iter().find(|answer| (Sha256::digest(answer)[0] == 0) == is_enough).unwrap()
}

#[track_caller]
pub fn solve(refused: &Answer) -> String {
    work(&challenge(refused), true)
}

/// A refusal without its challenge, which differs each time.
fn without_challenge(refused: &Answer) -> String {
    refused.text.replace(&challenge(refused), "…")
}

async fn failures(server: &TestServer) -> Vec<Entry> {
    server.services.audit.flush().await.unwrap();
    let filter = Filter { action: Some(Action::ChallengeFailed), ..Filter::default() };
    let all = store::audit::list_after(&server.services.store, &filter, None, 10_000).await.unwrap();
    // No answer to a challenge, and none of the provider, is no wrong answer.
    let other = [Some(json!("missing")), Some(json!("unavailable"))];
    all.into_iter().filter(|entry| !other.contains(&entry.detail.get("reason").cloned())).collect()
}

#[track_caller]
fn assert_counted(server: &TestServer, line: &str) {
    let text = server.services.metrics.text();
    assert!(text.lines().any(|counted| counted == line), "{line} in {text}");
}

/// A provider whose answer depends on the token.
async fn provider() -> MockServer {
    let provider = MockServer::start().await;
    let word = |word: &str, answer: ResponseTemplate| {
        Mock::given(matchers::body_string_contains(format!("response={word}&"))).respond_with(answer)
    };
    let yes = json!({"success": true, "hostname": "app.example.com"});
    let no = json!({"success": false, "error-codes": ["timeout-or-duplicate"]});
    word("good", ResponseTemplate::new(200).set_body_json(yes)).mount(&provider).await;
    word("used", ResponseTemplate::new(200).set_body_json(no)).mount(&provider).await;
    word("away", ResponseTemplate::new(503)).mount(&provider).await;
    provider
}

async fn with_provider(server: &TestServer, name: &str, url: &str) -> TestServer {
    let settings = [
        ("BOT_PROOF", name),
        ("BOT_PROOF_SITE_KEY", "the-site-key"),
        ("BOT_PROOF_SECRET", "the-provider-secret"),
        ("BOT_PROOF_URL", url),
        ("BOT_PROOF_HOSTNAMES", "app.example.com"),
    ];
    server.second_server(&settings).await
}

on_both! {
    async fn the_tenth_request_of_an_address_is_served_and_the_eleventh_is_asked(server: TestServer) {
        let server = with_bot_check(&server, &[]).await;
        let one = server.from(ADDRESS);
        for _ in 0..9 {
            one.login(OTHER_PHONE).await.assert_error(404, "user_not_found");
        }
        one.signup(PHONE).await.assert_ok();
        server.advance(30);
        let refused = one.signup(PHONE).await;
        let text = challenge(&refused);
        let shape = json!({
            "code": "challenge_required",
            "challenge": {"provider": "pow", "challenge": text, "difficulty": 8, "expires_in": 120},
        });
        assert_eq!(refused.at("/error"), shape);
        assert!(refused.header("ratelimit").unwrap_or_default().contains("\"address-requests\";r=9"), "{refused:?}");
        assert_eq!(server.inbox_of(PHONE).len(), 1);
        // Other addresses need none.
        server.from("203.0.113.8").signup(OTHER_PHONE).await.assert_ok();

        let sent = answer(&one, SIGNUP, PHONE, work(&text, true)).await;
        // A proof adds no waiting time: the next code may be requested as usual.
        assert_eq!(sent.assert_ok().at("/data/resend_in"), json!(30));
        assert_eq!(server.inbox_of(PHONE).len(), 2);
        one.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        server.advance(HOUR);
        one.login(PHONE).await.assert_ok();
    }

    async fn an_answer_that_nobody_asked_for_is_not_looked_at(server: TestServer) {
        let server = with_bot_check(&server, &[]).await;
        answer(&server.from(ADDRESS), SIGNUP, PHONE, "garbage").await.assert_ok();
        assert_eq!(failures(&server).await, []);
    }

    async fn an_answer_lets_one_message_out(server: TestServer) {
        let server = with_bot_check(&server, &[]).await;
        let one = half_used(&server, ADDRESS).await;
        let refused = one.signup(PHONE).await;
        let proof = solve(&refused);
        answer(&one, SIGNUP, PHONE, proof.as_str()).await.assert_ok();
        let elsewhere = with_bot_check(&server, &[]).await.from(ADDRESS);
        for (server, path) in [(&one, SIGNUP), (&elsewhere, SIGNUP), (&one, LOGIN)] {
            server.advance(30);
            if path == LOGIN {
                server.from("198.51.100.1").verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
            }
            let again = answer(server, path, PHONE, proof.as_str()).await;
            assert_ne!(challenge(&again), challenge(&refused));
            assert_eq!(again.at("/error/retry_after"), Value::Null, "{}", again.text);
        }
        assert_eq!(server.inbox_of(PHONE).len(), 1);
        // The new challenge works like the first one.
        let refused = one.login(PHONE).await;
        answer(&one, LOGIN, PHONE, solve(&refused)).await.assert_ok();
        assert_eq!(server.inbox_of(PHONE).len(), 2);

        elsewhere.services.audit.flush().await.unwrap();
        let kept: Vec<Value> = failures(&server).await.iter().map(|entry| entry.detail.json()).collect();
        assert_eq!(kept, vec![json!({"provider": "pow", "reason": "spent"}); 3]);
        assert_counted(&server, "loopin_budget_refusals_total{budget=\"proof\"} 2");
    }

    async fn twenty_times_the_same_answer_at_once_at_two_servers_are_one_message(server: TestServer) {
        // Only the proof limits these requests.
        let settings = [
            ("OTP_RESEND_SECONDS", "0"),
            ("LIMIT_REQUESTS_PER_ADDRESS", "60/1h"),
            ("LIMIT_SENDS_PER_PHONE", "100/1h"),
            ("LIMIT_SENDS_PER_PHONE_AND_ADDRESS", "100/1h"),
        ];
        let server = with_bot_check(&server, &settings).await;
        let other = with_bot_check(&server, &settings).await.from(ADDRESS);
        let one = server.from(ADDRESS);
        for _ in 0..30 {
            one.login("1").await.assert_error(422, "validation_failed");
        }
        let proof = solve(&one.signup(PHONE).await);
        let servers = [&one, &other];
        let all = (0..20).map(|number| answer(servers[number % 2], SIGNUP, PHONE, proof.as_str()));
        let answers = join_all(all).await;
        let served = answers.iter().filter(|answer| answer.status.as_u16() == 200).count();
        let sent = [&server, &other].map(|server| server.inbox_of(PHONE).len());
        assert_eq!((served, sent.iter().sum::<usize>()), (1, 1), "{answers:?}");
        for refused in answers.iter().filter(|answer| answer.status.as_u16() != 200) {
            assert!([403, 429].contains(&refused.status.as_u16()), "{}", refused.text);
        }
    }

    async fn an_answer_is_good_for_one_phone_from_one_address_and_two_minutes(server: TestServer) {
        let server = with_bot_check(&server, &[]).await;
        let one = half_used(&server, "2001:db8:7::1").await;
        let neighbour = half_used(&server, "2001:db8:8::1").await;
        let proof = solve(&one.signup(PHONE).await);
        challenge(&answer(&one, SIGNUP, OTHER_PHONE, proof.as_str()).await);
        challenge(&answer(&neighbour, SIGNUP, PHONE, proof.as_str()).await);
        server.advance(120);
        challenge(&answer(&one, SIGNUP, PHONE, proof.as_str()).await);
        assert!(server.inbox_of(PHONE).is_empty() && server.inbox_of(OTHER_PHONE).is_empty());
        assert_eq!(failures(&server).await.len(), 3);
        assert_counted(&server, "loopin_challenges_total{provider=\"pow\",outcome=\"failed\"} 3");

        let proof = solve(&one.signup(PHONE).await);
        server.advance(119);
        // Another address of the same /64, and another spelling of the number.
        let same = server.from("2001:db8:7::ffff:2");
        answer(&same, SIGNUP, "062058 29376", proof).await.assert_ok();
        assert_counted(&server, "loopin_challenges_total{provider=\"pow\",outcome=\"passed\"} 1");
    }

    async fn what_is_no_answer_is_asked_anew(server: TestServer) {
        let server = with_bot_check(&server, &[]).await;
        let one = half_used(&server, ADDRESS).await;
        let text = challenge(&one.signup(PHONE).await);
        for (number, wrong) in [
            work(&text, false),
            text.clone(),
            format!("{text}."),
            format!("{text}.-1"),
            "an-echo-of-this".to_owned(),
            "गौरव.7".to_owned(),
            "x".repeat(4096),
        ]
        .iter()
        .enumerate()
        {
            let again = answer(&one, SIGNUP, PHONE, wrong.as_str()).await;
            assert_ne!(challenge(&again), text, "{wrong}");
            assert!(!again.text.contains("an-echo"), "{}", again.text);
            let kept = failures(&server).await;
            assert_eq!(kept.len(), number + 1, "{wrong}");
            let (last, phone) = (kept.last().unwrap(), "+91******9376");
            assert_eq!(last.detail.json(), json!({"provider": "pow", "reason": "wrong"}));
            assert_eq!((last.phone_masked.as_deref(), last.address.as_deref()), (Some(phone), Some(ADDRESS)));
        }
        assert!(server.inbox_of(PHONE).is_empty());
        // Null counts as no proof.
        let other = half_used(&server, "203.0.113.8").await;
        challenge(&answer(&other, SIGNUP, PHONE, Value::Null).await);
        for wrong in [json!(7), json!({}), json!([]), json!(true), json!(""), json!("x".repeat(4097))] {
            let refused = answer(&other, LOGIN, PHONE, wrong.clone()).await;
            refused.assert_error(422, "validation_failed");
            let fields = refused.at("/error/fields");
            assert_eq!(fields.as_object().unwrap().keys().collect::<Vec<_>>(), ["challenge_response"], "{wrong}");
        }
        assert_eq!(failures(&server).await.len(), 7, "requests without a proof are no failed proofs");
    }

    async fn over_half_of_a_prefix_asks_everybody_of_it(server: TestServer) {
        let server = with_bot_check(&server, &[("LIMIT_UNVERIFIED_SENDS_PER_PREFIX", "4/1h")]).await;
        let phone = |nth: usize| format!("+917000{nth:06}");
        let from = |nth: usize| server.from(format!("2001:db8:7000:{nth:x}::1"));
        for nth in 0..3 {
            from(nth).signup(&phone(nth)).await.assert_ok();
        }
        challenge(&from(3).signup(&phone(3)).await);
        challenge(&from(4).login(&phone(4)).await);
        from(5).signup(PHONE).await.assert_ok();
        // Requests with a proof are served, within the limit of the prefix.
        let proof = solve(&from(6).signup(&phone(6)).await);
        answer(&from(6), SIGNUP, &phone(6), proof).await.assert_ok();
        let proof = solve(&from(7).signup(&phone(7)).await);
        let closed = answer(&from(7), SIGNUP, &phone(7), proof.as_str()).await;
        closed.assert_error(429, "rate_limited");
        // One code that is entered opens the prefix and ends the check, and refused requests have used up no proof.
        from(0).verify_otp(&phone(0), &server.last_code_for(&phone(0))).await.assert_ok();
        from(8).signup(&phone(8)).await.assert_ok();
        from(9).signup(&phone(9)).await.assert_ok();
        from(10).signup(&phone(10)).await.assert_ok();
        answer(&from(7), SIGNUP, &phone(7), proof).await.assert_ok();
        assert_eq!(failures(&server).await, []);
    }

    async fn a_device_that_was_signed_in_before_is_not_asked(server: TestServer) {
        let server = with_bot_check(&server, &[]).await;
        server.signup(PHONE).await.assert_ok();
        let token = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.text_at("/data/device_token");
        assert!(!token.is_empty());
        server.advance(30);
        let one = half_used(&server, ADDRESS).await;
        let body = |phone: &str, token: &str| json!({ "phone_number": phone, "device_token": token });
        challenge(&one.post(LOGIN, body(PHONE, "a dead one")).await);
        challenge(&one.post(SIGNUP, body(OTHER_PHONE, &token)).await);
        one.post(LOGIN, body(PHONE, &token)).await.assert_ok();
    }

    async fn everybody_is_asked_alike(server: TestServer) {
        let server = with_bot_check(&server, &[]).await;
        let phones = ["+919876543201", "+919876543202", "+919876543203", "+919876543204"];
        let [finished, unfinished, disabled, unknown] = phones;
        server.sign_in(unfinished).await;
        let tokens = server.sign_in(finished).await;
        let mut profile = crate::support::whole_profile();
        profile["phone_number"] = json!(finished);
        let path = "/api/auth/complete-profile";
        server.send_as(&tokens.access, poem::http::Method::POST, path, profile).await.assert_ok();
        server.sign_in(disabled).await;
        server.disable(disabled).await;
        server.advance(30);
        for (number, path) in [SIGNUP, LOGIN].into_iter().enumerate() {
            let mut answers = Vec::new();
            for (nth, phone) in phones.iter().enumerate() {
                let one = half_used(&server, &format!("198.51.100.{}", 10 * number + nth)).await;
                let refused = one.post(path, json!({ "phone_number": phone })).await;
                let again = answer(&one, path, phone, "garbage").await;
                let names: Vec<String> = refused.headers.keys().map(ToString::to_string).collect();
                answers.push((without_challenge(&refused), without_challenge(&again), names));
            }
            for other in &answers {
                assert_eq!(other, &answers[0], "{path}");
            }
        }
        for phone in [finished, unfinished, disabled] {
            assert_eq!(server.inbox_of(phone).len(), 1);
        }
        assert!(server.inbox_of(unknown).is_empty());
    }

    async fn what_lets_no_message_out_leaves_an_answer_as_good_as_it_was(server: TestServer) {
        let server = with_bot_check(&server, &[]).await;
        let one = half_used(&server, ADDRESS).await;
        let proof = solve(&one.login(PHONE).await);
        answer(&one, LOGIN, PHONE, proof.as_str()).await.assert_error(404, "user_not_found");
        answer(&one, SIGNUP, PHONE, proof.as_str()).await.assert_ok();
        challenge(&answer(&one, SIGNUP, PHONE, proof).await);
        // A number that the test inbox refuses, like a provider.
        let gone = "+15005550009";
        let proof = solve(&one.signup(gone).await);
        for _ in 0..2 {
            let refused = answer(&one, SIGNUP, gone, proof.as_str()).await;
            refused.assert_error(400, "phone_unreachable");
        }
    }

    async fn a_provider_judges(server: TestServer) {
        let provider = provider().await;
        for (nth, name) in ["turnstile", "hcaptcha"].into_iter().enumerate() {
            let server = with_provider(&server, name, &provider.uri()).await;
            let phone = format!("+91987654320{nth}");
            let one = half_used(&server, &format!("203.0.113.{nth}")).await;
            let mut shape = json!({"provider": name, "site_key": "the-site-key"});
            if name == "turnstile" {
                shape["action"] = Value::Null;
            }
            let refused = one.signup(&phone).await;
            refused.assert_error(403, "challenge_required");
            assert_eq!(refused.at("/error/challenge"), shape);
            let again = answer(&one, SIGNUP, &phone, "used").await;
            again.assert_error(403, "challenge_required");
            assert_eq!(again.at("/error/challenge"), shape);
            let kept = failures(&server).await;
            let expected = json!({"provider": name, "reason": "wrong"});
            assert_eq!(kept.iter().filter(|entry| entry.detail.json() == expected).count(), 1);
            assert!(server.inbox_of(&phone).is_empty());
            answer(&one, SIGNUP, &phone, "good").await.assert_ok();
            assert_eq!(server.inbox_of(&phone).len(), 1);
        }
    }

    async fn a_provider_that_is_away_lets_nobody_in_and_costs_the_phone_nothing(server: TestServer) {
        let provider = provider().await;
        for name in ["turnstile", "hcaptcha"] {
            let server = with_provider(&server, name, &provider.uri()).await;
            let one = half_used(&server, if name == "hcaptcha" { ADDRESS } else { "203.0.113.8" }).await;
            let away = answer(&one, SIGNUP, PHONE, "away").await;
            away.assert_error(503, "sms_unavailable");
            assert_eq!(away.at("/error/retry_after"), json!(5));
            answer(&one, LOGIN, PHONE, "away").await.assert_error(503, "sms_unavailable");
            assert!(server.inbox_of(PHONE).is_empty());
            assert_eq!(server.count("SELECT COUNT(*) FROM budgets WHERE key NOT LIKE 'address/%'").await, 0);
            assert_eq!(server.count("SELECT COUNT(*) FROM challenges").await, 0);
            assert_eq!(failures(&server).await, [], "it is unknown whether the proof was wrong");
            let line = format!("loopin_challenges_total{{provider=\"{name}\",outcome=\"unavailable\"}} 2");
            assert_counted(&server, &line);
        }
        // Requests that are not suspicious are served.
        let server = with_provider(&server, "turnstile", &provider.uri()).await;
        server.from("203.0.113.9").signup(PHONE).await.assert_ok();
    }

    async fn without_limits_or_without_the_setting_nobody_is_asked(server: TestServer) {
        let free = with_bot_check(&server, &[("RATE_LIMITS_ENABLED", "false")]).await.from(ADDRESS);
        for number in 0..30 {
            free.signup(&format!("+9170000{number:05}")).await.assert_ok();
        }
        let off = half_used(&server, ADDRESS).await;
        for _ in 0..10 {
            answer(&off, LOGIN, PHONE, "garbage").await.assert_error(404, "user_not_found");
        }
        off.login(PHONE).await.assert_error(429, "rate_limited");
    }
}
