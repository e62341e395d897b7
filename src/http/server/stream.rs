//! A socket that reports its reads and writes to a [`Watch`].

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
use tokio_rustls::server::TlsStream;

use super::watch::Watch;

/// The first bytes of an HTTP/2 connection (RFC 9113, section 3.4). HTTP/1 has no method `PRI`.
const HTTP2: [u8; 4] = *b"PRI ";

/// A socket, with or without TLS.
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    fn write_half(&mut self) -> Pin<&mut (dyn AsyncWrite + Send + Unpin)> {
        match self {
            Self::Plain(socket) => Pin::new(socket),
            Self::Tls(socket) => Pin::new(socket),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, into),
            Self::Tls(socket) => Pin::new(socket).poll_read(cx, into),
        }
    }
}

/// A socket, and its first bytes, which were already read to detect HTTP/2.
pub(super) struct Stream {
    socket: Socket,
    first: [u8; HTTP2.len()],
    /// How many first bytes there are, and how many of them were handed on.
    peeked: usize,
    handed_on: usize,
    watch: Arc<Watch>,
}

impl Stream {
    pub(super) fn new(socket: Socket, watch: Arc<Watch>) -> Self {
        Self { socket, first: [0; HTTP2.len()], peeked: 0, handed_on: 0, watch }
    }

    /// Whether the client starts with HTTP/2 ("prior knowledge").
    pub(super) async fn is_http2(&mut self) -> io::Result<bool> {
        while self.peeked < HTTP2.len() && HTTP2.starts_with(self.peeked_bytes()) {
            let Some(rest) = self.first.get_mut(self.peeked..) else { break };
            match self.socket.read(rest).await? {
                0 => break,
                more => self.peeked += more,
            }
        }
        Ok(self.first == HTTP2)
    }

    fn peeked_bytes(&self) -> &[u8] {
        self.first.get(..self.peeked).unwrap_or_default()
    }

    /// Reads and discards the remaining input, up to a limit. Closing a socket with unread bytes resets the connection,
    /// and the client would lose the last response.
    pub(super) async fn discard(&mut self, mut limit: usize) {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = self.socket.read(&mut bytes).await {
            match limit.checked_sub(length) {
                Some(left) => limit = left,
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
        let unread = self.first.get(self.handed_on..self.peeked).unwrap_or_default();
        let taken = unread.len().min(into.remaining());
        if taken > 0 {
            let unread = unread.get(..taken).unwrap_or_default();
            into.put_slice(unread);
            self.watch.received(unread);
            self.handed_on += taken;
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        let poll = Pin::new(&mut self.socket).poll_read(cx, into);
        if let Some(bytes @ [_, ..]) = into.filled().get(before..) {
            self.watch.received(bytes);
        }
        poll
    }
}

impl Stream {
    fn report_write(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if poll.is_pending() {
            self.watch.write_blocked();
        }
        poll
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = self.socket.write_half().poll_write(cx, bytes);
        self.report_write(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = self.socket.write_half().poll_write_vectored(cx, slices);
        self.report_write(poll)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(socket) => socket.is_write_vectored(),
            Socket::Tls(socket) => socket.is_write_vectored(),
        }
    }

    /// hyper calls this when it has nothing left to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = self.socket.write_half().poll_flush(cx);
        if poll.is_ready() {
            self.watch.write_done();
        }
        poll
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.write_half().poll_shutdown(cx)
    }
}
