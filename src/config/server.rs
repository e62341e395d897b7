//! The settings of the connection limit, of the metrics and of the end.

use std::{net::SocketAddr, time::Duration};

use super::reader::Reader;

/// Each connection is an open file, and a request that waits for the SMS provider or the database has another one. Twice
/// this number and a reserve fit into the hard limit of 524,288 that systemd and Docker set. `app` lowers it if the system
/// allows fewer.
const MAX_CONNECTIONS: i64 = 10_000;

/// How long a server that is told to stop takes new connections. Load balancers learn only after a while that it is not ready any
/// more: Kubernetes within a second or two, most others at their next check.
const SHUTDOWN_DELAY_SECONDS: i64 = 5;

/// The limits of the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerSettings {
    /// `MAX_CONNECTIONS`: further connections are closed at once.
    pub max_connections: usize,
    /// `METRICS_ADDR`: the address of the metrics; `None` if they are not served.
    pub metrics_addr: Option<SocketAddr>,
    /// `SHUTDOWN_DELAY_SECONDS`
    pub shutdown_delay: Duration,
}

pub(super) fn server(reader: &mut Reader<'_>, bind_addr: SocketAddr, is_prod: bool) -> ServerSettings {
    let max_connections = reader.number("MAX_CONNECTIONS", MAX_CONNECTIONS, 1, 1_000_000);
    let metrics_addr = reader.address("METRICS_ADDR").filter(|address| {
        let is_bind_addr = *address == bind_addr && bind_addr.port() != 0;
        if is_bind_addr {
            reader.problem("METRICS_ADDR must not be BIND_ADDR: everybody would read the metrics");
        }
        !is_bind_addr
    });
    let delay = if is_prod { SHUTDOWN_DELAY_SECONDS } else { 0 };
    let delay = reader.number("SHUTDOWN_DELAY_SECONDS", delay, 0, 120);
    ServerSettings {
        max_connections: usize::try_from(max_connections).unwrap_or(usize::MAX),
        metrics_addr,
        shutdown_delay: Duration::from_secs(delay.unsigned_abs()),
    }
}
