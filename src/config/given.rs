//! The settings that were set, in the form that the audit log keeps.

use super::{reader::Given, secret_files};
use crate::domain::audit::{Setting, Settings, Shown};

/// Texts that can be kept and shown, in addition to numbers and booleans. Every other text counts as a secret, so a setting
/// that is missing here is not shown by mistake.
const PLAIN: &[&str] = &[
    "ADMIN_ALLOWED_NETWORKS",
    "ALLOWED_HOSTS",
    "BIND_ADDR",
    "BOT_PROOF",
    "BOT_PROOF_ACTION",
    "BOT_PROOF_HOSTNAMES",
    "BOT_PROOF_URL",
    "CORS_ALLOWED_ORIGINS",
    "ENVIRONMENT",
    "JWT_ALGORITHM",
    "JWT_AUDIENCE",
    "JWT_CLAIMS",
    "JWT_ISSUER",
    "JWT_PRIVATE_KEY_FILE",
    "LOG_LEVEL",
    "METRICS_ADDR",
    "MSG91_API_BASE_URL",
    "MSG91_CODE_VARIABLE",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTP_ACCEPT_ODDS",
    "OTP_CHANNELS",
    "OTP_CHANNEL_ORDER",
    "OTP_FALLBACK",
    "PHONE_DEFAULT_REGION",
    "PRODUCT_NAME",
    "PUBLIC_BASE_URL",
    "RUST_LOG",
    "SIGNUPS",
    "SMS_ALLOWED_COUNTRIES",
    "SMS_ALLOWED_PREFIXES",
    "SMS_ANDROID_APP_HASH",
    "SMS_BLOCKED_PREFIXES",
    "SMS_DLT_ENTITY_ID",
    "SMS_PROVIDERS",
    "SMS_ROUTING",
    "SMS_TEXTS_DIR",
    "SMS_WEBOTP_DOMAIN",
    "STAFF_SECOND_FACTOR",
    "TERMS_VERSION",
    "TIME_ZONE",
    "TLS_CERT_FILE",
    "TLS_KEY_FILE",
    "TRUSTED_ISSUERS_FILE",
    "TRUSTED_PROXIES",
    "TWILIO_API_BASE_URL",
    "TWILIO_RISK_CHECK",
    "VONAGE_API_BASE_URL",
];

/// Converts the settings. `database` is the URL of the database without its password.
pub(super) fn settings(given: Vec<Given>, database: &str) -> Settings {
    let is_plain = |setting: &Given| {
        setting.is_plain
            || setting.name.starts_with("LIMIT_")
            || PLAIN.contains(&setting.name)
            || secret_files::is_setting_of_file(setting.name)
    };
    let shown = |setting: Given| Setting {
        name: setting.name,
        value: match setting.name {
            "DATABASE_URL" => Shown::Plain(database.to_owned()),
            // A URL with a user and a password is refused, and must not be kept either.
            name if name.ends_with("_URL") && setting.text.contains('@') => {
                Shown::Secret(setting.text.into())
            }
            _ if is_plain(&setting) => Shown::Plain(setting.text),
            _ => Shown::Secret(setting.text.into()),
        },
    };
    Settings::new(given.into_iter().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, domain::pseudonym::Pseudonyms, random::Random};

    #[test]
    fn nothing_that_is_secret_is_kept() {
        for name in PLAIN {
            let hints = ["SECRET", "TOKEN", "PASSWORD", "NUMBER", "SENDER", "SID", "KEYS"];
            assert!(!hints.iter().any(|hint| name.contains(hint)), "{name}");
        }
        // Every setting has a value that is found again if it is kept. Whether the value is valid does not matter.
        let get = |name: &str| match name {
            "DATABASE_URL" => Some("postgres://user:hidden-value@host/loopin".to_owned()),
            "ENVIRONMENT" => Some("prod".to_owned()),
            _ => Some(format!("hidden-value-{name}")),
        };
        let (config, _) = Config::examine(&get, &Random::seeded(1));
        let pseudonyms = Pseudonyms::derive(&"a key".into(), &[]);
        let changes = config.given.since(None, &pseudonyms).unwrap();
        let text = format!("{changes:?}");
        assert!(text.contains("postgres://user:****@host/loopin"), "{text}");
        assert!(text.contains("hidden-value-TIME_ZONE"), "{text}");
        for name in
            ["SECRET_KEY", "JWT_SECRET_KEY", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER", "JWT_PREVIOUS_KEYS"]
        {
            assert!(text.contains(name), "{name} is named");
            assert!(!text.contains(&format!("hidden-value-{name}\"")), "{name} is told");
        }
        assert!(!text.contains(":hidden-value@"), "{text}");
    }

    #[test]
    fn what_is_empty_or_missing_is_not_given() {
        let get = |name: &str| match name {
            "OTP_LENGTH" => Some(" 6 ".to_owned()),
            "PRODUCT_NAME" => Some("  ".to_owned()),
            _ => None,
        };
        let (config, _) = Config::examine(&get, &Random::seeded(1));
        let pseudonyms = Pseudonyms::derive(&"a key".into(), &[]);
        let text = format!("{:?}", config.given.since(None, &pseudonyms));
        assert!(text.contains("OTP_LENGTH") && !text.contains("PRODUCT_NAME"), "{text}");
    }
}
