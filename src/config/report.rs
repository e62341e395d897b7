//! The descriptions of settings in `.env.example`, and the settings in force with their descriptions.
//!
//! Each paragraph of the file is a comment, and the settings that it describes with their defaults; `# ---- Title ----` begins
//! a section.

use super::{Config, secret_files};
use crate::domain::{
    audit::Shown,
    settings::{InForce, Report, Section, Source, Value},
};

const TEXT: &str = include_str!("../../.env.example");

/// A comment and the settings that it describes.
pub struct Paragraph<'a> {
    /// The comment, on one line.
    pub comment: String,
    /// Names and defaults. An empty default means that there is none.
    pub settings: Vec<(&'a str, &'a str)>,
}

impl Paragraph<'_> {
    /// The title of a section, where the paragraph is one.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.comment.strip_prefix("---- ")?.strip_suffix(" ----")
    }
}

/// Parses `#NAME=value` or `NAME=value`.
fn setting(line: &str) -> Option<(&str, &str)> {
    let is_name_char = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let (name, default) = line.strip_prefix('#').unwrap_or(line).split_once('=')?;
    (!name.is_empty() && name.chars().all(is_name_char)).then_some((name, default))
}

fn paragraph(text: &str) -> Paragraph<'_> {
    let comment: Vec<&str> = text
        .lines()
        .filter(|line| setting(line).is_none())
        .map(|line| line.trim_start_matches('#').trim())
        .collect();
    Paragraph { comment: comment.join(" "), settings: text.lines().filter_map(setting).collect() }
}

/// The paragraphs of `.env.example`.
pub fn paragraphs() -> impl Iterator<Item = Paragraph<'static>> {
    TEXT.split("\n\n").map(paragraph)
}

impl Config {
    /// All settings in force, in the order of `.env.example`.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut sections: Vec<Section> = Vec::new();
        for paragraph in paragraphs() {
            if let Some(title) = paragraph.title() {
                // Without the page of the documentation that follows in some.
                let title = title.split(": docs/").next().unwrap_or(title).to_owned();
                sections.push(Section { title, settings: Vec::new() });
            }
            let settings = paragraph.settings.iter().map(|(name, default)| {
                let (value, source) = self.in_force(name, default);
                InForce { name: (*name).to_owned(), about: paragraph.comment.clone(), value, source }
            });
            // Before the first title there is only the introduction.
            if let Some(section) = sections.last_mut() {
                section.settings.extend(settings);
            }
        }
        Report { sections }
    }

    fn in_force(&self, name: &str, default: &str) -> (Value, Source) {
        let is_given = |name: &str| self.given.find(name).is_some();
        let source = if secret_files::setting_of_file(name).is_some_and(is_given) {
            Source::SecretFile
        } else if self.from_file.contains(name) {
            Source::File
        } else {
            Source::Environment
        };
        match self.given.find(name) {
            Some(Shown::Plain(text)) => (Value::Text(text.clone()), source),
            Some(Shown::Secret(_)) => (Value::SecretSet, source),
            None => (self.default_of(name, default), Source::Default),
        }
    }

    /// The default of a setting: the one that was read in its place, or else that of `.env.example`.
    fn default_of(&self, name: &str, default: &str) -> Value {
        match self.defaults.get(name).map_or(default, String::as_str) {
            "" => Value::NotSet,
            default => Value::Text(default.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Sources, random::Random};

    fn default_in(variables: &[(&str, &str)], name: &str) -> Value {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let sources = Sources::new(Ok(Vec::new()), variables);
        let (config, _) = Config::inspect(&sources, &Random::seeded(1));
        let settings = config.report().sections.into_iter().flat_map(|section| section.settings);
        let found = settings.into_iter().find(|setting| setting.name == name).unwrap();
        assert_eq!(found.source, Source::Default, "{name}");
        found.value
    }

    #[test]
    fn a_default_that_depends_on_other_settings_is_the_one_in_force() {
        let prod = [("ENVIRONMENT", "prod"), ("PUBLIC_BASE_URL", "https://Auth.example.com:8443/x")];
        for (name, in_dev, in_prod) in [
            ("BIND_ADDR", "127.0.0.1:8000", "0.0.0.0:8000"),
            ("SHUTDOWN_DELAY_SECONDS", "0", "5"),
            ("STAFF_SECOND_FACTOR", "optional", "required"),
            ("TWILIO_TEST_MODE", "true", "false"),
            ("ALLOWED_HOSTS", "(not set)", "auth.example.com"),
            ("DATABASE_URL", "sqlite://loopin-auth.sqlite3", "(not set)"),
            ("OTP_LENGTH", "4", "4"),
        ] {
            assert_eq!(default_in(&[], name).to_string(), in_dev, "{name}");
            assert_eq!(default_in(&prod, name).to_string(), in_prod, "{name}");
        }
        assert_eq!(default_in(&prod[..1], "ALLOWED_HOSTS"), Value::NotSet);
        let account = [
            ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000"),
            ("TWILIO_AUTH_TOKEN", "the auth token of the tests"),
        ];
        assert_eq!(default_in(&account, "TWILIO_TEST_MODE").to_string(), "false");
    }

    /// With nothing set, `.env.example` says what is read.
    #[test]
    fn the_defaults_of_the_file_are_those_of_dev() {
        let (config, _) = Config::inspect(&Sources::new(Ok(Vec::new()), []), &Random::seeded(1));
        assert!(config.defaults.len() > 20, "{:?}", config.defaults);
        for (name, default) in paragraphs().flat_map(|paragraph| paragraph.settings) {
            if let Some(read) = config.defaults.get(name) {
                assert_eq!(read, default, "{name}");
            }
        }
    }

    #[test]
    fn every_setting_has_its_value_and_its_source_and_no_secret_has_a_value() {
        let file = "OTP_LENGTH=6\nSECRET_KEY=a-secret-that-is-hidden\nDEBUG=yes\n";
        let variables = [("DEBUG".into(), "no".into()), ("OTP_REVIEW_NUMBERS".into(), "hidden".into())];
        let sources = Sources::new(Ok(file.as_bytes().to_vec()), variables);
        let (config, _) = Config::inspect(&sources, &Random::seeded(1));
        let report = config.report();
        let settings: Vec<&InForce> = report.sections.iter().flat_map(|section| &section.settings).collect();
        let found = |name: &str| {
            let setting = settings.iter().find(|setting| setting.name == name).unwrap();
            (setting.value.clone(), setting.source)
        };
        assert_eq!(found("OTP_LENGTH"), (Value::Text("6".to_owned()), Source::File));
        assert_eq!(found("DEBUG"), (Value::Text("no".to_owned()), Source::Environment));
        assert_eq!(found("SECRET_KEY"), (Value::SecretSet, Source::File));
        assert_eq!(found("OTP_REVIEW_NUMBERS"), (Value::SecretSet, Source::Environment));
        assert_eq!(found("OTP_MAX_ATTEMPTS"), (Value::Text("3".to_owned()), Source::Default));
        assert_eq!(found("TWILIO_AUTH_TOKEN"), (Value::NotSet, Source::Default));
        assert_eq!(found("TWILIO_TEST_MODE"), (Value::Text("true".to_owned()), Source::Default));
        assert!(!format!("{report:?}").contains("hidden"));
        let mut names = Config::names();
        names.sort_unstable();
        let mut reported: Vec<&str> = settings.iter().map(|setting| setting.name.as_str()).collect();
        reported.sort_unstable();
        assert_eq!(reported, names);
        assert!(report.sections.iter().all(|section| !section.settings.is_empty()));
    }
}
