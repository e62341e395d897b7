//! Secrets from files: `NAME_FILE` names a file that holds the value of `NAME`, as Docker and Kubernetes secrets and systemd
//! credentials do.

use secrecy::ExposeSecret as _;

use super::files::{self, Unusable};

/// Every setting that is a secret or may contain one, with the setting that names its file.
///
/// `JWT_PRIVATE_KEY_FILE` and `TLS_KEY_FILE` are not here: these secrets have no setting besides that of their file.
const SECRETS: [(&str, &str); 18] = [
    ("BEFORE_SEND_SECRET", "BEFORE_SEND_SECRET_FILE"),
    ("BOT_PROOF_SECRET", "BOT_PROOF_SECRET_FILE"),
    ("DATABASE_URL", "DATABASE_URL_FILE"),
    ("EVENTS_SECRET", "EVENTS_SECRET_FILE"),
    ("JWT_PREVIOUS_KEYS", "JWT_PREVIOUS_KEYS_FILE"),
    ("JWT_SECRET", "JWT_SECRET_FILE"),
    ("JWT_SECRET_KEY", "JWT_SECRET_KEY_FILE"),
    ("MSG91_AUTH_KEY", "MSG91_AUTH_KEY_FILE"),
    ("MSG91_STATUS_SECRET", "MSG91_STATUS_SECRET_FILE"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS_FILE"),
    ("OTP_REVIEW_NUMBERS", "OTP_REVIEW_NUMBERS_FILE"),
    ("SECRET_KEY", "SECRET_KEY_FILE"),
    ("SECRET_KEY_FALLBACKS", "SECRET_KEY_FALLBACKS_FILE"),
    ("SMS_WEBHOOK_SECRET", "SMS_WEBHOOK_SECRET_FILE"),
    ("TWILIO_API_KEY_SECRET", "TWILIO_API_KEY_SECRET_FILE"),
    ("TWILIO_AUTH_TOKEN", "TWILIO_AUTH_TOKEN_FILE"),
    ("VONAGE_API_SECRET", "VONAGE_API_SECRET_FILE"),
    ("VONAGE_SIGNATURE_SECRET", "VONAGE_SIGNATURE_SECRET_FILE"),
];

/// Secrets that are lists. They may be empty, such as before the first change of a key.
const LISTS: [&str; 4] =
    ["JWT_PREVIOUS_KEYS", "OTEL_EXPORTER_OTLP_HEADERS", "OTP_REVIEW_NUMBERS", "SECRET_KEY_FALLBACKS"];

/// Whether the file of this secret may be empty.
pub(super) fn may_be_empty(name: &str) -> bool {
    LISTS.contains(&name)
}

/// The setting that names the file of this one, if this one is a secret.
pub(super) fn setting_of_file(name: &str) -> Option<&'static str> {
    SECRETS.iter().find(|(secret, _)| *secret == name).map(|(_, file)| *file)
}

/// Whether this setting names the file of a secret.
pub(super) fn is_setting_of_file(name: &str) -> bool {
    SECRETS.iter().any(|(_, file)| *file == name)
}

/// Reads the secret in a file, without the line end that editors and `echo` add.
///
/// Nothing is said about a file that everybody can read: Docker and Kubernetes mount secrets like that.
///
/// # Errors
/// A sentence with the file and the reason. It never contains what is in the file.
pub(super) fn read(path: &str) -> Result<String, String> {
    let file = files::read(path).map_err(|unusable| {
        let file = shown(path);
        match unusable {
            Unusable::NotSmall => {
                format!("{file} is not a file with a secret: it is no file, or a large one")
            }
            Unusable::Unreadable(error) => format!("{file} cannot be read: {error}"),
        }
    })?;
    let text = file.text.expose_secret();
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(text.to_owned())
}

/// As [`read`], for a secret that must not be empty.
///
/// # Errors
/// As [`read`], or when there is nothing in the file.
pub(super) fn read_some(path: &str) -> Result<String, String> {
    let text = read(path)?;
    if text.trim().is_empty() { Err(format!("{} is empty", shown(path))) } else { Ok(text) }
}

