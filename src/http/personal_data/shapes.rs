//! The response of the export: everything that is stored about a user.

mod lead;

use poem_openapi::{Object, types::Example};

pub use self::lead::ExportedLead;
use crate::{
    domain::{
        access::Session,
        account::{Account, Profile},
        block::Block,
        events::StoredEvent,
        interests::Interest,
    },
    flows::personal_data::PersonalData,
    http::{personal_data::merged::ExportedMerge, timestamp::rfc3339},
    store::{messages::Received, otp::IssuedCode},
};

/// Everything that is stored about the user. Times are RFC 3339 in UTC; missing values are null.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ExportData {
    /// When the export was made.
    exported_at: String,
    /// The account.
    account: ExportedAccount,
    /// The profile.
    profile: ExportedProfile,
    /// The sessions, also recently ended ones, oldest first.
    sessions: Vec<ExportedSession>,
    /// The messages to the verified phone, oldest first. Their texts are not stored.
    messages: Vec<ExportedMessage>,
    /// The recently requested codes. The codes themselves are not stored.
    codes: Vec<ExportedCode>,
    /// The sales team's lead.
    lead: Option<ExportedLead>,
    /// The second factor, if one is set up. Its secret and its recovery codes are not shown.
    second_factor: Option<ExportedSecondFactor>,
    /// The blocks of the verified phone, oldest first. A user with a live one cannot sign in to export.
    blocks: Vec<ExportedBlock>,
    /// The events about the user that were not delivered to a system of the operator yet, oldest first.
    events: Vec<ExportedEvent>,
    /// The accounts that were joined with this one, the last first.
    merged_accounts: Vec<ExportedMerge>,
}

impl ExportData {
    pub(super) fn from_personal_data(data: PersonalData, interests: &[Interest]) -> Self {
        Self {
            exported_at: rfc3339(data.at),
            profile: ExportedProfile::from_profile(&data.account.profile, interests),
            account: ExportedAccount::from_account(data.account),
            sessions: data.sessions.into_iter().map(ExportedSession::from_session).collect(),
            messages: data.messages.into_iter().map(ExportedMessage::from_message).collect(),
            codes: data.challenges.iter().map(ExportedCode::from_challenge).collect(),
            lead: data.lead.map(ExportedLead::from_lead),
            second_factor: data.second_factor.map(|(factor, recovery_codes_left)| ExportedSecondFactor {
                enrolled_at: rfc3339(factor.enrolled_at),
                recovery_codes_left,
            }),
            blocks: data.blocks.into_iter().map(ExportedBlock::from_block).collect(),
            events: data.events.iter().map(ExportedEvent::from_event).collect(),
            merged_accounts: data.merges.iter().map(ExportedMerge::from_merge).collect(),
        }
    }
}

impl Example for ExportData {
    fn example() -> Self {
        let at = || "2025-10-03T10:15:23.435393+00:00".to_owned();
        Self {
            exported_at: at(),
            account: ExportedAccount {
                user_id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
                phone_number: Some("+916205829376".to_owned()),
                phone: None,
                former_phone: None,
                invitation_id: None,
                username: None,
                email: None,
                first_name: None,
                last_name: None,
                role: "user".to_owned(),
                has_password: false,
                terms_version: None,
                terms_accepted_at: None,
                is_active: true,
                created_at: at(),
                updated_at: at(),
            },
            profile: ExportedProfile {
                profile_id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a12".to_owned(),
                name: Some("Gaurav Kumar".to_owned()),
                birth_date: Some("1995-01-01".to_owned()),
                gender: Some("male".to_owned()),
                bio: None,
                location: None,
                event_interests: vec!["Technology".to_owned()],
                profile_pictures: vec!["https://example.com/pic1.jpg".to_owned()],
            },
            sessions: vec![ExportedSession {
                id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a13".to_owned(),
                opened_by: "code".to_owned(),
                device: "Pixel 8".to_owned(),
                address: "203.0.113.7".to_owned(),
                locale: Some("en-IN".to_owned()),
                created_at: at(),
                last_used_at: at(),
                confirmed_at: Some(at()),
                expires_at: "2025-10-10T10:15:23.435393+00:00".to_owned(),
                ended_at: None,
            }],
            messages: vec![ExportedMessage {
                kind: "otp".to_owned(),
                channel: "sms".to_owned(),
                language: "en".to_owned(),
                status: "delivered".to_owned(),
                created_at: at(),
                updated_at: at(),
                service: None,
                reference: None,
            }],
            codes: vec![ExportedCode {
                purpose: "sign_in".to_owned(),
                attempts: 1,
                opened_at: at(),
                sent_at: Some(at()),
                expires_at: "2025-10-03T10:25:23.435393+00:00".to_owned(),
                used_at: Some(at()),
            }],
            lead: Some(ExportedLead::example()),
            second_factor: None,
            blocks: Vec::new(),
            events: Vec::new(),
            merged_accounts: Vec::new(),
        }
    }
}

