//! Requests and responses of the operations on leads.

use poem_openapi::{Object, registry::MetaSchema, types::Example};
use serde_json::Value;

use crate::{
    domain::{
        keyset::Page,
        lead::{self, LONGEST_NAME, LONGEST_NOTE, Note, Sort, Source, State},
        users::LONGEST_SEARCH,
    },
    http::{
        fields::{Describe, Field, describe},
        timestamp::rfc3339,
    },
    store::leads::AccountName,
};

/// The default number of leads per page.
pub const USUAL_LIMIT: usize = 50;

/// The most leads per page.
pub const MOST_LIMIT: usize = 100;

fn words(values: &[&'static str], description: &'static str) -> MetaSchema {
    MetaSchema {
        enum_items: values.iter().map(|value| Value::from(*value)).collect(),
        example: values.first().map(|value| Value::from(*value)),
        description: (!description.is_empty()).then_some(description),
        ..MetaSchema::new("string")
    }
}

fn text(max_length: usize, description: &'static str, example: &'static str) -> MetaSchema {
    MetaSchema {
        max_length: Some(max_length),
        description: (!description.is_empty()).then_some(description),
        example: Some(example.into()),
        ..MetaSchema::new("string")
    }
}

describe!(/// `q`.
SearchText, required: false, text(LONGEST_SEARCH, "", "9376"));
describe!(/// `state`.
StateFilter, required: false, words(&State::ALL.map(State::as_str), ""));
describe!(/// `verified`.
VerifiedFilter, required: false, words(&["yes", "no"], ""));
describe!(/// `country`.
CountryFilter, required: false, text(2, "", "IN"));
describe!(/// `source`.
SourceFilter, required: false, words(&Source::ALL.map(Source::as_str), ""));
// An empty day filters nothing, so it is not of the format `date`.
describe!(/// A day.
Day, required: false, MetaSchema {
    example: Some("2026-03-14".into()),
    pattern: Some("^([0-9]{4}-[0-9]{2}-[0-9]{2})?$".to_owned()),
    ..MetaSchema::new("string")
});
describe!(/// `sort`.
SortOrder, required: false, MetaSchema {
    default: Some(Sort::default().as_str().into()),
    ..words(&Sort::ALL.map(Sort::as_str), "")
});
describe!(/// `cursor`.
NextCursor, required: false, MetaSchema { max_length: Some(600), ..MetaSchema::new("string") });
describe!(/// `limit`.
Limit, required: false, MetaSchema {
    minimum: Some(1.0),
    maximum: Some(100.0),
    default: Some(USUAL_LIMIT.into()),
    example: Some(USUAL_LIMIT.into()),
    ..MetaSchema::new_with_format("integer", "int64")
});
describe!(/// `state` of a change.
NewState, required: false, words(
    &[State::Contacted, State::Lost, State::New].map(State::as_str),
    "A verified lead keeps its state, and no change makes a lead `converted`.",
));
describe!(/// `name` of a change.
NewName, required: false, MetaSchema {
    nullable: true,
    ..text(LONGEST_NAME, "As the user gave it on the phone; trimmed. Null or an empty text removes it.", "Gaurav")
});
describe!(/// `note` of a change.
NewNote, required: false, text(LONGEST_NOTE, "A further note, on one line.", "Call back on Monday"));
describe!(/// `version` of a change.
SeenVersion, required: false, MetaSchema {
    minimum: Some(0.0),
    description: Some("The version that you saw. If the lead has another one, nothing is changed. Without it any is changed."),
    example: Some(3.into()),
    ..MetaSchema::new_with_format("integer", "int64")
});
/// A change of a lead. Fields that are left out stay.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct ChangeLeadRequest {
    pub(super) state: Field<NewState>,
    pub(super) name: Field<NewName>,
    pub(super) note: Field<NewNote>,
    pub(super) version: Field<SeenVersion>,
}

impl Example for ChangeLeadRequest {
    fn example() -> Self {
        Self {
            state: Field::from_value("contacted"),
            name: Field::from_value("Gaurav"),
            note: Field::from_value("Call back on Monday"),
            version: Field::from_value(0),
        }
    }
}

/// A lead in a list.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ListedLead {
    /// The lead (UUID version 7).
    id: String,
    /// The phone with most digits hidden. `GET /api/admin/leads/{id}` shows the whole number.
    phone_masked: String,
    /// The name as given on the phone, else the name of the account.
    name: Option<String>,
    /// The country of the number: two letters (ISO 3166-1), or `--` for none.
    country: String,
    /// `new`, `contacted`, `converted` or `lost`.
    state: String,
    /// Whether the phone is verified.
    is_verified: bool,
    /// Whether the user requested a code after the sales team last worked on the lead.
    asks_again: bool,
    /// The operation of the first request: `signup` or `login`.
    source: String,
    /// How often a code was requested.
    requests: i64,
    /// The first request (RFC 3339, UTC).
    first_requested_at: String,
    /// The last request (RFC 3339, UTC).
    last_requested_at: String,
    /// When the phone was verified (RFC 3339, UTC), or null.
    verified_at: Option<String>,
    /// The account that has the phone now, or null.
    user_id: Option<String>,
    /// Counts changes: see `version` of a change.
    version: i64,
}

