//! Requests that proxies may read in another way than the server (request smuggling), sent as bytes.

use hyper::{Request, StatusCode, client::conn::http2, header::HOST};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::server::{Server, limits};

const SIGNUP: &str =
    "POST /api/auth/signup HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

/// A path that needs no database. A well-formed request gets 404.
const NOWHERE: &str = "POST /api/nowhere HTTP/1.1\r\nhost: localhost\r\n";

/// Sends this, and returns everything up to the end of the connection.
async fn answer_to(server: &Server, text: &str) -> String {
    let mut client = server.connect().await;
    client.send(text).await;
    client.close_half().await;
    client.rest().await
}

/// Checks that there is one answer in the envelope, and no other after it.
#[track_caller]
fn assert_refused(answer: &str, status: u16, request: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    let body: Value =
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {request:?}: {answer}"));
    assert_eq!(body["error"]["code"], "malformed_request", "{request:?}: {answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request:?}: {answer}");
}

#[tokio::test]
async fn a_transfer_coding_other_than_chunked_is_501_and_the_end_of_the_connection() {
    let server = Server::new(limits()).await;
    for coding in [
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: identity, chunked",
        "transfer-encoding: gzip\r\nTransfer-Encoding: chunked",
    ] {
        let request =
            format!("{SIGNUP}{coding}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\nGET /api HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_refused(&answer_to(&server, &request).await, 501, &request);
    }
    // This coding is known, so the request reaches the routes.
    let request = format!("{NOWHERE}transfer-encoding: , Chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n");
    let answer = answer_to(&server, &request).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[tokio::test]
async fn a_length_beside_a_transfer_coding_is_400_and_the_end_of_the_connection() {
    let server = Server::new(limits()).await;
    let empty_lines = "\r\n\r\n";
    let get = "GET /api/health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for before in ["", empty_lines] {
        for fields in [
            "content-length: 12\r\ntransfer-encoding: chunked",
            "Transfer-Encoding: chunked\r\nCONTENT-LENGTH:12",
            "transfer-encoding: chunked\r\ncontent-length: nonsense",
        ] {
            let request = format!("{before}{SIGNUP}{fields}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n{get}");
            assert_refused(&answer_to(&server, &request).await, 400, &request);
        }
    }
    // After another request, and in pieces.
    let mut client = server.connect().await;
    client.send(&format!("{get}{SIGNUP}transfer-encoding: chunked\r\n")).await;
    assert!(client.answer().await.starts_with("HTTP/1.1 200 "));
    client.send("content-length: 12\r\n\r\n2\r\n{}\r\n0\r\n\r\n").await;
    assert_refused(&client.rest().await, 400, "in pieces");
    // The state of one request does not affect the next.
    let mut client = server.connect().await;
    client.send(&format!("{NOWHERE}content-length: 2\r\n\r\n{{}}")).await;
    assert!(client.answer().await.starts_with("HTTP/1.1 404 "));
    client.send(&format!("{NOWHERE}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n")).await;
    assert!(client.answer().await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn a_request_without_one_good_host_is_400() {
    let server = Server::new(limits()).await;
    for (line, hosts) in [
        ("GET /api HTTP/1.1", ""),
        ("GET /api/health HTTP/1.1", ""),
        ("GET http://localhost/api HTTP/1.1", ""),
        ("GET /api HTTP/1.1", "host:\r\n"),
        ("GET /api HTTP/1.1", "host: a\r\nhost: a\r\n"),
        ("GET /api HTTP/1.1", "host: a\r\nHost: b\r\n"),
        ("GET /api HTTP/1.1", "host: a, b\r\n"),
        ("GET /api HTTP/1.1", "host: user@a\r\n"),
        ("GET /api HTTP/1.1", "host: a/b\r\n"),
        ("GET /api HTTP/1.1", "host: a:99999\r\n"),
        ("GET /api HTTP/1.1", "host: [::1\r\n"),
        ("GET /api HTTP/1.1", "host: \u{e9}\r\n"),
        ("GET http://user@localhost/api HTTP/1.1", "host: localhost\r\n"),
    ] {
        let request = format!("{line}\r\n{hosts}\r\n");
        assert_refused(&answer_to(&server, &request).await, 400, &request);
    }
    for (line, hosts) in [
        ("GET /api HTTP/1.0", ""),
        ("GET /api HTTP/1.1", "host: [::1]:8000\r\n"),
        ("GET /api HTTP/1.1", "host: 127.0.0.1\r\n"),
        ("GET http://other.test:80/api HTTP/1.1", "host: localhost\r\n"),
    ] {
        let answer = answer_to(&server, &format!("{line}\r\n{hosts}connection: close\r\n\r\n")).await;
        assert!(answer.contains(" 200 OK\r\n"), "{line} {hosts:?}: {answer}");
    }
}

/// hyper refuses these itself: there is no request yet that could be answered in the envelope.
#[tokio::test]
async fn what_is_no_http_is_400_before_it_is_a_request() {
    let server = Server::new(limits()).await;
    for fields in [
        "content-length: 2\r\ncontent-length: 3",
        "content-length: 2, 3",
        "content-length: +2",
        "content-length: -2",
        "content-length: 0x2",
        "transfer-encoding: gzip",
        "transfer-encoding: chunked, gzip",
        "transfer-encoding: xchunked",
        "transfer-encoding : chunked",
        "content-length : 2",
        "x-folded: a\r\n b",
        " x-first: a",
        "x\0y: a",
        "x-value: a\0b",
        "x-value: a\rb",
    ] {
        let answer = answer_to(&server, &format!("{SIGNUP}{fields}\r\n\r\n{{}}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{fields:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{fields:?}: {answer}");
    }
    let old = "POST /api HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    assert!(answer_to(&server, old).await.contains(" 400 "), "HTTP/1.0 knows no chunks");
}

#[tokio::test]
async fn in_http2_the_host_agrees_with_the_authority() {
    let server = Server::new(limits()).await;
    let socket = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), socket).await.unwrap();
    tokio::spawn(connection);
    for (host, status) in [
        (None, 200),
        (Some("localhost"), 200),
        (Some("LOCALHOST:80"), 200),
        (Some("localhost:81"), 400),
        (Some("other.test"), 400),
        (Some("user@localhost"), 400),
    ] {
        let mut request = Request::get("http://localhost/api");
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let answer = sender.send_request(request.body(String::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::from_u16(status).unwrap(), "{host:?}");
    }
}
