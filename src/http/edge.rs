//! The edge: every request passes it on its way in, and every response on its way out. It is the only place that turns
//! errors into responses, and the only one that logs a request.

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
    envelope::ErrorCode,
    error::{Expected, Quiet, RequestError},
    guard::{Guard, GuardSettings, MonotonicClock},
    log_throttle::LogThrottle,
    rate_limit::{self, RATE_LIMIT, RATE_LIMIT_POLICY, RecordedLimits},
    routes::Routes,
};
use crate::{
    domain::console::RequestSource,
    flows::Services,
    telemetry::{RequestTrace, Stopwatch, known_method},
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Browsers use HTTPS for a year after each answer.
const ONE_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// How long a request may take: longer than the provider's timeout and one wait for a database connection.
const DEADLINE: Duration = Duration::from_secs(15);

/// Paths without a check of `Host` or of the request rate: load balancers request them by IP address, all from one.
pub(super) const HEALTH: [&str; 2] = ["/api/health", "/api/health/ready"];

/// The settings of the edge.
#[derive(Debug, Clone, Default)]
pub struct EdgeSettings {
    /// The hosts that are served; `None` is any.
    pub allowed_hosts: Option<Vec<String>>,
    /// The origins that may read responses in a browser; `*` is any.
    pub cors_origins: Vec<String>,
    /// The proxies whose `X-Forwarded-For` is trusted.
    pub proxies: TrustedProxies,
    /// Whether browsers are told to use HTTPS only: in production with a certificate of its own. A proxy that ends TLS says it itself.
    pub is_https_only: bool,
    /// The request rate per address; `None` is unlimited.
    pub guard: Option<GuardSettings>,
}

/// The URI of the request before its trailing slashes were removed. Twilio signs this one.
#[derive(Debug, Clone)]
pub struct OriginalUri(pub Uri);

/// The text of an error, carried from the response to the log line of its request.
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
        .allow_origins_fn(move |origin| is_allowed_origin(&origins, origin))
        .expose_headers([REQUEST_ID, header::RETRY_AFTER, RATE_LIMIT, RATE_LIMIT_POLICY])
        .max_age(3600);
    let table = Arc::clone(&routes);
    let guard =
        settings.guard.map(|guard| Arc::new(Guard::new(guard, MonotonicClock(Arc::clone(&services)))));
    let failed_checks = Arc::new(Mutex::new(LogThrottle::default()));
    let finder = Arc::new(Finder::new(settings.proxies));
    let is_https_only = settings.is_https_only;
    inner
        .around(move |inner, request| admit(inner, request, settings.allowed_hosts.clone()))
        .around({
            let (guard, services) = (guard.clone(), Arc::clone(&services));
            move |inner, request| check_rate(inner, request, guard.clone(), Arc::clone(&services))
        })
        .around(move |inner, request| handle_errors(inner, request, Arc::clone(&table)))
        .with(cors)
        // The type of the whole would be too deep for the compiler.
        .boxed()
        .around({
            let services = Arc::clone(&services);
            move |inner, request| check_preflight_rate(inner, request, guard.clone(), Arc::clone(&services))
        })
        .around({
            let origins = settings.cors_origins;
            move |inner, request| strip_unknown_origin(inner, request, origins.clone())
        })
        .with(NormalizePath::new(TrailingSlash::Trim))
        .around(move |inner, mut request| {
            // This comes first, so that everything else knows the address.
            finder.attach(&mut request);
            let observed = Observed { services: Arc::clone(&services), is_https_only };
            observe(inner, request, Arc::clone(&routes), observed, Arc::clone(&failed_checks))
        })
}

/// Refuses a request that comes too fast, before its body is read or anything is looked up.
async fn check_rate<E: Endpoint<Output = Response>>(
    inner: Arc<E>,
    request: Request,
    guard: Option<Arc<Guard<MonotonicClock>>>,
    services: Arc<Services>,
) -> poem::Result<Response> {
    if let Some(guard) = guard
        && !HEALTH.contains(&request.uri().path())
        && let Err(too_fast) = guard.check(client_ip::from_request(&request))
    {
        services.metrics.shed();
        guard.note_refused(client_ip::from_request(&request));
        rate_limit::record(&request, too_fast.status);
        return Ok(error_response(&RequestError::TooFast { retry_after: too_fast.retry_after }));
    }
    inner.call(request).await
}

