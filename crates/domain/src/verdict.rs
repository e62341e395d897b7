//! Why a user of a phone number is not signed in, in one sentence for staff, with what to tell the user and what to do.
//!
//! [`judge`] is a pure rule over [`PhoneFacts`], which the flow of the phone page collects. To add a case: a variant in the
//! file of its kind ([`Stop`], [`Limit`], [`LastMessage`], [`Event`]) with its code, its sentence and its advice; its place
//! in `rule.rs`; a row in `tests.rs`; its row in `docs/PHONE_PAGE.md`; and a test in `tests/admin` that makes it happen through
//! the API. `tests/architecture/verdicts.rs` finds a case without one.

mod event;
mod facts;
mod from_audit;
mod last_message;
mod limit;
mod rule;
mod stop;
mod times;
mod words;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

pub use self::{
    event::Event,
    facts::{
        AccountFacts, Blame, BlockedPart, ClosedPrefix, CodeFacts, Happened, MessageFacts, MovedAway,
        PastBlock, PhoneFacts, StaffBlock, What,
    },
    from_audit::{Says, last_happened, read},
    last_message::LastMessage,
    limit::Limit,
    stop::Stop,
    times::Local,
    words::{NOT_HANDED_OVER, by_channel, unreachable, wait, why},
};

/// The case that a phone is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Case {
    /// Something stops every sign-in.
    Stopped(Stop),
    /// A limit refuses the next code or guess until this time.
    Limited(Limit, DateTime<Utc>),
    /// The last message decides, and the time of what it says.
    Message(LastMessage, DateTime<Utc>),
    /// Something else happened last, at this time.
    Happened(Event, DateTime<Utc>),
    /// The phone has an account, and nothing is recorded since.
    AccountReady,
    /// No code was ever requested for the phone.
    NeverAsked,
}

/// What to tell the user, and what staff can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// What to tell the user, in words that can be read out.
    pub tell: &'static str,
    /// What staff can do.
    pub act: &'static str,
}

/// The answer to "why does no code come?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The name of the case. It never changes.
    pub code: &'static str,
    /// One sentence that says why.
    pub sentence: String,
    /// What to tell the user, and what to do.
    pub advice: Advice,
    /// The case.
    pub case: Case,
}

impl Advice {
    /// Both parts as one text.
    #[must_use]
    pub fn text(&self) -> String {
        format!("Tell the user: {} What you can do: {}", self.tell, self.act)
    }
}

/// Finds out why the user of a phone is not signed in.
#[must_use]
pub fn judge(facts: &PhoneFacts) -> Verdict {
    let case = rule::find_case(facts);
    let local = Local::new(facts.now, facts.zone);
    Verdict { code: case.code(), sentence: case.sentence(local), advice: case.advice(), case }
}

impl Case {
    /// The name in the JSON. It never changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stopped(stop) => stop.code(),
            Self::Limited(limit, _) => limit.code(),
            Self::Message(message, _) => message.code(),
            Self::Happened(event, _) => event.code(),
            Self::AccountReady => "account_ready",
            Self::NeverAsked => "never_asked",
        }
    }

    fn sentence(&self, local: Local) -> String {
        match self {
            Self::Stopped(stop) => stop.sentence(local),
            Self::Limited(limit, until) => limit.sentence(*until, local),
            Self::Message(message, at) => message.sentence(*at, local),
            Self::Happened(event, at) => event.sentence(*at, local),
            Self::AccountReady => "This number has an account, and no code was requested lately.".to_owned(),
            Self::NeverAsked => "No code was ever requested for this number.".to_owned(),
        }
    }

    fn advice(&self) -> Advice {
        match self {
            Self::Stopped(stop) => stop.advice(),
            Self::Limited(limit, _) => limit.advice(),
            Self::Message(message, _) => message.advice(),
            Self::Happened(event, _) => event.advice(),
            Self::AccountReady => Advice {
                tell: "Choose “log in” in the app and ask for a code.",
                act: "Send a code, and watch here what becomes of it.",
            },
            Self::NeverAsked => Advice {
                tell: "Check the number in the app: we have not heard of this one. Then ask for a code.",
                act: "Read the number back to the user. Or send a code, and watch here what becomes of it.",
            },
        }
    }

    /// Whether more may become known soon, so that the page looks again.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        match self {
            Self::Message(message, _) => message.is_under_way(),
            Self::Stopped(_)
            | Self::Limited(..)
            | Self::Happened(..)
            | Self::AccountReady
            | Self::NeverAsked => false,
        }
    }

    /// Whether it helps that staff send a code.
    #[must_use]
    pub fn may_send(&self) -> bool {
        match self {
            // A block of the user's address does not stop what staff send.
            Self::Stopped(stop) => matches!(stop, Stop::BlockedByStaff { part: BlockedPart::Address, .. }),
            Self::Limited(limit, _) => limit.spares_staff(),
            Self::Message(message, _) => *message != LastMessage::ProviderRefusesUs,
            Self::Happened(event, _) => event.may_send(),
            Self::AccountReady | Self::NeverAsked => true,
        }
    }

    /// Whether staff may verify the phone by hand, which opens an account for it: not if a user has an account already,
    /// under another number.
    #[must_use]
    pub fn may_verify(&self) -> bool {
        match self {
            Self::Stopped(_) => false,
            Self::Happened(event, _) => !matches!(event, Event::MovedAway { is_deleted: false, .. }),
            Self::Limited(..) | Self::Message(..) | Self::AccountReady | Self::NeverAsked => true,
        }
    }
}
