//! The documents that are served: those at the root that readers need, and everything in `docs/`.

use std::{borrow::Cow, sync::LazyLock};

use rust_embed::Embed;

use super::markdown;

/// The guide for app developers.
pub const GUIDE: &str = "/PHONE_AUTHENTICATION.md";

/// The documents and images of `docs/`, whatever their names are.
#[derive(Embed)]
#[folder = "docs"]
#[include = "*.md"]
#[include = "*.png"]
#[include = "*.svg"]
struct Docs;

/// A document.
pub struct Page {
    /// Where it is served: as in the repository, so that the links between documents lead the same way.
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
    /// What it is.
    pub content_type: &'static str,
    /// The file.
    pub bytes: Cow<'static, [u8]>,
}

/// Everything that is served.
#[derive(Default)]
pub struct Library {
    /// By path, the documents at the root first.
    pub pages: Vec<Page>,
    /// By path.
    pub images: Vec<Image>,
    /// Documents that only include another one, as chapters of a book do: their path, and that of the other.
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
    /// Adds a document, or notes that it is only another one.
    pub fn add(&mut self, path: &str, text: &str) {
        let included = text.trim().strip_prefix("{{#include ").and_then(|rest| rest.strip_suffix("}}"));
        if let Some((target, _)) = included.and_then(|target| resolve(path, target.trim())) {
            self.aliases.push((path.to_owned(), target));
        } else {
            let title = markdown::title(text).unwrap_or_else(|| path.to_owned());
            self.pages.push(Page { path: path.to_owned(), title, text: text.to_owned() });
        }
    }

    /// Where a link of a document leads: to an address elsewhere, or to what is served here. Nothing, if it leads to a
    /// file that is not served.
    pub fn lead(&self, from: &str, link: &str) -> Option<String> {
        if link.starts_with('#') || link.contains("://") || link.starts_with("mailto:") {
            return Some(link.to_owned());
        }
        let (path, fragment) = resolve(from, link)?;
        let alias = self.aliases.iter().find(|(alias, _)| *alias == path);
        let path = alias.map_or(path, |(_, target)| target.clone());
        let is_served = self.pages.iter().any(|page| page.path == path)
            || self.images.iter().any(|image| image.path == path)
            // What is written as an absolute path is an address of the server.
            || link.starts_with('/');
        is_served.then(|| fragment.map_or(path.clone(), |fragment| format!("{path}#{fragment}")))
    }
}

/// The path that a link names, and its fragment.
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
            assert_eq!(library.lead("/docs/PAGE.md", link).as_deref(), expected, "{link}");
        }
    }
}
