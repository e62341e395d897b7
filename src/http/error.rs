//! What stops a request without being an outcome of its operation. Only [`super::edge`] turns these into answers.

use poem::{
    IntoResponse, Response,
    error::ResponseError,
    http::{HeaderValue, StatusCode, header},
};

use super::envelope::{ErrorCode, ErrorResponse, Failure};
use crate::{
    flows::{self, session::TokenRefused},
    store::StoreError,
};

/// Seconds after which a client may try again when the server could not answer. The database is looked for
/// by every request, so soon.
const RETRY_AFTER: i64 = 2;

/// Marks an answer of which the log is told by another line, so that its own is for whoever asks for more.
#[derive(Debug, Clone, Copy)]
pub struct Quiet;

/// What stops a request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The body is not JSON, or not an object; the sentence says which.
    #[error("{0}")]
    MalformedRequest(&'static str),
    /// The body is over the limit.
    #[error("the body is over 64 KiB")]
    PayloadTooLarge,
    /// The body is of another type.
    #[error("the body is not application/json")]
    UnsupportedMediaType,
    /// The body is packed.
    #[error("the body has a Content-Encoding")]
    ContentCoding,
    /// The body comes in a transfer coding other than `chunked`.
    #[error("the Transfer-Encoding is not known")]
    TransferCoding,
    /// The length of the body is said in two ways.
    #[error("there is a Content-Length beside the Transfer-Encoding")]
    TwoLengths,
    /// The `Host` is not one of this server's.
    #[error("the host is not allowed")]
    HostNotAllowed,
    /// The address asks faster than the guard in front lets anybody ask.
    #[error("the address asks too fast")]
    TooFast {
        /// Seconds until one more is let through.
        retry_after: u64,
    },
    /// There is nothing at this path.
    #[error("nothing is at this path")]
    NotFound,
    /// The path knows other methods only.
    #[error("the path does not know this method")]
    MethodNotAllowed {
        /// The methods that it knows, as `Allow` names them.
        allow: String,
    },
    /// No access token came along.
    #[error("no access token")]
    TokenMissing,
    /// The token does not let its holder in.
    #[error("the token was refused")]
    Token(TokenRefused),
    /// The request took longer than it may.
    #[error("the request took too long")]
    Timeout,
    /// A verb could not run to its end.
    #[error(transparent)]
    Flow(#[from] flows::Error),
    /// Something that must not happen, happened. The text goes to the log only.
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for RequestError {
    fn from(error: StoreError) -> Self {
        Self::Flow(error.into())
    }
}

impl RequestError {
    /// The answer: fixed sentences, nothing about the inside.
    #[must_use]
    pub fn answer(&self) -> (StatusCode, Failure) {
        use ErrorCode as Code;
        use StatusCode as Status;
        let (status, code) = match self {
            Self::MalformedRequest(_) | Self::TwoLengths => (Status::BAD_REQUEST, Code::MalformedRequest),
            // No code of its own: only a program that is wrongly made meets it.
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
            Self::Flow(flows::Error::Store(StoreError::Unavailable(_))) => {
                (Status::SERVICE_UNAVAILABLE, Code::DatabaseUnavailable)
            }
            Self::Flow(
                flows::Error::Store(StoreError::Refused(_) | StoreError::Unreadable { .. })
                | flows::Error::Signing(_)
                | flows::Error::Hashing(_)
                | flows::Error::KeyGone
                | flows::Error::Crowded
                | flows::Error::Collision,
            )
            | Self::Internal(_) => (Status::INTERNAL_SERVER_ERROR, Code::Internal),
        };
        let failure = match self {
            Self::MalformedRequest(sentence) => Failure::new(code, *sentence),
            Self::TwoLengths => {
                Failure::new(code, "Send a Content-Length or a Transfer-Encoding, and not both")
            }
            Self::TransferCoding => Failure::new(code, "The only Transfer-Encoding that is known is chunked"),
            Self::ContentCoding => Failure::new(code, "Send the body as it is, without a Content-Encoding"),
            _ => Failure::from_code(code),
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

/// The code for a token that does not let its holder in.
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
        self.answer().0
    }

    fn as_response(&self) -> Response {
        let (status, failure) = self.answer();
        let mut response = ErrorResponse(failure).into_response();
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
            // What stands behind such a request may be half of its body (RFC 9112, section 6.3).
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
