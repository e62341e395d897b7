//! The ids of our tokens (`jti`), which are recognised as ours without a list of them.
//!
//! A token of another system may open a session here ([`super::issuer::UnverifiedToken`]), and one of ours never may. Its claims can
//! be copied into a token that is signed with a secret that both systems share, so the id itself says whose it is: its last
//! six bytes are an HMAC of the first ten, which are random.

use std::fmt;

use secrecy::SecretString;
use uuid::Uuid;

use super::derived::DerivedKey;

/// How many bytes of an id are random: no two tokens of a session ever share them.
const RANDOM_BYTES: usize = 10;

/// The keys of these HMACs, derived from `SECRET_KEY` and its fallbacks: the first marks, all recognise.
pub struct TokenIds {
    current: DerivedKey,
    earlier: Vec<DerivedKey>,
}

impl fmt::Debug for TokenIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIds").finish_non_exhaustive()
    }
}

impl TokenIds {
    /// Derives the keys.
    #[must_use]
    pub fn derive(current: &SecretString, fallbacks: &[SecretString]) -> Self {
        let key = |secret: &SecretString| DerivedKey::new(secret, b"loopin-auth/token-id");
        Self { current: key(current), earlier: fallbacks.iter().map(key).collect() }
    }

    /// Makes the id of a new token from random bits.
    #[must_use]
    pub fn mark(&self, random: Uuid) -> Uuid {
        marked(&self.current, random)
    }

    /// Whether this is the id of a token that this server made.
    #[must_use]
    pub fn is_ours(&self, jti: &str) -> bool {
        let Ok(id) = Uuid::try_parse(jti) else { return false };
        std::iter::once(&self.current).chain(&self.earlier).any(|key| marked(key, id) == id)
    }
}

fn marked(key: &DerivedKey, random: Uuid) -> Uuid {
    let (random, _) = random.as_bytes().split_at(RANDOM_BYTES);
    let tag = key.mac(&[random]);
    let mut bytes = random.iter().chain(&tag).copied();
    Uuid::from_bytes(std::array::from_fn(|_| bytes.next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_recognised_with_every_key_that_is_listed() {
        let (old, new) = (SecretString::from("the old secret"), SecretString::from("the new secret"));
        let random = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        let id = TokenIds::derive(&old, &[]).mark(random);
        assert_eq!(id.as_bytes()[..RANDOM_BYTES], random.as_bytes()[..RANDOM_BYTES]);
        let is_ours = |ids: TokenIds, text: &str| ids.is_ours(text);
        assert!(is_ours(TokenIds::derive(&old, &[]), &id.to_string()));
        assert!(is_ours(TokenIds::derive(&new, std::slice::from_ref(&old)), &id.simple().to_string()));
        assert!(!is_ours(TokenIds::derive(&new, &[]), &id.to_string()));
        for other in [random.to_string(), String::new(), "7f3a".to_owned(), Uuid::nil().to_string()] {
            assert!(!is_ours(TokenIds::derive(&old, &[]), &other), "{other}");
        }
    }
}
