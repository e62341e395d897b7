//! The listener, over real sockets. Where a test waits, it pauses the runtime's clock once the server is there: time then
//! goes on by itself to the next moment that somebody waits for, so that a test of ten seconds takes none, and knows to
//! the millisecond when something happened.

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
