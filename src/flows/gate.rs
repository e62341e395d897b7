//! Authentication of a request: from an access token to a signed-in user.

use super::{
    Error, Services, blocks,
    session::{self, TokenRefused},
};
use crate::domain::access::{AccessToken, SignedIn, admit};

/// Verifies an access token. Its session may have ended.
///
/// # Errors
/// When the token is not valid.
pub fn read(services: &Services, token: &str) -> Result<AccessToken, TokenRefused> {
    Ok(services.tokens.read_access(token, services.clock.now())?)
}

/// Verifies the session row of an access token. Changes nothing, except for times in the row that a wrong clock wrote.
///
/// # Errors
/// When the database does not answer: the request is refused, but not because of its token.
pub async fn enter(
    services: &Services,
    token: &AccessToken,
) -> Result<Result<SignedIn, TokenRefused>, Error> {
    let now = services.clock.now();
    let found = session::find(services, token.session(), now).await?;
    let Ok(signed_in) = admit(token, found) else {
        return Ok(Err(TokenRefused::Revoked));
    };
    // The block ended the sessions of the phone. An account can also get a blocked phone, in the seconds until every server
    // knows of the block.
    if blocks::is_shut_out(services, signed_in.account().phone.as_ref(), now).await? {
        return Ok(Err(TokenRefused::Revoked));
    }
    Ok(Ok(signed_in))
}
