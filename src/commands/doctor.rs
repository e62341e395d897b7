//! `loopin-auth doctor`: checks an installation, and prints what is wrong and what to do about it. It changes nothing.

mod database;
mod india;
mod issuers;
mod open_files;

use std::{fmt, future::Future, process::ExitCode, time::Duration};

use secrecy::ExposeSecret;

use super::{CommandError, Context, output::print, runtime, with_causes};
use crate::{
    bot_check::{SiteVerify, Verdict as Verified},
    clock::Clock,
    config::{BotCheckSettings, Config, Environment, Problems, ProviderSettings, Reports, SmsSettings},
    domain::{budget::ACCEPTED, phone::Edition},
    random::Random,
    sms::{AccountCheck, AccountKind, AccountStatus, Provider, Texts, Twilio, explain_with_text},
};

/// How long a check may take. The checks that wait for others run in parallel and have shorter limits of their own; this one
/// holds for everything else that hangs.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// The age of numbering plans that causes a warning. libphonenumber has a release every two weeks.
const OLD_PLANS_DAYS: i64 = 180;

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No problem.
    Fine,
    /// The server works, but the operator should know.
    Warning,
    /// The server does not start, or cannot do its work.
    Failure,
}

/// One line of the output.
#[derive(Debug)]
pub struct Finding {
    /// How serious it is.
    pub verdict: Verdict,
    /// What was checked.
    pub about: &'static str,
    /// What was found, and what to do.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Fine => "ok",
            Verdict::Warning => "warn",
            Verdict::Failure => "FAIL",
        };
        write!(f, "{word:4}  {}: {}", self.about, self.text)
    }
}

