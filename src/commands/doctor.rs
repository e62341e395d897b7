//! `loopin-auth doctor`: what is right with an installation, what is not, and what to do about it. Changes nothing.

use std::{fmt, future::Future, time::Duration};

use secrecy::ExposeSecret;

use super::with_causes;
use crate::{
    bot_check::{SiteVerify, Verdict as Verified},
    clock::Clock,
    config::{BotCheckSettings, Config, Environment, Problems, Reports, SmsSettings},
    domain::{budget::ACCEPTED, phone::Edition},
    random::Random,
    sms::{AccountCheck, AccountKind, AccountStatus, Texts, Twilio, explain},
    store::{Migrations, Pooler, Store, Unready},
};

/// How long the database and Twilio, who are asked at the same time, may take to answer. Both have shorter limits of
/// their own; this one holds whatever hangs.
const PATIENCE: Duration = Duration::from_secs(15);

/// How old numbering plans may be before somebody should know. libphonenumber has a release every two weeks.
const OLD_PLANS_DAYS: i64 = 180;

/// What a server needs beside the sockets of its messages: listeners, the database, its files.
const OTHER_FILES: u64 = 100;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// The server runs, and somebody should know.
    Warning,
    /// The server does not start, or does not do what it is for.
    Failure,
}

/// One line.
#[derive(Debug)]
pub struct Finding {
    /// How bad it is.
    pub verdict: Verdict,
    /// What was looked at.
    pub about: &'static str,
    /// What was found, and what to do.
    pub said: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Fine => "ok",
            Verdict::Warning => "warn",
            Verdict::Failure => "FAIL",
        };
        write!(f, "{word:4}  {}: {}", self.about, self.said)
    }
}

/// What the settings give an attacker who guesses codes.
fn odds(config: &Config) -> Finding {
    let said = config.odds.to_string();
    if config.odds.between_sign_ins > ACCEPTED { warning("odds", said) } else { fine("odds", said) }
}

/// Four digits are what apps were built for, and a hundred times easier to guess than six.
fn code_length(config: &Config) -> Option<Finding> {
    const SHORTEST: usize = 4;
    let is_short = config.environment == Environment::Prod && config.otp.length.digits() == SHORTEST;
    is_short.then(|| {
        warning("codes", "they have four digits: set OTP_LENGTH=6 if your apps take six, which are a hundred times harder to guess")
    })
}

/// New series of mobile numbers are refused until a newer version of this program knows them.
fn numbering_plans(clock: &Clock) -> Finding {
    const ABOUT: &str = "numbering plans";
    let edition = Edition::from_plans();
    let age = (clock.now().date_naive() - edition.released).num_days();
    if age > OLD_PLANS_DAYS {
        let said = format!(
            "libphonenumber {edition}, {age} days old: newer numbers are refused, so update loopin-auth"
        );
        warning(ABOUT, said)
    } else {
        fine(ABOUT, format!("libphonenumber {edition}"))
    }
}

fn fine(about: &'static str, said: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Fine, about, said: said.into() }
}

fn warning(about: &'static str, said: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Warning, about, said: said.into() }
}

fn failure(about: &'static str, said: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Failure, about, said: said.into() }
}

/// Looks at everything. `problems` are those of the settings: what does not depend on them is looked at all the same.
pub async fn examine(config: &Config, problems: &Problems, clock: &Clock, random: &Random) -> Vec<Finding> {
    let (database, twilio, proof) =
        tokio::join!(database(config, problems), twilio(config, clock), bot_check(config, random));
    let mut findings = settings(config, problems);
    findings.extend(secrets(config, problems));
    findings.extend(database);
    findings.extend(twilio);
    findings.extend(proof);
    findings.extend(code_length(config));
    findings.push(odds(config));
    findings.push(numbering_plans(clock));
    findings.push(reports(config));
    findings.extend(texts(config, problems));
    findings.push(open_files(config));
    findings.push(proxies(config));
    findings
}

fn is_about_secrets(sentence: &str) -> bool {
    ["SECRET_KEY", "JWT_SECRET", "JWT_PRIVATE_KEY", "JWT_PREVIOUS"]
        .iter()
        .any(|name| sentence.starts_with(name))
}

/// What [`reports`] says.
fn is_about_reports(sentence: &str) -> bool {
    sentence.starts_with("no delivery report will come")
}

