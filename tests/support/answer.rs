//! A response, and what tests check of every response.

use poem::http::StatusCode;
use serde_json::{Value, json};

/// A response of the server.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: poem::http::HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON; null if it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// A value in the body, by JSON pointer; null if there is none.
    pub fn at(&self, pointer: &str) -> Value {
        self.json().pointer(pointer).cloned().unwrap_or(Value::Null)
    }

    /// A string in the body, by JSON pointer; empty if there is none.
    pub fn text_at(&self, pointer: &str) -> String {
        self.at(pointer).as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Checks status and `error.code`, and that the body is the error envelope of the contract.
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.text_at("/error/code").as_str()),
            (status, code),
            "{}",
            self.text
        );
        assert_eq!(self.at("/success"), json!(false), "{}", self.text);
        for null in ["data", "token"] {
            assert_eq!(self.json().get(null), Some(&Value::Null), "{null} of {}", self.text);
        }
        assert!(!self.text_at("/message").is_empty(), "{}", self.text);
        let in_body = self.at("/error/retry_after").as_i64().map(|seconds| seconds.to_string());
        assert_eq!(self.header("retry-after").map(str::to_owned), in_body, "{}", self.text);
    }

    #[track_caller]
    pub fn assert_ok(&self) -> &Self {
        assert_eq!(self.status.as_u16(), 200, "{}", self.text);
        self
    }
}
