//! Who is let in: the keys that sign, the tokens that are signed, and the sessions behind them.

mod jws;
mod keys;
mod session;
mod tokens;

pub(super) use self::jws::signature_alone;
pub use self::{
    keys::{
        KeyAlgorithm, KeyError, PublicNumbers, SigningError, SigningKey, UnknownAlgorithm, VerifyingKey,
        fingerprint,
    },
    session::{
        Client, MOST_SESSIONS, NewSession, OpenedBy, RECENT_AUTH_LIFE, ROTATION_GRACE, Revoked, Rotation,
        Session, SignedIn, admit,
    },
    tokens::{Claims, TokenError, TokenKeys, TokenPair, TokenPolicy, TokenType},
};

#[cfg(test)]
mod tests;
