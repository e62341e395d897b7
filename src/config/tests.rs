//! Settings: defaults, and problems that stop the start.

use std::collections::HashMap;

use secrecy::ExposeSecret;

use super::*;
use crate::telemetry::{LogLevel, Sampling};

mod bot_check;
mod destinations;
mod hooks;
mod providers;
mod proxies;
mod server;
mod sms;
mod tokens;

const SECRET: &str = "a secret of the tests, 32 bytes or more";

/// The minimum settings of a production server.
const PROD: [(&str, &str); 9] = [
    ("ENVIRONMENT", "prod"),
    ("SECRET_KEY", SECRET),
    ("JWT_SECRET_KEY", "another secret of the tests, 32 bytes or more"),
    ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000"),
    ("TWILIO_AUTH_TOKEN", "the auth token of the tests"),
    ("TWILIO_PHONE_NUMBER", "+15005550006"),
    ("ALLOWED_HOSTS", "auth.example.com"),
    ("PUBLIC_BASE_URL", "https://auth.example.com"),
    ("DATABASE_URL", "postgres://loopin@db.example.com/loopin"),
];

fn read(settings: &[&[(&str, &str)]]) -> Result<Config, Problems> {
    let settings: HashMap<&str, &str> = settings.iter().copied().flatten().copied().collect();
    let get = |name: &str| settings.get(name).map(|value| (*value).to_owned());
    Config::read(&get, &Random::seeded(1))
}

fn dev(settings: &[(&str, &str)]) -> Config {
    read(&[settings]).unwrap()
}

fn prod(settings: &[(&str, &str)]) -> Result<Config, Problems> {
    read(&[&PROD, settings])
}

fn jwt_secret(config: &Config) -> &str {
    config.tokens.secret.as_ref().unwrap().expose_secret()
}

/// The only problem with these settings in `dev`.
fn problem(settings: &[(&str, &str)]) -> String {
    let Problems(problems) = read(&[settings]).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].clone()
}

#[test]
fn staff_need_a_second_factor_in_prod_and_may_have_one_in_dev() {
    let warns =
        |config: &Config| config.warnings.iter().any(|warning| warning.contains("STAFF_SECOND_FACTOR"));
    for (value, in_dev, in_prod) in [
        (None, FactorPolicy::Optional, FactorPolicy::Required),
        (Some("required"), FactorPolicy::Required, FactorPolicy::Required),
        (Some("optional"), FactorPolicy::Optional, FactorPolicy::Optional),
        (Some("Required"), FactorPolicy::Required, FactorPolicy::Required),
        (Some("OPTIONAL"), FactorPolicy::Optional, FactorPolicy::Optional),
    ] {
        let settings: Vec<(&str, &str)> =
            value.map(|value| ("STAFF_SECOND_FACTOR", value)).into_iter().collect();
        let (dev, prod) = (dev(&settings), prod(&settings).unwrap());
        assert_eq!((dev.factor_policy, prod.factor_policy), (in_dev, in_prod), "{value:?}");
        assert_eq!((warns(&dev), warns(&prod)), (false, in_prod == FactorPolicy::Optional), "{value:?}");
    }
    for wrong in ["off", "true", "yes", "require"] {
        assert_eq!(
            problem(&[("STAFF_SECOND_FACTOR", wrong)]),
            "STAFF_SECOND_FACTOR must be required or optional"
        );
        let Problems(problems) = prod(&[("STAFF_SECOND_FACTOR", wrong)]).unwrap_err();
        assert_eq!(problems, ["STAFF_SECOND_FACTOR must be required or optional"], "{wrong}");
    }
}

