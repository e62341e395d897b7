//! Password hashes of other systems: PBKDF2 of Django (`pbkdf2_sha256$…`) and bcrypt of Supabase (`$2b$…`).
//!
//! They come with an import, and are replaced by Argon2id at the next sign-in. In a row they begin with their kind and their cost
//! in ten digits, so that an index finds the largest cost of each kind: `pbkdf2$0001000000$salt$hash`, `bcrypt$0000000010$2b$…`.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The most iterations of PBKDF2: half a second. Django 6 makes 1,200,000.
const MOST_ITERATIONS: u32 = 2_000_000;

/// The largest cost of bcrypt: half a second. Supabase has 10.
const LARGEST_BCRYPT_COST: u32 = 13;
const SMALLEST_BCRYPT_COST: u32 = 4;

/// bcrypt looks at no more than this many bytes of a password.
const BCRYPT_BYTES: usize = 72;

/// The longest salt of Django's, in bytes.
const LONGEST_SALT: usize = 128;

/// The length of an output of SHA-256.
const SHA256_BYTES: usize = 32;

/// Why the hash of another system cannot come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OldHashError {
    /// Another algorithm, or not a hash.
    #[error("the hash is neither pbkdf2_sha256 nor bcrypt")]
    Unknown,
    /// Comparing it would take too long.
    #[error("the hash costs more than this server computes")]
    TooCostly,
}

/// The largest costs of the old hashes that are left. Zero: there is none of the kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OldCosts {
    /// Iterations of PBKDF2.
    pub iterations: u32,
    /// The cost of bcrypt: its logarithm to the base of 2.
    pub bcrypt: u32,
}

impl OldCosts {
    /// The costs by the beginnings of the hashes with the largest ones.
    #[must_use]
    pub fn from_beginnings<'a>(beginnings: impl IntoIterator<Item = &'a str>) -> Self {
        let mut costs = Self::default();
        for beginning in beginnings {
            match OldHash::cost_of(beginning) {
                Some(("pbkdf2", cost)) => costs.iterations = costs.iterations.max(cost.min(MOST_ITERATIONS)),
                Some(("bcrypt", cost)) => costs.bcrypt = costs.bcrypt.max(cost.min(LARGEST_BCRYPT_COST)),
                _ => {}
            }
        }
        costs
    }
}

/// A hash of another system.
pub(super) enum OldHash<'a> {
    Pbkdf2 { iterations: NonZeroU32, salt: &'a str, output: &'a str },
    Bcrypt { cost: u32, text: &'a str },
}

