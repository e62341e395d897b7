//! Tables of the rules of leads.

use super::*;
use crate::{phone::Region, search::Lookup};

fn wanted(query: &[(&str, &'static str)]) -> (Wanted, Vec<FieldProblem>) {
    let india: Region = "IN".parse().unwrap();
    let text = |name: &str| query.iter().find(|(field, _)| *field == name).map(|(_, text)| *text);
    Wanted::parse(text, india, chrono_tz::Asia::Kolkata)
}

#[test]
fn only_proof_converts_and_nothing_turns_back() {
    use State::{Contacted, Converted, Lost, New, Waiting};
    for (from, to, step) in [
        (New, New, Step::Stays),
        (New, Contacted, Step::Moves),
        (New, Lost, Step::Moves),
        (New, Converted, Step::NeedsProof),
        (Waiting, Waiting, Step::Stays),
        (Waiting, New, Step::Moves),
        (Waiting, Contacted, Step::Moves),
        (Waiting, Lost, Step::Moves),
        (Waiting, Converted, Step::NeedsProof),
        (Converted, Waiting, Step::IsConverted),
        (Contacted, New, Step::Moves),
        (Contacted, Contacted, Step::Stays),
        (Contacted, Lost, Step::Moves),
        (Contacted, Converted, Step::NeedsProof),
        (Lost, New, Step::Moves),
        (Lost, Contacted, Step::Moves),
        (Lost, Lost, Step::Stays),
        (Lost, Converted, Step::NeedsProof),
        (Converted, New, Step::IsConverted),
        (Converted, Contacted, Step::IsConverted),
        (Converted, Lost, Step::IsConverted),
        (Converted, Converted, Step::Stays),
    ] {
        assert_eq!(from.step_to(to), step, "{from:?} to {to:?}");
    }
}

#[test]
fn a_lead_that_was_worked_on_can_ask_again() {
    let at = DateTime::<Utc>::UNIX_EPOCH;
    let lead = |state, asked: i64, changed: Option<i64>| {
        let after = |seconds| at + chrono::Duration::seconds(seconds);
        Lead {
            id: Uuid::nil(),
            phone: PhoneNumber::from_e164("+916205829376").unwrap(),
            country: "IN".to_owned(),
            name: None,
            source: Source::Signup,
            state,
            requests: 1,
            first_requested_at: at,
            last_requested_at: after(asked),
            converted_at: None,
            changed_at: changed.map(after),
            changed_by: None,
            version: 0,
        }
    };
    for (state, asked, changed, again) in [
        (State::Lost, 11, Some(10), true),
        (State::Lost, 10, Some(10), false),
        (State::Lost, 9, Some(10), false),
        (State::Lost, 11, None, false),
        (State::Contacted, 11, Some(10), true),
        (State::New, 11, Some(10), false),
        (State::Converted, 11, Some(10), false),
    ] {
        assert_eq!(lead(state, asked, changed).asks_again(), again, "{state:?} {asked} {changed:?}");
    }
}

#[test]
fn what_a_name_may_be() {
    for text in ["Asha", "<script>alert(1)</script>", "محمد", "= 1", "A"] {
        assert_eq!(LeadName::parse(&format!("  {text} ")).unwrap().unwrap().as_str(), text);
    }
    let marks = format!("a{}", "\u{301}".repeat(100));
    assert_eq!(LeadName::parse(&marks).unwrap().unwrap().as_str(), marks);
    assert_eq!(LeadName::parse(" "), Ok(None));
    for (text, why) in [
        ("a\nb", TextError::ControlInName),
        ("a\0", TextError::ControlInName),
        ("a\t", TextError::ControlInName),
        ("a\u{2028}b", TextError::ControlInName),
        ("a\u{202e}b", TextError::DeceptiveName),
    ] {
        assert_eq!(LeadName::parse(text), Err(why), "{text:?}");
    }
    assert!(LeadName::parse(&"ग".repeat(LONGEST_NAME)).is_ok());
    assert_eq!(LeadName::parse(&"ग".repeat(LONGEST_NAME + 1)), Err(TextError::LongName));
}

#[test]
fn what_a_note_may_be() {
    assert_eq!(NoteText::parse(" call back\r\non Monday\r\n").unwrap().as_str(), "call back\non Monday");
    for (text, why) in [
        ("", TextError::EmptyNote),
        (" \r\n ", TextError::EmptyNote),
        ("a\0b", TextError::ControlInNote),
        ("a\tb", TextError::ControlInNote),
        ("a\rb", TextError::ControlInNote),
        ("a\u{1b}[31m", TextError::ControlInNote),
        ("a\u{202e}b", TextError::DeceptiveNote),
    ] {
        assert_eq!(NoteText::parse(text), Err(why), "{text:?}");
    }
    assert!(NoteText::parse(&"ग".repeat(LONGEST_NOTE)).is_ok());
    assert_eq!(NoteText::parse(&"ग".repeat(LONGEST_NOTE + 1)), Err(TextError::LongNote));
    assert_eq!(
        format!("{:?} {:?}", NoteText::parse("Asha"), LeadName::parse("Asha")),
        "Ok(NoteText(..)) Ok(Some(LeadName(..)))"
    );
}

#[test]
fn a_query_filters_and_sorts() {
    let (all, problems) = wanted(&[]);
    assert_eq!((all, problems), (Wanted::default(), vec![]));
    let (all, problems) = wanted(&[("q", " "), ("state", ""), ("last_to", ""), ("sort", "")]);
    assert_eq!((all, problems), (Wanted::default(), vec![]));
    let (some, problems) = wanted(&[
        ("state", "lost"),
        ("verified", "no"),
        ("country", "gb"),
        ("source", "login"),
        ("first_from", "2026-03-14"),
        ("first_to", "2026-03-14"),
        ("last_to", "2026-03-15"),
        ("sort", "first"),
    ]);
    assert_eq!(problems, []);
    let time = |text: &str| Some(DateTime::parse_from_rfc3339(text).unwrap().to_utc());
    assert_eq!(
        some,
        Wanted {
            filter: Filter {
                search: None,
                state: Some(State::Lost),
                is_verified: Some(false),
                country: Some("GB".to_owned()),
                source: Some(Source::Login),
                first_from: time("2026-03-13T18:30:00Z"),
                first_before: time("2026-03-14T18:30:00Z"),
                last_from: None,
                last_before: time("2026-03-15T18:30:00Z"),
            },
            sort: Sort::FirstOldest,
        }
    );
    let (some, _) = wanted(&[("q", " +91 620 ")]);
    assert!(matches!(some.filter.search, Some(Lookup::Number(_))));
    assert_eq!(wanted(&[("country", "--")]).0.filter.country.as_deref(), Some(NO_COUNTRY));
}

#[test]
fn every_wrong_field_is_named_and_filters_nothing() {
    let (some, problems) = wanted(&[
        ("q", "a\0"),
        ("state", "old"),
        ("verified", "true"),
        ("country", "India"),
        ("source", "web"),
        ("first_from", "14.03.2026"),
        ("first_to", "2026-02-30"),
        ("last_from", "+12026-01-01"),
        ("last_to", "2026-1-1"),
        ("sort", "name"),
    ]);
    assert_eq!(some, Wanted::default());
    let mut fields: Vec<&str> = problems.iter().map(|problem| problem.field).collect();
    fields.sort_unstable();
    let mut all = Wanted::FIELDS;
    all.sort_unstable();
    assert_eq!(fields, all);
    let (some, problems) =
        wanted(&[("last_from", "2026-03-15"), ("last_to", "2026-03-14"), ("state", "new")]);
    assert_eq!(problems.iter().map(|problem| problem.field).collect::<Vec<_>>(), ["last_to"]);
    assert_eq!((some.filter.state, some.filter.last_before), (Some(State::New), None));
    assert!(some.filter.last_from.is_some());
}
