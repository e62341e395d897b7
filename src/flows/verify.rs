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

/// Which door the code came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// `verify-otp`: an account is made when there is none.
    SignUp,
    /// `verify-login`: an account is not made.
    LogIn,
}

/// What became of a code.
#[derive(Debug)]
pub enum Verified {
    /// She is in.
    SignedIn {
        /// Her tokens.
        tokens: TokenPair,
        /// Her account.
        account: Box<Account>,
    },
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
    /// The right code, at `verify-login`, of a phone without an account. It can still be used at `verify-otp`.
    NoAccount,
    /// The right code of a disabled account. It is used up.
    Disabled,
}

/// Judges a code and, if it is right, opens a session.
///
/// # Errors
/// When the database does not answer: then nobody is let in.
pub async fn verify(
    services: &Arc<Services>,
    phone: PhoneNumber,
    code: OtpCode,
    entry: Entry,
) -> Result<Verified, Error> {
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        let key = ChallengeKey::sign_in(&phone);
        let claim = store::otp::claim_attempt(&services.store, key, services.otp.max_attempts, now).await?;
        match judge(claim, &code, key, &services.otp_keys, &services.otp, now) {
            Verdict::Accepted(proof) => enter(&services, &phone, &proof, entry, now).await,
            Verdict::Wrong { left } => Ok(Verified::Wrong { left }),
            Verdict::Expired => Ok(Verified::Expired),
            Verdict::Exhausted { challenge } => {
                Ok(Verified::Exhausted { retry_after: challenge.resend_in(&services.otp, now) })
            }
            Verdict::NoneRequested => Ok(Verified::NoneRequested),
        }
    })
    .await
}

/// The code was right: in one transaction it is used up, the account found or made, the lead converted and a session
/// opened. If any of that fails, none of it has happened, and only the attempt stays counted.
async fn enter(
    services: &Services,
    phone: &PhoneNumber,
    proof: &Accepted,
    entry: Entry,
    now: DateTime<Utc>,
) -> Result<Verified, Error> {
    let txn = services.store.begin().await?;
    let known = match entry {
        Entry::SignUp => None,
        Entry::LogIn => store::accounts::find_by_phone(&txn, phone).await?,
    };
    if entry == Entry::LogIn && known.is_none() {
        txn.rollback().await?;
        store::otp::mark_last_attempt_unused(&services.store, proof, services.otp.max_attempts).await?;
        return Ok(Verified::NoAccount);
    }
    if !store::otp::consume(&txn, proof, now).await? {
        txn.rollback().await?;
        return Ok(Verified::NoneRequested);
    }
    let account = match known {
        Some(account) => account,
        None => open_account(services, &txn, phone, now).await?,
    };
    store::leads::mark_converted(&txn, phone, now).await?;
    if !account.is_active {
        txn.commit().await?;
        return Ok(Verified::Disabled);
    }
    let session = Session::open(
        services.random.id(now),
        services.random.bits(),
        account.id,
        Role::User,
        services.tokens.policy().refresh_life,
        now,
    );
    store::sessions::open(&txn, &session, now).await?;
    let tokens = services.tokens.issue(&session, &account, services.random.bits(), now)?;
    txn.commit().await?;
    Ok(Verified::SignedIn { tokens, account: Box::new(account) })
}

async fn open_account(
    services: &Services,
    txn: &Txn,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<Account, Error> {
    let ids = NewIds { account: services.random.id(now), profile: services.random.id(now) };
    Ok(store::accounts::open(txn, phone, ids, now).await?)
}
