//! The sales team's lead in the export.

use poem_openapi::{Object, types::Example};

use crate::{
    domain::lead::{LeadAndNotes, Note},
    http::timestamp::rfc3339,
};

/// The sales team's lead.
#[derive(Debug, Object)]
pub struct ExportedLead {
    /// The operation of the first request: `signup` or `login`.
    source: String,
    /// `new`, `contacted`, `waiting`, `converted` or `lost`.
    state: String,
    /// How often a code was requested.
    requests: i64,
    /// The first request.
    first_requested_at: String,
    /// The last request.
    last_requested_at: String,
    /// When the code was verified.
    converted_at: Option<String>,
    /// The name that the user gave on the phone.
    name: Option<String>,
    /// The country of the number: two letters, or `--`.
    country: String,
    /// When the sales team last changed it.
    changed_at: Option<String>,
    /// Notes, oldest first.
    notes: Vec<ExportedNote>,
}

/// A note of the sales team.
#[derive(Debug, Object)]
pub struct ExportedNote {
    /// The text.
    text: String,
    /// When it was written.
    written_at: String,
}

impl ExportedLead {
    pub(super) fn from_lead(LeadAndNotes { lead, notes }: LeadAndNotes) -> Self {
        let exported = |note: Note| ExportedNote { text: note.text, written_at: rfc3339(note.at) };
        Self {
            source: lead.source.as_str().to_owned(),
            state: lead.state.as_str().to_owned(),
            requests: lead.requests,
            first_requested_at: rfc3339(lead.first_requested_at),
            last_requested_at: rfc3339(lead.last_requested_at),
            converted_at: lead.converted_at.map(rfc3339),
            name: lead.name,
            country: lead.country,
            changed_at: lead.changed_at.map(rfc3339),
            notes: notes.into_iter().map(exported).collect(),
        }
    }
}

impl Example for ExportedLead {
    fn example() -> Self {
        let at = || "2025-10-03T10:15:23.435393+00:00".to_owned();
        Self {
            source: "signup".to_owned(),
            state: "converted".to_owned(),
            requests: 1,
            first_requested_at: at(),
            last_requested_at: at(),
            converted_at: Some(at()),
            name: Some("Gaurav".to_owned()),
            country: "IN".to_owned(),
            changed_at: Some(at()),
            notes: vec![ExportedNote { text: "Call back on Monday".to_owned(), written_at: at() }],
        }
    }
}
