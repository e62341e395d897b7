//! What staff do with leads: change them, verify them by hand, and act on many at once. Exports are in `leads/export.rs`.
//!
//! A lead that is verified by a code converts in the transaction of the sign-in, which is not here.

mod by_hand;
mod export;
mod selected;

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use self::{
    by_hand::{Verified, verify},
    export::{ExportLines, export},
    selected::{Act, Outcome, Outcomes, Selected, act_on},
};
use super::{Error, Services, run_to_completion, transaction};
use crate::{
    domain::{
        audit::{Action, Event},
        lead::{Change, Lead, NO_COUNTRY, Note, NoteText, State, Step, country_of},
        roles::StaffPermission,
    },
    store::{self, Txn},
};

/// How many leads get their country by one statement.
const BATCH: u64 = 500;

/// How often a change is tried again when another one came first. Only a change that names no version is.
const MOST_TRIES: usize = 3;

/// The outcome of a change.
#[derive(Debug)]
pub enum Changed {
    /// The lead as it is now. `false`: it was so before.
    Done(Box<Lead>, bool),
    /// There is no such lead.
    NotFound,
    /// Another person changed the lead since the staff member saw it. Nothing is changed.
    Stale(Box<Stale>),
    /// The lead is verified, and keeps its state. Nothing is changed.
    IsConverted,
    /// Only a code or a verification by hand converts a lead. Nothing is changed.
    NeedsProof,
}

/// The lead as it is now, and who changed it.
#[derive(Debug)]
pub struct Stale {
    /// The lead.
    pub lead: Lead,
    /// Who changed it last.
    pub by: ChangedBy,
}

/// Who changed a lead last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangedBy {
    /// A staff member of this name.
    Staff(String),
    /// Staff who have no account any more, or the command line.
    Unknown,
    /// The user, by a code, or by a sign-up that was refused.
    User,
}

/// Changes a lead, and adds a note.
///
/// # Errors
/// When the database does not answer: nothing is changed.
pub async fn change(
    services: &Arc<Services>,
    id: Uuid,
    change: Change,
    permission: StaffPermission,
) -> Result<Changed, Error> {
    run_to_completion(services, move |services| async move {
        transaction(|| change_in_transaction(&services, id, &change, permission)).await
    })
    .await
}

async fn change_in_transaction(
    services: &Services,
    id: Uuid,
    change: &Change,
    permission: StaffPermission,
) -> Result<Changed, Error> {
    let now = services.clock.now();
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    for _ in 0..MOST_TRIES {
        let Some(seen) = store::leads::find_by_id(&txn, id).await? else {
            return Ok(Changed::NotFound);
        };
        if change.version.is_some_and(|version| version != seen.version) {
            return stale(&txn, seen).await;
        }
        match change.state.map(|next| seen.state.step_to(next)) {
            Some(Step::IsConverted) => return Ok(Changed::IsConverted),
            Some(Step::NeedsProof) => return Ok(Changed::NeedsProof),
            Some(Step::Moves | Step::Stays) | None => {}
        }
        let fields = changed_fields(&seen, change);
        if fields.is_empty() {
            return Ok(Changed::Done(Box::new(seen), false));
        }
        if !store::leads::update(&txn, &seen, change, permission.actor().id(), now).await? {
            continue;
        }
        if let Some(text) = &change.note {
            add_note(services, &txn, id, text, permission, now).await?;
        }
        services.audit.write(&txn, changed_event(&seen, change, &fields, permission), now).await?;
        let Some(lead) = store::leads::find_by_id(&txn, id).await? else {
            return Ok(Changed::NotFound);
        };
        txn.commit().await?;
        return Ok(Changed::Done(Box::new(lead), true));
    }
    match store::leads::find_by_id(&txn, id).await? {
        Some(seen) => stale(&txn, seen).await,
        None => Ok(Changed::NotFound),
    }
}

/// The names of what a change changes.
fn changed_fields(seen: &Lead, change: &Change) -> Vec<&'static str> {
    let name = change.name.as_ref().map(|name| name.as_ref().map(crate::domain::lead::LeadName::as_str));
    let is_changed = [
        ("state", change.state.is_some_and(|state| state != seen.state)),
        ("name", name.is_some_and(|name| name != seen.name.as_deref())),
        ("note", change.note.is_some()),
    ];
    is_changed.into_iter().filter(|(_, is_changed)| *is_changed).map(|(name, _)| name).collect()
}

fn changed_event(
    seen: &Lead,
    change: &Change,
    fields: &[&'static str],
    permission: StaffPermission,
) -> Event {
    let event =
        Event::new(Action::LeadChanged, permission.actor()).phone(&seen.phone).from(permission.from());
    let event = event.with("lead_id", seen.id).with("fields", fields);
    match change.state.filter(|state| *state != seen.state) {
        Some(state) => event.with("from", seen.state.as_str()).with("to", state.as_str()),
        None => event,
    }
}

async fn add_note(
    services: &Services,
    txn: &Txn,
    lead_id: Uuid,
    text: &NoteText,
    permission: StaffPermission,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let author_id = permission.actor().id();
    let author_name = match author_id {
        Some(id) => store::leads::find_author(txn, id).await?,
        None => None,
    };
    let note = Note {
        id: services.random.id(now),
        author_id,
        author_name: author_name.unwrap_or_default(),
        text: text.as_str().to_owned(),
        at: now,
    };
    Ok(store::leads::insert_note(txn, lead_id, &note).await?)
}

async fn stale(txn: &Txn, lead: Lead) -> Result<Changed, Error> {
    let name = match lead.changed_by {
        Some(id) => store::leads::find_author(txn, id).await?,
        None => None,
    };
    let by = match name {
        Some(name) => ChangedBy::Staff(name),
        None if lead.changed_by.is_none() && is_of_the_user(lead.state) => ChangedBy::User,
        None => ChangedBy::Unknown,
    };
    Ok(Changed::Stale(Box::new(Stale { lead, by })))
}

/// Whether a lead gets into this state by what its user does.
fn is_of_the_user(state: State) -> bool {
    match state {
        State::Converted | State::Waiting => true,
        State::New | State::Contacted | State::Lost => false,
    }
}

/// Fills in the countries of leads that have none, as those of an earlier version. Returns how many.
///
/// # Errors
/// When the database does not answer: the rest has no country yet.
pub async fn fill_in_countries(services: &Services) -> Result<u64, Error> {
    let mut filled = 0;
    loop {
        let leads = store::leads::list_without_country(&services.store, BATCH).await?;
        let found = u64::try_from(leads.len()).unwrap_or(BATCH);
        let mut by_country: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
        for (id, phone) in leads {
            let country = phone.as_ref().map_or_else(|| NO_COUNTRY.to_owned(), country_of);
            by_country.entry(country).or_default().push(id);
        }
        for (country, ids) in by_country {
            store::leads::set_country(&services.store, &country, ids).await?;
        }
        filled += found;
        if found < BATCH {
            return Ok(filled);
        }
    }
}
