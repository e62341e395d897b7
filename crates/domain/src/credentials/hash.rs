//! Password hashes.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, PasswordVerifier, Version, password_hash::phc};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::password::{Password, normalised};

/// The length of a salt (RFC 9106, section 3.1).
pub const SALT_BYTES: usize = 16;

/// What a hash costs: Argon2id with 19 MiB, two passes, one lane, as OWASP's Password Storage Cheat Sheet has it.
/// Raised here, it is raised for every account at her next sign-in.
const PARAMS: Params = Params::DEFAULT;

/// A password's hash as a PHC string: algorithm, cost, salt and hash. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// A password could not be hashed. With our own parameters it can be, so nobody is told more.
#[derive(Debug, thiserror::Error)]
#[error("a password could not be hashed")]
pub struct HashError(#[from] argon2::password_hash::Error);

/// The 19 MiB that a hash is made in, to be used again. Memory that each thread takes for itself is memory that each
/// thread keeps.
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
    /// Hashes a password. It takes tens of milliseconds, so it is nothing for a thread that others wait for.
    ///
    /// # Errors
    /// Never with the parameters and salts of this server.
    pub fn make(
        password: &Password,
        salt: &[u8; SALT_BYTES],
        space: &mut Workspace,
    ) -> Result<Self, HashError> {
        Self::written(salt, &output(password.expose().as_bytes(), salt, space)?)
    }

    /// A hash that no password is known to give, to be compared with in the place of one that is not there: it costs
    /// as much as every other.
    ///
    /// # Errors
    /// As [`PasswordHash::make`].
    pub fn dummy(
        salt: &[u8; SALT_BYTES],
        output: &[u8; Params::DEFAULT_OUTPUT_LEN],
    ) -> Result<Self, HashError> {
        Self::written(salt, output)
    }

    fn written(salt: &[u8], output: &[u8]) -> Result<Self, HashError> {
        let hash = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: phc::ParamsString::try_from(&PARAMS)?,
            salt: Some(phc::Salt::new(salt).map_err(argon2::password_hash::Error::from)?),
            hash: Some(phc::Output::new(output).map_err(argon2::password_hash::Error::from)?),
        };
        Ok(Self(hash.to_string()))
    }

    /// A hash as it was kept.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The PHC string: for the row, and for nothing else.
    #[must_use]
    pub fn phc(&self) -> &str {
        &self.0
    }

    /// Whether it is this password's. It takes as long as making one. A hash that cannot be read is nobody's.
    #[must_use]
    pub fn matches(&self, typed: &SecretString, space: &mut Workspace) -> bool {
        let typed = normalised(typed.expose_secret());
        let typed = typed.expose_secret().as_bytes();
        let Ok(hash) = phc::PasswordHash::new(&self.0) else {
            return false;
        };
        match (&hash.salt, &hash.hash) {
            (Some(salt), Some(known)) if self.is_current() => output(typed, salt, space)
                .is_ok_and(|output| bool::from(output.as_slice().ct_eq(known.as_bytes()))),
            // One of another cost takes what memory it needs, once: then it is made anew.
            _ => hasher().verify_password(typed, &hash).is_ok(),
        }
    }

    /// Whether it costs what a hash costs today. One that does not is made anew when its password is known.
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
