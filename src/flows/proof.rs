//! Bot proof: what is asked of whom, and whether an answer will do. When it is asked is for the verbs that send codes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Sending, Services, budget::Admitted};
use crate::{
    domain::{
        address::ClientAddress,
        audit::{Action, Event},
        budget::Budget,
        phone::PhoneNumber,
        proof::{CHALLENGE_LIFE, Difficulty, ProofKeys},
    },
    proof::{Provider, SiteVerify, Verdict},
};

pub use crate::domain::proof::{ChallengeResponse, ResponseFault};

/// Who judges whether a request is a program's. One for the whole server.
#[derive(Debug)]
pub enum Proofs {
    /// Nobody.
    Off,
    /// We do, by work.
    Pow {
        /// What challenges are signed with.
        keys: ProofKeys,
        /// How much work.
        difficulty: Difficulty,
    },
    /// A provider does.
    Provider(SiteVerify),
}

impl Proofs {
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
pub enum AskedProof {
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
pub enum Proved {
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

impl Proved {
    /// As metrics name it. A proof of work that was right counts as passed even if it had been spent before.
    fn as_str(self) -> &'static str {
        match self {
            Self::Yes { .. } => "passed",
            Self::No => "failed",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What to ask of this request; `None` when nobody is asked ([`Proofs::is_on`]).
#[must_use]
pub fn ask(
    services: &Services,
    phone: &PhoneNumber,
    address: ClientAddress,
    now: DateTime<Utc>,
) -> Option<AskedProof> {
    match &services.proofs {
        Proofs::Off => None,
        Proofs::Pow { keys, difficulty } => {
            let phone = services.pseudonyms.phone(phone);
            let challenge = keys.challenge(&phone, address, *difficulty, services.random.bits(), now);
            let expires_in = CHALLENGE_LIFE.num_seconds();
            services.metrics.challenge("pow", "asked");
            Some(AskedProof::Pow { challenge, difficulty: difficulty.bits(), expires_in })
        }
        Proofs::Provider(site) => {
            let site_key = site.site_key().to_owned();
            services.metrics.challenge(site.provider().as_str(), "asked");
            Some(match site.provider() {
                Provider::Turnstile => {
                    AskedProof::Turnstile { site_key, action: site.action().map(str::to_owned) }
                }
                Provider::HCaptcha => AskedProof::HCaptcha { site_key },
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
) -> Proved {
    let (provider, proved) = match &services.proofs {
        Proofs::Off => return Proved::No,
        Proofs::Pow { keys, .. } => {
            let phones = services.pseudonyms.phone_with_all(phone);
            let proved = match keys.check(response, &phones, address, now) {
                Ok(proof) => Proved::Yes { spend: Some(proof.id()) },
                Err(fault) => {
                    tracing::debug!(provider = "pow", why = ?fault, "bot proof refused");
                    Proved::No
                }
            };
            ("pow", proved)
        }
        Proofs::Provider(site) => {
            let proved = match site.verify(response, address.ip(), services.random.bits()).await {
                Verdict::Human => Proved::Yes { spend: None },
                Verdict::Refused(_) => Proved::No,
                Verdict::OurFault(_) | Verdict::Away(_) => Proved::Unavailable,
            };
            (site.provider().as_str(), proved)
        }
    };
    services.metrics.challenge(provider, proved.as_str());
    proved
}

/// What a wish for a code has to show.
#[derive(Debug)]
pub(super) enum Demand {
    /// Nothing, or what it showed will do: this is to be spent with it.
    Met(Option<Uuid>),
    /// This.
    Ask(AskedProof),
    /// Whoever judges is not there.
    Unavailable,
}

/// Asks for a proof where more than half of an address's requests, or of what a prefix bears, is used up. Whether the phone has
/// an account changes nothing, so the question says nothing of it.
///
/// # Errors
/// When the database does not answer: then nothing may be sent.
pub(super) async fn demand(
    services: &Arc<Services>,
    admitted: &Admitted,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<Demand, Error> {
    if !services.proofs.is_on() || !is_suspicious(services, admitted, phone, now).await? {
        return Ok(Demand::Met(None));
    }
    let address = admitted.asker.address;
    let answered = match &admitted.asker.challenge_response {
        Some(response) => check(services, response, phone, address, now).await,
        None => return Ok(ask(services, phone, address, now).map_or(Demand::Met(None), Demand::Ask)),
    };
    Ok(match answered {
        Proved::Yes { spend } => Demand::Met(spend),
        Proved::Unavailable => Demand::Unavailable,
        Proved::No => {
            note_failed(services, phone, address, "wrong", now);
            ask(services, phone, address, now).map_or(Demand::Met(None), Demand::Ask)
        }
    })
}

/// What to ask of a wish that was refused because its proof let a message out before. The answer is that of any other proof
/// that will not do: waiting would not help, and another proof does.
pub(super) fn asked_again(
    services: &Services,
    sending: &Sending,
    phone: &PhoneNumber,
    address: ClientAddress,
    now: DateTime<Utc>,
) -> Option<AskedProof> {
    if !matches!(sending, Sending::Refused(refusal) if refusal.budget == Budget::Proof) {
        return None;
    }
    note_failed(services, phone, address, "spent", now);
    ask(services, phone, address, now)
}

fn note_failed(
    services: &Services,
    phone: &PhoneNumber,
    address: ClientAddress,
    reason: &'static str,
    now: DateTime<Utc>,
) {
    let event = Event::by_stranger(Action::ChallengeFailed).phone(phone).from(address);
    let event = event.with("provider", services.proofs.as_str()).with("reason", reason);
    services.audit.note(event, now);
}

async fn is_suspicious(
    services: &Services,
    admitted: &Admitted,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let is_over_half = |used: usize, most: usize| used * 2 > most;
    if admitted.standing.is_some_and(|standing| is_over_half(standing.quota - standing.left, standing.quota))
    {
        return Ok(true);
    }
    let Some(tally) = super::budget::prefix_of(services, phone).await? else {
        return Ok(false);
    };
    let unanswered = services.budgets.prefix.unanswered;
    // A prefix that was closed and shows whether it is honest by now is watched all the more.
    Ok(tally.closed_until.is_some() || is_over_half(tally.within(unanswered.per, now), unanswered.most))
}
