//! The history of a person or a lead: the newest entries of the audit log about them, in words. `history.html` shows it.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Layout, PageError, Staff, Visit, names,
    page::Time,
    terms::audit::{sentence, short_facts},
};
use crate::{
    domain::audit::{Actor, Entry, Filter},
    store,
};

/// An entry as the page shows it.
pub struct Line {
    pub at: Time,
    /// Who did it, if it was not the user.
    pub who: Option<Who>,
    pub what: String,
    /// Further facts, in one line.
    pub facts: String,
    pub address: Option<String>,
}

/// Who did something: a name, and the page of the account.
pub struct Who {
    pub name: String,
    pub href: Option<String>,
}

/// The newest entries that the filter finds, and no more than `most`.
pub async fn list(
    visit: &Visit<Staff>,
    layout: &Layout,
    filter: &Filter,
    most: u64,
) -> Result<Vec<Line>, PageError> {
    let services = visit.services();
    let entries = store::audit::list_before(&services.store, filter, None, most).await?;
    let actors = entries.iter().filter_map(|entry| entry.actor_id).collect();
    let names = names::of_accounts(services, visit.who(), actors).await?;
    let line = |entry: &Entry| Line {
        at: layout.time(entry.at),
        who: who(entry, &names),
        what: sentence(&entry.action),
        facts: short_facts(&entry.detail, services.zone),
        address: entry.address.clone(),
    };
    Ok(entries.iter().map(line).collect())
}

fn who(entry: &Entry, names: &HashMap<Uuid, String>) -> Option<Who> {
    let known = |name: &str| Some(Who { name: name.to_owned(), href: None });
    match entry.actor_kind.as_ref() {
        kind if kind == Actor::System.kind() => known("the server"),
        kind if kind == Actor::Command.kind() => known("the command line"),
        kind if kind == Actor::Service.kind() => known("another service"),
        "staff" => {
            let id = entry.actor_id?;
            let Some(name) = names.get(&id) else { return known(names::DELETED) };
            Some(Who { name: name.clone(), href: Some(format!("/admin/people/{id}")) })
        }
        _ => None,
    }
}
