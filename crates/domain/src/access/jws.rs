//! Signs tokens and verifies their signatures (JWS, RFC 7515), with jsonwebtoken restricted to what this server allows.
//!
//! The key fixes the algorithm. The header of a token only selects the key; a key in the header (`jwk`, `jku`, `x5u` and
//! others) is ignored, because it would prove nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::keys::{KeyAlgorithm, SigningError, SigningKey, VerifyingKey};

/// Longer tokens are refused unread. Our own have about 2,200 characters with RSA of 8192 bits, and 4,500 with every claim that can be
/// asked for at its longest.
const MAX_BYTES: usize = 8192;

/// Signs claims.
///
/// # Errors
/// Never: every key was tested when it was read.
pub fn sign(key: &SigningKey, claims: &impl Serialize) -> Result<String, SigningError> {
    let kid = key.verifying().kid().to_owned();
    let header = Header { kid: Some(kid), ..Header::new(key.verifying().algorithm().as_jwt_algorithm()) };
    jsonwebtoken::encode(&header, claims, key.encoding()).map_err(|_| SigningError)
}

/// Returns the claims of a token that one of these keys signed. The claims are not read before the signature is verified.
#[must_use]
pub fn verify<T: DeserializeOwned>(token: &str, keys: &[VerifyingKey]) -> Option<T> {
    if token.len() > MAX_BYTES {
        return None;
    }
    let header = jsonwebtoken::decode_header(token).ok()?;
    // Read a second time, because the library treats a null member as absent.
    let members = header_members(token)?;
    // Extensions in `crit` must be understood (RFC 7515, section 4.1.11), and we support none. No member may be null.
    if members.contains_key("crit") || members.values().any(Value::is_null) {
        return None;
    }
    // A token of another type has another purpose (RFC 8725, section 3.11). Our older tokens have no type.
    if header.typ.as_deref().is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
        return None;
    }
    keys.iter().filter(|key| is_selected(key, &header)).find_map(|key| {
        let validation = signature_only(key.algorithm().as_jwt_algorithm());
        Some(jsonwebtoken::decode(token, key.decoding(), &validation).ok()?.claims)
    })
}

fn header_members(token: &str) -> Option<Map<String, Value>> {
    let (header, _) = token.split_once('.')?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
}

/// Whether the header selects this key. Old tokens have no `kid`; all of them were signed with a secret.
fn is_selected(key: &VerifyingKey, header: &Header) -> bool {
    let has_kid = match &header.kid {
        Some(kid) => kid == key.kid(),
        None => key.algorithm() == KeyAlgorithm::Hs256,
    };
    has_kid && header.alg == key.algorithm().as_jwt_algorithm()
}

/// Validates the signature only. The caller checks the claims, because the library would read the system clock.
#[must_use]
pub fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation
}
