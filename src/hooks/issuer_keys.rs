//! The published keys of a trusted issuer, as they are fetched over the network.

use std::time::Duration;

use outbound::{Client, Endpoint};
use serde_json::Value;

use super::Failure;

/// How long one try may take. A user waits for it.
pub const DEADLINE: Duration = Duration::from_secs(3);

/// Where an issuer publishes its keys, a JWK set.
#[derive(Debug, Clone)]
pub struct KeySource {
    client: Client,
    endpoint: Endpoint,
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
    /// [`Failure`] without a JSON document of at most [`outbound::MAX_ANSWER_BYTES`].
    pub async fn fetch(&self) -> Result<Value, Failure> {
        let answer = self.client.get(&self.endpoint, DEADLINE).await?;
        let failure = |why| Failure::from_answer(why, &answer);
        if !answer.is_success() {
            return Err(failure("status"));
        }
        let body = answer.body.as_deref().ok_or_else(|| failure("too-long-or-slow"))?;
        serde_json::from_slice(body).map_err(|_| failure("no-json"))
    }
}
