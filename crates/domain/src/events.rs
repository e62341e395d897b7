//! Events for the operator's own systems: what they say, and when a failed one is sent again.
//!
//! To add an event: a variant of [`Fact`], which the compiler leads on from, a row in `docs/EVENTS.md`, and a call of
//! `flows/events.rs` in the transaction that makes it true.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    access::{OpenedBy, Session},
    account::Role,
    delivery::{Delivery, UnreachableReason},
    lead::Source,
    phone::PhoneNumber,
};

/// How long an event is sent again after failures.
pub const RETRIED_FOR: Duration = Duration::days(3);

/// How long an event that was given up is kept.
pub const DEAD_KEPT_FOR: Duration = Duration::days(30);

/// The waits after the first failures, in seconds. The last one is repeated.
const WAITS: [i64; 9] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800];

/// The keys of a payload that hold whom an event is about. A row keeps both ids in columns, because some are known only to the
/// statement that writes it.
const USER_ID: &str = "user_id";
const LEAD_ID: &str = "lead_id";

/// What made an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreatedBy {
    /// A right code.
    Code,
    /// A registration with a password.
    Password,
    /// Staff, who verified the phone by hand.
    Staff,
    /// The operator's command.
    Command,
    /// A token of a trusted issuer.
    Exchange,
    /// A guest came.
    Guest,
}

/// What verified the phone of a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvertedBy {
    /// A right code.
    Code,
    /// Staff, by hand.
    Staff,
    /// A token of a trusted issuer that proves phones.
    Exchange,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Its user ended it.
    LoggedOut,
    /// Staff ended it.
    Staff,
    /// A retired refresh token was used.
    TokenReused,
    /// The user opened too many newer ones.
    TooMany,
    /// A new session of the console took its place.
    Replaced,
    /// The password was changed.
    PasswordChanged,
    /// The phone was changed.
    PhoneChanged,
    /// The phone was not used for too long, and has another owner.
    PhoneLost,
    /// The role was changed, or the account was deactivated.
    RightsChanged,
    /// The second factor was changed.
    SecondFactorChanged,
    /// The phone was blocked.
    Blocked,
    /// The account was joined with another one, or that was undone.
    Merged,
}

impl EndReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::LoggedOut => "logged_out",
            Self::Staff => "staff",
            Self::TokenReused => "token_reused",
            Self::TooMany => "too_many",
            Self::Replaced => "replaced",
            Self::PasswordChanged => "password_changed",
            Self::PhoneChanged => "phone_changed",
            Self::PhoneLost => "phone_lost",
            Self::RightsChanged => "rights_changed",
            Self::SecondFactorChanged => "second_factor_changed",
            Self::Blocked => "blocked",
            Self::Merged => "merged",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy)]
pub enum Fact<'a> {
    /// An account was created.
    UserCreated {
        /// By what.
        by: CreatedBy,
        /// Its role.
        role: Role,
        /// Its verified phone.
        phone: Option<&'a PhoneNumber>,
    },
    /// A profile has all that is required, for the first time or again.
    ProfileCompleted,
    /// The profile, the names or the role of an account were changed, or it was activated again.
    UserUpdated {
        /// The names of the fields, never their values.
        fields: &'a [&'static str],
    },
    /// An account has another verified phone, or none any more.
    PhoneChanged {
        /// The phone.
        phone: Option<&'a PhoneNumber>,
        /// The one before.
        previous: Option<&'a PhoneNumber>,
    },
    /// Another account of the same user was joined with this one, and is gone.
    Merged {
        /// Its id.
        merged: Uuid,
    },
    /// That was undone: the other account is there again.
    MergeUndone {
        /// Its id.
        restored: Uuid,
    },
    /// An account was deactivated.
    Deactivated,
    /// An account was deleted. Its sessions ended with it.
    Deleted,
    /// A session was opened.
    SessionStarted {
        /// Its id.
        id: Uuid,
        /// By what.
        opened_by: OpenedBy,
        /// When it ends without a refresh.
        expires_at: DateTime<Utc>,
    },
    /// A session was ended before it expired.
    SessionEnded {
        /// Its id.
        id: Uuid,
        /// Why.
        reason: EndReason,
    },
    /// A phone requested its first code.
    LeadCreated {
        /// By which request.
        source: Source,
        /// The country of the number.
        country: &'a str,
        /// The phone.
        phone: &'a PhoneNumber,
    },
    /// The phone of a lead was verified.
    LeadConverted {
        /// By what.
        by: ConvertedBy,
        /// The phone.
        phone: &'a PhoneNumber,
    },
    /// A message was refused by its provider, or reported as not delivered.
    MessageUndelivered(&'a Delivery),
    /// Too many wrong codes were entered for a phone.
    PhoneLocked {
        /// The limit that was used up.
        limit: &'static str,
        /// When the phone can be used again. `None`: staff must unlock it.
        until: Option<DateTime<Utc>>,
        /// The phone.
        phone: &'a PhoneNumber,
    },
}

