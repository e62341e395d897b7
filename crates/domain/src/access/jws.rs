//! The outside of a token: jsonwebtoken, held to what this server allows.
//!
//! Only a key chooses an algorithm. What a header may say is read before anything else and decides nothing but which key
//! is asked; `jwk`, `jku`, `x5u` and their like are passed over, as whoever sends a key vouches for nothing by it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::keys::{KeyAlgorithm, SigningError, SigningKey, VerifyingKey};

/// A longer text is no token of ours and is not even taken apart. Ours with RSA of 8192 bits have some 2,200 characters.
const MAX_BYTES: usize = 4096;

/// Signs.
///
/// # Errors
/// Never with a key that was tried when it was read.
pub fn sign(key: &SigningKey, claims: &impl Serialize) -> Result<String, SigningError> {
    let kid = key.verifying().kid().to_owned();
    let header = Header { kid: Some(kid), ..Header::new(key.verifying().algorithm().as_jwt_algorithm()) };
    jsonwebtoken::encode(&header, claims, key.encoding()).map_err(|_| SigningError)
}

/// What a token claims, if one of these keys signed it. The claims are not looked at before that is certain.
#[must_use]
pub fn open<T: DeserializeOwned>(token: &str, keys: &[VerifyingKey]) -> Option<T> {
    if token.len() > MAX_BYTES {
        return None;
    }
    let header = jsonwebtoken::decode_header(token).ok()?;
    // Read once more, because the library takes null for a member that is not there.
    let members = header_members(token)?;
    // "Must be understood", and nothing is (RFC 7515, section 4.1.11). And null is no value of any member.
    if members.contains_key("crit") || members.values().any(Value::is_null) {
        return None;
    }
    // Of another type is for another purpose, whoever signed it (RFC 8725, section 3.11). Older tokens of ours name none.
    if header.typ.as_deref().is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
        return None;
    }
    keys.iter().filter(|key| is_meant(key, &header)).find_map(|key| {
        Some(
            jsonwebtoken::decode(token, key.decoding(), &signature_alone(key.algorithm().as_jwt_algorithm()))
                .ok()?
                .claims,
        )
    })
}

fn header_members(token: &str) -> Option<Map<String, Value>> {
    let (header, _) = token.split_once('.')?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
}

/// Tokens from before keys had names say none, and were all signed by a secret.
fn is_meant(key: &VerifyingKey, header: &Header) -> bool {
    let is_named = match &header.kid {
        Some(kid) => kid == key.kid(),
        None => key.algorithm() == KeyAlgorithm::Hs256,
    };
    is_named && header.alg == key.algorithm().as_jwt_algorithm()
}

/// The signature and nothing else: what the claims must say is for whoever reads them. The library would ask the system
/// for the time.
#[must_use]
pub fn signature_alone(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation
}
