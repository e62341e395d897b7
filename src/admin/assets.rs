//! The stylesheet and the script. Their addresses change with their contents, so browsers may keep them.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::LazyLock,
};

use poem::{Response, http::header};

use super::{Console, Guest, PageResult, Visit};

const STYLE: &str = include_str!("admin.css");

const SCRIPT: &str = include_str!("admin.js");

/// The stylesheet as it is sent: a page may not weigh more than a list of Django's admin.
static COMPACT_STYLE: LazyLock<String> = LazyLock::new(|| compact(STYLE));

/// The version of both in their addresses.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    (STYLE, SCRIPT).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
});

/// The version in the addresses of stylesheet and script.
pub fn version() -> &'static str {
    &VERSION
}

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console.get("/admin/admin.css", style).get("/admin/admin.js", script)
}

async fn style(_: Visit<Guest>) -> PageResult {
    Ok(asset("text/css; charset=utf-8", &COMPACT_STYLE))
}

async fn script(_: Visit<Guest>) -> PageResult {
    Ok(asset("text/javascript; charset=utf-8", SCRIPT))
}

/// The stylesheet without comments, line ends, and spaces beside the signs that end something.
fn compact(style: &str) -> String {
    let mut rest = style.split("/*");
    let mut text = rest.next().unwrap_or_default().to_owned();
    for part in rest {
        text.push_str(part.split_once("*/").map_or("", |(_, after)| after));
    }
    let text: String = text.lines().map(str::trim).collect();
    let signs = [("{ ", "{"), (" {", "{"), ("; ", ";"), (": ", ":"), (", ", ","), (" }", "}"), (";}", "}")];
    signs.into_iter().fold(text, |text, (from, to)| text.replace(from, to))
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    Response::builder()
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CACHE_CONTROL, "public, max-age=31536000, immutable")
        .body(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compact_stylesheet_says_the_same() {
        let style = "/* Tokens. */\n:root { --gap: 16px; }\n@media (max-width: 640px) {\n  .a > :is(b, .c) { margin: 0 calc(var(--gap) - 8px); }\n}\n";
        let expected =
            ":root{--gap:16px}@media (max-width:640px){.a > :is(b,.c){margin:0 calc(var(--gap) - 8px)}}";
        assert_eq!(compact(style), expected);
        let count = |text: &str, sign: char| text.chars().filter(|c| *c == sign).count();
        let (whole, sent) = (STYLE, compact(STYLE));
        assert_eq!(count(&sent, '{'), count(&sent, '}'));
        assert!(sent.len() < whole.len() && !sent.contains("/*") && !sent.contains('\n'));
    }
}
