//! Keyset pagination: a page begins after the last row of the page before, so that every page is as fast as the first, and
//! none repeats or skips a row when others change.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Datelike, Utc};
use thiserror::Error;
use uuid::Uuid;

/// The longest cursor that is read, in bytes.
const LONGEST: usize = 600;

/// The place of a row in a sorted list: the value that it is sorted by, as text, and its id, which decides among equals.
/// Clients see it as an opaque text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The value of the sort column.
    pub value: String,
    /// The id of the row.
    pub id: Uuid,
}

/// The text is not a cursor of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Cursor must be the one that the page before gave")]
pub struct InvalidCursor;

impl Cursor {
    /// A cursor of a list that is sorted by time.
    #[must_use]
    pub fn at(time: DateTime<Utc>, id: Uuid) -> Self {
        Self { value: time.timestamp_micros().to_string(), id }
    }

    /// The time of a list that is sorted by time.
    pub fn time(&self) -> Result<DateTime<Utc>, InvalidCursor> {
        let micros = self.value.parse().map_err(|_| InvalidCursor)?;
        let time = DateTime::from_timestamp_micros(micros).ok_or(InvalidCursor)?;
        // PostgreSQL knows no time before 4713 BC, and SQLite compares years of four digits.
        if (1..=9_999).contains(&time.year()) { Ok(time) } else { Err(InvalidCursor) }
    }

    /// Reads the text of a cursor.
    pub fn parse(text: &str) -> Result<Self, InvalidCursor> {
        if text.len() > LONGEST {
            return Err(InvalidCursor);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let text = String::from_utf8(bytes).map_err(|_| InvalidCursor)?;
        let (id, value) = text.split_once(' ').ok_or(InvalidCursor)?;
        if value.contains(char::is_control) {
            return Err(InvalidCursor);
        }
        Ok(Self { value: value.to_owned(), id: id.parse().map_err(|_| InvalidCursor)? })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(format!("{} {}", self.id.simple(), self.value)))
    }
}

/// A page of a list, and the cursor of the next page if there is one.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// A page of this size from rows of which one more was read.
    #[must_use]
    pub fn new(mut rows: Vec<T>, size: usize, cursor: impl Fn(&T) -> Cursor) -> Self {
        let has_more = rows.len() > size;
        rows.truncate(size);
        let next = rows.last().filter(|_| has_more).map(cursor);
        Self { items: rows, next }
    }
}

/// How many rows match, counted up to a limit: the exact number of many rows would cost a scan of them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(u64);

impl Count {
    /// Counting stops one row after this.
    pub const MOST: u64 = 10_000;

    /// From a count that stopped at [`Self::MOST`] and one.
    #[must_use]
    pub fn new(counted: u64) -> Self {
        Self(counted)
    }
}

/// `0`, `7`, `9,999`, `10,000+`.
impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plus = if self.0 > Self::MOST { "+" } else { "" };
        let shown = self.0.min(Self::MOST);
        if shown >= 1_000 {
            write!(f, "{},{:03}{plus}", shown / 1_000, shown % 1_000)
        } else {
            write!(f, "{shown}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let time = DateTime::from_timestamp_micros(1_773_480_413_589_793).unwrap();
        let cursor = Cursor::at(time, Uuid::from_u128(7));
        let read = Cursor::parse(&cursor.to_string()).unwrap();
        assert_eq!((read.clone(), read.time()), (cursor, Ok(time)));
        let named = Cursor { value: "अनीता b".to_owned(), id: Uuid::from_u128(7) };
        assert_eq!(Cursor::parse(&named.to_string()), Ok(named.clone()));
        assert_eq!(named.time(), Err(InvalidCursor));
        let ancient = Cursor { value: "-377705116800000001".to_owned(), id: Uuid::from_u128(7) };
        assert_eq!(ancient.time(), Err(InvalidCursor));
        for bad in ["", "x", "!", "eA", &"A".repeat(700), &URL_SAFE_NO_PAD.encode("7 x")] {
            assert_eq!(Cursor::parse(bad), Err(InvalidCursor), "{bad}");
        }
    }

    #[test]
    fn a_page_knows_whether_another_follows() {
        let cursor = |n: &u128| Cursor { value: n.to_string(), id: Uuid::from_u128(*n) };
        let page = Page::new(vec![1, 2, 3], 2, cursor);
        assert_eq!((page.items, page.next.map(|next| next.value)), (vec![1, 2], Some("2".to_owned())));
        let last = Page::new(vec![1, 2], 2, cursor);
        assert_eq!((last.items, last.next), (vec![1, 2], None));
    }

    #[test]
    fn a_count_stops() {
        for (counted, shown) in [(0, "0"), (7, "7"), (999, "999"), (1_000, "1,000"), (9_005, "9,005")] {
            assert_eq!(Count::new(counted).to_string(), shown);
        }
        assert_eq!(Count::new(10_000).to_string(), "10,000");
        assert_eq!(Count::new(10_001).to_string(), "10,000+");
    }
}
