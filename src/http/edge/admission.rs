//! Checks the framing, the `Host`, the content coding and the length of a request before it reaches a route. hyper has
//! already refused what is not HTTP; this refuses what proxies may interpret in another way (request smuggling).

use std::{net::Ipv6Addr, sync::Arc};

use poem::{
    Endpoint, Request, Response,
    http::{HeaderMap, HeaderName, Uri, Version, header, uri::Scheme},
};

use super::HEALTH;
use crate::http::{
    body::{MAX_BODY_BYTES, discard, read_all},
    error::RequestError,
};

/// Refuses requests that no route would accept.
pub(super) async fn admit<E: Endpoint<Output = Response>>(
    inner: Arc<E>,
    mut request: Request,
    allowed_hosts: Option<Vec<String>>,
) -> poem::Result<Response> {
    check_framing(request.headers())?;
    let host = host(&request)?;
    if let Some(allowed) = allowed_hosts
        && !HEALTH.contains(&request.uri().path())
        && !host.is_some_and(|host| is_allowed_host(&allowed, &host.name))
    {
        return Err(RequestError::HostNotAllowed.into());
    }
    check_coding(request.headers())?;
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > MAX_BODY_BYTES) {
        // A client that sends `Expect` waits, and has sent no body yet.
        if !request.headers().contains_key(header::EXPECT) {
            discard(request.take_body().into_bytes_stream()).await;
        }
        return Err(RequestError::PayloadTooLarge.into());
    }
    // A body without a declared length is read here, so that the limit also applies where no handler reads it.
    let declares_length = request.headers().contains_key(header::CONTENT_LENGTH);
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    if !declares_length && (is_chunked || request.version() == Version::HTTP_2) {
        let bytes = read_all(request.take_body()).await?;
        request.set_body(bytes);
    }
    inner.call(request).await
}

/// The members of a list header without empty ones (RFC 9110, section 5.6.1). A line that is not text is one member.
fn members(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().map(|line| line.to_str().unwrap_or("?"));
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|member| !member.is_empty())
}

/// The length of a body must be given once and in one way (RFC 9112, section 6).
fn check_framing(headers: &HeaderMap) -> Result<(), RequestError> {
    if !headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(());
    }
    if headers.contains_key(header::CONTENT_LENGTH) {
        return Err(RequestError::TwoLengths);
    }
    let mut codings = members(headers, header::TRANSFER_ENCODING);
    let is_chunked = codings.next().is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    if is_chunked && codings.next().is_none() { Ok(()) } else { Err(RequestError::TransferCoding) }
}

/// Compressed bodies are refused: they could unpack to any size.
fn check_coding(headers: &HeaderMap) -> Result<(), RequestError> {
    let is_plain = |coding: &str| coding.eq_ignore_ascii_case("identity");
    if members(headers, header::CONTENT_ENCODING).all(is_plain) {
        Ok(())
    } else {
        Err(RequestError::ContentCoding)
    }
}

/// A host in lower case and without a trailing dot, and its port if given.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    /// Accepts `example.com`, `example.com:8000`, `127.0.0.1` and `[::1]:8000`; everything else, such as user info, is
    /// refused.
    fn parse(text: &str) -> Option<Self> {
        let (name, port) = match text.rfind(':') {
            // The colons of an IPv6 address are inside of its brackets.
            Some(colon) if !text.ends_with(']') => (text.get(..colon)?, text.get(colon + 1..)?),
            _ => (text, ""),
        };
        let port = match port {
            "" => None,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            _ => return None,
        };
        let is_good = match name.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok()),
            None => name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        (is_good && !name.is_empty()).then_some(Self { name, port })
    }

    fn is_same(&self, other: &Self, default_port: u16) -> bool {
        self.name == other.name && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

/// The requested host. Only HTTP/1.0 may leave it out.
fn host(request: &Request) -> Result<Option<Host>, RequestError> {
    let mut lines = request.headers().get_all(header::HOST).iter();
    let named = lines.next();
    // With two of them, programs on the way may use different ones (RFC 9112, section 3.2).
    if lines.next().is_some() {
        return Err(RequestError::MalformedRequest("There is more than one Host"));
    }
    let read = |text: &str| Host::parse(text).ok_or(RequestError::MalformedRequest("The Host is not a host"));
    let named = named.map(|named| read(named.to_str().unwrap_or_default())).transpose()?;
    let target = request.uri().authority().map(|authority| read(authority.as_str())).transpose()?;
    match (request.version(), target, named) {
        // In HTTP/2 the field must repeat the `:authority` (RFC 9113, section 8.3.1).
        (Version::HTTP_2, Some(target), Some(named)) if !target.is_same(&named, port(request.uri())) => {
            Err(RequestError::MalformedRequest("The Host is not the :authority"))
        }
        // It is required even if the request line has the host (RFC 9112, section 3.2).
        (Version::HTTP_11, _, None) => Err(RequestError::MalformedRequest("There is no Host")),
        // The request line has precedence (RFC 9112, section 3.2.2).
        (_, target, named) => Ok(target.or(named)),
    }
}

fn port(uri: &Uri) -> u16 {
    if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 }
}