/// The account.
#[derive(Debug, Object)]
pub struct ExportedAccount {
    /// Its id.
    user_id: String,
    /// The verified phone in E.164.
    phone_number: Option<String>,
    /// A phone that was given at registration and never verified.
    phone: Option<String>,
    /// The phone that the account lost because it was unused for too long.
    former_phone: Option<String>,
    /// The invitation that the account was made with.
    invitation_id: Option<String>,
    /// The username.
    username: Option<String>,
    /// The e-mail address; not verified.
    email: Option<String>,
    /// As the user entered it.
    first_name: Option<String>,
    /// As the user entered it.
    last_name: Option<String>,
    /// `user`, `staff` or `admin`.
    role: String,
    /// Whether a password is set.
    has_password: bool,
    /// The version of the terms that the user accepted last.
    terms_version: Option<String>,
    /// When the user accepted it first.
    terms_accepted_at: Option<String>,
    /// Whether the account is active.
    is_active: bool,
    /// When it was created.
    created_at: String,
    /// When it or its profile was last changed.
    updated_at: String,
}

impl ExportedAccount {
    fn from_account(account: Account) -> Self {
        Self {
            user_id: account.id.to_string(),
            phone_number: account.phone.map(|phone| phone.full().to_owned()),
            phone: account.claimed_phone,
            former_phone: account.former_phone.map(|phone| phone.full().to_owned()),
            invitation_id: account.invitation_id.map(|id| id.to_string()),
            username: account.username,
            email: account.email,
            first_name: account.first_name,
            last_name: account.last_name,
            role: account.role.as_str().to_owned(),
            has_password: account.has_password,
            terms_accepted_at: account.terms.as_ref().map(|terms| rfc3339(terms.at)),
            terms_version: account.terms.map(|terms| terms.version),
            is_active: account.is_active,
            created_at: rfc3339(account.created_at),
            updated_at: rfc3339(account.updated_at),
        }
    }
}

/// The profile.
#[derive(Debug, Object)]
pub struct ExportedProfile {
    /// Its id.
    profile_id: String,
    /// The name.
    name: Option<String>,
    /// `YYYY-MM-DD`.
    birth_date: Option<String>,
    /// `male`, `female` or `other`.
    gender: Option<String>,
    /// The text about the user.
    bio: Option<String>,
    /// The location.
    location: Option<String>,
    /// The names of the interests that were chosen.
    event_interests: Vec<String>,
    /// The URLs of the pictures.
    profile_pictures: Vec<String>,
}

impl ExportedProfile {
    fn from_profile(profile: &Profile, interests: &[Interest]) -> Self {
        let name = |id: &i64| {
            interests.iter().find(|interest| interest.id == *id).map(|interest| interest.name.clone())
        };
        Self {
            profile_id: profile.id.to_string(),
            name: profile.name.clone(),
            birth_date: profile.birth_date.map(|date| date.date().to_string()),
            gender: profile.gender.map(|gender| gender.as_str().to_owned()),
            bio: profile.bio.clone(),
            location: profile.location.clone(),
            event_interests: profile.event_interests.iter().filter_map(name).collect(),
            profile_pictures: profile.profile_pictures.clone(),
        }
    }
}

/// A session.
#[derive(Debug, Object)]
pub struct ExportedSession {
    /// Its id.
    id: String,
    /// `code`, `password`, `console`, `exchange` or `guest`.
    opened_by: String,
    /// The device name.
    device: String,
    /// The network address.
    address: String,
    /// The language that the device asked for.
    locale: Option<String>,
    /// When it was opened.
    created_at: String,
    /// The last sign-in or `refresh`.
    last_used_at: String,
    /// The last sign-in or `confirm` of the session.
    confirmed_at: Option<String>,
    /// When it expires.
    expires_at: String,
    /// When it was ended.
    ended_at: Option<String>,
}

