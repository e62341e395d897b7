//! The listener, over real sockets. A test that waits pauses the clock of the runtime once the server runs. The clock then
//! jumps to the next timer, so that a test of ten seconds takes none and measures to the millisecond.

#[cfg(test)]
mod dashboards;
#[cfg(test)]
mod framing;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod protocols;
#[cfg(test)]
mod server;
#[cfg(test)]
mod stopping;
#[cfg(test)]
mod tls;
