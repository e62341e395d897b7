//! Reading senders and templates from the settings.

use super::*;

const MG: &str = "MG0123456789abcdef0123456789ABCDEF";
const HX: &str = "HX0123456789abcdef0123456789abcdef";

#[test]
fn a_sender_is_a_number_a_service_or_a_name() {
    for (text, sender) in [
        ("+15005550006", Sender::Number("+15005550006".into())),
        (" +15005550006 ", Sender::Number("+15005550006".into())),
        ("12345", Sender::Number("12345".into())),
        (MG, Sender::MessagingService(MG.into())),
        ("Loopin", Sender::Alphanumeric("Loopin".into())),
        ("A&B + C-D_1", Sender::Alphanumeric("A&B + C-D_1".into())),
        ("123A", Sender::Alphanumeric("123A".into())),
        ("MG0123", Sender::Alphanumeric("MG0123".into())),
    ] {
        assert_eq!(text.parse(), Ok(sender.clone()), "{text}");
        // `Debug` does not show the sender, so the values are compared.
        assert!(text.parse::<Sender>().unwrap() == sender);
    }
    for (text, why) in [
        ("", "nothing"),
        (" ", "nothing"),
        ("+", "no digits"),
        ("+123456", "too short for a number"),
        ("+1234567890123456", "too long for a number"),
        ("+0123456789", "no country code begins with 0"),
        ("12", "too short for a short code"),
        ("123456789", "too long for a short code, and a number without its plus"),
        ("+1 500", "spaces in a number, and no letter"),
        ("ABCDEFGHIJKL", "twelve characters"),
        ("Café", "not ASCII"),
        ("Lo.pin", "a dot"),
        ("- _", "no letter"),
        (&MG[..33], "a digit short, and too long for a name"),
        (&MG.replace('0', "g"), "not hex"),
        (HX, "a template"),
    ] {
        assert_eq!(text.parse::<Sender>(), Err(NoSender), "{text}: {why}");
    }
}

#[test]
fn each_country_has_its_sender() {
    let senders = Senders::parse(&format!("IN={MG}, us=+15005550006 ,* = Loopin")).unwrap();
    for (phone, sender) in [
        (PHONE, Sender::MessagingService(MG.into())),
        ("+12025550123", Sender::Number("+15005550006".into())),
        // Canada shares the country code of the United States.
        ("+14165550123", Sender::Alphanumeric("Loopin".into())),
        ("+447911123456", Sender::Alphanumeric("Loopin".into())),
    ] {
        let phone = PhoneNumber::from_e164(phone).unwrap();
        assert!(senders.for_phone(&phone) == Some(&sender), "{phone}");
    }
    let senders = Senders::parse("US=+15005550006").unwrap();
    assert!(senders.for_phone(&PhoneNumber::from_e164(PHONE).unwrap()).is_none());
}

#[test]
fn a_fault_in_the_senders_is_named_by_its_country() {
    use SendersError::{NoCountry, NoPair, Twice};
    for (text, error) in [
        ("", NoPair(1)),
        ("IN=Loopin,", NoPair(2)),
        ("IN=Loopin,+15005550006", NoPair(2)),
        ("XX=Loopin", NoCountry("XX".into())),
        ("India=Loopin", NoCountry("India".into())),
        ("=Loopin", NoCountry(String::new())),
        ("IN=", SendersError::NoSender("IN".into())),
        ("*=+0", SendersError::NoSender("*".into())),
        ("IN=Loopin,in=Other", Twice("IN".into())),
        ("*=Loopin,*=Other", Twice("*".into())),
    ] {
        assert_eq!(Senders::parse(text).unwrap_err(), error, "{text}");
    }
    let error = Senders::parse("IN=+0123456789").unwrap_err().to_string();
    assert!(error.starts_with("the sender of IN must be a number"), "{error}");
    assert!(!error.contains("0123456789"), "{error}");
}

#[test]
fn a_template_is_chosen_by_language() {
    let other = |end: &str| format!("{}{end}", &HX[..33]);
    let text = format!("en={}, hi={},pt-BR={},*={}", other("1"), other("2"), other("3"), other("4"));
    let content = WhatsApp::parse_content(&text).unwrap();
    let whatsapp = |content| WhatsApp { sender: Sender::Number("+15005550006".into()), content };
    let all = whatsapp(content.clone());
    for (language, end) in
        [("en", "1"), ("hi", "2"), ("hi-IN", "2"), ("pt-BR", "3"), ("pt", "4"), ("fr", "4")]
    {
        assert_eq!(all.content_for(language), Some(other(end).as_str()), "{language}");
    }
    // Without a template for all others: the English one, else the first.
    let some = whatsapp(content[..2].to_vec());
    assert_eq!(some.content_for("fr"), Some(other("1").as_str()));
    let hindi = whatsapp(content[1..2].to_vec());
    assert_eq!(hindi.content_for("fr"), Some(other("2").as_str()));
    assert_eq!(whatsapp(Vec::new()).content_for("en"), None);

    let one = whatsapp(WhatsApp::parse_content(HX).unwrap());
    assert_eq!(one.content_for("hi"), Some(HX));
}

#[test]
fn a_fault_in_the_templates_is_named_by_its_language() {
    use ContentError::{NoContent, NoLanguage, NoPair, Twice};
    for (text, error) in [
        (String::new(), NoPair(1)),
        (format!("en={HX},{HX}"), NoPair(2)),
        (format!("english={HX}"), NoLanguage("english".into())),
        (format!("e={HX}"), NoLanguage("e".into())),
        (format!("={HX}"), NoLanguage(String::new())),
        (format!("en={MG}"), NoContent("en".into())),
        (format!("en={HX},EN={HX}"), Twice("en".into())),
    ] {
        assert_eq!(WhatsApp::parse_content(&text), Err(error), "{text}");
    }
}
