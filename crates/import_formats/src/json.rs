//! JSON: a list of users, an object that holds one, one object on each line, or several documents in one file.

use std::{
    fmt,
    io::{self, BufRead, Read},
};

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, Map, Value};

use super::{LONGEST_LINE, ReadError, Take};

/// The names of the list: Firebase's and Cognito's.
const LISTS: [&str; 2] = ["users", "Users"];

/// Whether the file has one object on each line, and what was read of it. The first line is one, or the second if the first is broken.
pub(crate) fn has_lines(file: &mut impl BufRead) -> io::Result<(bool, Vec<u8>)> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    file.take(LONGEST_LINE).read_until(b'\n', &mut first)?;
    if let Ok(record) = serde_json::from_slice(&first) {
        return Ok((is_user(&record), first));
    }
    // A document whose list begins on this line may have a user on the next one.
    let text = String::from_utf8_lossy(&first);
    if LISTS.iter().any(|list| text.contains(&format!("\"{list}\""))) {
        return Ok((false, first));
    }
    file.take(LONGEST_LINE).read_until(b'\n', &mut second)?;
    let is_lines = serde_json::from_slice(&second).is_ok_and(|record| is_user(&record));
    first.append(&mut second);
    Ok((is_lines, first))
}

fn is_user(record: &Map<String, Value>) -> bool {
    !LISTS.iter().any(|list| record.contains_key(*list))
}

/// A line that is no object is handed over as unreadable, and the next one is read.
pub(crate) fn read_lines(mut file: impl BufRead, take: &mut Take<'_>) -> Result<(), ReadError> {
    let (mut line, mut place) = (Vec::new(), 0);
    loop {
        line.clear();
        place += 1;
        if (&mut file).take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let is_whole = line.ends_with(b"\n") || file.fill_buf()?.is_empty();
        if !is_whole {
            skip_line(&mut file)?;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let record = if is_whole { serde_json::from_slice(&line).ok() } else { None };
        if !take(place, record) {
            return Ok(());
        }
    }
}

fn skip_line(file: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = file.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let (length, is_end) = (end.map_or(buffer.len(), |end| end + 1), end.is_some() || buffer.is_empty());
        file.consume(length);
        if is_end {
            return Ok(());
        }
    }
}

/// Reads documents to the end of the file. Elements are counted over all of them.
pub(crate) fn read_documents(file: impl Read, take: &mut Take<'_>) -> Result<(), ReadError> {
    let mut json = Deserializer::from_reader(file);
    let mut state = State { take, place: 0, has_stopped: false, has_list: false };
    loop {
        match json.end() {
            Ok(()) => break,
            Err(error) if error.is_io() => return Err(error.into()),
            // There is more.
            Err(_) => {}
        }
        match Document(&mut state).deserialize(&mut json) {
            // The error with which the reading was stopped.
            Err(_) if state.has_stopped => return Ok(()),
            result => result?,
        }
    }
    if state.has_list { Ok(()) } else { Err(ReadError::NoUsers) }
}

struct State<'a, 'b> {
    take: &'a mut Take<'b>,
    place: u64,
    has_stopped: bool,
    has_list: bool,
}

struct Document<'s, 'a, 'b>(&'s mut State<'a, 'b>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of users")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        Users(self.0).visit_seq(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key::<String>()? {
            if LISTS.contains(&key.as_str()) {
                object.next_value_seed(Users(self.0))?;
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Users<'s, 'a, 'b>(&'s mut State<'a, 'b>);

impl<'de> DeserializeSeed<'de> for Users<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Users<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of users")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let state = self.0;
        state.has_list = true;
        while let Some(value) = list.next_element::<Value>()? {
            state.place += 1;
            let record = if let Value::Object(record) = value { Some(record) } else { None };
            if !(state.take)(state.place, record) {
                state.has_stopped = true;
                return Err(serde::de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}
