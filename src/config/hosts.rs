//! The settings of allowed hosts and origins.

use url::Url;

use super::reader::Reader;
use crate::http::EdgeSettings;

/// Schemes whose pages have no origin; browsers send `null` for them.
const WITHOUT_ORIGIN: [&str; 5] = ["about", "blob", "data", "file", "javascript"];

pub(super) fn edge(reader: &mut Reader<'_>, is_prod: bool, public_base_url: Option<&Url>) -> EdgeSettings {
    let named: Vec<String> =
        reader.list("ALLOWED_HOSTS").iter().map(|host| host.to_ascii_lowercase()).collect();
    if !named.iter().all(|host| is_host(host)) {
        reader.problem(
            "ALLOWED_HOSTS must be host names such as auth.example.com or .example.com, without a scheme, port or path",
        );
    }
    let allowed_hosts = match (named.is_empty(), is_prod) {
        (false, _) => Some(named),
        (true, false) => None,
        (true, true) => {
            let own = public_base_url.and_then(Url::host_str).map(str::to_ascii_lowercase);
            if own.is_none() {
                reader.warn(
                    "neither ALLOWED_HOSTS nor PUBLIC_BASE_URL is set: every request but health will be refused",
                );
            }
            reader.note_default("ALLOWED_HOSTS", own.as_deref().unwrap_or_default());
            Some(own.into_iter().collect())
        }
    };
    let cors_origins = reader.list("CORS_ALLOWED_ORIGINS");
    for origin in &cors_origins {
        if origin == "*" && is_prod {
            reader.problem("CORS_ALLOWED_ORIGINS must not be * in prod");
        } else if origin != "*" && !is_origin(origin) {
            reader.problem(
                "CORS_ALLOWED_ORIGINS must be origins such as https://app.example.com or capacitor://localhost, in small \
                 letters and without a path or a final /",
            );
        }
    }
    EdgeSettings { allowed_hosts, cors_origins, ..EdgeSettings::default() }
}

/// A name, an address (IPv6 in brackets), `.name` for a domain with its subdomains, or `*`.
fn is_host(host: &str) -> bool {
    let name = host.strip_prefix('.').unwrap_or(host);
    let is_address = name.starts_with('[') && name.ends_with(']');
    host == "*" || (!name.is_empty() && (is_address || !name.contains([':', '/', '*', '@', ' '])))
}

/// An origin as browsers write it in `Origin`: scheme, host, and the port unless it is the default of the scheme. Web views
/// have schemes of their own. The URL standard calls their origins opaque, but web views write them in the same form.
fn is_origin(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    if text.contains('*') {
        return false;
    }
    if url.origin().is_tuple() {
        return url.origin().ascii_serialization() == text;
    }
    let host =
        url.host_str().filter(|host| !host.is_empty() && !host.contains(|c: char| c.is_ascii_uppercase()));
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    !WITHOUT_ORIGIN.contains(&url.scheme())
        && host.is_some_and(|host| format!("{}://{host}{port}", url.scheme()) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_or_a_web_view_writes_is_an_origin() {
        for text in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "http://localhost",
            "http://localhost:3000",
            "http://[::1]:3000",
            "http://tauri.localhost",
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "app://obsidian.md",
            "my-app://local.host:8080",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            "moz-extension://0c3a4d1e-2b5f-4a6c-8d7e-9f0a1b2c3d4e",
        ] {
            assert!(is_origin(text), "{text}");
        }
        for text in [
            "",
            "null",
            "localhost",
            "app.example.com",
            "https://",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://app.example.com:443",
            "https://App.example.com",
            "https://u:p@app.example.com",
            "https://*.example.com",
            "capacitor://",
            "capacitor:localhost",
            "capacitor://localhost/",
            "capacitor://localhost/path",
            "capacitor://localhost?a",
            "capacitor://localhost#a",
            "capacitor://u@localhost",
            "capacitor://Localhost",
            "Capacitor://localhost",
            "capacitor://*",
            "file://localhost",
            "file://",
            "data:text",
            "javascript://localhost",
            "blob:https://app.example.com",
        ] {
            assert!(!is_origin(text), "{text}");
        }
    }

    #[test]
    fn a_host_has_neither_scheme_nor_port() {
        for text in ["*", "auth.example.com", ".example.com", "localhost", "10.0.0.5", "[::1]"] {
            assert!(is_host(text), "{text}");
        }
        for text in
            [".", "https://auth.example.com", "auth.example.com:443", "auth.example.com/", "*.example.com"]
        {
            assert!(!is_host(text), "{text}");
        }
    }
}
