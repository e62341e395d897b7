//! How a message ended at a provider, for the rule that decides what follows it ([`Ending`]).

use super::{Outcome, Provider, Receipt, SendError, provider_error::meaning};
use crate::Mender;
use domain::delivery::{DeliveryStatus, Ending, UnreachableReason};

/// What [`SendError::Unavailable`] without a wait means to a client, in seconds.
pub const DEFAULT_RETRY_AFTER: u32 = 5;

/// How a message ended that a provider was just given.
#[must_use]
pub fn ending(provider: Provider, sent: Result<&Receipt, &SendError>) -> Ending {
    match sent {
        Ok(_) => Ending::Accepted,
        Err(SendError::Unavailable { outcome: Outcome::Unknown, .. }) => Ending::Unknown,
        Err(SendError::Unavailable { outcome: Outcome::NotSent, .. }) => Ending::NotReached,
        Err(SendError::Rejected { .. }) => Ending::RefusedUs,
        Err(SendError::Unreachable { provider_code, .. }) if is_pumping(provider, *provider_code) => {
            Ending::SuspectedPumping
        }
        Err(SendError::Unreachable { reason, .. }) => match reason {
            UnreachableReason::OptedOut => Ending::OptedOut,
            UnreachableReason::RegionNotAllowed => Ending::NotServed,
            UnreachableReason::Invalid | UnreachableReason::NotMobile | UnreachableReason::Blocked => {
                Ending::RefusedNumber
            }
        },
    }
}

/// How a message ended that was lost, by what its row says.
#[must_use]
pub fn ending_of_lost(
    provider: Provider,
    status: DeliveryStatus,
    reason: Option<UnreachableReason>,
    error_code: Option<u32>,
) -> Ending {
    if reason == Some(UnreachableReason::OptedOut) {
        return Ending::OptedOut;
    }
    if is_pumping(provider, error_code) {
        return Ending::SuspectedPumping;
    }
    // The row blames the number, because the user can only try another one. But it was our text or our sender.
    if error_code.is_some_and(|code| provider.errors().filtered.contains(&code)) {
        return Ending::RefusedUs;
    }
    match reason {
        Some(UnreachableReason::RegionNotAllowed) => Ending::NotServed,
        // Carriers also report it of a phone that only their route does not reach.
        Some(UnreachableReason::Invalid) if status == DeliveryStatus::Undelivered => Ending::Undelivered,
        Some(
            UnreachableReason::Invalid
            | UnreachableReason::NotMobile
            | UnreachableReason::OptedOut
            | UnreachableReason::Blocked,
        ) => Ending::RefusedNumber,
        None => match error_code.and_then(|code| meaning(provider, code)).map(|meaning| meaning.mender) {
            Some(Mender::Operator) => Ending::RefusedUs,
            Some(Mender::User | Mender::Time) | None => Ending::Undelivered,
        },
    }
}

fn is_pumping(provider: Provider, error_code: Option<u32>) -> bool {
    error_code.is_some_and(|code| provider.errors().pumping.contains(&code))
}

