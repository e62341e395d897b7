//! Refreshing the tokens of a session, and ending it.

use std::sync::Arc;

use poem::{Request, Result, http::header};
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};
use secrecy::ExposeSecret;

use super::{
    Tag,
    body::MaybeJson,
    client_ip,
    envelope::{ErrorCode, ErrorResponse, Nothing, Success},
    error::{INVALID_TOKEN, RequestError, token_refused},
    fields::{self, Field, FieldErrors},
    json::Json,
};
use crate::flows::{
    Services,
    session::{self, Refreshed},
};

/// The operations of this module.
pub struct SessionApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// A refresh token.
#[derive(Debug, Object)]
#[oai(example)]
pub struct RefreshRequest {
    refresh: Field<fields::Refresh>,
}

impl Example for RefreshRequest {
    fn example() -> Self {
        Self { refresh: Field::from_value("eyJhbGciOiJIUzI1NiJ9.e30.refresh") }
    }
}

/// The refresh token of the session to end.
#[derive(Debug, Object)]
#[oai(example)]
pub struct LogoutRequest {
    refresh: Field<fields::MaybeRefresh>,
}

impl Example for LogoutRequest {
    fn example() -> Self {
        Self { refresh: Field::from_value("eyJhbGciOiJIUzI1NiJ9.e30.refresh") }
    }
}

/// The next pair of tokens, as SimpleJWT returns it: without an envelope.
#[derive(Debug, Object)]
#[oai(example)]
pub struct TokenPairData {
    /// The access token.
    access: String,
    /// The refresh token that replaces the one that was sent.
    refresh: String,
}

impl Example for TokenPairData {
    fn example() -> Self {
        Self {
            access: "eyJhbGciOiJIUzI1NiJ9.e30.access".to_owned(),
            refresh: "eyJhbGciOiJIUzI1NiJ9.e30.refresh".to_owned(),
        }
    }
}

/// The responses of `refresh`.
#[derive(ApiResponse)]
pub enum RefreshResponse {
    /// The next pair.
    #[oai(status = 200)]
    Tokens(Json<TokenPairData>),
    /// `token_invalid`: not a refresh token of this server. `token_expired`: it has expired. `token_revoked`: its
    /// session has ended, also by the use of a retired token.
    #[oai(status = 401)]
    Refused(ErrorResponse, #[oai(header = "WWW-Authenticate")] String),
    /// `account_disabled`: the account is disabled.
    #[oai(status = 403)]
    Disabled(ErrorResponse),
    /// `validation_failed`: `error.fields` names what is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

/// The responses of `logout`.
#[derive(ApiResponse)]
pub enum LogoutResponse {
    /// The session of the token has ended.
    #[oai(status = 200)]
    LoggedOut(Json<Success<Nothing>>),
    /// `validation_failed`: `refresh` is not a string.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

#[OpenApi(tag = "Tag::Session")]
impl SessionApi {
    /// Exchange a refresh token for the next pair
    ///
    /// A refresh token is single use. Sent again within 30 seconds, it returns the same successor; later, if that
    /// successor was never used, a new one. So a lost response signs nobody out. The use of a retired token ends the
    /// session.
    #[oai(path = "/api/auth/refresh", method = "post", operation_id = "refresh")]
    pub(super) async fn refresh(
        &self,
        request: &Request,
        body: Json<RefreshRequest>,
    ) -> Result<RefreshResponse> {
        let mut errors = FieldErrors::default();
        let Some(token) = errors.check("refresh", body.0.refresh.text()) else {
            return Ok(RefreshResponse::Invalid(errors.into_error_response()));
        };
        let outcome = session::refresh(&self.services, token.into(), client_ip::from_request(request))
            .await
            .map_err(RequestError::from)?;
        Ok(match outcome {
            Refreshed::Tokens(tokens) => RefreshResponse::Tokens(Json(TokenPairData {
                access: tokens.access.expose_secret().to_owned(),
                refresh: tokens.refresh.expose_secret().to_owned(),
            })),
            Refreshed::Refused(refused) => RefreshResponse::Refused(
                ErrorResponse::from_code(token_refused(refused)),
                INVALID_TOKEN.to_owned(),
            ),
            Refreshed::Disabled => {
                RefreshResponse::Disabled(ErrorResponse::from_code(ErrorCode::AccountDisabled))
            }
        })
    }

    /// End the session
    ///
    /// Takes the access token as Bearer, or the refresh token in the body, or both, or neither. Ends the session of the
    /// token, even if the token has expired. Other sessions of the user continue.
    #[oai(path = "/api/auth/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, request: &Request, body: MaybeJson<LogoutRequest>) -> Result<LogoutResponse> {
        let mut tokens = Vec::new();
        if let Some(token) = bearer(request) {
            tokens.push(token.into());
        }
        if let Some(refresh) = body.0.as_ref().and_then(|body| body.refresh.given()) {
            let mut errors = FieldErrors::default();
            match errors.check("refresh", refresh.text()) {
                Some(token) => tokens.push(token.into()),
                None => return Ok(LogoutResponse::Invalid(errors.into_error_response())),
            }
        }
        session::logout(&self.services, tokens).await.map_err(RequestError::from)?;
        Ok(LogoutResponse::LoggedOut(Success::new("Logged out successfully", Nothing {})))
    }
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
