//! The HTTP client for the collector: the one that the providers are reached with. The exporter's own would be a second one, and
//! blocking.

use std::{pin::Pin, time::Duration};

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::redirect;
use tokio::runtime::Handle;

/// How long connecting may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A longer answer is not read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
#[error("the answer is too long")]
struct TooLong;

/// Sends batches from the exporter's own thread, which has no runtime, in the runtime of the server.
#[derive(Debug)]
pub(super) struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

impl Client {
    pub(super) fn new(timeout: Duration, runtime: Handle) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .user_agent("loopin-auth")
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            // The headers may be a secret of this collector. A proxy from the environment is not one of our settings.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { client, runtime })
    }
}

async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    // The URL would be in the log.
    let no_url = reqwest::Error::without_url;
    let request = reqwest::Request::try_from(request).map_err(no_url)?;
    let mut answer = client.execute(request).await.map_err(no_url)?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(no_url)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(TooLong.into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response::builder().status(status).body(body.into())?)
}

impl HttpClient for Client {
    // As `async_trait` writes it.
    fn send_bytes<'this, 'future>(
        &'this self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'future>>
    where
        'this: 'future,
        Self: 'future,
    {
        let task = self.runtime.spawn(send(self.client.clone(), request));
        Box::pin(async move { task.await? })
    }
}
