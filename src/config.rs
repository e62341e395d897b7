//! All settings of the server, read once. All problems are reported together.
//!
//! To add a setting: read it here through [`Reader`], pass it on in `app.rs`, and describe it in `.env.example`, which a
//! test compares with the names that are read here.

mod bot_check;
mod database;
mod destinations;
mod env_file;
mod files;
mod given;
mod hooks;
mod hosts;
mod issuers;
mod limits;
mod log;
mod names;
mod proxies;
mod reader;
mod reload;
mod report;
mod retention;
mod safety;
mod secret_files;
mod server;
mod sms;
mod sources;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;
mod traces;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
};

use chrono::Duration;
use chrono_tz::Tz;
use secrecy::SecretString;

pub use self::{
    bot_check::BotCheckSettings,
    issuers::{IssuerSettings, KeySettings},
    reload::Reloaded,
    report::{Paragraph, paragraphs},
    safety::SafetySettings,
    server::ServerSettings,
    sms::{ProviderSettings, Reports, SmsSettings},
    sources::Sources,
    tokens::TokenSettings,
};
use self::{
    reader::Reader,
    sms::{OtherSettings, Sending},
};
use crate::{
    admin::ConsoleSettings,
    domain::{
        audit::Settings,
        budget::{BudgetPolicy, Odds},
        delivery::ChannelPolicy,
        destination::Destinations,
        otp::{CodeLength, OtpPolicy, RESEND_NEEDS},
        phone::Region,
        profile::PictureHosts,
        retention::Retention,
        second_factor::FactorPolicy,
    },
    hooks::{BeforeSendSettings, EventsSettings},
    http::{EdgeSettings, server::TlsFiles},
    random::Random,
    sms::{Provider, ReportReaders, TextSettings},
    store::DatabaseSettings,
    telemetry::{LogFilter, LogFormat, TraceSettings},
};

/// The minimum length of a secret in bytes: the output length of SHA-256 (RFC 2104, section 3; RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Where the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Development: missing secrets are generated for the run.
    Dev,
    /// Production: missing or weak settings stop the start.
    Prod,
}

/// All settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// `ENVIRONMENT`
    pub environment: Environment,
    /// Which events are logged: `RUST_LOG`, `LOG_LEVEL` or `DEBUG`.
    pub log_filter: LogFilter,
    /// The format of the log: text in `dev`, JSON in `prod`.
    pub log_format: LogFormat,
    /// `BIND_ADDR`
    pub bind_addr: SocketAddr,
    /// The connection limit and the address of the metrics.
    pub server: ServerSettings,
    /// `TLS_CERT_FILE` and `TLS_KEY_FILE`; `None` for plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Where traces go, if anywhere.
    pub traces: Option<TraceSettings>,
    /// `DATABASE_URL` and the other settings of the database.
    pub database: DatabaseSettings,
    /// The URL of the database without its password.
    database_shown: String,
    /// `SECRET_KEY`: codes are derived from it.
    pub secret_key: SecretString,
    /// `SECRET_KEY_FALLBACKS`: earlier values of `SECRET_KEY`.
    pub secret_key_fallbacks: Vec<SecretString>,
    /// The keys, issuer, audience and lifetimes of tokens.
    pub tokens: TokenSettings,
    /// The length, lifetime and attempts of codes.
    pub otp: OtpPolicy,
    /// The texts of messages.
    pub texts: TextSettings,
    /// The channels of messages.
    pub channels: ChannelPolicy,
    /// How delivery reports are verified.
    pub report_readers: ReportReaders,
    /// Whether delivery reports arrive, of each named provider.
    pub reports: Vec<(Provider, Reports)>,
    /// `PHONE_DEFAULT_REGION`
    pub region: Region,
    /// `TIME_ZONE`
    pub zone: Tz,
    /// `NAME_MIN_CHARACTERS`
    pub name_min_chars: u64,
    /// `STAFF_SECOND_FACTOR`
    pub factor_policy: FactorPolicy,
    /// Review numbers, recycled numbers, and hiding whether accounts exist.
    pub safety: SafetySettings,
    /// How long old rows are kept.
    pub retention: Retention,
    /// The allowed hosts of profile pictures.
    pub picture_hosts: PictureHosts,
    /// How messages are sent.
    pub sms: SmsSettings,
    /// The allowed hosts and origins, trusted proxies and flood control.
    pub edge: EdgeSettings,
    /// The admin console.
    pub admin: ConsoleSettings,
    /// `RATE_LIMITS_ENABLED`. It does not switch off the cooldown between two messages to one phone.
    pub rate_limits_enabled: bool,
    /// How suspicious requests prove that they do not come from a bot.
    pub bot_check: BotCheckSettings,
    /// Which URLs an operator's receivers may have.
    pub hook_rules: outbound::Rules,
    /// The hook that is asked before a code is sent.
    pub before_send: Option<BeforeSendSettings>,
    /// The receiver of events.
    pub events: Option<EventsSettings>,
    /// The other systems whose tokens open a session here.
    pub issuers: Vec<IssuerSettings>,
    /// The limits.
    pub budgets: BudgetPolicy,
    /// Which numbers can get messages.
    pub destinations: Destinations,
    /// The settings that were set, for the audit log.
    pub given: Settings,
    /// The names of those that come from `.env`.
    from_file: BTreeSet<&'static str>,
    /// The defaults that depend on other settings, and those of numbers and booleans.
    defaults: BTreeMap<&'static str, String>,
    /// The chances of an attacker who guesses codes.
    pub odds: Odds,
    /// Warnings that are logged when the server starts.
    pub warnings: Vec<String>,
}