/// The same check for preflights, which the CORS layer answers before they reach the guard. `strip_unknown_origin` has
/// removed the origin from requests that are not preflights.
async fn check_preflight_rate<E: Endpoint<Output = Response>>(
    inner: Arc<E>,
    request: Request,
    guard: Option<Arc<Guard<MonotonicClock>>>,
    services: Arc<Services>,
) -> poem::Result<Response> {
    let is_preflight = request.method() == Method::OPTIONS && request.headers().contains_key(header::ORIGIN);
    check_rate(inner, request, guard.filter(|_| is_preflight), services).await
}

fn is_allowed_origin(origins: &[String], origin: &str) -> bool {
    origins.iter().any(|allowed| allowed == "*" || allowed == origin)
}

/// Removes an origin that is not allowed, so that its page gets a response without CORS headers, which it cannot read.
/// An `OPTIONS` request without a valid `Access-Control-Request-Method` is not a preflight, and loses its origin too.
async fn strip_unknown_origin<E: Endpoint<Output = Response>>(
    inner: Arc<E>,
    mut request: Request,
    origins: Vec<String>,
) -> poem::Result<Response> {
    // The console's forms are checked by these headers.
    let text = |name: &str| request.header(name).map(str::to_owned);
    let source = RequestSource { fetch_site: text("sec-fetch-site"), origin: text("origin") };
    request.extensions_mut().insert(source);
    let origin = request.headers().get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    let is_allowed = origin.is_some_and(|origin| is_allowed_origin(&origins, origin));
    let is_preflight = |request: &Request| {
        let method = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD);
        method.is_some_and(|method| Method::from_bytes(method.as_bytes()).is_ok())
    };
    if origin.is_some() && (!is_allowed || (request.method() == Method::OPTIONS && !is_preflight(&request))) {
        request.headers_mut().remove(header::ORIGIN);
    }
    inner.call(request).await
}

/// Turns an error, a panic or a timeout into a response.
async fn handle_errors<E: Endpoint<Output = Response>>(
    inner: Arc<E>,
    request: Request,
    routes: Arc<Routes>,
) -> poem::Result<Response> {
    let path = request.uri().path().to_owned();
    let call = AssertUnwindSafe(inner.call(request));
    let result = tokio::time::timeout(DEADLINE, futures_util::FutureExt::catch_unwind(call)).await;
    let error = match result {
        Ok(Ok(Ok(response))) => return Ok(response),
        Ok(Ok(Err(error))) => error,
        Ok(Err(panic)) => RequestError::Internal(panic_text(panic.as_ref())).into(),
        Err(_elapsed) => RequestError::Timeout.into(),
    };
    // A response that an operation returned as an error stays as it is.
    if error.is_from_response() {
        return Ok(error.into_response());
    }
    Ok(error_response(&into_request_error(error, &routes, &path)))
}

fn error_response(error: &RequestError) -> Response {
    let mut response = error.as_response();
    if is_server_error(&response) {
        response.extensions_mut().insert(Cause(error_chain(error)));
    }
    response
}

/// Whether a response reports an error of the server. 501 reports a client that uses an unsupported transfer coding.
fn is_server_error(response: &Response) -> bool {
    response.status().is_server_error()
        && response.status() != StatusCode::NOT_IMPLEMENTED
        && response.extensions().get::<Expected>().is_none()
}

fn into_request_error(error: Error, routes: &Routes, path: &str) -> RequestError {
    let error = match error.downcast::<RequestError>() {
        Ok(error) => return error,
        Err(error) => error,
    };
    // A path parameter that cannot be decoded matches nothing.
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
        // A path that cannot be decoded, such as one that is not UTF-8.
        status if status.is_client_error() && routes.find(path).is_none() => RequestError::NotFound,
        status if status.is_client_error() => {
            RequestError::MalformedRequest(ErrorCode::MalformedRequest.message())
        }
        _ => RequestError::Internal(error.to_string()),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("without a text"))
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

/// What [`observe`] works with.
struct Observed {
    services: Arc<Services>,
    is_https_only: bool,
}

