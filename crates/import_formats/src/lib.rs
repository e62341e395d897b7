//! Reads the files that other services export, row by row: no file is ever in memory as a whole.
//!
//! A file is CSV, one JSON document with a list of users, or one JSON object on each line (NDJSON); its beginning tells which.
//! Every row becomes the same kind of record, and a function for each service makes a person of it.
//!
//! To add a service: a file with a function like [`firebase::person`], and its arm in [`read`].

mod auth0;
mod cognito;
mod csv_rows;
mod firebase;
mod json;
mod own;
mod record;
mod supabase;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
};

use domain::import::{Person, Row, Source};
use record::Record;

/// The longest line of NDJSON in bytes. A user has a few thousand.
const LONGEST_LINE: u64 = 1 << 20;

/// Why a file cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    /// The text is no JSON. The position is in the message of the cause, and no content.
    #[error("the file is not valid JSON at line {line}, column {column}")]
    Json {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// The text is no CSV.
    #[error("the file is not valid CSV at line {line}")]
    Csv {
        /// The line.
        line: u64,
    },
    /// A row of a CSV file has no end.
    #[error("the row that begins at line {line} has more than a megabyte: is a quote not closed?")]
    LongRow {
        /// The line.
        line: u64,
    },
    /// There is no list of users.
    #[error("the file holds no list of users")]
    NoUsers,
    /// The first line of a CSV file names no column: it may be a user.
    #[error(
        "the CSV file has no header that is known: its first line must name columns, separated by commas, of {0}"
    )]
    NoHeader(String),
    /// The header of a CSV file has columns that nobody reads.
    #[error("the CSV file has columns that are not known: {0}. docs/MOVING.md lists those that are")]
    UnknownColumns(String),
    /// The header of a CSV file names a column twice, and one of both would be lost.
    #[error("the header of the CSV file has a column twice: {0}")]
    ColumnTwice(String),
    /// The header of a CSV file lacks a column.
    #[error("the CSV file has no column {0}")]
    MissingColumn(&'static str),
    /// The format is not read for this service.
    #[error("{0}")]
    Unsupported(&'static str),
}

impl From<serde_json::Error> for ReadError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        if error.is_io() { Self::Io(error.into()) } else { Self::Json { line, column } }
    }
}

/// Reads a file to its end, and hands over each row. Stops early when `take` returns false.
///
/// # Errors
/// When the file cannot be read further. A single row that cannot be understood is handed over as [`Row::Unreadable`].
pub fn read(source: Source, path: &Path, take: &mut dyn FnMut(Row) -> bool) -> Result<(), ReadError> {
    read_rows(source, BufReader::with_capacity(1 << 16, File::open(path)?), take)
}

fn read_rows(source: Source, file: impl BufRead, take: &mut dyn FnMut(Row) -> bool) -> Result<(), ReadError> {
    let parse: fn(Record<'_>) -> Option<Person> = match source {
        Source::Loopin => return Err(ReadError::Unsupported("the original is read from its database")),
        Source::Firebase => firebase::person,
        Source::Supabase => supabase::person,
        Source::Auth0 => auth0::person,
        Source::Cognito => cognito::person,
        Source::Csv => own::person,
    };
    read_from(source, file, &mut |place, record| {
        let person = record.and_then(|record| parse(Record(&record)));
        take(
            person.map_or(Row::Unreadable(place), |person| Row::Person(Box::new(Person { place, ..person }))),
        )
    })
}

/// Takes the place of a row, and its record if it could be read. Returns whether to go on.
type Take<'a> = dyn FnMut(u64, Option<serde_json::Map<String, serde_json::Value>>) -> bool + 'a;

fn read_from(source: Source, mut file: impl BufRead, take: &mut Take<'_>) -> Result<(), ReadError> {
    skip_mark_and_space(&mut file)?;
    let first = file.fill_buf()?.first().copied();
    let (is_lines, beginning) = json::has_lines(&mut file)?;
    let file = Cursor::new(beginning).chain(file);
    match (source, first) {
        (_, None) => Ok(()),
        (Source::Csv, _) => csv_rows::read(file, Some(own::COLUMNS), take),
        (_, Some(b'[')) => json::read_documents(file, take),
        _ if is_lines => json::read_lines(file, take),
        (_, Some(b'{')) => json::read_documents(file, take),
        (Source::Firebase, _) => Err(ReadError::Unsupported(
            "export Firebase's users with --format=json: its CSV file has no header",
        )),
        (Source::Supabase | Source::Auth0 | Source::Cognito | Source::Loopin, _) => {
            csv_rows::read(file, None, take)
        }
    }
}

/// Skips a byte order mark and white space.
fn skip_mark_and_space(file: &mut impl BufRead) -> io::Result<()> {
    if file.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        file.consume(3);
    }
    while let Some(b' ' | b'\t' | b'\r' | b'\n') = file.fill_buf()?.first() {
        file.consume(1);
    }
    Ok(())
}
