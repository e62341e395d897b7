//! The edge: what every request passes on its way in and every answer on its way out. The only place that turns an
//! error into an answer, and the only one that logs a request.

mod admission;

use std::{
    any::Any,
    fmt::Write as _,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use poem::{
    Endpoint, EndpointExt, Error, Request, Response,
    error::{MethodNotAllowedError, NotFoundError, ParsePathError, ResponseError},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{Cors, NormalizePath, TrailingSlash},
};
use poem_openapi::error::{AuthorizationError, ContentTypeError};
use tracing::Instrument;

use self::admission::admit;
use super::{
    client_ip::{self, Finder, TrustedProxies},
    complaint::Complaint,
    envelope::ErrorCode,
    error::{Quiet, RequestError},
    guard::{Guard, GuardSettings, Steady},
    rate_limit::{self, RATE_LIMIT, RATE_LIMIT_POLICY, Told},
    routes::Routes,
};
use crate::{flows::Services, telemetry::Stopwatch};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How long a request may take: longer than a wait for the database and the SMS provider together.
const DEADLINE: Duration = Duration::from_secs(15);

/// Paths that answer whatever `Host` is asked for, and however often: load balancers ask by address, all from one.
pub(super) const HEALTH: [&str; 2] = ["/api/health", "/api/health/ready"];

/// What the edge is told by the configuration.
#[derive(Debug, Clone, Default)]
pub struct EdgeSettings {
    /// The hosts that are answered for; `None` is any.
    pub allowed_hosts: Option<Vec<String>>,
    /// The origins that may read answers in a browser; `*` is any.
    pub cors_origins: Vec<String>,
    /// Whose word is taken for where a request comes from.
    pub proxies: TrustedProxies,
    /// How fast one address may ask; `None` is as fast as it likes.
    pub guard: Option<GuardSettings>,
}

/// What was asked for, before its trailing slashes were trimmed. Who signs an address signs this one.
#[derive(Debug, Clone)]
pub struct OriginalUri(pub Uri);

/// The text of what went wrong, on its way from the shaping of an answer to the one log line of its request.
#[derive(Debug, Clone)]
struct Cause(String);

/// Puts the edge around the routes.
pub fn around(
    inner: impl Endpoint<Output = Response> + 'static,
    routes: Routes,
    services: Arc<Services>,
    settings: EdgeSettings,
) -> impl Endpoint<Output = Response> {
    let routes = Arc::new(routes);
    let origins = settings.cors_origins.clone();
    let cors = Cors::new()
        .allow_origins_fn(move |origin| is_named(&origins, origin))
        .expose_headers([REQUEST_ID, header::RETRY_AFTER, RATE_LIMIT, RATE_LIMIT_POLICY])
        .max_age(3600);
    let table = Arc::clone(&routes);
    let guard = settings.guard.map(|guard| Arc::new(Guard::new(guard, Steady(Arc::clone(&services)))));
    let unready = Arc::new(Mutex::new(Complaint::default()));
    let finder = Arc::new(Finder::new(settings.proxies));
    inner
        .around(move |inner, request| admit(inner, request, settings.allowed_hosts.clone()))
        .around({
            let (guard, services) = (guard.clone(), Arc::clone(&services));
            move |inner, request| shed(inner, request, guard.clone(), Arc::clone(&services))
        })
        .around(move |inner, request| shape(inner, request, Arc::clone(&table)))
        .with(cors)
        .around({
            let services = Arc::clone(&services);
            move |inner, request| shed_preflights(inner, request, guard.clone(), Arc::clone(&services))
        })
        .around({
            let origins = settings.cors_origins;
            move |inner, request| forget_strange_origin(inner, request, origins.clone())
        })
        .with(NormalizePath::new(TrailingSlash::Trim))
        .around(move |inner, mut request| {
            // First of all: whatever happens to a request, it happens to somebody's.
            finder.note(&mut request);
            observe(inner, request, Arc::clone(&routes), Arc::clone(&services), Arc::clone(&unready))
        })
}

/// Refuses what comes too fast, before anything of it is read or looked up.
async fn shed<E: Endpoint<Output = Response>>(
    inner: Arc<E>,
    request: Request,
    guard: Option<Arc<Guard<Steady>>>,
    services: Arc<Services>,
) -> poem::Result<Response> {
    if let Some(guard) = guard
        && !HEALTH.contains(&request.uri().path())
        && let Err(too_fast) = guard.check(client_ip::from_request(&request))
    {
        services.metrics.shed();
        guard.note_refused(client_ip::from_request(&request));
        rate_limit::tell(&request, too_fast.status);
        return Ok(answer(&RequestError::TooFast { retry_after: too_fast.retry_after }));
    }
    inner.call(request).await
}

/// The same for what CORS answers by itself, further out than the guard: a preflight. `forget_strange_origin` has taken
/// the origin away from whatever is none.
async fn shed_preflights<E: Endpoint<Output = Response>>(
    inner: Arc<E>,
    request: Request,
    guard: Option<Arc<Guard<Steady>>>,
    services: Arc<Services>,
) -> poem::Result<Response> {
    let is_preflight = request.method() == Method::OPTIONS && request.headers().contains_key(header::ORIGIN);
    shed(inner, request, guard.filter(|_| is_preflight), services).await
}

fn is_named(origins: &[String], origin: &str) -> bool {
    origins.iter().any(|named| named == "*" || named == origin)
}

/// A page of an origin that is not named gets the answer without the leave to read it, which is all that CORS means.
/// An `OPTIONS` that asks for no method, or for what is none, is no preflight.
async fn forget_strange_origin<E: Endpoint<Output = Response>>(
    inner: Arc<E>,
    mut request: Request,
    origins: Vec<String>,
) -> poem::Result<Response> {
    let origin = request.headers().get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    let named = origin.is_some_and(|origin| is_named(&origins, origin));
    let asks = |request: &Request| {
        let method = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD);
        method.is_some_and(|method| Method::from_bytes(method.as_bytes()).is_ok())
    };
    if origin.is_some() && (!named || (request.method() == Method::OPTIONS && !asks(&request))) {
        request.headers_mut().remove(header::ORIGIN);
    }
    inner.call(request).await
}

