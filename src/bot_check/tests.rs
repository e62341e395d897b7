//! The client against a stub of the providers, and against broken servers.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use super::*;

const SECRET: &str = "0x4AAA+the&secret=of the tests";
const SITE_KEY: &str = "0x4AAAsitekey";
const TOKEN: &str = "XXXX.a+token&of=the tests.XXXX";
/// Random bits; the request contains a version 4 UUID made of them.
const QUESTION: Uuid = Uuid::from_u128(0x1234_5678_9abc_fdef_f123_4567_89ab_cdef);
const KEY: &str = "12345678-9abc-4def-b123-456789abcdef";

fn settings(provider: Provider, url: &str) -> ProviderSettings {
    ProviderSettings {
        provider,
        site_key: SITE_KEY.to_owned(),
        secret: SECRET.into(),
        url: Url::parse(url).unwrap(),
        hostnames: Vec::new(),
        action: None,
        timeout: DEFAULT_TIMEOUT,
    }
}

/// A provider that gives every request this response.
async fn stub(answer: ResponseTemplate) -> MockServer {
    stub_in_turn([answer]).await
}

/// A provider that gives these responses one after the other, and repeats the last one.
async fn stub_in_turn(answers: impl IntoIterator<Item = ResponseTemplate>) -> MockServer {
    let server = MockServer::start().await;
    let mut answers = answers.into_iter().peekable();
    while let Some(answer) = answers.next() {
        let mock = Mock::given(matchers::any()).respond_with(answer);
        if answers.peek().is_some() { mock.up_to_n_times(1) } else { mock }.mount(&server).await;
    }
    server
}

fn url(server: &MockServer) -> String {
    format!("{}/turnstile/v0/siteverify", server.uri())
}

fn said(answer: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(answer)
}

fn yes() -> ResponseTemplate {
    said(json!({
        "success": true, "error-codes": [], "challenge_ts": "2026-11-21T10:00:00.000Z",
        "hostname": "app.example.com", "action": "signin", "cdata": "", "new_field": {},
    }))
}

fn no(codes: &[&str]) -> ResponseTemplate {
    said(json!({"success": false, "error-codes": codes, "messages": []}))
}

async fn asked(settings: ProviderSettings) -> Verdict {
    let token = ChallengeResponse::parse(TOKEN).unwrap();
    let site = SiteVerify::new(settings).unwrap();
    site.verify(&token, "203.0.113.7".parse().unwrap(), QUESTION).await
}

/// The verdict of one response.
async fn answered(provider: Provider, answer: ResponseTemplate) -> Verdict {
    let server = stub(answer).await;
    asked(settings(provider, &url(&server))).await
}

/// The forms of all requests in order.
async fn forms(server: &MockServer) -> Vec<Vec<(String, String)>> {
    let requests = server.received_requests().await.unwrap();
    let form =
        |request: &wiremock::Request| url::form_urlencoded::parse(&request.body).into_owned().collect();
    requests.iter().map(form).collect()
}

fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn turnstile_is_asked_as_its_document_says() {
    let server = stub(yes()).await;
    assert_eq!(asked(settings(Provider::Turnstile, &url(&server))).await, Verdict::Human);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!(request.method.as_str(), "POST");
    assert_eq!((request.url.path(), request.url.query()), ("/turnstile/v0/siteverify", None));
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(
        String::from_utf8_lossy(&request.body),
        "secret=0x4AAA%2Bthe%26secret%3Dof+the+tests&response=XXXX.a%2Btoken%26of%3Dthe+tests.XXXX\
         &remoteip=203.0.113.7&idempotency_key=12345678-9abc-4def-b123-456789abcdef"
    );
}

#[tokio::test]
async fn hcaptcha_is_asked_as_its_document_says() {
    let server = stub(said(json!({"success": true, "credit": true, "hostname": "app.example.com"}))).await;
    assert_eq!(asked(settings(Provider::HCaptcha, &url(&server))).await, Verdict::Human);
    let expected =
        [("secret", SECRET), ("response", TOKEN), ("remoteip", "203.0.113.7"), ("sitekey", SITE_KEY)];
    assert_eq!(forms(&server).await, [pairs(&expected)]);
}