impl Fact<'_> {
    /// The type of the event.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UserCreated { .. } => "user.created",
            Self::ProfileCompleted => "user.profile_completed",
            Self::UserUpdated { .. } => "user.updated",
            Self::PhoneChanged { .. } => "user.phone_changed",
            Self::Merged { .. } => "user.merged",
            Self::MergeUndone { .. } => "user.merge_undone",
            Self::Deactivated => "user.deactivated",
            Self::Deleted => "user.deleted",
            Self::SessionStarted { .. } => "session.started",
            Self::SessionEnded { .. } => "session.ended",
            Self::LeadCreated { .. } => "lead.created",
            Self::LeadConverted { .. } => "lead.converted",
            Self::MessageUndelivered(_) => "message.undelivered",
            Self::PhoneLocked { .. } => "phone.locked",
        }
    }

    /// The data of the payload. Ids that the row keeps in columns are null here. Phones only where the settings include them.
    fn data(&self, include_phone: bool) -> Value {
        let full = |phone: &PhoneNumber| Value::from(phone.full());
        let (mut data, phones) = match *self {
            Self::UserCreated { by, role, phone } => {
                let by = match by {
                    CreatedBy::Code => "code",
                    CreatedBy::Password => "password",
                    CreatedBy::Staff => "staff",
                    CreatedBy::Command => "command",
                    CreatedBy::Exchange => "exchange",
                    CreatedBy::Guest => "guest",
                };
                let data = json!({USER_ID: null, "created_by": by, "role": role.as_str()});
                (data, vec![("phone_number", phone)])
            }
            Self::ProfileCompleted | Self::Deactivated | Self::Deleted => (json!({USER_ID: null}), vec![]),
            Self::Merged { merged } => (json!({USER_ID: null, "merged_user_id": merged}), vec![]),
            Self::MergeUndone { restored } => (json!({USER_ID: null, "restored_user_id": restored}), vec![]),
            Self::UserUpdated { fields } => (json!({USER_ID: null, "fields": fields}), vec![]),
            Self::PhoneChanged { phone, previous } => {
                (json!({USER_ID: null}), vec![("phone_number", phone), ("previous_phone_number", previous)])
            }
            Self::SessionStarted { id, opened_by, expires_at } => {
                let (by, end) = (opened_by.as_str(), text(expires_at));
                (json!({USER_ID: null, "session_id": id, "opened_by": by, "expires_at": end}), vec![])
            }
            Self::SessionEnded { id, reason } => {
                (json!({USER_ID: null, "session_id": id, "reason": reason.as_str()}), vec![])
            }
            Self::LeadCreated { source, country, phone } => {
                let data = json!({LEAD_ID: null, "source": source.as_str(), "country": country});
                (data, vec![("phone_number", Some(phone))])
            }
            Self::LeadConverted { by, phone } => {
                let by = match by {
                    ConvertedBy::Code => "code",
                    ConvertedBy::Staff => "staff",
                    ConvertedBy::Exchange => "exchange",
                };
                (json!({LEAD_ID: null, USER_ID: null, "by": by}), vec![("phone_number", Some(phone))])
            }
            Self::MessageUndelivered(message) => {
                let data = json!({
                    USER_ID: null,
                    LEAD_ID: null,
                    "message_id": message.message_id,
                    "delivery_id": message.delivery_id,
                    "attempt": message.attempt,
                    "channel": message.channel.as_str(),
                    "provider": message.provider,
                    "status": message.status.as_str(),
                    "reason": message.reason.map(UnreachableReason::as_str),
                });
                (data, vec![("phone_number", Some(&message.phone))])
            }
            Self::PhoneLocked { limit, until, phone } => {
                let data = json!({USER_ID: null, LEAD_ID: null, "limit": limit, "until": until.map(text)});
                (data, vec![("phone_number", Some(phone))])
            }
        };
        if include_phone && let Some(data) = data.as_object_mut() {
            data.extend(
                phones.into_iter().map(|(key, phone)| (key.to_owned(), phone.map_or(Value::Null, full))),
            );
        }
        data
    }
}

