//! Device tokens: an app gets one when its user signs in by phone, and sends it at the next sign-in.
//!
//! Wrong guesses lock a phone, so an attacker could lock out its owner. The token distinguishes the owner's device, which
//! has its own challenge, guesses and sends (the device cookie of OWASP's "Blocking Brute Force Attacks"). It does not sign
//! anyone in: the code is still required.
//!
//! It is a JWT (RFC 7519) signed with its own key, derived from `SECRET_KEY`. It has its own `token_type` and none of the
//! claims of a session, so it is never valid as an access or refresh token, nor they as a device token, whatever secrets are
//! set.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{account::Account, clocks::SKEW, derived::DerivedKey, phone::PhoneNumber};

/// How long a device stays known after its last sign-in.
pub const DEVICE_TOKEN_LIFE: Duration = Duration::days(180);

const TOKEN_TYPE: &str = "device";

/// Longer texts are refused unread: they cannot be our tokens.
const MAX_TOKEN_BYTES: usize = 1_024;

/// The contents of a device token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// The device's id. It stays the same as long as the device signs in with its token.
    pub id: Uuid,
    /// The account of the last sign-in.
    pub account: Uuid,
    /// The account's `device_epoch` at that time.
    pub epoch: i64,
}

impl Device {
    /// Whether the account that now has this phone is still the account of the token, and its device tokens have not been
    /// revoked since.
    #[must_use]
    pub fn is_live(&self, account: &Account, phone: &PhoneNumber) -> bool {
        account.id == self.account
            && account.device_epoch == self.epoch
            && account.is_active
            && account.phone.as_ref() == Some(phone)
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    token_type: String,
    /// The account.
    sub: Uuid,
    device_id: Uuid,
    epoch: i64,
    /// Issued at and expires at, in seconds since 1970.
    iat: i64,
    exp: i64,
}

/// The keys of device tokens, derived from `SECRET_KEY` and its fallbacks: the first signs, all verify.
pub struct DeviceKeys {
    current: DerivedKey,
    earlier: Vec<DerivedKey>,
}

impl fmt::Debug for DeviceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceKeys").finish_non_exhaustive()
    }
}

impl DeviceKeys {
    /// Derives the keys.
    #[must_use]
    pub fn derive(current: &SecretString, fallbacks: &[SecretString]) -> Self {
        Self { current: key(current), earlier: fallbacks.iter().map(key).collect() }
    }

    /// Makes the token of a device that signs in now.
    #[must_use]
    pub fn issue(&self, device: &Device, now: DateTime<Utc>) -> SecretString {
        let claims = Claims {
            token_type: TOKEN_TYPE.to_owned(),
            sub: device.account,
            device_id: device.id,
            epoch: device.epoch,
            iat: now.timestamp(),
            exp: (now + DEVICE_TOKEN_LIFE).timestamp(),
        };
        self.current.sign(&claims).into()
    }

    /// Reads a token that we signed and that has not expired. [`Device::is_live`] decides whether the account still accepts
    /// it.
    #[must_use]
    pub fn read(&self, token: &str, now: DateTime<Utc>) -> Option<Device> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let mut keys = std::iter::once(&self.current).chain(&self.earlier);
        let claims: Claims = keys.find_map(|key| key.verify(token))?;
        // A token issued by a clock that was ahead would live too long.
        let is_valid = claims.token_type == TOKEN_TYPE
            && claims.iat <= (now + SKEW).timestamp()
            && now.timestamp() < claims.exp;
        is_valid.then_some(Device { id: claims.device_id, account: claims.sub, epoch: claims.epoch })
    }
}

fn key(secret: &SecretString) -> DerivedKey {
    DerivedKey::new(secret, b"loopin-auth/device")
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    use secrecy::ExposeSecret;

    use super::*;

    fn now() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 3, 14, 9, 26, 53).unwrap()
    }

    fn device() -> Device {
        Device { id: Uuid::from_u128(1), account: Uuid::from_u128(2), epoch: 3 }
    }

    #[test]
    fn a_token_is_read_until_its_time_is_over() {
        let keys = DeviceKeys::derive(&"one".into(), &[]);
        let token = keys.issue(&device(), now());
        let end = now() + DEVICE_TOKEN_LIFE;
        for (at, expected) in
            [(now(), Some(device())), (end - Duration::seconds(1), Some(device())), (end, None)]
        {
            assert_eq!(keys.read(token.expose_secret(), at), expected, "{at}");
        }
    }

    #[test]
    fn keys_of_before_verify_and_do_not_sign() {
        let (old, new) = (SecretString::from("old"), SecretString::from("new"));
        let before = DeviceKeys::derive(&old, &[]);
        let after = DeviceKeys::derive(&new, std::slice::from_ref(&old));
        let alone = DeviceKeys::derive(&new, &[]);
        let token = before.issue(&device(), now());
        assert_eq!(after.read(token.expose_secret(), now()), Some(device()));
        assert_eq!(alone.read(token.expose_secret(), now()), None);
        assert_eq!(before.read(after.issue(&device(), now()).expose_secret(), now()), None);
    }

    #[test]
    fn what_is_no_token_of_ours_says_nothing() {
        let keys = DeviceKeys::derive(&"one".into(), &[]);
        let token = keys.issue(&device(), now()).expose_secret().to_owned();
        let altered = format!("{}A", &token[..token.len() - 1]);
        let long = format!("{token}{}", "A".repeat(2_000));
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", token.split('.').nth(1).unwrap());
        // Signed with the secret itself, as other tokens can be.
        let claims = serde_json::json!({
            "token_type": "device", "sub": Uuid::nil(), "device_id": Uuid::nil(), "epoch": 0, "iat": 0, "exp": i64::MAX,
        });
        let (header, secret) = (Header::new(Algorithm::HS256), EncodingKey::from_secret(b"one"));
        let by_secret = jsonwebtoken::encode(&header, &claims, &secret).unwrap();
        let mut access = claims.clone();
        access["token_type"] = "access".into();
        let of_another_type = key(&"one".into()).sign(&access);
        for text in ["", "..", "x", &altered, &long, &unsigned, &by_secret, &of_another_type] {
            assert_eq!(keys.read(text, now()), None, "{text}");
        }
    }
}
