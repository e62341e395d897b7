//! The gate of other services: the API key of a request. As that of users, it comes before the body.

use poem::{Request, Response, Result, http::StatusCode};
use poem_openapi::{SecurityScheme, auth::Bearer};

use super::{
    budget, client_ip,
    envelope::{ErrorCode, ErrorResponse},
    error::RequestError,
    security::services,
};
use crate::{
    domain::api_key::{ApiKey, Scope},
    flows::{
        api_keys::{self, KeyRefused},
        session::TokenRefused,
    },
};

/// The API key of another service: `loopin-auth api-keys create`.
// With the scope `verifications`. The comment above is the document's, and the same for both.
#[derive(SecurityScheme)]
#[oai(rename = "ApiKey", ty = "bearer", bearer_format = "lak", checker = "check_verifications")]
pub struct VerificationsKey(pub ApiKey);

async fn check_verifications(request: &Request, bearer: Bearer) -> Result<ApiKey> {
    enter(request, &bearer, Scope::Verifications).await
}

/// The API key of another service: `loopin-auth api-keys create`.
// With the scope `introspect`.
#[derive(SecurityScheme)]
#[oai(rename = "ApiKey", ty = "bearer", bearer_format = "lak", checker = "check_introspect")]
pub struct IntrospectKey(
    #[expect(dead_code, reason = "the holder of any key may ask: nothing else depends on it")] pub ApiKey,
);

async fn check_introspect(request: &Request, bearer: Bearer) -> Result<ApiKey> {
    enter(request, &bearer, Scope::Introspect).await
}

async fn enter(request: &Request, bearer: &Bearer, scope: Scope) -> Result<ApiKey> {
    let entered = api_keys::enter(services(request)?, &bearer.token, client_ip::from_request(request));
    match entered.await.map_err(RequestError::from)? {
        Ok(key) if key.allows(scope) => Ok(key),
        Ok(_) => {
            let message = format!("This API key does not have the scope {}", scope.as_str());
            Err(refusal(StatusCode::FORBIDDEN, ErrorResponse::new(ErrorCode::Forbidden, message)))
        }
        Err(KeyRefused::Invalid) => Err(RequestError::Token(TokenRefused::Invalid).into()),
        Err(KeyRefused::TooMany(exceeded)) => {
            Err(refusal(StatusCode::TOO_MANY_REQUESTS, budget::refusal(request, &exceeded)))
        }
    }
}

fn refusal(status: StatusCode, failure: ErrorResponse) -> poem::Error {
    let mut response: Response = poem::IntoResponse::into_response(failure);
    response.set_status(status);
    poem::Error::from_response(response)
}