/// Like Django's `ALLOWED_HOSTS`: a name, `.example.com` for the domain and its subdomains, or `*`.
fn is_allowed_host(allowed: &[String], host: &str) -> bool {
    allowed.iter().any(|name| match name.strip_prefix('.') {
        Some(parent) => host == parent || host.ends_with(name.as_str()),
        None => name == "*" || name == host,
    })
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    #[test]
    fn hosts_are_allowed_as_django_allows_them() {
        let allowed = ["api.example.com".to_owned(), ".loopin.test".to_owned(), "[::1]".to_owned()];
        for host in ["api.example.com", "loopin.test", "a.b.loopin.test", "[::1]"] {
            assert!(is_allowed_host(&allowed, host), "{host}");
        }
        for host in ["example.com", "evil-loopin.test", "api.example.com.evil.test", ""] {
            assert!(!is_allowed_host(&allowed, host), "{host}");
        }
        assert!(is_allowed_host(&["*".to_owned()], "anything"));
    }

    #[test]
    fn a_host_has_a_name_and_may_have_a_port() {
        for (text, name, port) in [
            ("api.example.com", "api.example.com", None),
            ("api.example.com:8000", "api.example.com", Some(8000)),
            ("api.example.com:", "api.example.com", None),
            ("API.Example.com.", "api.example.com", None),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
            ("a_service:80", "a_service", Some(80)),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("[::1]:8000", "[::1]", Some(8000)),
            ("[2001:DB8::1]", "[2001:db8::1]", None),
        ] {
            assert_eq!(Host::parse(text), Some(Host { name: name.to_owned(), port }), "{text}");
        }
        for text in [
            "",
            ".",
            ":80",
            "user@example.com",
            "user:secret@example.com",
            "@",
            "example.com:80:80",
            "example.com:eighty",
            "example.com:65536",
            "example.com:+1",
            "example.com/",
            "http://example.com",
            "example.com?a",
            "a b",
            "a,b",
            "a\tb",
            "%61",
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[1.2.3.4]",
            "[::1%25lo]",
            "[v1.a]",
            "[::1]x",
            "exa\"mple",
        ] {
            assert_eq!(Host::parse(text), None, "{text:?}");
        }
    }

    /// The host of a request with this version, target and `Host` fields, or the refusal.
    fn requested_host(version: Version, target: &str, hosts: &[&[u8]]) -> Result<Option<String>, String> {
        let mut request = Request::builder().version(version).uri(target.parse().unwrap()).finish();
        for host in hosts {
            request.headers_mut().append(header::HOST, HeaderValue::from_bytes(host).unwrap());
        }
        let found = host(&request).map(|host| host.map(|host| host.name));
        found.map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_says_in_one_way_for_which_host_it_is() {
        use Version as V;
        for (version, target, hosts, expected) in [
            (V::HTTP_11, "/", &[&b"one.test"[..]][..], Some("one.test")),
            (V::HTTP_10, "/", &[b"one.test"], Some("one.test")),
            (V::HTTP_10, "/", &[], None),
            (V::HTTP_11, "http://two.test/", &[b"one.test"], Some("two.test")),
            (V::HTTP_2, "http://one.test/", &[], Some("one.test")),
            (V::HTTP_2, "/", &[b"one.test"], Some("one.test")),
            (V::HTTP_2, "http://One.test/", &[b"one.test:80"], Some("one.test")),
            (V::HTTP_2, "https://one.test:443/", &[b"one.test"], Some("one.test")),
        ] {
            assert_eq!(
                requested_host(version, target, hosts),
                Ok(expected.map(str::to_owned)),
                "{target} {hosts:?}"
            );
        }
        for (version, target, hosts) in [
            (V::HTTP_11, "/", &[][..]),
            (V::HTTP_11, "http://one.test/", &[]),
            (V::HTTP_11, "/", &[&b""[..]]),
            (V::HTTP_11, "/", &[b"one.test", b"one.test"]),
            (V::HTTP_10, "/", &[b"one.test", b"two.test"]),
            (V::HTTP_11, "/", &[b"one.test, two.test"]),
            (V::HTTP_11, "/", &[b"\xff\xfe"]),
            (V::HTTP_11, "/", &[b"user@one.test"]),
            (V::HTTP_11, "http://user@one.test/", &[b"one.test"]),
            (V::HTTP_2, "http://user:secret@one.test/", &[]),
            (V::HTTP_2, "http://one.test/", &[b"two.test"]),
            (V::HTTP_2, "http://one.test/", &[b"one.test:8000"]),
            (V::HTTP_2, "https://one.test/", &[b"one.test:80"]),
        ] {
            assert!(requested_host(version, target, hosts).is_err(), "{target} {hosts:?}");
        }
    }

    #[test]
    fn a_body_comes_in_one_coding_and_has_one_length() {
        let headers = |fields: &[(&'static str, &'static str)]| -> HeaderMap {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            headers
        };
        for fields in [
            &[][..],
            &[("content-length", "5")],
            &[("transfer-encoding", "chunked")],
            &[("transfer-encoding", " , Chunked,")],
        ] {
            assert!(check_framing(&headers(fields)).is_ok(), "{fields:?}");
        }
        for value in ["gzip, chunked", "identity, chunked", "chunked, chunked", "chunked;a=b", "xchunked", ""]
        {
            let error = check_framing(&headers(&[("transfer-encoding", value)]));
            assert!(matches!(error, Err(RequestError::TransferCoding)), "{value}");
        }
        let lines = [("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")];
        assert!(matches!(check_framing(&headers(&lines)), Err(RequestError::TransferCoding)));
        let both = [("content-length", "5"), ("transfer-encoding", "chunked")];
        assert!(matches!(check_framing(&headers(&both)), Err(RequestError::TwoLengths)));

        for value in ["identity", "Identity, ", "", ",", "identity,identity"] {
            assert!(check_coding(&headers(&[("content-encoding", value)])).is_ok(), "{value}");
        }
        for value in ["gzip", "x-gzip", "br", "identity, gzip", "nonsense", "identity;q=1"] {
            let error = check_coding(&headers(&[("content-encoding", value)]));
            assert!(matches!(error, Err(RequestError::ContentCoding)), "{value}");
        }
    }
}