/// All problems of the settings, each as a sentence that begins with the name of its setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the settings are not right:")?;
        self.0.iter().try_for_each(|problem| writeln!(f, "  - {problem}"))
    }
}

impl std::error::Error for Problems {}

impl Config {
    /// Reads all settings. `random` generates secrets that are missing in `dev`.
    ///
    /// # Errors
    /// All problems.
    pub fn read(get: &dyn Fn(&str) -> Option<String>, random: &Random) -> Result<Self, Problems> {
        let (config, problems) = Self::examine(get, random);
        if problems.0.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// Reads all settings, and returns them with all problems. A wrong setting has its default here, so a configuration with
    /// problems is only for commands that show or check it; a server must not use it.
    pub fn examine(get: &dyn Fn(&str) -> Option<String>, random: &Random) -> (Self, Problems) {
        let mut reader = Reader::new(get);
        let config = Self::gather(&mut reader, random);
        (config, reader.problems())
    }

    /// The names of all settings.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        let mut reader = Reader::new(&|_| None);
        Self::gather(&mut reader, &Random::seeded(0));
        reader.names()
    }

    fn gather(reader: &mut Reader<'_>, random: &Random) -> Self {
        // An empty value is refused too: a misspelt variable in a compose file arrives as one, and to treat it as `dev`
        // would make codes public.
        let environment = match reader.raw("ENVIRONMENT").as_deref().map(str::trim) {
            None | Some("dev") => Environment::Dev,
            Some("prod") => Environment::Prod,
            Some(_) => {
                reader.problem("ENVIRONMENT must be dev or prod");
                Environment::Prod
            }
        };
        let is_prod = environment == Environment::Prod;
        let hook_rules = hooks::rules(reader, is_prod);
        let public_base_url = reader.http_url("PUBLIC_BASE_URL");
        let rate_limits_enabled = reader.flag("RATE_LIMITS_ENABLED", true);
        let others = OtherSettings {
            is_prod,
            rate_limits_enabled,
            public_base_url: public_base_url.as_ref(),
            hook_rules,
        };
        let Sending { sms, texts, channels, report_readers, reports } = sms::sending(reader, &others);
        let bind_addr = bind_addr(reader, is_prod);
        let tls = tls::files(reader);
        let region = reader.parsed("PHONE_DEFAULT_REGION", "IN");
        let zone = zone(reader);
        let otp = otp(reader);
        let budgets = limits::budgets(reader, rate_limits_enabled);
        let (database, database_shown) = database::database(reader, is_prod);
        let mut config = Self {
            environment,
            log_filter: log::filter(reader),
            log_format: if is_prod { LogFormat::Json } else { LogFormat::Text },
            bind_addr,
            server: server::server(reader, bind_addr, is_prod),
            traces: traces::traces(reader),
            database,
            database_shown,
            secret_key: secret(reader, "SECRET_KEY", None, is_prod, random),
            secret_key_fallbacks: fallbacks(reader, is_prod),
            issuers: Vec::new(),
            tokens: tokens::tokens(reader, is_prod, public_base_url.as_ref(), random),
            otp,
            texts,
            channels,
            report_readers,
            reports,
            region,
            zone,
            retention: retention::retention(reader),
            name_min_chars: reader.number("NAME_MIN_CHARACTERS", 3, 1, 10).unsigned_abs(),
            factor_policy: factor_policy(reader, is_prod),
            safety: safety::safety(reader, otp.length, region, zone),
            picture_hosts: if is_prod { PictureHosts::PublicOnly } else { PictureHosts::Any },
            sms,
            edge: EdgeSettings {
                proxies: proxies::proxies(reader),
                guard: proxies::guard(reader, rate_limits_enabled),
                is_https_only: is_prod && tls.is_some(),
                ..hosts::edge(reader, is_prod, public_base_url.as_ref())
            },
            admin: ConsoleSettings {
                is_secure: is_prod || tls.is_some(),
                public_origin: public_base_url.as_ref().map(|url| url.origin().ascii_serialization()),
                allowed_networks: reader.parsed("ADMIN_ALLOWED_NETWORKS", ""),
            },
            tls,
            rate_limits_enabled,
            odds: limits::odds(reader, is_prod, &otp, &budgets),
            budgets,
            destinations: destinations::destinations(reader),
            bot_check: bot_check::bot_check(reader, is_prod, rate_limits_enabled),
            hook_rules,
            before_send: hooks::before_send(reader, hook_rules),
            events: hooks::events(reader, hook_rules),
            given: Settings::default(),
            from_file: BTreeSet::new(),
            defaults: BTreeMap::new(),
            warnings: reader.take_warnings(),
        };
        config.tokens.policy.terms.clone_from(&config.safety.terms);
        config.issuers = issuers::issuers(reader, &config, is_prod);
        config.warnings.extend(reader.take_warnings());
        config.defaults = reader.take_defaults();
        config.given = given::settings(reader.take_given(), &config.database_without_password());
        if config.before_send.is_some() && matches!(config.bot_check, BotCheckSettings::Off) {
            config.warnings.push(
                "BEFORE_SEND_URL is set and BOT_PROOF is off: the decision challenge counts as deny"
                    .to_owned(),
            );
        }
        if is_prod && !config.rate_limits_enabled {
            reader.problem("RATE_LIMITS_ENABLED must not be false in prod");
        }
        config
    }
}

