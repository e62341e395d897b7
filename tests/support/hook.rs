//! The operator's server for the hook before sending and for events: verifies signatures and gives the answer that a test sets.

use std::sync::{Arc, Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

use super::TestServer;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A receiver. Every request to it must have a valid signature, or [`Hook::questions`] panics.
pub struct Hook {
    server: MockServer,
    answer: Answering,
}

type Answer = Box<dyn Fn(&Request) -> ResponseTemplate + Send + Sync>;

#[derive(Clone)]
struct Answering(Arc<Mutex<Answer>>);

impl Respond for Answering {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        (self.0.lock().expect("no thread panics"))(request)
    }
}

impl Hook {
    pub async fn that_answers(decision: &str) -> Self {
        let decided = decided(decision);
        let answer = Answering(Arc::new(Mutex::new(Box::new(move |_: &Request| decided.clone()))));
        let server = MockServer::start().await;
        Mock::given(matchers::any()).respond_with(answer.clone()).mount(&server).await;
        Self { server, answer }
    }

    pub fn decide(&self, decision: &str) {
        self.answer(decided(decision));
    }

    pub fn answer(&self, template: ResponseTemplate) {
        self.answer_each(move |_| template.clone());
    }

    /// Answers each request by itself.
    pub fn answer_each(&self, answer: impl Fn(&Request) -> ResponseTemplate + Send + Sync + 'static) {
        *self.answer.0.lock().expect("no thread panics") = Box::new(answer);
    }

    /// The settings of a server whose events come here.
    pub fn events_settings(&self) -> [(&'static str, String); 3] {
        [
            ("EVENTS_URL", format!("{}/events", self.server.uri())),
            ("EVENTS_SECRET", SECRET.to_owned()),
            ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true".to_owned()),
        ]
    }

    /// A second server whose events come here.
    pub async fn told_by(&self, server: &TestServer, settings: &[(&str, &str)]) -> TestServer {
        let own = self.events_settings();
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let all: Vec<(&str, &str)> = own.chain(settings.iter().copied()).collect();
        server.second_server(&all).await
    }

    /// The ids and the payloads of all tries, in the order in which they came. Their signatures are checked.
    pub async fn events(&self) -> Vec<(String, Value)> {
        let id = |request: &Request| request.headers["webhook-id"].to_str().expect("text").to_owned();
        self.requests().await.iter().map(|request| (id(request), signed(request).0)).collect()
    }

    /// Forgets what came.
    pub async fn forget(&self) {
        let answer = self.answer.clone();
        self.server.reset().await;
        Mock::given(matchers::any()).respond_with(answer).mount(&self.server).await;
    }

    /// A second server that asks this hook.
    pub async fn asked_by(&self, server: &TestServer, settings: &[(&str, &str)]) -> TestServer {
        let url = format!("{}/before-send", self.server.uri());
        let mut all = vec![
            ("BEFORE_SEND_URL", url.as_str()),
            ("BEFORE_SEND_SECRET", SECRET),
            ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true"),
        ];
        all.extend(settings);
        server.second_server(&all).await
    }

    pub async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.expect("requests are recorded")
    }

    /// The bodies of all questions, whose signatures are checked.
    pub async fn questions(&self, server: &TestServer) -> Vec<Value> {
        let requests = self.requests().await;
        requests.iter().map(|request| verified(request, server)).collect()
    }
}

fn decided(decision: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "decision": decision }))
}

fn verified(request: &Request, server: &TestServer) -> Value {
    let (body, timestamp) = signed(request);
    let age = server.now().timestamp() - timestamp;
    assert!((0..=300).contains(&age), "{age}");
    body
}

/// The body and the time, if the signature is right. Computed here without the code under test.
fn signed(request: &Request) -> (Value, i64) {
    let header = |name: &str| request.headers[name].to_str().expect("a header is text");
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).expect("the secret is base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("every length is right");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(&request.body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(header("webhook-signature"), expected);
    let body = serde_json::from_slice(&request.body).expect("the body is JSON");
    (body, timestamp.parse().expect("a time in seconds"))
}
