use super::*;

fn region(letters: &str) -> Region {
    letters.parse().unwrap()
}

fn read(text: &str, letters: &str) -> Result<String, PhoneError> {
    PhoneNumber::parse(text, region(letters)).map(|number| number.full().to_owned())
}

/// The rows of `examples.txt`: region, mobile number in E.164, the same number in national format, a number that is
/// refused.
fn examples() -> impl Iterator<Item = [&'static str; 4]> {
    include_str!("examples.txt").lines().filter(|line| !line.starts_with('#')).map(|line| {
        let columns: Vec<_> = line.split('\t').collect();
        columns.try_into().unwrap()
    })
}

#[test]
fn every_spelling_of_an_indian_number_is_one_number() {
    for text in [
        "+916205829376",
        "00916205829376",
        "916205829376",  // without the plus
        "6205829376",    // national
        "06205829376",   // with the national prefix
        "0 62058-29376", // as usually written
        "+91 62058 29376",
        "(+91) 62058.29376",
        "+91-62058-29376",
        "+91\u{A0}62058\u{2011}29376",           // no-break space and hyphen
        "+91\u{202F}62058\u{2013}29376",         // narrow space, en dash
        "+91 62058\u{2014}29376",                // em dash
        "+91\u{2009}62058\u{2212}29376",         // thin space, minus
        "\u{202A}+91 62058 29376\u{202C}",       // copied from an address book
        "\u{2066}+91\u{200B}6205829376\u{2069}", // copied from another one
        "  +916205829376  ",
    ] {
        assert_eq!(read(text, "IN").as_deref(), Ok("+916205829376"), "{text:?}");
    }
}

/// Series that became mobile recently, among fixed lines.
#[test]
fn newer_indian_mobiles_are_taken_and_their_fixed_neighbours_refused() {
    for national in [
        "7931300000", // mobile numbers among fixed lines
        "7931399999",
        "7960000000", // all of 796, formerly fixed lines in Ahmedabad
        "7969999999",
        "7970000000", // all of 797
        "7970999999",
        "7971000000",
        "7971234567",
        "7971999999",
        "7972000000",
        "7978999999",
        "7979000000",
        "7979100000",
        "7979699999",
        "7979700000",
        "7979999999",
        "7980000000", // mobile for a long time
        "7909999999",
    ] {
        let number = format!("+91{national}");
        for text in [&number, national, &format!("0{national}"), &format!("91{national}")] {
            assert_eq!(read(text, "IN").as_deref(), Ok(number.as_str()), "{text}");
        }
        assert_eq!(
            read(&format!("+91 0{national}"), "IN"),
            Err(PhoneError::NotInPlan),
            "the home prefix has no place behind a country code"
        );
    }
    for national in [
        "7910000000", // still fixed lines in Ahmedabad
        "7931299999",
        "7931400000",
        "7950000000",
        "7959999999",
    ] {
        assert_eq!(read(&format!("+91{national}"), "IN"), Err(PhoneError::NotPersonal), "{national}");
    }
    for text in ["+91796000000", "+9179600000000", "+91797123456", "+9179712345678"] {
        assert_eq!(read(text, "IN"), Err(PhoneError::NotInPlan), "{text}: not ten digits");
    }
}

#[test]
fn home_digits_are_read_as_national_before_they_are_read_as_international() {
    for (home, text, number, why) in [
        ("IN", "9162058293", "+919162058293", "ten digits that begin with 91 are a whole Indian number"),
        ("IN", "09162058293", "+919162058293", "the same behind the national prefix"),
        ("IN", "919162058293", "+919162058293", "and behind the country code"),
        (
            "IN",
            "9607712345",
            "+919607712345",
            "an Indian number, though +960 771 2345 is one of the Maldives",
        ),
        ("US", "(415) 555-0123", "+14155550123", "national"),
        ("US", "1 415 555 0123", "+14155550123", "the national prefix and the country code are both 1"),
        ("GB", "44 7911 123456", "+447911123456", "an own number without its plus"),
        ("CN", "16109342507", "+8616109342507", "a Chinese mobile of a new series, and no number of the USA"),
        ("RU", "7 916 123 45 67", "+79161234567", "an own number without its plus"),
        ("KZ", "7 916 123 45 67", "+79161234567", "Russia shares the country code"),
        ("CA", "202 555 0123", "+12025550123", "the regions of one country code share their numbers"),
    ] {
        assert_eq!(read(text, home).as_deref(), Ok(number), "{text} at {home}: {why}");
    }
}

