//! The errors of a request that are no outcome of its operation. Only [`super::edge`] turns them into responses.

use poem::{
    IntoResponse, Response,
    error::ResponseError,
    http::{HeaderValue, StatusCode, header},
};

use super::envelope::{ErrorCode, ErrorResponse};
use crate::{
    flows::{self, session::TokenRefused},
    store::StoreError,
};

/// `Retry-After` of a 503, in seconds. It is short, because every request tries to reach the database again.
const RETRY_AFTER: i64 = 2;

/// For the user of a blocked phone, and for every user of a blocked network.
const BLOCKED: &str = "This phone number or network is blocked. Please contact support";

/// For a guest who does what users may do.
const GUEST: &str = "Please verify your phone number first: guests cannot do this";

/// Marks a response that is logged at debug only, because it is frequent or something else logs it.
#[derive(Debug, Clone, Copy)]
pub struct Quiet;

/// Marks a response whose status reports no error, although it looks like one.
#[derive(Debug, Clone, Copy)]
pub struct Expected;

/// An error of a request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The request is not readable as HTTP or JSON requires; the message says why.
    #[error("{0}")]
    MalformedRequest(&'static str),
    /// The body is over the limit.
    #[error("the body is over 64 KiB")]
    PayloadTooLarge,
    /// The body has another content type.
    #[error("the body is not application/json")]
    UnsupportedMediaType,
    /// The body is compressed.
    #[error("the body has a Content-Encoding")]
    ContentCoding,
    /// The body has a transfer coding other than `chunked`.
    #[error("the Transfer-Encoding is not known")]
    TransferCoding,
    /// The request gives the length of its body in two ways.
    #[error("there is a Content-Length beside the Transfer-Encoding")]
    TwoLengths,
    /// The `Host` is not a host of this server.
    #[error("the host is not allowed")]
    HostNotAllowed,
    /// The address sends more requests than the guard allows.
    #[error("too many requests from this address")]
    TooFast {
        /// Seconds until the next request is allowed.
        retry_after: u64,
    },
    /// The path does not exist.
    #[error("the path does not exist")]
    NotFound,
    /// The path does not support this method.
    #[error("the path does not support this method")]
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: String,
    },
    /// There is no access token.
    #[error("no access token")]
    TokenMissing,
    /// The access token is refused.
    #[error("the token was refused")]
    Token(TokenRefused),
    /// The caller is a guest, and the operation is for users.
    #[error("the caller is a guest")]
    Guest,
    /// The request took longer than its deadline.
    #[error("the request took too long")]
    Timeout,
    /// The server was told to stop: it is not ready any more.
    #[error("the server stops")]
    Stopping,
    /// A use case failed.
    #[error(transparent)]
    Flow(#[from] flows::Error),
    /// A bug. The text goes to the log only.
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for RequestError {
    fn from(error: StoreError) -> Self {
        Self::Flow(error.into())
    }
}

impl RequestError {
    /// The status and body of the response: fixed messages without internal details.
    #[must_use]
    pub fn status_and_body(&self) -> (StatusCode, ErrorResponse) {
        use ErrorCode as Code;
        use StatusCode as Status;
        let (status, code) = match self {
            Self::MalformedRequest(_) | Self::TwoLengths => (Status::BAD_REQUEST, Code::MalformedRequest),
            // The contract has no code for it: only a broken client causes it.
            Self::TransferCoding => (Status::NOT_IMPLEMENTED, Code::MalformedRequest),
            Self::PayloadTooLarge => (Status::PAYLOAD_TOO_LARGE, Code::PayloadTooLarge),
            Self::UnsupportedMediaType | Self::ContentCoding => {
                (Status::UNSUPPORTED_MEDIA_TYPE, Code::UnsupportedMediaType)
            }
            Self::HostNotAllowed => (Status::BAD_REQUEST, Code::HostNotAllowed),
            Self::TooFast { .. } => (Status::TOO_MANY_REQUESTS, Code::RateLimited),
            Self::NotFound => (Status::NOT_FOUND, Code::NotFound),
            Self::MethodNotAllowed { .. } => (Status::METHOD_NOT_ALLOWED, Code::MethodNotAllowed),
            Self::TokenMissing => (Status::UNAUTHORIZED, Code::TokenMissing),
            Self::Token(refused) => (Status::UNAUTHORIZED, token_refused(*refused)),
            Self::Timeout => (Status::SERVICE_UNAVAILABLE, Code::Timeout),
            // Of the contract's codes for 503, the one whose message says what a client can do. Load balancers read the status.
            Self::Stopping => (Status::SERVICE_UNAVAILABLE, Code::DatabaseUnavailable),
            Self::Guest | Self::Flow(flows::Error::Blocked) => (Status::FORBIDDEN, Code::Forbidden),
            Self::Flow(flows::Error::Store(StoreError::Unavailable(_))) => {
                (Status::SERVICE_UNAVAILABLE, Code::DatabaseUnavailable)
            }
            Self::Flow(
                flows::Error::Store(StoreError::Refused(_) | StoreError::Unreadable { .. })
                | flows::Error::Signing(_)
                | flows::Error::Hashing(_)
                | flows::Error::KeyGone
                | flows::Error::AccountChangedTwice
                | flows::Error::Collision,
            )
            | Self::Internal(_) => (Status::INTERNAL_SERVER_ERROR, Code::Internal),
        };
        let failure = match self {
            Self::MalformedRequest(message) => ErrorResponse::new(code, *message),
            Self::TwoLengths => {
                ErrorResponse::new(code, "Send a Content-Length or a Transfer-Encoding, not both")
            }
            Self::TransferCoding => {
                ErrorResponse::new(code, "The only supported Transfer-Encoding is chunked")
            }
            Self::Guest => ErrorResponse::new(code, GUEST),
            Self::Flow(flows::Error::Blocked) => ErrorResponse::new(code, BLOCKED),
            Self::Stopping => ErrorResponse::new(code, "This server is stopping"),
            Self::ContentCoding => ErrorResponse::new(code, "Send the body without a Content-Encoding"),
            _ => ErrorResponse::from_code(code),
        };
        match self {
            Self::TooFast { retry_after } => {
                (status, failure.retry_after(i64::try_from(*retry_after).unwrap_or(i64::MAX)))
            }
            _ if status == Status::SERVICE_UNAVAILABLE => (status, failure.retry_after(RETRY_AFTER)),
            _ => (status, failure),
        }
    }
}

/// The error code of a refused token.
#[must_use]
pub fn token_refused(refused: TokenRefused) -> ErrorCode {
    match refused {
        TokenRefused::Invalid => ErrorCode::TokenInvalid,
        TokenRefused::Expired => ErrorCode::TokenExpired,
        TokenRefused::Revoked => ErrorCode::TokenRevoked,
    }
}

/// `WWW-Authenticate` for a token that was refused (RFC 6750, section 3).
pub const INVALID_TOKEN: &str = "Bearer error=\"invalid_token\"";

impl ResponseError for RequestError {
    fn status(&self) -> StatusCode {
        self.status_and_body().0
    }

    fn as_response(&self) -> Response {
        let (status, failure) = self.status_and_body();
        let mut response = failure.into_response();
        response.set_status(status);
        match self {
            Self::TokenMissing => challenge(&mut response, "Bearer"),
            Self::Token(_) => challenge(&mut response, INVALID_TOKEN),
            Self::MethodNotAllowed { allow } => {
                if let Ok(allow) = HeaderValue::from_str(allow) {
                    response.headers_mut().insert(header::ALLOW, allow);
                }
            }
            Self::TooFast { .. } => drop(response.extensions_mut().insert(Quiet)),
            Self::Stopping => drop(response.extensions_mut().insert(Expected)),
            // The bytes after such a request may belong to its body (RFC 9112, section 6.3).
            Self::TwoLengths | Self::TransferCoding => {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            // RFC 9110, section 15.5.16.
            Self::ContentCoding => {
                let identity = HeaderValue::from_static("identity");
                response.headers_mut().insert(header::ACCEPT_ENCODING, identity);
            }
            _ => {}
        }
        response
    }
}

/// RFC 6750, section 3.
fn challenge(response: &mut Response, scheme: &'static str) {
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
}
