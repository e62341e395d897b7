//! The life of a session: the next pair of tokens, and the end.

use std::sync::Arc;

use poem::{Request, Result, http::header};
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};
use secrecy::ExposeSecret;

use super::{
    Tag,
    body::{Json, MaybeJson},
    client_ip,
    envelope::{ErrorCode, Failure, Nothing, Refusal, Success},
    fault::{Fault, INVALID_TOKEN, token_refused},
    fields::{self, Faults, Field},
};
use crate::flows::{
    Services,
    session::{self, Refreshed},
};

/// The operations of this page.
pub struct SessionApi {
    /// What the verbs work with.
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
        Self { refresh: Field::of("eyJhbGciOiJIUzI1NiJ9.e30.refresh") }
    }
}

/// The refresh token of the session that is to end.
#[derive(Debug, Object)]
#[oai(example)]
pub struct LogoutRequest {
    refresh: Field<fields::MaybeRefresh>,
}

impl Example for LogoutRequest {
    fn example() -> Self {
        Self { refresh: Field::of("eyJhbGciOiJIUzI1NiJ9.e30.refresh") }
    }
}

/// The next pair of tokens, as SimpleJWT answers it: without an envelope.
#[derive(Debug, Object)]
#[oai(example)]
pub struct TokenPairData {
    /// The access token.
    access: String,
    /// The refresh token that takes the place of the one that was sent.
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

/// What `refresh` can answer.
#[derive(ApiResponse)]
pub enum RefreshResponse {
    /// The next pair.
    #[oai(status = 200)]
    Tokens(Json<TokenPairData>),
    /// `token_invalid`: not a refresh token of this server. `token_expired`: it was not used in time.
    /// `token_revoked`: its session has ended, which the use of a retired token does too.
    #[oai(status = 401)]
    Refused(Refusal, #[oai(header = "WWW-Authenticate")] String),
    /// `account_disabled`: the account was disabled.
    #[oai(status = 403)]
    Disabled(Refusal),
    /// `validation_failed`: `error.fields` names what is wrong.
    #[oai(status = 422)]
    Invalid(Refusal),
}

/// What `logout` can answer.
#[derive(ApiResponse)]
pub enum LogoutResponse {
    /// Whatever token came, nobody is signed in with it any more.
    #[oai(status = 200)]
    LoggedOut(Json<Success<Nothing>>),
    /// `validation_failed`: `refresh` is not a text.
    #[oai(status = 422)]
    Invalid(Refusal),
}

#[OpenApi(tag = "Tag::Session")]
impl SessionApi {
    /// Exchange a refresh token for the next pair
    ///
    /// A refresh token is single use. Presented again within 30 seconds it answers the same successor, and later, while
    /// that successor was never used, a new one: an answer that got lost on the way throws nobody out. The use of a
    /// retired token ends its session.
    #[oai(path = "/api/auth/refresh", method = "post", operation_id = "refresh")]
    pub(super) async fn refresh(
        &self,
        request: &Request,
        body: Json<RefreshRequest>,
    ) -> Result<RefreshResponse> {
        let mut faults = Faults::default();
        let Some(token) = faults.check("refresh", body.0.refresh.text()) else {
            return Ok(RefreshResponse::Invalid(faults.refusal()));
        };
        let outcome = session::refresh(&self.services, token.into(), client_ip::of(request))
            .await
            .map_err(Fault::from)?;
        Ok(match outcome {
            Refreshed::Tokens(tokens) => RefreshResponse::Tokens(Json(TokenPairData {
                access: tokens.access.expose_secret().to_owned(),
                refresh: tokens.refresh.expose_secret().to_owned(),
            })),
            Refreshed::Refused(refused) => {
                RefreshResponse::Refused(Failure::of(token_refused(refused)).into(), INVALID_TOKEN.to_owned())
            }
            Refreshed::Disabled => RefreshResponse::Disabled(Failure::of(ErrorCode::AccountDisabled).into()),
        })
    }

    /// End the session
    ///
    /// Takes the access token as Bearer, or the refresh token in the body, or both, or neither. The session that a
    /// token belongs to ends, even if the token has expired. Other sessions of the user go on.
    #[oai(path = "/api/auth/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, request: &Request, body: MaybeJson<LogoutRequest>) -> Result<LogoutResponse> {
        let mut tokens = Vec::new();
        if let Some(token) = bearer(request) {
            tokens.push(token.into());
        }
        if let Some(refresh) = body.0.as_ref().and_then(|body| body.refresh.given()) {
            let mut faults = Faults::default();
            match faults.check("refresh", refresh.text()) {
                Some(token) => tokens.push(token.into()),
                None => return Ok(LogoutResponse::Invalid(faults.refusal())),
            }
        }
        session::logout(&self.services, tokens).await.map_err(Fault::from)?;
        Ok(LogoutResponse::LoggedOut(Success::new("Logged out successfully", Nothing {})))
    }
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
