//! Access: the keys that sign tokens, the tokens, and the sessions behind them.

mod claims;
mod device_name;
mod jws;
mod keys;
mod session;
mod tokens;

pub(super) use self::jws::signature_only;
pub use self::{
    claims::{OptionalClaim, UnknownClaim},
    device_name::device_name,
    keys::{KeyAlgorithm, KeyError, SigningError, SigningKey, UnknownAlgorithm, VerifyingKey, fingerprint},
    session::{
        Client, NewSession, OpenedBy, RECENT_AUTH_LIFE, ROTATION_GRACE, Revoked, Rotation, Session, SignedIn,
        admit, admit_console,
    },
    tokens::{AccessToken, Claims, TokenError, TokenKeys, TokenPair, TokenPolicy, TokenType},
};

#[cfg(test)]
mod tests;
