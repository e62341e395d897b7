//! Budgets, as the doors tell of them.

use std::sync::Arc;

use poem::{Request, Result};

use super::{
    client_ip,
    envelope::{ErrorCode, Failure, Refusal},
    fault::Fault,
    rate_limit,
};
use crate::{
    domain::budget::{self, Kind},
    flows::{
        Services,
        budget::{Admitted, Asker, Standing, admit},
    },
};

/// Who sends a request.
pub fn asker(request: &Request) -> Asker {
    Asker { address: client_ip::of(request), device_token: None, challenge_response: None }
}

/// Counts a request for a code, and tells how its address stands.
pub async fn counted(services: &Arc<Services>, request: &Request) -> Result<Admitted> {
    let admitted = admit(services, asker(request)).await.map_err(Fault::from)?;
    if let Some(standing) = admitted.standing {
        tell(request, standing);
    }
    Ok(admitted)
}

/// The answer to a request that a budget stopped.
pub fn refusal(request: &Request, refusal: &budget::Refusal) -> Refusal {
    if let Some(standing) = Standing::of(*refusal) {
        tell(request, standing);
    }
    let code = match refusal.budget.kind() {
        Kind::Lock => ErrorCode::PhoneLocked,
        Kind::Cooldown => ErrorCode::OtpCooldown,
        Kind::Rate => ErrorCode::RateLimited,
    };
    let failure = Failure::of(code);
    match refusal.retry_after {
        Some(seconds) => failure.retry_after(seconds).into(),
        None => Failure::new(code, "This number is locked. Please contact support to unlock it").into(),
    }
}

fn tell(request: &Request, standing: Standing) {
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    let size = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    let standing = rate_limit::Standing {
        policy: standing.budget,
        quota: size(standing.quota),
        window_seconds: number(standing.window),
        remaining: size(standing.left),
        reset_seconds: number(standing.reset),
    };
    rate_limit::tell(request, standing);
}