/// The error of a message that several providers did not take, none of which blamed the number. Waiting helps if one of them is
/// only away; the shortest wait is the one after which a message may be sent.
#[must_use]
pub fn error_of_all(errors: &[SendError]) -> Option<SendError> {
    let wait = |error: &SendError| match error {
        SendError::Unavailable { retry_after, .. } => {
            Some(retry_after.unwrap_or(u64::from(DEFAULT_RETRY_AFTER)))
        }
        SendError::Unreachable { .. } | SendError::Rejected { .. } => None,
    };
    let shortest = errors.iter().filter(|error| wait(error).is_some()).min_by_key(|error| wait(error));
    let rejected = errors.iter().find(|error| matches!(error, SendError::Rejected { .. }));
    shortest.or(rejected).or(errors.last()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeliveryStatus::{Failed, Undelivered};
    use UnreachableReason::{Blocked, Invalid, NotMobile, OptedOut, RegionNotAllowed};

    fn unavailable(outcome: Outcome, retry_after: Option<u64>) -> SendError {
        SendError::Unavailable { outcome, retry_after, provider_code: None }
    }

    fn unreachable(reason: UnreachableReason, provider_code: Option<u32>) -> SendError {
        SendError::Unreachable { reason, provider_code }
    }

    const REJECTED: SendError = SendError::Rejected { provider_code: None, http_status: Some(401) };

    #[test]
    fn every_error_has_its_ending() {
        for (error, expected) in [
            (unavailable(Outcome::Unknown, None), Ending::Unknown),
            (unavailable(Outcome::NotSent, None), Ending::NotReached),
            (REJECTED, Ending::RefusedUs),
            (unreachable(Invalid, Some(21211)), Ending::RefusedNumber),
            (unreachable(NotMobile, Some(21614)), Ending::RefusedNumber),
            (unreachable(Blocked, Some(30004)), Ending::RefusedNumber),
            (unreachable(OptedOut, Some(21610)), Ending::OptedOut),
            (unreachable(RegionNotAllowed, Some(21408)), Ending::NotServed),
            (unreachable(RegionNotAllowed, None), Ending::NotServed),
            (unreachable(Blocked, Some(60410)), Ending::SuspectedPumping),
            // Of another provider, this number means nothing.
            (unreachable(Blocked, Some(1470)), Ending::RefusedNumber),
        ] {
            assert_eq!(ending(Provider::Twilio, Err(&error)), expected, "{error:?}");
        }
        assert_eq!(
            ending(Provider::Vonage, Err(&unreachable(Blocked, Some(1470)))),
            Ending::SuspectedPumping
        );
        let receipt = Receipt { provider_id: None, status: Undelivered, segments: None, price: None };
        assert_eq!(ending(Provider::Twilio, Ok(&receipt)), Ending::Accepted);
    }

    #[test]
    fn every_lost_message_has_its_ending() {
        for (provider, status, reason, code, expected) in [
            (Provider::Twilio, Undelivered, None, None, Ending::Undelivered),
            (Provider::Twilio, Undelivered, None, Some(30008), Ending::Undelivered),
            (Provider::Twilio, Undelivered, Some(Invalid), Some(30003), Ending::Undelivered),
            (Provider::Twilio, Failed, Some(Invalid), Some(30005), Ending::RefusedNumber),
            (Provider::Twilio, Undelivered, Some(NotMobile), Some(30006), Ending::RefusedNumber),
            (Provider::Twilio, Undelivered, Some(Blocked), Some(30004), Ending::RefusedNumber),
            (Provider::Twilio, Undelivered, Some(Blocked), Some(30007), Ending::RefusedUs),
            (Provider::Twilio, Undelivered, Some(Blocked), Some(30450), Ending::SuspectedPumping),
            (Provider::Twilio, Undelivered, Some(OptedOut), Some(21610), Ending::OptedOut),
            (Provider::Twilio, Failed, None, Some(30002), Ending::RefusedUs),
            (Provider::Vonage, Undelivered, Some(RegionNotAllowed), Some(1250), Ending::NotServed),
            (Provider::Msg91, Failed, Some(Blocked), Some(9001), Ending::RefusedUs),
            (Provider::Msg91, Failed, Some(Blocked), Some(9), Ending::RefusedNumber),
            (Provider::Webhook, Undelivered, Some(OptedOut), None, Ending::OptedOut),
        ] {
            assert_eq!(ending_of_lost(provider, status, reason, code), expected, "{provider:?} {code:?}");
        }
    }

    #[test]
    fn the_error_of_all_is_the_one_that_passes_first() {
        let away = |wait| unavailable(Outcome::NotSent, wait);
        let region = unreachable(RegionNotAllowed, None);
        for (errors, expected) in [
            (vec![away(Some(30)), away(Some(2))], away(Some(2))),
            (vec![away(Some(2)), away(Some(30))], away(Some(2))),
            (vec![away(Some(30)), away(None)], away(None)),
            (vec![away(Some(3)), away(None)], away(Some(3))),
            (vec![REJECTED, away(Some(9))], away(Some(9))),
            (vec![away(Some(9)), REJECTED], away(Some(9))),
            (vec![region.clone(), REJECTED], REJECTED),
            (vec![REJECTED, region.clone()], REJECTED),
            (vec![region.clone(), region.clone()], region.clone()),
            (vec![REJECTED], REJECTED),
        ] {
            assert_eq!(error_of_all(&errors), Some(expected), "{errors:?}");
        }
        assert_eq!(error_of_all(&[]), None);
    }
}
