//! The public keys of tokens, for services that verify tokens themselves.

use std::sync::Arc;

use poem::{Request, http::header};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    types::{Example, ToJSON},
};

use super::{Tag, json::Json};
use crate::{
    domain::access::{TokenKeys, VerifyingKey, fingerprint},
    flows::Services,
};

/// The keys may be cached for five minutes. Operators publish a new key on all servers at least that long before it signs;
/// a service that finds an unknown `kid` fetches the keys again at once, as the usual libraries do.
pub(super) const CACHE: &str = "public, max-age=300";

/// The operations in this file.
pub struct KeysApi {
    /// What the use cases need.
    pub services: Arc<Services>,
}

/// A public key (RFC 7517). Its members depend on `kty`.
#[derive(Debug, Object)]
#[oai(example)]
pub struct JsonWebKey {
    /// `OKP` (with `crv` and `x`), `EC` (with `crv`, `x` and `y`) or `RSA` (with `n` and `e`).
    kty: String,
    /// The only algorithm of the key: `EdDSA`, `ES256` or `RS256`.
    alg: String,
    /// Always `sig`.
    #[oai(rename = "use")]
    purpose: String,
    /// The key id in the headers of tokens: the thumbprint (RFC 7638).
    kid: String,
    /// `Ed25519` or `P-256`.
    #[oai(skip_serializing_if_is_none)]
    crv: Option<String>,
    /// The key, or a coordinate.
    #[oai(skip_serializing_if_is_none)]
    x: Option<String>,
    /// The other coordinate.
    #[oai(skip_serializing_if_is_none)]
    y: Option<String>,
    /// The modulus.
    #[oai(skip_serializing_if_is_none)]
    n: Option<String>,
    /// The exponent.
    #[oai(skip_serializing_if_is_none)]
    e: Option<String>,
}

impl JsonWebKey {
    /// `None` for a secret, which has no public half.
    fn from_key(key: &VerifyingKey) -> Option<Self> {
        let jwk = serde_json::to_value(key.jwk()?).ok()?;
        let member = |name: &str| jwk.get(name)?.as_str().map(str::to_owned);
        Some(Self {
            kty: member("kty")?,
            alg: member("alg")?,
            purpose: member("use")?,
            kid: member("kid")?,
            crv: member("crv"),
            x: member("x"),
            y: member("y"),
            n: member("n"),
            e: member("e"),
        })
    }
}

impl Example for JsonWebKey {
    /// The key of RFC 8037, appendix A.
    fn example() -> Self {
        Self {
            kty: "OKP".to_owned(),
            alg: "EdDSA".to_owned(),
            purpose: "sig".to_owned(),
            kid: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".to_owned(),
            crv: Some("Ed25519".to_owned()),
            x: Some("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned()),
            y: None,
            n: None,
            e: None,
        }
    }
}

/// The public keys that tokens may be signed with.
#[derive(Debug, Object)]
#[oai(example)]
pub struct JsonWebKeySet {
    /// The signing key comes first. Empty with HS256.
    keys: Vec<JsonWebKey>,
}

impl JsonWebKeySet {
    fn from_keys(keys: &TokenKeys) -> Self {
        Self { keys: keys.verifying().iter().filter_map(JsonWebKey::from_key).collect() }
    }
}

impl Example for JsonWebKeySet {
    fn example() -> Self {
        Self { keys: vec![JsonWebKey::example()] }
    }
}

/// The responses of both key endpoints.
#[derive(ApiResponse)]
pub enum KeysResponse {
    /// The keys. They may be cached for five minutes.
    #[oai(status = 200)]
    Keys(
        Json<JsonWebKeySet>,
        /// `public, max-age=300`.
        #[oai(header = "Cache-Control")]
        String,
        /// The version of the keys.
        #[oai(header = "ETag")]
        String,
    ),
    /// The keys have not changed since the version in `If-None-Match`.
    #[oai(status = 304)]
    Unchanged(
        /// `public, max-age=300`.
        #[oai(header = "Cache-Control")]
        String,
        /// The version of the keys.
        #[oai(header = "ETag")]
        String,
    ),
}

#[OpenApi(tag = "Tag::Session")]
impl KeysApi {
    /// Get the public keys of tokens
    ///
    /// A JWK set (RFC 7517) with which services check access tokens. The `kid` in a token's header names the key. Empty
    /// with HS256.
    #[oai(path = "/api/auth/jwks.json", method = "get", operation_id = "getKeys")]
    async fn keys(&self, request: &Request) -> KeysResponse {
        self.answer(request)
    }

    /// Get the public keys of tokens at the standard path
    ///
    /// The same as `/api/auth/jwks.json`.
    #[oai(path = "/.well-known/jwks.json", method = "get", operation_id = "getWellKnownKeys")]
    async fn well_known_keys(&self, request: &Request) -> KeysResponse {
        self.answer(request)
    }
}

impl KeysApi {
    fn answer(&self, request: &Request) -> KeysResponse {
        let keys = JsonWebKeySet::from_keys(&self.services.tokens);
        let tag = format!("\"{}\"", fingerprint(keys.to_json_string().as_bytes()));
        if is_current(request, &tag) {
            KeysResponse::Unchanged(CACHE.to_owned(), tag)
        } else {
            KeysResponse::Keys(Json(keys), CACHE.to_owned(), tag)
        }
    }
}

/// Whether the client has the representation with this tag (RFC 9110, section 13.1.2). A proxy may have weakened the tag.
fn is_current(request: &Request, tag: &str) -> bool {
    let values = request.headers().get_all(header::IF_NONE_MATCH).into_iter();
    let mut tags = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    tags.any(|sent| {
        let sent = sent.trim();
        sent == "*" || sent.strip_prefix("W/").unwrap_or(sent) == tag
    })
}
