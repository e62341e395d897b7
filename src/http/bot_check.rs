//! The bot challenge as clients see it: `error.challenge` of a `challenge_required`.

use poem_openapi::{Object, Union};

use crate::flows::bot_check::BotChallenge;

/// A proof of work: find a number such that the SHA-256 of `<challenge>.<number>` begins with `difficulty` zero bits,
/// and send that whole text as `challenge_response`.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct PowChallenge {
    /// An opaque text, valid for this phone and client address only.
    pub challenge: String,
    /// The zero bits that the hash has to begin with.
    #[oai(validator(minimum(value = "8"), maximum(value = "24")))]
    pub difficulty: u32,
    /// Seconds until it expires. It can be used once.
    #[oai(validator(minimum(value = "1")))]
    pub expires_in: i64,
}

/// A token from Cloudflare's Turnstile widget.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct TurnstileChallenge {
    /// The widget's `sitekey`.
    pub site_key: String,
    /// The widget's `action`; null if none is required.
    pub action: Option<String>,
}

/// A token from hCaptcha's widget.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct HCaptchaChallenge {
    /// The widget's `sitekey`.
    pub site_key: String,
}

/// The challenge, by provider.
#[derive(Debug, Clone, PartialEq, Eq, Union)]
#[oai(one_of = true, discriminator_name = "provider")]
pub enum Challenge {
    /// The server itself.
    #[oai(mapping = "pow")]
    Pow(PowChallenge),
    /// Cloudflare.
    #[oai(mapping = "turnstile")]
    Turnstile(TurnstileChallenge),
    /// hCaptcha.
    #[oai(mapping = "hcaptcha")]
    HCaptcha(HCaptchaChallenge),
}

impl Challenge {
    /// An example.
    pub fn example() -> Self {
        Self::Pow(PowChallenge {
            challenge: "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.e30.challenge".to_owned(),
            difficulty: 17,
            expires_in: 120,
        })
    }
}

impl From<BotChallenge> for Challenge {
    fn from(challenge: BotChallenge) -> Self {
        match challenge {
            BotChallenge::Pow { challenge, difficulty, expires_in } => {
                Self::Pow(PowChallenge { challenge, difficulty, expires_in })
            }
            BotChallenge::Turnstile { site_key, action } => {
                Self::Turnstile(TurnstileChallenge { site_key, action })
            }
            BotChallenge::HCaptcha { site_key } => Self::HCaptcha(HCaptchaChallenge { site_key }),
        }
    }
}
