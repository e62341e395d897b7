//! Exporting leads as CSV. The lines are read in batches while they are sent, so an export of any size needs little memory.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    domain::{
        audit::{Action, Event},
        csv,
        lead::{Filter, Lead, Note, Sort, State, Wanted},
        roles::AdminPermission,
    },
    flows::{Error, Services},
    store::{self, leads::AccountName},
};

/// How many leads are read at once.
const BATCH: u64 = 500;

/// How many batches wait for the client.
const WAITING: usize = 2;

/// The lines of an export, in pieces. An error is the last piece: the file is not complete then.
pub type ExportLines = mpsc::Receiver<Result<String, Error>>;

/// Begins an export of the leads that match. It is in the audit log, with the number of leads, before the first line leaves. The
/// export stops when the lines are dropped.
///
/// # Errors
/// When the database does not answer: nothing is exported.
pub async fn export(
    services: &Arc<Services>,
    filter: Filter,
    permission: AdminPermission,
) -> Result<ExportLines, Error> {
    let now = services.clock.now();
    // The databases count with signed numbers.
    let leads = store::leads::count(&services.store, &filter, i64::MAX.unsigned_abs()).await?;
    let event = event(Action::LeadsExported, permission).with("leads", leads);
    let event = event.with("filters", names_of(&filter).as_slice());
    let txn = services.store.begin().await?;
    services.audit.write(&txn, event, now).await?;
    txn.commit().await?;
    let (sender, lines) = mpsc::channel(WAITING);
    let services = Arc::clone(services);
    tokio::spawn(async move { send(&services, filter, permission, sender).await }.in_current_span());
    Ok(lines)
}

fn event(action: Action, permission: AdminPermission) -> Event {
    Event::new(action, permission.actor()).from(permission.from())
}

/// The names of the filters in force. Their values may be names and numbers.
fn names_of(filter: &Filter) -> Vec<&'static str> {
    let set = [
        ("search", filter.search.is_some()),
        ("state", filter.state.is_some()),
        ("verified", filter.is_verified.is_some()),
        ("country", filter.country.is_some()),
        ("source", filter.source.is_some()),
        ("first_asked", filter.first_from.or(filter.first_before).is_some()),
        ("last_asked", filter.last_from.or(filter.last_before).is_some()),
    ];
    set.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect()
}

/// Sends all lines, and notes in the audit log how it ended.
async fn send(
    services: &Services,
    filter: Filter,
    permission: AdminPermission,
    sender: mpsc::Sender<Result<String, Error>>,
) {
    // The time of the first request never changes, so no lead moves to a place that was passed already.
    let wanted = Wanted { filter, sort: Sort::FirstOldest };
    let mut sent: u64 = 0;
    let outcome = match send_batches(services, &wanted, &sender, &mut sent).await {
        Ok(true) => "complete",
        Ok(false) => "client_left",
        Err(error) => {
            tracing::error!(%error, leads = sent, "an export of leads failed");
            // If the client has left too, there is no one to tell.
            let _ = sender.send(Err(error)).await;
            "failed"
        }
    };
    let event = event(Action::LeadsExportEnded, permission).with("leads", sent);
    services.audit.note(event.with("outcome", outcome), services.clock.now());
}

/// Returns whether the client took all of it.
async fn send_batches(
    services: &Services,
    wanted: &Wanted,
    sender: &mpsc::Sender<Result<String, Error>>,
    sent: &mut u64,
) -> Result<bool, Error> {
    let db = &services.store;
    let mut piece = format!("{}{}", csv::BYTE_ORDER_MARK, header(services));
    let mut after = None;
    loop {
        let leads = store::leads::list(db, wanted, after, BATCH).await?;
        let accounts = store::leads::list_accounts(db, leads.iter().map(|lead| &lead.phone)).await?;
        let mut notes: HashMap<Uuid, Vec<Note>> = HashMap::new();
        for (id, note) in store::leads::list_notes_of(db, leads.iter().map(|lead| lead.id)).await? {
            notes.entry(id).or_default().push(note);
        }
        for lead in &leads {
            let of_lead = notes.get(&lead.id).map(Vec::as_slice).unwrap_or_default();
            piece.push_str(&line(services, lead, accounts.get(&lead.phone), of_lead));
        }
        if sender.send(Ok(std::mem::take(&mut piece))).await.is_err() {
            return Ok(false);
        }
        let read = u64::try_from(leads.len()).unwrap_or(BATCH);
        *sent += read;
        match leads.last() {
            Some(last) if read == BATCH => after = Some(last.place(wanted.sort)),
            _ => return Ok(true),
        }
    }
}

fn header(services: &Services) -> String {
    let at = |what: &str| format!("{what} ({})", services.zone.name());
    csv::line([
        "phone",
        "name",
        "country",
        "state",
        "verified",
        "source",
        "requests",
        &at("first asked"),
        &at("last asked"),
        &at("verified at"),
        &at("changed at"),
        "notes",
    ])
}

fn line(services: &Services, lead: &Lead, account: Option<&AccountName>, notes: &[Note]) -> String {
    let time = |at: DateTime<Utc>| at.with_timezone(&services.zone).format("%Y-%m-%d %H:%M:%S").to_string();
    let optional = |at: Option<DateTime<Utc>>| at.map(time).unwrap_or_default();
    let name = lead.name.as_deref().or(account.and_then(|account| account.name.as_deref()));
    let notes: Vec<String> =
        notes.iter().map(|note| format!("{} {}: {}", time(note.at), note.author_name, note.text)).collect();
    csv::line([
        lead.phone.full(),
        name.unwrap_or_default(),
        &lead.country,
        lead.state.as_str(),
        if lead.state == State::Converted { "yes" } else { "no" },
        lead.source.as_str(),
        &lead.requests.to_string(),
        &time(lead.first_requested_at),
        &time(lead.last_requested_at),
        &optional(lead.converted_at),
        &optional(lead.changed_at),
        &notes.join("\n"),
    ])
}
