//! The listener: it accepts connections, and cuts those off that would wear the server out.
//!
//! poem's own server has neither a time-out for headers nor a limit of connections, so poem's endpoint is served by
//! hyper here. A person's request is never slowed down by this; a stranger who opens connections to hold them gets
//! [`Limits`]:
//!
//! | what | until |
//! |---|---|
//! | from the first byte of a header, or from the connection's beginning, to the header's end | `header` |
//! | from one answer to the next request | `idle`; in HTTP/2 a client that is still taking it then has `grace` more |
//! | from the first byte of an answer that the client does not take to the last | `write` |
//! | a connection, however busy | `age`, then it ends after the request that is under way |
//! | from being told to stop to the end of requests | `grace` |
//!
//! How long a request itself takes, its body included, is `edge`'s to limit. What is larger than [`MAX_HEADER_BYTES`],
//! or has more than a hundred fields, is answered 431 by hyper.

mod connection;
mod stream;
mod watch;

use std::{
    future::Future,
    io::{self, ErrorKind},
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use poem::{Endpoint, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch as channel},
};

use super::complaint::Complaint;
use crate::telemetry::Metrics;

/// The largest header that is read, request line and all, in bytes.
pub const MAX_HEADER_BYTES: u16 = 16 * 1024;

/// How long nothing is accepted after the system had no file left for a connection. Whoever ends one meanwhile makes
/// room; to ask again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections there may be, and how long what may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `MAX_CONNECTIONS`: one more is cut off at once.
    pub connections: usize,
    /// A header.
    pub header: Duration,
    /// The silence between two requests: a little more than the 60 seconds of usual proxies, so that it is the proxy
    /// that closes a connection, and no request is sent into one that is about to end.
    pub idle: Duration,
    /// The sending of an answer.
    pub write: Duration,
    /// A whole connection.
    pub age: Duration,
    /// Requests that are under way when the server is told to stop.
    pub grace: Duration,
}

impl Limits {
    /// The limits of a server that takes so many connections.
    #[must_use]
    pub fn from_connections(connections: usize) -> Self {
        Self {
            connections,
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write: Duration::from_mins(1),
            age: Duration::from_hours(1),
            grace: Duration::from_secs(25),
        }
    }
}

/// How far the end of the server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    /// Requests that are under way come to their end.
    Draining,
    /// What is left is cut off.
    Over,
}

/// What every connection shares.
struct ServerState<E> {
    endpoint: E,
    limits: Limits,
    local: SocketAddr,
    metrics: Option<Metrics>,
}

/// Serves until `stop`, and then lets the requests that are under way come to their end. Connections are counted where
/// there are `metrics` for them.
///
/// # Errors
/// When the listener has no address.
pub async fn serve<E>(
    listener: TcpListener,
    endpoint: E,
    limits: Limits,
    metrics: Option<Metrics>,
    stop: impl Future<Output = ()>,
) -> io::Result<()>
where
    E: Endpoint<Output = Response> + 'static,
{
    let state = Arc::new(ServerState { endpoint, limits, local: listener.local_addr()?, metrics });
    let (stage, _) = channel::channel(Stage::Serving);
    accept_until(stop, &listener, &state, &stage).await;
    // Whoever connects from here on is told so by the system, and can go elsewhere.
    drop(listener);
    stage.send_replace(Stage::Draining);
    if tokio::time::timeout(limits.grace, stage.closed()).await.is_err() {
        tracing::warn!(connections = stage.receiver_count(), "connections were cut off at the end");
        stage.send_replace(Stage::Over);
        stage.closed().await;
    }
    Ok(())
}

async fn accept_until<E>(
    stop: impl Future<Output = ()>,
    listener: &TcpListener,
    state: &Arc<ServerState<E>>,
    stage: &channel::Sender<Stage>,
) where
    E: Endpoint<Output = Response> + 'static,
{
    let slots = Arc::new(Semaphore::new(state.limits.connections.min(Semaphore::MAX_PERMITS)));
    let mut refused = Complaint::default();
    let mut failed = Complaint::default();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
                    admit(stream, peer, slot, state, stage.subscribe());
                } else {
                    drop(stream);
                    refuse(state, &mut refused);
                }
            }
            // One that ended before it began.
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                if let Some(times) = failed.say() {
                    tracing::error!(%error, times, "no connection can be accepted");
                }
                tokio::select! {
                    () = &mut stop => return,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
}

fn refuse<E>(state: &ServerState<E>, refused: &mut Complaint) {
    if let Some(metrics) = &state.metrics {
        metrics.connection_refused();
    }
    if let Some(times) = refused.say() {
        let limit = state.limits.connections;
        tracing::warn!(limit, times, "too many connections: more are cut off");
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
    )
}

fn admit<E>(
    stream: TcpStream,
    peer: SocketAddr,
    slot: OwnedSemaphorePermit,
    state: &Arc<ServerState<E>>,
    stage: channel::Receiver<Stage>,
) where
    E: Endpoint<Output = Response> + 'static,
{
    let counted = Counted::new(state.metrics.clone(), slot);
    let state = Arc::clone(state);
    tokio::spawn(async move {
        connection::serve(stream, peer, &state, stage).await;
        drop(counted);
    });
}

/// A connection that has its place, and gives it back however it ends, be it by a panic.
struct Counted {
    metrics: Option<Metrics>,
    _slot: OwnedSemaphorePermit,
}

impl Counted {
    fn new(metrics: Option<Metrics>, slot: OwnedSemaphorePermit) -> Self {
        if let Some(metrics) = &metrics {
            metrics.connection_opened();
        }
        Self { metrics, _slot: slot }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(metrics) = &self.metrics {
            metrics.connection_closed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clients_error_is_passed_over() {
        assert!(is_the_clients(&ErrorKind::ConnectionAborted.into()));
        // Too many open files, of the process and of the system.
        for code in [24, 23] {
            assert!(!is_the_clients(&io::Error::from_raw_os_error(code)), "{code}");
        }
    }
}
