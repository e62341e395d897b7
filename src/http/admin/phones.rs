//! A phone: why its user is not signed in, and sending a code again.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, types::Example};

use crate::{
    domain::{
        phone::PhoneNumber,
        roles::{self, Forbidden, StaffPermission},
        timeline::TimelineEntry,
        verdict,
    },
    flows::{
        Services, console,
        phone_report::{self, PhoneReport},
        resend::{self, Resent},
    },
    http::{
        Tag,
        body::MaybeJson,
        budget, client_ip,
        code::{self, NotSent, cooldown},
        envelope::{ErrorCode, ErrorResponse},
        error::RequestError,
        fields::{self, Field, FieldErrors, parsed},
        json::Json,
        security::Gate,
        timestamp::rfc3339,
    },
};

/// The operations of this module.
pub struct PhonesApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// Why the user of a phone is not signed in.
#[derive(Debug, Object)]
#[oai(example, rename = "PhoneVerdict")]
pub struct Verdict {
    /// The name of the case. It never changes.
    code: String,
    /// One sentence that says why. Times are in the time zone of the product.
    sentence: String,
    /// What to tell the user, and what staff can do.
    advice: String,
}

/// Something that happened to a phone.
#[derive(Debug, Object)]
#[oai(example, rename = "PhoneTimelineEntry")]
pub struct Entry {
    /// When (RFC 3339, UTC).
    at: String,
    /// `message`, `session`, or the name of an action of the audit log.
    kind: String,
    /// What happened, as a sentence. It never contains a code.
    text: String,
    /// The client's address, or null.
    address: Option<String>,
    /// The id of the staff account that did it, or null.
    staff_id: Option<String>,
    /// The id of the message, or null.
    message_id: Option<String>,
    /// The channel of the message, or null.
    channel: Option<String>,
    /// The status that the message got, or null.
    status: Option<String>,
}

/// Everything that staff see about a phone.
#[derive(Debug, Object)]
#[oai(example, rename = "PhoneReport")]
pub struct Report {
    /// The phone in E.164.
    phone_number: String,
    /// Why its user is not signed in.
    verdict: Verdict,
    /// What happened, newest first: at most 200 entries.
    timeline: Vec<Entry>,
}

/// How a code is sent again.
#[derive(Debug, Default, Object)]
#[oai(example, rename = "ResendCodeRequest")]
pub struct ResendRequest {
    #[oai(skip_serializing_if_is_none)]
    pub(super) channel: Field<fields::Channel>,
}

/// A code was sent to a user.
#[derive(Debug, Object)]
#[oai(example, rename = "ResentCode")]
pub struct ResentData {
    /// The phone in E.164.
    phone_number: String,
    /// The channel.
    channel: String,
    /// Seconds until the code expires. A resend does not extend it.
    expires_in: i64,
    /// Seconds until the next code can be sent.
    resend_in: i64,
    /// The id of the delivery.
    delivery_id: String,
}

impl Verdict {
    fn from_verdict(verdict: &verdict::Verdict) -> Self {
        Self {
            code: verdict.code.to_owned(),
            sentence: verdict.sentence.clone(),
            advice: verdict.advice.text(),
        }
    }
}

impl Entry {
    fn from_entry(entry: &TimelineEntry) -> Self {
        Self {
            at: rfc3339(entry.at),
            kind: entry.kind.clone(),
            text: entry.text.clone(),
            address: entry.address.clone(),
            staff_id: entry.staff.map(|id| id.to_string()),
            message_id: entry.message.map(|id| id.to_string()),
            channel: entry.channel.map(|channel| channel.as_str().to_owned()),
            status: entry.status.map(|status| status.as_str().to_owned()),
        }
    }
}

impl Report {
    fn from_report(report: &PhoneReport) -> Self {
        Self {
            phone_number: report.phone.full().to_owned(),
            verdict: Verdict::from_verdict(&report.verdict),
            timeline: report.timeline.iter().map(Entry::from_entry).collect(),
        }
    }
}

