//! Bot proof: what is asked of whom, and whether an answer will do. When it is asked is for the verbs that send codes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, SendOutcome, Services, budget::CountedRequest};
use crate::{
    bot_check::{Provider, SiteVerify, Verdict},
    domain::{
        address::ClientAddress,
        audit::{Action, Event},
        bot_check::{CHALLENGE_LIFE, Difficulty, PowKeys},
        budget::Budget,
        phone::PhoneNumber,
    },
};

pub use crate::domain::bot_check::{ChallengeResponse, ResponseError};

/// Who judges whether a request is a program's. One for the whole server.
#[derive(Debug)]
pub enum BotCheck {
    /// Nobody.
    Off,
    /// We do, by work.
    Pow {
        /// What challenges are signed with.
        keys: PowKeys,
        /// How much work.
        difficulty: Difficulty,
    },
    /// A provider does.
    Provider(SiteVerify),
}

impl BotCheck {
    /// Whether anybody is ever asked.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Who judges, as settings and metrics name it.
    fn as_str(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Pow { .. } => "pow",
            Self::Provider(site) => site.provider().as_str(),
        }
    }
}

/// What a request has to show before it is let in: what `error.challenge` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BotChallenge {
    /// Work.
    Pow {
        /// The signed text that the work is done on.
        challenge: String,
        /// The zero bits that are asked for.
        difficulty: u32,
        /// Seconds until it can be answered no more.
        expires_in: i64,
    },
    /// A token of Turnstile's.
    Turnstile {
        /// For the widget.
        site_key: String,
        /// For the widget, where one is asked for.
        action: Option<String>,
    },
    /// A token of hCaptcha's.
    HCaptcha {
        /// For the widget.
        site_key: String,
    },
}

/// Whether an answer will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseCheck {
    /// It does.
    Yes {
        /// The id that has to be charged once, in the same statement as the budgets, before anything else is done. A
        /// provider sees to that itself.
        spend: Option<Uuid>,
    },
    /// It does not: ask anew.
    No,
    /// Whoever judges cannot be asked, or refuses us. Nobody is let in by that.
    Unavailable,
}

impl ResponseCheck {
    /// As metrics name it. A proof of work that was right counts as passed even if it had been spent before.
    fn as_str(self) -> &'static str {
        match self {
            Self::Yes { .. } => "passed",
            Self::No => "failed",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What to ask of this request; `None` when nobody is asked ([`BotCheck::is_on`]).
#[must_use]
pub fn new_challenge(
    services: &Services,
    phone: &PhoneNumber,
    address: ClientAddress,
    now: DateTime<Utc>,
) -> Option<BotChallenge> {
    match &services.bot_check {
        BotCheck::Off => None,
        BotCheck::Pow { keys, difficulty } => {
            let phone = services.pseudonyms.phone(phone);
            let challenge = keys.challenge(&phone, address, *difficulty, services.random.bits(), now);
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

/// Judges an answer. A provider is asked over the network, so nothing may be open in the database meanwhile.
pub async fn check(
    services: &Arc<Services>,
    response: &ChallengeResponse,
    phone: &PhoneNumber,
    address: ClientAddress,
    now: DateTime<Utc>,
) -> ResponseCheck {
    let (provider, accepted) = match &services.bot_check {
        BotCheck::Off => return ResponseCheck::No,
        BotCheck::Pow { keys, .. } => {
            let phones = services.pseudonyms.phone_with_all(phone);
            let accepted = match keys.check(response, &phones, address, now) {
                Ok(proof) => ResponseCheck::Yes { spend: Some(proof.id()) },
                Err(error) => {
                    tracing::debug!(provider = "pow", why = ?error, "bot proof refused");
                    ResponseCheck::No
                }
            };
            ("pow", accepted)
        }
        BotCheck::Provider(site) => {
            let accepted = match site.verify(response, address.ip(), services.random.bits()).await {
                Verdict::Human => ResponseCheck::Yes { spend: None },
                Verdict::Refused(_) => ResponseCheck::No,
                Verdict::Misconfigured(_) | Verdict::Away(_) => ResponseCheck::Unavailable,
            };
            (site.provider().as_str(), accepted)
        }
    };
    services.metrics.challenge(provider, accepted.as_str());
    accepted
}

/// What a wish for a code has to show.
#[derive(Debug)]
pub(super) enum Requirement {
    /// Nothing, or what it showed will do: this is to be spent with it.
    Passed(Option<Uuid>),
    /// This.
    Challenge(BotChallenge),
    /// Whoever judges is not there.
    Unavailable,
}

/// Asks for a proof where more than half of an address's requests, or of what a prefix bears, is used up. Whether the phone has
/// an account changes nothing, so the question says nothing of it.
///
/// # Errors
/// When the database does not answer: then nothing may be sent.
pub(super) async fn require(
    services: &Arc<Services>,
    admitted: &CountedRequest,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<Requirement, Error> {
    if !services.bot_check.is_on() || !is_suspicious(services, admitted, phone, now).await? {
        return Ok(Requirement::Passed(None));
    }
    let address = admitted.requester.address;
    let answered = match &admitted.requester.challenge_response {
        Some(response) => check(services, response, phone, address, now).await,
        None => {
            return Ok(new_challenge(services, phone, address, now)
                .map_or(Requirement::Passed(None), Requirement::Challenge));
        }
    };
    Ok(match answered {
        ResponseCheck::Yes { spend } => Requirement::Passed(spend),
        ResponseCheck::Unavailable => Requirement::Unavailable,
        ResponseCheck::No => {
            note_failed(services, phone, address, "wrong", now);
            new_challenge(services, phone, address, now)
                .map_or(Requirement::Passed(None), Requirement::Challenge)
        }
    })
}

/// What to ask of a wish that was refused because its proof let a message out before. The answer is that of any other proof
/// that will not do: waiting would not help, and another proof does.
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
    note_failed(services, phone, address, "spent", now);
    new_challenge(services, phone, address, now)
}

fn note_failed(
    services: &Services,
    phone: &PhoneNumber,
    address: ClientAddress,
    reason: &'static str,
    now: DateTime<Utc>,
) {
    let event = Event::by_stranger(Action::ChallengeFailed).phone(phone).from(address);
    let event = event.with("provider", services.bot_check.as_str()).with("reason", reason);
    services.audit.note(event, now);
}

async fn is_suspicious(
    services: &Services,
    admitted: &CountedRequest,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let is_over_half = |used: usize, most: usize| used * 2 > most;
    if admitted.status.is_some_and(|status| is_over_half(status.quota - status.left, status.quota)) {
        return Ok(true);
    }
    let Some(row) = super::budget::prefix_of(services, phone).await? else {
        return Ok(false);
    };
    let unanswered = services.budgets.prefix.unanswered;
    // A prefix that was closed and shows whether it is honest by now is watched all the more.
    Ok(row.closed_until.is_some() || is_over_half(row.within(unanswered.per, now), unanswered.most))
}
