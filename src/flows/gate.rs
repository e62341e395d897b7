//! The gate: from an access token to somebody who is signed in.

use super::{
    Error, Services,
    session::{self, TokenRefused},
};
use crate::domain::access::{Revoked, SignedIn, TokenType, admit};

/// Asks the session row whether the holder of this token may come in. It changes nothing, unless a clock that was wrong
/// wrote the row.
///
/// # Errors
/// When the database does not answer: then nobody is let in, and nobody is told that his token is bad.
pub async fn enter(services: &Services, token: &str) -> Result<Result<SignedIn, TokenRefused>, Error> {
    let now = services.clock.now();
    let claims = match services.tokens.read(token, TokenType::Access, now) {
        Ok(claims) => claims,
        Err(error) => return Ok(Err(error.into())),
    };
    let found = session::find(services, claims.sid, now).await?;
    Ok(admit(&claims, found).map_err(|Revoked| TokenRefused::Revoked))
}