#[test]
fn each_country_has_its_own_way_to_write_at_home() {
    for (home, text, number, why) in [
        ("GB", "07911 123456", "+447911123456", "the national prefix goes"),
        (
            "RU",
            "8 916 123-45-67",
            "+79161234567",
            "8 is the national prefix and no number of Vietnam (+84) is made of it",
        ),
        ("HU", "06 20 123 4567", "+36201234567", "the national prefix of Hungary is 06"),
        ("LT", "0 612 34567", "+37061234567", "that of Lithuania 0"),
        ("LT", "8 612 34567", "+37061234567", "or 8 of old"),
        ("BY", "8 029 491 19 11", "+375294911911", "that of Belarus 80 or 8"),
        ("BR", "0 15 11 96123-4567", "+5511961234567", "a carrier's code stands behind the prefix"),
        ("AR", "011 15-2345-6789", "+5491123456789", "a mobile's 15 at home is a 9 abroad"),
        ("MX", "55 1234 5678", "+525512345678", "the old 1 is neither wanted nor put in"),
        ("BM", "370 1234", "+14413701234", "seven digits want their 441"),
        ("IT", "312 345 6789", "+393123456789", "no prefix"),
        ("CI", "01 23 45 6789", "+2250123456789", "the 0 belongs to the number"),
        ("GA", "06 03 12 34", "+24106031234", "the 0 belongs to the number"),
        ("GA", "066 01 23 45", "+24166012345", "the 0 is the national prefix"),
    ] {
        assert_eq!(read(text, home).as_deref(), Ok(number), "{text} at {home}: {why}");
    }
}

#[test]
fn international_digits_are_kept_as_they_stand() {
    for number in [
        "+24106031234",   // Gabon: without the 0 it would be another user's number, +2416031234
        "+2416031234",    // which is this number
        "+2250123456789", // Côte d'Ivoire
        "+2290195123456", // Benin
        "+242061234567",  // Congo
        "+5491123456789", // Argentina, with the 9 of mobiles
        "+15005550001",   // Twilio's magic numbers are personal numbers
        "+15005550006",
        "+15005550009",
        "+12025550101", // numbers for films, and for app reviewers
        "+12025550199",
        "+881612345678", // a network without a country
    ] {
        assert_eq!(read(number, "IN").as_deref(), Ok(number));
        assert_eq!(read(&number.replacen('+', "00", 1), "IN").as_deref(), Ok(number));
    }
}

#[test]
fn what_is_no_personal_number_is_refused() {
    use PhoneError::{NotInPlan, NotPersonal};
    for (home, text, error, why) in [
        ("IN", "+91 06205829376", NotInPlan, "the home prefix has no place behind a country code"),
        (
            "IN",
            "+44 (0)7911 123456",
            NotInPlan,
            "not even in parentheses: in Gabon it would make another number",
        ),
        ("IN", "+0916205829376", NotInPlan, "no country code begins with 0"),
        ("IN", "000916205829376", NotInPlan, "one 0 too many"),
        ("IN", "+999123456789", NotInPlan, "no such country code"),
        ("IN", "+9162058293", NotInPlan, "two digits too few, though as a national number it would do"),
        ("IN", "+9162058293761", NotInPlan, "one digit too many"),
        ("IN", "+915205829376", NotInPlan, "no Indian number begins with 52058"),
        ("IN", "+15555550123", NotInPlan, "there is no area 555"),
        ("IN", "+387611234567", NotInPlan, "a pattern of Bosnia's fits its beginning only"),
        ("IN", "+1", NotInPlan, "a country code alone"),
        ("IN", "00", NotInPlan, "no digit of a number"),
        ("IN", "+911122345678", NotPersonal, "fixed line in Delhi"),
        ("IN", "011 2234 5678", NotPersonal, "the same, national"),
        (
            "IN",
            "6581234567",
            NotPersonal,
            "a fixed line in Jharkhand, so +65 8123 4567 of Singapore must be written with its plus",
        ),
        ("IN", "1800 123 4567", NotPersonal, "toll-free"),
        ("IN", "+18002530000", NotPersonal, "toll-free"),
        ("IN", "+19002530000", NotPersonal, "premium rate"),
        ("IN", "+80012345678", NotPersonal, "toll-free of no country"),
    ] {
        assert_eq!(read(text, home), Err(error), "{text} at {home}: {why}");
    }
}

#[test]
fn only_digits_separators_and_one_plus_in_front_are_read() {
    for (text, why) in [
        ("+91٦٢٠٥٨٢٩٣٧٦", "Arabic digits"),
        ("+91६२०५८२९३७६", "Devanagari digits"),
        ("+91６２０５８２９３７６", "wide digits"),
        ("＋916205829376", "a wide plus"),
        ("+91 6205829376 ext. 12", "an extension"),
        ("+916205829376x12", "an extension"),
        ("+916205829376;ext=12", "an extension"),
        ("+916205829376,12", "a pause"),
        ("+916205829376#", "a hash"),
        ("tel:+916205829376", "a URL"),
        ("+1 800 FLOWERS", "letters"),
        ("abc", "letters"),
        ("++916205829376", "two pluses"),
        ("+91+6205829376", "an inner plus"),
        ("6205829376+", "a plus behind"),
        ("00+916205829376", "an inner plus"),
        ("+91620582937\0", "NUL"),
        ("+91\t6205829376", "a tab"),
        ("+916205829376\n", "a line end"),
        ("+91/6205829376", "a slash"),
        ("+91 [62058] 29376", "brackets"),
        ("\u{202E}+916205829376", "digits shown in another order than stored"),
    ] {
        assert_eq!(read(text, "IN"), Err(PhoneError::Character), "{why}");
    }
    for text in ["", " ", "+", "-", "( )", "+ -"] {
        assert_eq!(read(text, "IN"), Err(PhoneError::Missing), "{text:?}");
    }
}