/// The path, if it looks like one: an operator may have set the secret itself, which must not get into a log.
fn shown(path: &str) -> &str {
    let is_path = ["/", "./", "../"].iter().any(|beginning| path.starts_with(beginning))
        || path.get(1..3).is_some_and(|drive| drive == ":\\");
    if is_path { path } else { "the file" }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        config::{Config, Sources},
        domain::settings::{Source, Value},
        random::Random,
    };

    fn inspect(variables: &[(&str, &str)]) -> (Config, Vec<String>) {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let (config, problems) =
            Config::inspect(&Sources::new(Ok(Vec::new()), variables), &Random::seeded(1));
        (config, problems.0)
    }

    fn secret_in(content: &[u8]) -> (Option<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, content).unwrap();
        let (config, problems) = inspect(&[("SECRET_KEY_FILE", file.to_str().unwrap())]);
        let is_made_up = config.warnings.iter().any(|warning| warning.starts_with("SECRET_KEY is not set"));
        let secret = config.secret_key.expose_secret().to_owned();
        let problems = problems.iter().map(|text| text.replace(file.to_str().unwrap(), "FILE")).collect();
        ((!is_made_up).then_some(secret), problems)
    }

    #[test]
    fn every_setting_that_is_kept_secret_has_one_that_names_a_file() {
        // Their values are not shown, because they name the operator's accounts, numbers and servers, but they open nothing.
        let not_secret = [
            "BEFORE_SEND_ON_FAILURE",
            "BEFORE_SEND_URL",
            "BOT_PROOF_SITE_KEY",
            "DATABASE_POOLER",
            "EVENTS_URL",
            "MSG91_TEMPLATE_ID",
            "SMS_DLT_TEMPLATE_ID",
            "SMS_WEBHOOK_URL",
            "TWILIO_ACCOUNT_SID",
            "TWILIO_API_KEY_SID",
            "TWILIO_MESSAGING_SERVICE_SID",
            "TWILIO_PHONE_NUMBER",
            "TWILIO_SENDERS",
            "TWILIO_VOICE_NUMBER",
            "TWILIO_WHATSAPP_CONTENT_SID",
            "TWILIO_WHATSAPP_SENDER",
            "VONAGE_API_KEY",
            "VONAGE_FROM",
            "VONAGE_WHATSAPP_FROM",
            "VONAGE_WHATSAPP_TEMPLATE",
        ];
        let get = |name: &str| Some(format!("value-{name}"));
        let (config, _) = Config::examine(&get, &Random::seeded(1));
        let hidden: Vec<&str> = Config::names()
            .into_iter()
            .filter(|name| setting_of_file(name).is_none() && !not_secret.contains(name))
            .filter(|name| matches!(config.given.find(name), Some(crate::domain::audit::Shown::Secret(_))))
            .collect();
        assert_eq!(hidden, [""; 0]);
        for (name, file) in SECRETS {
            assert_eq!(format!("{name}_FILE"), file);
            assert!(Config::names().contains(&file), "{file} is read");
        }
        assert!(SECRETS.is_sorted());
    }

    #[test]
    fn the_value_is_what_is_in_the_file_without_one_line_end() {
        for (content, secret) in [
            ("a secret of some length", "a secret of some length"),
            ("a secret\n", "a secret"),
            ("a secret\r\n", "a secret"),
            ("a secret\n\n", "a secret\n"),
            ("a secret\r", "a secret\r"),
            (" a secret \n", " a secret "),
        ] {
            let (found, problems) = secret_in(content.as_bytes());
            assert_eq!(found.as_deref(), Some(secret), "{content:?}");
            assert!(problems.is_empty(), "{problems:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_the_reason_and_without_its_content() {
        for (content, reason) in [
            (Vec::new(), "SECRET_KEY_FILE: FILE is empty"),
            (b" \r\n".to_vec(), "SECRET_KEY_FILE: FILE is empty"),
            (
                [b"hidden".as_slice(), &[0xff]].concat(),
                "SECRET_KEY_FILE: FILE cannot be read: stream did not contain valid UTF-8",
            ),
            (
                vec![b'x'; 100_000],
                "SECRET_KEY_FILE: FILE is not a file with a secret: it is no file, or a large one",
            ),
        ] {
            assert_eq!(secret_in(&content).1, [reason]);
        }
        let (_, problems) = inspect(&[("TWILIO_AUTH_TOKEN_FILE", "/nowhere/token")]);
        assert_eq!(
            problems,
            ["TWILIO_AUTH_TOKEN_FILE: /nowhere/token cannot be read: No such file or directory (os error 2)"]
        );
        // The token itself in place of its file.
        let (_, problems) = inspect(&[("TWILIO_AUTH_TOKEN_FILE", "0123456789abcdef")]);
        assert_eq!(
            problems,
            ["TWILIO_AUTH_TOKEN_FILE: the file cannot be read: No such file or directory (os error 2)"]
        );
    }

    #[test]
    fn a_list_may_be_empty() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list");
        fs::write(&file, "\n").unwrap();
        for name in LISTS {
            let (config, problems) = inspect(&[(setting_of_file(name).unwrap(), file.to_str().unwrap())]);
            assert!(problems.is_empty() && config.given.find(name).is_none(), "{name}: {problems:?}");
        }
    }

    #[test]
    fn of_the_secret_and_its_file_only_one_may_be_set() {
        let both = [("SECRET_KEY", "a secret"), ("SECRET_KEY_FILE", "/nowhere/else")];
        assert_eq!(inspect(&both).1, ["SECRET_KEY and SECRET_KEY_FILE are both set: remove one"]);
        let one_is_empty = [("SECRET_KEY", ""), ("TWILIO_AUTH_TOKEN_FILE", " ")];
        assert!(inspect(&one_is_empty).1.is_empty());
    }

    #[test]
    fn the_report_says_where_the_secret_is_from_and_not_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, "hidden-value\n").unwrap();
        let (config, _) = inspect(&[("SECRET_KEY_FILE", file.to_str().unwrap())]);
        let report = config.report();
        let mut settings = report.sections.iter().flat_map(|section| &section.settings);
        let secret = settings.clone().find(|setting| setting.name == "SECRET_KEY").unwrap();
        assert_eq!((&secret.value, secret.source), (&Value::SecretSet, Source::SecretFile));
        let named = settings.find(|setting| setting.name == "SECRET_KEY_FILE").unwrap();
        assert_eq!(named.value, Value::Text(file.to_str().unwrap().to_owned()));
        assert!(!format!("{report:?}").contains("hidden-value"));
    }
}
