//! A country changes its numbering plan: which numbers get a new one, and which.
//!
//! Both plans are patterns with as many `X`: `+225X7XXXXXX` becomes `+22507X7XXXXXX`. An `X` is a digit that is kept, in its order;
//! every other digit is that digit.

use std::{fmt, str::FromStr};

use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

use super::phone::PhoneNumber;

/// The fewest and the most digits of a number in E.164 that is stored.
const SHORTEST: usize = 7;
const LONGEST: usize = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Digit(u8),
    Kept,
}

/// The numbers of a plan: a plus, digits, and an `X` for each digit that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Slot>);

/// The text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "must be a plus and {SHORTEST} to {LONGEST} digits or X, such as +225XXXXXXXX; it begins with the digits of the country"
)]
pub struct NoPattern;

impl FromStr for Pattern {
    type Err = NoPattern;

    fn from_str(text: &str) -> Result<Self, NoPattern> {
        let digits = text.strip_prefix('+').ok_or(NoPattern)?;
        let slot = |byte: u8| match byte {
            b'0'..=b'9' => Some(Slot::Digit(byte)),
            b'X' | b'x' => Some(Slot::Kept),
            _ => None,
        };
        let slots: Vec<Slot> = digits.bytes().map(slot).collect::<Option<_>>().ok_or(NoPattern)?;
        let begins = matches!(slots.first(), Some(Slot::Digit(b'1'..=b'9')));
        if begins && (SHORTEST..=LONGEST).contains(&slots.len()) { Ok(Self(slots)) } else { Err(NoPattern) }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("+")?;
        self.0.iter().try_for_each(|slot| match slot {
            Slot::Digit(digit) => write!(f, "{}", char::from(*digit)),
            Slot::Kept => f.write_str("X"),
        })
    }
}

impl Pattern {
    fn kept(&self) -> usize {
        self.0.iter().filter(|slot| **slot == Slot::Kept).count()
    }

    /// The digits that are kept, if the number is one of this pattern.
    fn read(&self, phone: &PhoneNumber) -> Option<Vec<u8>> {
        let digits = phone.full().trim_start_matches('+').as_bytes();
        if digits.len() != self.0.len() {
            return None;
        }
        let mut kept = Vec::with_capacity(digits.len());
        for (slot, digit) in self.0.iter().zip(digits) {
            match slot {
                Slot::Digit(wanted) if wanted != digit => return None,
                Slot::Digit(_) => {}
                Slot::Kept => kept.push(*digit),
            }
        }
        Some(kept)
    }

    fn fill(&self, kept: &[u8]) -> String {
        let mut kept = kept.iter();
        let digit = |slot: &Slot| match slot {
            Slot::Digit(digit) => Some(char::from(*digit)),
            Slot::Kept => kept.next().map(|digit| char::from(*digit)),
        };
        self.0.iter().filter_map(digit).collect()
    }

    /// Whether a number can be one of both patterns.
    fn overlaps(&self, other: &Self) -> bool {
        let differ = |pair: (&Slot, &Slot)| match pair {
            (Slot::Digit(one), Slot::Digit(other)) => one != other,
            (Slot::Kept, _) | (_, Slot::Kept) => false,
        };
        self.0.len() == other.0.len() && !self.0.iter().zip(&other.0).any(differ)
    }

    /// The text that each number of the pattern begins with: a plus and digits.
    #[must_use]
    pub fn beginning(&self) -> String {
        let digits = self.0.iter().map_while(|slot| match slot {
            Slot::Digit(digit) => Some(char::from(*digit)),
            Slot::Kept => None,
        });
        std::iter::once('+').chain(digits).collect()
    }
}

/// Why two patterns are no change of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoRenumbering {
    /// A digit would be lost, or have to be made up.
    #[error("--from and --to must have the same number of X: every digit that is kept is in both")]
    Kept,
    /// A second run would change numbers that the first one made.
    #[error(
        "a number of --to can be one of --from too, so a second run would change it again: write more digits instead of X"
    )]
    Overlap,
}

/// A change of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renumbering {
    from: Pattern,
    to: Pattern,
}

/// What becomes of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It is no number of the old plan.
    Other,
    /// Its new number, which is one that can get messages.
    Moves(PhoneNumber),
    /// Its new number does not exist in the numbering plans of this version.
    NotInPlan,
}

