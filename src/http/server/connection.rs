//! One connection, from its first byte to its end.

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
    stream::Stream,
    watch::{Verdict, Watch},
};

/// How many requests one HTTP/2 connection may have under way: the least that RFC 9113 recommends (section 6.5.2). The
/// apps send a few.
const MAX_STREAMS: u32 = 100;

/// How much of bodies an HTTP/2 client may send before they are read: of one, and of all of a connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// After so much silence an HTTP/2 client is asked whether it is still there, and has so long to say so.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// How much of a request that was refused unread is passed over, in bytes, and for how long.
const MAX_PASSED_OVER: usize = 256 * 1024;
const PASSING_TIME: Duration = Duration::from_secs(1);

pub(super) async fn serve<E>(
    socket: TcpStream,
    peer: SocketAddr,
    state: &Arc<ServerState<E>>,
    mut stage: channel::Receiver<Stage>,
) where
    E: Endpoint<Output = Response> + 'static,
{
    // An answer is one write; to hold back its last packet until the one before was acknowledged costs 40 ms. That it
    // cannot be set is no reason not to serve.
    let _ = socket.set_nodelay(true);
    let watch = Arc::new(Watch::new(state.limits));
    let mut stream = Stream::new(socket, Arc::clone(&watch));
    let first = timeout(state.limits.header, stream.is_http2());
    let is_http2 = tokio::select! {
        first = first => first,
        // Nothing was asked for yet.
        _ = stage.wait_for(|stage| *stage != Stage::Serving) => return,
    };
    match is_http2 {
        Ok(Ok(true)) => {
            watch.is_http2();
            Box::pin(serve_http2(stream, peer, state, watch, stage)).await;
        }
        Ok(Ok(false)) => Box::pin(serve_http1(stream, peer, state, watch, stage)).await,
        Ok(Err(_)) => {}
        Err(_elapsed) => note_cut(state, "its header took too long"),
    }
}

async fn serve_http1<E>(
    stream: Stream,
    peer: SocketAddr,
    state: &Arc<ServerState<E>>,
    watch: Arc<Watch>,
    stage: channel::Receiver<Stage>,
) where
    E: Endpoint<Output = Response> + 'static,
{
    let service = service_fn({
        let (state, watch) = (Arc::clone(state), Arc::clone(&watch));
        move |request| answer(request, peer, Arc::clone(&state), Arc::clone(&watch))
    });
    let mut connection = http1::Builder::new()
        // hyper's own would also end a connection that is idle between two requests; `Watch` tells them apart.
        .header_read_timeout(None)
        // Who has said all may close that half of the connection, and hears the answer on the other.
        .half_close(true)
        .max_header_size(usize::from(MAX_HEADER_BYTES))
        .serve_connection(TokioIo::new(stream), service);
    let ended = supervise(Pin::new(&mut connection), state, &watch, stage).await;
    if let Some(Err(error)) = ended
        && error.is_parse()
    {
        let mut stream = connection.into_parts().io.into_inner();
        let _ = timeout(PASSING_TIME, stream.pass_over(MAX_PASSED_OVER)).await;
    }
}

async fn serve_http2<E>(
    stream: Stream,
    peer: SocketAddr,
    state: &Arc<ServerState<E>>,
    watch: Arc<Watch>,
    stage: channel::Receiver<Stage>,
) where
    E: Endpoint<Output = Response> + 'static,
{
    let service = service_fn({
        let (state, watch) = (Arc::clone(state), Arc::clone(&watch));
        move |request| answer(request, peer, Arc::clone(&state), Arc::clone(&watch))
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(u32::from(MAX_HEADER_BYTES))
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    supervise(connection.as_mut(), state, &watch, stage).await;
}

async fn answer<E>(
    mut request: hyper::Request<Incoming>,
    peer: SocketAddr,
    state: Arc<ServerState<E>>,
    watch: Arc<Watch>,
) -> Result<hyper::Response<impl hyper::body::Body<Data: Send, Error = std::io::Error> + 'static>, Infallible>
where
    E: Endpoint<Output = Response> + 'static,
{
    let _under_way = watch.request();
    watch.restore_length(request.headers_mut());
    let from = (LocalAddr(Addr::from(state.local)), RemoteAddr(Addr::from(peer)));
    let response = state.endpoint.get_response((request, from.0, from.1, Scheme::HTTP).into()).await;
    Ok(hyper::Response::from(response))
}

/// Waits until the connection has come to its end by itself, or ends it: how it ended by itself, if it did.
async fn supervise<C, E>(
    mut connection: Pin<&mut C>,
    state: &ServerState<E>,
    watch: &Watch,
    mut stage: channel::Receiver<Stage>,
) -> Option<Result<(), C::Error>>
where
    C: GracefulConnection,
{
    let mut closing: Option<Instant> = None;
    let mut timer = std::pin::pin!(sleep_until(Instant::now() + state.limits.header));
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
                let until = match (watch.judge(now), closing) {
                    (Verdict::Cut(why), _) => {
                        note_cut(state, why);
                        return None;
                    }
                    (Verdict::Close | Verdict::Wait(_), Some(end)) if end <= now => return None,
                    (Verdict::Wait(until), Some(end)) => until.min(end),
                    (Verdict::Wait(until), None) => until,
                    (Verdict::Close, Some(end)) => end,
                    (Verdict::Close, None) => {
                        connection.as_mut().graceful_shutdown();
                        let end = now + state.limits.grace;
                        closing = Some(end);
                        end
                    }
                };
                timer.as_mut().reset(until);
            }
        }
    }
}

/// The log says it to whoever asks for more than usual: strangers decide how often it happens.
fn note_cut<E>(state: &ServerState<E>, why: &'static str) {
    tracing::debug!(why, "a connection was cut off");
    if let Some(metrics) = &state.metrics {
        metrics.connection_cut();
    }
}
