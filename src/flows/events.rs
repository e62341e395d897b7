//! Events for the operator's own systems. They are written to a table in the transaction that makes them true, and sent from there
//! (`events/sender.rs`), so that none is lost, and none says what was rolled back.
//!
//! Without `EVENTS_URL` nothing is written, and the functions here run the statements that there would be without events. Where
//! one statement of PostgreSQL does everything (`store/sign_ins.rs`, `store/sends.rs`), the events are a part of it.

mod operate;
mod sender;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(super) use self::operate::list_of_user;
pub use self::{
    operate::{Skipped, list, measure, replay, replay_all, skip},
    sender::{Sender, Sent},
};
use super::{Error, Services, transaction};
use crate::{
    domain::{
        access::Session,
        account::Account,
        budget::BudgetExceeded,
        delivery::Delivery,
        events::{ConvertedBy, EndReason, Fact, NewEvent, Subject},
        lead::country_of,
        phone::PhoneNumber,
    },
    store::{
        self, StoreError, Txn,
        messages::{StatusUpdate, Which},
        sessions::Ending,
        sign_ins::SignInEvents,
    },
};

/// Writes events, if they are sent at all, in this order.
pub(super) async fn write(
    services: &Services,
    txn: &Txn,
    facts: &[(Subject, Fact<'_>)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if services.events.is_none() {
        return Ok(());
    }
    let new = |(subject, fact): &(Subject, Fact<'_>)| new(services, *subject, fact, now);
    let events: Vec<NewEvent> = facts.iter().filter_map(new).collect();
    Ok(store::outbox::insert_many(txn, &events, now).await?)
}

/// Writes events of one user.
pub(super) async fn write_of(
    services: &Services,
    txn: &Txn,
    user_id: Uuid,
    facts: &[Fact<'_>],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let facts: Vec<_> = facts.iter().map(|fact| (Subject::user(user_id), *fact)).collect();
    write(services, txn, &facts, now).await
}

/// Writes that an account has another phone, or lost it.
pub(super) async fn write_phone_changed(
    services: &Services,
    txn: &Txn,
    user_id: Uuid,
    (previous, phone): (Option<&PhoneNumber>, Option<&PhoneNumber>),
    now: DateTime<Utc>,
) -> Result<(), Error> {
    write_of(services, txn, user_id, &[Fact::PhoneChanged { phone, previous }], now).await
}

/// An event for a statement that writes it itself. `None` if events are not sent.
pub(super) fn new(
    services: &Services,
    subject: Subject,
    fact: &Fact<'_>,
    now: DateTime<Utc>,
) -> Option<NewEvent> {
    let receiver = services.events.as_ref()?;
    Some(NewEvent::new(services.random.id(now), subject, fact, receiver.includes_phones()))
}

/// The events of a sign-in by code.
pub(super) fn of_sign_in(
    services: &Services,
    phone: &PhoneNumber,
    session: &Session,
    now: DateTime<Utc>,
) -> Option<SignInEvents> {
    use crate::domain::{account::Role, events::CreatedBy};
    let new = |fact| new(services, Subject::default(), &fact, now);
    Some(SignInEvents {
        user_created: new(Fact::UserCreated { by: CreatedBy::Code, role: Role::User, phone: Some(phone) })?,
        session_started: new(Fact::session_started(session))?,
        lead_converted: new(Fact::LeadConverted { by: ConvertedBy::Code, phone })?,
    })
}

/// The event that a phone requested its first code.
pub(super) fn lead_created(
    services: &Services,
    lead: store::leads::NewLead,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Option<NewEvent> {
    let country = country_of(phone);
    let fact = Fact::LeadCreated { source: lead.source, country: &country, phone };
    new(services, Subject::default(), &fact, now)
}

/// Marks the lead of a phone as converted, by its code or by a member of staff. Returns whether it was not.
pub(super) async fn convert_lead(
    services: &Services,
    txn: &Txn,
    (phone, user_id): (&PhoneNumber, Uuid),
    by: LeadConvertedBy,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let (by, staff_id) = match by {
        LeadConvertedBy::Code => (ConvertedBy::Code, None),
        LeadConvertedBy::Exchange => (ConvertedBy::Exchange, None),
        LeadConvertedBy::Staff(id) => (ConvertedBy::Staff, id),
    };
    if services.events.is_none() {
        return Ok(store::leads::set_converted(txn, phone, staff_id, now).await?);
    }
    let Some(lead_id) = store::leads::set_converted_one(txn, phone, staff_id, now).await? else {
        return Ok(false);
    };
    let subject = Subject { user_id: Some(user_id), lead_id: Some(lead_id) };
    write(services, txn, &[(subject, Fact::LeadConverted { by, phone })], now).await?;
    Ok(true)
}

/// What converts a lead.
#[derive(Debug, Clone, Copy)]
pub(super) enum LeadConvertedBy {
    /// A right code.
    Code,
    /// A token of a trusted issuer.
    Exchange,
    /// A member of staff, or the operator's command.
    Staff(Option<Uuid>),
}

/// Ends sessions in a transaction. Returns how many.
pub(super) async fn close_sessions(
    services: &Services,
    txn: &Txn,
    which: Ending<'_>,
    reason: EndReason,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    if services.events.is_none() {
        return Ok(store::sessions::close(txn, which, now).await?);
    }
    let ended = store::sessions::close_each(txn, which, now).await?;
    let facts: Vec<_> = ended
        .iter()
        .map(|(id, account_id)| (Subject::user(*account_id), Fact::SessionEnded { id: *id, reason }))
        .collect();
    write(services, txn, &facts, now).await?;
    Ok(u64::try_from(ended.len()).unwrap_or(u64::MAX))
}

/// Ends sessions, and nothing else. Returns how many.
pub(super) async fn close_sessions_alone(
    services: &Services,
    which: Ending<'_>,
    reason: EndReason,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    if services.events.is_none() {
        return Ok(store::sessions::close(&services.store, which, now).await?);
    }
    transaction(|| async {
        let txn = services.store.begin().await?;
        let ended = close_sessions(services, &txn, which, reason, now).await?;
        txn.commit().await?;
        Ok(ended)
    })
    .await
}

/// Stores a report about a message, as [`store::messages::update_status`] does.
pub(super) async fn update_message(
    services: &Services,
    which: Which<'_>,
    update: StatusUpdate,
    now: DateTime<Utc>,
) -> Result<Option<Delivery>, Error> {
    let status = update.status;
    if services.events.is_none() || !status.is_lost() {
        return Ok(store::messages::update_status(&services.store, which, update, now).await?);
    }
    transaction(|| async {
        let txn = services.store.begin().await?;
        let updated = store::messages::update_status(&txn, which, update.clone(), now).await?;
        if let Some(message) = updated.as_ref().filter(|message| message.status == status) {
            let subject = subject_of(&txn, message).await?;
            write(services, &txn, &[(subject, Fact::MessageUndelivered(message))], now).await?;
        }
        txn.commit().await?;
        Ok(updated)
    })
    .await
}

/// How long the event of a lock is held at most. A guess is judged in milliseconds; if that does not happen, because the server
/// was killed, the charge stays, and so does the lock.
const HELD_FOR: chrono::Duration = chrono::Duration::seconds(30);

/// Writes that a phone is locked, in the transaction of the charge that locks it. It is held until the code is judged: a wrong one
/// releases it ([`release_locked`]), any other takes it back with the charge (`budget/guesses.rs`). Returns its id.
pub(super) async fn hold_locked(
    services: &Services,
    txn: &Txn,
    phone: &PhoneNumber,
    lock: &BudgetExceeded,
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, Error> {
    // The account is locked, so that it is not deleted meanwhile, which would leave an event about it.
    let subject = Subject {
        user_id: store::owners::claim_owner(txn, phone).await?.map(|account| account.id),
        lead_id: store::leads::find(txn, phone).await?.map(|lead| lead.id),
    };
    let until = lock.retry_after.map(|seconds| now + chrono::Duration::seconds(seconds));
    let fact = Fact::PhoneLocked { limit: lock.budget.as_str(), until, phone };
    let Some(event) = new(services, subject, &fact, now) else { return Ok(None) };
    store::outbox::insert_held(txn, &event, now + HELD_FOR, now).await?;
    Ok(Some(event.id))
}

/// Lets the event of a lock be sent. If this fails, it is sent a little later.
pub(super) async fn release_locked(services: &Services, held: Option<Uuid>, now: DateTime<Utc>) {
    let Some(id) = held else { return };
    if let Err(error) = store::outbox::release_held(&services.store, id, now).await {
        tracing::warn!(%id, %error, "an event could not be released: it is sent within a minute");
    }
}

/// The user and the lead of a message. A code that changes the phone belongs to the user who asked for it: the new phone has none yet.
async fn subject_of(txn: &Txn, message: &Delivery) -> Result<Subject, StoreError> {
    let phone = &message.phone;
    let user_id = match message.account_id {
        Some(id) => Some(id),
        None => store::accounts::find_by_phone(txn, phone, None).await?.map(|account| account.id),
    };
    Ok(Subject { user_id, lead_id: store::leads::find(txn, phone).await?.map(|lead| lead.id) })
}

/// Removes what waits about a user who is deleted, and writes that the user is. The lead of its phone still exists.
pub(super) async fn forget_user(
    services: &Services,
    txn: &Txn,
    account: &Account,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if services.events.is_none() {
        return Ok(());
    }
    let lead = match &account.phone {
        Some(phone) => store::leads::find(txn, phone).await?,
        None => None,
    };
    let subject = Subject { user_id: Some(account.id), lead_id: lead.map(|lead| lead.id) };
    store::outbox::purge_of(txn, subject, now).await?;
    write_of(services, txn, account.id, &[Fact::Deleted], now).await
}