fn factor_policy(reader: &mut Reader<'_>, is_prod: bool) -> FactorPolicy {
    let (default, name) =
        if is_prod { (FactorPolicy::Required, "required") } else { (FactorPolicy::Optional, "optional") };
    reader.note_default("STAFF_SECOND_FACTOR", name);
    let policy = match reader.text("STAFF_SECOND_FACTOR").map(|text| text.to_ascii_lowercase()).as_deref() {
        None => default,
        Some("required") => FactorPolicy::Required,
        Some("optional") => FactorPolicy::Optional,
        Some(_) => {
            reader.problem("STAFF_SECOND_FACTOR must be required or optional");
            default
        }
    };
    if is_prod && policy == FactorPolicy::Optional {
        reader.warn(
            "STAFF_SECOND_FACTOR is optional: a stolen password of staff is enough to read all accounts",
        );
    }
    policy
}

fn bind_addr(reader: &mut Reader<'_>, is_prod: bool) -> SocketAddr {
    let default = SocketAddr::from(if is_prod { ([0, 0, 0, 0], 8000) } else { ([127, 0, 0, 1], 8000) });
    reader.note_default("BIND_ADDR", default);
    reader.address("BIND_ADDR").unwrap_or(default)
}

fn zone(reader: &mut Reader<'_>) -> Tz {
    let given = reader.text("TIME_ZONE");
    given.map_or(Ok(Tz::Asia__Kolkata), |name| name.parse()).unwrap_or_else(|_| {
        reader.problem("TIME_ZONE must be a name of the IANA time zone database, such as Asia/Kolkata, Europe/Berlin or UTC");
        Tz::UTC
    })
}

