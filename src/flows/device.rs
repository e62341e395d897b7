//! Who sends a request for a phone: whether from a device that was signed in before, and whether the phone is a review
//! number.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{Error, Services};
use crate::{
    domain::{
        account::Account,
        device::Device,
        otp::OtpCode,
        phone::PhoneNumber,
        review::{self, Listed},
    },
    store,
};

/// What is known about the sender of a request.
pub(super) struct Caller<'a> {
    /// The account of the phone. An account that was not used for too long counts as none.
    pub(super) account: Option<Account>,
    /// The device, if it was signed in to that account and its token is still valid.
    pub(super) device: Option<Uuid>,
    /// The fixed code, if the phone is a review number.
    pub(super) fixed: Option<&'a OtpCode>,
    /// An account counts if it was used after this time.
    pub(super) used_after: Option<DateTime<Utc>>,
}

/// Reads a device token. An invalid one counts as none.
pub(super) fn read_token(
    services: &Services,
    token: Option<&SecretString>,
    now: DateTime<Utc>,
) -> Option<Device> {
    services.devices.read(token?.expose_secret(), now)
}

/// Whether the phone is a review number. Such a number needs no message, so it may be one that gets none.
pub(super) fn is_review_number(services: &Services, phone: &PhoneNumber, now: DateTime<Utc>) -> bool {
    matches!(services.review.find(phone, now), Listed::Yes(_))
}

/// Finds out who sends a code back. Reads the account only if the device or a fixed code depends on it.
pub(super) async fn caller_with_code<'a>(
    services: &'a Services,
    phone: &PhoneNumber,
    token: Option<&SecretString>,
    now: DateTime<Utc>,
) -> Result<Caller<'a>, Error> {
    let device = read_token(services, token, now);
    match services.review.find(phone, now) {
        Listed::No | Listed::Ended if device.is_none() => {
            Ok(Caller { account: None, device: None, fixed: None, used_after: services.used_after(now) })
        }
        Listed::No | Listed::Ended | Listed::Yes(_) => find_caller(services, phone, device, now).await,
    }
}

/// Finds the account of the phone, and whether the device was signed in to it.
pub(super) async fn find_caller<'a>(
    services: &'a Services,
    phone: &PhoneNumber,
    device: Option<Device>,
    now: DateTime<Utc>,
) -> Result<Caller<'a>, Error> {
    let listed = services.review.find(phone, now);
    if let Listed::Ended = listed {
        tracing::warn!(%phone, "the end date of a review number has passed: it is treated like any other number");
    }
    // A fixed code takes the phone from no account, however long the account was not used.
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

/// The fixed code with which a signed-in user confirms, if the phone is a review number.
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
