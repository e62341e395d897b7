//! Tracks what a connection is doing, and decides how long it may go on. The stream and the service report to it, and
//! the task of the connection asks for a verdict, so that requests need no timers of their own.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use tokio::time::Instant;

use super::{Limits, MAX_HEADER_BYTES};

/// What to do with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Check again at this time: no limit, even of something that begins now, is reached before.
    Wait(Instant),
    /// End it as soon as no request is in progress.
    Close,
    /// End it at once, for this reason.
    Cut(&'static str),
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Watch {
    limits: Limits,
    opened: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The requests in progress: several at once in HTTP/2.
    in_progress: usize,
    /// When the current header began.
    header_since: Option<Instant>,
    /// The time of the last response. Bytes do not show activity: in HTTP/2, pings never stop.
    last_response: Instant,
    /// Since when the client does not read.
    write_blocked_since: Option<Instant>,
    /// In HTTP/2, received bytes need not belong to a header.
    is_http2: bool,
    /// The bytes that came while no request was in progress: the current header, and maybe what follows it.
    head: Vec<u8>,
}

impl Watch {
    /// Starts with a new connection, which has the time of a header to send its first one.
    pub(super) fn new(limits: Limits) -> Self {
        let now = Instant::now();
        let state = State {
            in_progress: 0,
            header_since: Some(now),
            last_response: now,
            write_blocked_since: None,
            is_http2: false,
            head: Vec::new(),
        };
        Self { limits, opened: now, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection uses HTTP/2.
    pub(super) fn set_http2(&self) {
        self.state().is_http2 = true;
    }

    /// Bytes were received.
    pub(super) fn received(&self, bytes: &[u8]) {
        let mut state = self.state();
        // Bytes of a body come while a request is in progress, and in HTTP/2 any bytes may come at any time.
        if state.in_progress == 0 && !state.is_http2 {
            state.header_since.get_or_insert_with(Instant::now);
            let room = usize::from(MAX_HEADER_BYTES).saturating_sub(state.head.len());
            state.head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }

    /// Restores the `Content-Length` of a request that also has a `Transfer-Encoding`: hyper removes it, but the edge
    /// refuses a request that has both.
    pub(super) fn restore_content_length(&self, headers: &mut HeaderMap) {
        let mut state = self.state();
        // Empty lines before a request are skipped (RFC 9112, section 2.2).
        let begin = state.head.iter().take_while(|byte| b"\r\n".contains(byte)).count();
        let end = state.head.windows(2).skip(begin).position(is_head_end);
        let end = end.map_or(state.head.len(), |at| begin + at + 2);
        let rest = state.head.split_off(end);
        let head = std::mem::replace(&mut state.head, rest);
        // If there is a body, the bytes that follow may belong to it and not to a header.
        if headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING) {
            state.head.clear();
        }
        drop(state);
        if headers.contains_key(TRANSFER_ENCODING)
            && let Some(length) = head.split(|byte| *byte == b'\n').find_map(content_length)
        {
            headers.insert(CONTENT_LENGTH, length);
        }
    }

    /// The client does not read for now.
    pub(super) fn write_blocked(&self) {
        self.state().write_blocked_since.get_or_insert_with(Instant::now);
    }

    /// Everything was sent.
    pub(super) fn write_done(&self) {
        self.state().write_blocked_since = None;
    }

    /// A header was read. Its request is in progress until the returned guard is dropped.
    pub(super) fn request_started(self: &Arc<Self>) -> RequestInProgress {
        let mut state = self.state();
        state.in_progress += 1;
        state.header_since = None;
        drop(state);
        RequestInProgress(Arc::clone(self))
    }

    /// What to do with the connection now.
    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        let limits = &self.limits;
        let state = self.state();
        let is_between = state.in_progress == 0;
        let header = state.header_since.filter(|_| is_between);
        let idle = Some(state.last_response).filter(|_| is_between && header.is_none());
        let cuts = [
            (state.write_blocked_since, limits.write, "its answer was not taken"),
            (header, limits.header, "its header took too long"),
        ];
        let closes = [(Some(self.opened), limits.age), (idle, limits.idle)];
        drop(state);
        let end = |since: Option<Instant>, limit: Duration| since.map(|since| since + limit);
        if let Some((.., why)) = cuts.iter().find(|cut| end(cut.0, cut.1).is_some_and(|end| end <= now)) {
            return Verdict::Cut(why);
        }
        if closes.iter().any(|close| end(close.0, close.1).is_some_and(|end| end <= now)) {
            return Verdict::Close;
        }
        // Nothing that begins after now can reach its limit before this time.
        let soonest = now + limits.header.min(limits.write).min(limits.idle);
        let cuts = cuts.iter().filter_map(|cut| end(cut.0, cut.1));
        let closes = closes.iter().filter_map(|close| end(close.0, close.1));
        Verdict::Wait(cuts.chain(closes).fold(soonest, Instant::min))
    }
}

/// An empty line: two line feeds, with or without a carriage return between them. hyper accepts both.
fn is_head_end(window: &[u8]) -> bool {
    window == b"\n\n" || window == b"\n\r"
}

fn content_length(line: &[u8]) -> Option<HeaderValue> {
    let (name, value) = line.split_at_checked(CONTENT_LENGTH.as_str().len())?;
    let value =
        value.strip_prefix(b":").filter(|_| name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str().as_bytes()))?;
    HeaderValue::from_bytes(value.trim_ascii()).ok()
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct RequestInProgress(Arc<Watch>);

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_progress = state.in_progress.saturating_sub(1);
        state.last_response = Instant::now();
    }
}
