//! The requests that tests send.

use poem::http::Method;
use serde_json::{Value, json};

use super::{Answer, PHONE, TestServer};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The tokens of a signed-in user.
#[derive(Debug, Clone)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
    pub user_id: String,
}

impl TestServer {
    /// Any request.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let mut request = self.client.request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let says_itself = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(FORWARDED_FOR));
        if let Some(address) = self.address.as_ref().filter(|_| !says_itself) {
            request = request.header(FORWARDED_FOR, address);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.0;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.into_body().into_string().await.expect("an answer is text");
        Answer { status, headers, text }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_text(path, &body.to_string()).await
    }

    pub async fn post_text(&self, path: &str, body: &str) -> Answer {
        self.send(Method::POST, path, &[("content-type", "application/json")], Some(body.to_owned())).await
    }

    pub async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.send(Method::GET, path, &[("authorization", &format!("Bearer {token}"))], None).await
    }

    pub async fn send_as(&self, token: &str, method: Method, path: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.send(method, path, &headers, Some(body.to_string())).await
    }

    pub async fn signup(&self, phone: &str) -> Answer {
        self.post("/api/auth/signup", json!({ "phone_number": phone })).await
    }

    pub async fn login(&self, phone: &str) -> Answer {
        self.post("/api/auth/login", json!({ "phone_number": phone })).await
    }

    /// Signs up with more fields than the phone, and with an `Accept-Language` header.
    pub async fn signup_with(&self, phone: &str, more: Value, languages: &str) -> Answer {
        let mut body = json!({ "phone_number": phone });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        let headers = [("content-type", "application/json"), ("accept-language", languages)];
        self.send(Method::POST, "/api/auth/signup", &headers, Some(body.to_string())).await
    }

    /// The status of a delivery.
    pub async fn delivery(&self, answer: &Answer) -> Answer {
        self.get(&format!("/api/auth/deliveries/{}", answer.text_at("/data/delivery_id"))).await
    }

    /// Moves the clock, and lets the test inbox send the reports that are due by then.
    pub async fn play(&self, seconds: i64) {
        self.advance(seconds);
        loopin_auth::flows::delivery::play(&self.services).await.expect("the reports are recorded");
    }

    /// The messages of the inbox to this phone, newest first.
    pub fn inbox_of(&self, phone: &str) -> Vec<loopin_auth::sms::InboxMessage> {
        let phone = loopin_auth::domain::phone::PhoneNumber::from_e164(phone).expect("a phone in E.164");
        self.services.sms.inbox().expect("the server has an inbox").list(Some(&phone))
    }

    pub async fn verify_otp(&self, phone: &str, code: &str) -> Answer {
        self.post("/api/auth/verify-otp", json!({ "phone_number": phone, "otp_code": code })).await
    }

    pub async fn verify_login(&self, phone: &str, code: &str) -> Answer {
        self.post("/api/auth/verify-login", json!({ "phone_number": phone, "otp_code": code })).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.post("/api/auth/refresh", json!({ "refresh": token })).await
    }

    /// The codes that were sent to this phone, newest first.
    pub fn codes_for(&self, phone: &str) -> Vec<String> {
        self.inbox_of(phone).into_iter().filter_map(|message| message.otp_code).collect()
    }

    /// The last code that was sent to this phone.
    pub fn last_code_for(&self, phone: &str) -> String {
        self.codes_for(phone).into_iter().next().expect("a code was sent")
    }

    /// A wrong code of the right length.
    pub fn wrong_code_for(&self, phone: &str) -> String {
        wrong(&self.last_code_for(phone))
    }

    /// Signs up and verifies.
    #[track_caller]
    pub fn sign_in(&self, phone: &str) -> impl Future<Output = Tokens> {
        let phone = phone.to_owned();
        async move {
            self.signup(&phone).await.assert_ok();
            let answer = self.verify_otp(&phone, &self.last_code_for(&phone)).await;
            answer.assert_ok();
            Tokens {
                access: answer.text_at("/token"),
                refresh: answer.text_at("/data/refresh_token"),
                user_id: answer.text_at("/data/user_id"),
            }
        }
    }

    /// Signs up, verifies and completes the profile.
    pub async fn sign_in_and_complete(&self, phone: &str) -> Tokens {
        let tokens = self.sign_in(phone).await;
        self.send_as(&tokens.access, Method::POST, "/api/auth/complete-profile", whole_profile())
            .await
            .assert_ok();
        tokens
    }
}

/// A wrong code of the same length.
pub fn wrong(code: &str) -> String {
    let last = if code.ends_with('0') { '1' } else { '0' };
    format!("{}{last}", &code[..code.len() - 1])
}

/// A valid body for `complete-profile`.
pub fn whole_profile() -> Value {
    json!({
        "phone_number": PHONE,
        "name": "Gaurav Kumar",
        "birth_date": "1995-01-01",
        "gender": "male",
        "event_interests": [1, 2, 3],
        "profile_pictures": ["https://example.com/pic1.jpg", "https://example.com/pic2.jpg"],
    })
}