/// A part of the new number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These digits; the first part begins with the plus.
    Text(String),
    /// So many characters of the old number, from this one on, counted from 1.
    Kept {
        /// The first one. The plus is the first of the number.
        from: usize,
        /// How many.
        length: usize,
    },
}

impl Renumbering {
    /// Both patterns of a change.
    ///
    /// # Errors
    /// When a second run would do harm, or digits do not fit.
    pub fn new(from: Pattern, to: Pattern) -> Result<Self, NoRenumbering> {
        if from.kept() != to.kept() {
            Err(NoRenumbering::Kept)
        } else if from.overlaps(&to) {
            Err(NoRenumbering::Overlap)
        } else {
            Ok(Self { from, to })
        }
    }

    /// The old plan.
    #[must_use]
    pub fn from(&self) -> &Pattern {
        &self.from
    }

    /// The new plan.
    #[must_use]
    pub fn to(&self) -> &Pattern {
        &self.to
    }

    /// What becomes of a number.
    #[must_use]
    pub fn judge(&self, phone: &PhoneNumber) -> Judged {
        match self.from.read(phone) {
            None => Judged::Other,
            Some(kept) => {
                PhoneNumber::from_digits(&self.to.fill(&kept)).map_or(Judged::NotInPlan, Judged::Moves)
            }
        }
    }

    /// How the new number is made of the old one, for a statement that changes many.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let places = self.from.0.iter().enumerate().filter(|(_, slot)| **slot == Slot::Kept);
        let mut places = places.map(|(at, _)| at + 2);
        let mut parts = vec![Part::Text("+".to_owned())];
        for slot in &self.to.0 {
            match (slot, parts.last_mut()) {
                (Slot::Digit(digit), Some(Part::Text(text))) => text.push(char::from(*digit)),
                (Slot::Digit(digit), _) => parts.push(Part::Text(char::from(*digit).to_string())),
                (Slot::Kept, last) => {
                    let Some(place) = places.next() else { continue };
                    match last {
                        Some(Part::Kept { from, length }) if *from + *length == place => *length += 1,
                        _ => parts.push(Part::Kept { from: place, length: 1 }),
                    }
                }
            }
        }
        parts
    }
}

/// What a row of the report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// An account.
    Account,
    /// A lead.
    Lead,
    /// A block.
    Block,
}

impl Row {
    /// The name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Lead => "lead",
            Self::Block => "block",
        }
    }
}

/// Why a row keeps its number; `Display` is a sentence for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Reason {
    /// The new number does not exist.
    #[error("its new number is not in the numbering plans of this version")]
    NotInPlan,
    /// Another account has the new number.
    #[error("the account {0} has its new number: join the two in the console")]
    Taken(Uuid),
    /// Others took numbers again and again.
    #[error("its new number was being taken while it was written: run this again")]
    Busy,
    /// It blocks more than one number.
    #[error("it blocks all numbers that begin with digits of the old plan: check it by hand")]
    Prefix,
}

impl Reason {
    /// The name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotInPlan => "not_in_plan",
            Self::Taken(_) => "taken",
            Self::Busy => "busy",
            Self::Prefix => "prefix",
        }
    }
}

/// A line of the report: a row that keeps its number. There is no phone in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// What the row is about.
    pub row: Row,
    /// Its id.
    pub id: Uuid,
    /// Why.
    pub reason: Reason,
}

impl Conflict {
    /// The line as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let taken_by = match self.reason {
            Reason::Taken(id) => Some(id.to_string()),
            Reason::NotInPlan | Reason::Busy | Reason::Prefix => None,
        };
        json!({
            "subject": self.row.as_str(),
            "id": self.id.to_string(),
            "reason": self.reason.as_str(),
            "sentence": self.reason.to_string(),
            "taken_by": taken_by,
        })
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}: {}", self.row.as_str(), self.id, self.reason.as_str(), self.reason)
    }
}

/// How many rows got a new number. In a dry run: would get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accounts.
    pub accounts: u64,
    /// Leads.
    pub leads: u64,
    /// Blocks.
    pub blocks: u64,
    /// Rows that keep their number.
    pub conflicts: u64,
}

