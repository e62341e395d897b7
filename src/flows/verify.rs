//! `verify-otp` and `verify-login`: a code comes back.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Error, Services, to_its_end};
use crate::{
    domain::{
        access::{Session, TokenPair},
        account::{Account, Role},
        otp::{Accepted, ChallengeKey, OtpCode, Verdict, judge},
        phone::PhoneNumber,
    },
    store::{self, Txn, accounts::NewIds},
};

/// What became of a code at `verify-otp`.
#[derive(Debug)]
pub enum SignedUp {
    /// She is in.
    In(SignedIn),
    /// She is not.
    Refused(Refused),
}

/// What became of a code at `verify-login`.
#[derive(Debug)]
pub enum LoggedIn {
    /// She is in.
    In(SignedIn),
    /// She is not.
    Refused(Refused),
    /// The right code of a phone without an account. It can still be used at `verify-otp`.
    NoAccount,
}

/// What whoever is in gets.
#[derive(Debug)]
pub struct SignedIn {
    /// Her tokens.
    pub tokens: TokenPair,
    /// Her account.
    pub account: Box<Account>,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No code is waiting, or it was used.
    NoneRequested,
    /// The code is older than its life.
    Expired,
    /// All guesses were used.
    Exhausted {
        /// Seconds until the next code may be asked for, at least 1.
        retry_after: i64,
    },
    /// The wrong code.
    Wrong {
        /// Guesses left.
        left: i64,
    },
    /// The right code of a disabled account. It is used up.
    Disabled,
}

/// Takes a code and lets her in; an account is made when there is none.
///
/// # Errors
/// When the database does not answer: then nobody is let in.
pub async fn sign_up(services: &Arc<Services>, phone: PhoneNumber, code: OtpCode) -> Result<SignedUp, Error> {
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        let proof = match judged(&services, &phone, &code, now).await? {
            Ok(proof) => proof,
            Err(refused) => return Ok(SignedUp::Refused(refused)),
        };
        let txn = services.store.begin().await?;
        if !store::otp::consume(&txn, ChallengeKey::sign_in(&phone), &proof, now).await? {
            txn.rollback().await?;
            return Ok(SignedUp::Refused(Refused::NoneRequested));
        }
        let ids = NewIds { account: services.random.id(now), profile: services.random.id(now) };
        let account = store::accounts::open(&txn, &phone, ids, now).await?;
        Ok(match enter(&services, txn, &phone, account, now).await? {
            Ok(signed_in) => SignedUp::In(signed_in),
            Err(refused) => SignedUp::Refused(refused),
        })
    })
    .await
}

/// Takes a code and lets her in, if she has an account.
///
/// # Errors
/// When the database does not answer: then nobody is let in.
pub async fn log_in(services: &Arc<Services>, phone: PhoneNumber, code: OtpCode) -> Result<LoggedIn, Error> {
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        let proof = match judged(&services, &phone, &code, now).await? {
            Ok(proof) => proof,
            Err(refused) => return Ok(LoggedIn::Refused(refused)),
        };
        let txn = services.store.begin().await?;
        let Some(account) = store::accounts::find_by_phone(&txn, &phone).await? else {
            txn.rollback().await?;
            let (db, key) = (&services.store, ChallengeKey::sign_in(&phone));
            store::otp::mark_last_attempt_unused(db, key, &proof, services.otp.max_attempts).await?;
            return Ok(LoggedIn::NoAccount);
        };
        if !store::otp::consume(&txn, ChallengeKey::sign_in(&phone), &proof, now).await? {
            txn.rollback().await?;
            return Ok(LoggedIn::Refused(Refused::NoneRequested));
        }
        Ok(match enter(&services, txn, &phone, account, now).await? {
            Ok(signed_in) => LoggedIn::In(signed_in),
            Err(refused) => LoggedIn::Refused(refused),
        })
    })
    .await
}

/// Takes an attempt, and judges the code only then.
async fn judged(
    services: &Services,
    phone: &PhoneNumber,
    code: &OtpCode,
    now: DateTime<Utc>,
) -> Result<Result<Accepted, Refused>, Error> {
    let key = ChallengeKey::sign_in(phone);
    let claim = store::otp::claim_attempt(&services.store, key, services.otp.max_attempts, now).await?;
    Ok(match judge(claim, code, key, &services.otp_keys, &services.otp, now) {
        Verdict::Accepted(proof) => Ok(proof),
        Verdict::Wrong { left } => Err(Refused::Wrong { left }),
        Verdict::Expired => Err(Refused::Expired),
        Verdict::Exhausted { challenge } => {
            Err(Refused::Exhausted { retry_after: challenge.resend_in(&services.otp, now) })
        }
        Verdict::NoneRequested => Err(Refused::NoneRequested),
    })
}

/// The code is used up, in the transaction that goes on here: the lead is converted and a session opened. If any of it
/// fails, none of it has happened, the code included, and only the attempt stays counted.
async fn enter(
    services: &Services,
    txn: Txn,
    phone: &PhoneNumber,
    account: Account,
    now: DateTime<Utc>,
) -> Result<Result<SignedIn, Refused>, Error> {
    store::leads::mark_converted(&txn, phone, now).await?;
    if !account.is_active {
        txn.commit().await?;
        return Ok(Err(Refused::Disabled));
    }
    let life = services.tokens.policy().refresh_life;
    let (id, refresh_jti) = (services.random.id(now), services.random.bits());
    let session = Session::open(id, refresh_jti, account.id, Role::User, life, now);
    store::sessions::open(&txn, &session, now).await?;
    let tokens = services.tokens.issue(&session, &account, services.random.bits(), now)?;
    txn.commit().await?;
    Ok(Ok(SignedIn { tokens, account: Box::new(account) }))
}
