//! The rules for passwords (NIST SP 800-63B, section 5.1.1.2; Django's validators).

use std::{collections::HashMap, fmt};

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;
use zxcvbn::{Score, matching::patterns::MatchPattern, zxcvbn};

/// The minimum length in characters.
const SHORTEST: usize = 8;

/// The maximum length in characters: a longer password is no safer, and hashing it costs time.
const LONGEST: usize = 128;

/// The shortest part of a name, in characters, that a password must not contain.
const SHORTEST_WORD: usize = 4;

/// The maximum similarity to a name, in tenths (Django's `max_similarity`).
const MAX_SIMILARITY: usize = 7;

/// A password that needs fewer guesses than this counts as common, such as `password!` and `Summer2024` by the
/// estimate of `zxcvbn`. A client with a hundred guesses per quarter of an hour needs three days for this many.
const MIN_GUESSES: u64 = 30_000;

/// The longest password that is looked up in the common passwords, in characters: none of them is longer, and the
/// search slows down with the length.
const LONGEST_COMMON: usize = 32;

/// What is said about a password that is easy to guess from a name.
const LIKE_A_NAME: &str = "Password is too much like the username, the e-mail address or the name";

/// A password that satisfies the rules, in the normalised form that is hashed. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Password(SecretString);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Password {
    /// Checks a new password. `names` are the user's username, e-mail address, and first and last name.
    ///
    /// # Errors
    /// A sentence for each broken rule.
    pub fn check(text: &str, names: &[&str]) -> Result<Self, Vec<String>> {
        // First, so that no later check scans a very long text.
        if text.chars().nth(LONGEST).is_some() {
            return Err(vec![format!("Password must be at most {LONGEST} characters long")]);
        }
        let password = normalised(text);
        let text = password.expose_secret();
        let mut errors = Vec::new();
        if text.chars().count() < SHORTEST {
            errors.push(format!("Password must be at least {SHORTEST} characters long"));
        }
        if !text.is_empty() && text.chars().all(char::is_numeric) {
            errors.push("Password must not be only digits".to_owned());
        }
        if names.iter().any(|name| is_like(text, name)) {
            errors.push(LIKE_A_NAME.to_owned());
        }
        if is_common(text) {
            errors.push("Password is too common".to_owned());
        }
        if errors.is_empty() { Ok(Self(password)) } else { Err(errors) }
    }

    /// Checks a new password against names that were not known when it was read.
    ///
    /// # Errors
    /// A sentence, if it is like one of them.
    pub fn check_names(&self, names: &[&str]) -> Result<(), Vec<String>> {
        let is_like_one = names.iter().any(|name| is_like(self.expose(), name));
        if is_like_one { Err(vec![LIKE_A_NAME.to_owned()]) } else { Ok(()) }
    }

    /// A typed password that already matched, to be hashed again. The rules apply to new passwords only, so existing
    /// ones stay valid.
    #[must_use]
    pub fn known(typed: &SecretString) -> Self {
        Self(normalised(typed.expose_secret()))
    }

    /// The password, for hashing only.
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The normalised form for comparison (`OpaqueString`, RFC 8265, section 4.2): composed and decomposed accents give
/// the same password.
pub(super) fn normalised(text: &str) -> SecretString {
    let one_space = |c: char| if c.is_whitespace() && !c.is_ascii() { ' ' } else { c };
    text.chars().map(one_space).nfc().collect::<String>().into()
}

/// Whether the password is easy to guess from this name: it is similar to the name or a part of it (Django's
/// `UserAttributeSimilarityValidator`), or contains a word of it.
fn is_like(password: &str, name: &str) -> bool {
    let (password, name) = (password.to_lowercase(), name.nfc().collect::<String>().to_lowercase());
    // A password may contain a word of the e-mail address's domain.
    let local_part = name.split_once('@').map_or(name.as_str(), |(local_part, _)| local_part);
    let is_word = |part: &&str| part.chars().count() >= SHORTEST_WORD;
    words(local_part).chain([local_part]).filter(is_word).any(|part| password.contains(part))
        || words(&name).chain([local_part, name.as_str()]).any(|part| is_similar(&password, part))
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether the two texts share 70 % of their letters in any order, like `quick_ratio` of Python's `difflib`.
fn is_similar(one: &str, other: &str) -> bool {
    let mut letters: HashMap<char, usize> = HashMap::new();
    for letter in other.chars() {
        *letters.entry(letter).or_default() += 1;
    }
    let mut shared = 0;
    for letter in one.chars() {
        if let Some(left) = letters.get_mut(&letter).filter(|left| **left > 0) {
            *left -= 1;
            shared += 1;
        }
    }
    let all = one.chars().count() + other.chars().count();
    2 * shared * 10 >= MAX_SIMILARITY * all
}

/// Whether the password is common: in the lists of `zxcvbn` (in any case), or just one word, one keyboard row, one
/// date or one repetition, or such a pattern with a short suffix, as in `letmein123`.
fn is_common(password: &str) -> bool {
    if password.is_empty() || password.chars().nth(LONGEST_COMMON).is_some() {
        return false;
    }
    let estimate = zxcvbn(password, &[]);
    if estimate.guesses() < MIN_GUESSES {
        return true;
    }
    match estimate.sequence() {
        [only] => !matches!(only.pattern, MatchPattern::BruteForce) && estimate.score() < Score::Three,
        _ => false,
    }
}