impl ListedLead {
    fn from_lead(lead: &lead::Lead, account: Option<&AccountName>) -> Self {
        let named = lead.name.clone().or_else(|| account.and_then(|account| account.name.clone()));
        Self {
            id: lead.id.to_string(),
            phone_masked: lead.phone.masked(),
            name: named,
            country: lead.country.clone(),
            state: lead.state.as_str().to_owned(),
            is_verified: lead.converted_at.is_some(),
            asks_again: lead.asks_again(),
            source: lead.source.as_str().to_owned(),
            requests: lead.requests,
            first_requested_at: rfc3339(lead.first_requested_at),
            last_requested_at: rfc3339(lead.last_requested_at),
            verified_at: lead.converted_at.map(rfc3339),
            user_id: account.map(|account| account.id.to_string()),
            version: lead.version,
        }
    }
}

impl Example for ListedLead {
    fn example() -> Self {
        let at = || "2025-10-03T10:15:23.435393+00:00".to_owned();
        Self {
            id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
            phone_masked: "+91 ••••• ••376".to_owned(),
            name: Some("Gaurav".to_owned()),
            country: "IN".to_owned(),
            state: "contacted".to_owned(),
            is_verified: false,
            asks_again: false,
            source: "signup".to_owned(),
            requests: 2,
            first_requested_at: at(),
            last_requested_at: at(),
            verified_at: None,
            user_id: None,
            version: 1,
        }
    }
}

/// A page of leads, without an envelope.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Leads {
    /// The leads of the page; empty past the end.
    items: Vec<ListedLead>,
    /// The `cursor` of the next page. Null on the last one.
    next: Option<String>,
}

impl Leads {
    pub(super) fn from_page(
        page: &Page<lead::Lead>,
        account: impl Fn(&lead::Lead) -> Option<AccountName>,
    ) -> Self {
        let listed = |lead| ListedLead::from_lead(lead, account(lead).as_ref());
        Self {
            items: page.items.iter().map(listed).collect(),
            next: page.next.as_ref().map(ToString::to_string),
        }
    }
}

impl Example for Leads {
    fn example() -> Self {
        let cursor = "MDE5OWFhNTU1YTJiN2M2MDlkM2MwYzhmM2Y0ZjJhMTEgMTc1OTQ4NjUyMzQzNTM5Mw";
        Self { items: vec![ListedLead::example()], next: Some(cursor.to_owned()) }
    }
}

/// A note of the sales team.
#[derive(Debug, Object)]
pub struct LeadNote {
    /// The text.
    text: String,
    /// The author's name at that time. Empty if it is not known.
    author: String,
    /// The author's account, or null.
    author_id: Option<String>,
    /// When it was written (RFC 3339, UTC).
    written_at: String,
}

/// A lead with its whole phone number and its notes.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Lead {
    /// The phone in E.164. That it was read is in the audit log.
    phone_number: String,
    #[oai(flatten)]
    listed: ListedLead,
    /// When state, name or notes last changed (RFC 3339, UTC), or null.
    changed_at: Option<String>,
    /// The account of the staff member who changed it, or null.
    changed_by: Option<String>,
    /// Its notes, oldest first.
    notes: Vec<LeadNote>,
}

impl Lead {
    pub(super) fn new(lead: &lead::Lead, account: Option<&AccountName>, notes: Vec<Note>) -> Self {
        let note = |note: Note| LeadNote {
            text: note.text,
            author: note.author_name,
            author_id: note.author_id.map(|id| id.to_string()),
            written_at: rfc3339(note.at),
        };
        Self {
            phone_number: lead.phone.full().to_owned(),
            listed: ListedLead::from_lead(lead, account),
            changed_at: lead.changed_at.map(rfc3339),
            changed_by: lead.changed_by.map(|id| id.to_string()),
            notes: notes.into_iter().map(note).collect(),
        }
    }
}

impl Example for Lead {
    fn example() -> Self {
        let at = || "2025-10-03T10:15:23.435393+00:00".to_owned();
        let staff = || "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a12".to_owned();
        Self {
            phone_number: "+916205829376".to_owned(),
            listed: ListedLead::example(),
            changed_at: Some(at()),
            changed_by: Some(staff()),
            notes: vec![LeadNote {
                text: "Call back on Monday".to_owned(),
                author: "asha".to_owned(),
                author_id: Some(staff()),
                written_at: at(),
            }],
        }
    }
}

/// The result of a verification by hand.
#[derive(Debug, Object)]
#[oai(example)]
pub struct VerifiedLead {
    /// The account of the phone.
    pub(super) user_id: String,
    /// Whether the account was created now.
    pub(super) is_new: bool,
}

impl Example for VerifiedLead {
    fn example() -> Self {
        Self { user_id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(), is_new: true }
    }
}
