//! `loopin-auth settings`: prints the values in use and where they come from, or the page `docs/SETTINGS.md`.
//!
//! The source of that page is `.env.example`. Each of its paragraphs is a comment, and the settings that it describes with
//! their defaults; `# ---- Title ----` begins a section.

use std::{fmt::Write as _, process::ExitCode};

use super::{
    CommandError, Context,
    output::{print, print_error},
};
use crate::{config::Config, domain::audit::Shown};

const TEXT: &str = include_str!("../../.env.example");

/// Prints the settings, then the problems with them; fails if there are problems.
///
/// # Errors
/// When the output cannot be written.
pub fn run(context: &Context, markdown: bool) -> Result<ExitCode, CommandError> {
    if markdown {
        print(page())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (config, problems) = context.inspect_config();
    print(list(&config, &|name| context.sources.variable(name).is_some()))?;
    if problems.0.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    print_error(&problems);
    Ok(ExitCode::FAILURE)
}

/// A comment and the settings that it describes.
struct Paragraph<'a> {
    comment: String,
    /// Names and defaults. An empty default means that there is none.
    settings: Vec<(&'a str, &'a str)>,
}

/// Parses `#NAME=value` or `NAME=value`.
fn setting(line: &str) -> Option<(&str, &str)> {
    let is_name_char = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let (name, default) = line.strip_prefix('#').unwrap_or(line).split_once('=')?;
    (!name.is_empty() && name.chars().all(is_name_char)).then_some((name, default))
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

/// The text with links to the pages of `docs/` that it names.
fn with_links(text: &str) -> String {
    let link = |word: &str| match word.strip_prefix("docs/").and_then(|rest| rest.split_once(".md")) {
        Some((page, after)) => format!("[{page}.md]({page}.md){after}"),
        None => word.to_owned(),
    };
    text.split(' ').map(link).collect::<Vec<_>>().join(" ")
}

/// The page `docs/SETTINGS.md`.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Settings\n\n<!-- Made from .env.example: loopin-auth settings --markdown > docs/SETTINGS.md -->\n",
    );
    let mut is_in_table = false;
    for paragraph in paragraphs() {
        let Paragraph { comment, settings } = &paragraph;
        if let Some(title) = title(&paragraph) {
            let _ = writeln!(page, "\n## {}", with_links(title));
            is_in_table = false;
        } else if settings.is_empty() {
            let _ = writeln!(page, "\n{}", with_links(comment));
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
            let _ = writeln!(page, "| {names} | {defaults} | {} |", with_links(comment).replace('|', "\\|"));
        }
    }
    page
}

/// A line for every setting: its name, its value and where that comes from. Of a secret, only whether it is set.
#[must_use]
pub fn list(config: &Config, is_in_environment: &dyn Fn(&str) -> bool) -> String {
    let rows: Vec<(&str, String, &str)> = paragraphs()
        .flat_map(|paragraph| paragraph.settings)
        .map(|(name, default)| {
            let source = if is_in_environment(name) { "environment" } else { ".env" };
            match config.given.find(name) {
                Some(Shown::Plain(text)) => (name, text.clone(), source),
                Some(Shown::Secret(_)) => (name, "(set)".to_owned(), source),
                None => (name, default_in_use(config, name, default), "default"),
            }
        })
        .collect();
    let names = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
    let values = rows.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or_default();
    let lines =
        rows.iter().map(|(name, value, source)| format!("{name:names$}  {value:values$}  {source}\n"));
    lines.collect::<Vec<_>>().concat()
}

/// The default of a setting. `.env.example` has those of `dev`; two depend on other settings.
fn default_in_use(config: &Config, name: &str, default: &str) -> String {
    match name {
        "BIND_ADDR" => config.bind_addr.to_string(),
        "TWILIO_TEST_MODE" => config.is_test_mode().to_string(),
        _ if default.is_empty() => "(not set)".to_owned(),
        _ => default.to_owned(),
    }
}
