//! The settings of bot proof. Those of a provider are checked even if no provider is on.

use secrecy::SecretString;
use url::Url;

use super::reader::Reader;
use crate::{
    bot_check::{DEFAULT_TIMEOUT, Provider, ProviderSettings},
    domain::bot_check::Difficulty,
};

/// The longest action that Turnstile accepts:
/// <https://developers.cloudflare.com/turnstile/get-started/client-side-rendering/widget-configurations/>.
const MAX_ACTION_CHARS: usize = 32;

/// How suspicious requests prove that they do not come from a bot.
#[derive(Debug, Clone)]
pub enum BotCheckSettings {
    /// Not at all.
    Off,
    /// By proof of work, which this server checks.
    Pow(Difficulty),
    /// By a token that a provider checks.
    Provider(Box<ProviderSettings>),
}

enum Kind {
    Off,
    Pow,
    Provider(Provider),
}

pub(super) fn bot_check(
    reader: &mut Reader<'_>,
    is_prod: bool,
    rate_limits_enabled: bool,
) -> BotCheckSettings {
    let kind = match reader.text("BOT_PROOF").as_deref() {
        None | Some("off") => Kind::Off,
        Some("pow") => Kind::Pow,
        Some("turnstile") => Kind::Provider(Provider::Turnstile),
        Some("hcaptcha") => Kind::Provider(Provider::HCaptcha),
        Some(_) => {
            reader.problem("BOT_PROOF must be off, pow, turnstile or hcaptcha");
            Kind::Off
        }
    };
    let difficulty = difficulty(reader);
    let site_key = reader.text("BOT_PROOF_SITE_KEY");
    let secret = reader.text("BOT_PROOF_SECRET").map(SecretString::from);
    let url = url(reader, is_prod);
    let hostnames = hostnames(reader);
    let action = action(reader);
    let settings = match kind {
        Kind::Off => BotCheckSettings::Off,
        Kind::Pow => BotCheckSettings::Pow(difficulty),
        Kind::Provider(provider) => {
            let given = Given { site_key, secret, url, hostnames, action };
            given.settings(reader, provider, is_prod)
        }
    };
    // Decided last, so that all problems are found even with limits off.
    if rate_limits_enabled { settings } else { BotCheckSettings::Off }
}

fn difficulty(reader: &mut Reader<'_>) -> Difficulty {
    let bits = reader.number(
        "BOT_PROOF_DIFFICULTY",
        i64::from(Difficulty::DEFAULT),
        i64::from(Difficulty::LEAST),
        i64::from(Difficulty::MOST),
    );
    // `reader.number` has checked the range.
    u32::try_from(bits).ok().and_then(Difficulty::new).unwrap_or_default()
}

fn url(reader: &mut Reader<'_>, is_prod: bool) -> Option<Url> {
    let url = reader.http_url("BOT_PROOF_URL")?;
    if is_prod && url.scheme() != "https" {
        reader.problem("BOT_PROOF_URL must be an https URL in prod: the secret goes to it");
    }
    Some(url)
}

fn hostnames(reader: &mut Reader<'_>) -> Vec<String> {
    let hostnames = reader.list("BOT_PROOF_HOSTNAMES");
    let is_name =
        |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    if !hostnames.iter().all(is_name) {
        reader.problem(
            "BOT_PROOF_HOSTNAMES must be host names such as app.example.com, without a scheme or port",
        );
    }
    hostnames
}

fn action(reader: &mut Reader<'_>) -> Option<String> {
    let action = reader.text("BOT_PROOF_ACTION")?;
    let is_valid = action.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !is_valid || action.len() > MAX_ACTION_CHARS {
        reader.problem(format!(
            "BOT_PROOF_ACTION must have {MAX_ACTION_CHARS} letters, digits, _ and - at most"
        ));
    }
    Some(action)
}

struct Given {
    site_key: Option<String>,
    secret: Option<SecretString>,
    url: Option<Url>,
    hostnames: Vec<String>,
    action: Option<String>,
}

impl Given {
    fn settings(self, reader: &mut Reader<'_>, provider: Provider, is_prod: bool) -> BotCheckSettings {
        let name = provider.as_str();
        if self.site_key.is_none() {
            reader.problem(format!("BOT_PROOF_SITE_KEY must be set when BOT_PROOF is {name}"));
        }
        if self.secret.is_none() {
            reader.problem(format!("BOT_PROOF_SECRET must be set when BOT_PROOF is {name}"));
        }
        if is_prod && self.secret.as_ref().is_some_and(|secret| provider.is_for_tests(secret)) {
            reader.problem(
                "BOT_PROOF_SECRET is one that its provider gives to everybody for tests: not in prod",
            );
        }
        if self.hostnames.is_empty() {
            reader.warn(
                "BOT_PROOF_HOSTNAMES is empty: a proof made on any page of the provider's site key is taken",
            );
        }
        if self.action.is_some() && provider == Provider::HCaptcha {
            reader.warn("BOT_PROOF_ACTION is not looked at: hcaptcha knows no actions");
        }
        let url = self.url.or_else(|| Url::parse(provider.default_url()).ok());
        match (self.site_key, self.secret, url) {
            (Some(site_key), Some(secret), Some(url)) => {
                BotCheckSettings::Provider(Box::new(ProviderSettings {
                    provider,
                    site_key,
                    secret,
                    url,
                    hostnames: self.hostnames,
                    action: self.action,
                    timeout: DEFAULT_TIMEOUT,
                }))
            }
            _ => BotCheckSettings::Off,
        }
    }
}
