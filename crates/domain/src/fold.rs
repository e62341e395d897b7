//! Folding of names, so that they are compared without regard to case and encoding.

use unicode_normalization::UnicodeNormalization;

/// The form in which names are compared: independent of case, in any script, and of whether an accent is one character or two.
/// Upper case comes first, because it unifies what lower case keeps apart: ß and SS, and the two small sigmas. Databases
/// differ in all of this, so they only compare texts that were folded here.
#[must_use]
pub fn fold(text: &str) -> String {
    text.nfc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}
