//! Servers below HTTP, for behaviour that an HTTP stub cannot simulate.

use std::{io::Read, io::Write, sync::mpsc as blocking, thread};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// What happens to one request; each request has its own connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// The connection is closed without an answer.
    Cut,
    /// It stays open without an answer.
    Hold,
    /// The message is accepted.
    Take,
    /// An answer with this status and no body.
    Say(&'static str),
}

/// A server that takes one step per request and closes after the last. Returns its base URL and a channel with the
/// form of each request.
pub(super) async fn server<const N: usize>(steps: [Step; N]) -> (String, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    (base, serve(listener, steps))
}

pub(super) fn serve<const N: usize>(listener: TcpListener, steps: [Step; N]) -> UnboundedReceiver<String> {
    let (seen, requests) = unbounded_channel();
    tokio::spawn(async move {
        let mut held = Vec::new();
        for step in steps {
            let (mut stream, _) = listener.accept().await.unwrap();
            read(&mut stream, &seen).await;
            let status = match step {
                Step::Cut => continue,
                Step::Hold => {
                    held.push(stream);
                    continue;
                }
                Step::Take => "201 Created",
                Step::Say(status) => status,
            };
            let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        drop(listener);
        // Held connections stay open until the test ends.
        std::future::pending::<()>().await;
        drop(held);
    });
    requests
}

/// Reads one request and sends its form to the channel.
async fn read(stream: &mut TcpStream, seen: &UnboundedSender<String>) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut buffer).await.unwrap();
        assert_ne!(length, 0, "the client hung up");
        request.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&request);
        if let Some((_, form)) = text.split_once("\r\n\r\n")
            && form.contains("ValidityPeriod=")
        {
            // The test may have dropped the receiver.
            let _ = seen.send(form.to_owned());
            return;
        }
    }
}

/// A server that answers a TLS handshake with something else. Returns its base URL and a channel with one message per
/// connection.
pub(super) fn no_tls() -> (String, blocking::Receiver<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let (seen, tries) = blocking::channel();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut first = [0];
            if stream.read_exact(&mut first).is_ok() && first == [0x16] {
                // Counted before it is answered.
                if seen.send(()).is_err() {
                    return;
                }
                let _ = stream.write_all(b"220 not the service you meant\r\n");
            }
        }
    });
    (base, tries)
}
