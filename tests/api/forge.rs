//! Forged tokens: not signed by the server, or with claims that it would not sign.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::TestServer;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The claims of a token. The signature is not checked.
pub fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("a token has three parts");
    serde_json::from_slice(&decode(part)).expect("the claims are JSON")
}

/// One claim as text.
pub fn claim(token: &str, name: &str) -> String {
    claims(token)[name].as_str().unwrap_or_default().to_owned()
}

/// These claims with some replaced; null removes one.
pub fn with(mut claims: Value, changes: Value) -> Value {
    let (Some(all), Value::Object(changes)) = (claims.as_object_mut(), changes) else {
        panic!("claims are objects");
    };
    for (name, value) in changes {
        if value.is_null() {
            all.remove(&name);
        } else {
            all.insert(name, value);
        }
    }
    claims
}

/// The claims, signed with the key of this server.
pub fn signed(server: &TestServer, claims: &Value) -> String {
    signed_by(server.setting("JWT_SECRET_KEY"), Algorithm::HS256, claims)
}

/// The claims, signed with this secret.
pub fn signed_by(secret: &str, algorithm: Algorithm, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).expect("it signs")
}

/// The claims with an unsigned header (`alg: none`).
pub fn unsigned(algorithm: &str, claims: &Value) -> String {
    let header = json!({ "alg": algorithm, "typ": "JWT" });
    format!("{}.{}.", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

/// The same token with other claims, which the signature does not match.
pub fn altered(token: &str, claims: &Value) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts[1] = encode(claims.to_string().as_bytes());
    parts.join(".")
}

/// Base64 for URLs without padding (RFC 7515, section 2).
fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_usize, |word, byte| word << 8 | usize::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[word >> (18 - 6 * place) & 63]));
        }
    }
    text
}

fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut word, mut bits) = (0_usize, 0);
    for byte in text.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == byte);
        word = word << 6 | value.expect("Base64 for URLs");
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(word >> bits & 255).expect("a byte"));
        }
    }
    bytes
}
