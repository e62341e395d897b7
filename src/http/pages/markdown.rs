//! Renders Markdown to HTML like GitHub: tables, headings with ids, links between documents.

use std::{collections::HashMap, fmt::Write as _};

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// The deepest heading of the table of contents.
const DEEPEST: HeadingLevel = HeadingLevel::H3;

/// A heading of a document.
struct Heading {
    level: HeadingLevel,
    id: String,
    text: String,
}

fn parse(text: &str) -> Parser<'_> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM;
    Parser::new_ext(text, options)
}

/// Escapes a text for HTML.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut written = String::new();
    html::push_html(&mut written, std::iter::once(Event::Text(text.into())));
    written
}

/// The first heading.
#[must_use]
pub fn title(text: &str) -> Option<String> {
    headings(parse(text)).into_iter().next().map(|heading| heading.text)
}

/// Renders a document with a table of contents. `link_target` returns the target of a link, or none to remove the link.
#[must_use]
pub fn render(text: &str, link_target: impl Fn(&str) -> Option<String>) -> String {
    let headings = headings(parse(text));
    let mut written = String::new();
    let mut ids = headings.iter().map(|heading| heading.id.clone());
    let mut is_dead = false;
    let mut has_contents = false;
    let events = parse(text).flat_map(|event| match event {
        Event::Start(Tag::Heading { level, classes, attrs, .. }) => {
            let id = ids.next().map(CowStr::from);
            vec![Event::Start(Tag::Heading { level, id, classes, attrs })]
        }
        Event::End(TagEnd::Heading(level)) => {
            let contents = (!has_contents).then(|| Event::Html(contents(&headings).into()));
            has_contents = true;
            std::iter::once(Event::End(TagEnd::Heading(level))).chain(contents).collect()
        }
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let target = link_target(&dest_url);
            is_dead = target.is_none();
            // A link to a file that is not served becomes plain text.
            target
                .map(|target| Event::Start(Tag::Link { link_type, dest_url: target.into(), title, id }))
                .into_iter()
                .collect()
        }
        Event::End(TagEnd::Link) if is_dead => {
            is_dead = false;
            vec![]
        }
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            let dest_url = link_target(&dest_url).map_or(dest_url, CowStr::from);
            vec![Event::Start(Tag::Image { link_type, dest_url, title, id })]
        }
        // A wide table scrolls inside of its box, so that the page does not.
        Event::Start(Tag::Table(columns)) => {
            vec![Event::Html("<div class=\"wide\" tabindex=\"0\">".into()), Event::Start(Tag::Table(columns))]
        }
        Event::End(TagEnd::Table) => vec![Event::End(TagEnd::Table), Event::Html("</div>\n".into())],
        event => vec![event],
    });
    html::push_html(&mut written, events);
    written
}

/// The headings in order, with the same ids as on GitHub.
fn headings(events: Parser<'_>) -> Vec<Heading> {
    let mut found = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut open: Option<(HeadingLevel, String)> = None;
    for event in events {
        match event {
            Event::Start(Tag::Heading { level, .. }) => open = Some((level, String::new())),
            Event::Text(text) | Event::Code(text) => {
                if let Some((_, heading)) = &mut open {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some((level, text)) = open.take() {
                    let slug = slug(&text);
                    let times = seen.entry(slug.clone()).or_default();
                    let id = if *times == 0 { slug } else { format!("{slug}-{times}") };
                    *times += 1;
                    found.push(Heading { level, id, text });
                }
            }
            _ => {}
        }
    }
    found
}

/// Lower-case letters, digits, hyphens and underscores; a space becomes a hyphen.
fn slug(text: &str) -> String {
    let kept = text.trim().chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn contents(headings: &[Heading]) -> String {
    let listed: Vec<&Heading> = headings.iter().skip(1).filter(|heading| heading.level <= DEEPEST).collect();
    if listed.len() < 2 {
        return String::new();
    }
    let mut items = String::new();
    for Heading { level, id, text } in listed {
        let _ =
            writeln!(items, "<li class=\"{level}\"><a href=\"#{}\">{}</a></li>", escaped(id), escaped(text));
    }
    format!("<details class=\"contents\"><summary>On this page</summary>\n<ul>\n{items}</ul>\n</details>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> String {
        render(text, |link| (link != "LICENSE").then(|| link.to_owned()))
    }

    #[test]
    fn headings_have_the_ids_of_github() {
        let html = rendered(
            "# Page\n\n## `POST /api/auth/signup` (Bearer)\n\n## It's *here*\n\n## Twice\n\n## Twice\n",
        );
        for id in ["page", "post-apiauthsignup-bearer", "its-here", "twice", "twice-1"] {
            assert!(html.contains(&format!(" id=\"{id}\">")), "{id}: {html}");
        }
        assert!(html.contains("<a href=\"#twice-1\">Twice</a>"), "the table of contents: {html}");
    }

    #[test]
    fn what_leads_nowhere_is_text() {
        let html = rendered("[a](README.md#x) [b `c`](LICENSE) [d](#e)");
        let expected = "<p><a href=\"README.md#x\">a</a> b <code>c</code> <a href=\"#e\">d</a></p>";
        assert_eq!(html.trim(), expected);
    }

    #[test]
    fn tables_scroll_and_code_keeps_its_lines() {
        let html = rendered("| a | b |\n|---|---|\n| 1 | <2> |\n\n```sh\na && b\nc\n```\n");
        assert!(html.contains("<div class=\"wide\" tabindex=\"0\"><table>"), "{html}");
        assert!(html.contains("<pre><code class=\"language-sh\">a &amp;&amp; b\nc\n</code></pre>"), "{html}");
    }
}