#[test]
fn with_nothing_set_it_is_a_developers_machine() {
    let config = dev(&[]);
    assert_eq!(config.environment, Environment::Dev);
    assert_eq!(config.log_filter, LogFilter::at(LogLevel::Info));
    assert_eq!(config.log_format, LogFormat::Text);
    assert_eq!(config.bind_addr.to_string(), "127.0.0.1:8000");
    assert_eq!(config.database_without_password(), "sqlite://loopin-auth.sqlite3");
    assert_eq!(config.tokens.policy.access_life, Duration::minutes(30));
    assert_eq!(config.tokens.policy.refresh_life, Duration::days(7));
    assert_eq!((&config.tokens.policy.issuer, &config.tokens.policy.audience), (&None, &None));
    assert_eq!(config.otp.length.digits(), 4);
    assert_eq!(config.otp.life, Duration::minutes(10));
    assert_eq!(config.otp.max_attempts, 3);
    assert_eq!(config.otp.resend_after, Duration::seconds(30));
    assert_eq!(config.texts.product, "Loopin");
    assert_eq!(config.zone, chrono_tz::Asia::Kolkata);
    assert_eq!(config.picture_hosts, PictureHosts::Any);
    assert!(config.is_test_mode());
    assert_eq!(config.edge.allowed_hosts, None);
    assert!(config.edge.cors_origins.is_empty());
    assert!(config.rate_limits_enabled);
}

#[test]
fn with_nothing_set_the_secrets_are_made_up_and_it_says_so() {
    let config = dev(&[]);
    let (otp, jwt) = (config.secret_key.expose_secret(), jwt_secret(&config));
    assert!(otp.len() >= MIN_SECRET_BYTES && jwt.len() >= MIN_SECRET_BYTES);
    assert_ne!(otp, jwt);
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
    assert!(config.warnings[0].starts_with("SECRET_KEY "));
    assert!(config.warnings[1].starts_with("JWT_SECRET_KEY "));
    let next_run = Config::read(&|_| None, &Random::seeded(2)).unwrap();
    assert_ne!(next_run.secret_key.expose_secret(), otp);
}

#[test]
fn in_production_what_is_right_starts() {
    let config = prod(&[]).unwrap();
    assert_eq!(config.environment, Environment::Prod);
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.bind_addr.to_string(), "0.0.0.0:8000");
    assert_eq!(config.picture_hosts, PictureHosts::PublicOnly);
    assert!(!config.is_test_mode());
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn in_production_everything_that_is_missing_is_named_at_once() {
    let Problems(problems) = read(&[&[("ENVIRONMENT", "prod")]]).unwrap_err();
    assert_eq!(
        problems,
        [
            "TWILIO_ACCOUNT_SID must be set when TWILIO_TEST_MODE is false",
            "TWILIO_AUTH_TOKEN, or TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET, must be set when \
             TWILIO_TEST_MODE is false",
            "TWILIO_PHONE_NUMBER, TWILIO_MESSAGING_SERVICE_SID or TWILIO_SENDERS must be set when \
             TWILIO_TEST_MODE is false",
            "DATABASE_URL must be set in prod: postgres://user:password@host:5432/name, or sqlite:///folder/file for a \
             single server",
            "SECRET_KEY must be set in prod, to 32 bytes or more",
            "JWT_SECRET_KEY must be set in prod, to 32 bytes or more",
        ]
    );
}

#[test]
fn in_production_everything_that_is_wrong_is_named_at_once() {
    let Problems(problems) = read(&[&[
        ("ENVIRONMENT", "prod"),
        ("SECRET_KEY", "31 bytes, which is one too few."),
        ("JWT_SECRET", "short"),
        ("TWILIO_TEST_MODE", "true"),
        ("RATE_LIMITS_ENABLED", "false"),
        ("CORS_ALLOWED_ORIGINS", "https://app.example.com,*"),
        ("DATABASE_URL", "sqlite::memory:"),
        ("OTP_LENGTH", "3"),
        ("TIME_ZONE", "Asia/Atlantis"),
    ]])
    .unwrap_err();
    for name in [
        "SECRET_KEY is shorter",
        "JWT_SECRET_KEY is shorter",
        "TWILIO_TEST_MODE must not",
        "TWILIO_ACCOUNT_SID must",
        "TWILIO_AUTH_TOKEN, or",
        "TWILIO_PHONE_NUMBER, TWILIO_MESSAGING_SERVICE_SID or TWILIO_SENDERS must",
        "RATE_LIMITS_ENABLED must not",
        "CORS_ALLOWED_ORIGINS must not",
        "DATABASE_URL must not",
        "OTP_LENGTH must",
        "TIME_ZONE",
    ] {
        assert_eq!(
            problems.iter().filter(|problem| problem.starts_with(name)).count(),
            1,
            "{name}: {problems:?}"
        );
    }
    assert_eq!(problems.len(), 11, "{problems:?}");
}

