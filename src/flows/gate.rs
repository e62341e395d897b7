//! Authentication of a request: from an access token to a signed-in user.

use super::{
    Error, Services,
    session::{self, TokenRefused},
};
use crate::domain::access::{Revoked, SignedIn, TokenType, admit};

/// Verifies an access token and its session row. Changes nothing, except for times in the row that a wrong clock wrote.
///
/// # Errors
/// When the database does not answer: the request is refused, but not because of its token.
pub async fn enter(services: &Services, token: &str) -> Result<Result<SignedIn, TokenRefused>, Error> {
    let now = services.clock.now();
    let claims = match services.tokens.read(token, TokenType::Access, now) {
        Ok(claims) => claims,
        Err(error) => return Ok(Err(error.into())),
    };
    let found = session::find(services, claims.sid, now).await?;
    Ok(admit(&claims, found).map_err(|Revoked| TokenRefused::Revoked))
}