#[tokio::test]
async fn a_no_is_the_visitors_ours_or_the_providers() {
    for (code, cause) in answer::CODES {
        let expected = match cause {
            answer::Cause::Visitor => Verdict::Refused(code),
            answer::Cause::Ours => Verdict::Misconfigured(code),
            answer::Cause::Provider => Verdict::Away(code),
        };
        for provider in [Provider::Turnstile, Provider::HCaptcha] {
            assert_eq!(answered(provider, no(&[code])).await, expected, "{provider:?} {code}");
        }
    }
    for (codes, expected) in [
        (&["timeout-or-duplicate"][..], Verdict::Refused("timeout-or-duplicate")),
        (&["invalid-input-secret"], Verdict::Misconfigured("invalid-input-secret")),
        (&["invalid-input-response", "invalid-input-secret"], Verdict::Misconfigured("invalid-input-secret")),
        (&["invalid-input-response", "internal-error"], Verdict::Away("internal-error")),
        (&["a-code-of-next-year"], Verdict::Misconfigured("unknown-error-code")),
        (&[], Verdict::Refused("no-reason-given")),
    ] {
        assert_eq!(answered(Provider::Turnstile, no(codes)).await, expected, "{codes:?}");
    }
    let four_hundred = ResponseTemplate::new(400)
        .set_body_json(json!({"success": false, "error-codes": ["invalid-input-secret"]}));
    assert_eq!(
        answered(Provider::Turnstile, four_hundred).await,
        Verdict::Misconfigured("invalid-input-secret"),
        "some errors come with a 400"
    );
}

