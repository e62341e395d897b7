//! Counts the segments of a text message. Each segment is billed, and a long text arrives in parts.
//!
//! A text whose characters are all in the GSM 7-bit alphabet (3GPP TS 23.038, section 6.2.1) is sent as septets, 160
//! per segment. With one other character, the whole text is sent in UCS-2, 70 units per segment. If a text needs
//! several segments, each loses some capacity to a header that numbers it.

/// The alphabet without its escape character; each character is one septet.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
    ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The extension table; each character is the escape and one septet.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// The encoding of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As septets.
    Gsm7,
    /// As UTF-16 units.
    Ucs2 {
        /// The first character outside of the GSM alphabet.
        because_of: char,
    },
}

impl Encoding {
    /// The capacity of a single segment.
    pub(super) fn capacity(self) -> usize {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 { .. } => 70,
        }
    }

    /// The capacity of each of several segments.
    fn capacity_per_part(self) -> usize {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 { .. } => 67,
        }
    }

    fn units(self, character: char) -> usize {
        match self {
            Self::Gsm7 => septets(character).unwrap_or_default(),
            Self::Ucs2 { .. } => character.len_utf16(),
        }
    }

    /// The bytes that an app receives for this many units: the phone unpacks septets.
    pub(super) fn bytes(self, units: usize) -> usize {
        match self {
            Self::Gsm7 => units,
            Self::Ucs2 { .. } => 2 * units,
        }
    }
}

/// The size of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measure {
    pub(super) encoding: Encoding,
    /// Septets, or UTF-16 units.
    pub(super) units: usize,
    pub(super) segments: usize,
}

/// Measures a text in the same way as carriers bill it.
pub(super) fn measure(text: &str) -> Measure {
    let first_outside = text.chars().find(|character| septets(*character).is_none());
    let encoding = first_outside.map_or(Encoding::Gsm7, |because_of| Encoding::Ucs2 { because_of });
    let units = text.chars().map(|character| encoding.units(character)).sum();
    let segments = if units <= encoding.capacity() { 1 } else { parts(text, encoding) };
    Measure { encoding, units, segments }
}

/// Counts the segments of a text that does not fit into one. An escape and its septet, and the two halves of a
/// surrogate pair, stay in one segment.
fn parts(text: &str, encoding: Encoding) -> usize {
    let capacity = encoding.capacity_per_part();
    let (parts, _) =
        text.chars().map(|character| encoding.units(character)).fold((1, 0), |(parts, used), units| {
            if used + units > capacity { (parts + 1, units) } else { (parts, used + units) }
        });
    parts
}

fn septets(character: char) -> Option<usize> {
    if BASIC.contains(character) { Some(1) } else { EXTENSION.contains(character).then_some(2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gsm7(units: usize, segments: usize) -> Measure {
        Measure { encoding: Encoding::Gsm7, units, segments }
    }

    fn ucs2(because_of: char, units: usize, segments: usize) -> Measure {
        Measure { encoding: Encoding::Ucs2 { because_of }, units, segments }
    }

    #[test]
    fn the_alphabet_is_whole() {
        // 128 places minus the escape.
        assert_eq!(BASIC.chars().count(), 127);
        assert_eq!(EXTENSION.chars().count(), 10);
        let mut all: Vec<char> = BASIC.chars().chain(EXTENSION.chars()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 137);
    }

    #[test]
    fn septets_up_to_both_sides_of_each_boundary() {
        for (length, segments) in [(0, 1), (160, 1), (161, 2), (306, 2), (307, 3), (459, 3), (460, 4)] {
            assert_eq!(measure(&"a".repeat(length)), gsm7(length, segments));
        }
    }

    #[test]
    fn units_up_to_both_sides_of_each_boundary() {
        for (length, segments) in [(70, 1), (71, 2), (134, 2), (135, 3), (201, 3), (202, 4)] {
            assert_eq!(measure(&"क".repeat(length)), ucs2('क', length, segments));
        }
    }

    #[test]
    fn characters_of_the_extension_count_twice_and_are_not_cut_in_two() {
        assert_eq!(measure(&"€".repeat(80)), gsm7(160, 1));
        assert_eq!(measure(&"€".repeat(81)), gsm7(162, 2));
        // 152 septets and an escape would fill the first part, so the pair goes to the second.
        assert_eq!(measure(&format!("{}€{}", "a".repeat(152), "a".repeat(151))), gsm7(305, 2));
        assert_eq!(measure(&format!("{}€{}", "a".repeat(152), "a".repeat(152))), gsm7(306, 3));
    }

    #[test]
    fn surrogates_count_twice_and_are_not_cut_in_two() {
        assert_eq!(measure(&"🔑".repeat(35)), ucs2('🔑', 70, 1));
        assert_eq!(measure(&"🔑".repeat(66)), ucs2('🔑', 132, 2));
        assert_eq!(measure(&"🔑".repeat(67)), ucs2('🔑', 134, 3));
    }

    #[test]
    fn one_character_decides_for_the_whole_text() {
        // Only the capital cedilla is in the alphabet; the back quote and typographic quotes are not.
        for (text, because_of) in [("Ça va, ça", 'ç'), ("a `b`", '`'), ("don’t", '’'), ("a\tb", '\t')]
        {
            assert_eq!(measure(text), ucs2(because_of, text.chars().count(), 1));
        }
        assert_eq!(measure("Ünïcode").encoding, Encoding::Ucs2 { because_of: 'ï' });
        assert_eq!(measure("Grüße, Ångström, ¿qué? @5% [~]\n").encoding, Encoding::Gsm7);
    }

    #[test]
    fn bytes_are_those_of_unpacked_septets() {
        assert_eq!(Encoding::Gsm7.bytes(140), 140);
        assert_eq!(Encoding::Ucs2 { because_of: 'क' }.bytes(70), 140);
    }
}
