//! `loopin-auth settings`: what is in force and where it comes from, and the page `docs/SETTINGS.md`.
//!
//! `.env.example` is the one text about the settings. Each paragraph of it is a comment and the settings that it describes,
//! with their defaults; `# ---- Title ----` begins a section.

use std::fmt::Write as _;

use crate::{config::Config, domain::audit::Shown};

const TEXT: &str = include_str!("../../.env.example");

/// A comment and what it describes.
struct Paragraph<'a> {
    comment: String,
    /// Names and defaults. A default that is empty is none.
    settings: Vec<(&'a str, &'a str)>,
}

/// A setting, as `#NAME=value` or `NAME=value`.
fn setting(line: &str) -> Option<(&str, &str)> {
    let is_of_a_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let (name, default) = line.strip_prefix('#').unwrap_or(line).split_once('=')?;
    (!name.is_empty() && name.chars().all(is_of_a_name)).then_some((name, default))
}

fn paragraph(text: &str) -> Paragraph<'_> {
    let comment: Vec<&str> = text
        .lines()
        .filter(|line| setting(line).is_none())
        .map(|line| line.trim_start_matches('#').trim())
        .collect();
    Paragraph { comment: comment.join(" "), settings: text.lines().filter_map(setting).collect() }
}

/// The title of a section, where the paragraph is one.
fn title<'a>(paragraph: &'a Paragraph<'_>) -> Option<&'a str> {
    paragraph.comment.strip_prefix("---- ")?.strip_suffix(" ----")
}

fn paragraphs() -> impl Iterator<Item = Paragraph<'static>> {
    TEXT.split("\n\n").map(paragraph)
}

/// The text, with the pages that it names as links.
fn linked(text: &str) -> String {
    let link = |word: &str| match word.strip_prefix("docs/").and_then(|rest| rest.split_once(".md")) {
        Some((page, after)) => format!("[{page}.md]({page}.md){after}"),
        None => word.to_owned(),
    };
    text.split(' ').map(link).collect::<Vec<_>>().join(" ")
}

/// The page about all settings.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Settings\n\n<!-- Made from .env.example: loopin-auth settings --markdown > docs/SETTINGS.md -->\n",
    );
    let mut is_in_table = false;
    for paragraph in paragraphs() {
        let Paragraph { comment, settings } = &paragraph;
        if let Some(title) = title(&paragraph) {
            let _ = writeln!(page, "\n## {}", linked(title));
            is_in_table = false;
        } else if settings.is_empty() {
            let _ = writeln!(page, "\n{}", linked(comment));
            is_in_table = false;
        } else {
            if !is_in_table {
                page.push_str("\n| setting | default | what it is |\n|---|---|---|\n");
                is_in_table = true;
            }
            let cell = |texts: Vec<&str>| {
                let quoted = |text: &&str| if text.is_empty() { String::new() } else { format!("`{text}`") };
                texts.iter().map(quoted).collect::<Vec<_>>().join("<br>")
            };
            let names = cell(settings.iter().map(|(name, _)| *name).collect());
            let defaults = cell(settings.iter().map(|(_, default)| *default).collect());
            let _ = writeln!(page, "| {names} | {defaults} | {} |", linked(comment).replace('|', "\\|"));
        }
    }
    page
}

/// Every setting, a line each: its name, what is in force, and where that comes from. Of a secret only whether it is set.
#[must_use]
pub fn list(config: &Config, is_in_environment: &dyn Fn(&str) -> bool) -> String {
    let rows: Vec<(&str, String, &str)> = paragraphs()
        .flat_map(|paragraph| paragraph.settings)
        .map(|(name, default)| {
            let source = if is_in_environment(name) { "environment" } else { ".env" };
            match config.given.find(name) {
                Some(Shown::Plain(text)) => (name, text.clone(), source),
                Some(Shown::Secret(_)) => (name, "(set)".to_owned(), source),
                None => (name, in_force_by_default(config, name, default), "default"),
            }
        })
        .collect();
    let names = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
    let values = rows.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or_default();
    let lines =
        rows.iter().map(|(name, value, source)| format!("{name:names$}  {value:values$}  {source}\n"));
    lines.collect::<Vec<_>>().concat()
}

/// `.env.example` has the defaults of `dev`. Two of them depend on other settings.
fn in_force_by_default(config: &Config, name: &str, default: &str) -> String {
    match name {
        "BIND_ADDR" => config.bind_addr.to_string(),
        "TWILIO_TEST_MODE" => config.is_test_mode().to_string(),
        _ if default.is_empty() => "(not set)".to_owned(),
        _ => default.to_owned(),
    }
}
