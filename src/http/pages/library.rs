//! The documents that are served: some at the root of the repository, and everything in `docs/`.

use std::{borrow::Cow, sync::LazyLock};

use rust_embed::Embed;

use super::markdown;

/// The guide for app developers.
pub const GUIDE: &str = "/PHONE_AUTHENTICATION.md";

/// The documents and images of `docs/`.
#[derive(Embed)]
#[folder = "docs"]
#[include = "*.md"]
#[include = "*.png"]
#[include = "*.svg"]
struct Docs;

/// A document.
pub struct Page {
    /// Where it is served: the path in the repository, so that links between documents work.
    pub path: String,
    /// Its first heading.
    pub title: String,
    /// The Markdown.
    pub text: String,
}

/// An image of a document.
pub struct Image {
    /// Where it is served.
    pub path: String,
    /// Its media type.
    pub content_type: &'static str,
    /// The file.
    pub bytes: Cow<'static, [u8]>,
}

/// All documents and images.
#[derive(Default)]
pub struct Library {
    /// Sorted by path, the documents at the root first.
    pub pages: Vec<Page>,
    /// Sorted by path.
    pub images: Vec<Image>,
    /// Documents that only include another one, as chapters of the book do: their path, and the path of the other.
    aliases: Vec<(String, String)>,
}

/// The documents of this program.
pub static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    let mut library = Library::default();
    library.add("/README.md", include_str!("../../../README.md"));
    library.add(GUIDE, include_str!("../../../PHONE_AUTHENTICATION.md"));
    library.add("/CONTRIBUTING.md", include_str!("../../../CONTRIBUTING.md"));
    let mut names: Vec<_> = Docs::iter().collect();
    names.sort();
    for name in names {
        let path = format!("/docs/{name}");
        let Some(file) = Docs::get(&name) else { continue };
        match name.rsplit('.').next() {
            Some("md") => library.add(&path, &String::from_utf8_lossy(&file.data)),
            Some("png") => library.images.push(Image { path, content_type: "image/png", bytes: file.data }),
            _ => library.images.push(Image { path, content_type: "image/svg+xml", bytes: file.data }),
        }
    }
    library
});

impl Library {
    /// Adds a document, or an alias if it only includes another one.
    pub fn add(&mut self, path: &str, text: &str) {
        let included = text.trim().strip_prefix("{{#include ").and_then(|rest| rest.strip_suffix("}}"));
        if let Some((target, _)) = included.and_then(|target| resolve(path, target.trim())) {
            self.aliases.push((path.to_owned(), target));
        } else {
            let title = markdown::title(text).unwrap_or_else(|| path.to_owned());
            self.pages.push(Page { path: path.to_owned(), title, text: text.to_owned() });
        }
    }

    /// The target of a link in a document: an external URL, or a path of this server. None for a file that is not served.
    pub fn link_target(&self, from: &str, link: &str) -> Option<String> {
        if link.starts_with('#') || link.contains("://") || link.starts_with("mailto:") {
            return Some(link.to_owned());
        }
        let (path, fragment) = resolve(from, link)?;
        let alias = self.aliases.iter().find(|(alias, _)| *alias == path);
        let path = alias.map_or(path, |(_, target)| target.clone());
        let is_served = self.pages.iter().any(|page| page.path == path)
            || self.images.iter().any(|image| image.path == path)
            // An absolute path is a path of this server.
            || link.starts_with('/');
        is_served.then(|| fragment.map_or(path.clone(), |fragment| format!("{path}#{fragment}")))
    }
}

/// Resolves a relative link to a path and a fragment.
fn resolve(from: &str, link: &str) -> Option<(String, Option<String>)> {
    let base = url::Url::parse("http://here").and_then(|root| root.join(from)).ok()?;
    let target = base.join(link).ok()?;
    Some((target.path().to_owned(), target.fragment().map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_what_is_served_or_nowhere() {
        let mut library = Library::default();
        library.add("/README.md", "# Read me");
        library.add("/docs/BOOK.md", "{{#include ../README.md}}\n");
        library.add("/docs/PAGE.md", "# Page");
        for (link, expected) in [
            ("../README.md#x", Some("/README.md#x")),
            ("BOOK.md", Some("/README.md")),
            ("../LICENSE", None),
            ("https://example.com/", Some("https://example.com/")),
            ("#f", Some("#f")),
            ("/api/docs", Some("/api/docs")),
        ] {
            assert_eq!(library.link_target("/docs/PAGE.md", link).as_deref(), expected, "{link}");
        }
    }
}
