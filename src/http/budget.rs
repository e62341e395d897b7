//! Budgets, as the doors tell of them.

use std::sync::Arc;

use poem::{Request, Result};

use super::{
    client_ip,
    envelope::{ErrorCode, ErrorResponse, Failure},
    error::RequestError,
    rate_limit,
};
use crate::{
    domain::budget::{self, Kind},
    flows::{
        Services,
        budget::{BudgetStatus, CountedRequest, count_request},
    },
};

/// Counts a request for a code, and tells how its address stands.
pub async fn counted(services: &Arc<Services>, request: &Request) -> Result<CountedRequest> {
    let counted =
        count_request(services, client_ip::from_request(request)).await.map_err(RequestError::from)?;
    if let Some(status) = counted.status {
        tell(request, status);
    }
    Ok(counted)
}

/// The answer to a request that a budget stopped.
pub fn refusal(request: &Request, refusal: &budget::BudgetExceeded) -> ErrorResponse {
    if let Some(status) = BudgetStatus::from_exceeded(*refusal) {
        tell(request, status);
    }
    let code = match refusal.budget.kind() {
        Kind::Lock => ErrorCode::PhoneLocked,
        Kind::Cooldown => ErrorCode::OtpCooldown,
        Kind::Rate => ErrorCode::RateLimited,
    };
    let failure = Failure::from_code(code);
    match refusal.retry_after {
        Some(seconds) => failure.retry_after(seconds).into(),
        None => Failure::new(code, "This number is locked. Please contact support to unlock it").into(),
    }
}

fn tell(request: &Request, status: BudgetStatus) {
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    let size = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    let status = rate_limit::BudgetStatus {
        policy: status.budget,
        quota: size(status.quota),
        window_seconds: number(status.window),
        remaining: size(status.left),
        reset_seconds: number(status.reset),
    };
    rate_limit::tell(request, status);
}
