//! The discovery document (OpenID Connect Discovery 1.0; RFC 8414), for libraries that find the keys of an issuer by it.
//!
//! This server is no OpenID provider: no browser is sent to it, and it issues no ID token. The document is for services that check
//! access tokens, and says only what is true of them. So it differs from the specifications, which require more of a provider:
//! there is no `authorization_endpoint` and no `token_endpoint`, and the lists of response and grant types are empty. They are
//! there, although empty lists should be left out (RFC 8414, section 3.2): without `grant_types_supported` the code and the implicit
//! grant would be meant (section 2), and libraries require `response_types_supported`. `docs/INTEGRATION.md` says the same.

use std::sync::Arc;

use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};

use super::{
    Tag,
    envelope::{ErrorCode, ErrorResponse},
    json::Json,
    keys::CACHE,
};
use crate::{
    domain::access::{KeyAlgorithm, OptionalClaim, TokenKeys, VerifyingKey},
    flows::Services,
};

const NO_ISSUER: &str = "This server is not an issuer: JWT_ISSUER is not its PUBLIC_BASE_URL";

/// The claims that are in every access token, and those of accounts that have them.
const CLAIMS: [&str; 12] = [
    "token_type",
    "user_id",
    "sub",
    "sid",
    "jti",
    "iat",
    "exp",
    "role",
    "phone_number",
    "email",
    "email_verified",
    "username",
];

/// The operations in this file.
pub struct DiscoveryApi {
    /// What the use cases need.
    pub services: Arc<Services>,
}

/// What libraries need to check access tokens.
#[derive(Debug, Object)]
#[oai(example)]
pub struct DiscoveryDocument {
    /// The `iss` claim of tokens: `JWT_ISSUER`.
    issuer: String,
    /// The public keys. The set is empty with HS256.
    jwks_uri: String,
    /// Tells whether a token is still valid (RFC 7662). For services with an API key.
    introspection_endpoint: String,
    /// How a service authenticates there: `Bearer`, with its API key.
    introspection_endpoint_auth_methods_supported: Vec<String>,
    /// Always empty: there is no authorization endpoint.
    response_types_supported: Vec<String>,
    /// Always empty: there is no token endpoint.
    grant_types_supported: Vec<String>,
    /// Always `public`: `sub` is the same for every service.
    subject_types_supported: Vec<String>,
    /// The algorithms that access tokens are signed with, the current one first. There are no ID tokens.
    id_token_signing_alg_values_supported: Vec<String>,
    /// The claims that an access token can have.
    claims_supported: Vec<String>,
}

impl DiscoveryDocument {
    fn new(issuer: &str, base: &str, services: &Services) -> Self {
        let keys = &services.tokens;
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        Self {
            issuer: issuer.to_owned(),
            jwks_uri: format!("{base}/.well-known/jwks.json"),
            introspection_endpoint: format!("{base}/api/auth/introspect"),
            introspection_endpoint_auth_methods_supported: texts(&["Bearer"]),
            response_types_supported: Vec::new(),
            grant_types_supported: Vec::new(),
            subject_types_supported: texts(&["public"]),
            id_token_signing_alg_values_supported: algorithms(keys.verifying()),
            claims_supported: texts(&claims(keys, services.has_guests)),
        }
    }
}

/// Each once, that of the signing key first.
fn algorithms(keys: &[VerifyingKey]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in keys.iter().map(VerifyingKey::algorithm).map(KeyAlgorithm::as_str) {
        if names.iter().all(|known| known != name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn claims(keys: &TokenKeys, has_guests: bool) -> Vec<&'static str> {
    let policy = keys.policy();
    // The tokens of guests always say that no phone is verified.
    let of_guests = has_guests.then_some(OptionalClaim::PhoneVerified);
    let mut names = CLAIMS.to_vec();
    names.push("iss");
    names.extend(policy.audience.as_ref().map(|_| "aud"));
    for claim in policy.claims.iter().copied().chain(of_guests).map(OptionalClaim::as_str) {
        if !names.contains(&claim) {
            names.push(claim);
        }
    }
    names
}

impl Example for DiscoveryDocument {
    fn example() -> Self {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        Self {
            issuer: "https://auth.example.com".to_owned(),
            jwks_uri: "https://auth.example.com/.well-known/jwks.json".to_owned(),
            introspection_endpoint: "https://auth.example.com/api/auth/introspect".to_owned(),
            introspection_endpoint_auth_methods_supported: texts(&["Bearer"]),
            response_types_supported: Vec::new(),
            grant_types_supported: Vec::new(),
            subject_types_supported: texts(&["public"]),
            id_token_signing_alg_values_supported: texts(&["ES256"]),
            claims_supported: texts(&["sub", "iss", "exp", "role", "phone_number"]),
        }
    }
}

/// The responses of the discovery document.
#[derive(ApiResponse)]
pub enum DiscoveryResponse {
    /// The document. It may be cached for five minutes.
    #[oai(status = 200)]
    Document(
        Json<DiscoveryDocument>,
        /// `public, max-age=300`.
        #[oai(header = "Cache-Control")]
        String,
    ),
    /// `not_found`: the issuer of the tokens is not the address of this server.
    #[oai(status = 404)]
    NotIssuer(ErrorResponse),
}

#[OpenApi(tag = "Tag::Session")]
impl DiscoveryApi {
    /// Discover the keys and the claims of tokens
    ///
    /// For libraries that know an issuer by its discovery document (OpenID Connect Discovery 1.0, RFC 8414). It is there if
    /// `JWT_ISSUER` is `PUBLIC_BASE_URL`. There is no authorization endpoint, and no token endpoint.
    #[oai(
        path = "/.well-known/openid-configuration",
        method = "get",
        operation_id = "getOpenIdConfiguration"
    )]
    async fn document(&self) -> DiscoveryResponse {
        let policy = self.services.tokens.policy();
        match policy.issuer.as_deref().zip(policy.discovered_at.as_deref()) {
            Some((issuer, base)) => DiscoveryResponse::Document(
                Json(DiscoveryDocument::new(issuer, base, &self.services)),
                CACHE.to_owned(),
            ),
            None => DiscoveryResponse::NotIssuer(ErrorResponse::new(ErrorCode::NotFound, NO_ISSUER)),
        }
    }
}
