//! `merge-accounts`: a user with two accounts makes one of them. The session is of the account that stays, and a code proves the phone
//! of the other one ([`super::change_phone::request_code`] sends it). Admins do the same without a code (`merge/by_admin.rs`), and can
//! undo it (`merge/undo.rs`).
//!
//! The rule of what stays is in `domain/account_merge.rs`. All of it is one transaction that locks both accounts in the order of their
//! ids: of two that want the same accounts, the second one finds one of them gone.

mod by_admin;
mod undo;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use self::{
    by_admin::{Compared, NotMerged, Side, compare, merge_for_another},
    undo::{NotUndone, undo},
};
use super::{
    Error, Services,
    budget::GuessOutcome,
    change_phone, events,
    events::LeadConvertedBy,
    guess::{CodeRefused, Guesser, redeem},
    notice, run_to_completion, session,
    verify::SignedIn,
};
use crate::{
    domain::{
        access,
        account::Account,
        account_merge::{Mergeable, Party, Snapshot, Unfit, joined, may_merge},
        address::ClientAddress,
        audit::{Action, Actor, Event},
        device::Device,
        events::{EndReason, Fact},
        otp::{ChallengeKey, OtpCode},
        phone::PhoneNumber,
        roles::may_control_own,
    },
    sms::Notice,
    store::{self, Txn, otp::Consumed, sessions::Ending},
};

/// The outcome of `merge-accounts`.
#[derive(Debug)]
pub enum Merged {
    /// The two accounts are one, and the session goes on.
    In(Box<SignedIn>),
    /// The code is refused.
    Code(CodeRefused),
    /// The accounts stay two.
    Refused(MergeRefused),
    /// The session has ended in the meantime.
    Ended,
}

/// Why two accounts stay two. All but the first three are only said after the right code, which stays valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeRefused {
    /// The account has more rights than this session.
    Forbidden,
    /// The user has not confirmed recently.
    RecentAuthRequired,
    /// The phone is that of this account.
    Own,
    /// No account has the phone, or none that was used recently enough to be the same user's.
    NoAccount,
    /// One of them is not joined with another one.
    Unfit(Unfit),
}

/// Takes the code: the account of the phone is joined with the one of this session, and both phones get a notice.
///
/// # Errors
/// When the database does not answer: both accounts stay. [`Error::Blocked`] when the phone of one is blocked.
pub async fn merge(
    services: &Arc<Services>,
    who: access::SignedIn,
    phone: PhoneNumber,
    code: OtpCode,
    languages: Vec<String>,
    from: ClientAddress,
) -> Result<Merged, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        // Checked again: a stolen token must not finish what the owner began.
        if let Some(refused) = change_phone::refused(&who, &phone, now) {
            return Ok(Merged::Refused(refused.into()));
        }
        let key = ChallengeKey::merge(&phone, who.account().id);
        let redeemed = redeem(&services, key, &code, Guesser::address(from), now, |txn, consumed| {
            join_own(&services, &who, txn, consumed, from, now)
        });
        let (merged, phones) = match redeemed.await? {
            Ok(merged) => merged,
            Err(refused) => return Ok(Merged::Code(refused)),
        };
        notify(&services, phones, who.account().id, &languages, now).await;
        Ok(merged)
    })
    .await
}

impl From<change_phone::Refused> for MergeRefused {
    fn from(refused: change_phone::Refused) -> Self {
        use change_phone::Refused;
        match refused {
            Refused::Forbidden => Self::Forbidden,
            Refused::RecentAuthRequired => Self::RecentAuthRequired,
            // A code of this purpose does not ask who has the phone.
            Refused::Own | Refused::Taken => Self::Own,
        }
    }
}

/// Sends the notice to these phones, so that their owners learn of a merge by another person.
async fn notify(
    services: &Services,
    phones: Vec<PhoneNumber>,
    user_id: Uuid,
    languages: &[String],
    now: DateTime<Utc>,
) {
    for phone in phones {
        notice::send(services, Notice::AccountsMerged, phone, user_id, languages, now).await;
    }
}