impl Example for Verdict {
    fn example() -> Self {
        Self {
            code: "delivered_not_entered".to_owned(),
            sentence: "Delivered at 10:02:09, and no code was entered since.".to_owned(),
            advice: "Tell the user: The code has arrived. What you can do: Send it again.".to_owned(),
        }
    }
}

impl Example for Entry {
    fn example() -> Self {
        Self {
            at: "2026-11-27T04:32:09.000000+00:00".to_owned(),
            kind: "message".to_owned(),
            text: "The SMS was delivered.".to_owned(),
            address: None,
            staff_id: None,
            message_id: Some("019ac1f2-3c5e-7d10-8a55-0f4f1c9b2a11".to_owned()),
            channel: Some("sms".to_owned()),
            status: Some("delivered".to_owned()),
        }
    }
}

impl Example for Report {
    fn example() -> Self {
        Self {
            phone_number: "+916205829376".to_owned(),
            verdict: Verdict::example(),
            timeline: vec![Entry::example()],
        }
    }
}

impl Example for ResendRequest {
    fn example() -> Self {
        Self { channel: Field::from_value("whatsapp") }
    }
}

impl Example for ResentData {
    fn example() -> Self {
        Self {
            phone_number: "+916205829376".to_owned(),
            channel: "sms".to_owned(),
            expires_in: 600,
            resend_in: 30,
            delivery_id: "5f0c9a52-6d1e-4c0b-b7a9-94b1c36b7f0d".to_owned(),
        }
    }
}

/// The responses of reading a phone.
#[derive(ApiResponse)]
pub enum ReportResponse {
    /// The verdict and the timeline. An unknown phone has them too.
    #[oai(status = 200)]
    Found(Json<Report>),
    /// `forbidden`: only for staff and admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `validation_failed`: `phone` is not a phone number.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

/// The responses of sending a code again.
#[derive(ApiResponse)]
pub enum ResendResponse {
    /// The code was sent. It is not in the response.
    #[oai(status = 200)]
    Sent(Json<ResentData>),
    /// `phone_unreachable`: the number gets no messages; `error.reason` says why. A number for app review gets none either.
    #[oai(status = 400)]
    Unreachable(ErrorResponse),
    /// `forbidden`: only for staff and admins, in a session opened with the password. `account_disabled`: the account of
    /// this phone is disabled.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `validation_failed`: `phone` is not a phone number, or `channel` is not switched on.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `otp_cooldown`: a code was sent to this phone too recently. `phone_locked`: unlock it first. `rate_limited`: a limit of
    /// the phone, its prefix or the day is used up.
    #[oai(status = 429)]
    TooSoon(ErrorResponse),
    /// `sms_rejected`: the SMS provider refuses the server. The operator has to act.
    #[oai(status = 502)]
    SmsRejected(ErrorResponse),
    /// `sms_unavailable`: the SMS provider does not answer. Try again; there is no cooldown.
    #[oai(status = 503)]
    SmsUnavailable(ErrorResponse),
}

#[OpenApi(tag = "Tag::Admin")]
impl PhonesApi {
    /// Find out why a user is not signed in
    ///
    /// The verdict on a phone in one sentence, what to tell the user, and what happened. Reading it is recorded in the audit
    /// log.
    #[oai(path = "/api/admin/phones/:phone", method = "get", operation_id = "getPhoneReport")]
    async fn report(
        &self,
        gate: Gate,
        request: &Request,
        /// The phone number, in any spelling.
        phone: Path<String>,
    ) -> Result<ReportResponse> {
        let Ok(permission) = staff_permission(&gate, request) else {
            return Ok(ReportResponse::Forbidden(ErrorResponse::from_code(ErrorCode::Forbidden)));
        };
        let phone = match self.phone(&phone) {
            Ok(phone) => phone,
            Err(errors) => return Ok(ReportResponse::Invalid(errors.into_error_response())),
        };
        let report = phone_report::report(&self.services, &phone, &permission).await;
        let report = report.map_err(RequestError::from)?;
        let account = report.account.as_ref().map(|account| account.id);
        console::note_shown(&self.services, &phone, account, permission);
        Ok(ReportResponse::Found(Json(Report::from_report(&report))))
    }

