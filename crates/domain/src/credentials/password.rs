//! What a password must be (NIST SP 800-63B, section 5.1.1.2; Django's validators).

use std::{collections::HashMap, fmt};

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;
use zxcvbn::{Score, matching::patterns::MatchPattern, zxcvbn};

/// The least length in characters.
const SHORTEST: usize = 8;

/// The greatest length in characters: more is no safer, and somebody has to hash it.
const LONGEST: usize = 128;

/// From here on a part of a name counts as a word that a password must not hold, in characters.
const SHORTEST_WORD: usize = 4;

/// How like a name a password may be, in tenths: Django's `max_similarity`.
const MOST_ALIKE: usize = 7;

/// What would be found in so many guesses is as good as on a list: `password!` and `Summer2024` are, by the estimate of
/// `zxcvbn`. Whoever may guess a hundred times a quarter of an hour is there in three days.
const GUESSABLE: u64 = 30_000;

/// The longest text that is looked for among the common passwords, in characters: none of them is longer, and the
/// search takes longer the longer the text.
const LONGEST_COMMON: usize = 32;

/// A password that keeps the rules, in the form in which it is hashed. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Password(SecretString);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Password {
    /// Checks a new password of somebody with these names: username, e-mail address, what she is called.
    ///
    /// # Errors
    /// A sentence for each rule that it breaks.
    pub fn check(text: &str, names: &[&str]) -> Result<Self, Vec<String>> {
        // Before anything looks at each character of it.
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
            errors.push("Password is too much like the username, the e-mail address or the name".to_owned());
        }
        if is_common(text) {
            errors.push("Password is too common".to_owned());
        }
        if errors.is_empty() { Ok(Self(password)) } else { Err(errors) }
    }

    /// The password of somebody who signs in with it, for hashing it anew. Rules are for new passwords: whoever has an
    /// old one keeps it.
    #[must_use]
    pub fn known(typed: &SecretString) -> Self {
        Self(normalised(typed.expose_secret()))
    }

    /// The password: to be hashed, and for nothing else.
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The form in which passwords are compared (`OpaqueString`, RFC 8265, section 4.2): a keyboard that composes an accent
/// and one that does not type the same password.
pub(super) fn normalised(text: &str) -> SecretString {
    let one_space = |c: char| if c.is_whitespace() && !c.is_ascii() { ' ' } else { c };
    text.chars().map(one_space).nfc().collect::<String>().into()
}

/// Whether somebody who knows this name would soon guess the password: it is much like the name or a part of it, as
/// Django's `UserAttributeSimilarityValidator` has it, or holds a word of it.
fn is_like(password: &str, name: &str) -> bool {
    let (password, name) = (password.to_lowercase(), name.nfc().collect::<String>().to_lowercase());
    // Where an address is kept is no word of its owner's.
    let own = name.split_once('@').map_or(name.as_str(), |(own, _)| own);
    let is_word = |part: &&str| part.chars().count() >= SHORTEST_WORD;
    words(own).chain([own]).filter(is_word).any(|part| password.contains(part))
        || words(&name).chain([own, name.as_str()]).any(|part| is_similar(&password, part))
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether 70 % of the letters of both are the same, in whatever order: `quick_ratio` of Python's `difflib`.
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
    2 * shared * 10 >= MOST_ALIKE * all
}

/// Whether it is among the common passwords: of the lists of `zxcvbn`, with its eye for capitals, or one word, one row
/// of keys, one date, one repetition and nothing else; or such a word with a little behind it, as in `letmein123`.
fn is_common(password: &str) -> bool {
    if password.is_empty() || password.chars().nth(LONGEST_COMMON).is_some() {
        return false;
    }
    let estimate = zxcvbn(password, &[]);
    if estimate.guesses() < GUESSABLE {
        return true;
    }
    match estimate.sequence() {
        [only] => !matches!(only.pattern, MatchPattern::BruteForce) && estimate.score() < Score::Three,
        _ => false,
    }
}
