//! The list of leads: filters, acts on the selected, and the export. One lead has its page in `leads/lead.rs`.

mod export;
mod lead;
mod list;
mod selection;

use super::{Console, Form};
use crate::{
    domain::lead::{FieldProblem, State, Wanted},
    flows::Services,
};

const LIST: &str = "/admin/leads";

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console
        .get(LIST, list::show)
        .post("/admin/leads/act", selection::act)
        .get("/admin/leads/export", export::ask)
        .post("/admin/leads/export", export::send)
        .get("/admin/leads/:id", lead::show)
        .post("/admin/leads/:id", lead::change)
        .get("/admin/leads/:id/verify", lead::ask_to_verify)
        .post("/admin/leads/:id/verify", lead::verify)
        .post("/admin/leads/:id/resend", lead::resend)
        .post("/admin/leads/:id/invite", lead::invite)
}

/// Reads the filters and the order of a query string.
fn wanted(services: &Services, query: &Form) -> (Wanted, Vec<FieldProblem>) {
    Wanted::parse(|name| query.given(name), services.region, services.zone)
}

/// The path of the list with this query string. It is written anew, so nothing but fields of a query gets into the header.
fn list_with(query: &str) -> String {
    let query = Form::parse(query.as_bytes()).query_with("", None);
    if query.is_empty() { LIST.to_owned() } else { format!("{LIST}?{query}") }
}

/// The class of a state's badge. The colour only repeats what the name says.
fn state_class(state: State) -> &'static str {
    match state {
        State::New | State::Waiting => "badge warn",
        State::Contacted | State::Lost => "badge",
        State::Converted => "badge good",
    }
}
