//! What is written before a code is sent: one statement makes the charges, opens the challenge, and writes lead and message.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    super::{
        Error, Services,
        budget::{self, BudgetClaim, Charged, Charging},
        events,
    },
    Outgoing, SendRequest, row,
};
use crate::{
    domain::{
        budget::{BudgetExceeded, Charge, ChargeId, MessageCharge},
        otp::{Challenge, ChallengeKey, Opening, seconds_up},
    },
    store::{
        self,
        leads::NewLead,
        sends::{NewSend, Opened},
    },
};

/// What was written before a code is sent.
pub(super) enum Prepared {
    /// A code.
    Code {
        challenge: Challenge,
        /// Its charges.
        budget_claim: BudgetClaim,
        /// The id of its message.
        message_id: Uuid,
        /// Whether the challenge was open before, so that its code is sent again.
        is_resend: bool,
    },
    /// Nothing. A code was sent too recently: the next one may be requested after this many seconds.
    TooSoon(i64),
    /// Nothing. A budget is used up.
    Refused(BudgetExceeded),
}

/// Makes the charges, opens the challenge, and writes lead and message in the same moment.
pub(super) async fn prepare(
    services: &Services,
    request: &SendRequest<'_>,
    outgoing: &Outgoing<'_>,
    now: DateTime<Utc>,
) -> Result<Prepared, Error> {
    let opening = Opening {
        invitation: request.invitation,
        ..services.otp.opening(services.random.bits(), &services.otp_keys, request.key, now)
    };
    let write = WriteBefore { services, request, outgoing, opening: &opening, now };
    let mut tries_left = 2;
    loop {
        tries_left -= 1;
        let charges = charges(services, request, now);
        let budget_claim = match budget::claim_by(&write, services, charges, now).await? {
            Err(exceeded) => return Ok(Prepared::Refused(exceeded)),
            Ok((budget_claim, Some((challenge, message_id)))) => {
                let is_resend = challenge.id != opening.id;
                return Ok(Prepared::Code { challenge, budget_claim, message_id, is_resend });
            }
            Ok((budget_claim, None)) => budget_claim,
        };
        budget::refund(services, &budget_claim).await?;
        match find_wait(services, request.key, &opening, now).await? {
            // The time of a wrong clock was removed.
            None if tries_left > 0 => {}
            wait => return Ok(Prepared::TooSoon(wait.unwrap_or(1))),
        }
    }
}

/// Writes what a send needs, by the statement that makes its charges.
struct WriteBefore<'a> {
    services: &'a Services,
    request: &'a SendRequest<'a>,
    outgoing: &'a Outgoing<'a>,
    opening: &'a Opening<'a>,
    now: DateTime<Utc>,
}

impl Charging for WriteBefore<'_> {
    /// The challenge and the id of the message. `None` when only the charges were made.
    type Beside = Option<(Challenge, Uuid)>;

    async fn run(&self, charges: &[Charge], charge_id: ChargeId) -> Result<Charged<Self::Beside>, Error> {
        let Self { services, request, outgoing, opening, now } = *self;
        let message_id = services.random.id(now);
        let lead = request.source.map(|source| NewLead { id: services.random.id(now), source });
        let lead_created = lead.and_then(|lead| events::lead_created(services, lead, request.key.phone, now));
        let send = NewSend {
            charges,
            charge_id,
            kept: budget::kept(services, charges),
            key: request.key,
            opening,
            lead,
            lead_created: lead_created.as_ref(),
            verification: request.asked_by.verification(),
            message: row(services, outgoing, message_id, None),
        };
        Ok(match store::sends::open(&services.store, send, now).await? {
            Opened::Refused => None,
            Opened::TooSoon(rows) => Some((rows, None)),
            Opened::Code(challenge, rows) => Some((rows, Some((challenge, message_id)))),
        })
    }
}

/// What a send is charged to. Nothing where the limits are off.
fn charges(services: &Services, request: &SendRequest<'_>, now: DateTime<Utc>) -> Vec<Charge> {
    if !services.budgets.is_on {
        return Vec::new();
    }
    let phone_hash = services.pseudonyms.phone(request.key.phone);
    let send = MessageCharge {
        phone: request.key.phone,
        phone_hash: &phone_hash,
        address: request.asked_by.charged_address(),
        device: request.device,
        is_known: request.is_known,
        resend_after: services.otp.resend_after,
        day: budget::day(services, now),
        proof: request.proof,
    };
    budget::of_send(services, &send, request.asked_by.service(), now)
}

/// Seconds until a code may be sent, after none could be. `None` when that was because of a time that a wrong clock wrote, which
/// is removed now.
async fn find_wait(
    services: &Services,
    key: ChallengeKey<'_>,
    opening: &Opening<'_>,
    now: DateTime<Utc>,
) -> Result<Option<i64>, Error> {
    let db = &services.store;
    if let Some(waiting) = store::otp::find(db, key).await? {
        if let Some(ahead) = waiting.sent_ahead(now) {
            // If the budgets are on, they keep the cooldown; otherwise it begins now.
            let has_budgets = services.budgets.is_on;
            let sent_at = (!has_budgets).then_some(now);
            store::otp::set_sent(db, key, waiting.id, (ahead, sent_at)).await?;
            if has_budgets {
                return Ok(None);
            }
        }
        return Ok(Some(waiting.resend_in(&services.otp, now)));
    }
    let mut until = store::otp::find_tombstone(db, &opening.phone_hashes, key.purpose, now).await?;
    let longest = services.otp.latest_tombstone_end(now);
    if until.is_some_and(|until| until > longest) {
        store::otp::shorten_tombstone(db, &opening.phone_hashes, key.purpose, longest).await?;
        until = Some(longest);
    }
    Ok(Some(until.map_or(1, |until| seconds_up(until - now).max(1))))
}