/// Joins the account of the phone with that of the session, in one transaction. Returns the outcome and the phones that get a notice.
async fn join_own(
    services: &Services,
    who: &access::SignedIn,
    txn: Txn,
    consumed: Consumed,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Result<((Merged, Vec<PhoneNumber>), GuessOutcome), Error> {
    let (phone, own_id) = (consumed.phone(), who.account().id);
    // Dropping the transaction rolls it back.
    let refused = |refused| Ok(((Merged::Refused(refused), Vec::new()), GuessOutcome::Refund));
    // Codes before accounts, as in every transaction, so that no two wait for each other.
    let removed = who.account().phone.as_ref();
    if let Some(old) = removed {
        change_phone::remove_codes(services, &txn, old, now).await?;
    }
    // An account that was not used for so long that the number may have another owner counts as none, as at a sign-in.
    let used_after = services.used_after(now);
    let Some(other) = store::accounts::find_by_phone(&txn, phone, used_after).await? else {
        return refused(MergeRefused::NoAccount);
    };
    let both = store::owners::claim_both(&txn, [own_id, other.id]).await?;
    let Some((session, account)) = session::recheck(services, &txn, who).await? else {
        return Ok(((Merged::Ended, Vec::new()), GuessOutcome::Refund));
    };
    // The account may have got more rights since the request was authenticated.
    if may_control_own(&session, &account).is_err() {
        return refused(MergeRefused::Forbidden);
    }
    // It can have been deleted, or have another phone, since it was found.
    let still = |it: &&Account| it.id == other.id && it.phone.as_ref() == Some(phone);
    let Some(other) = both.iter().find(still) else {
        return refused(MergeRefused::NoAccount);
    };
    let stays = party(services, &txn, &account, now).await?;
    let goes = party(services, &txn, other, now).await?;
    let proof = match may_merge(stays, goes) {
        Ok(proof) => proof,
        Err(Unfit::Blocked) => return Err(Error::Blocked),
        Err(unfit) => return refused(MergeRefused::Unfit(unfit)),
    };
    let joining = Joining { proof, stays: &account, goes: other, proved: Some(phone), removed, by: None };
    let joined = join(services, &txn, joining, Some(session.id), now).await?;
    let Some(account) = store::accounts::find_by_id(&txn, own_id).await? else {
        return Ok(((Merged::Ended, Vec::new()), GuessOutcome::Refund));
    };
    let tokens = services.tokens.issue(&session, &account, services.new_jti(), now)?;
    txn.commit().await?;
    for entry in joined.entries(services, proof) {
        services.audit.note(Event { actor: Actor::Person(Some(own_id)), ..entry }.from(from), now);
    }
    tracing::info!(user_id = %own_id, merged_user_id = %proof.goes(), ended = joined.ended, "two accounts became one");
    let device = Device { id: services.random.bits(), account: own_id, epoch: account.device_epoch };
    let device_token = services.devices.issue(&device, now);
    let signed_in = SignedIn { tokens, account: Box::new(account), device_token };
    Ok(((Merged::In(Box::new(signed_in)), joined.phones), GuessOutcome::Used { was_known: false }))
}

/// What the rule must know of an account. The transaction holds it.
async fn party<'a>(
    services: &Services,
    txn: &Txn,
    account: &'a Account,
    now: DateTime<Utc>,
) -> Result<Party<'a>, Error> {
    let phone = account.phone.as_ref();
    let is_blocked = store::blocks::find_live_of_phone(txn, phone, now).await?.is_some();
    let is_stale = match (phone, services.used_after(now)) {
        (Some(phone), Some(after)) => {
            store::accounts::find_by_phone(txn, phone, Some(after)).await?.is_none()
        }
        (None, _) | (_, None) => false,
    };
    Ok(Party { account, is_blocked, is_stale })
}

