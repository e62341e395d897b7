//! Moving in: rows of another system become accounts, leads and interests of this one.
//!
//! Every source gives the same rows ([`Row`]), as texts. [`judge()`] decides what becomes of a person, [`Groups`] what becomes of
//! several people who have one number. `docs/MOVING.md` describes the rules.
//!
//! To add a source: a variant of [`Source`], a reader that makes rows (a file of the crate `import_formats`, or a table in
//! `store/original.rs`), its arm in `commands/import.rs`, and its section in `docs/MOVING.md`.

mod judge;
mod merge;
mod report;
mod row;
mod text;

#[cfg(test)]
mod tests;

pub use self::{
    judge::{Judged, Newcomer, Prospect, Reason, Rules, judge, judge_lead},
    merge::{Census, Group, Groups, Merged},
    report::{Counts, Line, Outcome, Subject},
    row::{FormerInterest, FormerLead, FormerPhone, Person, Row, Source, UnknownSource},
    text::{is_like_a_phone, parse_time},
};
