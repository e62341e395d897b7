//! Messages through a stub of Twilio: the answers of the server when Twilio accepts a message, and for each of its errors.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use poem::http::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{basic_auth, method, path},
};

use crate::{
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer, WIDE_LIMITS, wait_until},
};

pub(crate) const SID: &str = "AC0123456789abcdef0123456789abcdef";
pub(crate) const TOKEN: &str = "the auth token of the tests";
pub(crate) const SENDER: &str = "+15005550006";

/// A message of Twilio, which must not be in an answer.
const TWILIO_SAYS: &str =
    "Account AC0123456789abcdef0123456789abcdef may not, see https://www.twilio.com/docs";

/// A second server on the same database, whose messages go to this address. The first one keeps its inbox.
pub(crate) async fn server_that_sends_to(
    server: &TestServer,
    base: &str,
    settings: &[(&str, &str)],
) -> TestServer {
    let mut all = vec![
        ("TWILIO_TEST_MODE", "false"),
        ("TWILIO_ACCOUNT_SID", SID),
        ("TWILIO_AUTH_TOKEN", TOKEN),
        ("TWILIO_PHONE_NUMBER", SENDER),
        ("TWILIO_API_BASE_URL", base),
    ];
    all.extend(settings);
    server.second_server(&all).await
}

/// Lets the stub give this answer to requests with the right credentials.
pub(crate) async fn set_answer(stub: &MockServer, template: ResponseTemplate) {
    stub.reset().await;
    let account = format!("/2010-04-01/Accounts/{SID}/Messages.json");
    let right = Mock::given(method("POST")).and(path(account)).and(basic_auth(SID, TOKEN));
    right.respond_with(template).mount(stub).await;
}

pub(crate) fn accepted() -> ResponseTemplate {
    let body = json!({"sid": "SM0123456789abcdef0123456789abcdef", "status": "queued", "error_code": null});
    ResponseTemplate::new(201).set_body_json(body)
}

pub(crate) fn rejected(status: u16, code: u32) -> ResponseTemplate {
    let body = json!({"code": code, "message": TWILIO_SAYS, "more_info": TWILIO_SAYS, "status": status});
    ResponseTemplate::new(status).set_body_json(body)
}

pub(crate) fn form(body: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// The messages that the stub has received since its answer was set, oldest first.
pub(crate) async fn sent_to(stub: &MockServer) -> Vec<HashMap<String, String>> {
    stub.received_requests().await.unwrap().iter().map(|request| form(&request.body)).collect()
}

/// Waits until the stub has received a request.
pub(crate) async fn first_request(stub: &MockServer) {
    wait_until("the stub has a request", async || !sent_to(stub).await.is_empty()).await;
}

/// The code in a message.
fn code_of(message: &HashMap<String, String>) -> String {
    let digits = |word: &&str| word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_digit());
    message["Body"].split([' ', '.']).find(digits).expect("a code in the message").to_owned()
}

/// Checks that the answer has nothing of Twilio's: its messages and codes, our account and sender, and its address.
#[track_caller]
fn assert_nothing_leaks(answer: &Answer, base: &str) {
    let host = base.trim_start_matches("http://");
    let text = format!("{} {:?}", answer.text, answer.headers).to_lowercase();
    // Its codes have five digits, and our answers have no such number.
    assert!(!answer.text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() == 5), "{text}");
    for secret in [SID, TOKEN, SENDER, host, "twilio", "127.0.0.1", "connect", "reqwest", "hyper"] {
        assert!(!text.contains(&secret.to_lowercase()), "{secret} in {}", answer.text);
    }
}

/// A provider that reads a message and closes the connection, and what it has read.
async fn provider_that_hangs_up() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let read = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&read);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            while !String::from_utf8_lossy(&bytes).contains("ValidityPeriod=") {
                if socket.read_buf(&mut bytes).await.unwrap_or_default() == 0 {
                    break;
                }
            }
            heard.lock().unwrap().push(String::from_utf8_lossy(&bytes).into_owned());
            let _ = socket.shutdown().await;
        }
    });
    (base, read)
}

