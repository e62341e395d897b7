//! Connections that use up the server's resources, and when the server closes them.

use std::time::Duration;

use loopin_auth::http::server::{Limits, MAX_HEADER_BYTES};
use poem::{Body, Request, Response, endpoint::make};

use crate::server::{HEALTH, Server, limits};

/// A request head of this many bytes.
fn header_of(bytes: usize) -> String {
    let rest = "GET /api/health HTTP/1.1\r\nhost: localhost\r\nx-filler: \r\n\r\n".len();
    HEALTH.replace("\r\n\r\n", &format!("\r\nx-filler: {}\r\n\r\n", "x".repeat(bytes - rest)))
}

#[tokio::test]
async fn a_header_has_ten_seconds_however_it_trickles() {
    let server = Server::new(limits()).await;
    tokio::time::pause();
    let mut silent = server.connect().await;
    assert_eq!(silent.rest().await, "");
    silent.assert_ended_after(10.0);

    let mut half = server.connect().await;
    half.send("GET /api/hea").await;
    assert_eq!(half.rest().await, "");
    half.assert_ended_after(10.0);

    let mut trickling = server.connect().await;
    for byte in HEALTH.chars().take(19) {
        trickling.send(&byte.to_string()).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(trickling.rest().await, "");
    trickling.assert_ended_after(10.0);
    server.until_open(0).await;
    assert_eq!(server.metric("loopin_connections_cut_total"), 3);

    let mut late = server.connect().await;
    late.send("GET /api/hea").await;
    tokio::time::sleep(Duration::from_millis(9_990)).await;
    late.send(&HEALTH["GET /api/hea".len()..]).await;
    assert!(late.answer().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_may_be_idle_longer_and_its_next_header_has_ten_seconds_again() {
    let server = Server::new(limits()).await;
    tokio::time::pause();
    let mut idle = server.connect().await;
    idle.send(HEALTH).await;
    idle.answer().await;
    assert_eq!(idle.rest().await, "");
    idle.assert_ended_after(75.0);

    let mut again = server.connect().await;
    again.send(HEALTH).await;
    again.answer().await;
    tokio::time::sleep(Duration::from_secs(70)).await;
    again.send(HEALTH).await;
    assert!(again.answer().await.starts_with("HTTP/1.1 200"), "70 idle seconds are allowed");
    again.send("GET /").await;
    assert_eq!(again.rest().await, "");
    again.assert_ended_after(80.0);
}

#[tokio::test]
async fn no_connection_is_for_ever() {
    let server = Server::new(Limits { age: Duration::from_secs(100), ..limits() }).await;
    tokio::time::pause();
    let mut busy = server.connect().await;
    for second in 0..100 {
        busy.send(HEALTH).await;
        assert!(busy.answer().await.starts_with("HTTP/1.1 200"), "{second}");
        tokio::time::sleep(Duration::from_millis(990)).await;
    }
    assert_eq!(busy.rest().await, "");
    busy.assert_ended_after(100.0);
}

#[tokio::test]
async fn a_header_over_16_kib_is_431_and_one_of_16_kib_is_read() {
    let server = Server::new(limits()).await;
    let most = usize::from(MAX_HEADER_BYTES);
    for (bytes, status) in [(most, "200"), (most + 1, "431"), (most * 4, "431"), (most * 12, "431")] {
        let mut client = server.connect().await;
        client.send(&header_of(bytes)).await;
        let answer = client.answer().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{bytes}: {answer}");
        if status == "431" {
            assert_eq!(client.rest().await, "", "the connection is closed");
        }
    }
    for (fields, status) in [(90, "200"), (101, "431")] {
        let many = HEALTH.replace("\r\n\r\n", &format!("{}\r\n\r\n", "\r\nx-a: b".repeat(fields)));
        let mut client = server.connect().await;
        client.send(&many).await;
        let answer = client.answer().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{fields}: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_trickles_is_503_at_the_deadline_and_the_connection_ends() {
    let server = Server::new(limits()).await;
    tokio::time::pause();
    let mut client = server.connect().await;
    client
        .send("POST /api/auth/signup HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 60\r\n\r\n{")
        .await;
    let answer = {
        let (mut from, mut to) = client.socket.split();
        let trickle = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if tokio::io::AsyncWriteExt::write_all(&mut to, b" ").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let mut bytes = Vec::new();
        let answer = async {
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut from, &mut bytes).await;
        };
        tokio::select! {
            () = trickle => unreachable!("it goes on"),
            () = answer => {}
        }
        String::from_utf8(bytes).unwrap()
    };
    client.assert_ended_after(15.0);
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\"timeout\""), "{answer}");
}

#[tokio::test]
async fn a_chunked_body_over_64_kib_is_413_whether_or_not_somebody_reads_it() {
    let server = Server::new(limits()).await;
    for line in ["POST /api/auth/signup", "POST /api/auth/logout-all", "GET /api/health"] {
        let mut client = server.connect().await;
        let parts = "host: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        client.send(&format!("{line} HTTP/1.1\r\n{parts}")).await;
        for _ in 0..17 {
            client.send(&format!("1000\r\n{}\r\n", " ".repeat(0x1000))).await;
        }
        client.send("0\r\n\r\n").await;
        let answer = client.answer().await;
        assert!(
            answer.starts_with("HTTP/1.1 413") && answer.contains("payload_too_large"),
            "{line}: {answer}"
        );
    }
}

#[tokio::test]
async fn who_closes_her_half_hears_the_answer() {
    let server = Server::new(limits()).await;
    let mut client = server.connect().await;
    client.send(HEALTH).await;
    client.close_half().await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("healthy"), "{answer}");
}

#[tokio::test]
async fn two_hosts_are_none() {
    let server = Server::new(limits()).await;
    let mut client = server.connect().await;
    client.send("GET /api/docs HTTP/1.1\r\nhost: localhost\r\nhost: evil.test\r\n\r\n").await;
    let answer = client.answer().await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("malformed_request"), "{answer}");
}

