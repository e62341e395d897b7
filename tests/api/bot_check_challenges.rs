//! The bot check as the use cases call it: which requests need a proof, and the results of the proofs.

use std::net::IpAddr;

use loopin_auth::{
    domain::{address::ClientAddress, phone::PhoneNumber},
    flows::bot_check::{self, BotChallenge, ChallengeResponse, ResponseCheck},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::support::{Database, OTHER_PHONE, PHONE, TestServer};

const FROM: &str = "203.0.113.7";

fn phone(number: &str) -> PhoneNumber {
    PhoneNumber::from_e164(number).unwrap()
}

fn address(text: &str) -> ClientAddress {
    ClientAddress::new(text.parse::<IpAddr>().unwrap())
}

fn challenge_for(server: &TestServer) -> Option<BotChallenge> {
    bot_check::new_challenge(&server.services, &phone(PHONE), address(FROM), server.clock.now())
}

async fn check(server: &TestServer, response: &str, of: &str, from: &str) -> ResponseCheck {
    let response = ChallengeResponse::parse(response).unwrap();
    bot_check::check(&server.services, &response, &phone(of), address(from), server.clock.now()).await
}

fn solve(challenge: Option<BotChallenge>) -> String {
    let Some(BotChallenge::Pow { challenge, difficulty, expires_in }) = challenge else {
        panic!("the challenge asks for work: {challenge:?}")
    };
    assert_eq!((difficulty, expires_in), (8, 120));
    // Eight zero bits are a zero byte.
    let is_right = |response: &String| Sha256::digest(response)[0] == 0;
    (0..u64::MAX).map(|number| format!("{challenge}.{number}")).find(is_right).unwrap()
}

#[tokio::test]
async fn by_default_nobody_is_asked() {
    let server = TestServer::on(Database::Sqlite).await;
    assert!(!server.services.bot_check.is_on());
    assert_eq!(challenge_for(&server), None);
    assert_eq!(check(&server, "anything", PHONE, FROM).await, ResponseCheck::No);
}

#[tokio::test]
async fn with_limits_off_nobody_is_asked() {
    let settings = [("BOT_PROOF", "pow"), ("RATE_LIMITS_ENABLED", "false")];
    let server = TestServer::with(Database::Sqlite, &settings).await;
    assert!(!server.services.bot_check.is_on());
    assert_eq!(challenge_for(&server), None);
}

#[tokio::test]
async fn work_is_judged_here() {
    let settings = [("BOT_PROOF", "pow"), ("BOT_PROOF_DIFFICULTY", "8")];
    let server = TestServer::with(Database::Sqlite, &settings).await;
    assert!(server.services.bot_check.is_on());
    let answer = solve(challenge_for(&server));
    let ResponseCheck::Yes { spend: Some(first) } = check(&server, &answer, PHONE, FROM).await else {
        panic!("the answer is right")
    };
    assert_eq!(check(&server, &answer, OTHER_PHONE, FROM).await, ResponseCheck::No);
    assert_eq!(check(&server, &answer, PHONE, "203.0.113.8").await, ResponseCheck::No);
    assert_eq!(check(&server, "XXXX.DUMMY.TOKEN.XXXX", PHONE, FROM).await, ResponseCheck::No);
    // Another challenge can be spent once too.
    let ResponseCheck::Yes { spend: Some(second) } =
        check(&server, &solve(challenge_for(&server)), PHONE, FROM).await
    else {
        panic!("the answer is right")
    };
    assert_ne!(first, second);
    server.clock.advance(chrono::Duration::seconds(120));
    assert_eq!(check(&server, &answer, PHONE, FROM).await, ResponseCheck::No);
}

#[tokio::test]
async fn a_provider_judges_and_one_that_cannot_lets_nobody_in() {
    let provider = MockServer::start().await;
    let word = |word: &str, answer: ResponseTemplate| {
        Mock::given(matchers::body_string_contains(format!("response={word}&"))).respond_with(answer)
    };
    let no = |code: &str| {
        ResponseTemplate::new(200).set_body_json(json!({"success": false, "error-codes": [code]}))
    };
    let yes =
        ResponseTemplate::new(200).set_body_json(json!({"success": true, "hostname": "app.example.com"}));
    word("good", yes).mount(&provider).await;
    word("used", no("timeout-or-duplicate")).mount(&provider).await;
    word("ours", no("invalid-input-secret")).mount(&provider).await;
    word("away", ResponseTemplate::new(503)).mount(&provider).await;
    for name in ["turnstile", "hcaptcha"] {
        let url = provider.uri();
        let settings = [
            ("BOT_PROOF", name),
            ("BOT_PROOF_SITE_KEY", "the-site-key"),
            ("BOT_PROOF_SECRET", "the-provider-secret"),
            ("BOT_PROOF_URL", url.as_str()),
            ("BOT_PROOF_HOSTNAMES", "app.example.com"),
        ];
        let server = TestServer::with(Database::Sqlite, &settings).await;
        let site_key = "the-site-key".to_owned();
        let expected = match name {
            "turnstile" => BotChallenge::Turnstile { site_key, action: None },
            _ => BotChallenge::HCaptcha { site_key },
        };
        assert_eq!(challenge_for(&server), Some(expected));
        for (token, expected) in [
            ("good", ResponseCheck::Yes { spend: None }),
            ("used", ResponseCheck::No),
            ("ours", ResponseCheck::Unavailable),
            ("away", ResponseCheck::Unavailable),
        ] {
            assert_eq!(check(&server, token, PHONE, FROM).await, expected, "{name} {token}");
        }
        let counted = server.services.metrics.text();
        for (outcome, times) in [("asked", 1), ("passed", 1), ("failed", 1), ("unavailable", 2)] {
            let line =
                format!("loopin_challenges_total{{provider=\"{name}\",outcome=\"{outcome}\"}} {times}");
            assert!(counted.contains(&line), "{line} in {counted}");
        }
    }
}