    /// Send a code to a user
    ///
    /// The code that the user waits for, or a new one, within the limits of the phone; the limits of an address do not
    /// count. Only the user sees the code.
    #[oai(path = "/api/admin/phones/:phone/resend", method = "post", operation_id = "resendCode")]
    async fn resend(
        &self,
        gate: Gate,
        request: &Request,
        /// The phone number, in any spelling.
        phone: Path<String>,
        body: MaybeJson<ResendRequest>,
    ) -> Result<ResendResponse> {
        let Ok(permission) = staff_permission(&gate, request) else {
            return Ok(ResendResponse::Forbidden(ErrorResponse::from_code(ErrorCode::Forbidden)));
        };
        let mut errors = FieldErrors::default();
        let phone_number = errors.check("phone", parsed(PhoneNumber::parse(&phone, self.services.region)));
        let body = body.0.unwrap_or_default();
        let channel = errors.check("channel", fields::channel(&body.channel, &self.services.channels));
        let (Some(phone), Some(channel)) = (phone_number, channel) else {
            return Ok(ResendResponse::Invalid(errors.into_error_response()));
        };
        let outcome = resend::resend(&self.services, phone.clone(), channel, permission).await;
        Ok(resent(request, &phone, &outcome.map_err(RequestError::from)?))
    }
}

impl PhonesApi {
    fn phone(&self, text: &str) -> Result<PhoneNumber, FieldErrors> {
        let mut errors = FieldErrors::default();
        let phone = errors.check("phone", parsed(PhoneNumber::parse(text, self.services.region)));
        phone.ok_or(errors)
    }
}

pub(super) fn resent(request: &Request, phone: &PhoneNumber, outcome: &Resent) -> ResendResponse {
    let says = |code| ErrorResponse::new(code, outcome.sentence());
    match outcome {
        Resent::Sent { code, channel } => ResendResponse::Sent(Json(ResentData {
            phone_number: phone.full().to_owned(),
            channel: channel.as_str().to_owned(),
            expires_in: code.expires_in,
            resend_in: code.resend_in,
            delivery_id: code.delivery_id.to_string(),
        })),
        Resent::TooSoon { retry_after } => ResendResponse::TooSoon(cooldown(*retry_after)),
        Resent::Locked(exceeded) | Resent::Limited(exceeded) => {
            let message = outcome.sentence();
            ResendResponse::TooSoon(ErrorResponse { message, ..budget::refusal(request, exceeded) })
        }
        Resent::NotServed(reason) => {
            let mut failure = says(ErrorCode::PhoneUnreachable);
            failure.error.reason = Some((*reason).into());
            ResendResponse::Unreachable(failure)
        }
        Resent::ReviewNumber => ResendResponse::Unreachable(says(ErrorCode::PhoneUnreachable)),
        Resent::Disabled => ResendResponse::Forbidden(says(ErrorCode::AccountDisabled)),
        Resent::ChannelOff(_) => ResendResponse::Invalid(says(ErrorCode::ValidationFailed)),
        Resent::Failed(error) => match code::not_sent(error) {
            NotSent::Unreachable(failure) => ResendResponse::Unreachable(failure),
            NotSent::Rejected(failure) => ResendResponse::SmsRejected(failure),
            NotSent::Unavailable(failure) => ResendResponse::SmsUnavailable(failure),
        },
    }
}

fn staff_permission(gate: &Gate, request: &Request) -> Result<StaffPermission, Forbidden> {
    roles::may_act_as_staff(&gate.0, client_ip::from_request(request))
}
