//! Parses `.env`. Values are literal: variables (`$NAME`) are not substituted, and ambiguous lines are refused.
//!
//! - `NAME=value`: up to the end of the line, or to a `#` after a space. Quotes, `$` and `\` inside are literal.
//! - `NAME='value'`: everything up to the next `'` is literal.
//! - `NAME="value"`: `\"`, `\\`, `\$` and `\n` are a quote, a backslash, a dollar sign and a line feed; all else is literal.

/// A line with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) value: String,
}

/// The lines with settings, and the problems of other lines. No problem contains a value, which may be a secret.
pub(super) fn parse(bytes: &[u8]) -> (Vec<Line>, Vec<String>) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return (Vec::new(), vec![".env is not written in UTF-8: save it as UTF-8".to_owned()]);
    };
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut lines, mut problems) = (Vec::new(), Vec::new());
    let mut number = 1;
    while !rest.is_empty() {
        let (line, next) = rest.split_once('\n').unwrap_or((rest, ""));
        let after = match statement(line.trim(), rest) {
            Ok(None) => next,
            Ok(Some(Statement { name, value, after })) => {
                lines.push(Line { number, name: name.to_owned(), value });
                after
            }
            Err(LineError { name, problem }) => {
                let about = name.map(|name| format!(" ({name})")).unwrap_or_default();
                problems.push(format!(".env cannot be read at line {number}{about}: {problem}"));
                next
            }
        };
        let parsed = rest.strip_suffix(after).unwrap_or(rest);
        number += parsed.matches('\n').count();
        rest = after;
    }
    (lines, problems)
}

struct Statement<'a> {
    name: &'a str,
    value: String,
    /// The text below this setting.
    after: &'a str,
}

struct LineError<'a> {
    /// The name, if it is valid.
    name: Option<&'a str>,
    problem: &'static str,
}

/// Parses one setting. `rest` begins with its line and continues to the end of the file, because a quoted value may have
/// several lines.
fn statement<'a>(line: &'a str, rest: &'a str) -> Result<Option<Statement<'a>>, LineError<'a>> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let unnamed = |problem| Err(LineError { name: None, problem });
    let Some((name, _)) = line.split_once('=') else {
        return unnamed("write NAME=value");
    };
    let name = name.trim();
    let name =
        name.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map_or(name, str::trim);
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    if !is_name {
        return unnamed("write NAME=value, with letters, digits and _ in the name");
    }
    let Some((_, rest)) = rest.split_once('=') else {
        return unnamed("write NAME=value");
    };
    let rest = rest.trim_start_matches([' ', '\t']);
    let (value, after) = match rest.chars().next() {
        Some('\'') => single(rest),
        Some('"') => double(rest),
        _ => plain(rest),
    }
    .map_err(|problem| LineError { name: Some(name), problem })?;
    Ok(Some(Statement { name, value, after }))
}

fn plain(rest: &str) -> Result<(String, &str), &'static str> {
    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
    let comment = line.match_indices('#').find(|(place, _)| {
        let before = line.get(..*place).unwrap_or_default();
        before.is_empty() || before.ends_with([' ', '\t'])
    });
    let value = comment.and_then(|(place, _)| line.get(..place)).unwrap_or(line).trim();
    if value.contains([' ', '\t']) {
        return Err("put a value that has spaces into single quotes");
    }
    Ok((value.to_owned(), after))
}

fn single(rest: &str) -> Result<(String, &str), &'static str> {
    let quoted = rest.strip_prefix('\'').unwrap_or(rest);
    let (value, after) = quoted.split_once('\'').ok_or("the single quote is never closed")?;
    Ok((value.to_owned(), end_of_value(after)?))
}

fn double(rest: &str) -> Result<(String, &str), &'static str> {
    let quoted = rest.strip_prefix('"').unwrap_or(rest);
    let mut value = String::new();
    let mut letters = quoted.chars();
    loop {
        match letters.next() {
            None => return Err("the double quote is never closed"),
            Some('"') => return Ok((value, end_of_value(letters.as_str())?)),
            Some('\\') => match letters.next() {
                Some(letter @ ('"' | '\\' | '$')) => value.push(letter),
                Some('n') => value.push('\n'),
                _ => {
                    return Err(
                        "after a \\ in double quotes comes \", \\, $ or n: use single quotes for others",
                    );
                }
            },
            Some(letter) => value.push(letter),
        }
    }
}