#[test]
fn no_more_than_64_characters_are_looked_at() {
    let padded = |length: usize| format!("{:>length$}", "+916205829376");
    assert_eq!(read(&padded(64), "IN").as_deref(), Ok("+916205829376"));
    assert_eq!(read(&padded(65), "IN"), Err(PhoneError::TooLong));
    assert_eq!(read(&"\u{2014}".repeat(64), "IN"), Err(PhoneError::Missing), "characters, not bytes");
    assert_eq!(read(&"x".repeat(10_000_000), "IN"), Err(PhoneError::TooLong));
}

#[test]
fn every_region_has_its_mobile_number_taken_in_each_spelling() {
    let mut rows = 0;
    for [home, number, national, _] in examples() {
        rows += 1;
        let digits = &number[1..];
        for (at, text) in [
            (home, number.to_owned()),
            (home, national.to_owned()),
            ("IN", number.to_owned()),
            ("IN", format!("00{digits}")),
            ("IN", format!(" ({}) {}.{}-{} ", &number[..2], &number[2..4], &number[4..6], &number[6..])),
        ] {
            assert_eq!(read(&text, at).as_deref(), Ok(number), "{text} at {at}");
        }
        // Without the plus it is the same number in its own region, unless the plan has those digits: Germany has a
        // fixed line for 49 15123456789. In other regions it is refused, unless the digits are a number of that
        // region: some are Indian mobiles.
        match read(digits, home) {
            Ok(read) => assert_eq!(read, number, "{digits} at {home}"),
            Err(error) => assert_eq!(error, PhoneError::NotPersonal, "{digits} at {home}"),
        }
        match read(digits, "IN") {
            Ok(read) => assert!(read == format!("+91{digits}") || home == "IN", "{digits} as {read}"),
            Err(error) => assert_ne!(error, PhoneError::NotInPlan, "{digits} at IN"),
        }
        assert_eq!(PhoneNumber::from_e164(number).unwrap().full(), number);
    }
    assert!(rows > 240, "examples.txt has {rows} rows");
}

#[test]
fn every_region_has_its_fixed_or_service_number_refused() {
    for [home, _, _, refused] in examples().filter(|row| row[3] != "-") {
        for at in [home, "IN"] {
            assert_eq!(read(refused, at), Err(PhoneError::NotPersonal), "{refused} at {at}");
        }
    }
}

/// A mistyped number must never become one of another country.
#[test]
fn a_number_of_another_country_needs_its_plus() {
    for (home, text, why) in [
        (
            "IN",
            "84382746639",
            "an Indian number with a digit too many, and +84 382 746 639 is one of Vietnam",
        ),
        ("IN", "447911123456", "no Indian number begins with 44 and has twelve digits"),
        ("IN", "14155550123", "eleven digits that begin with 1 are no Indian number"),
        ("IN", "9162058293761", "the own country code, and a digit too many"),
        ("IN", "1", "too short for anything"),
        ("IN", "123456789012345678901234567890", "longer than any number"),
        ("US", "916205829376", "Indian"),
        ("CN", "1610934250", "a digit too few"),
        ("DE", "14155550123", "American"),
    ] {
        assert_eq!(read(text, home), Err(PhoneError::NoPlus), "{text} at {home}: {why}");
    }
    assert!(PhoneError::NoPlus.to_string().contains("with a plus"));
}

/// Each of these became valid with a release of libphonenumber in 2025 or 2026.
#[test]
fn numbers_of_new_series_are_taken() {
    for number in [
        "+19835002345",
        "+905823141756",
        "+212730012345",
        "+254135123456",
        "+4915410123456",
        "+61496012345",
        "+46780123456",
        "+8616109342507",
    ] {
        assert_eq!(read(number, "IN").as_deref(), Ok(number));
    }
}

