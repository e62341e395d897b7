//! Codes as users type them: six digits of an authenticator app, or a recovery code.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// Letters and digits that look different from each other (RFC 4648, section 6), in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The characters of a recovery code: 60 random bits.
const RECOVERY_CHARACTERS: usize = 12;

/// The characters of a group of a recovery code as it is shown.
const GROUP: usize = 4;

/// The digits of an authenticator app's code.
const DIGITS: usize = 6;

/// Longer texts are refused unread.
const LONGEST: usize = 64;

/// A code that may be right. `Debug` shows nothing.
#[derive(Clone)]
pub enum FactorCode {
    /// Six digits.
    App(SecretString),
    /// A recovery code.
    Recovery(RecoveryCode),
}

impl fmt::Debug for FactorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactorCode(..)")
    }
}

/// The text is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Code must be the 6 digits that the authenticator app shows, or a recovery code")]
pub struct InvalidFactorCode;

impl FactorCode {
    /// Reads a code. Spaces and hyphens between its characters are ignored.
    pub fn parse(text: &str) -> Result<Self, InvalidFactorCode> {
        if text.len() > LONGEST {
            return Err(InvalidFactorCode);
        }
        let text: String = text.chars().filter(|character| !matches!(character, ' ' | '-')).collect();
        if text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::App(text.into()));
        }
        let text = text.to_ascii_lowercase();
        if text.len() == RECOVERY_CHARACTERS && text.bytes().all(|byte| ALPHABET.contains(&byte)) {
            return Ok(Self::Recovery(RecoveryCode(text.into())));
        }
        Err(InvalidFactorCode)
    }
}

/// A recovery code, which signs in once when the authenticator app is lost. `Debug` shows nothing.
#[derive(Clone)]
pub struct RecoveryCode(SecretString);

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(..)")
    }
}

impl RecoveryCode {
    /// A code from random bytes.
    #[must_use]
    pub fn new(random: [u8; 8]) -> Self {
        let mut text = base32(&random).to_ascii_lowercase();
        text.truncate(RECOVERY_CHARACTERS);
        Self(text.into())
    }

    /// The code as it is shown once: `abcd-efgh-ijkl`.
    #[must_use]
    pub fn shown(&self) -> String {
        let characters: Vec<char> = self.text().chars().collect();
        let groups: Vec<String> = characters.chunks(GROUP).map(|group| group.iter().collect()).collect();
        groups.join("-")
    }

    pub(super) fn text(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Base32 without padding (RFC 4648, section 6), which authenticator apps read.
pub(crate) fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(5) {
        let mut group = [0; 8];
        for (target, byte) in group.iter_mut().skip(3).zip(chunk) {
            *target = *byte;
        }
        let bits = u64::from_be_bytes(group);
        let characters = (chunk.len() * 8).div_ceil(5);
        for place in 0..characters {
            let index = usize::try_from(bits >> (35 - 5 * place) & 31).unwrap_or_default();
            text.extend(ALPHABET.get(index).map(|byte| char::from(byte.to_ascii_uppercase())));
        }
    }
    text
}
