use super::*;

const SHORT: &str = "Name must be at least 3 characters long";
const LONG: &str = "Name must be at most 100 characters long";
const CHARACTERS: &str =
    "Name may contain only letters, spaces, hyphens, full stops, middle dots and apostrophes";
const NO_LETTER: &str = "Name must contain at least one letter";
const PLACE: &str = "Name has an accent, vowel sign or joiner that belongs to no letter";
const MARKS: &str = "Name must not have more than 8 marks on one letter";

/// Parses with the default minimum length.
fn read(text: &str) -> Result<Name, FieldErrors> {
    Name::parse(text, 3)
}

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
        "渡邉\u{e0100}太郎", // a family's own variant of the character
        "မြွှေ့စိန်",             // Burmese, five marks on the first letter
        "Jean\u{a0}Paul",
        "Anna   Maria", // inner runs are kept
        "བསོད་ནམས",      // Tibetan, tsheg between syllables
        "བསོད་ནམས་",     // and after the last one
        "\u{2018}Abd al-Rahman",
        "D\u{ff07}Angelo",
        "Gal·la Miralles",
        "Gal\u{387}la Miralles", // canonically the same
        "卡尔·马克思",
        "卡尔\u{2027}马克思",
        "ジョン・スミス",
        "ｼﾞｮﾝ･ｽﾐｽ",
        "マリー゠アントワネット",
        "ז׳בוטינסקי",
        "רש״י הצרפתי",
        "בן\u{5be}גוריון",
        "Մարի՚ան Պետրոսյան",
        "Մարիա Հակոբյան\u{58a}Պետրոսյան",
        "አበበ፡ቢቂላ",
        "ᠬᠠᠷ\u{180e}ᠠ ᠮᠥᠩᠬᠡ", // Mongolian vowel separator
        "Oʻtkir Hoshimov",    // modifier letters are letters
        "Мар\u{2bc}яна Сірко",
        "Sa\u{2bb}ia",
        "Smith–Jones", // an en dash, as word processors write it
        "Jean\u{202f}Paul",
        "佐々木",
    ] {
        assert_eq!(read(name).map(|n| n.0), Ok(name.to_owned()));
    }
}

#[test]
fn names_that_nobody_has() {
    for (input, why) in [
        ("", vec![SHORT]),
        ("  \u{3000} ", vec![SHORT]),
        ("Ōe", vec![SHORT]), // a real name: a lower NAME_MIN_CHARACTERS accepts it
        ("4u", vec![SHORT, CHARACTERS]),
        ("42", vec![SHORT, CHARACTERS, NO_LETTER]),
        ("1234", vec![CHARACTERS, NO_LETTER]),
        ("Asha2", vec![CHARACTERS]),
        ("Asha\u{967}", vec![CHARACTERS]), // a Devanagari digit
        ("Henry Ⅷ", vec![CHARACTERS]),     // a number by category
        ("Asha\nRao", vec![CHARACTERS]),
        ("Asha Rao\n", vec![CHARACTERS]), // trimming does not remove it
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
        ("Asha\u{fffd}", vec![CHARACTERS]),    // the replacement character of a broken decoder
        ("\u{3164}\u{3164}\u{3164}", vec![CHARACTERS, NO_LETTER]), // Hangul fillers: invisible letters
        ("Asha_Rao", vec![CHARACTERS]),
        ("asha@example.com", vec![CHARACTERS]),
        ("<b>Asha</b>", vec![CHARACTERS]),
        ("Asha, Rao", vec![CHARACTERS]),
        ("S:t Erik", vec![CHARACTERS]),
        ("Asha • Rao", vec![CHARACTERS]), // a bullet
        ("Asha*", vec![CHARACTERS]),
        ("Asha `Rao", vec![CHARACTERS]),
        ("...", vec![NO_LETTER]),
        ("・・・", vec![NO_LETTER]),
        ("་་་", vec![NO_LETTER]),
        ("- ' -", vec![NO_LETTER]),
        ("ʼʼʼ", vec![NO_LETTER]), // modifier letters alone
        ("\u{301}\u{301}\u{301}", vec![NO_LETTER, PLACE]),
        ("\u{301}Asha", vec![PLACE]),
        ("Asha \u{301}Rao", vec![PLACE]),
        ("Asha-\u{93e}", vec![PLACE]),
        ("Asha·\u{301}Rao", vec![PLACE]),
        ("\u{200d}\u{200d}\u{200d}", vec![NO_LETTER, PLACE]),
        ("\u{200d}Asha", vec![PLACE]),
        ("Asha\u{200d}", vec![PLACE]),
        ("Asha\u{200c} Rao", vec![PLACE]),
        ("Asha-\u{200d}Rao", vec![PLACE]),
        ("As\u{200d}\u{200d}ha", vec![PLACE]),
        ("As\u{200c}\u{200d}ha", vec![PLACE]),
        ("राजन\u{94d}\u{200d}\u{200d}", vec![PLACE]), // only one joiner may end a word
        ("a1\u{301}", vec![CHARACTERS, PLACE]),
    ] {
        let why: Vec<String> = why.into_iter().map(String::from).collect();
        assert_eq!(read(input), Err(why), "{input:?}");
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
        let errors = read(&format!("   {}  ", letter.repeat(count))).err();
        assert_eq!(errors, why.map(|s| vec![s.to_owned()]), "{letter} {count} times");
    }
}

#[test]
fn eight_marks_on_one_letter() {
    for (count, why) in [(8, None), (9, Some(MARKS))] {
        let marks = "\u{301}".repeat(count);
        let errors = read(&format!("Asha{marks}a{marks} Rao")).err();
        assert_eq!(errors, why.map(|s| vec![s.to_owned()]));
    }
    // Joiners between marks do not start a new letter.
    let interleaved = "\u{301}\u{200d}".repeat(9);
    assert_eq!(read(&format!("a{interleaved}a")), Err(vec![MARKS.to_owned()]));
}

#[test]
fn a_name_is_trimmed_and_does_not_show_in_a_log() {
    let name = read("\u{a0} Asha Rao ").unwrap();
    assert_eq!(name.as_str(), "Asha Rao");
    assert_eq!(format!("{name:?}"), "Name(..)");
}

#[test]
fn the_setting_says_how_short_a_name_may_be() {
    for (text, length) in [("王", 1), ("王明", 2), ("Bo", 2), ("Li", 2), ("Ana", 3), ("Gaurav Kum", 10)] {
        for min in 1..=10 {
            let sentence = match min {
                1 => "Name must be at least 1 character long".to_owned(),
                _ => format!("Name must be at least {min} characters long"),
            };
            let expected = if min <= length { Ok(text.to_owned()) } else { Err(vec![sentence]) };
            assert_eq!(Name::parse(text, min).map(|name| name.0), expected, "{text} of {min}");
        }
    }
    assert_eq!(Name::parse(" ", 1), Err(vec!["Name must be at least 1 character long".to_owned()]));
}
