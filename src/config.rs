//! Every setting of the server, read once, with every fault named at once.
//!
//! To add a setting: read it here through [`Reader`], hand it to whoever needs it in `app.rs`, and describe it in
//! `.env.example`, which a test compares with what is read here.

mod bot_check;
mod database;
mod destinations;
mod env_file;
mod given;
mod hosts;
mod limits;
mod names;
mod proxies;
mod reader;
mod retention;
mod safety;
mod server;
mod sms;
mod sources;
#[cfg(test)]
mod tests;
mod tokens;

use std::{fmt, net::SocketAddr};

use chrono::Duration;
use chrono_tz::Tz;
use secrecy::SecretString;

pub use self::{
    bot_check::BotCheckSettings,
    safety::SafetySettings,
    server::ServerSettings,
    sms::{Reports, SmsSettings},
    sources::Sources,
    tokens::TokenSettings,
};
use self::{
    reader::Reader,
    sms::{Around, Sending},
};
use crate::{
    domain::{
        audit::Settings,
        budget::{BudgetPolicy, Odds},
        delivery::ChannelPolicy,
        destination::Destinations,
        otp::{CodeLength, OtpPolicy, RESEND_NEEDS},
        phone::Region,
        profile::PictureHosts,
        retention::Retention,
    },
    http::EdgeSettings,
    random::Random,
    sms::{Callbacks, TextSettings},
    store::DatabaseSettings,
    telemetry::LogFormat,
};

/// The least length of a secret in production, in bytes: the output of SHA-256 (RFC 2104, section 3; RFC 7518,
/// section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Where the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// On a developer's machine: everything that is missing is made up.
    Dev,
    /// For real: whatever is missing or weak stops the start.
    Prod,
}

/// Every setting.
#[derive(Debug)]
pub struct Config {
    /// `ENVIRONMENT`
    pub environment: Environment,
    /// `DEBUG`: raises the level of the log and does nothing else.
    pub debug: bool,
    /// In which form the log is written: text in `dev`, JSON in `prod`.
    pub log_format: LogFormat,
    /// `BIND_ADDR`
    pub bind_addr: SocketAddr,
    /// How many connections are taken, and where the metrics are.
    pub server: ServerSettings,
    /// `DATABASE_URL` and its kin.
    pub database: DatabaseSettings,
    /// Where the database is, without a password.
    database_shown: String,
    /// `SECRET_KEY`: what codes are derived from.
    pub secret_key: SecretString,
    /// `SECRET_KEY_FALLBACKS`: what they were derived from before.
    pub secret_key_fallbacks: Vec<SecretString>,
    /// What tokens are signed with, whom they name and how long they live.
    pub tokens: TokenSettings,
    /// How codes are made and how long they live.
    pub otp: OtpPolicy,
    /// What messages are made of.
    pub texts: TextSettings,
    /// By which ways they go.
    pub channels: ChannelPolicy,
    /// How the provider's reports are told from forged ones.
    pub callbacks: Option<Callbacks>,
    /// Whether there are any.
    pub reports: Reports,
    /// `PHONE_DEFAULT_REGION`
    pub region: Region,
    /// `TIME_ZONE`
    pub zone: Tz,
    /// `NAME_MIN_CHARACTERS`
    pub name_min_chars: u64,
    /// What keeps accounts from other people's phones, and from being found out.
    pub safety: SafetySettings,
    /// For how long what is over is kept.
    pub retention: Retention,
    /// Which hosts pictures may be on.
    pub picture_hosts: PictureHosts,
    /// Who carries messages.
    pub sms: SmsSettings,
    /// Which hosts and origins are answered.
    pub edge: EdgeSettings,
    /// `RATE_LIMITS_ENABLED`. The cooldown between two sends to one phone is not among what it switches off.
    pub rate_limits_enabled: bool,
    /// Who judges whether a request is a program's.
    pub bot_check: BotCheckSettings,
    /// How often what may happen.
    pub budgets: BudgetPolicy,
    /// Which numbers get messages at all.
    pub destinations: Destinations,
    /// What was given of all this, for the audit log.
    pub given: Settings,
    /// What the settings give an attacker who guesses codes.
    pub odds: Odds,
    /// What the operator should know at the start.
    pub warnings: Vec<String>,
}

