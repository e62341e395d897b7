//! Who is let in: the keys that sign, the tokens that are signed, and the sessions behind them.

mod jws;
mod keys;
mod session;
mod tokens;

pub(super) use self::jws::signature_alone;
pub use self::{
    keys::{
        KeyAlgorithm, KeyFault, PublicNumbers, SigningFault, SigningKey, UnknownAlgorithm, VerifyingKey,
        fingerprint,
    },
    session::{
        Client, MOST_SESSIONS, NewSession, OpenedBy, PROOF_HOLDS, ROTATION_GRACE, Revoked, Rotation, Session,
        SignedIn, admit,
    },
    tokens::{Claims, TokenFault, TokenKeys, TokenPair, TokenPolicy, TokenType},
};

#[cfg(test)]
mod tests;
