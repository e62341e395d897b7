//! The list of leads: filters, acts on the selected, and the export. One lead has its page in `leads/lead.rs`.

mod lead;
mod list;
mod selection;

use futures_util::stream::unfold;
use poem::{
    Body, Response,
    http::{StatusCode, header},
};

use super::{Admin, Console, Form, Notice, PageResult, Visit};
use crate::{
    domain::lead::{FieldProblem, State, Wanted},
    flows::{Services, leads},
};

const LIST: &str = "/admin/leads";

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console
        .get(LIST, list::show)
        .post("/admin/leads/act", selection::act)
        .post("/admin/leads/export", export)
        .get("/admin/leads/:id", lead::show)
        .post("/admin/leads/:id", lead::change)
        .get("/admin/leads/:id/verify", lead::ask_to_verify)
        .post("/admin/leads/:id/verify", lead::verify)
        .post("/admin/leads/:id/resend", lead::resend)
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
        State::New => "badge warn",
        State::Contacted | State::Lost => "badge",
        State::Converted => "badge good",
    }
}

/// Sends the leads that the filters of the query match, as a file. The connection is cut if it cannot be completed, so that the
/// browser reports a failed download.
async fn export(visit: Visit<Admin>, _form: Form) -> PageResult {
    let (wanted, problems) = wanted(visit.services(), visit.query());
    let back = list_with(&visit.query().query_with("cursor", None));
    if !problems.is_empty() {
        return visit.redirect(&back, Notice::warning("Nothing was exported: check the filters first."));
    }
    let lines = leads::export(visit.services(), wanted.filter, visit.permission()).await?;
    let pieces = unfold(lines, |mut lines| async move {
        let piece = lines.recv().await?;
        Some((piece.map_err(std::io::Error::other), lines))
    });
    let name = format!("leads-{}.csv", visit.services().today());
    Ok(Response::builder()
        .status(StatusCode::OK)
        .header(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present")
        .header(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""))
        .body(Body::from_bytes_stream(pieces)))
}
