//! The first page.

use askama::Template;
use poem::http::StatusCode;

use super::{Console, Layout, PageResult, Section, Staff, Visit};

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console.get("/admin", show)
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Dashboard {
    layout: Layout,
}

async fn show(visit: Visit<Staff>) -> PageResult {
    let layout = visit.layout("Dashboard", Section::Dashboard);
    visit.page(StatusCode::OK, &Dashboard { layout })
}
