//! The listener: it accepts connections, and cuts off those that exhaust the server.
//!
//! poem's own server has neither a timeout for headers nor a limit of connections, so hyper serves poem's endpoint here.
//! Normal requests are not slowed down. Connections that are held open have these [`Limits`]:
//!
//! | what | limit |
//! |---|---|
//! | a header: from its first byte, or from the start of the connection, to its end | `header` |
//! | the time between a response and the next request | `idle`; in HTTP/2 a client that still reads then gets `grace` more |
//! | a response that the client does not read: from the first blocked byte to the last | `write` |
//! | a whole connection, however busy | `age`; then it ends after the current request |
//! | the requests in progress at a shutdown | `grace` |
//!
//! `edge` limits how long a request itself takes, including its body. hyper answers 431 to a header that is larger than
//! [`MAX_HEADER_BYTES`] or has more than a hundred fields.

mod connection;
mod stream;
mod tls;
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

pub use self::tls::{RELOAD_EVERY, Tls, TlsError, TlsFiles, keep_reloading};
use super::log_throttle::LogThrottle;
use crate::telemetry::Metrics;

/// The largest header that is read, in bytes, including the request line.
pub const MAX_HEADER_BYTES: u16 = 16 * 1024;

/// The pause after the system had no file descriptor left for a connection. Meanwhile other connections end; retrying at
/// once would only burn CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The limits of connections in number and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `MAX_CONNECTIONS`: any further connection is closed at once.
    pub connections: usize,
    /// The time for a header.
    pub header: Duration,
    /// The time between two requests. It is more than the 60 seconds of common proxies, so that the proxy closes the
    /// connection first, and sends no request into one that is about to end.
    pub idle: Duration,
    /// The time for sending a response.
    pub write: Duration,
    /// The age of a connection.
    pub age: Duration,
    /// The time for requests in progress at a shutdown.
    pub grace: Duration,
}

impl Limits {
    /// The limits of a server with this number of connections.
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

/// Where connections come from, and whether they use TLS.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// The certificate; `None` for plain HTTP.
    pub tls: Option<Tls>,
}

impl From<TcpListener> for Listener {
    /// Plain HTTP.
    fn from(socket: TcpListener) -> Self {
        Self { socket, tls: None }
    }
}

/// The stages of a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    /// No new requests; the ones in progress complete.
    Draining,
    /// All remaining connections are cut off.
    Over,
}

/// The state that all connections share.
struct ServerState<E> {
    endpoint: E,
    limits: Limits,
    local: SocketAddr,
    tls: Option<Tls>,
    metrics: Option<Metrics>,
}

/// Serves until `stop`, then lets the requests in progress complete. Connections are counted if `metrics` is given.
///
/// # Errors
/// When the listener has no address.
pub async fn serve<E>(
    listener: impl Into<Listener>,
    endpoint: E,
    limits: Limits,
    metrics: Option<Metrics>,
    stop: impl Future<Output = ()>,
) -> io::Result<()>
where
    E: Endpoint<Output = Response> + 'static,
{
    let Listener { socket: listener, tls } = listener.into();
    let state = Arc::new(ServerState { endpoint, limits, local: listener.local_addr()?, tls, metrics });
    let (stage, _) = channel::channel(Stage::Serving);
    accept_until(stop, &listener, &state, &stage).await;
    // From here on the system refuses connections, so that clients can try another server.
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
    let permits = Arc::new(Semaphore::new(state.limits.connections.min(Semaphore::MAX_PERMITS)));
    let mut refused = LogThrottle::default();
    let mut failed = LogThrottle::default();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
                    spawn(stream, peer, permit, state, stage.subscribe());
                } else {
                    drop(stream);
                    refuse(state, &mut refused);
                }
            }
            // The connection ended before it was accepted.
            Err(error) if is_client_error(&error) => {}
            Err(error) => {
                if let Some(times) = failed.count() {
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

fn refuse<E>(state: &ServerState<E>, refused: &mut LogThrottle) {
    if let Some(metrics) = &state.metrics {
        metrics.connection_refused();
    }
    if let Some(times) = refused.count() {
        let limit = state.limits.connections;
        tracing::warn!(limit, times, "too many connections: more are cut off");
    }
}

fn is_client_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
    )
}

fn spawn<E>(
    stream: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
    state: &Arc<ServerState<E>>,
    stage: channel::Receiver<Stage>,
) where
    E: Endpoint<Output = Response> + 'static,
{
    let slot = ConnectionSlot::new(state.metrics.clone(), permit);
    let state = Arc::clone(state);
    tokio::spawn(async move {
        connection::serve(stream, peer, &state, stage).await;
        drop(slot);
    });
}

/// The slot of a connection, which is released however the connection ends, even by a panic.
struct ConnectionSlot {
    metrics: Option<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl ConnectionSlot {
    fn new(metrics: Option<Metrics>, permit: OwnedSemaphorePermit) -> Self {
        if let Some(metrics) = &metrics {
            metrics.connection_opened();
        }
        Self { metrics, _permit: permit }
    }
}

impl Drop for ConnectionSlot {
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
        assert!(is_client_error(&ErrorKind::ConnectionAborted.into()));
        // EMFILE and ENFILE: too many open files, of the process and of the system.
        for code in [24, 23] {
            assert!(!is_client_error(&io::Error::from_raw_os_error(code)), "{code}");
        }
    }
}