/// Two accounts that are joined.
#[derive(Clone, Copy)]
struct Joining<'a> {
    proof: Mergeable,
    /// The two accounts, as the transaction that holds them read them.
    stays: &'a Account,
    goes: &'a Account,
    /// The phone that a code proved.
    proved: Option<&'a PhoneNumber>,
    /// The phone whose codes were removed before the accounts were locked.
    removed: Option<&'a PhoneNumber>,
    /// The admin who does it; `None`: the user.
    by: Option<Uuid>,
}

/// What a merge did.
struct Joined {
    /// How many sessions were ended.
    ended: u64,
    /// The phone that no account has any more.
    left: Option<PhoneNumber>,
    /// The phone that the account has.
    phone: Option<PhoneNumber>,
    /// All phones of the two accounts, which get a notice.
    phones: Vec<PhoneNumber>,
}

/// Joins two accounts in a transaction that holds both. `except` is the session that goes on.
async fn join(
    services: &Services,
    txn: &Txn,
    joining: Joining<'_>,
    except: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<Joined, Error> {
    let Joining { proof, stays, goes, proved, removed, by } = joining;
    let kept = async |id| store::merges::find_kept(txn, id).await?.ok_or(Error::AccountChangedTwice);
    let (before, gone) = (kept(proof.stays()).await?.holdings, kept(proof.goes()).await?);
    let earlier = store::merges::list_into(txn, proof.goes()).await?.iter().map(|merge| merge.id).collect();
    let written = joined(&before, &gone.holdings, proved);
    let phone = written.phone.as_deref().and_then(PhoneNumber::from_e164);
    let snapshot = Snapshot { gone, before, written, earlier };
    let mut ended = 0;
    for sessions in [Ending::all(goes.id), Ending::All { account_id: stays.id, except }] {
        ended += events::close_sessions(services, txn, sessions, EndReason::Merged, now).await?;
    }
    store::otp::purge_bound(txn, goes.id).await?;
    store::messages::set_account(txn, goes.id, stays.id).await?;
    store::merges::insert(txn, proof, &snapshot, by, now).await?;
    let phones: Vec<PhoneNumber> = [&stays.phone, &goes.phone].into_iter().flatten().cloned().collect();
    let left = phones.iter().find(|it| Some(*it) != phone.as_ref()).cloned();
    if let Some(left) = &left {
        // The phone was changed since it was read.
        if removed != Some(left) {
            change_phone::remove_codes(services, txn, left, now).await?;
        }
        if let Some(phone) = &phone {
            store::leads::set_moved(txn, left, phone).await?;
        }
        store::messages::purge_to(txn, left).await?;
    }
    if let Some(proved) = proved {
        events::convert_lead(services, txn, (proved, stays.id), LeadConvertedBy::Code, now).await?;
    }
    if phone != stays.phone {
        let change = (stays.phone.as_ref(), phone.as_ref());
        events::write_phone_changed(services, txn, stays.id, change, now).await?;
    }
    events::write_of(services, txn, stays.id, &[Fact::Merged { merged: goes.id }], now).await?;
    Ok(Joined { ended, left, phone, phones })
}

impl Joined {
    /// The entries of the audit log: one about each account, and one about the phone that was left.
    fn entries(&self, services: &Services, proof: Mergeable) -> Vec<Event> {
        let (stays, goes) = (proof.stays(), proof.goes());
        let new =
            |about| Event { phone: self.phone.clone(), ..Event::by_owner(Action::AccountsMerged, about) };
        let mark = self.left.as_ref().map(|left| services.pseudonyms.phone(left));
        let stayed = new(stays).with("merged_user_id", goes).with("ended", self.ended);
        let stayed =
            stayed.with_known("old_phone", self.left.as_ref()).with_known("old_phone_mark", mark.as_ref());
        let gone = new(goes).with("into_user_id", stays);
        let left = self.left.as_ref().map(|left| Event::by_owner(Action::PhoneLeft, stays).phone(left));
        [stayed, gone].into_iter().chain(left).collect()
    }
}
