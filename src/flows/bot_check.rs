//! The bot check: when a request for a code must solve a challenge, which one, and whether its answer is accepted.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Error, SendOutcome, Services,
    budget::{self, CountedRequest},
};
use crate::{
    bot_check::{Provider, SiteVerify, Verdict},
    domain::{
        address::ClientAddress,
        audit::{Action, Event},
        bot_check::{CHALLENGE_LIFE, Difficulty, PowKeys},
        budget::Budget,
        phone::PhoneNumber,
        pseudonym::Pseudonym,
    },
};

pub use crate::domain::bot_check::{ChallengeResponse, ResponseError};

/// How the server tells people from programs. One for the whole server.
#[derive(Debug)]
pub enum BotCheck {
    /// Not at all.
    Off,
    /// By proof of work.
    Pow {
        /// The keys that sign challenges.
        keys: PowKeys,
        /// How much work is required.
        difficulty: Difficulty,
    },
    /// By a provider.
    Provider(SiteVerify),
}

impl BotCheck {
    /// Whether a challenge is ever required.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }

    /// The name in settings and metrics.
    fn as_str(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Pow { .. } => "pow",
            Self::Provider(site) => site.provider().as_str(),
        }
    }
}

/// The challenge that a client must solve: `error.challenge` of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BotChallenge {
    /// Proof of work.
    Pow {
        /// The signed text that the work is done on.
        challenge: String,
        /// The number of zero bits that are required.
        difficulty: u32,
        /// Seconds until the challenge expires.
        expires_in: i64,
    },
    /// A token from Turnstile's widget.
    Turnstile {
        /// For the widget.
        site_key: String,
        /// For the widget, if the settings name one.
        action: Option<String>,
    },
    /// A token from hCaptcha's widget.
    HCaptcha {
        /// For the widget.
        site_key: String,
    },
}

/// Whether the answer to a challenge is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseCheck {
    /// It is.
    Yes {
        /// The id that must be charged once, in the same statement as the budgets, before anything else is done. `None`
        /// with a provider, which accepts a token only once.
        spend: Option<Uuid>,
    },
    /// It is not: the client gets another challenge.
    No,
    /// The provider does not answer, or refuses the server. The request is refused.
    Unavailable,
}

impl ResponseCheck {
    /// The name in metrics. A right proof of work counts as passed even if it was spent before.
    fn as_str(self) -> &'static str {
        match self {
            Self::Yes { .. } => "passed",
            Self::No => "failed",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What a request for a code is about. The answer to its challenge is valid for nothing else.
#[derive(Debug, Clone, Copy)]
pub enum About<'a> {
    /// A phone.
    Phone(&'a PhoneNumber),
    /// A name, whether an account has it or not.
    Name(&'a Pseudonym),
}

impl<'a> From<&'a PhoneNumber> for About<'a> {
    fn from(phone: &'a PhoneNumber) -> Self {
        Self::Phone(phone)
    }
}

impl<'a> From<&'a Pseudonym> for About<'a> {
    fn from(name: &'a Pseudonym) -> Self {
        Self::Name(name)
    }
}

impl About<'_> {
    /// Its hash, for a challenge.
    fn hash(self, services: &Services) -> Pseudonym {
        match self {
            Self::Phone(phone) => services.pseudonyms.phone(phone),
            Self::Name(name) => name.clone(),
        }
    }

    /// The hashes that a challenge may have been made for.
    fn hashes(self, services: &Services) -> Vec<Pseudonym> {
        match self {
            Self::Phone(phone) => services.pseudonyms.phone_with_all(phone),
            Self::Name(name) => vec![name.clone()],
        }
    }
}

/// A challenge for this request; `None` when the bot check is off ([`BotCheck::is_on`]).
#[must_use]
pub fn new_challenge<'a>(
    services: &Services,
    about: impl Into<About<'a>>,
    address: ClientAddress,
    now: DateTime<Utc>,
) -> Option<BotChallenge> {
    match services.bot_check.as_ref() {
        BotCheck::Off => None,
        BotCheck::Pow { keys, difficulty } => {
            let about = about.into().hash(services);
            let challenge = keys.challenge(&about, address, *difficulty, services.random.bits(), now);
            let expires_in = CHALLENGE_LIFE.num_seconds();
            services.metrics.challenge("pow", "asked");
            Some(BotChallenge::Pow { challenge, difficulty: difficulty.bits(), expires_in })
        }
        BotCheck::Provider(site) => {
            let site_key = site.site_key().to_owned();
            services.metrics.challenge(site.provider().as_str(), "asked");
            Some(match site.provider() {
                Provider::Turnstile => {
                    BotChallenge::Turnstile { site_key, action: site.action().map(str::to_owned) }
                }
                Provider::HCaptcha => BotChallenge::HCaptcha { site_key },
            })
        }
    }
}

