//! The published keys of a trusted issuer, as they are fetched over the network.

use std::time::Duration;

use outbound::{Client, Endpoint};
use serde_json::Value;

use super::word;

/// How long one try may take. A user waits for it.
pub const DEADLINE: Duration = Duration::from_secs(3);

/// Where an issuer publishes its keys, a JWK set.
#[derive(Debug, Clone)]
pub struct KeySource {
    client: Client,
    endpoint: Endpoint,
}

/// Why there is no JWK set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotFetched {
    /// As a word for the log.
    pub why: &'static str,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
}

impl KeySource {
    /// Does not contact the issuer.
    #[must_use]
    pub fn new(client: Client, endpoint: Endpoint) -> Self {
        Self { client, endpoint }
    }

    /// Fetches the set once.
    ///
    /// # Errors
    /// [`NotFetched`] without a JSON document of at most [`outbound::MAX_ANSWER_BYTES`].
    pub async fn fetch(&self) -> Result<Value, NotFetched> {
        let answer = self.client.get(&self.endpoint, DEADLINE).await;
        let answer = answer.map_err(|failure| NotFetched { why: word(failure), status: None })?;
        let not_fetched = |why| NotFetched { why, status: Some(answer.status) };
        if !answer.is_success() {
            return Err(not_fetched("status"));
        }
        let body = answer.body.as_deref().ok_or(not_fetched("too-long-or-slow"))?;
        serde_json::from_slice(body).map_err(|_| not_fetched("no-json"))
    }
}
