//! `introspect`: says for another service whether a token is live (RFC 7662). It reads the session, so a token whose session has ended is
//! told at once, which its signature alone cannot tell.

use chrono::{DateTime, Utc};

use super::{Error, Services, blocks, gate, session};
use crate::domain::{
    access::{Claims, SignedIn, TokenType},
    account::Role,
};

/// A live token.
#[derive(Debug)]
pub struct LiveToken {
    /// Its claims.
    pub claims: Claims,
    /// What its session may do now.
    pub role: Role,
    /// The username of the account now.
    pub username: Option<String>,
}

/// Whether a token is live: an access token that a request would be let in with, or the newest refresh token of a live session. `None` for
/// everything else, which includes every other text.
///
/// # Errors
/// When the database does not answer: nothing is known about the token.
pub async fn introspect(services: &Services, token: &str) -> Result<Option<LiveToken>, Error> {
    let now = services.clock.now();
    if let Ok(claims) = services.tokens.read(token, TokenType::Access, now) {
        return of_access_token(services, token, claims).await;
    }
    match services.tokens.read(token, TokenType::Refresh, now) {
        Ok(claims) => of_refresh_token(services, claims, now).await,
        Err(_) => Ok(None),
    }
}

async fn of_access_token(
    services: &Services,
    token: &str,
    claims: Claims,
) -> Result<Option<LiveToken>, Error> {
    let Ok(access) = gate::read(services, token) else { return Ok(None) };
    let entered = gate::enter(services, &access).await?;
    let live = |who: SignedIn| {
        let role = who.session().role.min(who.account().role);
        LiveToken { claims, role, username: who.account().username.clone() }
    };
    Ok(entered.ok().map(live))
}

/// One that was used is not live, although the server repeats the answer of its use for some seconds.
async fn of_refresh_token(
    services: &Services,
    claims: Claims,
    now: DateTime<Utc>,
) -> Result<Option<LiveToken>, Error> {
    let Some((session, account)) = session::find(services, claims.sid, now).await? else {
        return Ok(None);
    };
    let is_live = session.account_id == claims.user_id
        && session.refresh_jti == claims.jti
        && session.ended_at.is_none()
        && services.tokens.policy().expiry(session.created_at, now).min(session.expires_at) > now
        && account.is_active;
    if !is_live || blocks::is_shut_out(services, account.phone.as_ref(), now).await? {
        return Ok(None);
    }
    Ok(Some(LiveToken { claims, role: session.role.min(account.role), username: account.username }))
}