impl Fact<'_> {
    /// A session was opened.
    #[must_use]
    pub fn session_started(session: &Session) -> Self {
        Self::SessionStarted { id: session.id, opened_by: session.opened_by, expires_at: session.expires_at }
    }
}

/// Whom an event is about. Events that share a user or a lead are sent in their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subject {
    /// The user.
    pub user_id: Option<Uuid>,
    /// The lead.
    pub lead_id: Option<Uuid>,
}

impl Subject {
    /// A user.
    #[must_use]
    pub fn user(id: Uuid) -> Self {
        Self { user_id: Some(id), lead_id: None }
    }
}

/// An event that is about to be written.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its id, which a receiver recognises repetitions by.
    pub id: Uuid,
    /// Its type.
    pub kind: &'static str,
    /// Whom it is about.
    pub subject: Subject,
    /// The data of its payload, as JSON without the ids of its subject.
    pub data: String,
}

impl NewEvent {
    /// Writes down what happened.
    #[must_use]
    pub fn new(id: Uuid, subject: Subject, fact: &Fact<'_>, include_phone: bool) -> Self {
        Self { id, kind: fact.kind(), subject, data: fact.data(include_phone).to_string() }
    }
}

/// An event that was not delivered.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Its place: of two events, the later one has the higher number.
    pub position: i64,
    /// Its id.
    pub id: Uuid,
    /// Its type.
    pub kind: String,
    /// Whom it is about.
    pub subject: Subject,
    /// The data of its payload, without the ids of its subject.
    pub data: String,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// How many tries have failed.
    pub attempts: i64,
    /// When it is sent next. `None` while an earlier event of its subject waits, and when it was given up.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Until when it is sent again after failures.
    pub retry_until: DateTime<Utc>,
    /// When it was given up.
    pub died_at: Option<DateTime<Utc>>,
    /// What failed last.
    pub last_error: Option<String>,
}

impl StoredEvent {
    /// The data of its payload.
    #[must_use]
    pub fn data(&self) -> Value {
        let mut data: Map<String, Value> = serde_json::from_str(&self.data).unwrap_or_default();
        for (key, id) in [(USER_ID, self.subject.user_id), (LEAD_ID, self.subject.lead_id)] {
            if let Some(value) = data.get_mut(key) {
                *value = json!(id);
            }
        }
        Value::Object(data)
    }

    /// The payload, as a receiver gets it.
    #[must_use]
    pub fn payload(&self) -> Value {
        json!({"type": self.kind, "timestamp": text(self.created_at), "data": self.data()})
    }

    /// When it is sent again after a failure. `None`: it is given up. `wait` is how long the receiver asked to wait, and `share` a
    /// random number: a tenth of the wait depends on it, so that many events that failed together do not come back together. The
    /// last try is at the very end: a receiver that is back by then gets the event.
    #[must_use]
    pub fn next_attempt(
        &self,
        wait: Option<Duration>,
        share: u8,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let longest = WAITS.len() - 1;
        let index = usize::try_from(self.attempts).unwrap_or(longest).min(longest);
        let usual = WAITS.get(index).copied().unwrap_or_default();
        let spread = usual * 100 * i64::from(share) / 255;
        let usual = Duration::milliseconds(usual * 1_000 + spread);
        // A receiver may ask for more, but not for so much that nothing would be tried for hours.
        let asked = wait.unwrap_or_default().min(Duration::hours(1));
        let next = now + usual.max(asked);
        (now < self.retry_until).then_some(next.min(self.retry_until))
    }
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, false)
}

#[cfg(test)]
mod tests;
