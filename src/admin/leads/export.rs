//! The export of the list as a CSV file, for admins: a page that says what is exported, then the file.

use askama::Template;
use futures_util::stream::unfold;
use poem::{
    Body, Response,
    http::{StatusCode, header},
};

use super::{
    list::{filters_in_words, number_of},
    list_with, wanted,
};
use crate::{
    admin::{Admin, Form, Layout, Notice, PageResult, Section, Visit},
    domain::keyset::Count,
    flows::leads,
    store,
};

#[derive(Template)]
#[template(path = "leads_export.html")]
struct AskPage {
    layout: Layout,
    /// The names of the filters and what they say. None: all leads.
    filters: Vec<(&'static str, String)>,
    /// `1 lead`, `10,000+ leads`.
    count: String,
    is_empty: bool,
    /// The query string of the filters.
    query: String,
    cancel: String,
}

/// `GET /admin/leads/export`: asks before whole numbers leave the server.
pub async fn ask(visit: Visit<Admin>) -> PageResult {
    let query = visit.query().query_with("cursor", None);
    let cancel = list_with(&query);
    let (wanted, problems) = wanted(visit.services(), visit.query());
    if !problems.is_empty() {
        return visit.redirect(&cancel, Notice::warning(CHECK_FILTERS));
    }
    let count = store::leads::count(&visit.services().store, &wanted.filter, Count::MOST + 1).await?;
    let page = AskPage {
        layout: visit.layout(format!("Export {}?", number_of(count)), Section::Leads),
        filters: filters_in_words(visit.query()),
        count: number_of(count),
        is_empty: count == 0,
        query,
        cancel,
    };
    visit.page(StatusCode::OK, &page)
}

const CHECK_FILTERS: &str = "Nothing was exported: check the filters first.";

/// `POST /admin/leads/export`: sends the leads that the filters of the query match. The connection is cut if the file cannot
/// be completed, so that the browser reports a failed download.
pub async fn send(visit: Visit<Admin>, _form: Form) -> PageResult {
    let (wanted, problems) = wanted(visit.services(), visit.query());
    let back = list_with(&visit.query().query_with("cursor", None));
    if !problems.is_empty() {
        return visit.redirect(&back, Notice::warning(CHECK_FILTERS));
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