/// Gives the request an id and a trace, logs it once, and adds the headers that every response has.
async fn observe<E: Endpoint<Output = Response>>(
    inner: Arc<E>,
    mut request: Request,
    routes: Arc<Routes>,
    Observed { services, is_https_only }: Observed,
    failed_checks: Arc<Mutex<LogThrottle>>,
) -> poem::Result<Response> {
    let original_uri = OriginalUri(request.uri().clone());
    request.extensions_mut().insert(original_uri);
    let limits = RecordedLimits::attach(&mut request);
    let id = request_id(&request, &services);
    let method = request.method().clone();
    let path = request.uri().path().trim_end_matches('/').to_owned();
    // The pattern and not the path, which may contain anything.
    let route = routes.find(&path).map_or("none", |route| route.pattern.as_str());
    // Load balancers check the health all the time.
    let is_health = HEALTH.contains(&path.as_str());
    let trace = begin_trace(&request, route).filter(|_| !is_health);
    let trace_id = trace.as_ref().and_then(|trace| trace.id.as_deref());
    let span = tracing::info_span!("request", %id, %method, route, trace_id);
    let trace_span = trace.as_ref().map_or_else(tracing::Span::none, |trace| trace.span.clone());
    let stopwatch = Stopwatch::start();
    let answer = inner.call(request).instrument(trace_span).instrument(span.clone());
    let mut response = answer.await.unwrap_or_else(Error::into_response);
    let took = stopwatch.elapsed();
    if is_health {
        response.extensions_mut().insert(Quiet);
    }
    span.in_scope(|| log(&response, took, &failed_checks));
    let status = response.status().as_u16();
    let example = trace.as_ref().and_then(RequestTrace::sampled_id);
    services.metrics.request(route, method.as_str(), status, took.as_secs_f64(), example);
    if let Some(trace) = &trace {
        let code = response.extensions().get::<ErrorCode>().map(|code| code.as_str());
        trace.end(status, code.as_deref());
    }
    limits.write(response.headers_mut());
    if is_https_only {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, ONE_YEAR);
    }
    add_default_headers(&mut response, &id);
    Ok(response)
}

/// The trace of a request, which is a part of the caller's if the request says so, once.
fn begin_trace(request: &Request, route: &str) -> Option<RequestTrace> {
    let mut parents = request.headers().get_all(TRACEPARENT).iter();
    let parent = parents.next().filter(|_| parents.next().is_none());
    let parent = parent.and_then(|parent| parent.to_str().ok());
    let trace = RequestTrace::begin(known_method(request.method().as_str()), route, parent);
    trace.is_on().then_some(trace)
}

/// The id that a proxy gave the request, if it is safe to log; else a new one.
fn request_id(request: &Request, services: &Services) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_safe = |id: &&str| {
        (8..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    match given.filter(is_safe) {
        // Digits only could be a phone or a code, and must not be logged.
        Some(id) if id.bytes().any(|byte| byte.is_ascii_alphabetic()) => id.to_owned(),
        _ => services.random.id(services.clock.now()).to_string(),
    }
}

fn log(response: &Response, took: Duration, failed_checks: &Mutex<LogThrottle>) {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    let code = response.extensions().get::<ErrorCode>().map(|code| code.as_str());
    let code = code.as_deref();
    let cause = response.extensions().get::<Cause>().map(|cause| cause.0.as_str());
    let is_quiet = response.extensions().get::<Quiet>().is_some();
    match (is_server_error(response), is_quiet) {
        (false, false) => tracing::info!(status, code, millis, "request"),
        (false, true) => tracing::debug!(status, code, millis, "request"),
        (true, false) => tracing::error!(status, code, millis, cause, "request failed"),
        (true, true) => {
            if let Some(times) = failed_checks.lock().unwrap_or_else(PoisonError::into_inner).count() {
                tracing::error!(status, code, millis, cause, times, "request failed");
            }
        }
    }
}

fn add_default_headers(response: &mut Response, id: &str) {
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
            let mut response = handle_errors(Arc::clone(&panics), request, Arc::default()).await.unwrap();
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let logged = response.extensions().get::<Cause>().unwrap();
            assert_eq!(logged.0, cause);
            let text = response.take_body().into_string().await.unwrap();
            assert!(text.contains("\"internal\"") && !text.contains("inside"), "{text}");
        }
        let request = Request::builder().uri("/fine".parse().unwrap()).finish();
        let fine = handle_errors(panics, request, Arc::default()).await.unwrap();
        assert_eq!(fine.status(), StatusCode::OK);
    }
}
