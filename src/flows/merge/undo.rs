//! Undoing a merge, for thirty days: the account that went is there again with what it had, and the other one has what it had before, but
//! for what was changed since. All sessions end, because nobody knows whose they are.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::by_admin::by_admin;
use crate::{
    domain::{
        account_merge::{MergeGrounds, undone},
        audit::{Action, Event},
        events::{EndReason, Fact},
        phone::PhoneNumber,
        roles::AccountPermission,
        signups::Admission,
    },
    flows::{Error, Services, events, run_to_completion, transaction},
    store::{self, sessions::Ending},
};

/// Why a merge is not undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotUndone {
    /// There is no such merge into this account, or no such account any more.
    NotFound,
    /// It is too long ago: what the undo needs is gone.
    TooLate,
    /// Another account was joined after it, which must be undone first.
    LaterMerge(Uuid),
    /// Another account has what would come back: the names of the fields.
    Taken(Vec<&'static str>),
}

/// Undoes the merge by which `gone` went into the account of the permission. Returns how many sessions were ended. The audit entries with
/// the grounds are written in the same transaction.
///
/// # Errors
/// When the database does not answer: nothing is undone.
pub async fn undo(
    services: &Arc<Services>,
    permission: AccountPermission,
    gone: Uuid,
    grounds: MergeGrounds,
) -> Result<Result<u64, NotUndone>, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        transaction(|| undo_in_transaction(&services, permission, gone, &grounds, now)).await
    })
    .await
}

async fn undo_in_transaction(
    services: &Services,
    permission: AccountPermission,
    gone: Uuid,
    grounds: &MergeGrounds,
    now: DateTime<Utc>,
) -> Result<Result<u64, NotUndone>, Error> {
    let stayed = permission.target();
    // Dropping the transaction rolls it back. Of two undos at once, the second one finds no merge any more.
    let txn = services.store.begin().await?;
    if store::owners::claim(&txn, stayed).await?.is_none() {
        return Ok(Err(NotUndone::NotFound));
    }
    let merges = store::merges::list_into(&txn, stayed).await?;
    let Some(merge) = merges.iter().find(|merge| merge.id == gone) else {
        return Ok(Err(NotUndone::NotFound));
    };
    let Some(snapshot) = merge.undoable(now) else {
        return Ok(Err(NotUndone::TooLate));
    };
    if let Some(later) = merges.first().filter(|later| later.id != gone) {
        return Ok(Err(NotUndone::LaterMerge(later.id)));
    }
    let Some(current) = store::merges::find_kept(&txn, stayed).await?.map(|kept| kept.holdings) else {
        return Ok(Err(NotUndone::NotFound));
    };
    let left = undone(&current, &snapshot.before, &snapshot.written);
    let taken = store::merges::list_taken(&txn, merge, snapshot, &left).await?;
    if !taken.is_empty() {
        return Ok(Err(NotUndone::Taken(taken)));
    }
    let sessions = Ending::all(stayed);
    let ended = events::close_sessions(services, &txn, sessions, EndReason::Merged, now).await?;
    // Another request has taken something since it was looked at.
    let admission = Admission::by_undo(permission, &snapshot.gone);
    if !store::merges::undo(&txn, merge, snapshot, &left, admission, now).await? {
        return Ok(Err(NotUndone::Taken(Vec::new())));
    }
    if current.phone != left.phone {
        let [before, now_has] =
            [&current.phone, &left.phone].map(|it| it.as_deref().and_then(PhoneNumber::from_e164));
        let change = (before.as_ref(), now_has.as_ref());
        events::write_phone_changed(services, &txn, stayed, change, now).await?;
    }
    events::write_of(services, &txn, stayed, &[Fact::MergeUndone { restored: gone }], now).await?;
    let new = |about| Event::by_owner(Action::MergeUndone, about);
    let entries = [
        new(stayed).with("restored_user_id", gone).with("ended", ended),
        new(gone).with("into_user_id", stayed),
    ];
    let entries = entries.map(|entry| by_admin(entry, permission, grounds)).into();
    services.audit.write_all(&txn, entries, now).await?;
    txn.commit().await?;
    let by = permission.actor().id().map(tracing::field::display);
    tracing::info!(by, user_id = %stayed, restored_user_id = %gone, ended, "a merge was undone");
    Ok(Ok(ended))
}
