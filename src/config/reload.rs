//! Which settings can change while the server runs, and which wait for its next start.

use secrecy::ExposeSecret as _;

use super::{Config, Problems, SmsSettings, secret_files};
use crate::domain::access::VerifyingKey;

/// The keys. They change if what they protect stays valid.
const KEYS: [&str; 7] = [
    "JWT_ALGORITHM",
    "JWT_PREVIOUS_KEYS",
    KEY_FILE,
    "JWT_SECRET",
    "JWT_SECRET_KEY",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
];

const KEY_FILE: &str = "JWT_PRIVATE_KEY_FILE";

/// The beginnings of the names of SMS providers' settings.
const OF_PROVIDERS: [&str; 4] = ["MSG91_", "SMS_WEBHOOK_", "TWILIO_", "VONAGE_"];

/// What decides which providers there are, and what each must be able to do. The settings of providers were checked against
/// these, so they do not change without a restart when one of these changes.
const OF_ROUTING: [&str; 5] =
    ["OTP_CHANNELS", "OTP_CHANNEL_ORDER", "OTP_FALLBACK", "SMS_PROVIDERS", "TWILIO_TEST_MODE"];

/// What changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// The settings that are in force now, by name.
    pub taken: Vec<&'static str>,
    /// The settings that will be in force after a restart.
    pub left: Vec<&'static str>,
}

impl Reloaded {
    /// Whether a setting of an SMS provider is among those in force now.
    #[must_use]
    pub fn has_providers(&self) -> bool {
        self.taken.iter().any(|name| is_of_provider(name))
    }

    fn has(&self, beginning: &str) -> bool {
        self.taken.iter().any(|name| name.starts_with(beginning))
    }
}

impl Config {
    /// These settings with what can change of others that were read later.
    ///
    /// # Errors
    /// When a change would make sessions or codes invalid. Nothing changes then.
    pub fn reloaded(&self, after: &Self) -> Result<(Self, Reloaded), Problems> {
        let mut changed = self.given.changed(&after.given);
        if self.signs_with_file() && after.signs_with_file() && !self.is_signed_alike(after) {
            // The file changed, and not its path.
            changed.push(KEY_FILE);
            changed.dedup();
        }
        let is_routed_anew = changed.iter().any(|name| OF_ROUTING.contains(name));
        let (taken, left) = changed.into_iter().partition(|name| {
            is_key(name) || (is_of_provider(name) && !is_routed_anew && !OF_ROUTING.contains(name))
        });
        let reloaded = Reloaded { taken, left };
        let problems = self.harm_of(after, &reloaded);
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        Ok((self.with(after, &reloaded), reloaded))
    }

    fn harm_of(&self, after: &Self, reloaded: &Reloaded) -> Vec<String> {
        let mut problems = Vec::new();
        let before = self.secret_key.expose_secret();
        let secrets = std::iter::once(&after.secret_key).chain(&after.secret_key_fallbacks);
        if reloaded.has("SECRET_KEY") && secrets.into_iter().all(|secret| secret.expose_secret() != before) {
            problems.push(
                "SECRET_KEY_FALLBACKS must have the SECRET_KEY of before, or codes that were sent are invalid; a restart drops it"
                    .to_owned(),
            );
        }
        let kid = self.tokens.signing.verifying().kid();
        let is_kept = self.is_signed_alike(after) || after.tokens.previous.iter().any(|key| key.kid() == kid);
        if reloaded.has("JWT_") && !is_kept {
            problems.push(
                "JWT_PREVIOUS_KEYS must have the key of before, or all users are signed out; a restart drops it"
                    .to_owned(),
            );
        }
        problems
    }

    fn with(&self, after: &Self, reloaded: &Reloaded) -> Self {
        let mut config = self.clone();
        config.given = self.given.with(&after.given, &reloaded.taken);
        for name in &reloaded.taken {
            if after.from_file.contains(name) {
                config.from_file.insert(name);
            } else {
                config.from_file.remove(name);
            }
        }
        if reloaded.has("SECRET_KEY") {
            config.secret_key = after.secret_key.clone();
            config.secret_key_fallbacks.clone_from(&after.secret_key_fallbacks);
        }
        if reloaded.has("JWT_") {
            config.tokens.secret.clone_from(&after.tokens.secret);
            config.tokens.signing = after.tokens.signing.clone();
            config.tokens.previous.clone_from(&after.tokens.previous);
        }
        if let (true, SmsSettings::Providers(new)) = (reloaded.has_providers(), &after.sms) {
            config.sms = SmsSettings::Providers(new.clone());
            config.report_readers = after.report_readers.clone();
        }
        config
    }

