//! Names are compared without regard to how they are written.

use unicode_normalization::UnicodeNormalization;

/// The form in which names are compared: without regard to case, in any script, and whether an accent was typed as one
/// character or as two. Upper case comes first because it makes one of what lower case leaves apart: ß and SS, and the
/// two small sigmas. Databases disagree about all of this, so they are only ever asked to compare what was folded here.
#[must_use]
pub fn fold(text: &str) -> String {
    text.nfc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}
