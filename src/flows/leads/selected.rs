//! One act on several leads. Each lead is a transaction of its own and has an outcome of its own.

use std::sync::Arc;

use uuid::Uuid;

use super::{Changed, Verified, change, verify};
use crate::{
    domain::{
        lead::{Change, MOST_SELECTED, State},
        roles::StaffPermission,
    },
    flows::{Error, Services},
    store,
};

/// What is done to each lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It gets this state.
    Move(State),
    /// Its phone is verified by hand.
    Verify,
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
    /// Others changed the lead at the same time.
    Busy,
    /// The account of the phone is disabled.
    Disabled,
    /// The phone is blocked.
    Blocked,
    /// It is a review number.
    ReviewNumber,
    /// There is no such lead any more.
    NotFound,
    /// The database failed at this lead or at one before.
    NotTried,
}

/// The outcomes of an act on several leads, in the order of the leads.
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
/// When the database does not answer at the first lead: nothing is changed.
pub async fn act_on(
    services: &Arc<Services>,
    leads: Vec<Uuid>,
    act: Act,
    permission: StaffPermission,
) -> Result<Outcomes, Error> {
    let mut outcomes = Outcomes::default();
    let mut has_failed = false;
    for (index, id) in leads.into_iter().enumerate() {
        let outcome = if has_failed || index >= MOST_SELECTED {
            Outcome::NotTried
        } else {
            match act_on_one(services, id, act, permission).await {
                Ok(outcome) => outcome,
                Err(error) if index == 0 => return Err(error),
                Err(error) => {
                    tracing::error!(%error, done = index, "an act on several leads stopped");
                    has_failed = true;
                    Outcome::NotTried
                }
            }
        };
        outcomes.0.push((id, outcome));
    }
    Ok(outcomes)
}

async fn act_on_one(
    services: &Arc<Services>,
    id: Uuid,
    act: Act,
    permission: StaffPermission,
) -> Result<Outcome, Error> {
    match act {
        Act::Move(state) => Ok(match change(services, id, Change::to_state(state), permission).await? {
            Changed::Done(_, true) => Outcome::Done,
            Changed::Done(_, false) => Outcome::Already,
            Changed::NotFound => Outcome::NotFound,
            Changed::Stale(_) => Outcome::Busy,
            Changed::IsConverted | Changed::NeedsProof => Outcome::IsConverted,
        }),
        Act::Verify => {
            let Some(lead) = store::leads::find_by_id(&services.store, id).await? else {
                return Ok(Outcome::NotFound);
            };
            Ok(match verify(services, lead.phone, permission).await? {
                Verified::Done { is_new: false, is_converted: false, .. } => Outcome::Already,
                Verified::Done { .. } => Outcome::Done,
                Verified::Disabled => Outcome::Disabled,
                Verified::Blocked => Outcome::Blocked,
                Verified::ReviewNumber => Outcome::ReviewNumber,
            })
        }
    }
}
