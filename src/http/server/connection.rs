//! Serves one connection by HTTP/1 or HTTP/2, and ends it when its limits say so.

use std::{convert::Infallible, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use poem::{
    Addr, Endpoint, Response,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::TcpStream,
    sync::watch as channel,
    time::{Instant, sleep_until, timeout},
};

use super::{
    MAX_HEADER_BYTES, ServerState, Stage,
    stream::{Socket, Stream},
    watch::{Verdict, Watch},
};

/// The concurrent requests of one HTTP/2 connection: the minimum that RFC 9113 recommends (section 6.5.2). Apps send a
/// few.
const MAX_STREAMS: u32 = 100;

/// The flow control windows of HTTP/2, in bytes: how much a client may send before it is read, for one body and for all
/// bodies of a connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// How often an HTTP/2 client is pinged, and how long it has to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of a request that hyper refused is read and discarded, in bytes, and for how long.
const MAX_DISCARDED_BYTES: usize = 256 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// What all requests of a connection share.
struct Connection<E> {
    peer: SocketAddr,
    server: Arc<ServerState<E>>,
    watch: Arc<Watch>,
}

pub(super) async fn serve<E>(
    socket: TcpStream,
    peer: SocketAddr,
    server: &Arc<ServerState<E>>,
    mut stage: channel::Receiver<Stage>,
) where
    E: Endpoint<Output = Response> + 'static,
{
    // Without this (Nagle's algorithm) the last packet of a response may wait 40 ms for an acknowledgement. The
    // connection works without it too, so an error is ignored.
    let _ = socket.set_nodelay(true);
    let watch = Arc::new(Watch::new(server.limits));
    let begin = async {
        let socket = match &server.tls {
            None => Socket::Plain(socket),
            Some(tls) => Socket::Tls(Box::new(tls.accept(socket).await?)),
        };
        let mut stream = Stream::new(socket, Arc::clone(&watch));
        stream.is_http2().await.map(|is_http2| (stream, is_http2))
    };
    let first = tokio::select! {
        first = timeout(server.limits.header, begin) => first,
        // There is no request yet.
        _ = stage.wait_for(|stage| *stage != Stage::Serving) => return,
    };
    let connection = Connection { peer, server: Arc::clone(server), watch };
    match first {
        Ok(Ok((stream, true))) => {
            connection.watch.set_http2();
            Box::pin(serve_http2(stream, Arc::new(connection), stage)).await;
        }
        Ok(Ok((stream, false))) => Box::pin(serve_http1(stream, Arc::new(connection), stage)).await,
        Ok(Err(_)) => {}
        Err(_elapsed) => log_cut(server, "its header took too long"),
    }
}

async fn serve_http1<E>(stream: Stream, shared: Arc<Connection<E>>, stage: channel::Receiver<Stage>)
where
    E: Endpoint<Output = Response> + 'static,
{
    let service = service_fn(|request| respond(request, Arc::clone(&shared)));
    let mut connection = http1::Builder::new()
        // hyper's timeout would also end a connection that is idle between two requests; `Watch` tells them apart.
        .header_read_timeout(None)
        // A client may close its sending half after the request, and still gets the response.
        .half_close(true)
        .max_header_size(usize::from(MAX_HEADER_BYTES))
        .serve_connection(TokioIo::new(stream), service);
    let ended = supervise(Pin::new(&mut connection), &shared, stage).await;
    if let Some(Err(error)) = ended
        && error.is_parse()
    {
        let mut stream = connection.into_parts().io.into_inner();
        let _ = timeout(DISCARD_TIMEOUT, stream.discard(MAX_DISCARDED_BYTES)).await;
    }
}

async fn serve_http2<E>(stream: Stream, shared: Arc<Connection<E>>, stage: channel::Receiver<Stage>)
where
    E: Endpoint<Output = Response> + 'static,
{
    let service = service_fn(|request| respond(request, Arc::clone(&shared)));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(u32::from(MAX_HEADER_BYTES))
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    supervise(connection.as_mut(), &shared, stage).await;
}

async fn respond<E>(
    mut request: hyper::Request<Incoming>,
    connection: Arc<Connection<E>>,
) -> Result<hyper::Response<impl hyper::body::Body<Data: Send, Error = std::io::Error> + 'static>, Infallible>
where
    E: Endpoint<Output = Response> + 'static,
{
    let Connection { peer, server, watch } = connection.as_ref();
    let _in_progress = watch.request_started();
    watch.restore_content_length(request.headers_mut());
    let (local, remote) = (LocalAddr(Addr::from(server.local)), RemoteAddr(Addr::from(*peer)));
    let scheme = if server.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
    let response = server.endpoint.get_response((request, local, remote, scheme).into()).await;
    Ok(hyper::Response::from(response))
}

/// Waits for the end of the connection, or ends it by its limits. Returns its result if it ended by itself.
async fn supervise<C, E>(
    mut connection: Pin<&mut C>,
    shared: &Connection<E>,
    mut stage: channel::Receiver<Stage>,
) -> Option<Result<(), C::Error>>
where
    C: GracefulConnection,
{
    let Connection { server, watch, .. } = shared;
    let mut closing: Option<Instant> = None;
    let mut timer = std::pin::pin!(sleep_until(Instant::now() + server.limits.header));
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => return Some(ended),
            changed = stage.changed() => {
                if changed.is_err() || *stage.borrow() == Stage::Over {
                    return None;
                }
                connection.as_mut().graceful_shutdown();
            }
            () = timer.as_mut() => {
                let now = Instant::now();
                let until = match (watch.verdict(now), closing) {
                    (Verdict::Cut(why), _) => {
                        log_cut(server, why);
                        return None;
                    }
                    (Verdict::Close | Verdict::Wait(_), Some(end)) if end <= now => return None,
                    (Verdict::Wait(until), Some(end)) => until.min(end),
                    (Verdict::Wait(until), None) => until,
                    (Verdict::Close, Some(end)) => end,
                    (Verdict::Close, None) => {
                        connection.as_mut().graceful_shutdown();
                        let end = now + server.limits.grace;
                        closing = Some(end);
                        end
                    }
                };
                timer.as_mut().reset(until);
            }
        }
    }
}

/// Logged at debug only, because clients decide how often it happens.
fn log_cut<E>(server: &ServerState<E>, why: &'static str) {
    tracing::debug!(why, "a connection was cut off");
    if let Some(metrics) = &server.metrics {
        metrics.connection_cut();
    }
}