/// Checks that only a comment follows a quoted value.
fn end_of_value(after: &str) -> Result<&str, &'static str> {
    let (line, next) = after.split_once('\n').unwrap_or((after, ""));
    let more = line.trim();
    let is_comment = more.starts_with('#') && line.starts_with([' ', '\t']);
    if more.is_empty() || is_comment {
        Ok(next)
    } else {
        Err(
            "something stands after the closing quote: a value with ' in it goes into double quotes, one with \" into single",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<String, String> {
        let (lines, problems) = parse(text.as_bytes());
        match (lines.as_slice(), problems.as_slice()) {
            ([line], []) => Ok(line.value.clone()),
            ([], [problem]) => Err(problem.clone()),
            _ => panic!("{text:?}: {lines:?} {problems:?}"),
        }
    }

    #[test]
    fn a_value_is_what_stands_there() {
        for (text, value) in [
            ("A=kQ9$vX2m", "kQ9$vX2m"),
            ("A='kQ9$vX2m'", "kQ9$vX2m"),
            ("A=\"kQ9$vX2m\"", "kQ9$vX2m"),
            ("A=\"kQ9\\$vX2m\"", "kQ9$vX2m"),
            ("A=${HOME}$PATH", "${HOME}$PATH"),
            ("A=a#b", "a#b"),
            ("A='a #b'", "a #b"),
            ("A=\"a #b\"", "a #b"),
            ("A=a # a comment", "a"),
            ("A='a' # a comment", "a"),
            ("A=# a comment", ""),
            ("A=", ""),
            ("A=''", ""),
            ("A=a\\b", "a\\b"),
            ("A='a\\b'", "a\\b"),
            ("A=\"a\\\\b\"", "a\\b"),
            ("A=a'b", "a'b"),
            ("A=a\"b", "a\"b"),
            ("A=\"a'b\"", "a'b"),
            ("A='a\"b'", "a\"b"),
            ("A=\"a\\\"b\"", "a\"b"),
            ("A=a=b==", "a=b=="),
            ("A=\"two\\nlines\"", "two\nlines"),
            ("A='two\nlines'", "two\nlines"),
            ("export A=b", "b"),
            ("  A = b  ", "b"),
            ("\u{feff}A=b\r\n", "b"),
            ("A='b'\r\n", "b"),
            ("A=गaé", "गaé"),
            ("exported=b", "b"),
        ] {
            assert_eq!(one(text).as_deref(), Ok(value), "{text:?}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused_by_its_line() {
        for (text, said) in [
            ("A=two words", "line 1 (A): put a value that has spaces"),
            ("A='it's'", "line 1 (A): something stands after"),
            ("A='a'b", "line 1 (A): something stands after"),
            ("A='a'#b", "line 1 (A): something stands after"),
            ("A='a", "line 1 (A): the single quote is never closed"),
            ("A=\"a", "line 1 (A): the double quote is never closed"),
            ("A=\"a\\d\"", "line 1 (A): after a \\"),
            ("# a comment\n\nsecret", "line 3: write NAME=value"),
            ("A B=secret", "line 1: write NAME=value"),
            ("=secret", "line 1: write NAME=value"),
        ] {
            let problem = one(text).unwrap_err();
            assert!(problem.contains(said), "{text:?}: {problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
        let (lines, problems) = parse(&[b'A', b'=', 0xff]);
        assert!(lines.is_empty() && problems[0].contains("UTF-8"), "{problems:?}");
    }

    #[test]
    fn lines_are_counted_and_the_rest_is_read_where_one_is_wrong() {
        let (lines, problems) = parse(b"A='two\nlines'\n# more\nB='never closed\nC=c\nD=two words\nE=e\n");
        let found: Vec<(usize, &str)> = lines.iter().map(|line| (line.number, line.name.as_str())).collect();
        assert_eq!(found, [(1, "A"), (5, "C"), (7, "E")]);
        assert!(problems[0].contains("line 4 (B)") && problems[1].contains("line 6 (D)"), "{problems:?}");
    }
}
