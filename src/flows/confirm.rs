//! `confirm-code` and `confirm`: proving again who holds a session.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use super::{
    Error, Sending, Services, Wish, code, session, to_its_end,
    verify::{CodeRefused, judged},
};
use crate::{
    domain::{
        access::{PROOF_HOLDS, SignedIn},
        otp::{ChallengeKey, OtpCode},
        phone::PhoneNumber,
    },
    store,
};

/// What became of a wish for a code.
#[derive(Debug)]
pub enum CodeAsked {
    /// It was asked for.
    Code {
        /// Her verified phone, which it goes to.
        phone: PhoneNumber,
        /// What became of that.
        sending: Sending,
    },
    /// She has no verified phone: she confirms with her password.
    NoPhone,
}

/// What became of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// It is she, and that holds until then.
    Until(DateTime<Utc>),
    /// The code is no good.
    Code(CodeRefused),
    /// The password is another, or there is none.
    WrongPassword,
    /// The session has ended meanwhile.
    Ended,
}

/// Sends a code to her verified phone.
///
/// # Errors
/// When the database does not answer: then nothing was sent.
pub async fn send_code(services: &Arc<Services>, who: SignedIn, wish: Wish) -> Result<CodeAsked, Error> {
    to_its_end(services, |services| async move {
        let Some(phone) = who.account().phone.clone() else {
            return Ok(CodeAsked::NoPhone);
        };
        let key = ChallengeKey::confirm(&phone, who.account().id);
        let sending = code::send(&services, key, None, &wish, services.clock.now()).await?;
        Ok(CodeAsked::Code { phone, sending })
    })
    .await
}

/// Takes the code that was sent to her phone.
///
/// # Errors
/// When the database does not answer: then nothing is proved.
pub async fn by_code(services: &Arc<Services>, who: SignedIn, code: OtpCode) -> Result<Confirmed, Error> {
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        let Some(phone) = &who.account().phone else {
            return Ok(Confirmed::Code(CodeRefused::NoneRequested));
        };
        let key = ChallengeKey::confirm(phone, who.account().id);
        let proof = match judged(&services, key, &code, now).await? {
            Ok(proof) => proof,
            Err(refused) => return Ok(Confirmed::Code(refused)),
        };
        let txn = services.store.begin().await?;
        if !store::otp::consume(&txn, key, &proof, now).await? {
            txn.rollback().await?;
            return Ok(Confirmed::Code(CodeRefused::NoneRequested));
        }
        let is_proved = store::sessions::mark_proved(&txn, who.session().id, now).await?;
        txn.commit().await?;
        Ok(if is_proved { Confirmed::Until(now + PROOF_HOLDS) } else { Confirmed::Ended })
    })
    .await
}

/// Takes her password. Who has none is told that it is wrong.
///
/// # Errors
/// When the database does not answer: then nothing is proved.
pub async fn by_password(
    services: &Arc<Services>,
    who: SignedIn,
    typed: SecretString,
) -> Result<Confirmed, Error> {
    let found = store::accounts::find_with_hash(&services.store, who.account().id).await?;
    let hash = found.and_then(|(_, hash)| hash);
    if !services.hasher.verify(hash.as_ref(), &typed).await {
        return Ok(Confirmed::WrongPassword);
    }
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        let txn = services.store.begin().await?;
        // What was right a moment ago may have been changed since, by somebody who shuts others out.
        if store::accounts::claim_with_hash(&txn, who.account().id, hash.as_ref()).await?.is_none() {
            txn.rollback().await?;
            return Ok(Confirmed::WrongPassword);
        }
        let is_there = session::stands(&txn, &who).await?.is_some();
        let is_proved = is_there && store::sessions::mark_proved(&txn, who.session().id, now).await?;
        txn.commit().await?;
        Ok(if is_proved { Confirmed::Until(now + PROOF_HOLDS) } else { Confirmed::Ended })
    })
    .await
}