#[test]
fn the_list_of_problems_repeats_no_secret() {
    let settings = [("ENVIRONMENT", "prod"), ("SECRET_KEY", "hunter2"), ("TWILIO_AUTH_TOKEN", "hunter3")];
    let problems = read(&[&settings]).unwrap_err();
    for shown in [problems.to_string(), format!("{problems:?}")] {
        assert!(!shown.contains("hunter"), "{shown}");
    }
}

#[test]
fn there_are_two_environments() {
    for other in ["production", "PROD", "Dev", "test", "staging"] {
        let Problems(problems) = read(&[&PROD, &[("ENVIRONMENT", other)]]).unwrap_err();
        assert_eq!(problems, ["ENVIRONMENT must be dev or prod"], "{other}");
    }
    assert_eq!(dev(&[("ENVIRONMENT", "dev")]).environment, Environment::Dev);
}

#[test]
fn numbers_have_bounds() {
    for (name, wrong, right) in [
        ("OTP_LENGTH", &["3", "9", "0", "-4", "4.5", "four", "99999999999999999999"][..], "8"),
        ("OTP_EXPIRE_MINUTES", &["0", "61"], "60"),
        ("OTP_MAX_ATTEMPTS", &["0", "11"], "10"),
        ("OTP_RESEND_SECONDS", &["-1", "3601"], "0"),
        ("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", &["0", "-30"], "1"),
        ("JWT_REFRESH_TOKEN_EXPIRE_DAYS", &["0", "366"], "365"),
        ("DATABASE_MAX_CONNECTIONS", &["0", "1001"], "1"),
    ] {
        for wrong in wrong {
            assert!(problem(&[(name, wrong)]).starts_with(&format!("{name} must be")), "{name}={wrong}");
        }
        assert!(read(&[&[(name, right)]]).is_ok(), "{name}={right}");
    }
    for digits in 4..=8 {
        let config = dev(&[("OTP_LENGTH", &digits.to_string())]);
        assert_eq!(config.otp.length.digits(), digits);
    }
}

#[test]
fn rust_log_wins_over_the_level_and_the_level_over_debug() {
    let filter = |settings: &[(&str, &str)]| dev(settings).log_filter;
    let at = LogFilter::at;
    let (rust_log, level, debug) = (("RUST_LOG", "off,sqlx=info"), ("LOG_LEVEL", "Error"), ("DEBUG", "true"));
    assert_eq!(filter(&[debug]), at(LogLevel::Debug));
    assert_eq!(filter(&[debug, level]), at(LogLevel::Error));
    assert_eq!(Ok(filter(&[debug, level, rust_log])), rust_log.1.parse());
    assert_eq!(filter(&[("RUST_LOG", " "), ("LOG_LEVEL", ""), debug]), at(LogLevel::Debug));
    // What does not count is checked all the same.
    assert_eq!(
        problem(&[rust_log, ("LOG_LEVEL", "2")]),
        "LOG_LEVEL must be error, warn, info, debug or trace"
    );
}

#[test]
fn what_no_setting_can_mean_is_named() {
    for (name, value) in [
        ("DEBUG", "maybe"),
        ("LOG_LEVEL", "verbose"),
        ("LOG_LEVEL", "loopin_auth=debug"),
        ("RUST_LOG", "loopin_auth=loud"),
        ("DATABASE_POOLER", "statement"),
        ("RATE_LIMITS_ENABLED", "on and off"),
        ("TWILIO_TEST_MODE", "2"),
        ("BIND_ADDR", "localhost"),
        ("BIND_ADDR", "127.0.0.1"),
        ("PHONE_DEFAULT_REGION", "ZZ"),
        ("TIME_ZONE", "IST+5:30"),
        ("DATABASE_URL", "mysql://localhost/loopin"),
        ("PUBLIC_BASE_URL", "auth.example.com"),
        ("PUBLIC_BASE_URL", "ftp://auth.example.com"),
        ("CORS_ALLOWED_ORIGINS", "app.example.com"),
        ("CORS_ALLOWED_ORIGINS", "https://app.example.com/path"),
        ("PRODUCT_NAME", "Loopin\u{7}"),
    ] {
        assert!(problem(&[(name, value)]).starts_with(name), "{name}={value}");
    }
}