/// Everything that is wrong with the settings.
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
    /// Reads every setting. `random` makes up the secrets that `dev` may lack.
    ///
    /// # Errors
    /// All problems at once, each by the name of its setting.
    pub fn read(get: &dyn Fn(&str) -> Option<String>, random: &Random) -> Result<Self, Problems> {
        let (config, problems) = Self::examine(get, random);
        if problems.0.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// Reads every setting, and what is wrong with them. Where something is, the configuration has a default in its
    /// place: it is there to be looked at, not to be served with.
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
        // Also when it is there and empty, which is how a misspelt variable of a composing file arrives: to take that for
        // `dev` would show codes to the world.
        let environment = match reader.raw("ENVIRONMENT").as_deref().map(str::trim) {
            None | Some("dev") => Environment::Dev,
            Some("prod") => Environment::Prod,
            Some(_) => {
                reader.problem("ENVIRONMENT must be dev or prod");
                Environment::Prod
            }
        };
        let is_prod = environment == Environment::Prod;
        let public_base_url = reader.http_url("PUBLIC_BASE_URL");
        let rate_limits_enabled = reader.flag("RATE_LIMITS_ENABLED", true);
        let around = Around { is_prod, rate_limits_enabled, public_base_url: public_base_url.as_ref() };
        let Sending { sms, texts, channels, callbacks, reports } = sms::sending(reader, &around);
        let bind_addr = bind_addr(reader, is_prod);
        let region = reader.parsed("PHONE_DEFAULT_REGION", "IN");
        let zone = zone(reader);
        let otp = otp(reader);
        let budgets = limits::budgets(reader, rate_limits_enabled);
        let (database, database_shown) = database::database(reader, is_prod);
        let mut config = Self {
            environment,
            debug: reader.flag("DEBUG", false),
            log_format: if is_prod { LogFormat::Json } else { LogFormat::Text },
            bind_addr,
            server: server::server(reader, bind_addr),
            database,
            database_shown,
            secret_key: secret(reader, "SECRET_KEY", None, is_prod, random),
            secret_key_fallbacks: fallbacks(reader, is_prod),
            tokens: tokens::tokens(reader, is_prod, random),
            otp,
            texts,
            channels,
            callbacks,
            reports,
            region,
            zone,
            retention: retention::retention(reader),
            name_min_chars: reader.number("NAME_MIN_CHARACTERS", 3, 1, 10).unsigned_abs(),
            safety: safety::safety(reader, otp.length, region, zone),
            picture_hosts: if is_prod { PictureHosts::PublicOnly } else { PictureHosts::Any },
            sms,
            edge: EdgeSettings {
                proxies: proxies::proxies(reader),
                guard: proxies::guard(reader, rate_limits_enabled),
                ..hosts::edge(reader, is_prod, public_base_url.as_ref())
            },
            rate_limits_enabled,
            odds: limits::odds(reader, is_prod, &otp, &budgets),
            budgets,
            destinations: destinations::destinations(reader),
            bot_check: bot_check::bot_check(reader, is_prod, rate_limits_enabled),
            given: Settings::default(),
            warnings: reader.take_warnings(),
        };
        config.given = given::settings(reader.take_given(), &config.database_without_password());
        if is_prod && !config.rate_limits_enabled {
            reader.problem("RATE_LIMITS_ENABLED must not be false in prod");
        }
        config
    }
}

fn bind_addr(reader: &mut Reader<'_>, is_prod: bool) -> SocketAddr {
    let default = if is_prod { ([0, 0, 0, 0], 8000) } else { ([127, 0, 0, 1], 8000) };
    reader.address("BIND_ADDR").unwrap_or_else(|| default.into())
}

fn zone(reader: &mut Reader<'_>) -> Tz {
    let given = reader.text("TIME_ZONE");
    given.map_or(Ok(Tz::Asia__Kolkata), |name| name.parse()).unwrap_or_else(|_| {
        reader.problem("TIME_ZONE must be a name of the IANA time zone database, such as Asia/Kolkata, Europe/Berlin or UTC");
        Tz::UTC
    })
}

/// A secret: given, or made up for the run where that is allowed.
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
    if given.len() < MIN_SECRET_BYTES {
        let sentence = format!("{name} is shorter than {MIN_SECRET_BYTES} bytes");
        if is_prod {
            reader.problem(sentence);
        } else {
            reader.warn(sentence);
        }
    }
    given.into()
}

/// Earlier secrets verify codes too, so they are held to the same length.
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
        // The range above is the type's own.
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
    /// Whether messages go to the inbox.
    #[must_use]
    pub fn is_test_mode(&self) -> bool {
        matches!(self.sms, SmsSettings::TestInbox)
    }

    /// Where the database is, without a password, be it before the host or among the parameters.
    #[must_use]
    pub fn database_without_password(&self) -> String {
        self.database_shown.clone()
    }
}