impl<'a> OldHash<'a> {
    /// The row's form of a hash as the other system writes it.
    pub(super) fn from_export(text: &str) -> Result<String, OldHashError> {
        let (kind, cost, rest) = if let Some(rest) = text.strip_prefix("pbkdf2_sha256$") {
            let (iterations, rest) = rest.split_once('$').ok_or(OldHashError::Unknown)?;
            ("pbkdf2", iterations, rest)
        } else {
            let cost = text.get(4..6).ok_or(OldHashError::Unknown)?;
            ("bcrypt", cost, text.get(1..).unwrap_or_default())
        };
        let is_number = !cost.is_empty() && cost.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            return Err(OldHashError::Unknown);
        }
        let cost: u32 = cost.parse().map_err(|_| OldHashError::TooCostly)?;
        let stored = format!("{kind}${cost:010}${rest}");
        match OldHash::stored(&stored) {
            Some(OldHash::Pbkdf2 { iterations, .. }) if iterations.get() > MOST_ITERATIONS => {
                Err(OldHashError::TooCostly)
            }
            Some(OldHash::Bcrypt { cost, .. }) if cost > LARGEST_BCRYPT_COST => Err(OldHashError::TooCostly),
            Some(_) => Ok(stored),
            None => Err(OldHashError::Unknown),
        }
    }

    /// The kind and the cost of a row's hash, or of its beginning.
    fn cost_of(stored: &str) -> Option<(&str, u32)> {
        let (kind, rest) = stored.split_once('$')?;
        Some((kind, rest.get(..10)?.parse().ok()?))
    }

    /// A hash of a row. `None` if it is no old one.
    pub(super) fn stored(text: &'a str) -> Option<Self> {
        let (kind, cost) = Self::cost_of(text)?;
        let rest = text.get(kind.len() + 12..)?;
        match kind {
            "pbkdf2" => {
                let (salt, output) = rest.split_once('$')?;
                let is_salt = !salt.is_empty() && salt.len() <= LONGEST_SALT && !output.contains('$');
                let is_output =
                    BASE64_STANDARD.decode(output).is_ok_and(|output| output.len() == SHA256_BYTES);
                let iterations = NonZeroU32::new(cost)?;
                (is_salt && is_output).then_some(Self::Pbkdf2 { iterations, salt, output })
            }
            "bcrypt" => {
                let is_variant = ["2a$", "2b$", "2y$"].iter().any(|variant| rest.starts_with(variant));
                let is_whole = format!("${rest}").parse::<bcrypt::HashParts>().is_ok();
                let is_cost = cost >= SMALLEST_BCRYPT_COST;
                (is_variant && is_whole && is_cost).then_some(Self::Bcrypt { cost, text: rest })
            }
            _ => None,
        }
    }

    /// Whether the password matches, as it was typed: the other systems did not normalise it. A password that bcrypt would only
    /// look at in part matches nothing, and takes as long.
    pub(super) fn matches(&self, typed: &[u8]) -> bool {
        match self {
            Self::Pbkdf2 { iterations, salt, output } => {
                let known = BASE64_STANDARD.decode(output).unwrap_or_default();
                bool::from(derive(*iterations, salt.as_bytes(), typed).ct_eq(known.as_slice()))
            }
            Self::Bcrypt { text, .. } => {
                let is_whole = typed.len() <= BCRYPT_BYTES && !typed.contains(&0);
                let seen: &[u8] = if is_whole { typed } else { b"" };
                let is_right = bcrypt::verify(seen, &format!("${text}")).unwrap_or(false);
                is_right && is_whole
            }
        }
    }

    /// What comparing it cost.
    fn costs(&self) -> OldCosts {
        match self {
            Self::Pbkdf2 { iterations, .. } => OldCosts { iterations: iterations.get(), bcrypt: 0 },
            Self::Bcrypt { cost, .. } => OldCosts { iterations: 0, bcrypt: *cost },
        }
    }
}

/// Does the work that is left, so that every wrong password costs the same: the largest cost of each kind. `done` is the old hash
/// that was compared.
pub(super) fn spend_rest(most: OldCosts, done: Option<&OldHash<'_>>) {
    let (iterations, costs) = rest(most, done.map(OldHash::costs).unwrap_or_default());
    if let Some(iterations) = NonZeroU32::new(iterations) {
        std::hint::black_box(derive(iterations, b"no salt", b"no password"));
    }
    for cost in costs {
        std::hint::black_box(bcrypt::bcrypt(cost, [0; 16], b"no password\0"));
    }
}

/// The iterations of PBKDF2 and the costs of bcrypt that are left to do.
pub(super) fn rest(most: OldCosts, done: OldCosts) -> (u32, std::ops::Range<u32>) {
    let costs = match (done.bcrypt, most.bcrypt) {
        (_, 0) => 0..0,
        (0, most) => most..most + 1,
        // 2^n, 2^(n+1), … up to but without 2^m add up to 2^m - 2^n.
        (done, most) => done..most,
    };
    (most.iterations.saturating_sub(done.iterations), costs)
}

fn derive(iterations: NonZeroU32, salt: &[u8], typed: &[u8]) -> [u8; SHA256_BYTES] {
    let mut output = [0; SHA256_BYTES];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, typed, &mut output);
    output
}
