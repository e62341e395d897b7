//! The table of paths and their methods, made from the OpenAPI document and the list of pages. It supplies `Allow` for a
//! 405, and the pattern of a path for the log.

use std::collections::BTreeMap;

use poem::http::Method;
use serde_json::Value;

/// A path pattern and its methods.
#[derive(Debug)]
pub struct RouteEntry {
    /// The pattern, `/api/users/{id}`.
    pub pattern: String,
    methods: Vec<String>,
}

impl RouteEntry {
    /// The value of `Allow` (RFC 9110, section 10.2.1).
    #[must_use]
    pub fn allow(&self) -> String {
        self.methods.join(", ")
    }

    fn matches(&self, path: &str) -> bool {
        let mut segments = path.trim_matches('/').split('/');
        let mut pattern = self.pattern.trim_matches('/').split('/');
        loop {
            match (pattern.next(), segments.next()) {
                (None, None) => return true,
                (Some(expected), Some(segment)) if expected.starts_with('{') || expected == segment => {}
                _ => return false,
            }
        }
    }
}

/// All paths of the server.
#[derive(Debug, Default)]
pub struct Routes(Vec<RouteEntry>);

impl Routes {
    /// The paths of an OpenAPI document, pages that only support `GET`, and further patterns with a method each.
    #[must_use]
    pub fn new(document: &Value, pages: &[&str], more: &[(String, Method)]) -> Self {
        let mut entries = Vec::new();
        for (pattern, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
            let methods = item.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase());
            entries.push(Self::entry(pattern, methods.collect()));
        }
        entries.extend(pages.iter().map(|page| Self::entry(page, vec!["GET".to_owned()])));
        let mut methods: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (pattern, method) in more {
            methods.entry(pattern).or_default().push(method.to_string());
        }
        entries.extend(methods.into_iter().map(|(pattern, methods)| Self::entry(pattern, methods)));
        Self(entries)
    }

    fn entry(pattern: &str, mut methods: Vec<String>) -> RouteEntry {
        methods.retain(|method| ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()));
        if methods.iter().any(|method| method == "GET") {
            methods.push("HEAD".to_owned());
        }
        methods.sort();
        RouteEntry { pattern: pattern.to_owned(), methods }
    }

    /// The entry of a path, if there is one. Patterns without parameters have precedence.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&RouteEntry> {
        let literal = self.0.iter().find(|entry| !entry.pattern.contains('{') && entry.matches(path));
        literal.or_else(|| self.0.iter().find(|entry| entry.matches(path)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_finds_its_pattern() {
        let document = json!({"paths": {
            "/": {"get": {}},
            "/api/users/{id}": {"get": {}, "put": {}},
            "/api/users/me": {"get": {}},
        }});
        let routes = Routes::new(&document, &["/api/docs"], &[]);
        let pattern = |path| routes.find(path).map(|entry| entry.pattern.as_str());
        assert_eq!(pattern("/"), Some("/"));
        assert_eq!(pattern(""), Some("/"));
        assert_eq!(pattern("/api/users/7/"), Some("/api/users/{id}"));
        assert_eq!(pattern("/api/users/me"), Some("/api/users/me"));
        assert_eq!(pattern("/api/users"), None);
        assert_eq!(pattern("/api/docs"), Some("/api/docs"));
        assert_eq!(routes.find("/api/users/7").map(RouteEntry::allow).as_deref(), Some("GET, HEAD, PUT"));
    }
}