#[tokio::test]
async fn one_connection_too_many_is_cut_off_and_the_next_is_served_when_there_is_room() {
    let server = Server::new(Limits::from_connections(2)).await;
    let mut first = server.connect().await;
    first.send(HEALTH).await;
    first.answer().await;
    let mut second = server.connect().await;
    second.send(HEALTH).await;
    second.answer().await;
    assert_eq!(server.connect().await.rest().await, "", "the third is cut off");
    assert_eq!(server.metric("loopin_connections_refused_total"), 1);
    first.send(HEALTH).await;
    assert!(first.answer().await.starts_with("HTTP/1.1 200"), "the others are not affected");
    drop(second);
    server.until_open(1).await;
    let mut third = server.connect().await;
    third.send(HEALTH).await;
    assert!(third.answer().await.starts_with("HTTP/1.1 200"));
    assert_eq!(server.metric("loopin_connections_accepted_total"), 3);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    // More than the buffers of both sockets hold.
    let large = || async { Ok::<_, poem::Error>(Response::builder().body(vec![b'x'; 64 << 20])) };
    let server = Server::with(make(move |_: Request| large()), limits()).await;
    tokio::time::pause();
    let mut client = server.connect().await;
    client.send(HEALTH).await;
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(server.metric("loopin_connections"), 1);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    server.until_open(0).await;
    assert!(client.rest().await.len() < 64 << 20, "it was cut");
    assert_eq!(server.metric("loopin_connections_cut_total"), 1);
}

#[tokio::test]
async fn a_panic_ends_its_connection_and_nothing_else() {
    let panics = make(|request: Request| async move {
        assert!(request.uri().path() == "/api/health", "a bug");
        Ok::<_, poem::Error>(Response::builder().body(Body::from("fine")))
    });
    let server = Server::with(panics, limits()).await;
    let mut unlucky = server.connect().await;
    unlucky.send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(unlucky.rest().await, "");
    server.until_open(0).await;
    let mut next = server.connect().await;
    next.send(HEALTH).await;
    assert!(next.answer().await.ends_with("fine"));
}
