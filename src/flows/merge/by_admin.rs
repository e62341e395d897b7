//! Joining two accounts of one user for the user: an admin has made sure that both belong to the same person. All sessions of both end.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Joining, change_phone, join, notify, party};
use crate::{
    domain::{
        account::Account,
        account_merge::{Holdings, MergeGrounds, Unfit, joined, may_merge},
        audit::{Event, Fact},
        phone::PhoneNumber,
        roles::AccountPermission,
    },
    flows::{Error, Services, run_to_completion, transaction},
    store,
};

/// Why two accounts stay two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotMerged {
    /// One of them is not there, or was changed while they were joined.
    NotFound,
    /// One of them is not joined with another one.
    Unfit(Unfit),
}

/// An account that may be joined with another one.
#[derive(Debug)]
pub struct Side {
    /// The account.
    pub account: Box<Account>,
    /// What it has.
    pub holdings: Holdings,
}

/// Two accounts side by side, and what would stay.
#[derive(Debug)]
pub struct Compared {
    /// The account that would stay.
    pub stays: Side,
    /// The account that would go.
    pub goes: Side,
    /// What the first one would have.
    pub joined: Holdings,
    /// Why they cannot be joined.
    pub unfit: Option<Unfit>,
}

/// Compares two accounts. `None` when one of them is not there.
///
/// # Errors
/// When the database does not answer.
pub async fn compare(
    services: &Services,
    permission: AccountPermission,
    other: Uuid,
) -> Result<Option<Compared>, Error> {
    let now = services.clock.now();
    let txn = services.store.begin().await?;
    let side = async |id| {
        let account = store::accounts::find_by_id(&txn, id).await?;
        let kept = store::merges::find_kept(&txn, id).await?;
        let side = account.zip(kept).map(|(account, kept)| (Box::new(account), kept.holdings));
        Ok::<_, Error>(side.map(|(account, holdings)| Side { account, holdings }))
    };
    let (Some(stays), Some(goes)) = (side(permission.target()).await?, side(other).await?) else {
        return Ok(None);
    };
    let parties =
        (party(services, &txn, &stays.account, now).await?, party(services, &txn, &goes.account, now).await?);
    let unfit = may_merge(parties.0, parties.1).err();
    txn.rollback().await?;
    let joined = joined(&stays.holdings, &goes.holdings, None);
    Ok(Some(Compared { stays, goes, joined, unfit }))
}

/// Joins another account with the one of the permission. Returns how many sessions were ended. The audit entries with the grounds
/// are written in the same transaction.
///
/// # Errors
/// When the database does not answer: both accounts stay.
pub async fn merge_for_another(
    services: &Arc<Services>,
    permission: AccountPermission,
    other: Uuid,
    grounds: MergeGrounds,
) -> Result<Result<u64, NotMerged>, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let joined = transaction(|| join_two(&services, permission, other, &grounds, now)).await?;
        Ok(match joined {
            Ok((ended, phones)) => {
                notify(&services, phones, permission.target(), &[], now).await;
                Ok(ended)
            }
            Err(refused) => Err(refused),
        })
    })
    .await
}

async fn join_two(
    services: &Services,
    permission: AccountPermission,
    other: Uuid,
    grounds: &MergeGrounds,
    now: DateTime<Utc>,
) -> Result<Result<(u64, Vec<PhoneNumber>), NotMerged>, Error> {
    let ids = [permission.target(), other];
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    // Codes before accounts, as in every transaction, so that no two wait for each other.
    let removed = phone_that_is_left(&txn, ids).await?;
    if let Some(left) = &removed {
        change_phone::remove_codes(services, &txn, left, now).await?;
    }
    let both = store::owners::claim_both(&txn, ids).await?;
    let [stays, goes] = ids.map(|id| both.iter().find(|account| account.id == id));
    let (Some(stays), Some(goes)) = (stays, goes) else { return Ok(Err(NotMerged::NotFound)) };
    let parties = (party(services, &txn, stays, now).await?, party(services, &txn, goes, now).await?);
    let proof = match may_merge(parties.0, parties.1) {
        Ok(proof) => proof,
        Err(unfit) => return Ok(Err(NotMerged::Unfit(unfit))),
    };
    let by = permission.actor().id();
    let joining = Joining { proof, stays, goes, proved: None, removed: removed.as_ref(), by };
    let joined = join(services, &txn, joining, None, now).await?;
    let entries = joined.entries(services, proof).into_iter();
    let entries = entries.map(|entry| by_admin(entry, permission, grounds)).collect();
    services.audit.write_all(&txn, entries, now).await?;
    txn.commit().await?;
    let (by, ended) = (by.map(tracing::field::display), joined.ended);
    tracing::info!(by, user_id = %stays.id, merged_user_id = %goes.id, ended, "two accounts became one, by an admin");
    Ok(Ok((joined.ended, joined.phones)))
}

/// The phone of the account that goes, if the other one has a phone too.
async fn phone_that_is_left(
    txn: &store::Txn,
    [stays, goes]: [Uuid; 2],
) -> Result<Option<PhoneNumber>, Error> {
    let stays = store::accounts::find_by_id(txn, stays).await?.and_then(|account| account.phone);
    let goes = store::accounts::find_by_id(txn, goes).await?.and_then(|account| account.phone);
    Ok(goes.filter(|goes| stays.is_some_and(|stays| stays != *goes)))
}

/// An entry by an admin, with the grounds where it has them.
pub(super) fn by_admin(entry: Event, permission: AccountPermission, grounds: &MergeGrounds) -> Event {
    let entry = Event { actor: permission.actor(), ..entry }.from(permission.from());
    if !entry.action.facts().contains(&"reason") {
        return entry;
    }
    let entry = entry.with("reason", grounds.reason.as_str());
    entry.with_known("reference", grounds.reference.as_ref().map(Fact::shown))
}
