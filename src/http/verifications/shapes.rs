//! The requests and responses of verifications.

use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object, registry::MetaSchema, types::Example};

use crate::{
    domain::verification::{self, MAX_REFERENCE_CHARS},
    flows::CodeSent,
    http::{
        delivery::Channel,
        fields::{self, Describe, Field, describe, schema},
        timestamp::rfc3339,
    },
};

describe!(/// `locale`: null and absent mean English.
Locale, required: false, MetaSchema {
    nullable: true,
    min_length: Some(1),
    max_length: Some(35),
    pattern: Some("^[A-Za-z0-9_-]{1,35}$".to_owned()),
    ..schema("string", "The language of the message (BCP 47), if the server has its texts. Default: English.", "pt-BR".into())
});
describe!(/// `reference`: null and absent mean none.
Reference, required: false, MetaSchema {
    nullable: true,
    min_length: Some(1),
    max_length: Some(MAX_REFERENCE_CHARS),
    ..schema("string", "What the service calls the verification, such as the number of an order; trimmed. The user sees it in an \
         export of their data. Another reference is another verification.", "order 17".into())
});
describe!(/// `end_user_address`: null and absent mean none.
EndUserAddress, required: false, MetaSchema {
    nullable: true,
    ..schema("string", "The IP address of the service's user. It has limits of its own for this key, and an admin's block of it \
         applies. The address that the request comes from is charged nothing.", "203.0.113.7".into())
});

/// A phone to verify.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct StartVerificationRequest {
    pub phone_number: Field<fields::Phone>,
    #[oai(skip_serializing_if_is_none)]
    pub channel: Field<fields::Channel>,
    #[oai(skip_serializing_if_is_none)]
    pub locale: Field<Locale>,
    #[oai(skip_serializing_if_is_none)]
    pub reference: Field<Reference>,
    #[oai(skip_serializing_if_is_none)]
    pub end_user_address: Field<EndUserAddress>,
}

impl Example for StartVerificationRequest {
    fn example() -> Self {
        Self {
            phone_number: Field::from_value("+916205829376"),
            reference: Field::from_value("order 17"),
            end_user_address: Field::from_value("203.0.113.7"),
            ..Self::default()
        }
    }
}

/// The code that the user of the service entered.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct CheckVerificationRequest {
    pub otp_code: Field<fields::Code>,
    #[oai(skip_serializing_if_is_none)]
    pub end_user_address: Field<EndUserAddress>,
}

impl Example for CheckVerificationRequest {
    fn example() -> Self {
        Self { otp_code: Field::from_value("1097"), ..Self::default() }
    }
}

/// The status of a verification.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum VerificationStatus {
    /// The code was not entered yet.
    Pending,
    /// The right code was entered.
    Approved,
    /// The service canceled it.
    Canceled,
    /// The time of the code is over.
    Expired,
    /// All guesses were wrong.
    MaxAttemptsReached,
}

impl From<verification::Status> for VerificationStatus {
    fn from(status: verification::Status) -> Self {
        match status {
            verification::Status::Pending => Self::Pending,
            verification::Status::Approved => Self::Approved,
            verification::Status::Canceled => Self::Canceled,
            verification::Status::Expired => Self::Expired,
            verification::Status::MaxAttemptsReached => Self::MaxAttemptsReached,
        }
    }
}

/// A verification.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Verification {
    /// Its id.
    id: String,
    /// The phone in E.164.
    phone_number: String,
    /// How it stands.
    status: VerificationStatus,
    /// The channel of the last code.
    channel: Channel,
    /// What the service calls it.
    reference: Option<String>,
    /// When it began (RFC 3339, UTC).
    created_at: String,
    /// When its code expires (RFC 3339, UTC).
    expires_at: String,
}

impl Verification {
    /// How it stands now.
    pub fn new(of: &verification::Verification, now: DateTime<Utc>) -> Self {
        Self {
            id: of.id.to_string(),
            phone_number: of.phone.full().to_owned(),
            status: of.status(now).into(),
            channel: of.channel.into(),
            reference: of.reference.clone(),
            created_at: rfc3339(of.created_at),
            expires_at: rfc3339(of.expires_at),
        }
    }
}

impl Example for Verification {
    fn example() -> Self {
        Self {
            id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
            phone_number: "+916205829376".to_owned(),
            status: VerificationStatus::Approved,
            channel: Channel::Sms,
            reference: Some("order 17".to_owned()),
            created_at: "2025-10-03T10:15:23.435393+00:00".to_owned(),
            expires_at: "2025-10-03T10:25:23.435393+00:00".to_owned(),
        }
    }
}

/// A verification whose code was sent.
#[derive(Debug, Object)]
#[oai(example)]
pub struct StartedVerification {
    /// Its id, for the other requests about it.
    id: String,
    /// The phone in E.164.
    phone_number: String,
    /// `pending`.
    status: VerificationStatus,
    /// The channel by which the code went.
    channel: Channel,
    /// What the service calls it.
    reference: Option<String>,
    /// When it began (RFC 3339, UTC).
    created_at: String,
    /// When its code expires (RFC 3339, UTC). A resend does not extend it.
    expires_at: String,
    /// Seconds until the next code can be requested.
    resend_in: i64,
    /// For `GET /api/auth/deliveries/{delivery_id}`, the delivery status of the message.
    delivery_id: String,
}

impl StartedVerification {
    /// A verification whose code was sent now.
    pub fn new(of: &verification::Verification, sent: CodeSent, now: DateTime<Utc>) -> Self {
        let Verification { id, phone_number, status, channel, reference, created_at, expires_at } =
            Verification::new(of, now);
        Self {
            id,
            phone_number,
            status,
            channel,
            reference,
            created_at,
            expires_at,
            resend_in: sent.resend_in,
            delivery_id: sent.delivery_id.to_string(),
        }
    }
}

impl Example for StartedVerification {
    fn example() -> Self {
        let Verification { id, phone_number, channel, reference, created_at, expires_at, .. } =
            Verification::example();
        Self {
            id,
            phone_number,
            status: VerificationStatus::Pending,
            channel,
            reference,
            created_at,
            expires_at,
            resend_in: 30,
            delivery_id: "5f0c9a52-6d1e-4c0b-b7a9-94b1c36b7f0d".to_owned(),
        }
    }
}