fn settings(config: &Config, problems: &Problems) -> Vec<Finding> {
    let told = |sentence: &&String| !is_about_secrets(sentence) && !is_about_reports(sentence);
    let mut findings: Vec<Finding> =
        problems.0.iter().filter(told).map(|problem| failure("settings", problem)).collect();
    findings.extend(config.warnings.iter().filter(told).map(|said| warning("settings", said)));
    if findings.is_empty() {
        let environment = match config.environment {
            Environment::Dev => "dev",
            Environment::Prod => "prod",
        };
        findings.push(fine("settings", format!("nothing is missing or wrong for ENVIRONMENT={environment}")));
    }
    findings
}

fn secrets(config: &Config, problems: &Problems) -> Vec<Finding> {
    let ours = |sentence: &&String| is_about_secrets(sentence);
    let mut findings: Vec<Finding> =
        problems.0.iter().filter(ours).map(|problem| failure("secrets", problem)).collect();
    findings.extend(config.warnings.iter().filter(ours).map(|said| warning("secrets", said)));
    let token_secret = config.tokens.secret.as_ref().map(ExposeSecret::expose_secret);
    if token_secret == Some(config.secret_key.expose_secret()) {
        findings.push(warning("secrets", "SECRET_KEY and JWT_SECRET_KEY are the same: give each its own"));
    }
    if findings.is_empty() {
        findings.push(fine("secrets", "all are set, long enough, and differ"));
    }
    findings
}

async fn database(config: &Config, problems: &Problems) -> Vec<Finding> {
    if problems.0.iter().any(|problem| problem.starts_with("DATABASE_URL ")) {
        return vec![warning("database", "not asked: mend DATABASE_URL first")];
    }
    let mut findings =
        in_time("database", "it does not answer: check DATABASE_URL, the network and the server", async {
            match Store::look(&config.database).await {
                Ok(Some(store)) => {
                    let findings = look_into(config, &store).await;
                    store.close().await;
                    findings
                }
                Ok(None) => {
                    vec![no_file(config), warning("migrations", "none has run: there is no database yet")]
                }
                Err(error) => no_answer(config, &error),
            }
        })
        .await;
    findings.extend(sqlite_in_prod(config));
    findings
}

fn sqlite_in_prod(config: &Config) -> Option<Finding> {
    let is_sqlite = kind(config) == "SQLite" && config.environment == Environment::Prod;
    is_sqlite.then(|| {
        warning(
            "database",
            "SQLite in prod means one server only, one write at a time, and a file on a local disk of this machine that you \
             back up yourself: everybody's account is in it. PostgreSQL has none of these limits",
        )
    })
}

/// SQLite makes a file, but no folder.
fn no_file(config: &Config) -> Finding {
    let url = config.database_without_password();
    if Store::can_be_made(&config.database) {
        warning(
            "database",
            format!(
                "{url} is not there yet, and was not made: loopin-auth migrate or the first start makes it"
            ),
        )
    } else {
        failure(
            "database",
            format!("{url} is not there, and neither is its folder: make it, or change DATABASE_URL"),
        )
    }
}

fn no_answer(config: &Config, error: &Unready) -> Vec<Finding> {
    let (kind, url) = (kind(config), config.database_without_password());
    let cause = with_causes(error);
    let advice = match error {
        Unready::Away(_) => ": check DATABASE_URL and the server",
        // It has its remedy with it.
        Unready::Hopeless(_) => "",
    };
    vec![
        failure("database", format!("{kind} at {url}: {cause}{advice}")),
        warning("migrations", "not asked for: the database comes first"),
    ]
}

fn kind(config: &Config) -> &'static str {
    if config.database_without_password().starts_with("sqlite:") { "SQLite" } else { "PostgreSQL" }
}

async fn look_into(config: &Config, store: &Store) -> Vec<Finding> {
    if let Err(error) = store.ping().await {
        return no_answer(config, &error.into());
    }
    let (kind, url) = (kind(config), config.database_without_password());
    let answers = fine("database", format!("{kind} at {url} answers"));
    let migrations = match store.find_migrations().await {
        Ok(Migrations { unknown, .. }) if !unknown.is_empty() => failure(
            "migrations",
            format!("{} ran that this version does not know: run the newer version", unknown.join(", ")),
        ),
        Ok(Migrations { pending, .. }) if pending.is_empty() => fine("migrations", "all have run"),
        Ok(Migrations { pending, .. }) => warning(
            "migrations",
            format!(
                "{} pending: run loopin-auth migrate, or start the server, which does the same",
                pending.len()
            ),
        ),
        Err(error) => failure("migrations", with_causes(&error)),
    };
    let mut findings = vec![answers];
    findings.extend(pooler(config, store).await);
    findings.push(migrations);
    findings
}

