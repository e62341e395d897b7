//! Many connections to the real program, and its metrics.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    server::{Folder, Server, free_port},
    support::PHONE,
};

/// The longest time until the server closes a connection, on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn address(server: &Server) -> SocketAddr {
    server.base.trim_start_matches("http://").parse().expect("an address")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_slow_connections_leave_the_server_answering() {
    let files = rlimit::increase_nofile_limit(8_192).expect("the limit of open files");
    assert!(files > 2_200, "this test needs more than {files} open files");
    let folder = Folder::new();
    let server = Server::start(&folder, &[]).await;
    let mut slow = Vec::new();
    for number in 0..2_000 {
        let mut socket = TcpStream::connect(address(&server)).await.expect("a connection");
        // Some send nothing, some a part of a header, some a part of a body, and some the beginning of HTTP/2.
        let sent: &[u8] = match number % 4 {
            0 => b"",
            1 => b"GET /api/health HTTP/1.1\r\nhost: loc",
            2 => b"POST /api/auth/signup HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{",
            _ => b"PRI * HTTP/2.0\r\n\r\nSM",
        };
        socket.write_all(sent).await.expect("it is taken");
        slow.push(socket);
    }
    for _ in 0..20 {
        // A new client each time, so that each request needs a new connection.
        let fresh = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        let answer = fresh.get(format!("{}/api/health/ready", server.base)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }
    server.signup(PHONE).await.ok();
    server.verify_otp(PHONE, &server.code_for(PHONE).await).await.ok();
    for mut socket in slow {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut rest));
        // Closed or reset.
        let _ = ended.await.expect("each is cut off in the end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metrics_are_where_the_settings_say_and_nowhere_else() {
    let folder = Folder::new();
    let metrics = format!("127.0.0.1:{}", free_port());
    let server = Server::start(&folder, &[("METRICS_ADDR", &metrics), ("MAX_CONNECTIONS", "100")]).await;
    server.signup(PHONE).await.ok();
    let answer = server.client.get(format!("http://{metrics}/metrics")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.expect("a text");
    for series in [
        "loopin_http_requests_total{route=\"/api/auth/signup\",method=\"POST\",status=\"200\"} 1\n",
        "loopin_connections_limit 100\n",
    ] {
        assert!(text.contains(series), "{series} is not in {text}");
    }
    assert_eq!(server.get("/metrics").await.status, 404);
    assert!(server.log().contains("metrics"), "{}", server.log());

    let other = Server::start(&folder, &[("DATABASE_URL", "sqlite://other.sqlite3")]).await;
    assert_eq!(other.get("/metrics").await.status, 404);
    assert!(!other.log().contains(" metrics"), "{}", other.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_metrics_address_that_is_taken_stops_the_start() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut server = Server::begin(&folder, &[("METRICS_ADDR", &address)]);
    assert!(!server.ended().await.success());
    assert!(server.log().contains("METRICS_ADDR"), "{}", server.log());
}