/// Makes an answer of whatever happens: an error, a panic, or nothing at all for too long.
async fn shape<E: Endpoint<Output = Response>>(
    inner: Arc<E>,
    request: Request,
    routes: Arc<Routes>,
) -> poem::Result<Response> {
    let path = request.uri().path().to_owned();
    let called = AssertUnwindSafe(inner.call(request));
    let answered = tokio::time::timeout(DEADLINE, futures_util::FutureExt::catch_unwind(called)).await;
    let error = match answered {
        Ok(Ok(Ok(response))) => return Ok(response),
        Ok(Ok(Err(error))) => error,
        Ok(Err(panic)) => RequestError::Internal(panic_text(panic.as_ref())).into(),
        Err(_elapsed) => RequestError::Timeout.into(),
    };
    // Answers that an operation chose to give as errors are its own.
    if error.is_from_response() {
        return Ok(error.into_response());
    }
    Ok(answer(&into_fault(error, &routes, &path)))
}

fn answer(error: &RequestError) -> Response {
    let mut response = error.as_response();
    if is_ours(&response) {
        response.extensions_mut().insert(Cause(chain(error)));
    }
    response
}

/// Whether an answer says that something is wrong with the server. 501 is a client that asks for what nobody needs.
fn is_ours(response: &Response) -> bool {
    response.status().is_server_error() && response.status() != StatusCode::NOT_IMPLEMENTED
}

