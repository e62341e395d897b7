//! The client against stubs on the loopback addresses.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, TcpListener},
    sync::{Arc, Mutex},
    thread::{JoinHandle, spawn},
    time::Duration,
};

use chrono::{DateTime, Utc};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::{
    Answer, Client, Endpoint, Failure, MAX_ANSWER_BYTES, Request, Rules, Secrets, Signed,
    network::{Lookup, Resolver},
};

const RULES: Rules = Rules { allow_http: true, allow_private_networks: true };
const BODY: &[u8] = br#"{"type":"before_send"}"#;
const ID: &str = "0198a2b4-7c1e-7000-8000-000000000001";

/// The address that stands for the internet in these tests, and the one that stands for a private network.
const PUBLIC: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const PRIVATE: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn is_public(address: IpAddr) -> bool {
    address == PUBLIC
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_764_288_000, 0).unwrap()
}

fn secrets() -> Secrets {
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse().unwrap()
}

async fn post_within(client: &Client, url: &str, timeout: Duration) -> Result<Answer, Failure> {
    let endpoint = Endpoint::parse(url, RULES).unwrap();
    let secrets = secrets();
    client
        .post(Request { endpoint: &endpoint, id: ID, at: at(), secrets: &secrets, body: BODY, timeout })
        .await
}

async fn post(client: &Client, url: &str) -> Result<Answer, Failure> {
    post_within(client, url, Duration::from_secs(5)).await
}

async fn stub(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(matchers::any()).respond_with(answer).mount(&server).await;
    server
}

/// A stub on one address. `port` 0 chooses one.
async fn stub_at(address: Ipv4Addr, port: u16) -> MockServer {
    let listener = TcpListener::bind((address, port)).unwrap();
    let server = MockServer::builder().listener(listener).start().await;
    Mock::given(matchers::any()).respond_with(ResponseTemplate::new(204)).mount(&server).await;
    server
}

/// A server that reads one request, writes this, and closes the connection.
fn closing_after(answer: &'static [u8]) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind((PRIVATE, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let closing = spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(BODY) {
            let mut byte = [0];
            connection.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        connection.write_all(answer).unwrap();
    });
    (url, closing)
}

fn client_that_finds(answers: &[&[Ipv4Addr]]) -> Client {
    let answers = answers.iter().map(|answer| answer.iter().copied().map(IpAddr::from).collect()).collect();
    let lookup = Lookup::Prepared(Arc::new(Mutex::new(answers)));
    Client::with_resolver(Resolver { lookup, is_allowed: is_public }).unwrap()
}

