//! Password hashes: Argon2id, stored as PHC strings.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, PasswordVerifier, Version, password_hash::phc};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::{
    old_hash::{OldCosts, OldHash, OldHashError, spend_rest},
    password::{Password, normalised},
};

/// The length of a salt (RFC 9106, section 3.1).
pub const SALT_BYTES: usize = 16;

/// The cost of a hash: Argon2id with 19 MiB, two passes and one lane, as in OWASP's Password Storage Cheat Sheet. If
/// it is raised here, each account gets a new hash at its next sign-in.
const PARAMS: Params = Params::DEFAULT;

/// A password hash as a PHC string: algorithm, cost, salt and hash. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// A password could not be hashed. This never happens with the parameters of this server.
#[derive(Debug, thiserror::Error)]
#[error("a password could not be hashed")]
pub struct HashError(#[from] argon2::password_hash::Error);

/// The 19 MiB of memory for hashing, reused between hashes, because each thread would keep the memory it allocates.
pub struct Workspace(Vec<Block>);

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Workspace(..)")
    }
}

impl Default for Workspace {
    fn default() -> Self {
        Self(vec![Block::default(); PARAMS.block_count()])
    }
}

impl PasswordHash {
    /// Hashes a password. It takes tens of milliseconds, so it must not run on an async thread.
    pub fn make(
        password: &Password,
        salt: &[u8; SALT_BYTES],
        space: &mut Workspace,
    ) -> Result<Self, HashError> {
        Self::from_parts(salt, &output(password.expose().as_bytes(), salt, space)?)
    }

    /// A hash of no known password, to be compared when an account has none. The comparison costs as much as any
    /// other.
    pub fn dummy(
        salt: &[u8; SALT_BYTES],
        output: &[u8; Params::DEFAULT_OUTPUT_LEN],
    ) -> Result<Self, HashError> {
        Self::from_parts(salt, output)
    }

    fn from_parts(salt: &[u8], output: &[u8]) -> Result<Self, HashError> {
        let hash = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: phc::ParamsString::try_from(&PARAMS)?,
            salt: Some(phc::Salt::new(salt).map_err(argon2::password_hash::Error::from)?),
            hash: Some(phc::Output::new(output).map_err(argon2::password_hash::Error::from)?),
        };
        Ok(Self(hash.to_string()))
    }

    /// A hash of another system, as its export writes it.
    ///
    /// # Errors
    /// When it is of an unknown kind, or would keep the server busy for too long.
    pub fn moved(text: &str) -> Result<Self, OldHashError> {
        OldHash::from_export(text).map(Self)
    }

    /// A hash from the database.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The PHC string or the row's form of an old hash, for the database only.
    #[must_use]
    pub fn phc(&self) -> &str {
        &self.0
    }

    /// Whether the password matches. A wrong one takes as long as [`PasswordHash::make`], and the time of the largest old hashes
    /// that are left, whatever this hash is. A hash that cannot be parsed never matches.
    #[must_use]
    pub fn matches(&self, typed: &SecretString, left: OldCosts, space: &mut Workspace) -> bool {
        let old = OldHash::stored(&self.0);
        let is_right = match &old {
            Some(old) => old.matches(typed.expose_secret().as_bytes()),
            None => self.matches_argon2(typed, space),
        };
        if !is_right {
            if old.is_some() {
                // The result is not looked at: the hash is of another kind.
                let _ = std::hint::black_box(output(b"no password", &[0; SALT_BYTES], space));
            }
            spend_rest(left, old.as_ref());
        }
        is_right
    }

    fn matches_argon2(&self, typed: &SecretString, space: &mut Workspace) -> bool {
        let typed = normalised(typed.expose_secret());
        let typed = typed.expose_secret().as_bytes();
        let Ok(hash) = phc::PasswordHash::new(&self.0) else {
            return false;
        };
        match (&hash.salt, &hash.hash) {
            (Some(salt), Some(known)) if self.is_current() => output(typed, salt, space)
                .is_ok_and(|output| bool::from(output.as_slice().ct_eq(known.as_bytes()))),
            // A hash of another cost allocates its own memory. It happens once, because the sign-in then replaces the
            // hash.
            _ => hasher().verify_password(typed, &hash).is_ok(),
        }
    }

    /// Whether the hash has today's cost. If not, the next sign-in replaces it.
    #[must_use]
    pub fn is_current(&self) -> bool {
        let Ok(hash) = phc::PasswordHash::new(&self.0) else {
            return false;
        };
        let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        hash.algorithm == Algorithm::Argon2id.ident()
            && Params::try_from(&hash).is_ok_and(|params| costs(&params) == costs(&PARAMS))
    }
}

fn output(
    password: &[u8],
    salt: &[u8],
    Workspace(space): &mut Workspace,
) -> Result<[u8; Params::DEFAULT_OUTPUT_LEN], HashError> {
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    hasher()
        .hash_password_into_with_memory(password, salt, &mut output, space)
        .map_err(argon2::password_hash::Error::from)?;
    Ok(output)
}

fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMS)
}
