//! The stylesheet and the script. Their addresses change with their contents, so browsers may keep them.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::LazyLock,
};

use poem::{Response, http::header};

use super::{Console, Guest, PageResult, Visit};

const STYLE: &str = include_str!("admin.css");

const SCRIPT: &str = include_str!("admin.js");

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
    Ok(asset("text/css; charset=utf-8", STYLE))
}

async fn script(_: Visit<Guest>) -> PageResult {
    Ok(asset("text/javascript; charset=utf-8", SCRIPT))
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    Response::builder()
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CACHE_CONTROL, "public, max-age=31536000, immutable")
        .body(text)
}