impl Counts {
    /// The numbers with their names.
    #[must_use]
    pub fn all(&self) -> [(&'static str, u64); 4] {
        [
            ("accounts", self.accounts),
            ("leads", self.leads),
            ("blocks", self.blocks),
            ("conflicts", self.conflicts),
        ]
    }

    /// The numbers as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.all().into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    fn change(from: &str, to: &str) -> Result<Renumbering, NoRenumbering> {
        Renumbering::new(pattern(from), pattern(to))
    }

    #[test]
    fn a_pattern_is_a_plus_digits_and_x() {
        for text in ["+225XXXXXXXX", "+22507XXXXXXXX", "+225X7XXXXXX", "+1234567", "+123456789012345"] {
            assert_eq!(pattern(text).to_string(), text);
        }
        assert_eq!(pattern("+225xxxxxxxx"), pattern("+225XXXXXXXX"));
        for text in [
            "",
            "+",
            "225XXXXXXXX",
            "+XXXXXXXXXXX",
            "+0225XXXXXX",
            "+225XXX",
            "+225 XXXXXXXX",
            "+225YYYYYYYY",
            "+1234567890123456",
            "+२२५XXXXXXXX",
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(NoPattern), "{text}");
        }
        assert_eq!(
            (pattern("+225XXXXXXXX").beginning(), pattern("+225X7XXXXXX").beginning()),
            ("+225".into(), "+225".into())
        );
    }

    #[test]
    fn digits_are_neither_lost_nor_changed_twice() {
        for (from, to, expected) in [
            ("+225XXXXXXXX", "+22507XXXXXXXX", None),
            ("+229XXXXXXXX", "+22901XXXXXXXX", None),
            ("+225X7XXXXXX", "+22507X7XXXXXX", None),
            ("+38144XXXXXX", "+38344XXXXXX", None),
            ("+225XXXXXXXX", "+22507XXXXXXX", Some(NoRenumbering::Kept)),
            ("+225XXXXXXXX", "+225XXXXXXXX", Some(NoRenumbering::Overlap)),
            ("+2250XXXXXXX", "+225X1XXXXXX", Some(NoRenumbering::Overlap)),
            ("+22501XXXXXX", "+22502XXXXXX", None),
        ] {
            assert_eq!(change(from, to).err(), expected, "{from} {to}");
        }
    }

    #[test]
    fn numbers_of_the_old_plan_get_one_of_the_new_plan() {
        let phone = |text: &str| PhoneNumber::from_e164(text).unwrap();
        for (from, to, old, expected) in [
            ("+225X7XXXXXX", "+22507X7XXXXXX", "+22507123456", Some("+2250707123456")),
            ("+225X7XXXXXX", "+22507X7XXXXXX", "+22547123456", Some("+2250747123456")),
            ("+225X7XXXXXX", "+22507X7XXXXXX", "+22505123456", None),
            ("+225XXXXXXXX", "+22507XXXXXXXX", "+2250707123456", None),
            ("+229XXXXXXXX", "+22901XXXXXXXX", "+22990123456", Some("+2290190123456")),
            ("+229XXXXXXXX", "+22901XXXXXXXX", "+919876543210", None),
        ] {
            let judged = change(from, to).unwrap().judge(&phone(old));
            let expected = expected.map_or(Judged::Other, |new| Judged::Moves(phone(new)));
            assert_eq!(judged, expected, "{old}");
        }
        // Benin has no number that begins with 04 after its new 01.
        let benin = change("+229XXXXXXXX", "+22904XXXXXXXX").unwrap();
        assert_eq!(benin.judge(&phone("+22990123456")), Judged::NotInPlan);
    }

    #[test]
    fn the_parts_make_the_same_number_as_the_rule() {
        for (from, to, old) in [
            ("+225XXXXXXXX", "+22507XXXXXXXX", "+22507123456"),
            ("+225X7XXXXXX", "+22507X7XXXXXX", "+22547123456"),
            ("+22X5X7XXXXX", "+22X05X17XXXXX", "+22651712345"),
        ] {
            let change = change(from, to).unwrap();
            let part = |part: Part| match part {
                Part::Text(text) => text,
                Part::Kept { from, length } => old[from - 1..from - 1 + length].to_owned(),
            };
            let made: String = change.parts().into_iter().map(part).collect();
            let kept = change.from.read(&PhoneNumber::from_e164(old).unwrap()).unwrap();
            assert_eq!(made, format!("+{}", change.to.fill(&kept)), "{from} {to}");
        }
    }
}
