//! Introspection of tokens for other services (RFC 7662).

use std::sync::Arc;

use poem::{Request, Result, http::header};
use poem_openapi::{ApiResponse, Object, OpenApi, registry::MetaSchema, types::Example};
use serde_json::Value;
use url::form_urlencoded;

use super::{
    Tag,
    api_key::IntrospectKey,
    body::{AsFormOrJson, FORM, Raw, object},
    envelope::ErrorResponse,
    error::RequestError,
    fields::{Describe, Field, FieldErrors, describe, schema},
    json::{JSON, Json},
};
use crate::{
    domain::access::TokenType,
    flows::{
        Services,
        introspect::{self, LiveToken},
    },
};

/// The operations of this module.
pub struct IntrospectApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

describe!(/// `token`.
    IntrospectedToken, required: true, schema("string", "An access or refresh token. Any other text is a token that is not active.",
        "eyJhbGciOiJIUzI1NiJ9.e30.access".into()));
describe!(/// `token_type_hint`, which plays no role.
    TokenTypeHint, required: false,
    schema("string", "Ignored, as RFC 7662 allows: both kinds are looked for.", "access_token".into()));

/// A token to look at.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct IntrospectRequest {
    token: Field<IntrospectedToken>,
    #[oai(skip_serializing_if_is_none)]
    token_type_hint: Field<TokenTypeHint>,
}

impl Example for IntrospectRequest {
    fn example() -> Self {
        Self { token: Field::from_value("eyJhbGciOiJIUzI1NiJ9.e30.access"), ..Self::default() }
    }
}

/// What is known about a token. One that is not active has no other member.
#[derive(Debug, Default, Object)]
#[oai(example, skip_serializing_if_is_none)]
pub struct IntrospectionAnswer {
    /// Whether the server would take it now.
    active: bool,
    /// `access` or `refresh`, as in its claim.
    token_type: Option<String>,
    /// The user (UUID).
    sub: Option<String>,
    /// The session (UUID).
    sid: Option<String>,
    /// The token (UUID).
    jti: Option<String>,
    /// When it was issued, in seconds since 1970.
    iat: Option<i64>,
    /// When it expires, in seconds since 1970.
    exp: Option<i64>,
    /// What its session may do now: `user`, `staff` or `admin`.
    role: Option<String>,
    /// The username of the account now, if it has one.
    username: Option<String>,
    /// The issuer, if one is configured.
    iss: Option<String>,
    /// The audience, if one is configured.
    aud: Option<String>,
}

impl From<LiveToken> for IntrospectionAnswer {
    fn from(LiveToken { claims, role, username }: LiveToken) -> Self {
        let token_type = match claims.token_type {
            TokenType::Access => "access",
            TokenType::Refresh => "refresh",
        };
        Self {
            active: true,
            token_type: Some(token_type.to_owned()),
            sub: Some(claims.user_id.to_string()),
            sid: Some(claims.sid.to_string()),
            jti: Some(claims.jti.to_string()),
            iat: Some(claims.iat),
            exp: Some(claims.exp),
            role: Some(role.as_str().to_owned()),
            username,
            iss: claims.iss,
            aud: claims.aud,
        }
    }
}

impl Example for IntrospectionAnswer {
    fn example() -> Self {
        Self {
            active: true,
            token_type: Some("access".to_owned()),
            sub: Some("0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned()),
            sid: Some("0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a12".to_owned()),
            jti: Some("0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a13".to_owned()),
            iat: Some(1_759_486_523),
            exp: Some(1_759_488_323),
            role: Some("user".to_owned()),
            ..Self::default()
        }
    }
}

/// The responses of `introspect`.
#[derive(ApiResponse)]
pub enum IntrospectResponse {
    /// What is known about the token.
    #[oai(status = 200)]
    Answer(Json<IntrospectionAnswer>),
    /// `validation_failed`: there is no `token`.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

#[OpenApi(tag = "Tag::Services")]
impl IntrospectApi {
    /// Ask whether a token is live
    ///
    /// For another service (RFC 7662), with a form or JSON. A token whose session has ended, of a disabled account, and a refresh token
    /// that was used are not active, at once. A bad token is no error: `{"active": false}`.
    #[oai(path = "/api/auth/introspect", method = "post", operation_id = "introspect")]
    async fn introspect(
        &self,
        _key: IntrospectKey,
        request: &Request,
        body: Raw<IntrospectRequest, AsFormOrJson>,
    ) -> Result<IntrospectResponse> {
        let token = match token(request, &body.bytes)? {
            Ok(token) => token,
            Err(errors) => return Ok(IntrospectResponse::Invalid(errors.into_error_response())),
        };
        let live = introspect::introspect(&self.services, &token).await.map_err(RequestError::from)?;
        Ok(IntrospectResponse::Answer(Json(live.map_or_else(Default::default, Into::into))))
    }
}

/// The token in a body of either kind.
fn token(request: &Request, bytes: &[u8]) -> Result<Result<String, FieldErrors>, RequestError> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let field: Field<IntrospectedToken> = if essence.eq_ignore_ascii_case(FORM) {
        let mut pairs = form_urlencoded::parse(bytes);
        // A text of a form may hold anything: it is a token that is not active.
        match pairs.find(|(name, _)| name == "token") {
            Some((_, token)) => return Ok(Ok(token.into_owned())),
            None => Field::default(),
        }
    } else if essence.eq_ignore_ascii_case(JSON) {
        object(bytes)?
            .get_mut("token")
            .map_or_else(Field::default, |token| Field::from_value(Value::take(token)))
    } else {
        return Err(RequestError::UnsupportedMediaType);
    };
    let mut errors = FieldErrors::default();
    let token = errors.check("token", field.text().map(str::to_owned));
    Ok(token.ok_or(errors))
}
