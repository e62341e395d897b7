//! What an import did, in numbers and row by row.

use serde_json::{Map, Value, json};

use super::judge::Reason;

/// What a row was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A user.
    Person,
    /// Someone who requested a code.
    Lead,
    /// An interest.
    Interest,
    /// Nobody knows: it cannot be read.
    Row,
}

impl Subject {
    /// The name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Lead => "lead",
            Self::Interest => "interest",
            Self::Row => "row",
        }
    }
}

/// What became of a row that did not simply come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It does not come.
    Refused(Reason),
    /// Its number went to the user with this id.
    Merged(String),
    /// It comes without these fields.
    Incomplete(Vec<&'static str>),
}

/// A line of the report: a row that did not come, or not whole. There is no phone and no name in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What the row was about.
    pub subject: Subject,
    /// The line, or the number of the row or element.
    pub place: u64,
    /// The id in the other system; empty if there is none.
    pub old_id: String,
    /// What became of it.
    pub outcome: Outcome,
}

impl Line {
    /// The line as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut line = Map::new();
        line.insert("subject".to_owned(), self.subject.as_str().into());
        line.insert("row".to_owned(), self.place.into());
        let old_id = (!self.old_id.is_empty()).then(|| self.old_id.clone());
        line.insert("old_id".to_owned(), old_id.into());
        let more = match &self.outcome {
            Outcome::Refused(reason) => {
                json!({"outcome": "refused", "reason": reason.as_str(), "sentence": reason.to_string()})
            }
            Outcome::Merged(into) => {
                json!({"outcome": "merged", "reason": "same_number", "into_old_id": into})
            }
            Outcome::Incomplete(fields) => json!({"outcome": "incomplete", "left_out": fields}),
        };
        if let Value::Object(more) = more {
            line.extend(more);
        }
        Value::Object(line)
    }
}

/// The line as text.
impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.subject.as_str(), self.place)?;
        if !self.old_id.is_empty() {
            write!(f, " (id {})", self.old_id)?;
        }
        match &self.outcome {
            Outcome::Refused(reason) => write!(f, ": refused, {}: {reason}", reason.as_str()),
            Outcome::Merged(into) => write!(f, ": merged into id {into}, which has the same number"),
            Outcome::Incomplete(fields) => write!(f, ": came without {}", fields.join(", ")),
        }
    }
}

/// How many rows became what. In a dry run: would become.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that were read.
    pub rows: u64,
    /// People who got an account.
    pub accounts: u64,
    /// Of them, those with rights.
    pub staff: u64,
    /// Of them, those who lack a field.
    pub incomplete: u64,
    /// People whose number went to another one.
    pub merged: u64,
    /// People who became a lead, and rows of leads.
    pub leads: u64,
    /// Interests that were added.
    pub interests: u64,
    /// Rows that an earlier run brought, or that were there: interests with the same name, and leads whose phone has an account
    /// or a lead.
    pub already_there: u64,
    /// Rows that do not come.
    pub refused: u64,
}

impl Counts {
    /// The numbers with their names.
    #[must_use]
    pub fn all(&self) -> [(&'static str, u64); 9] {
        [
            ("rows", self.rows),
            ("accounts", self.accounts),
            ("staff", self.staff),
            ("incomplete", self.incomplete),
            ("merged", self.merged),
            ("leads", self.leads),
            ("interests", self.interests),
            ("already_there", self.already_there),
            ("refused", self.refused),
        ]
    }

    /// The numbers as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.all().into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect())
    }

    /// Whether anything was written, or would be.
    #[must_use]
    pub fn changes_something(&self) -> bool {
        self.accounts + self.merged + self.leads + self.interests > 0
    }
}