on_both! {
    async fn a_message_says_the_code_and_dies_with_it(server: TestServer) {
        let stub = MockServer::start().await;
        set_answer(&stub, accepted()).await;
        let other = server_that_sends_to(&server, &stub.uri(), &[]).await;
        other.signup(PHONE).await.assert_ok();
        let messages = sent_to(&stub).await;
        assert_eq!(messages.len(), 1);
        let code = code_of(&messages[0]);
        let text = format!("Your Loopin verification code is: {code}. This code is valid for 10 min.");
        let expected = [("To", PHONE), ("From", SENDER), ("Body", &text), ("ValidityPeriod", "600")];
        assert_eq!(messages[0], expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        server.verify_otp(PHONE, &code).await.assert_ok();
        let queued = "SELECT COUNT(*) FROM messages WHERE status = 'queued' AND provider = 'twilio'";
        assert_eq!(server.count(queued).await, 1);
    }

    async fn a_resend_lives_and_says_so_only_for_what_remains(server: TestServer) {
        let stub = MockServer::start().await;
        set_answer(&stub, accepted()).await;
        let other = server_that_sends_to(&server, &stub.uri(), &[("PRODUCT_NAME", "Chai")]).await;
        other.signup(PHONE).await.assert_ok();
        server.advance(400);
        let answer = other.signup(PHONE).await;
        assert_eq!(answer.assert_ok().at("/data/expires_in"), json!(200));
        let messages = sent_to(&stub).await;
        assert_eq!(messages[1]["ValidityPeriod"], "200");
        let code = code_of(&messages[0]);
        let text = format!("Your Chai verification code is: {code}. This code is valid for 3 min.");
        assert_eq!(messages[1]["Body"], text, "the same code, with the minutes that remain");
    }

    async fn a_messaging_service_sends_instead_of_a_number(server: TestServer) {
        let stub = MockServer::start().await;
        set_answer(&stub, accepted()).await;
        let service = "MG0123456789abcdef0123456789abcdef";
        let settings = [("TWILIO_MESSAGING_SERVICE_SID", service)];
        let server = server_that_sends_to(&server, &stub.uri(), &settings).await;
        server.signup(PHONE).await.assert_ok();
        let messages = sent_to(&stub).await;
        assert_eq!(messages[0]["MessagingServiceSid"], service);
        assert_eq!(messages[0].get("From"), None);
    }

    async fn a_number_that_gets_no_messages_is_told_why(server: TestServer) {
        let stub = MockServer::start().await;
        let other = server_that_sends_to(&server, &stub.uri(), &[]).await;
        for (code, reason) in [
            (21211, "invalid"), (21614, "not_mobile"), (21610, "opted_out"), (21408, "region_not_allowed"),
            (30004, "blocked"),
        ] {
            set_answer(&stub, rejected(400, code)).await;
            let answer = other.signup(PHONE).await;
            answer.assert_error(400, "phone_unreachable");
            assert_eq!(answer.at("/error/reason"), json!(reason));
            assert_nothing_leaks(&answer, &stub.uri());
        }
        set_answer(&stub, accepted()).await;
        other.signup(PHONE).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE status = 'failed'").await, 5);
    }

    async fn a_provider_that_refuses_us_is_502(server: TestServer) {
        let stub = MockServer::start().await;
        let server = server_that_sends_to(&server, &stub.uri(), &[]).await;
        for template in [rejected(401, 20003), rejected(403, 20005), rejected(404, 20404), rejected(400, 21606)] {
            set_answer(&stub, template).await;
            let answer = server.signup(PHONE).await;
            answer.assert_error(502, "sms_rejected");
            assert_nothing_leaks(&answer, &stub.uri());
        }
        set_answer(&stub, accepted()).await;
        server.signup(PHONE).await.assert_ok();
    }

    async fn a_provider_with_a_fault_of_its_own_is_503(server: TestServer) {
        let stub = MockServer::start().await;
        let server = server_that_sends_to(&server, &stub.uri(), &WIDE_LIMITS).await;
        for (template, wait) in [
            (rejected(500, 20500), None),
            (ResponseTemplate::new(502).set_body_string(format!("<html>{TWILIO_SAYS}</html>")), None),
            (rejected(503, 20503).insert_header("Retry-After", "17"), Some(17)),
            (rejected(429, 20429), None),
        ] {
            set_answer(&stub, template).await;
            let answer = server.signup(PHONE).await;
            answer.assert_error(503, "sms_unavailable");
            let seconds = answer.at("/error/retry_after").as_i64().expect("waiting helps");
            assert!(seconds >= 1 && wait.is_none_or(|wait| wait == seconds), "{}", answer.text);
            assert_nothing_leaks(&answer, &stub.uri());
        }
        set_answer(&stub, accepted()).await;
        server.signup(PHONE).await.assert_ok();
    }

    async fn after_an_unknown_outcome_the_same_code_is_sent_again(server: TestServer) {
        let stub = MockServer::start().await;
        let other = server_that_sends_to(&server, &stub.uri(), &[("OTP_LENGTH", "8")]).await;
        set_answer(&stub, rejected(500, 20500)).await;
        other.signup(PHONE).await.assert_error(503, "sms_unavailable");
        let lost = code_of(&sent_to(&stub).await[0]);
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE status = 'unknown'").await, 1);
        server.advance(1);
        set_answer(&stub, accepted()).await;
        let answer = other.signup(PHONE).await;
        assert_eq!(answer.assert_ok().at("/data/expires_in"), json!(599), "it is the same challenge");
        assert_eq!(code_of(&sent_to(&stub).await[0]), lost, "so the lost message works if it comes after all");
        other.verify_otp(PHONE, &lost).await.assert_ok();
    }

    async fn a_failed_send_gives_back_the_wait_but_no_guess(server: TestServer) {
        let stub = MockServer::start().await;
        let server = server_that_sends_to(&server, &stub.uri(), &[]).await;
        set_answer(&stub, rejected(500, 20500)).await;
        server.signup(PHONE).await.assert_error(503, "sms_unavailable");
        let code = code_of(&sent_to(&stub).await[0]);
        server.verify_otp(PHONE, &crate::support::wrong(&code)).await.assert_error(400, "otp_invalid");
        server.signup(PHONE).await.assert_error(503, "sms_unavailable");
        let answer = server.verify_otp(PHONE, &crate::support::wrong(&code)).await;
        assert_eq!(answer.at("/error/attempts_remaining"), json!(1));
    }

    async fn after_a_failed_send_and_a_good_one_there_is_a_wait_again(server: TestServer) {
        let stub = MockServer::start().await;
        let server = server_that_sends_to(&server, &stub.uri(), &[]).await;
        set_answer(&stub, rejected(400, 21614)).await;
        server.signup(PHONE).await.assert_error(400, "phone_unreachable");
        set_answer(&stub, accepted()).await;
        server.signup(PHONE).await.assert_ok();
        server.signup(PHONE).await.assert_error(429, "otp_cooldown");
    }

    async fn a_connection_that_is_cut_is_503_and_the_same_code_again(server: TestServer) {
        let (base, heard) = provider_that_hangs_up().await;
        let server = server_that_sends_to(&server, &base, &[]).await;
        for _ in 0..2 {
            let answer = server.signup(PHONE).await;
            answer.assert_error(503, "sms_unavailable");
            assert_nothing_leaks(&answer, &base);
        }
        let heard = heard.lock().unwrap().clone();
        let bodies: Vec<_> = heard.iter().filter_map(|text| text.split("\r\n\r\n").nth(1)).collect();
        assert_eq!(bodies.len(), 2, "each request is one message, sent once");
        assert_eq!(bodies[0], bodies[1]);
    }

    async fn a_refused_connection_is_503(server: TestServer) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let other = server_that_sends_to(&server, &base, &[]).await;
        for _ in 0..2 {
            let answer = other.signup(PHONE).await;
            answer.assert_error(503, "sms_unavailable");
            assert_nothing_leaks(&answer, &base);
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE status = 'failed'").await, 2);
    }

    // This test waits in real time: the timeout of the provider is no setting, and the contract promises ten seconds.
    async fn a_slow_provider_is_503_after_ten_seconds_and_holds_nobody_up(server: TestServer) {
        let stub = MockServer::start().await;
        set_answer(&stub, accepted().set_delay(Duration::from_mins(1))).await;
        let server = server_that_sends_to(&server, &stub.uri(), &[]).await;
        let slow = tokio::time::timeout(Duration::from_secs(14), server.signup(PHONE));
        let others = async {
            let mut answers = Vec::new();
            while sent_to(&stub).await.is_empty() {
                tokio::task::yield_now().await;
            }
            for _ in 0..20 {
                answers.push(server.verify_otp(OTHER_PHONE, "1097").await);
            }
            answers
        };
        let others = tokio::time::timeout(Duration::from_secs(7), others);
        let (slow, others) = tokio::join!(slow, others);
        let slow = slow.expect("an answer of its own, before the edge gives up");
        slow.assert_error(503, "sms_unavailable");
        assert_nothing_leaks(&slow, &stub.uri());
        for answer in others.expect("no request waits for another message") {
            answer.assert_error(400, "otp_not_found");
        }
        let code = code_of(&sent_to(&stub).await[0]);
        set_answer(&stub, accepted()).await;
        server.signup(PHONE).await.assert_ok();
        assert_eq!(code_of(&sent_to(&stub).await[0]), code);
    }

    async fn logging_in_fails_in_the_same_words(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(30);
        let stub = MockServer::start().await;
        let server = server_that_sends_to(&server, &stub.uri(), &[]).await;
        for (template, status, code) in [
            (rejected(400, 21610), 400, "phone_unreachable"),
            (rejected(401, 20003), 502, "sms_rejected"),
            (rejected(500, 20500), 503, "sms_unavailable"),
        ] {
            set_answer(&stub, template).await;
            let answer = server.login(PHONE).await;
            answer.assert_error(status, code);
            assert_nothing_leaks(&answer, &stub.uri());
        }
        set_answer(&stub, accepted()).await;
        server.login(PHONE).await.assert_ok();
        server.verify_login(PHONE, &code_of(&sent_to(&stub).await[0])).await.assert_ok();
    }

    async fn there_is_no_inbox_where_messages_go_out(server: TestServer) {
        let other = server_that_sends_to(&server, "http://127.0.0.1:9", &[]).await;
        for path in ["/dev/inbox", "/dev/inbox.json"] {
            assert_eq!(other.get(path).await.status, StatusCode::NOT_FOUND);
        }
        assert_ne!(server.get("/dev/inbox.json").await.json(), Value::Null);
    }
}
