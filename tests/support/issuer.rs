//! Another system whose tokens open a session: its keys, its tokens, and the file that names it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use loopin_auth::{commands::keys::KeyAlgorithm, domain::access::VerifyingKey, random::Random};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

use super::{Answer, TestServer, keys::KeyFile};

/// The `iss` of the app's old sign-in, and the `aud` for this server.
pub const ISS: &str = "https://old.example";
pub const AUD: &str = "loopin";

/// The secret of HS256 issuers.
pub const SECRET: &str = "a secret of the old system, 32 bytes or more";

/// The `iss` of the issuer that proves phones.
pub const PHONES: &str = "https://fpnv.googleapis.com/projects/123456789";

/// An issuer of each kind: by id, by id of a system without `iss`, and by phone.
pub fn three(jwks_url: &str) -> String {
    format!(
        r#"
[[issuer]]
name = "app"
iss = "{ISS}"
aud = "{AUD}"
algorithm = "HS256"
secret = "{SECRET}"
id_claim = "sub"
phone_claim = "phone"
phone_verified_claim = "/app/phone_verified"
may_create_accounts = true

[[issuer]]
name = "loopin"
algorithm = "HS256"
secret = "{SECRET}"
id_claim = "user_id"
legacy = true
until = 2026-06-01

[[issuer]]
name = "phones"
iss = "{PHONES}"
aud = ["{PHONES}"]
algorithm = "ES256"
jwks_url = "{jwks_url}"
phone_claim = "sub"
phone_is_proof = true
may_create_accounts = true
"#
    )
}

/// A file that is removed at the end of the test.
pub struct IssuersFile(pub PathBuf);

impl IssuersFile {
    pub fn new(text: &str) -> Self {
        let name = format!("loopin-auth-issuers-{}.toml", uuid::Uuid::from_bytes(Random::System.bytes()));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("a file is written");
        Self(path)
    }

    pub fn path(&self) -> &str {
        self.0.to_str().expect("a path that is text")
    }
}

impl Drop for IssuersFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[derive(Clone)]
struct Answering(Arc<Mutex<ResponseTemplate>>);

impl Respond for Answering {
    fn respond(&self, _request: &Request) -> ResponseTemplate {
        self.0.lock().expect("no thread panics").clone()
    }
}

/// The issuer that publishes its keys.
pub struct Issuer {
    server: MockServer,
    answer: Answering,
    pub key: KeyFile,
}

impl Issuer {
    pub async fn new() -> Self {
        let (server, key) = (MockServer::start().await, KeyFile::new(KeyAlgorithm::Es256));
        let answer = Answering(Arc::new(Mutex::new(ResponseTemplate::new(200))));
        Mock::given(matchers::any()).respond_with(answer.clone()).mount(&server).await;
        let issuer = Self { server, answer, key };
        issuer.publish(&[&issuer.key]);
        issuer
    }

    pub fn url(&self) -> String {
        format!("{}/jwks", self.server.uri())
    }

    pub fn answer(&self, template: ResponseTemplate) {
        *self.answer.0.lock().expect("no thread panics") = template;
    }

    /// Publishes these keys, among others that are for something else.
    pub fn publish(&self, keys: &[&KeyFile]) {
        let own = keys.iter().map(|key| jwk(key));
        let others = [
            json!({"kty": "oct", "k": "c2VjcmV0", "kid": "a-secret"}),
            json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}),
            json!("no key"),
        ];
        let all: Vec<Value> = others.into_iter().chain(own).collect();
        self.answer(ResponseTemplate::new(200).set_body_json(json!({ "keys": all })));
    }

    /// How often the keys were fetched.
    pub async fn fetches(&self) -> usize {
        self.server.received_requests().await.expect("requests are recorded").len()
    }

    /// A server that trusts this issuer and the two others.
    pub async fn trusted_by(&self, server: &TestServer, settings: &[(&str, &str)]) -> TestServer {
        let file = IssuersFile::new(&three(&self.url()));
        let mut all = vec![("TRUSTED_ISSUERS_FILE", file.path()), ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true")];
        all.extend(settings);
        server.second_server(&all).await
    }

    /// A token that proves a phone.
    pub fn proves(&self, server: &TestServer, phone: &str) -> String {
        signed_by_key(&self.key, &phone_claims(server, phone))
    }
}

pub fn jwk(key: &KeyFile) -> Value {
    let key = VerifyingKey::from_pem(&key.pem.clone().into()).expect("a key");
    serde_json::to_value(key.jwk().expect("it has a public half")).expect("JSON")
}

pub fn phone_claims(server: &TestServer, phone: &str) -> Value {
    let now = server.now().timestamp();
    json!({"iss": PHONES, "aud": [PHONES, "another"], "sub": phone, "iat": now, "exp": now + 3600, "jti": uuid::Uuid::from_bytes(Random::System.bytes())})
}

/// The claims of the app's old sign-in.
pub fn app_claims(server: &TestServer, id: &str) -> Value {
    let now = server.now().timestamp();
    json!({"iss": ISS, "aud": AUD, "sub": id, "iat": now - 86_400, "exp": now + 86_400, "n": uuid::Uuid::from_bytes(Random::System.bytes())})
}

/// The claims of the original backend.
pub fn loopin_claims(server: &TestServer, id: i64) -> Value {
    let now = server.now().timestamp();
    json!({"user_id": id, "phone_number": "+916205829376", "exp": now + 2_592_000, "iat": now})
}

pub fn signed_by_key(key: &KeyFile, claims: &Value) -> String {
    let (algorithm, signing) = match key.algorithm {
        KeyAlgorithm::Es256 => (Algorithm::ES256, EncodingKey::from_ec_pem(key.pem.as_bytes())),
        KeyAlgorithm::Rs256 => (Algorithm::RS256, EncodingKey::from_rsa_pem(key.pem.as_bytes())),
        KeyAlgorithm::EdDsa => (Algorithm::EdDSA, EncodingKey::from_ed_pem(key.pem.as_bytes())),
        KeyAlgorithm::Hs256 => unreachable!("a secret is no key file"),
    };
    let header = Header { kid: Some(key.kid.clone()), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, &signing.expect("a key")).expect("it signs")
}

pub fn signed(claims: &Value) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes()))
        .expect("it signs")
}

impl TestServer {
    pub async fn exchange(&self, token: &str) -> Answer {
        self.post("/api/auth/exchange", json!({ "token": token })).await
    }
}