#[tokio::test]
async fn only_a_clear_yes_is_one() {
    let text = |status: u16, body: &str| ResponseTemplate::new(status).set_body_string(body);
    for (answer, expected) in [
        (text(200, ""), Verdict::Away("unreadable")),
        (text(200, "<html>success: true</html>"), Verdict::Away("unreadable")),
        (text(200, "true"), Verdict::Away("unreadable")),
        (text(200, "[{\"success\": true}]"), Verdict::Away("unreadable")),
        (said(json!({"success": "true"})), Verdict::Away("unreadable")),
        (said(json!({"success": 1})), Verdict::Away("unreadable")),
        (said(json!({"Success": true})), Verdict::Away("unreadable")),
        (text(201, "{\"success\": true}"), Verdict::Away("unreadable")),
        (text(403, "{\"success\": true}"), Verdict::Misconfigured("refused")),
        (text(403, "<html>blocked</html>"), Verdict::Misconfigured("refused")),
        (text(404, ""), Verdict::Misconfigured("refused")),
        (text(429, "{\"success\": true}"), Verdict::Away("server-error")),
        (text(500, "{\"success\": true}"), Verdict::Away("server-error")),
        (text(503, ""), Verdict::Away("server-error")),
        (
            text(200, &format!("{{\"success\": true, \"x\": \"{}\"}}", "x".repeat(70_000))),
            Verdict::Away("unreadable"),
        ),
    ] {
        let case = format!("{answer:?}");
        assert_eq!(answered(Provider::Turnstile, answer).await, expected, "{case:.300}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = stub(yes()).await;
    for status in [301, 302, 307, 308] {
        let answer = ResponseTemplate::new(status).insert_header("location", url(&elsewhere).as_str());
        assert_eq!(
            answered(Provider::Turnstile, answer).await,
            Verdict::Misconfigured("redirect"),
            "{status}"
        );
    }
    assert_eq!(forms(&elsewhere).await.len(), 0, "the secret went nowhere else");
}

#[tokio::test]
async fn a_proof_of_another_page_or_for_another_thing_is_none() {
    let server = stub(yes()).await;
    let with = |hostnames: &[&str], action: Option<&str>| ProviderSettings {
        hostnames: hostnames.iter().map(|name| (*name).to_owned()).collect(),
        action: action.map(str::to_owned),
        ..settings(Provider::Turnstile, &url(&server))
    };
    for (settings, expected) in [
        (with(&["app.example.com"], Some("signin")), Verdict::Human),
        (with(&["www.example.com", "APP.example.com"], None), Verdict::Human),
        (with(&["example.com"], None), Verdict::Refused("other-hostname")),
        (with(&[], Some("signup")), Verdict::Refused("other-action")),
        (with(&[], Some("SIGNIN")), Verdict::Refused("other-action")),
    ] {
        assert_eq!(asked(settings.clone()).await, expected, "{:?} {:?}", settings.hostnames, settings.action);
    }
    // A response without host name or action is refused if one is required.
    let silent = stub(said(json!({"success": true}))).await;
    let settings = |provider| settings(provider, &url(&silent));
    let here = ProviderSettings { hostnames: vec!["app.example.com".into()], ..settings(Provider::HCaptcha) };
    assert_eq!(asked(here).await, Verdict::Refused("other-hostname"));
    let this = ProviderSettings { action: Some("signin".into()), ..settings(Provider::Turnstile) };
    assert_eq!(asked(this).await, Verdict::Refused("other-action"));
    let this = ProviderSettings { action: Some("signin".into()), ..settings(Provider::HCaptcha) };
    assert_eq!(asked(this).await, Verdict::Human, "hCaptcha knows no actions");
}

#[tokio::test]
async fn turnstile_is_asked_again_with_the_same_key_and_hcaptcha_is_not() {
    let fails = || ResponseTemplate::new(500);
    let server = stub_in_turn([fails(), yes()]).await;
    assert_eq!(asked(settings(Provider::Turnstile, &url(&server))).await, Verdict::Human);
    let forms_of_turnstile = forms(&server).await;
    assert_eq!(forms_of_turnstile.len(), 2);
    assert_eq!(forms_of_turnstile[0], forms_of_turnstile[1], "the same question, by the same key");

    let server = stub_in_turn([no(&["internal-error"]), yes()]).await;
    assert_eq!(asked(settings(Provider::Turnstile, &url(&server))).await, Verdict::Human);

    let server = stub(fails()).await;
    assert_eq!(asked(settings(Provider::Turnstile, &url(&server))).await, Verdict::Away("server-error"));
    assert_eq!(forms(&server).await.len(), 2, "and not more often");

    let server = stub_in_turn([fails(), yes()]).await;
    assert_eq!(asked(settings(Provider::HCaptcha, &url(&server))).await, Verdict::Away("server-error"));
    assert_eq!(forms(&server).await.len(), 1, "a token that may be used up is not shown again");

    let server = stub(no(&["timeout-or-duplicate"])).await;
    asked(settings(Provider::Turnstile, &url(&server))).await;
    assert_eq!(forms(&server).await.len(), 1, "an answer is an answer");
}

#[tokio::test]
async fn a_provider_that_hangs_or_is_gone_is_away() {
    let hangs = stub(yes().set_delay(Duration::from_mins(1))).await;
    for provider in [Provider::Turnstile, Provider::HCaptcha] {
        let settings =
            ProviderSettings { timeout: Duration::from_millis(200), ..settings(provider, &url(&hangs)) };
        assert_eq!(asked(settings).await, Verdict::Away("time-out"), "{provider:?}");
    }
    // A port that was just free: nothing listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}/siteverify", listener.local_addr().unwrap());
    drop(listener);
    for provider in [Provider::Turnstile, Provider::HCaptcha] {
        assert_eq!(asked(settings(provider, &gone)).await, Verdict::Away("no-connection"), "{provider:?}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_one_is_not_asked_about() {
    let server = stub(yes()).await;
    let long = |length| ChallengeResponse::parse(&"x".repeat(length)).unwrap();
    let from = "203.0.113.7".parse().unwrap();
    let site = SiteVerify::new(settings(Provider::Turnstile, &url(&server))).unwrap();
    assert_eq!(site.verify(&long(2049), from, QUESTION).await, Verdict::Refused("too-long"));
    assert_eq!(forms(&server).await.len(), 0);
    assert_eq!(site.verify(&long(2048), from, QUESTION).await, Verdict::Human);
    let site = SiteVerify::new(settings(Provider::HCaptcha, &url(&server))).unwrap();
    assert_eq!(site.verify(&long(4096), from, QUESTION).await, Verdict::Human);
}

#[tokio::test]
async fn the_operators_question_names_nobody() {
    let server = stub(no(&["invalid-input-response"])).await;
    let site = SiteVerify::new(settings(Provider::Turnstile, &url(&server))).unwrap();
    assert_eq!(site.probe(QUESTION).await, Verdict::Refused("invalid-input-response"));
    assert_eq!(
        forms(&server).await,
        [pairs(&[("secret", SECRET), ("response", INVALID_TOKEN), ("idempotency_key", KEY)])]
    );
}

/// The log of a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_log_tells_the_operator_and_holds_no_secret() {
    // While a process has one subscriber only, tracing asks that of the thread which reaches a line first: a test in another
    // thread, which has none, would switch the line off for this one.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    for (answer, level, words) in [
        (yes(), "DEBUG ", "bot proof given"),
        (no(&["timeout-or-duplicate"]), "DEBUG ", "why=\"timeout-or-duplicate\""),
        (no(&["invalid-input-secret"]), "ERROR ", "why=\"invalid-input-secret\""),
        (no(&[SECRET, TOKEN]), "ERROR ", "why=\"unknown-error-code\""),
        (ResponseTemplate::new(500).set_body_string(SECRET), " WARN ", "why=\"server-error\""),
    ] {
        let log = Log::default();
        // Every level, other crates' lines included.
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE);
        let guard = tracing::subscriber::set_default(subscriber.finish());
        answered(Provider::Turnstile, answer).await;
        drop(guard);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let ours: Vec<&str> = text.lines().filter(|line| line.contains("loopin_auth::bot_check")).collect();
        assert_eq!(ours.len(), 1, "{text}");
        assert!(ours[0].contains(level) && ours[0].contains(words), "{}", ours[0]);
        for secret in [SECRET, "secret=of", "secret%3Dof", TOKEN, "token&of", "token%26of", "203.0.113.7"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    let settings = settings(Provider::Turnstile, "https://example.com/siteverify");
    let shown = format!("{settings:?} {:?}", SiteVerify::new(settings.clone()).unwrap());
    assert!(!shown.contains(SECRET), "{shown}");
}
