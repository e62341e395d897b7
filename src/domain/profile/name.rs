//! The name that a person shows to others.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};
use validator::ValidateLength;

use super::{Faults, unless};

/// The fewest characters of a name, from the contract.
const MIN_CHARS: u64 = 3;

/// The most characters of a name, from the contract.
const MAX_CHARS: u64 = 100;

/// The most marks upon one letter. The fullest syllables of Burmese and Tibetan have about six; Zalgo text,
/// which paints over the lines around it, has dozens.
const MAX_MARKS: usize = 8;

/// Spaces: the plain one, the one that comes with pasted text, the one of Japanese keyboards. Hyphens: the
/// one of ASCII, the one that Unicode names HYPHEN, its non-breaking twin. Apostrophes, typed and printed.
/// The full stop, and what Bengali, Devanagari, Gurmukhi and Gujarati write for it in abbreviations, as in
/// मो॰.
const SEPARATORS: [char; 13] = [
    ' ', '\u{a0}', '\u{3000}', '-', '\u{2010}', '\u{2011}', '\'', '’', '.', '\u{9fd}', '॰', '\u{a76}',
    '\u{af0}',
];

/// ZWNJ and ZWJ.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// The viramas of Devanagari, Bengali, Gurmukhi, Gujarati, Oriya, Tamil, Telugu, Kannada, Malayalam and
/// Sinhala.
const VIRAMAS: [char; 10] = [
    '\u{94d}', '\u{9cd}', '\u{a4d}', '\u{acd}', '\u{b4d}', '\u{bcd}', '\u{c4d}', '\u{ccd}', '\u{d4d}',
    '\u{dca}',
];

/// Letters and marks by category that show nothing: the grapheme joiner, the Hangul fillers, the inherent
/// vowels of Khmer.
const BLANKS: [char; 7] = ['\u{34f}', '\u{115f}', '\u{1160}', '\u{17b4}', '\u{17b5}', '\u{3164}', '\u{ffa0}'];

/// A person's name: 3 to 100 characters (Unicode scalar values) after trimming, from the contract.
///
/// It holds letters of any script with their marks and joiners, spaces, hyphens, full stops and apostrophes,
/// and at least one letter. Runs of spaces inside are kept: the contract speaks of trimming only.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(String);

personal!(Name);

impl Name {
    /// Reads a name.
    ///
    /// A control character is refused even at the ends, where trimming would take it away: the contract
    /// refuses it in any field.
    ///
    /// # Errors
    ///
    /// Every fault: too short, too long, a character that no name has, no letter, a mark or joiner out of
    /// place, too many marks.
    pub fn parse(raw: &str) -> Result<Self, Faults> {
        let text = raw.trim();
        let kinds: Vec<Kind> = text.chars().map(Kind::of).collect();
        let mut faults = Faults::new();

        if !text.validate_length(Some(MIN_CHARS), None, None) {
            faults.push(format!("Name must be at least {MIN_CHARS} characters long"));
        }
        if !text.validate_length(None, Some(MAX_CHARS), None) {
            faults.push(format!("Name must be at most {MAX_CHARS} characters long"));
        }
        if raw.contains(char::is_control) || kinds.contains(&Kind::Foreign) {
            faults.push("Name may contain only letters, spaces, hyphens, full stops and apostrophes".into());
        }
        // An empty name has been told its fault already.
        if !text.is_empty() && !kinds.contains(&Kind::Letter) {
            faults.push("Name must contain at least one letter".into());
        }
        if !in_place(&kinds) {
            faults.push("Name has an accent, vowel sign or joiner that belongs to no letter".into());
        }
        if most_marks(&kinds) > MAX_MARKS {
            faults.push(format!("Name must not have more than {MAX_MARKS} marks on one letter"));
        }
        unless(faults, Self(text.to_owned()))
    }

    /// The name, trimmed, otherwise as it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a character is to a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A letter that can stand for itself.
    Letter,
    /// A modifier letter (ʻ, ー): takes marks as a letter does, but is no name alone.
    Modifier,
    /// A combining mark.
    Mark,
    /// The mark that takes the vowel from an Indian consonant. A joiner after it may close a word.
    Virama,
    /// ZWJ or ZWNJ.
    Joiner,
    /// What stands between words or closes them: space, hyphen, full stop, apostrophe.
    Separator,
    /// Anything else: no name has it.
    Foreign,
}

impl Kind {
    fn of(c: char) -> Self {
        use GeneralCategory as Category;
        let category = c.general_category();
        if SEPARATORS.contains(&c) {
            Self::Separator
        } else if JOINERS.contains(&c) {
            Self::Joiner
        } else if VIRAMAS.contains(&c) {
            Self::Virama
        } else if BLANKS.contains(&c) {
            Self::Foreign
        } else if category == Category::ModifierLetter {
            Self::Modifier
        } else if c.general_category_group() == GeneralCategoryGroup::Letter {
            Self::Letter
        } else if matches!(category, Category::NonspacingMark | Category::SpacingMark) {
            // The third category of marks, the enclosing ones, draws keycaps and circles.
            Self::Mark
        } else {
            Self::Foreign
        }
    }
}

