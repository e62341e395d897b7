//! One act on several leads. Each lead is a transaction of its own and has an outcome of its own.

use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::Instrument;
use uuid::Uuid;

use super::{Changed, Verified, change, verify};
use crate::{
    domain::{
        lead::{Change, MOST_SELECTED, State},
        roles::StaffPermission,
    },
    flows::{
        Error, Services,
        resend::{Resent, resend},
        run_to_completion,
    },
    store,
};

/// How many messages are sent at once: the provider takes some time for each, and a request has a deadline.
const MESSAGES_AT_ONCE: usize = 20;

/// What is done to each lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It gets this state.
    Move(State),
    /// Its phone is verified by hand.
    Verify,
    /// A code is sent to its phone.
    Resend,
}

/// A lead that was selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selected {
    /// The lead.
    pub id: Uuid,
    /// The version that staff saw when they confirmed the act. Another version is left as it is.
    pub version: Option<i64>,
}

/// What became of one lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It was so before.
    Already,
    /// The lead is verified, and keeps its state.
    IsConverted,
    /// The lead was changed at the same time, or after staff saw it.
    Busy,
    /// The account of the phone is disabled.
    Disabled,
    /// The phone is blocked.
    Blocked,
    /// It is a review number.
    ReviewNumber,
    /// A code was sent to the phone a moment ago.
    TooSoon,
    /// A limit, the settings or the provider refused the message.
    NotSent,
    /// There is no such lead any more.
    NotFound,
    /// The database failed at this lead or at one before.
    NotTried,
}

/// The outcomes of an act on several leads, in no particular order.
#[derive(Debug, Default)]
pub struct Outcomes(pub Vec<(Uuid, Outcome)>);

impl Outcomes {
    /// How many leads had this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0.iter().filter(|(_, known)| *known == outcome).count()
    }
}

/// Acts on each of these leads, at most [`MOST_SELECTED`]; the rest is not tried. If the database fails after some leads, these
/// stay changed, and the others are not tried.
///
/// # Errors
/// When the database does not answer at the first leads: nothing is changed.
pub async fn act_on(
    services: &Arc<Services>,
    leads: Vec<Selected>,
    act: Act,
    permission: StaffPermission,
) -> Result<Outcomes, Error> {
    run_to_completion(services, move |services| async move {
        let at_once = match act {
            Act::Move(_) | Act::Verify => 1,
            Act::Resend => MESSAGES_AT_ONCE,
        };
        let (tried, rest) = leads.split_at(leads.len().min(MOST_SELECTED));
        let mut outcomes = Outcomes::default();
        let mut has_failed = false;
        for some in tried.chunks(at_once) {
            if has_failed {
                outcomes.0.extend(some.iter().map(|lead| (lead.id, Outcome::NotTried)));
                continue;
            }
            let results = act_on_some(&services, some, act, permission).await;
            let is_nothing_done = outcomes.0.is_empty() && results.iter().all(|(_, result)| result.is_err());
            for (id, result) in results {
                let outcome = match result {
                    Ok(outcome) => outcome,
                    Err(error) if is_nothing_done => return Err(error),
                    Err(error) => {
                        tracing::error!(%error, done = outcomes.0.len(), "an act on several leads stopped");
                        has_failed = true;
                        Outcome::NotTried
                    }
                };
                outcomes.0.push((id, outcome));
            }
        }
        outcomes.0.extend(rest.iter().map(|lead| (lead.id, Outcome::NotTried)));
        Ok(outcomes)
    })
    .await
}

/// Acts on these leads at once. A task that panics leaves no outcome.
async fn act_on_some(
    services: &Arc<Services>,
    leads: &[Selected],
    act: Act,
    permission: StaffPermission,
) -> Vec<(Uuid, Result<Outcome, Error>)> {
    let mut tasks = JoinSet::new();
    for lead in leads.iter().copied() {
        let services = Arc::clone(services);
        tasks.spawn(
            async move { (lead.id, act_on_one(&services, lead, act, permission).await) }.in_current_span(),
        );
    }
    tasks.join_all().await
}

async fn act_on_one(
    services: &Arc<Services>,
    Selected { id, version }: Selected,
    act: Act,
    permission: StaffPermission,
) -> Result<Outcome, Error> {
    if let Act::Move(state) = act {
        let change_to = Change { version, ..Change::to_state(state) };
        return Ok(match change(services, id, change_to, permission).await? {
            Changed::Done(_, true) => Outcome::Done,
            Changed::Done(_, false) => Outcome::Already,
            Changed::NotFound => Outcome::NotFound,
            Changed::Stale(_) => Outcome::Busy,
            Changed::IsConverted | Changed::NeedsProof => Outcome::IsConverted,
        });
    }
    let Some(lead) = store::leads::find_by_id(&services.store, id).await? else {
        return Ok(Outcome::NotFound);
    };
    if version.is_some_and(|version| version != lead.version) {
        return Ok(Outcome::Busy);
    }
    Ok(match act {
        Act::Move(_) => Outcome::NotTried,
        Act::Verify => match verify(services, lead.phone, permission).await? {
            Verified::Done { is_new: false, is_converted: false, .. } => Outcome::Already,
            Verified::Done { .. } => Outcome::Done,
            Verified::Disabled => Outcome::Disabled,
            Verified::Blocked => Outcome::Blocked,
            Verified::ReviewNumber => Outcome::ReviewNumber,
        },
        Act::Resend => match resend(services, lead.phone, None, permission).await? {
            Resent::Sent { .. } => Outcome::Done,
            Resent::TooSoon { .. } => Outcome::TooSoon,
            Resent::Disabled => Outcome::Disabled,
            Resent::ReviewNumber => Outcome::ReviewNumber,
            Resent::Locked(_)
            | Resent::Limited(_)
            | Resent::NotServed(_)
            | Resent::ChannelOff(_)
            | Resent::Failed(_) => Outcome::NotSent,
        },
    })
}
