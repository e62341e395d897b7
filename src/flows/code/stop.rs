//! Asking the hook before sending about a code that was charged, and what follows if it refuses.

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    super::{
        Services,
        asked_by::AskedBy,
        before_send::{self, Question, Refusal, Waiting},
        budget::BudgetClaim,
    },
    ChallengeDemanded, CodeSent, Outgoing, SendOutcome, SendRequest, refund_send,
};
use crate::domain::otp::Challenge;

/// A code that was charged, and is about to be sent.
pub(super) struct Charged<'a> {
    pub(super) challenge: &'a Challenge,
    pub(super) budget_claim: &'a BudgetClaim,
    pub(super) message_id: Uuid,
}

impl Charged<'_> {
    /// The answer that the code was sent. The provider may have taken seconds, which count towards the code's life and the wait.
    pub(super) fn sent(&self, services: &Services, outgoing: &Outgoing<'_>) -> CodeSent {
        let after = services.clock.now();
        CodeSent {
            expires_in: self.challenge.seconds_left(after),
            resend_in: self.challenge.wait_left(&services.otp, after).max(self.budget_claim.wait(after)),
            delivery_id: outgoing.delivery_id,
            channel: outgoing.channel,
        }
    }
}

/// Asks the hook before sending. If it refuses, the outcome; the charges are returned, as after a definite refusal of the
/// provider.
pub(super) async fn stop_by_hook(
    services: &Services,
    request: &SendRequest<'_>,
    outgoing: &Outgoing<'_>,
    charged: &Charged<'_>,
    now: DateTime<Utc>,
) -> Option<Result<SendOutcome, ChallengeDemanded>> {
    let question = Question {
        phone: request.key.phone,
        purpose: request.key.purpose,
        channel: outgoing.channel,
        address: request.asked_by.charged_address(),
        is_known_device: request.device.is_some(),
        bot_proof: request.bot_proof,
    };
    let waiting = Waiting { message_id: charged.message_id, delivery_id: outgoing.delivery_id };
    let event = |action| request.asked_by.event(action);
    let refusal = before_send::ask(services, &question, waiting, event, now).await?;
    let began = Instant::now();
    // Another service learns of no account, whatever it is told.
    let is_silent = services.hides_accounts && matches!(request.asked_by, AskedBy::Client(_));
    if is_silent && refusal != Refusal::Challenge {
        // Returned charges would tell: the next request would not meet the cooldown.
        before_send::wait_as_for_a_send(services, began).await;
        return Some(Ok(SendOutcome::Sent(charged.sent(services, outgoing))));
    }
    refund_send(services, request.key, charged.challenge, charged.budget_claim, true, now).await;
    Some(match refusal {
        Refusal::Challenge => Err(ChallengeDemanded),
        Refusal::Denied | Refusal::NoDecision => Ok(SendOutcome::Failed(Refusal::ERROR)),
    })
}
