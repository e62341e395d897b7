//! `verify-otp` and `verify-login`: a code comes back.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Error, Services, session, to_its_end};
use crate::{
    domain::{
        access::{Client, OpenedBy, TokenPair},
        account::Account,
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
    /// The code is no good.
    Code(CodeRefused),
    /// The right code of a disabled account. It is used up.
    Disabled,
}

impl From<CodeRefused> for Refused {
    fn from(refused: CodeRefused) -> Self {
        Self::Code(refused)
    }
}

/// Why a code is no good, whatever it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeRefused {
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
}

/// Takes a code and lets her in; an account is made when there is none.
///
/// # Errors
/// When the database does not answer: then nobody is let in.
pub async fn sign_up(
    services: &Arc<Services>,
    phone: PhoneNumber,
    code: OtpCode,
    client: Client,
) -> Result<SignedUp, Error> {
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        let proof = match judged(&services, ChallengeKey::sign_in(&phone), &code, now).await? {
            Ok(proof) => proof,
            Err(refused) => return Ok(SignedUp::Refused(refused.into())),
        };
        let txn = services.store.begin().await?;
        if !store::otp::consume(&txn, ChallengeKey::sign_in(&phone), &proof, now).await? {
            txn.rollback().await?;
            return Ok(SignedUp::Refused(CodeRefused::NoneRequested.into()));
        }
        let ids = NewIds { account: services.random.id(now), profile: services.random.id(now) };
        let account = store::accounts::open(&txn, &phone, ids, now).await?;
        Ok(match enter(&services, txn, &phone, account, client, now).await? {
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
pub async fn log_in(
    services: &Arc<Services>,
    phone: PhoneNumber,
    code: OtpCode,
    client: Client,
) -> Result<LoggedIn, Error> {
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        let proof = match judged(&services, ChallengeKey::sign_in(&phone), &code, now).await? {
            Ok(proof) => proof,
            Err(refused) => return Ok(LoggedIn::Refused(refused.into())),
        };
        let txn = services.store.begin().await?;
        // The challenge before the account, here as everywhere: two who hold one each and want the other's would wait for
        // ever.
        let (db, key) = (&services.store, ChallengeKey::sign_in(&phone));
        if !store::otp::consume(&txn, key, &proof, now).await? {
            txn.rollback().await?;
            return Ok(LoggedIn::Refused(CodeRefused::NoneRequested.into()));
        }
        let Some(account) = store::owners::claim_by_phone(&txn, &phone).await? else {
            txn.rollback().await?;
            store::otp::mark_last_attempt_unused(db, key, &proof, services.otp.max_attempts).await?;
            return Ok(LoggedIn::NoAccount);
        };
        Ok(match enter(&services, txn, &phone, account, client, now).await? {
            Ok(signed_in) => LoggedIn::In(signed_in),
            Err(refused) => LoggedIn::Refused(refused),
        })
    })
    .await
}

/// Takes an attempt at a challenge of any kind, and judges the code only then.
pub(super) async fn judged(
    services: &Services,
    key: ChallengeKey<'_>,
    code: &OtpCode,
    now: DateTime<Utc>,
) -> Result<Result<Accepted, CodeRefused>, Error> {
    let claim = store::otp::claim_attempt(&services.store, key, services.otp.max_attempts, now).await?;
    Ok(match judge(claim, code, key, &services.otp_keys, &services.otp, now) {
        Verdict::Accepted(proof) => Ok(proof),
        Verdict::Wrong { left } => Err(CodeRefused::Wrong { left }),
        Verdict::Expired => Err(CodeRefused::Expired),
        Verdict::Exhausted { challenge } => {
            Err(CodeRefused::Exhausted { retry_after: challenge.resend_in(&services.otp, now) })
        }
        Verdict::NoneRequested => Err(CodeRefused::NoneRequested),
    })
}

/// The code is used up, in the transaction that goes on here: the lead is converted and a session opened. If any of it
/// fails, none of it has happened, the code included, and only the attempt stays counted.
async fn enter(
    services: &Services,
    txn: Txn,
    phone: &PhoneNumber,
    account: Account,
    client: Client,
    now: DateTime<Utc>,
) -> Result<Result<SignedIn, Refused>, Error> {
    store::leads::mark_converted(&txn, phone, now).await?;
    if !account.is_active {
        txn.commit().await?;
        return Ok(Err(Refused::Disabled));
    }
    let tokens = session::open(services, &txn, &account, OpenedBy::Code, client, now).await?;
    txn.commit().await?;
    Ok(Ok(SignedIn { tokens, account: Box::new(account) }))
}
