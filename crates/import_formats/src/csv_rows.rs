//! CSV with a header (RFC 4180).

use std::{
    cell::Cell,
    collections::HashSet,
    io::{self, Read},
    rc::Rc,
};

use csv::{ErrorKind, ReaderBuilder, StringRecord};
use serde_json::{Map, Value};

use super::{ReadError, Take};

/// The longest row in bytes. One that is longer begins with a quote that nothing closes, and would be the rest of the file.
const LONGEST_ROW: u64 = 1 << 20;

/// The longest name of a column in an error, in bytes, and the most of them.
const LONGEST_NAME: usize = 40;
const MOST_TOLD: usize = 10;

/// A file that ends with an error where a row is too long.
struct Limited<R> {
    file: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let left = self.left.get().checked_sub(u64::try_from(read).unwrap_or(u64::MAX));
        self.left.set(left.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?);
        Ok(read)
    }
}

/// Reads a file. `columns` are all that it may have; the first one is needed.
pub(crate) fn read(
    file: impl Read,
    columns: Option<&'static [&'static str]>,
    take: &mut Take<'_>,
) -> Result<(), ReadError> {
    let left = Rc::new(Cell::new(LONGEST_ROW));
    let file = Limited { file, left: Rc::clone(&left) };
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(file);
    let header: Vec<String> = reader
        .headers()
        .map_err(|problem| error(problem, 1))?
        .iter()
        .map(|name| name.trim().to_owned())
        .collect();
    check(&header, columns)?;
    let mut row = StringRecord::new();
    loop {
        left.set(LONGEST_ROW);
        let line = reader.position().line();
        match reader.read_record(&mut row) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                // With another number of values a value would be taken for that of another column.
                let record = (row.len() == header.len()).then(|| record(&header, &row));
                if !take(line_of(&row), record) {
                    return Ok(());
                }
            }
            // Text that is not UTF-8: the next row can be read.
            Err(problem) if matches!(problem.kind(), ErrorKind::Utf8 { .. }) => {
                let line = problem.position().map_or(0, csv::Position::line);
                if !take(line, None) {
                    return Ok(());
                }
            }
            Err(problem) => return Err(error(problem, line)),
        }
    }
}

fn check(header: &[String], columns: Option<&'static [&'static str]>) -> Result<(), ReadError> {
    let is_known = |name: &str| columns.is_none_or(|columns| columns.contains(&name));
    if let Some(columns) = columns.filter(|_| !header.iter().any(|name| is_known(name))) {
        return Err(ReadError::NoHeader(columns.join(", ")));
    }
    let numbered = || (1..).zip(header);
    let mut unknown = numbered().filter(|(_, name)| !is_known(name));
    let mut told: Vec<String> =
        unknown.by_ref().take(MOST_TOLD).map(|(number, name)| column(number, name)).collect();
    let more = unknown.count();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    if !told.is_empty() {
        return Err(ReadError::UnknownColumns(told.join(", ")));
    }
    let mut seen = HashSet::new();
    if let Some((number, name)) = numbered().find(|(_, name)| !name.is_empty() && !seen.insert(*name)) {
        return Err(ReadError::ColumnTwice(column(number, name)));
    }
    let needed = columns.and_then(|columns| columns.first());
    match needed.filter(|needed| !header.iter().any(|name| name == *needed)) {
        Some(needed) => Err(ReadError::MissingColumn(needed)),
        None => Ok(()),
    }
}

/// How an error names a column. Without a header the first line is a user, so only a text that looks like a name is told.
fn column(number: usize, name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.' | '-');
    if (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_plain) {
        name.to_owned()
    } else {
        format!("number {number}")
    }
}

fn line_of(row: &StringRecord) -> u64 {
    row.position().map_or(0, csv::Position::line)
}

fn record(header: &[String], row: &StringRecord) -> Map<String, Value> {
    let named = header.iter().zip(row.iter()).filter(|(_, value)| !value.trim().is_empty());
    named.map(|(name, value)| (name.clone(), Value::String(value.to_owned()))).collect()
}

/// What an error means that occurred in the row that begins at this line.
fn error(error: csv::Error, line: u64) -> ReadError {
    match error.into_kind() {
        ErrorKind::Io(error) if error.kind() == io::ErrorKind::InvalidData => ReadError::LongRow { line },
        ErrorKind::Io(error) => error.into(),
        _ => ReadError::Csv { line },
    }
}