/// Whether each mark follows a letter or another mark, and each joiner stands between two such. After a
/// virama a joiner may also close the word: so ends രാജന്‍ where a keyboard writes the final n the old way.
fn in_place(kinds: &[Kind]) -> bool {
    let (mut word, mut joining, mut after_virama) = (false, false, false);
    for kind in kinds {
        match kind {
            Kind::Letter | Kind::Modifier => (word, joining, after_virama) = (true, false, false),
            Kind::Mark | Kind::Virama if !word => return false,
            Kind::Mark => (joining, after_virama) = (false, false),
            Kind::Virama => (joining, after_virama) = (false, true),
            Kind::Joiner if !word || joining => return false,
            Kind::Joiner => joining = true,
            Kind::Separator | Kind::Foreign if joining && !after_virama => return false,
            Kind::Separator | Kind::Foreign => (word, joining, after_virama) = (false, false, false),
        }
    }
    !joining || after_virama
}

/// The most marks that one letter carries. A joiner between marks starts no new letter.
fn most_marks(kinds: &[Kind]) -> usize {
    let (mut run, mut most) = (0, 0);
    for kind in kinds {
        match kind {
            Kind::Mark | Kind::Virama => run += 1,
            Kind::Joiner => {}
            Kind::Letter | Kind::Modifier | Kind::Separator | Kind::Foreign => run = 0,
        }
        most = most.max(run);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = "Name must be at least 3 characters long";
    const LONG: &str = "Name must be at most 100 characters long";
    const CHARACTERS: &str = "Name may contain only letters, spaces, hyphens, full stops and apostrophes";
    const NO_LETTER: &str = "Name must contain at least one letter";
    const PLACE: &str = "Name has an accent, vowel sign or joiner that belongs to no letter";
    const MARKS: &str = "Name must not have more than 8 marks on one letter";

    #[test]
    fn names_that_people_have() {
        for name in [
            "Gaurav",
            "गौरव",
            "A. R. Rahman",
            "José",
            "Jose\u{301}", // the same, decomposed
            "Kenzaburō Ōe",
            "O'Brien",
            "O’Brien",
            "'Abd al-Rahman",
            "’t Hooft",
            "Sánchez-Vicario",
            "Smith\u{2010}Jones", // the character that Unicode names HYPHEN
            "Nguyễn Thị Minh Khai",
            "மு. கருணாநிதி",
            "মোঃ রফিক",              // Md., with the visarga that Bengali uses there
            "मो॰ रफ़ी",               // Md., with Devanagari's abbreviation sign
            "ਗੁਰਪ੍ਰੀਤ ਸਿੰਘ",            // Gurmukhi
            "શ્રીકાંત",                // Gujarati
            "ଜଗନ୍ନାଥ",                 // Oriya
            "వెంకటేశ్వర్లు",             // Telugu
            "ಶ್ರೀನಿವಾಸ",                // Kannada
            "ശ്രീജിത്ത്",               // Malayalam, closed by a virama
            "രാജന\u{d4d}\u{200d}",    // the old spelling of a final n, a joiner at the end
            "श्रीमान\u{94d}\u{200c}", // a visible virama at the end
            "രാജന\u{d4d}\u{200d} നായര\u{d4d}\u{200d}",
            "ශ\u{dca}\u{200d}රී ලාල්", // Sinhala: virama, joiner, letter
            "علی\u{200c}رضا",       // Persian: non-joiner between letters
            "محمد بن سلمان",
            "דָּוִד",        // Hebrew with points
            "Kaʻahumanu", // okina, a modifier letter
            "山田\u{3000}太郎",
            "渡邉\u{e0100}太郎", // the way this family writes its name
            "မြွှေ့စိန်",             // Burmese, five marks on the first letter
            "Jean\u{a0}Paul",
            "Anna   Maria", // inner runs are kept
        ] {
            assert_eq!(Name::parse(name).map(|n| n.0), Ok(name.to_owned()));
        }
    }

    #[test]
    fn names_that_nobody_has() {
        for (input, why) in [
            ("", vec![SHORT]),
            ("  \u{3000} ", vec![SHORT]),
            ("Ōe", vec![SHORT]), // a real name, but the contract says three
            ("4u", vec![SHORT, CHARACTERS]),
            ("42", vec![SHORT, CHARACTERS, NO_LETTER]),
            ("1234", vec![CHARACTERS, NO_LETTER]),
            ("Asha2", vec![CHARACTERS]),
            ("Asha\u{967}", vec![CHARACTERS]), // a Devanagari digit
            ("Henry Ⅷ", vec![CHARACTERS]),     // a number by category
            ("Asha\nRao", vec![CHARACTERS]),
            ("Asha Rao\n", vec![CHARACTERS]), // trimming does not wash it
            ("\tAsha", vec![CHARACTERS]),
            ("Asha\u{85}", vec![CHARACTERS]), // a control character that is white space too
            ("Asha\0", vec![CHARACTERS]),
            ("Asha\u{7f}", vec![CHARACTERS]),
            ("Asha\u{2028}Rao", vec![CHARACTERS]), // line separator
            ("Asha 😀", vec![CHARACTERS]),
            ("Asha 🇮🇳", vec![CHARACTERS]),
            ("Asha\u{202e}oaR", vec![CHARACTERS]), // right-to-left override
            ("Asha\u{2066}Rao", vec![CHARACTERS]), // isolate
            ("Asha\u{200b}Rao", vec![CHARACTERS]), // zero-width space
            ("Asha\u{2060}Rao", vec![CHARACTERS]), // word joiner
            ("\u{feff}Asha", vec![CHARACTERS]),    // byte order mark
            ("As\u{ad}ha", vec![CHARACTERS]),      // soft hyphen
            ("Asha\u{20e3}", vec![CHARACTERS]),    // keycap, an enclosing mark
            ("Asha\u{e000}", vec![CHARACTERS]),    // private use
            ("Asha\u{ffff}", vec![CHARACTERS]),    // noncharacter
            ("Asha\u{fffd}", vec![CHARACTERS]),    // what a broken decoder leaves
            ("\u{3164}\u{3164}\u{3164}", vec![CHARACTERS, NO_LETTER]), // Hangul fillers, letters that show nothing
            ("Asha_Rao", vec![CHARACTERS]),
            ("asha@example.com", vec![CHARACTERS]),
            ("<b>Asha</b>", vec![CHARACTERS]),
            ("Asha, Rao", vec![CHARACTERS]),
            ("...", vec![NO_LETTER]),
            ("- ' -", vec![NO_LETTER]),
            ("ʼʼʼ", vec![NO_LETTER]), // modifier letters alone
            ("\u{301}\u{301}\u{301}", vec![NO_LETTER, PLACE]),
            ("\u{301}Asha", vec![PLACE]),
            ("Asha \u{301}Rao", vec![PLACE]),
            ("Asha-\u{93e}", vec![PLACE]),
            ("\u{200d}\u{200d}\u{200d}", vec![NO_LETTER, PLACE]),
            ("\u{200d}Asha", vec![PLACE]),
            ("Asha\u{200d}", vec![PLACE]),
            ("Asha\u{200c} Rao", vec![PLACE]),
            ("Asha-\u{200d}Rao", vec![PLACE]),
            ("As\u{200d}\u{200d}ha", vec![PLACE]),
            ("As\u{200c}\u{200d}ha", vec![PLACE]),
            ("राजन\u{94d}\u{200d}\u{200d}", vec![PLACE]), // one joiner closes a word, not two
            ("राज\u{93e}\u{200d}", vec![PLACE]),          // nor after another mark
            ("a1\u{301}", vec![CHARACTERS, PLACE]),
        ] {
            let why: Vec<String> = why.into_iter().map(String::from).collect();
            assert_eq!(Name::parse(input), Err(why), "{input:?}");
        }
    }

    #[test]
    fn three_to_a_hundred_characters_after_trimming() {
        for (letter, count, why) in [
            ("a", 2, Some(SHORT)),
            ("a", 3, None),
            ("a", 100, None),
            ("a", 101, Some(LONG)),
            ("ग", 2, Some(SHORT)), // characters, not bytes
            ("ग", 100, None),
            ("ग", 101, Some(LONG)),
            ("e\u{301}", 1, Some(SHORT)), // a mark is a character
            ("e\u{301}", 50, None),
            ("e\u{301}", 51, Some(LONG)),
        ] {
            let faults = Name::parse(&format!("   {}  ", letter.repeat(count))).err();
            assert_eq!(faults, why.map(|s| vec![s.to_owned()]), "{letter} {count} times");
        }
    }

    #[test]
    fn eight_marks_on_one_letter() {
        for (marks, why) in [(8, None), (9, Some(MARKS))] {
            let marks = "\u{301}".repeat(marks);
            let faults = Name::parse(&format!("Asha{marks}a{marks} Rao")).err();
            assert_eq!(faults, why.map(|s| vec![s.to_owned()]));
        }
        // Joiners in between start no new letter.
        let woven = "\u{301}\u{200d}".repeat(9);
        assert_eq!(Name::parse(&format!("a{woven}a")), Err(vec![MARKS.to_owned()]));
    }

    #[test]
    fn a_name_is_trimmed_and_does_not_show_in_a_log() {
        let name = Name::parse("\u{a0} Asha Rao ").unwrap();
        assert_eq!(name.as_str(), "Asha Rao");
        assert_eq!(format!("{name:?}"), "Name(..)");
    }
}
