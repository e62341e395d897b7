//! How many connections the server takes, and where it tells its metrics.

use std::net::SocketAddr;

use super::reader::Reader;

/// Each connection is an open file, and a request that waits for the SMS provider or the database is another: twice this
/// and a reserve fit well into the hard limit of 524,288 that systemd and Docker set. `app` lowers it where the limit is
/// less.
const MAX_CONNECTIONS: i64 = 10_000;

/// The limits of the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerSettings {
    /// `MAX_CONNECTIONS`: one more is cut off at once.
    pub max_connections: usize,
    /// `METRICS_ADDR`: where the metrics are; `None` is nowhere.
    pub metrics_addr: Option<SocketAddr>,
}

pub(super) fn server(reader: &mut Reader<'_>, bind_addr: SocketAddr) -> ServerSettings {
    let max_connections = reader.number("MAX_CONNECTIONS", MAX_CONNECTIONS, 1, 1_000_000);
    let metrics_addr = reader.address("METRICS_ADDR").filter(|address| {
        let is_bind_addr = *address == bind_addr && bind_addr.port() != 0;
        if is_bind_addr {
            reader.problem("METRICS_ADDR must not be BIND_ADDR: everybody would read the metrics");
        }
        !is_bind_addr
    });
    ServerSettings { max_connections: usize::try_from(max_connections).unwrap_or(usize::MAX), metrics_addr }
}