/// A connection pooler that the settings do not say, or say wrongly. Nothing where there is none.
async fn pooler(config: &Config, store: &Store) -> Option<Finding> {
    const ABOUT: &str = "connection pooler";
    let is_there = match store.find_pooler().await {
        Ok(is_there) => is_there,
        Err(error) => return Some(warning(ABOUT, with_causes(&error))),
    };
    match (config.database.pooler, is_there) {
        (None | Some(Pooler::None), false) => None,
        (None, true) => Some(warning(
            ABOUT,
            "one such as PgBouncer stands before PostgreSQL, and is taken for one in transaction mode: set \
             DATABASE_POOLER=transaction, or DATABASE_POOLER=session if that is its pool_mode, which costs less",
        )),
        (Some(Pooler::None), true) => Some(failure(
            ABOUT,
            "one such as PgBouncer stands before PostgreSQL, and DATABASE_POOLER=none: set it to the pooler's \
             pool_mode, transaction or session, or values of one request may reach another one's statement",
        )),
        (Some(Pooler::Session), true) => {
            Some(fine(ABOUT, "there is one; DATABASE_POOLER says that it pools sessions"))
        }
        (Some(Pooler::Transaction), true) => Some(fine(ABOUT, "there is one, in transaction mode")),
        (Some(Pooler::Session | Pooler::Transaction), false) => Some(warning(
            ABOUT,
            "none was found, and DATABASE_POOLER names one: without it, statements take fewer round trips",
        )),
    }
}

async fn twilio(config: &Config, clock: &Clock) -> Vec<Finding> {
    let settings = match &config.sms {
        SmsSettings::TestInbox => {
            return vec![fine("Twilio", "not asked: test mode keeps messages in the inbox")];
        }
        SmsSettings::Unknown => {
            return vec![warning("Twilio", "not asked: mend the settings that begin with TWILIO_ first")];
        }
        SmsSettings::Twilio(settings) => (**settings).clone(),
    };
    let twilio = match Twilio::new(settings, clock.clone()) {
        Ok(twilio) => twilio,
        Err(error) => return vec![failure("Twilio", with_causes(&error))],
    };
    in_time("Twilio", "it does not answer: check TWILIO_API_BASE_URL and the network", async {
        match twilio.check_account().await {
            Ok(account) => vec![account_finding(account)],
            Err(error) => vec![failure("Twilio", explain(&error))],
        }
    })
    .await
}

/// A provider that answers and takes our secret refuses a token that is none, and only the token.
async fn bot_check(config: &Config, random: &Random) -> Vec<Finding> {
    const ABOUT: &str = "bot proof";
    let settings = match &config.bot_check {
        BotCheckSettings::Off => return Vec::new(),
        BotCheckSettings::Pow(difficulty) => {
            return vec![fine(ABOUT, format!("suspicious requests do {} bits of work", difficulty.bits()))];
        }
        BotCheckSettings::Provider(settings) => (**settings).clone(),
    };
    let name = settings.provider.as_str();
    let site = match SiteVerify::new(settings) {
        Ok(site) => site,
        Err(error) => return vec![failure(ABOUT, with_causes(&error))],
    };
    in_time(ABOUT, "the provider does not answer: check BOT_PROOF_URL and the network", async {
        vec![match site.probe(random.bits()).await {
            Verified::Refused("missing-input-response" | "invalid-input-response") => {
                fine(ABOUT, format!("{name} answers, and says nothing against the secret"))
            }
            Verified::Human | Verified::Refused(_) => warning(
                ABOUT,
                format!("{name} does not refuse a token that is none for what it is: check BOT_PROOF_URL and BOT_PROOF_SECRET"),
            ),
            Verified::Misconfigured(why) => failure(
                ABOUT,
                format!("{name} refuses us ({why}): check BOT_PROOF_SECRET, BOT_PROOF_SITE_KEY and BOT_PROOF_URL"),
            ),
            Verified::Away(why) => failure(
                ABOUT,
                format!("{name} does not answer as it should ({why}): check BOT_PROOF_URL and the network"),
            ),
        }]
    })
    .await
}

