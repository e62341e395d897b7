//! Another service, which checks phones and tokens with its API key.

use loopin_auth::{
    domain::api_key::{KeyLimits, KeyName, Scope},
    flows::api_keys::{self, Made, NewKey},
};
use poem::http::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{Answer, TestServer, wrong};

/// A service with a key.
#[derive(Clone)]
pub struct Service {
    pub key: String,
}

impl Service {
    /// A service whose key allows all, with the usual limits.
    pub async fn new(server: &TestServer, name: &str) -> Self {
        Self::with(server, name, &Scope::ALL, KeyLimits::default()).await
    }

    pub async fn with(server: &TestServer, name: &str, scopes: &[Scope], limits: KeyLimits) -> Self {
        let name = KeyName::parse(name).expect("a name");
        let new = NewKey { name, scopes: scopes.to_vec(), limits };
        match api_keys::make(&server.services, new).await.expect("the database answers") {
            Made::Done(_, secret) => Self { key: secret.expose().expose_secret().to_owned() },
            Made::NameTaken => unreachable!("two services of a test have one name"),
        }
    }

    pub async fn send(&self, server: &TestServer, method: Method, path: &str, body: Value) -> Answer {
        server.send_as(&self.key, method, path, body).await
    }

    /// Asks for a verification of this phone.
    pub async fn start(&self, server: &TestServer, phone: &str) -> Answer {
        self.start_with(server, json!({ "phone_number": phone })).await
    }

    pub async fn start_with(&self, server: &TestServer, body: Value) -> Answer {
        self.send(server, Method::POST, "/api/verifications", body).await
    }

    /// Asks for one and returns its id.
    pub async fn started(&self, server: &TestServer, phone: &str) -> String {
        let answer = self.start(server, phone).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.text_at("/id")
    }

    pub async fn check(&self, server: &TestServer, id: &str, code: &str) -> Answer {
        let path = format!("/api/verifications/{id}/check");
        self.send(server, Method::POST, &path, json!({ "otp_code": code })).await
    }

    /// Checks a wrong code.
    pub async fn guess(&self, server: &TestServer, id: &str, phone: &str) -> Answer {
        self.check(server, id, &wrong(&server.last_code_for(phone))).await
    }

    pub async fn get(&self, server: &TestServer, id: &str) -> Answer {
        server.get_as(&self.key, &format!("/api/verifications/{id}")).await
    }

    pub async fn cancel(&self, server: &TestServer, id: &str) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let headers = [("authorization", bearer.as_str())];
        server.send(Method::DELETE, &format!("/api/verifications/{id}"), &headers, None).await
    }

    #[track_caller]
    pub fn status(&self, server: &TestServer, id: &str) -> impl Future<Output = String> {
        let (service, server, id) = (self.clone(), server.clone(), id.to_owned());
        async move {
            let answer = service.get(&server, &id).await;
            answer.assert_ok();
            answer.text_at("/status")
        }
    }

    /// Asks about a token, by a form.
    pub async fn introspect(&self, server: &TestServer, token: &str) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
        let bearer = format!("Bearer {}", self.key);
        let headers =
            [("authorization", bearer.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        server.send(Method::POST, "/api/auth/introspect", &headers, Some(body)).await
    }
}