/// Prints all findings, then the texts to register in India; fails if a finding is a failure.
///
/// # Errors
/// When the output cannot be written.
pub fn run(context: &Context) -> Result<ExitCode, CommandError> {
    let (config, problems) = context.inspect_config();
    let runtime = runtime()?;
    let findings = runtime.block_on(examine(&config, &problems, &context.clock, &context.random));
    // A DNS look-up that is still running cannot be cancelled; do not wait for it.
    runtime.shutdown_background();
    for finding in &findings {
        print(format_args!("{finding}\n"))?;
    }
    if let Some(list) = india::list(&config) {
        print(list)?;
    }
    let has_failed = findings.iter().any(|finding| finding.verdict == Verdict::Failure);
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The chances of an attacker who guesses codes.
fn odds(config: &Config) -> Finding {
    let text = config.odds.to_string();
    if config.odds.between_sign_ins > ACCEPTED { warning("odds", text) } else { fine("odds", text) }
}

/// Existing apps expect four digits, which are a hundred times easier to guess than six.
fn code_length(config: &Config) -> Option<Finding> {
    const SHORTEST: usize = 4;
    let is_short = config.environment == Environment::Prod && config.otp.length.digits() == SHORTEST;
    is_short.then(|| {
        warning("codes", "they have four digits: set OTP_LENGTH=6 if your apps take six, which are a hundred times harder to guess")
    })
}

/// New ranges of mobile numbers are refused until a newer version of this program knows them.
fn numbering_plans(clock: &Clock) -> Finding {
    const ABOUT: &str = "numbering plans";
    let edition = Edition::from_plans();
    let age = (clock.now().date_naive() - edition.released).num_days();
    if age > OLD_PLANS_DAYS {
        let text = format!(
            "libphonenumber {edition}, {age} days old: newer numbers are refused, so update loopin-auth"
        );
        warning(ABOUT, text)
    } else {
        fine(ABOUT, format!("libphonenumber {edition}"))
    }
}

fn fine(about: &'static str, text: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Fine, about, text: text.into() }
}

fn warning(about: &'static str, text: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Warning, about, text: text.into() }
}

fn failure(about: &'static str, text: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Failure, about, text: text.into() }
}

/// Runs all checks. `problems` are those of the settings; checks that do not depend on them run all the same.
async fn examine(config: &Config, problems: &Problems, clock: &Clock, random: &Random) -> Vec<Finding> {
    let (database, twilio, bot_check) =
        tokio::join!(database::check(config, problems), twilio(config, clock), bot_check(config, random));
    let mut findings = settings(config, problems);
    findings.extend(secrets(config, problems));
    findings.extend(database);
    findings.extend(twilio);
    findings.extend(bot_check);
    findings.extend(code_length(config));
    findings.push(odds(config));
    findings.push(numbering_plans(clock));
    findings.extend(other_providers(config));
    findings.extend(reports(config));
    findings.extend(texts(config, problems));
    findings.extend(india::check(config));
    findings.extend(issuers::check(config, problems, clock.now()));
    findings.extend(open_files::check(config));
    findings.push(proxies(config));
    findings
}

fn is_about_secrets(sentence: &str) -> bool {
    ["SECRET_KEY", "JWT_SECRET", "JWT_PRIVATE_KEY", "JWT_PREVIOUS"]
        .iter()
        .any(|name| sentence.starts_with(name))
}

/// [`reports`] says the same.
fn is_about_reports(sentence: &str) -> bool {
    sentence.starts_with("no delivery report will come") || sentence.ends_with("no delivery report will come")
}

fn settings(config: &Config, problems: &Problems) -> Vec<Finding> {
    let is_other = |sentence: &&String| !is_about_secrets(sentence) && !is_about_reports(sentence);
    let mut findings: Vec<Finding> =
        problems.0.iter().filter(is_other).map(|problem| failure("settings", problem)).collect();
    findings.extend(config.warnings.iter().filter(is_other).map(|text| warning("settings", text)));
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
    let is_ours = |sentence: &&String| is_about_secrets(sentence);
    let mut findings: Vec<Finding> =
        problems.0.iter().filter(is_ours).map(|problem| failure("secrets", problem)).collect();
    findings.extend(config.warnings.iter().filter(is_ours).map(|text| warning("secrets", text)));
    let token_secret = config.tokens.secret.as_ref().map(ExposeSecret::expose_secret);
    if token_secret == Some(config.secret_key.expose_secret()) {
        findings.push(warning("secrets", "SECRET_KEY and JWT_SECRET_KEY are the same: give each its own"));
    }
    if findings.is_empty() {
        findings.push(fine("secrets", "all are set, long enough, and differ"));
    }
    findings
}

async fn twilio(config: &Config, clock: &Clock) -> Vec<Finding> {
    let settings = match &config.sms {
        SmsSettings::TestInbox => {
            return vec![fine("SMS providers", "not checked: test mode keeps messages in the inbox")];
        }
        SmsSettings::Unknown => {
            return vec![warning("SMS providers", "not checked: fix the settings above first")];
        }
        SmsSettings::Providers(settings) => match &settings.twilio {
            Some(twilio) => twilio.clone(),
            None if settings.routes.names(Provider::Twilio) => {
                return vec![warning(
                    "Twilio",
                    "not checked: fix the settings that begin with TWILIO_ first",
                )];
            }
            None => return Vec::new(),
        },
    };
    let twilio = match Twilio::new(settings, clock.clone()) {
        Ok(twilio) => twilio,
        Err(error) => return vec![failure("Twilio", with_causes(&error))],
    };
    in_time("Twilio", "it does not answer: check TWILIO_API_BASE_URL and the network", async {
        match twilio.check_account().await {
            Ok(account) => vec![account_finding(account)],
            Err(unsent) => vec![failure("Twilio", explain_with_text(Provider::Twilio, &unsent))],
        }
    })
    .await
}

/// Sends an invalid token: a provider that accepts our secret refuses only the token.
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
                fine(ABOUT, format!("{name} answers, and accepts the secret"))
            }
            Verified::Human | Verified::Refused(_) => warning(
                ABOUT,
                format!("{name} does not refuse an invalid token as such: check BOT_PROOF_URL and BOT_PROOF_SECRET"),
            ),
            Verified::Misconfigured(why) => failure(
                ABOUT,
                format!("{name} refuses the settings ({why}): check BOT_PROOF_SECRET, BOT_PROOF_SITE_KEY and BOT_PROOF_URL"),
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
            "the credentials are good, but a trial account only sends to numbers verified with Twilio: upgrade it",
        ),
        (Some(AccountStatus::Active), Some(AccountKind::Full) | None) => {
            fine("Twilio", "the credentials are good, and the account is active")
        }
        (None, Some(AccountKind::Full) | None) => fine("Twilio", "the credentials are good"),
    }
}

