//! A token of another system, which opens a session.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};
use secrecy::ExposeSecret;

use super::{
    Tag, budget, client, client_ip,
    envelope::{ErrorCode, ErrorResponse, SuccessWithToken},
    error::{INVALID_TOKEN, RequestError},
    fields::{self, Field, FieldErrors},
    json::Json,
};
use crate::{
    domain::phone::PhoneNumber,
    flows::{
        Services,
        exchange::{self, Exchanged, Refused, SignedIn},
    },
};

const STAFF: &str = "Staff sign in with their password";

const REVIEW_NUMBER: &str = "This phone number signs in with its code only";

/// The operations of this module.
pub struct ExchangeApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// A token to exchange.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct ExchangeRequest {
    token: Field<fields::ForeignToken>,
}

impl Example for ExchangeRequest {
    fn example() -> Self {
        Self { token: Field::from_value("eyJhbGciOiJFUzI1NiJ9.e30.issuer") }
    }
}

/// The user, and the tokens.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ExchangedData {
    /// The account (UUID).
    user_id: String,
    /// The verified phone in E.164, if the account has one.
    phone_number: Option<String>,
    /// The profile's name, if given.
    name: Option<String>,
    /// Whether the account has a verified phone.
    is_verified: bool,
    /// Whether the account was created now.
    is_new: bool,
    /// Whether the profile still lacks a name, birth date, gender, interest or picture, or the terms in force are not accepted.
    needs_profile_completion: bool,
    /// For `POST /api/auth/refresh`.
    refresh_token: String,
    /// Seconds until the access token expires.
    expires_in: i64,
    /// For this device's next sign-in: send it as `device_token` to `signup` or `login` and to the verify route. The
    /// device then has its own guesses and messages. Valid for 180 days; it opens nothing by itself.
    device_token: String,
}

impl Example for ExchangedData {
    fn example() -> Self {
        Self {
            user_id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
            phone_number: Some("+916205829376".to_owned()),
            name: Some("Gaurav Kumar".to_owned()),
            is_verified: true,
            is_new: false,
            needs_profile_completion: false,
            refresh_token: "eyJhbGciOiJIUzI1NiJ9.e30.refresh".to_owned(),
            expires_in: 1800,
            device_token: "eyJhbGciOiJIUzI1NiJ9.e30.device".to_owned(),
        }
    }
}

/// The responses of `exchange`.
#[derive(ApiResponse)]
pub enum ExchangeResponse {
    /// The user is signed in. `token` is the access token.
    #[oai(status = 200)]
    SignedIn(Json<SuccessWithToken<ExchangedData>>),
    /// `token_invalid`: not a token of a trusted issuer for this server, or one of this server. `token_expired`: it has
    /// expired.
    #[oai(status = 401)]
    Token(ErrorResponse, #[oai(header = "WWW-Authenticate")] String),
    /// `account_disabled`: the account is disabled. `signup_closed`: the user has no account, and the issuer may not create
    /// one, or nobody signs up. `forbidden`: the account is one of staff, or the phone is one for app review.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `token_used`: the token opened a session before. `phone_taken`: the phone belongs to another account.
    #[oai(status = 409)]
    Conflict(ErrorResponse),
    /// `validation_failed`: `error.fields` names what is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `rate_limited`: too many tokens that opened no session, or too many new accounts, from this address.
    #[oai(status = 429)]
    Exhausted(ErrorResponse),
    /// `issuer_unavailable`: the keys of the issuer cannot be fetched. Nothing was done; the token can be sent again after
    /// `error.retry_after` seconds.
    #[oai(status = 503)]
    Unavailable(ErrorResponse),
}

#[OpenApi(tag = "Tag::Session")]
impl ExchangeApi {
    /// Sign in with a token of another system
    ///
    /// A token of an issuer in `TRUSTED_ISSUERS_FILE` opens a session once, without a message. So users who are signed in to
    /// the system that an app is moved from stay signed in. Without that setting every token is refused.
    #[oai(path = "/api/auth/exchange", method = "post", operation_id = "exchange")]
    async fn exchange(&self, request: &Request, body: Json<ExchangeRequest>) -> Result<ExchangeResponse> {
        let mut errors = FieldErrors::default();
        let Some(token) = errors.check("token", body.0.token.text()) else {
            return Ok(ExchangeResponse::Invalid(errors.into_error_response()));
        };
        let (client, from) = (client::from_request(request), client_ip::from_request(request));
        let outcome = exchange::exchange(&self.services, token.into(), client, from);
        Ok(match outcome.await.map_err(RequestError::from)? {
            Exchanged::In(signed_in) => ExchangeResponse::SignedIn(data(&self.services, &signed_in)),
            Exchanged::Refused(refused) => refusal(request, refused),
        })
    }
}

fn data(
    services: &Services,
    SignedIn { tokens, account, device_token, is_new }: &SignedIn,
) -> Json<SuccessWithToken<ExchangedData>> {
    let data = ExchangedData {
        user_id: account.id.to_string(),
        phone_number: account.phone.as_ref().map(PhoneNumber::full).map(str::to_owned),
        name: account.profile.name.clone(),
        is_verified: account.phone.is_some(),
        is_new: *is_new,
        needs_profile_completion: account.needs_completion(services.terms.as_ref()),
        refresh_token: tokens.refresh.expose_secret().to_owned(),
        expires_in: tokens.expires_in,
        device_token: device_token.expose_secret().to_owned(),
    };
    SuccessWithToken::new("Login successful", data, tokens.access.expose_secret())
}

fn refusal(request: &Request, refused: Refused) -> ExchangeResponse {
    use ExchangeResponse as Response;
    let token = |code| Response::Token(ErrorResponse::from_code(code), INVALID_TOKEN.to_owned());
    match refused {
        Refused::Invalid => token(ErrorCode::TokenInvalid),
        Refused::Expired => token(ErrorCode::TokenExpired),
        Refused::Used => Response::Conflict(ErrorResponse::from_code(ErrorCode::TokenUsed)),
        Refused::PhoneTaken => Response::Conflict(ErrorResponse::from_code(ErrorCode::PhoneTaken)),
        Refused::SignupClosed => Response::Forbidden(ErrorResponse::from_code(ErrorCode::SignupClosed)),
        Refused::Disabled => Response::Forbidden(ErrorResponse::from_code(ErrorCode::AccountDisabled)),
        Refused::Staff => Response::Forbidden(ErrorResponse::new(ErrorCode::Forbidden, STAFF)),
        Refused::ReviewNumber => Response::Forbidden(ErrorResponse::new(ErrorCode::Forbidden, REVIEW_NUMBER)),
        Refused::Budget(exceeded) => Response::Exhausted(budget::refusal(request, &exceeded)),
        Refused::IssuerUnavailable { retry_after } => Response::Unavailable(
            ErrorResponse::from_code(ErrorCode::IssuerUnavailable).retry_after(retry_after),
        ),
    }
}