#[tokio::test]
async fn a_request_is_json_and_signed() {
    let server = stub(ResponseTemplate::new(200).set_body_string("yes")).await;
    let answer = post(&Client::new(true).unwrap(), &format!("{}/hook?key=1", server.uri())).await.unwrap();
    assert_eq!(answer, Answer { status: 200, retry_after: None, body: Some(b"yes".to_vec()) });
    let [request] = <[_; 1]>::try_from(server.received_requests().await.unwrap()).unwrap();
    let header = |name: &str| request.headers[name].to_str().unwrap();
    assert_eq!(
        (request.method.as_str(), request.url.path(), request.url.query()),
        ("POST", "/hook", Some("key=1"))
    );
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("user-agent"), "loopin-auth");
    let headers = Signed {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    assert_eq!((headers.id, headers.timestamp), (ID, "1764288000"));
    assert_eq!(headers.signature, "v1,CskiUPqFbuXKn6JUNE7O1E1yD9nMXFOk0fsQ6QRKa9w=");
    assert_eq!(secrets().verify(headers, &request.body, at()), Ok(()));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = stub(ResponseTemplate::new(200)).await;
    for status in [301, 302, 303, 307, 308] {
        let redirect = ResponseTemplate::new(status).insert_header("location", target.uri());
        let server = stub(redirect).await;
        let answer = post(&Client::new(true).unwrap(), &server.uri()).await.unwrap();
        assert_eq!((answer.status, answer.is_success()), (status, false));
    }
    assert_eq!(target.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn an_answer_is_read_up_to_the_limit() {
    let client = Client::new(true).unwrap();
    for (bytes, is_read) in [(MAX_ANSWER_BYTES, true), (MAX_ANSWER_BYTES + 1, false)] {
        let server = stub(ResponseTemplate::new(503).set_body_bytes(vec![b'x'; bytes])).await;
        let answer = post(&client, &server.uri()).await.unwrap();
        assert_eq!((answer.status, answer.body.is_some()), (503, is_read));
    }
}

#[tokio::test]
async fn the_receiver_says_when_to_try_again() {
    let client = Client::new(true).unwrap();
    for (text, expected) in
        [("17", Some(17)), (" 0 ", Some(0)), ("-1", None), ("Fri, 31 Dec 1999 23:59:59 GMT", None)]
    {
        let server = stub(ResponseTemplate::new(429).insert_header("retry-after", text)).await;
        let answer = post(&client, &server.uri()).await.unwrap();
        assert_eq!(answer.retry_after, expected.map(Duration::from_secs), "{text}");
    }
}

#[tokio::test]
async fn a_failure_says_whether_the_request_may_have_arrived() {
    let client = Client::new(true).unwrap();
    let free = TcpListener::bind((PRIVATE, 0)).unwrap().local_addr().unwrap();
    assert_eq!(post(&client, &format!("http://{free}")).await, Err(Failure::NotConnected));
    // A stub that speaks no TLS.
    let server = stub(ResponseTemplate::new(204)).await;
    let https = server.uri().replace("http:", "https:");
    assert_eq!(post(&client, &https).await, Err(Failure::NotConnected));
    assert_eq!(post(&client, "http://hooks.invalid").await, Err(Failure::NotConnected));

    let slow = stub(ResponseTemplate::new(204).set_delay(Duration::from_secs(30))).await;
    let short = Duration::from_millis(100);
    assert_eq!(post_within(&client, &slow.uri(), short).await, Err(Failure::TimedOut));
    let (url, closing) = closing_after(b"");
    assert_eq!(post(&client, &url).await, Err(Failure::Unknown));
    closing.join().unwrap();
    let was_not_sent = [Failure::NotConnected, Failure::PrivateAddress, Failure::TimedOut, Failure::Unknown]
        .map(Failure::was_not_sent);
    assert_eq!(was_not_sent, [true, true, false, false]);
}

/// The status is known, so the receiver has taken the request.
#[tokio::test]
async fn an_answer_that_ends_too_early_has_no_body() {
    let (url, closing) = closing_after(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{");
    let answer = post(&Client::new(true).unwrap(), &url).await;
    assert_eq!(answer, Ok(Answer { status: 200, retry_after: None, body: None }));
    closing.join().unwrap();
}

#[tokio::test]
async fn a_private_address_is_refused_as_a_name_and_as_a_number() {
    let server = stub(ResponseTemplate::new(204)).await;
    let port = server.address().port();
    let client = Client::new(false).unwrap();
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1", "localhost"] {
        let refused = post(&client, &format!("http://{host}:{port}")).await;
        assert_eq!(refused, Err(Failure::PrivateAddress), "{host}");
    }
    let client = client_that_finds(&[&[PRIVATE, Ipv4Addr::new(10, 0, 0, 1)]]);
    assert_eq!(post(&client, &format!("http://hooks.example:{port}")).await, Err(Failure::PrivateAddress));
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn of_a_name_with_both_only_the_public_address_is_used() {
    let public = stub_at(PUBLIC, 0).await;
    let port = public.address().port();
    let private = stub_at(PRIVATE, port).await;
    let client = client_that_finds(&[&[PRIVATE, PUBLIC]]);
    assert!(post(&client, &format!("http://hooks.example:{port}")).await.unwrap().is_success());
    assert_eq!(public.received_requests().await.unwrap().len(), 1);
    assert_eq!(private.received_requests().await.unwrap().len(), 0);
}

/// The second lookup of the name would give the private address: there is none.
#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_connected_to() {
    let public = stub_at(PUBLIC, 0).await;
    let port = public.address().port();
    let private = stub_at(PRIVATE, port).await;
    let url = format!("http://hooks.example:{port}");
    assert!(post(&client_that_finds(&[&[PUBLIC], &[PRIVATE]]), &url).await.unwrap().is_success());
    // The next connection asks again, and is refused.
    let client = client_that_finds(&[&[PUBLIC], &[PRIVATE]]);
    let nothing = format!("http://hooks.example:{}", port_of_nothing());
    assert_eq!(post(&client, &nothing).await, Err(Failure::NotConnected));
    assert_eq!(post(&client, &url).await, Err(Failure::PrivateAddress));
    assert_eq!(public.received_requests().await.unwrap().len(), 1);
    assert_eq!(private.received_requests().await.unwrap().len(), 0);
}

fn port_of_nothing() -> u16 {
    TcpListener::bind((PUBLIC, 0)).unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_document_is_read_within_the_same_rules() {
    let client = Client::new(true).unwrap();
    let get = async |client: &Client, url: &str| {
        client.get(&Endpoint::parse(url, RULES).unwrap(), Duration::from_secs(5)).await
    };
    let small = stub(ResponseTemplate::new(200).set_body_string("{}")).await;
    let answer = get(&client, &small.uri()).await.unwrap();
    assert_eq!((answer.status, answer.body.as_deref()), (200, Some(&b"{}"[..])));
    let [request] = <[_; 1]>::try_from(small.received_requests().await.unwrap()).unwrap();
    assert_eq!(
        (request.method.as_str(), request.headers["accept"].to_str().unwrap()),
        ("GET", "application/json")
    );
    let huge = stub(ResponseTemplate::new(200).set_body_string("x".repeat(MAX_ANSWER_BYTES + 1))).await;
    assert_eq!(get(&client, &huge.uri()).await.unwrap().body, None);
    let careful = Client::new(false).unwrap();
    assert_eq!(get(&careful, &small.uri()).await, Err(Failure::PrivateAddress));
}
