//! Budgets at the HTTP edge: who sends a request, and what a used-up budget answers.

use std::sync::Arc;

use poem::{Request, Result};

use super::{
    client_ip,
    envelope::{ErrorCode, ErrorResponse},
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

/// Counts a request for a code, and reports the budget of its address in the `RateLimit` headers.
pub async fn counted(services: &Arc<Services>, request: &Request) -> Result<CountedRequest> {
    let counted =
        count_request(services, client_ip::from_request(request)).await.map_err(RequestError::from)?;
    if let Some(status) = counted.status {
        record(request, status);
    }
    Ok(counted)
}

/// The response to a request that a used-up budget refuses.
pub fn refusal(request: &Request, exceeded: &budget::BudgetExceeded) -> ErrorResponse {
    if let Some(status) = BudgetStatus::from_exceeded(*exceeded) {
        record(request, status);
    }
    let code = match exceeded.budget.kind() {
        Kind::Lock => ErrorCode::PhoneLocked,
        Kind::Cooldown => ErrorCode::OtpCooldown,
        Kind::Rate => ErrorCode::RateLimited,
    };
    let failure = ErrorResponse::from_code(code);
    match exceeded.retry_after {
        Some(seconds) => failure.retry_after(seconds),
        None => ErrorResponse::new(code, "This number is locked. Please contact support to unlock it"),
    }
}

fn record(request: &Request, status: BudgetStatus) {
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    let size = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    let status = rate_limit::LimitStatus {
        policy: status.budget,
        quota: size(status.quota),
        window_seconds: number(status.window),
        remaining: size(status.left),
        reset_seconds: number(status.reset),
    };
    rate_limit::record(request, status);
}