fn account_finding(account: AccountCheck) -> Finding {
    match (account.status, account.kind) {
        (Some(AccountStatus::Suspended), _) => {
            failure("Twilio", "the account is suspended: see the Twilio console, most likely its balance")
        }
        (Some(AccountStatus::Closed), _) => failure("Twilio", "the account is closed: set another one"),
        (Some(AccountStatus::Active) | None, Some(AccountKind::Trial)) => warning(
            "Twilio",
            "the credentials are good; a trial account only sends to numbers verified with Twilio: upgrade it",
        ),
        (Some(AccountStatus::Active), Some(AccountKind::Full) | None) => {
            fine("Twilio", "the credentials are good, and the account is active")
        }
        (None, Some(AccountKind::Full) | None) => fine("Twilio", "the credentials are good"),
    }
}

fn reports(config: &Config) -> Finding {
    const ABOUT: &str = "delivery reports";
    match &config.reports {
        Reports::To(url) => {
            fine(ABOUT, format!("Twilio is told to report to {url}; it must reach it from outside"))
        }
        Reports::Played => fine(ABOUT, "test mode plays them"),
        Reports::Never(why) => warning(ABOUT, format!("none will come: {why}")),
    }
}

fn texts(config: &Config, problems: &Problems) -> Vec<Finding> {
    let Ok(texts) = Texts::load(config.texts.clone()) else {
        // The settings' own finding says what is wrong; but that list could one day be shorter.
        let is_told = problems.0.iter().any(|problem| problem.starts_with("SMS_"));
        let finding = failure("texts", "they cannot be read: see SMS_TEXTS_DIR");
        return if is_told { Vec::new() } else { vec![finding] };
    };
    let long = texts.warnings(config.otp.length.digits(), config.otp.life.num_minutes());
    let mut findings: Vec<Finding> = long.into_iter().map(|said| warning("texts", said)).collect();
    if findings.is_empty() {
        let from = match &config.texts.folder {
            Some(folder) => format!("our own and those of SMS_TEXTS_DIR, {}", folder.display()),
            None => "our own".to_owned(),
        };
        findings.push(fine("texts", format!("{from}: each fits into one segment")));
    }
    findings
}

/// Only the operator knows what stands in front; this says what follows from what she set.
fn proxies(config: &Config) -> Finding {
    const ABOUT: &str = "client addresses";
    let trusted = &config.edge.proxies;
    match config.environment {
        _ if !trusted.is_empty() => fine(
            ABOUT,
            format!(
                "X-Forwarded-For is believed from {trusted}; each proxy there must write it anew, or add to it"
            ),
        ),
        Environment::Dev => fine(ABOUT, "those of the connections: TRUSTED_PROXIES is not set"),
        Environment::Prod => warning(
            ABOUT,
            "those of the connections, which is only right if nothing stands in front: behind a proxy or a load balancer \
             everybody has its address and shares its limits until TRUSTED_PROXIES names it",
        ),
    }
}

/// A message under way is a socket of the person who waits and one to Twilio.
fn open_files(config: &Config) -> Finding {
    const ABOUT: &str = "open files";
    let settings = match &config.sms {
        SmsSettings::Twilio(settings) => settings,
        SmsSettings::TestInbox => return fine(ABOUT, "test mode needs few"),
        SmsSettings::Unknown => {
            return warning(ABOUT, "not counted: mend the settings that begin with TWILIO_ first");
        }
    };
    let most = u64::try_from(settings.max_in_flight).unwrap_or(u64::MAX);
    let needed = most.saturating_mul(2).saturating_add(OTHER_FILES);
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit >= needed => fine(ABOUT, format!("up to {limit}")),
        Ok(limit) => warning(
            ABOUT,
            format!(
                "up to {limit}, and TWILIO_MAX_IN_FLIGHT={most} may need {needed}: raise the hard limit (ulimit -Hn, \
                 LimitNOFILE) or lower the setting"
            ),
        ),
        Err(error) => warning(ABOUT, format!("the limit cannot be read: {error}")),
    }
}

/// What a check finds, or that it took too long.
async fn in_time(
    about: &'static str,
    else_said: &'static str,
    check: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    tokio::time::timeout(PATIENCE, check).await.unwrap_or_else(|_| vec![failure(about, else_said)])
}
