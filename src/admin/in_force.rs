//! The settings in force. They are shown and not changed: a setting is part of the deployment, and is the same on every server.

use askama::Template;
use poem::http::StatusCode;

use super::{Admin, Console, Layout, PageResult, Section, Visit};
use crate::domain::settings::{Report, Source, Value};

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console.get("/admin/settings", show)
}

#[derive(Template)]
#[template(path = "settings.html")]
struct InForce<'a> {
    layout: Layout,
    report: &'a Report,
    changed: usize,
    total: usize,
}

async fn show(visit: Visit<Admin>) -> PageResult {
    let report = &visit.services().settings;
    let all = || report.sections.iter().flat_map(|section| &section.settings);
    let page = InForce {
        layout: visit.layout("Settings", Section::Settings),
        report,
        changed: all().filter(|setting| setting.source != Source::Default).count(),
        total: all().count(),
    };
    visit.page(StatusCode::OK, &page)
}