impl ExportedSession {
    fn from_session(session: Session) -> Self {
        Self {
            id: session.id.to_string(),
            opened_by: session.opened_by.as_str().to_owned(),
            device: session.client.device,
            address: session.client.address,
            locale: session.client.locale,
            created_at: rfc3339(session.created_at),
            last_used_at: rfc3339(session.last_used_at),
            confirmed_at: session.recent_auth_at.map(rfc3339),
            expires_at: rfc3339(session.expires_at),
            ended_at: session.ended_at.map(rfc3339),
        }
    }
}

/// An event.
#[derive(Debug, Object)]
pub struct ExportedEvent {
    /// Its type, such as `user.updated`.
    r#type: String,
    /// When it happened.
    created_at: String,
    /// Its data, as JSON.
    data: String,
    /// When it was given up. An event that waits is sent again.
    given_up_at: Option<String>,
}

impl ExportedEvent {
    fn from_event(event: &StoredEvent) -> Self {
        Self {
            r#type: event.kind.clone(),
            created_at: rfc3339(event.created_at),
            data: event.data().to_string(),
            given_up_at: event.died_at.map(rfc3339),
        }
    }
}

/// A message.
#[derive(Debug, Object)]
pub struct ExportedMessage {
    /// Its kind: `otp` has a code, `verification` the code of another service, `phone_changed` is the notice to an old number.
    kind: String,
    /// `sms`, `whatsapp` or `call`.
    channel: String,
    /// The language of its text.
    language: String,
    /// The delivery status.
    status: String,
    /// When it was created.
    created_at: String,
    /// When the status changed.
    updated_at: String,
    /// The other service that asked for it.
    service: Option<String>,
    /// What that service calls its check.
    reference: Option<String>,
}

impl ExportedMessage {
    fn from_message(message: Received) -> Self {
        Self {
            kind: message.template,
            channel: message.channel,
            language: message.language,
            status: message.status,
            created_at: rfc3339(message.created_at),
            updated_at: rfc3339(message.updated_at),
            service: message.service,
            reference: message.reference,
        }
    }
}

/// A requested code.
#[derive(Debug, Object)]
pub struct ExportedCode {
    /// Its purpose: `sign_in`, `change_phone`, `confirm`, `merge`, `move_phone`, `staff` or `verification`.
    purpose: String,
    /// The number of guesses.
    attempts: i64,
    /// When it was first requested.
    opened_at: String,
    /// When it was last sent.
    sent_at: Option<String>,
    /// When it expires.
    expires_at: String,
    /// When it was used.
    used_at: Option<String>,
}

impl ExportedCode {
    fn from_challenge(code: &IssuedCode) -> Self {
        Self {
            purpose: code.purpose.as_str().to_owned(),
            attempts: code.challenge.attempts,
            opened_at: rfc3339(code.opened_at),
            sent_at: code.challenge.sent_at.map(rfc3339),
            expires_at: rfc3339(code.challenge.expires_at),
            used_at: code.challenge.consumed_at.map(rfc3339),
        }
    }
}

/// The second factor.
#[derive(Debug, Object)]
pub struct ExportedSecondFactor {
    /// When it was set up.
    enrolled_at: String,
    /// How many recovery codes were not used.
    recovery_codes_left: u64,
}

/// A block of the phone.
#[derive(Debug, Object)]
pub struct ExportedBlock {
    /// Why.
    reason: String,
    /// The number of an order or a ticket.
    reference: Option<String>,
    /// When it was made.
    made_at: String,
    /// When it ends by itself.
    ends_at: Option<String>,
    /// When it was ended.
    ended_at: Option<String>,
}

impl ExportedBlock {
    fn from_block(block: Block) -> Self {
        Self {
            reason: block.reason,
            reference: block.reference,
            made_at: rfc3339(block.made_at),
            ends_at: block.ends_at.map(rfc3339),
            ended_at: block.ended_at.map(rfc3339),
        }
    }
}