/// A secret that was set, or a generated one where that is allowed.
fn secret(
    reader: &mut Reader<'_>,
    name: &'static str,
    also: Option<&'static str>,
    is_prod: bool,
    random: &Random,
) -> SecretString {
    let given = reader.text(name);
    let other = also.and_then(|also| reader.text(also));
    let given = given.or(other);
    let Some(given) = given else {
        if is_prod {
            reader.problem(format!("{name} must be set in prod, to {MIN_SECRET_BYTES} bytes or more"));
        } else {
            reader.warn(format!("{name} is not set: one was made up for this run, and is forgotten with it"));
        }
        return random.secret();
    };
    let faults = [
        (given.len() < MIN_SECRET_BYTES, format!("{name} is shorter than {MIN_SECRET_BYTES} bytes")),
        (is_published(&given), format!("{name} is published on the internet: make one of your own")),
    ];
    for (_, sentence) in faults.into_iter().filter(|(is_there, _)| *is_there) {
        if is_prod {
            reader.problem(sentence);
        } else {
            reader.warn(sentence);
        }
    }
    given.into()
}

/// What secrets begin with that anyone can read: the default of the original backend and of every new Django project, and the
/// placeholders of their guides.
const PUBLISHED: [&str; 3] = ["django-insecure-", "your-", "dev-secret-key-not-for-production"];

fn is_published(secret: &str) -> bool {
    PUBLISHED.iter().any(|beginning| secret.starts_with(beginning))
}

/// Earlier secrets still verify codes, so they need the same length.
fn fallbacks(reader: &mut Reader<'_>, is_prod: bool) -> Vec<SecretString> {
    let given = reader.list("SECRET_KEY_FALLBACKS");
    if is_prod && given.iter().any(|secret| secret.len() < MIN_SECRET_BYTES) {
        reader.problem(format!("SECRET_KEY_FALLBACKS has one that is shorter than {MIN_SECRET_BYTES} bytes"));
    }
    given.into_iter().map(SecretString::from).collect()
}

fn otp(reader: &mut Reader<'_>) -> OtpPolicy {
    let digits = u32::try_from(reader.number("OTP_LENGTH", 4, 4, 8)).ok().and_then(CodeLength::new);
    let policy = OtpPolicy {
        // `reader.number` has checked the range.
        length: digits.unwrap_or_default(),
        life: Duration::minutes(reader.number("OTP_EXPIRE_MINUTES", 10, 1, 60)),
        max_attempts: reader.number("OTP_MAX_ATTEMPTS", 3, 1, 10),
        resend_after: Duration::seconds(reader.number("OTP_RESEND_SECONDS", 30, 0, 3600)),
    };
    if policy.life <= RESEND_NEEDS {
        reader.warn("OTP_EXPIRE_MINUTES is 2 or less: every resend begins a new code with new guesses");
    }
    policy
}

impl Config {
    /// The scheme and host under which browsers reach the server: those of `PUBLIC_BASE_URL`, else its own address.
    #[must_use]
    pub fn public_origin(&self) -> String {
        match &self.admin.public_origin {
            Some(origin) => origin.clone(),
            None if self.bind_addr.ip().is_unspecified() => {
                format!("{}://localhost:{}", self.scheme(), self.bind_addr.port())
            }
            None => self.own_origin(),
        }
    }

    /// The scheme and address that the server listens on.
    #[must_use]
    pub fn own_origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.bind_addr)
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Whether messages go to the inbox of test mode.
    #[must_use]
    pub fn is_test_mode(&self) -> bool {
        matches!(self.sms, SmsSettings::TestInbox)
    }

    /// The URL of the database without its password, which can be before the host or in a parameter.
    #[must_use]
    pub fn database_without_password(&self) -> String {
        self.database_shown.clone()
    }
}