/// Checks the answer to a challenge. This may call a provider over the network, so no transaction may be open.
#[tracing::instrument(target = "otel", name = "bot proof", skip_all)]
pub async fn check<'a>(
    services: &Arc<Services>,
    response: &ChallengeResponse,
    about: impl Into<About<'a>>,
    address: ClientAddress,
    now: DateTime<Utc>,
) -> ResponseCheck {
    let (provider, result) = match services.bot_check.as_ref() {
        BotCheck::Off => return ResponseCheck::No,
        BotCheck::Pow { keys, .. } => {
            let hashes = about.into().hashes(services);
            let result = match keys.check(response, &hashes, address, now) {
                Ok(proof) => ResponseCheck::Yes { spend: Some(proof.id()) },
                Err(error) => {
                    tracing::debug!(provider = "pow", why = ?error, "bot proof refused");
                    ResponseCheck::No
                }
            };
            ("pow", result)
        }
        BotCheck::Provider(site) => {
            let result = match site.verify(response, address.ip(), services.random.bits()).await {
                Verdict::Human => ResponseCheck::Yes { spend: None },
                Verdict::Refused(_) => ResponseCheck::No,
                Verdict::Misconfigured(_) | Verdict::Away(_) => ResponseCheck::Unavailable,
            };
            (site.provider().as_str(), result)
        }
    };
    services.metrics.challenge(provider, result.as_str());
    result
}

/// What the bot check requires of a request.
#[derive(Debug)]
pub(super) enum Requirement {
    /// Nothing more.
    Passed(Proof),
    /// The answer to this challenge.
    Challenge(BotChallenge),
    /// The provider does not answer.
    Unavailable,
}

/// What a request that passed has proved.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Proof {
    /// Whether the client has proved that it is no bot.
    pub(super) is_given: bool,
    /// The id of a proof of work, which is spent with the send.
    pub(super) spend: Option<Uuid>,
}

/// Requires a challenge once more than half of the address's requests, or of what the prefix may leave unanswered, is used
/// up; a name has no prefix. This does not depend on whether there is an account, so it reveals nothing about that. With the hook before sending,
/// every answer to a challenge is checked, because the hook may have demanded it.
///
/// # Errors
/// When the database does not answer: nothing may be sent.
pub(super) async fn require(
    services: &Arc<Services>,
    counted: &CountedRequest,
    response: Option<&ChallengeResponse>,
    about: About<'_>,
    now: DateTime<Utc>,
) -> Result<Requirement, Error> {
    let is_answer = services.before_send.is_some() && response.is_some();
    let is_required =
        services.bot_check.is_on() && (is_answer || is_suspicious(services, counted, about, now).await?);
    if !is_required {
        return Ok(Requirement::Passed(Proof::default()));
    }
    let address = counted.address;
    let Some(response) = response else {
        note_failed(services, about, address, "missing", now);
        let challenge = new_challenge(services, about, address, now);
        return Ok(challenge.map_or(Requirement::Passed(Proof::default()), Requirement::Challenge));
    };
    let checked = check(services, response, about, address, now).await;
    Ok(match checked {
        ResponseCheck::Yes { spend } => Requirement::Passed(Proof { is_given: true, spend }),
        ResponseCheck::Unavailable => {
            note_failed(services, about, address, "unavailable", now);
            Requirement::Unavailable
        }
        ResponseCheck::No => {
            note_failed(services, about, address, "wrong", now);
            new_challenge(services, about, address, now)
                .map_or(Requirement::Passed(Proof::default()), Requirement::Challenge)
        }
    })
}

/// The next challenge for a request that was refused because its proof was already spent on another message. Like any
/// other refused proof, this needs a new proof; waiting would not help.
pub(super) fn challenge_if_spent(
    services: &Services,
    sending: &SendOutcome,
    phone: &PhoneNumber,
    address: ClientAddress,
    now: DateTime<Utc>,
) -> Option<BotChallenge> {
    if !matches!(sending, SendOutcome::Refused(exceeded) if exceeded.budget == Budget::Proof) {
        return None;
    }
    note_failed(services, phone.into(), address, "spent", now);
    new_challenge(services, phone, address, now)
}

pub(super) fn note_failed(
    services: &Services,
    about: About<'_>,
    address: ClientAddress,
    reason: &'static str,
    now: DateTime<Utc>,
) {
    let event = Event::by_stranger(Action::ChallengeFailed).from(address);
    let event = match about {
        About::Phone(phone) => event.phone(phone),
        About::Name(name) => event.with("name", name),
    };
    let event = event.with("provider", services.bot_check.as_str()).with("reason", reason);
    services.audit.note(event, now);
}

async fn is_suspicious(
    services: &Services,
    counted: &CountedRequest,
    about: About<'_>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let is_over_half = |used: usize, most: usize| used * 2 > most;
    if counted.status.is_some_and(|status| is_over_half(status.quota - status.left, status.quota)) {
        return Ok(true);
    }
    let About::Phone(phone) = about else {
        return Ok(false);
    };
    let Some(row) = budget::prefix_of(services, phone).await? else {
        return Ok(false);
    };
    let unanswered = services.budgets.prefix.unanswered;
    // A prefix that was closed and is being tried again is always suspicious.
    Ok(row.closed_until.is_some() || is_over_half(row.within(unanswered.per, now), unanswered.most))
}
