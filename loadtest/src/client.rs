//! An HTTP client that costs little, because it shares the cores with what it measures: one connection that stays open, one request
//! at a time, and no JSON.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request,
    client::conn::http1::{SendRequest, handshake},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// A server that takes longer does not answer any more.
const PATIENCE: Duration = Duration::from_mins(1);

/// How much of a wrong answer is shown.
const SHOWN_CHARACTERS: usize = 200;

/// A request.
#[derive(Debug, Default)]
pub struct Call<'a> {
    /// Its path.
    pub path: &'a str,
    /// Its JSON body. `None`: a GET.
    pub body: Option<String>,
    /// The access token.
    pub token: Option<&'a str>,
    /// The address that a proxy would have seen.
    pub from: Option<&'a str>,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    /// The body, if the status is 200 or 201 and the body contains this text.
    ///
    /// # Errors
    /// Otherwise: what came instead.
    pub fn with(&self, text: &str) -> Result<&str> {
        if matches!(self.status, 200 | 201) && self.body.contains(text) {
            return Ok(&self.body);
        }
        let begin: String = self.body.chars().take(SHOWN_CHARACTERS).collect();
        bail!("{} without {text}: {begin}", self.status)
    }
}

/// The text of a field whose value has nothing to unescape, such as a token.
pub fn field<'a>(body: &'a str, name: &str) -> Result<&'a str> {
    let key = format!("\"{name}\":\"");
    let (_, after) = body.split_once(&key).with_context(|| format!("no {name} in the answer"))?;
    Ok(after.split('"').next().unwrap_or_default())
}

/// A connection to the server, opened when it is needed.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    host: String,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// A connection that is not open yet.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, host: address.to_string(), sender: None }
    }

    /// Sends a request and reads the whole answer. After an error the next request opens a new connection.
    pub async fn send(&mut self, call: Call<'_>) -> Result<Answer> {
        let mut sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.open().await?,
        };
        let request = self.request(call)?;
        let answer = timeout(PATIENCE, async {
            sender.ready().await?;
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await?.to_bytes();
            anyhow::Ok(Answer { status, body: String::from_utf8(body.into())? })
        });
        let answer = answer.await.context("no answer")??;
        self.sender = Some(sender);
        Ok(answer)
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Its error is also that of the request, which reports it.
        tokio::spawn(async move { connection.await.ok() });
        Ok(sender)
    }

    fn request(&self, call: Call<'_>) -> Result<Request<Full<Bytes>>> {
        let method = if call.body.is_some() { Method::POST } else { Method::GET };
        let mut request = Request::builder().method(method).uri(call.path).header(HOST, &self.host);
        if let Some(token) = call.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(address) = call.from {
            request = request.header("x-forwarded-for", address);
        }
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        Ok(request.body(Full::new(call.body.map(Bytes::from).unwrap_or_default()))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_ends_at_its_quote() {
        let body = r#"{"success":true,"token":"aaa.bbb","data":{"refresh_token":"ccc"}}"#;
        assert_eq!(field(body, "token").unwrap(), "aaa.bbb");
        assert_eq!(field(body, "refresh_token").unwrap(), "ccc");
        assert_eq!(field(body, "access").unwrap_err().to_string(), "no access in the answer");
    }

    #[test]
    fn only_a_right_answer_is_taken() {
        let answer = |status, body: &str| Answer { status, body: body.to_owned() };
        assert!(answer(200, r#"{"success":true}"#).with("\"success\":true").is_ok());
        assert!(answer(201, "both").with("both").is_ok());
        assert!(answer(429, r#"{"success":true}"#).with("\"success\":true").is_err());
        let error = answer(200, "<html>").with("\"success\":true").unwrap_err();
        assert_eq!(error.to_string(), "200 without \"success\":true: <html>");
    }
}
