//! A socket that tells its [`Watch`] what comes and goes.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::watch::Watch;

/// How an HTTP/2 connection begins (RFC 9113, section 3.4). No method of HTTP/1 is called `PRI`.
const HTTP2: [u8; 4] = *b"PRI ";

/// A socket, and the first bytes of it that were looked at already.
pub(super) struct Stream {
    socket: TcpStream,
    first: [u8; HTTP2.len()],
    /// How many of these there are, and how many of them were read again.
    known: usize,
    read: usize,
    watch: Arc<Watch>,
}

impl Stream {
    pub(super) fn new(socket: TcpStream, watch: Arc<Watch>) -> Self {
        Self { socket, first: [0; HTTP2.len()], known: 0, read: 0, watch }
    }

    /// Whether the client speaks HTTP/2 without having been asked ("prior knowledge").
    pub(super) async fn is_http2(&mut self) -> io::Result<bool> {
        while self.known < HTTP2.len() && HTTP2.starts_with(self.looked_at()) {
            let Some(rest) = self.first.get_mut(self.known..) else { break };
            match self.socket.read(rest).await? {
                0 => break,
                more => self.known += more,
            }
        }
        Ok(self.first == HTTP2)
    }

    fn looked_at(&self) -> &[u8] {
        self.first.get(..self.known).unwrap_or_default()
    }

    /// Passes over what comes until nothing does any more. To close a socket that has unread bytes is to reset it, and
    /// the client would lose the answer that it was sent last.
    pub(super) async fn pass_over(&mut self, mut most: usize) {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = self.socket.read(&mut bytes).await {
            match most.checked_sub(length) {
                Some(left) => most = left,
                None => return,
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let unread = self.first.get(self.read..self.known).unwrap_or_default();
        let taken = unread.len().min(into.remaining());
        if taken > 0 {
            let unread = unread.get(..taken).unwrap_or_default();
            into.put_slice(unread);
            self.watch.came(unread);
            self.read += taken;
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        let poll = Pin::new(&mut self.socket).poll_read(cx, into);
        if let Some(bytes @ [_, ..]) = into.filled().get(before..) {
            self.watch.came(bytes);
        }
        poll
    }
}

impl Stream {
    fn noted(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if poll.is_pending() {
            self.watch.stuck();
        }
        poll
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.noted(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.noted(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    /// hyper comes here when it has nothing left to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.socket).poll_flush(cx);
        if poll.is_ready() {
            self.watch.sent();
        }
        poll
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
