//! Who asks by a phone: whether on a device that was signed in before, and whether the phone is one of app reviewers.

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::{
    Error, Services,
    budget::{CountedRequest, Requester},
};
use crate::{
    domain::{
        account::Account,
        budget::BudgetExceeded,
        device::Device,
        otp::OtpCode,
        phone::PhoneNumber,
        review::{self, Listed},
    },
    store,
};

/// What is known of whoever asks.
pub(super) struct Caller<'a> {
    /// The account of the phone. One that was not used for too long is none.
    pub(super) account: Option<Account>,
    /// The device, if it was signed in to that account, and nothing has ended that since.
    pub(super) device: Option<Uuid>,
    /// The code of the phone, if it is a fixed one.
    pub(super) fixed: Option<&'a OtpCode>,
    /// An account counts if it was used after this time.
    pub(super) used_after: Option<DateTime<Utc>>,
}

/// What a device token says that came with a request. Anything but a good one is as none.
fn presented(services: &Services, requester: &Requester, now: DateTime<Utc>) -> Option<Device> {
    services.devices.read(requester.device_token.as_ref()?.expose_secret(), now)
}

/// What refuses a request for a code that shows no device, before anything is looked up.
pub(super) fn stranger_refused(
    services: &Services,
    admitted: &CountedRequest,
    now: DateTime<Utc>,
) -> Option<BudgetExceeded> {
    admitted.exceeded.filter(|_| presented(services, &admitted.requester, now).is_none())
}

/// Whether the phone is one of app reviewers: it may be where no message goes.
pub(super) fn is_listed(services: &Services, phone: &PhoneNumber, now: DateTime<Utc>) -> bool {
    matches!(services.review.find(phone, now), Listed::Yes(_))
}

/// Looks at a request for a code that was counted. What refuses its address is not for a device that was signed in before:
/// strangers behind the same address cannot keep it out.
pub(super) async fn admitted<'a>(
    services: &'a Services,
    phone: &PhoneNumber,
    admitted: &CountedRequest,
    now: DateTime<Utc>,
) -> Result<Result<Caller<'a>, BudgetExceeded>, Error> {
    let device = presented(services, &admitted.requester, now);
    let caller = look(services, phone, device, now).await?;
    Ok(match admitted.exceeded {
        Some(exceeded) if caller.device.is_none() => Err(exceeded),
        Some(_) | None => Ok(caller),
    })
}

/// Looks at a request that brings a code. The account is asked only where something hangs on it.
pub(super) async fn bringing_a_code<'a>(
    services: &'a Services,
    phone: &PhoneNumber,
    requester: &Requester,
    now: DateTime<Utc>,
) -> Result<Caller<'a>, Error> {
    let device = presented(services, requester, now);
    match services.review.find(phone, now) {
        Listed::No | Listed::Ended if device.is_none() => {
            Ok(Caller { account: None, device: None, fixed: None, used_after: services.used_after(now) })
        }
        Listed::No | Listed::Ended | Listed::Yes(_) => look(services, phone, device, now).await,
    }
}

async fn look<'a>(
    services: &'a Services,
    phone: &PhoneNumber,
    device: Option<Device>,
    now: DateTime<Utc>,
) -> Result<Caller<'a>, Error> {
    let listed = services.review.find(phone, now);
    if let Listed::Ended = listed {
        tracing::warn!(%phone, "the date of a review number is over: it is one as any other");
    }
    // A fixed code takes no account from anybody, however long it was not used.
    let used_after = match listed {
        Listed::Yes(_) => None,
        Listed::No | Listed::Ended => services.used_after(now),
    };
    let account = store::accounts::find_by_phone(&services.store, phone, used_after).await?;
    let is_live = |device: &Device| account.as_ref().is_some_and(|account| device.is_live(account, phone));
    let device = device.filter(is_live).map(|device| device.id);
    let fixed = match listed {
        Listed::Yes(number) if account.as_ref().is_none_or(review::may_open) => Some(&number.code),
        Listed::Yes(_) | Listed::No | Listed::Ended => None,
    };
    Ok(Caller { account, device, fixed, used_after })
}

/// The fixed code by which somebody who is signed in confirms, if her phone has one.
pub(super) fn fixed_code<'a>(
    services: &'a Services,
    account: &Account,
    now: DateTime<Utc>,
) -> Option<&'a OtpCode> {
    match services.review.find(account.phone.as_ref()?, now) {
        Listed::Yes(number) if review::may_open(account) => Some(&number.code),
        Listed::Yes(_) | Listed::No | Listed::Ended => None,
    }
}
