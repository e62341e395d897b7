//! Graceful shutdown.

use std::{sync::Arc, time::Duration};

use poem::{Request, Response, endpoint::make};
use tokio::{net::TcpStream, sync::Semaphore};

use crate::server::{HEALTH, Server, limits};

const SLOW: &str = "GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// `/slow` answers when `go` has a permit, everything else at once. `begun` gets a permit for each slow request that begins.
fn slow(go: &Arc<Semaphore>, begun: &Arc<Semaphore>) -> impl poem::Endpoint<Output = Response> + use<> {
    let (go, begun) = (Arc::clone(go), Arc::clone(begun));
    make(move |request: Request| {
        let (go, begun) = (Arc::clone(&go), Arc::clone(&begun));
        async move {
            if request.uri().path() == "/slow" {
                begun.add_permits(1);
                go.acquire().await.expect("it is open").forget();
            }
            Ok::<_, poem::Error>(Response::builder().body("done"))
        }
    })
}

#[tokio::test]
async fn requests_come_to_their_end_and_idle_connections_close_at_once() {
    let (go, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut server = Server::with(slow(&go, &begun), limits()).await;
    tokio::time::pause();
    let mut idle = server.connect().await;
    idle.send(HEALTH).await;
    idle.answer().await;
    let mut silent = server.connect().await;
    let mut busy = server.connect().await;
    busy.send(SLOW).await;
    begun.acquire().await.unwrap().forget();
    server.stop();
    assert_eq!(idle.rest().await, "");
    assert_eq!(silent.rest().await, "");
    assert!(idle.seconds() < 1.0 && silent.seconds() < 1.0, "they do not wait for anything");
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody new is let in");
    assert!(!server.serving.is_finished());
    go.add_permits(1);
    let answer = busy.answer().await;
    assert!(answer.ends_with("done") && answer.to_lowercase().contains("connection: close"), "{answer}");
    assert_eq!(busy.rest().await, "");
    server.serving.await.unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_off_after_the_grace() {
    let (go, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut server = Server::with(slow(&go, &begun), limits()).await;
    tokio::time::pause();
    let mut busy = server.connect().await;
    busy.send(SLOW).await;
    begun.acquire().await.unwrap().forget();
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.stop();
    assert_eq!(busy.rest().await, "");
    busy.assert_ended_after(26.0);
    server.serving.await.unwrap();
}
