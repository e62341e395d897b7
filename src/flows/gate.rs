//! The gate: from an access token to somebody who is signed in.

use super::{Error, Services, session};
use crate::domain::access::{Revoked, SignedIn, TokenFault, TokenType, admit};

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Not ours, altered, or a refresh token.
    Invalid,
    /// Its time is over.
    Expired,
    /// Its session has ended, or its account is disabled.
    Revoked,
}

impl From<TokenFault> for Refused {
    fn from(fault: TokenFault) -> Self {
        match fault {
            TokenFault::Invalid => Self::Invalid,
            TokenFault::Expired => Self::Expired,
        }
    }
}

/// Asks the session row whether the holder of this token may come in. It changes nothing, unless a clock that was wrong
/// wrote the row.
///
/// # Errors
/// When the database does not answer: then nobody is let in, and nobody is told that his token is bad.
pub async fn enter(services: &Services, token: &str) -> Result<Result<SignedIn, Refused>, Error> {
    let now = services.clock.now();
    let claims = match services.tokens.read(token, TokenType::Access, now) {
        Ok(claims) => claims,
        Err(fault) => return Ok(Err(fault.into())),
    };
    let found = session::find(services, claims.sid, now).await?;
    Ok(admit(&claims, found).map_err(|Revoked| Refused::Revoked))
}
