use super::*;

fn region() -> Region {
    "IN".parse().unwrap()
}

#[test]
fn names_are_compared_without_regard_to_case_and_composition() {
    for (one, other) in [
        ("Gaurav", "gAURAV"),
        ("JOSÉ", "jose\u{301}"),
        ("Straße", "STRASSE"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("οδυσ", "οδυς"),
        ("ÅNGSTRÖM", "a\u{30a}ngstro\u{308}m"),
        ("ДМИТРИЙ", "дмитрий"),
        ("ﬁona", "FIONA"),
        ("गौरव", "गौरव"),
    ] {
        assert_eq!(fold(one), fold(other), "{one} and {other}");
    }
    for (one, other) in [("n", "ñ"), ("e", "é"), ("a", "b")] {
        assert_ne!(fold(one), fold(other), "{one} and {other}");
    }
    // Folding is idempotent: a search word is folded once, a name was folded when it was stored.
    for text in ["İstanbul", "ıﬀΰſ", "ǰ", "ŉ", "ΐ"] {
        assert_eq!(fold(&fold(text)), fold(text), "{text}");
    }
}

#[test]
fn pages_are_counted_from_one() {
    for (text, number) in
        [(None, 1), (Some("1"), 1), (Some("007"), 7), (Some("9223372036854775807"), i64::MAX.unsigned_abs())]
    {
        assert_eq!(Number::parse(text).map(|number| number.0), Ok(number), "{text:?}");
    }
    for text in ["", "0", "-1", "+1", " 1", "1.0", "one", "٣", "9223372036854775808", "18446744073709551616"]
    {
        assert_eq!(Number::parse(Some(text)).map(|number| number.0), Err(PageError::Number), "{text:?}");
    }
    for (text, size) in [(None, 20), (Some("1"), 1), (Some("100"), 100)] {
        assert_eq!(Size::parse(text).map(|size| size.0), Ok(size), "{text:?}");
    }
    for text in ["", "0", "101", "-5", "ten"] {
        assert_eq!(Size::parse(Some(text)).map(|size| size.0), Err(PageError::Size), "{text:?}");
    }
}

#[test]
fn what_stands_before_a_page_fits_into_the_numbers_of_a_database() {
    let page = |number, size| PageOf { number, size };
    for (page, offset) in
        [(page(1, 20), 0), (page(3, 20), 40), (page(i64::MAX.unsigned_abs(), 100), i64::MAX.unsigned_abs())]
    {
        assert_eq!(page.offset(), offset, "{page:?}");
    }
    for (total, pages) in [(0, 0), (1, 1), (20, 1), (21, 2)] {
        assert_eq!(page(1, 20).pages(total), pages, "{total}");
    }
}

#[test]
fn a_search_is_words_and_perhaps_a_phone() {
    let parse = |text: &str| Search::parse(text, region()).unwrap();
    let words = |text: &str| parse(text).words().to_vec();
    assert_eq!(words("  Gaurav\u{3000}KUMAR "), ["gaurav", "kumar"]);
    assert!(words(" ").is_empty() && parse("").digits().is_none());
    for (text, digits) in [
        ("+91 62058-29376", Some("916205829376")),
        ("(6205) 8.29", Some("6205829")),
        ("12", Some("12")),
        ("+", None),
        ("62058 29376 x", None),
        ("٣٤", None), // no phone contains digits of another script
    ] {
        assert_eq!(parse(text).digits(), digits, "{text}");
    }
    for (text, phone) in
        [("062058 29376", Some("+916205829376")), ("0091 6205829376", Some("+916205829376")), ("12", None)]
    {
        assert_eq!(parse(text).phone().map(PhoneNumber::full), phone, "{text}");
    }
}

#[test]
fn what_nobody_searches_for_is_refused() {
    for text in ["a\0b", "\n", "a\tb", "\u{85}", "\u{7f}"] {
        assert_eq!(Search::parse(text, region()), Err(SearchError::Control), "{text:?}");
    }
    assert!(Search::parse(&"ग".repeat(100), region()).is_ok());
    assert!(Search::parse(&format!(" {} ", "g".repeat(100)), region()).is_ok());
    assert_eq!(Search::parse(&"g".repeat(101), region()), Err(SearchError::Long));
    assert_eq!(format!("{:?}", Search::parse("Gaurav", region()).unwrap()), "Search(..)");
}

#[test]
fn an_edit_shows_no_name_and_knows_what_it_takes_away() {
    let email = Some(Some(Email::parse("gaurav@example.com").unwrap()));
    let edit = Edit { email, ..Edit::default() };
    assert!(!format!("{edit:?}").contains("gaurav") && !edit.is_about_rights());
    for (edit, takes) in [
        (Edit::switch(false), true),
        (Edit::switch(true), false),
        (Edit { role: Some(Role::Staff), ..Edit::default() }, true),
        (Edit { role: Some(Role::Admin), ..Edit::default() }, false),
        (Edit { role: Some(Role::Admin), ..Edit::switch(false) }, true),
    ] {
        assert!(edit.is_about_rights());
        assert_eq!(edit.takes_an_admin_away(), takes, "{edit:?}");
    }
}
