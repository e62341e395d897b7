//! The text of a provider about an error, as staff may read it.

use std::fmt;

/// The most characters that are kept.
const MOST_CHARS: usize = 160;

/// A longer word is an id or a key, even if it has no digit.
const LONGEST_WORD: usize = 24;

/// Stands for words that were left out.
const LEFT_OUT: &str = "…";

/// What a provider wrote about an error. Providers write phones, ids of accounts and whole messages into their texts, so every word
/// with a digit is left out, as are addresses: no phone and no code can be in it.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderText(String);

impl ProviderText {
    /// Reads what a provider wrote. `None` if no word of it can be kept.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut kept = String::new();
        let (mut length, mut has_words, mut is_left_out) = (0, false, false);
        for word in text.split_whitespace() {
            let is_shown = is_shown(word);
            // Several in a row are one gap.
            if !is_shown && is_left_out {
                continue;
            }
            is_left_out = !is_shown;
            has_words |= is_shown;
            let word = if is_shown { word } else { LEFT_OUT };
            length += word.chars().count() + 1;
            // With room for the sign that something follows.
            if length + 2 > MOST_CHARS {
                if !kept.ends_with(LEFT_OUT) {
                    kept.push(' ');
                    kept.push_str(LEFT_OUT);
                }
                break;
            }
            if !kept.is_empty() {
                kept.push(' ');
            }
            kept.push_str(word);
        }
        has_words.then_some(Self(kept))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ProviderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn is_shown(word: &str) -> bool {
    // Signs that have no width, or turn the direction of what follows.
    let is_invisible = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let is_refused =
        |c: char| c.is_numeric() || c.is_control() || matches!(c, '@' | '<' | '>') || is_invisible(c);
    word.chars().count() <= LONGEST_WORD && !word.contains("://") && !word.chars().any(is_refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        ProviderText::read(text).map(|text| text.as_str().to_owned())
    }

    #[test]
    fn no_phone_no_code_and_no_account_is_kept() {
        for (text, kept) in [
            ("Unreachable destination handset", Some("Unreachable destination handset")),
            ("The 'To' number +916205829376 is not valid.", Some("The 'To' number … is not valid.")),
            ("to +91 62058 29376 failed", Some("to … failed")),
            ("no 6 2 0 5 8 here", Some("no … here")),
            ("Your code is: 4821, valid for 10 min", Some("Your code is: … valid for … min")),
            ("कोड ४८२१ है", Some("कोड … है")),
            ("ask ops@example.com or https://example.com/x", Some("ask … or …")),
            ("Account ACdeadbeef0123 may not", Some("Account … may not")),
            ("a\u{202e}b c", Some("… c")),
            ("<b>no</b> balance", Some("… balance")),
            ("  low \n balance\t", Some("low balance")),
            ("+916205829376", None),
            ("", None),
        ] {
            assert_eq!(read(text).as_deref(), kept, "{text}");
        }
    }

    #[test]
    fn its_length_is_bounded() {
        assert_eq!(read(&"x".repeat(25)), None);
        assert_eq!(read(&"x".repeat(24)).map(|text| text.len()), Some(24));
        let long = read(&"word ".repeat(1_000)).unwrap();
        let length = long.chars().count();
        assert!(length <= MOST_CHARS && length > MOST_CHARS - 10 && long.ends_with("word …"), "{long}");
    }
}
