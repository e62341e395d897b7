//! The fields of a form or a query string.

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use url::form_urlencoded;

/// The fields of a form or a query string, in their order. A field can occur more than once.
#[derive(Clone, Default)]
pub struct Form(Vec<(String, String)>);

// Written by hand: forms hold passwords and numbers.
impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Form(..)")
    }
}

impl Form {
    /// Reads `application/x-www-form-urlencoded`. A NUL, which PostgreSQL takes in no text, becomes
    /// another control character, so that what refuses those refuses it too.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let fields = form_urlencoded::parse(bytes);
        Self(fields.map(|(name, value)| (name.into_owned(), value.replace('\0', "\u{1}"))).collect())
    }

    /// The value of a field as it was sent; empty if it is missing.
    #[must_use]
    pub fn raw(&self, name: &str) -> &str {
        let mut fields = self.0.iter();
        fields.find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The value of a field without spaces around it; empty if it is missing.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The value of a field; `None` if it is missing or empty.
    #[must_use]
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// All values of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.trim())
    }

    /// The query string of these fields with one of them replaced, for links that keep the filters of a list. Empty fields are
    /// left out; without a value the field is removed.
    #[must_use]
    pub fn query_with(&self, name: &str, value: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let others = self.0.iter().filter(|(key, value)| key != name && !value.is_empty());
        query.extend_pairs(others.map(|(key, value)| (key.as_str(), value.as_str())));
        if let Some(value) = value {
            query.append_pair(name, value);
        }
        query.finish()
    }
}

/// Reads a time of a form, which is one of `TIME_ZONE`. Empty means none.
pub fn local_time(text: &str, zone: Tz) -> Result<Option<DateTime<Utc>>, &'static str> {
    const NO_TIME: &str = "The end must be a time, such as 2027-01-31T10:00";
    if text.is_empty() {
        return Ok(None);
    }
    let formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"];
    let local = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    // An hour that daylight saving time skips does not exist.
    let end = zone.from_local_datetime(&local.ok_or(NO_TIME)?).earliest().ok_or(NO_TIME)?;
    Ok(Some(end.to_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_keeps_the_other_fields() {
        let form = Form::parse(b"q=a%20b&state=new&state=lost&cursor=old&empty=");
        assert_eq!(form.query_with("cursor", Some("x&y")), "q=a+b&state=new&state=lost&cursor=x%26y");
        assert_eq!(form.query_with("cursor", None), "q=a+b&state=new&state=lost");
        assert_eq!(form.all("state").collect::<Vec<_>>(), ["new", "lost"]);
        assert_eq!((form.text("q"), form.text("no"), form.given("empty")), ("a b", "", None));
        assert_eq!(Form::parse(b"q=a%00b").text("q"), "a\u{1}b");
        assert_eq!(format!("{form:?}"), "Form(..)");
    }
}
