//! Traces, as a collector, a hook and the webhook for messages get them.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::path};

use crate::{
    server::{Folder, Server, free_port},
    support::{PHONE, wait_until, whole_profile},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NAME: &str = "Anandamayi Raghunathan";

/// A collector, a hook and a provider in one.
async fn stub() -> MockServer {
    let stub = MockServer::start().await;
    let allow = ResponseTemplate::new(200).set_body_json(json!({ "decision": "allow" }));
    Mock::given(path("/before-send")).respond_with(allow).mount(&stub).await;
    for endpoint in ["/otlp/v1/traces", "/sms", "/events"] {
        Mock::given(path(endpoint)).respond_with(ResponseTemplate::new(200)).mount(&stub).await;
    }
    stub
}

async fn requests(stub: &MockServer, path: &str) -> Vec<Request> {
    let mut requests = stub.received_requests().await.expect("requests are recorded");
    requests.retain(|request| request.url.path() == path);
    requests
}

/// All that the collector got. Texts stand in protobuf as they are, and ids as their bytes.
async fn collected(stub: &MockServer) -> Vec<u8> {
    requests(stub, "/otlp/v1/traces").await.into_iter().flat_map(|request| request.body).collect()
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(digits).collect()
}

async fn signup(server: &Server, phone: &str, traceparent: &str) {
    let request = server.client.post(format!("{}/api/auth/signup", server.base));
    let request = request.header("traceparent", traceparent).json(&json!({ "phone_number": phone }));
    assert_eq!(request.send().await.expect("an answer").status(), 200);
}

/// The trace ids that requests came with.
fn parents(requests: &[Request]) -> Vec<String> {
    let parent = |request: &Request| request.headers["traceparent"].to_str().expect("a text").to_owned();
    requests.iter().map(parent).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_on_to_hooks_and_tells_nobody_who_the_user_is() {
    let (stub, folder) = (stub().await, Folder::new());
    let url = |path: &str| format!("{}{path}", stub.uri());
    let metrics = format!("127.0.0.1:{}", free_port());
    let mut server = Server::start(
        &folder,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url("/otlp")),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20collector"),
            ("OTEL_SERVICE_NAME", "sign-in of the tests"),
            ("SMS_PROVIDERS", "*=webhook"),
            ("SMS_WEBHOOK_URL", &url("/sms")),
            ("SMS_WEBHOOK_SECRET", SECRET),
            ("BEFORE_SEND_URL", &url("/before-send")),
            ("BEFORE_SEND_SECRET", SECRET),
            ("EVENTS_URL", &url("/events")),
            ("EVENTS_SECRET", SECRET),
            ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true"),
            ("METRICS_ADDR", &metrics),
        ],
    )
    .await;
    signup(&server, PHONE, &format!("00-{TRACE}-{SPAN}-01")).await;
    let examples = server.client.get(format!("http://{metrics}/metrics")).send().await.expect("an answer");
    let examples = examples.text().await.expect("a text");
    let message: Value = requests(&stub, "/sms").await[0].body_json().expect("JSON");
    let code = message["sms"]["otp"].as_str().expect("a code").to_owned();
    let verified = server.verify_otp(PHONE, &code).await.ok();
    let (token, refresh) = (verified.text("/token"), verified.text("/data/refresh_token"));
    let mut profile = whole_profile();
    profile["name"] = NAME.into();
    server.post_as(&token, "/api/auth/complete-profile", profile).await.ok();
    server.post("/api/auth/login", json!({ "username": "anandamayi", "password": "a wrong password" })).await;
    signup(&server, "+919876543210", &format!("00-{}-{SPAN}-01", TRACE.to_uppercase())).await;
    wait_until("an event was sent", async || !requests(&stub, "/events").await.is_empty()).await;
    server.terminate();
    assert!(server.ended().await.success());

    let got = collected(&stub).await;
    for span in [
        "POST /api/auth/signup",
        "POST /api/auth/verify-otp",
        "send code",
        "redeem code",
        "hook before sending",
        "hand message over",
        "provider request",
        "hash password",
        "INSERT",
        "event",
        "sign-in of the tests",
    ] {
        assert!(has(&got, span.as_bytes()), "{span:?} is not among the spans");
    }
    assert!(has(&got, &bytes_of(TRACE)) && has(&got, &bytes_of(SPAN)), "the caller's trace goes on");
    let digits = PHONE.trim_start_matches('+');
    let never = [
        digits,
        &digits[2..],
        "9376",
        &code,
        &token,
        &refresh,
        NAME,
        "Anandamayi",
        "anandamayi",
        "1995-01-01",
        "a wrong",
    ];
    for secret in never {
        assert!(!has(&got, secret.as_bytes()), "the collector got {secret}");
    }
    for request in requests(&stub, "/otlp/v1/traces").await {
        assert_eq!(request.headers["authorization"], "Bearer collector");
        assert_eq!(request.headers["content-type"], "application/x-protobuf");
        assert!(!request.headers.contains_key("traceparent"));
    }

    for endpoint in ["/before-send", "/sms"] {
        let parents = parents(&requests(&stub, endpoint).await);
        let [first, second] = parents.as_slice() else { panic!("{endpoint}: {parents:?}") };
        assert!(first.starts_with(&format!("00-{TRACE}-")) && first.ends_with("-01"), "{endpoint}: {first}");
        assert!(!first.contains(SPAN), "the parent is our request");
        assert!(has(&got, &bytes_of(&first[36..52])), "{endpoint}: the parent is a span that was sent");
        assert!(!second.to_lowercase().contains(TRACE) && second.len() == 55, "a malformed one: {second}");
    }
    assert!(parents(&requests(&stub, "/events").await).iter().all(|parent| !parent.contains(TRACE)));

    let log = server.log();
    let line = log.lines().find(|line| line.contains(TRACE) && line.contains("status=200")).expect("a line");
    assert!(
        line.contains("route=\"/api/auth/signup\"") && line.contains(&format!("trace_id=\"{TRACE}\"")),
        "{line}"
    );
    assert!(!log.contains("hand message over"), "the log has no spans of traces: {log}");
    let example = format!("# {{trace_id=\"{TRACE}\"}} ");
    assert!(
        examples.lines().any(|line| line.contains("route=\"/api/auth/signup\"") && line.contains(&example)),
        "{examples}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_collector_nothing_is_traced() {
    let (stub, folder) = (stub().await, Folder::new());
    let server = Server::start(
        &folder,
        &[
            ("BEFORE_SEND_URL", &format!("{}/before-send", stub.uri())),
            ("BEFORE_SEND_SECRET", SECRET),
            ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true"),
            ("RUST_LOG", "trace"),
        ],
    )
    .await;
    signup(&server, PHONE, &format!("00-{TRACE}-{SPAN}-01")).await;
    let asked = requests(&stub, "/before-send").await;
    assert!(!asked[0].headers.contains_key("traceparent"), "{asked:?}");
    let log = server.log();
    assert!(!log.contains(TRACE) && !log.contains("hook before sending{"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_slows_no_request_and_is_told_once() {
    let folder = Folder::new();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let metrics = format!("127.0.0.1:{}", free_port());
    let server = Server::start(
        &folder,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{address}/otlp")),
            // The library's own setting: how often it sends.
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
            ("METRICS_ADDR", &metrics),
        ],
    )
    .await;
    let told = || server.log().matches("the collector does not take traces").count();
    for _ in 0..20 {
        let answer = server.try_send(Method::GET, "/api/auth/event-interests", None, None);
        let answer = tokio::time::timeout(Duration::from_secs(5), answer).await.expect("it answers at once");
        assert_eq!(answer.expect("an answer").status, 200);
    }
    wait_until("it is told", async || told() > 0).await;
    let lost = async || {
        let text = server.client.get(format!("http://{metrics}/metrics")).send().await.expect("an answer");
        let text = text.text().await.expect("a text");
        let line = text.lines().find_map(|line| line.strip_prefix("loopin_trace_spans_lost_total "));
        line.expect("the metric").parse::<u64>().expect("a number")
    };
    server.get("/api/auth/event-interests").await.ok();
    let before = lost().await;
    assert!(before > 0);
    server.get("/api/auth/event-interests").await.ok();
    wait_until("more is lost", async || lost().await > before).await;
    assert_eq!(told(), 1, "once a minute");

    let stub =
        MockServer::builder().listener(TcpListener::bind(address).expect("the same port")).start().await;
    Mock::given(path("/otlp/v1/traces")).respond_with(ResponseTemplate::new(200)).mount(&stub).await;
    let comes_back = async || {
        server.get("/api/auth/event-interests").await.ok();
        server.log().contains("the collector takes traces again")
    };
    wait_until("it is used again", comes_back).await;
    assert!(has(&collected(&stub).await, b"GET /api/auth/event-interests"));
}
