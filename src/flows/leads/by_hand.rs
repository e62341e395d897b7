//! Verifying a phone by hand: staff spoke with the user, and no code came. The user gets the account that a code would have
//! made, and signs in later by a code: no session is opened here.

use std::sync::Arc;

use crate::{
    domain::{
        account::Account,
        audit::{Action, Event},
        phone::PhoneNumber,
        review::Listed,
        roles::StaffPermission,
        signups::Admission,
    },
    flows::{
        Error, Services, blocks,
        events::{self, LeadConvertedBy},
        recycled::{self, Opened, Opening},
        run_to_completion, transaction,
    },
    store::accounts::PhoneProof,
};

/// The outcome of a verification by hand.
#[derive(Debug)]
pub enum Verified {
    /// The phone has an account, and its lead is converted.
    Done {
        /// The account.
        account: Box<Account>,
        /// Whether the account was created now.
        is_new: bool,
        /// Whether a lead was converted now.
        is_converted: bool,
    },
    /// The account of the phone is disabled: nothing is changed.
    Disabled,
    /// The phone is blocked: nothing is changed.
    Blocked,
    /// It is a review number, whose account only its fixed code makes.
    ReviewNumber,
}

/// Verifies a phone by hand: makes its account if there is none, and converts its lead. The account is made as by
/// `verify-otp`, so one that was not used for too long loses the phone first.
///
/// # Errors
/// When the database does not answer: nothing is changed.
pub async fn verify(
    services: &Arc<Services>,
    phone: PhoneNumber,
    permission: StaffPermission,
) -> Result<Verified, Error> {
    run_to_completion(services, move |services| async move {
        transaction(|| verify_in_transaction(&services, &phone, permission)).await
    })
    .await
}

async fn verify_in_transaction(
    services: &Services,
    phone: &PhoneNumber,
    permission: StaffPermission,
) -> Result<Verified, Error> {
    let now = services.clock.now();
    match services.review.find(phone, now) {
        Listed::Yes(_) => return Ok(Verified::ReviewNumber),
        Listed::No | Listed::Ended => {}
    }
    if blocks::is_shut_out(services, Some(phone), now).await? {
        return Ok(Verified::Blocked);
    }
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    let proof = PhoneProof::Staff(phone, permission);
    let (admission, used_after) = (Admission::by_hand(permission), services.used_after(now));
    let opening = Opening { admission, is_review: false, used_after };
    let Opened { account, is_new, unlinked } =
        recycled::open_account(services, &txn, proof, opening, now).await?;
    if !account.is_active {
        return Ok(Verified::Disabled);
    }
    let actor = permission.actor();
    let by = LeadConvertedBy::Staff(actor.id());
    let is_converted = events::convert_lead(services, &txn, (phone, account.id), by, now).await?;
    if is_new || is_converted {
        let event = Event::new(Action::LeadVerifiedByStaff, actor).about(account.id).phone(phone);
        let event = event.from(permission.from()).with("new_account", is_new);
        services.audit.write(&txn, event.with("converted", is_converted), now).await?;
    }
    txn.commit().await?;
    if let Some(old) = unlinked {
        recycled::note(services, phone, (old, account.id), permission.from(), now);
    }
    tracing::info!(%phone, user_id = %account.id, is_new, is_converted, "a phone was verified by hand");
    Ok(Verified::Done { account: Box::new(account), is_new, is_converted })
}
