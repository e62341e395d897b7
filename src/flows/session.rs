//! `refresh` and `logout`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{Error, Services, gate::Refused, to_its_end};
use crate::{
    domain::access::{Rotation, Session, TokenPair, TokenType},
    store,
};

/// What became of a refresh token.
#[derive(Debug)]
pub enum Refreshed {
    /// The next pair.
    Tokens(TokenPair),
    /// It is no good.
    Refused(Refused),
    /// Its account was disabled.
    Disabled,
}

/// Answers a refresh token with the next pair.
///
/// # Errors
/// When the database does not answer: then the token is as good as before.
pub async fn refresh(services: &Arc<Services>, token: SecretString) -> Result<Refreshed, Error> {
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        match services.tokens.read(token.expose_secret(), TokenType::Refresh, now) {
            Ok(claims) => rotate(&services, claims.sid, claims.user_id, claims.jti, now).await,
            Err(fault) => Ok(Refreshed::Refused(fault.into())),
        }
    })
    .await
}

async fn rotate(
    services: &Services,
    sid: Uuid,
    user_id: Uuid,
    presented: Uuid,
    now: DateTime<Utc>,
) -> Result<Refreshed, Error> {
    // Whoever loses the race below finds the winner's successor at the second look, so this ends.
    loop {
        let (session, account) = match store::sessions::find_with_account(&services.store, sid).await? {
            Some((session, account)) if session.account_id == user_id => (session, account),
            Some(_) | None => return Ok(Refreshed::Refused(Refused::Revoked)),
        };
        // First, because disabling an account may end its sessions too.
        if !account.is_active {
            return Ok(Refreshed::Disabled);
        }
        if session.ended_at.is_some() {
            return Ok(Refreshed::Refused(Refused::Revoked));
        }
        let session = match session.rotation(presented, now) {
            Rotation::Repeat => session,
            Rotation::Advance => match advance(services, &session, presented, now).await? {
                Some(rotated) => rotated,
                None => continue,
            },
            Rotation::Retired => {
                store::sessions::close(&services.store, sid, now).await?;
                tracing::warn!(%sid, %user_id, "a retired refresh token was used: its session is ended");
                return Ok(Refreshed::Refused(Refused::Revoked));
            }
        };
        let tokens = services.tokens.issue(&session, &account, services.random.bits(), now)?;
        return Ok(Refreshed::Tokens(tokens));
    }
}

async fn advance(
    services: &Services,
    session: &Session,
    presented: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<Session>, Error> {
    let life = services.tokens.policy().refresh_life;
    let rotated = session.rotated(presented, services.random.bits(), life, now);
    let won = store::sessions::mark_rotated(&services.store, session, &rotated, now).await?;
    Ok(won.then_some(rotated))
}

/// Ends the sessions of these tokens, of either kind and any age. A token that is not ours is passed over: whoever
/// wants to be signed out is.
///
/// # Errors
/// When the database does not answer: then the sessions may go on.
pub async fn logout(services: &Arc<Services>, tokens: Vec<SecretString>) -> Result<(), Error> {
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        for token in &tokens {
            if let Ok(claims) = services.tokens.read_any_age(token.expose_secret()) {
                store::sessions::close(&services.store, claims.sid, now).await?;
            }
        }
        Ok(())
    })
    .await
}
