//! Requesting a code: what `signup` and `login` share. The two differ only in which accounts they refuse.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    DeliveryPreferences, Error, SendOutcome, Services,
    asked_by::AskedBy,
    before_send::BotProof,
    blocks,
    bot_check::{self, BotChallenge, Proof, Requirement},
    budget::{self, CountedRequest},
    code::{self, SendRequest},
    destination, device,
    signups::{self, Entry},
};
use crate::domain::{
    account::Account,
    audit::{Action, Event},
    bot_check::ChallengeResponse,
    budget::BudgetExceeded,
    invitation::InvitationCode,
    lead::Source,
    otp::ChallengeKey,
    phone::PhoneNumber,
};

/// A request for a code, counted and with all of its fields.
#[derive(Debug)]
pub struct CodeRequest {
    /// The count of its address.
    pub counted: CountedRequest,
    /// The phone that gets the code.
    pub phone: PhoneNumber,
    /// How the message is to be sent.
    pub preferences: DeliveryPreferences,
    /// The device token that the client shows, if any.
    pub device_token: Option<SecretString>,
    /// The answer to a bot challenge, if the client got one before.
    pub challenge_response: Option<ChallengeResponse>,
    /// The invitation that a user shows who signs up. `None` also for what no invitation looks like.
    pub invitation: Option<InvitationCode>,
}

/// The outcome of a request for a code.
pub(super) enum CodeRequested<Refusal> {
    /// A code was requested.
    Code {
        sending: SendOutcome,
        /// Whether the phone has an account, and the caller may know.
        has_account: bool,
    },
    /// The use case refuses this account, or that there is none.
    Refused(Refusal),
    /// Too many such requests came from this address.
    RateLimited(BudgetExceeded),
    /// The caller must solve a challenge first.
    Challenge(BotChallenge),
    /// The provider of the bot check does not answer.
    BotCheckUnavailable,
}

/// Checks a request and sends the code. `refuse` gets the account of the phone and whether one may be made, and says whether the
/// use case refuses it, with a word for the audit log. Where accounts are hidden, it never gets an account: every phone is sent a code, and every caller gets the same answer.
pub(super) async fn request_code<Refusal>(
    services: &Arc<Services>,
    request: &CodeRequest,
    source: Source,
    refuse: impl FnOnce(Option<&Account>, Entry) -> Option<(Refusal, &'static str)>,
) -> Result<CodeRequested<Refusal>, Error> {
    let now = services.clock.now();
    let CodeRequest { counted, phone, .. } = request;
    let (address, asked_by) = (counted.address, AskedBy::Client(counted.address));
    let device = device::read_token(services, request.device_token.as_ref(), now);
    // Without a device token the limit of the address decides before anything is looked up.
    if let Some(exceeded) = counted.exceeded.filter(|_| device.is_none()) {
        budget::note_refusal(services, refused_event(asked_by), &exceeded, ChallengeKey::sign_in(phone), now);
        return Ok(CodeRequested::RateLimited(exceeded));
    }
    let key = ChallengeKey::sign_in(phone);
    if let Some(failure) = blocks::refused_code(services, key, asked_by, now).await? {
        return Ok(CodeRequested::Code { sending: SendOutcome::Failed(failure), has_account: false });
    }
    if !device::is_review_number(services, phone, now)
        && let Some(failure) = destination::refused(services, key, asked_by, now)
    {
        return Ok(CodeRequested::Code { sending: SendOutcome::Failed(failure), has_account: false });
    }
    let caller = device::find_caller(services, phone, device, now).await?;
    // A device that was signed in before passes: strangers behind the same address cannot lock it out.
    if let Some(exceeded) = counted.exceeded.filter(|_| caller.device.is_none()) {
        budget::note_refusal(services, refused_event(asked_by), &exceeded, key, now);
        return Ok(CodeRequested::RateLimited(exceeded));
    }
    let proof = match required_proof(services, request, caller.device, now).await? {
        Requirement::Passed(proof) => proof,
        Requirement::Challenge(challenge) => return Ok(CodeRequested::Challenge(challenge)),
        Requirement::Unavailable => return Ok(CodeRequested::BotCheckUnavailable),
    };
    let visible = caller.account.as_ref().filter(|_| !services.hides_accounts);
    let entry = match visible {
        Some(_) => Entry::Free,
        None => signups::find_entry(services, request.invitation.as_ref(), phone, now).await?,
    };
    if let Some((refusal, reason)) = refuse(visible, entry) {
        let event = refused_event(asked_by).phone(phone).with("purpose", key.purpose.as_str());
        services.audit.note(event.with("reason", reason), now);
        return Ok(CodeRequested::Refused(refusal));
    }
    let has_account = visible.is_some();
    let send = SendRequest {
        key: ChallengeKey::sign_in_by(phone, caller.device),
        source: Some(source).filter(|_| caller.fixed.is_none()),
        invitation: entry.invitation(),
        preferences: &request.preferences,
        asked_by,
        device: caller.device,
        is_known: has_account || caller.device.is_some(),
        is_proved: caller.account.is_some() || caller.device.is_some(),
        is_review: caller.fixed.is_some(),
        proof: proof.spend,
        bot_proof: bot_proof(services, proof),
    };
    let Ok(sending) = code::send_or_challenge(services, &send, now).await? else {
        let challenge = bot_check::new_challenge(services, phone, address, now);
        return Ok(challenge.map_or(CodeRequested::BotCheckUnavailable, CodeRequested::Challenge));
    };
    if let Some(challenge) = bot_check::challenge_if_spent(services, &sending, phone, address, now) {
        return Ok(CodeRequested::Challenge(challenge));
    }
    let wait = if caller.device.is_some() { 0 } else { counted.wait };
    Ok(CodeRequested::Code { sending: sending.not_before(wait), has_account })
}

fn refused_event(asked_by: AskedBy<'_>) -> Event {
    asked_by.event(Action::CodeRefused)
}

/// What the hook before sending learns about the bot check.
pub(super) fn bot_proof(services: &Services, proof: Proof) -> BotProof {
    match (proof.is_given, services.bot_check.is_on()) {
        (true, _) => BotProof::Given,
        (false, true) => BotProof::NotGiven,
        (false, false) => BotProof::Impossible,
    }
}

/// The bot check. A device that was signed in before needs none, unless the hook before sending has demanded one.
async fn required_proof(
    services: &Arc<Services>,
    request: &CodeRequest,
    device: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<Requirement, Error> {
    let response = request.challenge_response.as_ref();
    if device.is_some() && (response.is_none() || services.before_send.is_none()) {
        return Ok(Requirement::Passed(Proof::default()));
    }
    bot_check::require(services, &request.counted, response, (&request.phone).into(), now).await
}
