//! What a connection is doing, and how long it may go on. The stream and the service write it down; who waits for the
//! connection asks, so that a request sets no timer of its own.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use tokio::time::Instant;

use super::{Limits, MAX_HEADER_BYTES};

/// What is to be done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing, until then: before that nothing that begins now can be over.
    Wait(Instant),
    /// It ends as soon as nothing is under way.
    Close,
    /// It ends at once, and why.
    Cut(&'static str),
}

/// One for each connection.
#[derive(Debug)]
pub(super) struct Watch {
    limits: Limits,
    opened: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests whose answer is being made: many at once in HTTP/2.
    under_way: usize,
    /// When the header that is being read began.
    header: Option<Instant>,
    /// When an answer was made. In HTTP/2 pings go to and fro without end, so bytes say nothing of who is idle.
    last: Instant,
    /// Since when the client takes no more of what is to be sent.
    unsent: Option<Instant>,
    /// In HTTP/2 a byte need not be one of a header.
    is_http2: bool,
    /// What came while no request was under way: the header that is being read, and maybe what stands behind it.
    head: Vec<u8>,
}

impl Watch {
    /// A connection begins. It is given the time of a header to send its first one.
    pub(super) fn new(limits: Limits) -> Self {
        let now = Instant::now();
        let state = State {
            under_way: 0,
            header: Some(now),
            last: now,
            unsent: None,
            is_http2: false,
            head: Vec::new(),
        };
        Self { limits, opened: now, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It speaks HTTP/2.
    pub(super) fn is_http2(&self) {
        self.state().is_http2 = true;
    }

    /// Bytes came.
    pub(super) fn came(&self, bytes: &[u8]) {
        let mut state = self.state();
        // Bytes of a body come while a request is under way, and in HTTP/2 bytes of anything come at any time.
        if state.under_way == 0 && !state.is_http2 {
            state.header.get_or_insert_with(Instant::now);
            let room = usize::from(MAX_HEADER_BYTES).saturating_sub(state.head.len());
            state.head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }

    /// Gives a request the `Content-Length` back that hyper takes away where there is a `Transfer-Encoding`, too: to
    /// refuse such a request, as the edge does, one has to know of both.
    pub(super) fn restore_length(&self, headers: &mut HeaderMap) {
        let mut state = self.state();
        // Empty lines before a request are passed over (RFC 9112, section 2.2).
        let begin = state.head.iter().take_while(|byte| b"\r\n".contains(byte)).count();
        let end = state.head.windows(2).skip(begin).position(ends_a_head);
        let end = end.map_or(state.head.len(), |at| begin + at + 2);
        let rest = state.head.split_off(end);
        let head = std::mem::replace(&mut state.head, rest);
        // Where a body follows, what comes behind it is not known to be a header.
        if headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING) {
            state.head.clear();
        }
        drop(state);
        if headers.contains_key(TRANSFER_ENCODING)
            && let Some(length) = head.split(|byte| *byte == b'\n').find_map(length)
        {
            headers.insert(CONTENT_LENGTH, length);
        }
    }

    /// The client takes no more for now.
    pub(super) fn stuck(&self) {
        self.state().unsent.get_or_insert_with(Instant::now);
    }

    /// Everything was sent.
    pub(super) fn sent(&self) {
        self.state().unsent = None;
    }

    /// A header was read; its request is under way for as long as what is returned lives.
    pub(super) fn request(self: &Arc<Self>) -> UnderWay {
        let mut state = self.state();
        state.under_way += 1;
        state.header = None;
        drop(state);
        UnderWay(Arc::clone(self))
    }

    /// What is to be done at this moment.
    pub(super) fn judge(&self, now: Instant) -> Verdict {
        let limits = &self.limits;
        let state = self.state();
        let is_between = state.under_way == 0;
        let header = state.header.filter(|_| is_between);
        let idle = Some(state.last).filter(|_| is_between && header.is_none());
        let cuts = [
            (state.unsent, limits.write, "its answer was not taken"),
            (header, limits.header, "its header took too long"),
        ];
        let closes = [(Some(self.opened), limits.age), (idle, limits.idle)];
        drop(state);
        let over = |since: Option<Instant>, limit: Duration| since.map(|since| since + limit);
        if let Some((.., why)) = cuts.iter().find(|cut| over(cut.0, cut.1).is_some_and(|end| end <= now)) {
            return Verdict::Cut(why);
        }
        if closes.iter().any(|close| over(close.0, close.1).is_some_and(|end| end <= now)) {
            return Verdict::Close;
        }
        // What begins after this moment is over after this one at the earliest.
        let soonest = now + limits.header.min(limits.write).min(limits.idle);
        let cuts = cuts.iter().filter_map(|cut| over(cut.0, cut.1));
        let closes = closes.iter().filter_map(|close| over(close.0, close.1));
        Verdict::Wait(cuts.chain(closes).fold(soonest, Instant::min))
    }
}

/// A line feed and another one, with a carriage return between them or not: hyper takes both.
fn ends_a_head(window: &[u8]) -> bool {
    window == b"\n\n" || window == b"\n\r"
}

fn length(line: &[u8]) -> Option<HeaderValue> {
    let (name, value) = line.split_at_checked(CONTENT_LENGTH.as_str().len())?;
    let value =
        value.strip_prefix(b":").filter(|_| name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str().as_bytes()))?;
    HeaderValue::from_bytes(value.trim_ascii()).ok()
}

/// A request whose answer is being made.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Watch>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way = state.under_way.saturating_sub(1);
        state.last = Instant::now();
    }
}