fn reports(config: &Config) -> Vec<Finding> {
    const ABOUT: &str = "delivery reports";
    let finding = |(provider, reports): &(Provider, Reports)| match (reports, provider) {
        (Reports::To(url), _) if reports.are_out_of_reach(*provider) => warning(
            ABOUT,
            format!(
                "{} cannot reach {url}: set PUBLIC_BASE_URL to an address that it can reach",
                provider.title()
            ),
        ),
        (Reports::To(url), Provider::Twilio | Provider::Vonage | Provider::TestInbox) => {
            fine(ABOUT, format!("{} reports to {url}, which it must be able to reach", provider.title()))
        }
        (Reports::To(url), Provider::Msg91) => fine(
            ABOUT,
            format!("MSG91 reports to {url} (with its value), if that address is set in its panel"),
        ),
        (Reports::To(url), Provider::Webhook) => {
            fine(ABOUT, format!("the webhook reports to {url}, if it is told that address"))
        }
        (Reports::Played, _) => fine(ABOUT, "test mode simulates them"),
        (Reports::Never(why), Provider::Twilio) => warning(ABOUT, format!("none will come: {why}")),
        (Reports::Never(why), provider) => {
            warning(ABOUT, format!("none will come from {}: {why}", provider.title()))
        }
    };
    config.reports.iter().map(finding).collect()
}

/// The providers that have no request that checks credentials and sends nothing.
fn other_providers(config: &Config) -> Vec<Finding> {
    let SmsSettings::Providers(settings) = &config.sms else { return Vec::new() };
    let ProviderSettings { routes, vonage, msg91, webhook, .. } = &**settings;
    let named = [
        (Provider::Vonage, vonage.is_some()),
        (Provider::Msg91, msg91.is_some()),
        (Provider::Webhook, webhook.is_some()),
    ];
    let named = named.into_iter().filter(|(provider, _)| routes.names(*provider));
    named
        .map(|(provider, is_complete)| {
            let (about, name) = (provider.label(), provider.as_str());
            if is_complete {
                let text = format!(
                    "its settings are complete; `sms test +… --provider {name}` sends a message by it"
                );
                fine(about, text)
            } else {
                failure(about, "its settings are not complete: SMS_PROVIDERS names it")
            }
        })
        .collect()
}

fn texts(config: &Config, problems: &Problems) -> Vec<Finding> {
    let Ok(texts) = Texts::load(config.texts.clone()) else {
        // The problems of the settings usually say it already.
        let is_known = problems.0.iter().any(|problem| problem.starts_with("SMS_"));
        let finding = failure("texts", "they cannot be read: see SMS_TEXTS_DIR");
        return if is_known { Vec::new() } else { vec![finding] };
    };
    let long = texts.warnings(config.otp.length.digits(), config.otp.life.num_minutes());
    let mut findings: Vec<Finding> = long.into_iter().map(|text| warning("texts", text)).collect();
    if findings.is_empty() {
        let from = match &config.texts.folder {
            Some(folder) => format!("the built-in ones and those of SMS_TEXTS_DIR, {}", folder.display()),
            None => "the built-in ones".to_owned(),
        };
        findings.push(fine("texts", format!("{from}: each fits into one segment")));
    }
    findings
}

/// The program cannot know which proxies are in front of it; this says what follows from the setting.
fn proxies(config: &Config) -> Finding {
    const ABOUT: &str = "client addresses";
    let trusted = &config.edge.proxies;
    match config.environment {
        _ if !trusted.is_empty() => fine(
            ABOUT,
            format!(
                "X-Forwarded-For is used from {trusted}; each of these proxies must replace it or add to it"
            ),
        ),
        Environment::Dev => fine(ABOUT, "those of the connections: TRUSTED_PROXIES is not set"),
        Environment::Prod => warning(
            ABOUT,
            "those of the connections, which is only right without a proxy or load balancer: behind one, all clients have \
             its address and share its limits until TRUSTED_PROXIES names it",
        ),
    }
}

/// Runs a check with a time limit; `otherwise` is the failure when the limit is over.
async fn in_time(
    about: &'static str,
    otherwise: &'static str,
    check: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    tokio::time::timeout(TIME_LIMIT, check).await.unwrap_or_else(|_| vec![failure(about, otherwise)])
}
