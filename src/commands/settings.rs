//! `loopin-auth settings`: prints the values in use and where they come from, or the page `docs/SETTINGS.md`.
//!
//! The source of that page is `.env.example`.

use std::{fmt::Write as _, process::ExitCode};

use super::{
    CommandError, Context,
    output::{print, print_error},
};
use crate::{
    config::{Config, Paragraph, paragraphs},
    domain::settings::Source,
};

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
    print(list(&config))?;
    if problems.0.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    print_error(&problems);
    Ok(ExitCode::FAILURE)
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
        if let Some(title) = paragraph.title() {
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
pub fn list(config: &Config) -> String {
    let report = config.report();
    let rows: Vec<(&str, String, Source)> = report
        .sections
        .iter()
        .flat_map(|section| &section.settings)
        .map(|setting| (setting.name.as_str(), setting.value.to_string(), setting.source))
        .collect();
    let names = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
    let values = rows.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or_default();
    let lines =
        rows.iter().map(|(name, value, source)| format!("{name:names$}  {value:values$}  {source}\n"));
    lines.collect::<Vec<_>>().concat()
}