#[test]
fn two_zeros_are_a_plus_only_where_they_alone_lead_abroad() {
    for home in ["IN", "GB", "DE", "CN", "FR", "GA", "FI", "NZ", "TA"] {
        assert_eq!(read("0014155550123", home).as_deref(), Ok("+14155550123"), "{home}");
    }
    // Elsewhere the prefix for calls abroad is another, or a carrier code follows the zeros.
    for home in ["BR", "CO", "CV", "HK", "KH", "KR", "SG", "TH", "WS", "US", "JP", "AU", "BO", "RU", "KE"] {
        for text in ["0014155550123", "00916205829376", "00447911123456", "00"] {
            assert_eq!(read(text, home), Err(PhoneError::NoPlus), "{text} at {home}");
        }
    }
    assert_eq!(read("006581234567", "SG"), Err(PhoneError::NoPlus), "even an own number");
}

/// No input causes a panic, and international digits are returned unchanged.
#[test]
fn no_text_panics_and_no_number_becomes_another() {
    let alphabet: Vec<char> =
        "00112233445566778899+++-. ()/x;=#\0\u{A0}\u{2013}\u{661}９é🙂".chars().collect();
    let homes: Vec<Region> = examples().map(|[home, ..]| region(home)).collect();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % bound
    };
    let mut taken = 0;
    for round in 0..60_000 {
        // Every second text has digits only, because hardly any other text is a number.
        let choice = if round % 2 == 0 { 20 } else { alphabet.len() };
        let mut text: String = (0..random(18)).map(|_| alphabet[random(choice)]).collect();
        text.insert_str(0, ["", "+", "00", "0", "+1", "+91", "91"][random(7)]);
        let Ok(number) = PhoneNumber::parse(&text, homes[random(homes.len())]) else {
            continue;
        };
        taken += 1;
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        if text.contains('+') {
            assert_eq!(number.full(), format!("+{digits}"), "{text:?}");
        } else if let Some(digits) = digits.strip_prefix("00") {
            assert_eq!(number.full(), format!("+{digits}"), "{text:?}");
        }
        assert_eq!(PhoneNumber::from_e164(number.full()).as_ref(), Some(&number));
        assert_eq!(PhoneNumber::parse(number.full(), homes[0]).as_ref(), Ok(&number));
    }
    assert!(taken > 300, "only {taken} of the texts were numbers");
}

#[test]
fn a_number_is_read_back_only_in_the_shape_it_was_written() {
    for text in ["+916205829376", "+6834123", "+123456789012345", "+15555550123"] {
        assert_eq!(PhoneNumber::from_e164(text).unwrap().full(), text);
    }
    for (text, why) in [
        ("", "nothing"),
        ("+", "no digit"),
        ("916205829376", "no plus"),
        ("+91 6205829376", "a space"),
        ("+0916205829376", "no country code begins with 0"),
        ("+123456", "too short"),
        ("+1234567890123456", "longer than E.164 allows"),
        ("+9162058२9376", "a digit of another script"),
        ("++16205829376", "two pluses"),
    ] {
        assert_eq!(PhoneNumber::from_e164(text), None, "{why}");
    }
}

#[test]
fn a_number_is_shown_with_its_last_four_digits() {
    for (number, shown) in [
        ("+916205829376", "+91******9376"),
        ("+14155550123", "+1******0123"),
        ("+2250123456789", "+225******6789"),
        ("+6834123", "+683**23"), // never more than half
        ("+24740123", "+247***23"),
        ("+9991234567", "+******4567"), // no such country code
    ] {
        let number = PhoneNumber::from_e164(number).unwrap();
        assert_eq!(number.to_string(), shown);
        assert_eq!(format!("{number:?}"), shown);
        assert_eq!(format!("{:?}", Some(&number)), format!("Some({shown})"));
    }
}

#[test]
fn a_region_is_two_letters_that_have_a_plan() {
    for text in ["IN", "in", "In", "US", "XK"] {
        assert_eq!(region(text).to_string(), text.to_uppercase());
    }
    for text in ["", "I", "IND", "ZZ", "001", "91", " IN", "ıN", "India", "AQ"] {
        assert_eq!(text.parse::<Region>(), Err(UnknownRegion), "{text:?}");
    }
    assert_ne!(region("IN"), region("US"));
    assert_eq!(format!("{:?}", region("IN")), "IN");
    assert!(UnknownRegion.to_string().contains("two letters"));
}

#[test]
fn the_plans_say_how_old_they_are() {
    let edition = Edition::from_plans();
    assert!(edition.released >= "2026-11-06".parse().unwrap(), "{edition}");
    assert_eq!(edition.to_string(), format!("{} of {}", edition.version, edition.released));
}

#[test]
fn lists_show_the_country_and_three_digits() {
    for (number, masked) in [
        ("+916205829376", "+91 ••••• ••376"),
        ("+12025550100", "+1 ••••• ••100"),
        ("+4915123456789", "+49 ••••• •••789"),
        ("+6834567", "+683 ••67"),
    ] {
        assert_eq!(PhoneNumber::from_e164(number).unwrap().masked(), masked);
    }
}