fn into_fault(error: Error, routes: &Routes, path: &str) -> RequestError {
    let error = match error.downcast::<RequestError>() {
        Ok(error) => return error,
        Err(error) => error,
    };
    // A part of a path that cannot even be decoded names nothing, either.
    if error.is::<NotFoundError>() || error.is::<ParsePathError>() {
        return RequestError::NotFound;
    }
    if error.is::<MethodNotAllowedError>() {
        return RequestError::MethodNotAllowed {
            allow: routes.find(path).map(super::routes::RouteEntry::allow).unwrap_or_default(),
        };
    }
    if error.is::<AuthorizationError>() {
        return RequestError::TokenMissing;
    }
    if error.is::<ContentTypeError>() {
        return RequestError::UnsupportedMediaType;
    }
    match error.status() {
        StatusCode::NOT_FOUND => RequestError::NotFound,
        // A path that cannot even be decoded, such as one that is no UTF-8.
        status if status.is_client_error() && routes.find(path).is_none() => RequestError::NotFound,
        status if status.is_client_error() => {
            RequestError::MalformedRequest(ErrorCode::MalformedRequest.sentence())
        }
        _ => RequestError::Internal(error.to_string()),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("without a text"))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

/// Gives the request a name, logs it once, and puts on the answer what every answer carries.
async fn observe<E: Endpoint<Output = Response>>(
    inner: Arc<E>,
    mut request: Request,
    routes: Arc<Routes>,
    services: Arc<Services>,
    unready: Arc<Mutex<Complaint>>,
) -> poem::Result<Response> {
    let asked = OriginalUri(request.uri().clone());
    request.extensions_mut().insert(asked);
    let told = Told::prepare(&mut request);
    let id = request_id(&request, &services);
    let method = request.method().clone();
    let path = request.uri().path().trim_end_matches('/').to_owned();
    // The pattern and never the path, which may hold anything that a stranger typed.
    let route = routes.find(&path).map_or("none", |route| route.pattern.as_str());
    let span = tracing::info_span!("request", %id, %method, route);
    let watch = Stopwatch::start();
    let mut response =
        inner.call(request).instrument(span.clone()).await.unwrap_or_else(Error::into_response);
    let took = watch.elapsed();
    // Health is asked for by machines, as often as anybody likes.
    if HEALTH.contains(&path.as_str()) {
        response.extensions_mut().insert(Quiet);
    }
    span.in_scope(|| log(&response, took, &unready));
    let status = response.status().as_u16();
    services.metrics.request(route, method.as_str(), status, took.as_secs_f64());
    told.write(response.headers_mut());
    dress(&mut response, &id);
    Ok(response)
}

/// The name that a proxy gave the request, if it is one that can be logged as it is; else a new one.
fn request_id(request: &Request, services: &Services) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_sane = |id: &&str| {
        (8..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    match given.filter(is_sane) {
        // A number could be a phone or a code: a name that is only digits is not taken over.
        Some(id) if id.bytes().any(|byte| byte.is_ascii_alphabetic()) => id.to_owned(),
        _ => services.random.id(services.clock.now()).to_string(),
    }
}

fn log(response: &Response, took: Duration, unready: &Mutex<Complaint>) {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    let code = response.extensions().get::<ErrorCode>().map(|code| code.as_str());
    let code = code.as_deref();
    let cause = response.extensions().get::<Cause>().map(|cause| cause.0.as_str());
    let is_quiet = response.extensions().get::<Quiet>().is_some();
    match (is_ours(response), is_quiet) {
        (false, false) => tracing::info!(status, code, millis, "request"),
        (false, true) => tracing::debug!(status, code, millis, "request"),
        (true, false) => tracing::error!(status, code, millis, cause, "request failed"),
        (true, true) => {
            if let Some(times) = unready.lock().unwrap_or_else(PoisonError::into_inner).say() {
                tracing::error!(status, code, millis, cause, times, "request failed");
            }
        }
    }
}

fn dress(response: &mut Response, id: &str) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    let defaults = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_internal_error_and_tells_nothing() {
        let panics = Arc::new(
            poem::endpoint::make(|request: Request| async move {
                if request.uri().path() == "/odd" {
                    std::panic::panic_any(7);
                }
                assert!(request.uri().path() == "/fine", "the inside");
                Ok::<_, Error>(Response::default())
            })
            .map_to_response(),
        );
        for (path, cause) in [("/", "panic: the inside"), ("/odd", "panic: without a text")] {
            let request = Request::builder().uri(path.parse().unwrap()).finish();
            let mut response = shape(Arc::clone(&panics), request, Arc::default()).await.unwrap();
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let logged = response.extensions().get::<Cause>().unwrap();
            assert_eq!(logged.0, cause);
            let text = response.take_body().into_string().await.unwrap();
            assert!(text.contains("\"internal\"") && !text.contains("inside"), "{text}");
        }
        let request = Request::builder().uri("/fine".parse().unwrap()).finish();
        let fine = shape(panics, request, Arc::default()).await.unwrap();
        assert_eq!(fine.status(), StatusCode::OK);
    }
}