    fn signs_with_file(&self) -> bool {
        self.given.find(KEY_FILE).is_some() && self.tokens.secret.is_none()
    }

    fn is_signed_alike(&self, other: &Self) -> bool {
        let kid = |config: &Self| VerifyingKey::kid(config.tokens.signing.verifying()).to_owned();
        kid(self) == kid(other)
    }
}

/// Whether the setting is a key, or names the file of one.
fn is_key(name: &str) -> bool {
    KEYS.iter().any(|key| *key == name || secret_files::setting_of_file(key) == Some(name))
}

fn is_of_provider(name: &str) -> bool {
    OF_PROVIDERS.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const OLD: &str = "the old secret of the tests with thirty-two bytes and more";
    const NEW: &str = "the new secret of the tests with thirty-two bytes and more";
    const TOKENS: &str = "the secret of the tokens with thirty-two bytes and more";

    fn config(settings: &[(&str, &str)]) -> Config {
        let get = |name: &str| {
            settings.iter().rev().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
        };
        let (config, problems) = Config::examine(&get, &Random::seeded(settings.len() as u64));
        assert!(problems.0.is_empty(), "{problems}");
        config
    }

    fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let twilio = [
            ("SECRET_KEY", OLD),
            ("JWT_SECRET_KEY", TOKENS),
            ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000"),
            ("TWILIO_AUTH_TOKEN", "the auth token of the tests"),
            ("TWILIO_PHONE_NUMBER", "+12025550100"),
        ];
        twilio.iter().chain(more).copied().collect()
    }

    fn reload(more: &[(&str, &str)]) -> Result<(Config, Reloaded), Vec<String>> {
        config(&with(&[])).reloaded(&config(&with(more))).map_err(|problems| problems.0)
    }

    #[test]
    fn without_a_change_nothing_is_taken() {
        let (_, reloaded) = reload(&[]).unwrap();
        assert_eq!(reloaded, Reloaded { taken: vec![], left: vec![] });
        // Secrets that were made up stay.
        let before = config(&[]);
        let (after, reloaded) = before.reloaded(&config(&[("OTP_LENGTH", "6")])).unwrap();
        assert_eq!(reloaded, Reloaded { taken: vec![], left: vec!["OTP_LENGTH"] });
        assert_eq!(after.secret_key.expose_secret(), before.secret_key.expose_secret());
        assert!(after.is_signed_alike(&before));
    }

    #[test]
    fn a_key_changes_if_the_one_of_before_is_listed() {
        let (after, reloaded) = reload(&[("SECRET_KEY", NEW), ("SECRET_KEY_FALLBACKS", OLD)]).unwrap();
        assert_eq!(reloaded.taken, ["SECRET_KEY", "SECRET_KEY_FALLBACKS"]);
        assert_eq!(after.secret_key.expose_secret(), NEW);
        assert_eq!(after.secret_key_fallbacks[0].expose_secret(), OLD);
        let (after, _) = reload(&[("JWT_SECRET_KEY", NEW), ("JWT_PREVIOUS_KEYS", TOKENS)]).unwrap();
        assert_eq!(after.tokens.secret.unwrap().expose_secret(), NEW);
    }

    #[test]
    fn a_key_that_would_sign_users_out_is_refused() {
        let codes = "SECRET_KEY_FALLBACKS must have the SECRET_KEY of before, or codes that were sent are invalid; a restart drops it";
        let tokens =
            "JWT_PREVIOUS_KEYS must have the key of before, or all users are signed out; a restart drops it";
        assert_eq!(reload(&[("SECRET_KEY", NEW)]).unwrap_err(), [codes]);
        assert_eq!(reload(&[("SECRET_KEY", ""), ("JWT_SECRET_KEY", NEW)]).unwrap_err(), [codes, tokens]);
    }

    #[test]
    fn credentials_of_providers_change_and_what_they_must_do_waits() {
        let (after, reloaded) =
            reload(&[("TWILIO_AUTH_TOKEN", "another auth token"), ("OTP_LENGTH", "6")]).unwrap();
        assert_eq!(reloaded, Reloaded { taken: vec!["TWILIO_AUTH_TOKEN"], left: vec!["OTP_LENGTH"] });
        assert_eq!(after.otp.length.digits(), 4);
        assert!(
            after
                .given
                .changed(&config(&with(&[("TWILIO_AUTH_TOKEN", "another auth token")])).given)
                .is_empty()
        );
        let routed = [("TWILIO_AUTH_TOKEN", "another auth token"), ("TWILIO_TEST_MODE", "true")];
        let (_, reloaded) = reload(&routed).unwrap();
        assert_eq!((reloaded.taken.len(), reloaded.left.len()), (0, 2));
    }
}