#[test]
fn an_empty_setting_is_not_set() {
    let names = Config::names();
    let others = names.iter().filter(|name| **name != "ENVIRONMENT");
    let empty: Vec<(&str, &str)> = others.map(|name| (*name, " ")).collect();
    let config = dev(&empty);
    assert_eq!(config.environment, Environment::Dev);
    assert!(config.is_test_mode());
    assert_eq!(config.otp.length.digits(), 4);
    assert_eq!(config.edge.allowed_hosts, None);
    assert!(config.secret_key_fallbacks.is_empty());
    let blank = ["SECRET_KEY", "JWT_SECRET_KEY", "TWILIO_AUTH_TOKEN"].map(|name| (name, ""));
    assert_eq!(prod(&blank).unwrap_err().0.len(), 3);
}

#[test]
fn every_setting_is_read_once() {
    let mut names = Config::names();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn the_token_secret_has_two_names() {
    let config = dev(&[("JWT_SECRET", SECRET)]);
    assert_eq!(jwt_secret(&config), SECRET);
    let config = dev(&[("JWT_SECRET", "an older name's value, which loses"), ("JWT_SECRET_KEY", SECRET)]);
    assert_eq!(jwt_secret(&config), SECRET);
    // One secret is never used in place of the other (fault 21 of the original).
    assert!(prod(&[("JWT_SECRET_KEY", "")]).is_err());
}

#[test]
fn a_short_secret_is_a_warning_in_dev() {
    let config = dev(&[("SECRET_KEY", "short"), ("JWT_SECRET_KEY", SECRET)]);
    assert_eq!(config.secret_key.expose_secret(), "short");
    assert_eq!(config.warnings, ["SECRET_KEY is shorter than 32 bytes"]);
    // Bytes are counted, not letters.
    assert!(prod(&[("SECRET_KEY", &"ग".repeat(11))]).is_ok());
}

#[test]
fn older_keys_are_a_list() {
    let config = dev(&[("SECRET_KEY_FALLBACKS", "one, two,,three ")]);
    let keys: Vec<&str> = config.secret_key_fallbacks.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(keys, ["one", "two", "three"]);
}

#[test]
fn both_names_of_postgresql_are_understood() {
    for scheme in ["postgres", "postgresql"] {
        let url = format!("{scheme}://loopin@db.example.com/loopin?sslmode=verify-full&sslrootcert=/ca.pem");
        let config = dev(&[("DATABASE_URL", &url)]);
        assert_eq!(config.database.url.expose_secret(), url);
    }
}

#[test]
fn a_database_that_is_not_understood_is_a_problem_that_repeats_nothing() {
    for url in
        ["postgres://me:hunter2/with/slashes@db/loopin", "postgres://hunter2@/x", "mysql://me:hunter2@db/x"]
    {
        let said = problem(&[("DATABASE_URL", url)]);
        assert!(said.starts_with("DATABASE_URL ") && !said.contains("hunter2"), "{said}");
        let get = |name: &str| (name == "DATABASE_URL").then(|| url.to_owned());
        let (config, _) = Config::examine(&get, &Random::seeded(1));
        assert_eq!(config.database_without_password(), "a URL that is not understood");
        assert!(!format!("{config:?}").contains("hunter2"), "{url}");
        assert_eq!(config.database.url.expose_secret(), "sqlite::memory:", "no driver sees it");
    }
    let config = dev(&[("DATABASE_URL", "postgres://me:hunter2@db/loopin?channel_binding=require")]);
    assert_eq!(config.database_without_password(), "postgres://me:****@db/loopin");
    assert!(
        config
            .warnings
            .contains(&"DATABASE_URL has a parameter that is not used: channel_binding".to_owned())
    );
    // The text after an unescaped `&` in a password looks like a parameter.
    let config = dev(&[("DATABASE_URL", "postgres://db/loopin?user=me&password=ab&hunter_two")]);
    assert!(!format!("{:?}", config.warnings).contains("hunter_two"), "{:?}", config.warnings);
}

#[test]
fn production_has_the_database_that_was_asked_for() {
    let Problems(problems) = prod(&[("DATABASE_URL", "")]).unwrap_err();
    assert!(
        problems.len() == 1 && problems[0].starts_with("DATABASE_URL must be set in prod"),
        "{problems:?}"
    );
    assert!(prod(&[("DATABASE_URL", "sqlite:///var/lib/loopin.sqlite3")]).is_ok());
    assert!(prod(&[("DATABASE_URL", "sqlite://loopin?mode=memory")]).is_err());
}

#[test]
fn the_hosts_of_production_are_its_own() {
    let hosts = |config: Config| config.edge.allowed_hosts;
    let none = ("ALLOWED_HOSTS", "");
    let base = ("PUBLIC_BASE_URL", "https://Auth.Example.com:8443/base");
    assert_eq!(hosts(dev(&[none])), None);
    assert_eq!(hosts(dev(&[base])), None);
    assert_eq!(hosts(prod(&[none, base]).unwrap()), Some(vec!["auth.example.com".to_owned()]));
    assert_eq!(
        hosts(prod(&[("ALLOWED_HOSTS", "A.example.com, .b.example.com"), base]).unwrap()),
        Some(vec!["a.example.com".to_owned(), ".b.example.com".to_owned()])
    );
    // With neither, all requests are refused, and a warning says so.
    let config = prod(&[none, ("PUBLIC_BASE_URL", "")]).unwrap();
    assert!(config.warnings.iter().any(|said| said.contains("every request but health will be refused")));
    assert_eq!(hosts(config), Some(vec![]));
}

#[test]
fn a_wildcard_origin_is_for_dev_only() {
    assert_eq!(dev(&[("CORS_ALLOWED_ORIGINS", "*")]).edge.cors_origins, ["*"]);
    let Problems(problems) = prod(&[("CORS_ALLOWED_ORIGINS", "*")]).unwrap_err();
    assert_eq!(problems, ["CORS_ALLOWED_ORIGINS must not be * in prod"]);
    assert!(prod(&[("CORS_ALLOWED_ORIGINS", "https://a.example.com,https://b.example.com:8443")]).is_ok());
}

#[test]
fn test_mode_goes_with_twilios_credentials() {
    let account =
        [("TWILIO_ACCOUNT_SID", "AC1"), ("TWILIO_AUTH_TOKEN", "t"), ("TWILIO_PHONE_NUMBER", "+15005550006")];
    assert!(!read(&[&account]).unwrap().is_test_mode());
    assert!(read(&[&account, &[("TWILIO_TEST_MODE", "true")]]).unwrap().is_test_mode());
    let Problems(problems) = read(&[&[("TWILIO_TEST_MODE", "false")]]).unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:?}");
    let Problems(problems) = read(&[&account[..1]]).unwrap_err();
    assert_eq!(problems.len(), 2, "half an account is a mistake: {problems:?}");
}

#[test]
fn debugging_shows_no_secret() {
    let shown = format!(
        "{:?}",
        prod(&[
            ("SECRET_KEY_FALLBACKS", "an older secret of the tests with 32 bytes or more"),
            ("DATABASE_URL", "postgres://loopin:hunter2@db.example.com/loopin"),
        ])
        .unwrap()
    );
    for secret in [
        SECRET,
        "another secret of the tests",
        "the auth token of the tests",
        "an older secret",
        "hunter2",
        "+15005550006",
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn an_environment_that_is_there_but_empty_is_not_taken_for_dev() {
    for empty in ["", " "] {
        let Problems(problems) = read(&[&[("ENVIRONMENT", empty)]]).unwrap_err();
        assert!(problems.contains(&"ENVIRONMENT must be dev or prod".to_owned()), "{problems:?}");
    }
}

#[test]
fn earlier_secrets_are_held_to_the_length_too() {
    let Problems(problems) = read(&[&PROD, &[("SECRET_KEY_FALLBACKS", "weak")]]).unwrap_err();
    assert_eq!(problems, ["SECRET_KEY_FALLBACKS has one that is shorter than 32 bytes"]);
}
