//! HTTP/1 and HTTP/2 on one port.

use hyper::{Request, StatusCode, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time::Instant};

use crate::server::{HEALTH, Server, limits};

type Sender = http2::SendRequest<String>;

async fn connect(server: &Server) -> (Sender, tokio::task::JoinHandle<Instant>) {
    let socket = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), socket).await.unwrap();
    let ended = tokio::spawn(async move {
        let _ = connection.await;
        Instant::now()
    });
    (sender, ended)
}

async fn health(sender: &mut Sender, filler: usize) -> StatusCode {
    let request = Request::get("http://localhost/api/health").header("x-filler", "x".repeat(filler));
    sender.send_request(request.body(String::new()).unwrap()).await.unwrap().status()
}

#[tokio::test]
async fn http2_needs_no_upgrade_and_carries_many_requests_at_once() {
    let server = Server::new(limits()).await;
    let (sender, _) = connect(&server).await;
    let many = (0..50).map(|_| {
        let mut sender = sender.clone();
        tokio::spawn(async move { health(&mut sender, 1).await })
    });
    for answer in many.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(server.metric("loopin_connections_accepted_total"), 1);
}

#[tokio::test]
async fn a_list_of_headers_over_16_kib_is_431_in_http2() {
    let server = Server::new(limits()).await;
    let (mut sender, _) = connect(&server).await;
    assert_eq!(health(&mut sender, 15_000).await, StatusCode::OK);
    assert_eq!(health(&mut sender, 17_000).await, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(health(&mut sender, 1).await, StatusCode::OK, "the connection goes on");
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed_and_a_silent_one_sooner() {
    let server = Server::new(limits()).await;
    tokio::time::pause();
    let since = Instant::now();
    let (mut sender, ended) = connect(&server).await;
    assert_eq!(health(&mut sender, 1).await, StatusCode::OK);
    let took = (ended.await.unwrap() - since).as_secs_f64();
    assert!((75.0..76.0).contains(&took), "{took}");

    let since = Instant::now();
    let (_sender, ended) = connect(&server).await;
    let took = (ended.await.unwrap() - since).as_secs_f64();
    assert!((10.0..11.0).contains(&took), "{took}");
}

#[tokio::test]
async fn requests_that_come_at_once_are_answered_in_their_order() {
    let server = Server::new(limits()).await;
    let mut client = server.connect().await;
    client.send(&format!("{HEALTH}{}{HEALTH}", HEALTH.replace("/api/health", "/nowhere"))).await;
    for status in ["200", "404", "200"] {
        let answer = client.answer().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[tokio::test]
async fn what_begins_like_http2_need_not_be() {
    let server = Server::new(limits()).await;
    for method in ["POST", "PUT", "PROPFIND", "PRIVET"] {
        let mut client = server.connect().await;
        let request = HEALTH.replace("GET", method);
        // In two parts. After the first, it could still become the preface of HTTP/2.
        client.send(&request[..2]).await;
        tokio::task::yield_now().await;
        client.send(&request[2..]).await;
        let answer = client.answer().await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{method}: {answer}");
    }
}
