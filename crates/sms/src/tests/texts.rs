//! The texts of the messages.

use std::{fs, path::PathBuf};

use super::*;
use domain::delivery::Platform::{self, Android, Ios, Web};

pub const HASH: &str = "FA+9qCX9VSu";

pub fn settings() -> TextSettings {
    TextSettings { product: "Loopin".to_owned(), ..TextSettings::default() }
}

pub fn texts(settings: TextSettings) -> Texts {
    Texts::load(settings).unwrap()
}

pub fn errors(settings: TextSettings) -> String {
    Texts::load(settings).unwrap_err().to_string()
}

pub fn compose(texts: &Texts, channel: Channel, languages: &[&str], platform: Option<Platform>) -> Text {
    composed(texts, channel, languages, platform, 10)
}

pub fn composed(
    texts: &Texts,
    channel: Channel,
    languages: &[&str],
    platform: Option<Platform>,
    minutes: i64,
) -> Text {
    let languages: Vec<String> = languages.iter().map(|tag| (*tag).to_owned()).collect();
    let code = SecretString::from("1097");
    texts.compose(&Wording { channel, languages: &languages, platform, code: &code, minutes })
}

pub fn body(text: &Text) -> &str {
    text.body.expose_secret()
}

/// A folder of texts that is deleted with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(test: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("loopin-auth-texts-{}-{test}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (name, content) in files {
            fs::write(folder.join(name), content).unwrap();
        }
        Self(folder)
    }

    pub fn settings(&self) -> TextSettings {
        TextSettings { folder: Some(self.0.clone()), ..settings() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A complete file with this text message.
fn file(sms: &str) -> String {
    json!({ "sms": sms, "call": "{code}", "whatsapp": "{code}", "voice": "ta-IN" }).to_string()
}

#[test]
fn the_english_text() {
    let texts = texts(settings());
    let text = compose(&texts, Channel::Sms, &[], None);
    assert_eq!(body(&text), "Your Loopin verification code is: 1097. This code is valid for 10 min.");
    assert_eq!((text.language.as_str(), text.voice.as_str()), ("en", "en-IN"));
    for (minutes, end) in [(0, "0 min."), (1, "1 min."), (2, "2 min.")] {
        let text = composed(&texts, Channel::Sms, &["en"], None, minutes);
        let sms = body(&text);
        assert!(sms.ends_with(&format!("This code is valid for {end}")), "{sms}");
    }
}

#[test]
fn the_hindi_texts() {
    let texts = texts(settings());
    let text = compose(&texts, Channel::Sms, &["hi"], None);
    assert_eq!(body(&text), "Loopin कोड 1097 है, 10 मिनट तक मान्य।");
    assert_eq!((text.language.as_str(), text.voice.as_str()), ("hi", "hi-IN"));
    let one = composed(&texts, Channel::Sms, &["hi"], None, 1);
    assert_eq!(body(&one), "Loopin कोड 1097 है, 1 मिनट तक मान्य।");
    assert_eq!(body(&compose(&texts, Channel::Call, &["hi"], None)), "आपका Loopin सत्यापन कोड है: 1, 0, 9, 7।");
    assert!(body(&compose(&texts, Channel::WhatsApp, &["hi"], None)).starts_with("1097 "));
}

#[test]
fn our_texts_fit_into_one_segment() {
    for digits in 4..=8 {
        for minutes in [1, 10, 60] {
            assert_eq!(texts(settings()).warnings(digits, minutes), [""; 0], "{digits} {minutes}");
        }
    }
    let with_last_lines = TextSettings {
        webotp_domain: Some("example.com".to_owned()),
        android_app_hash: Some(HASH.to_owned()),
        ..settings()
    };
    assert_eq!(texts(with_last_lines).warnings(4, 10), [""; 0]);
}

#[test]
fn the_language_is_looked_up_from_the_tags_end() {
    let folder =
        Folder::new("lookup", &[("pt-BR.json", &file("br {code}")), ("ta.json", &file("ta {code}"))]);
    let texts = texts(folder.settings());
    for (wanted, found) in [
        (&[][..], "en"),
        (&["en"], "en"),
        (&["en-US"], "en"),
        (&["hi"], "hi"),
        (&["HI-in"], "hi"),
        (&["hi-Latn-IN"], "hi"),
        (&["hi-Deva-IN-x-mine"], "hi"),
        (&["ta-IN", "hi"], "ta"),
        // The first has no text, so the second is used; the user's order counts.
        (&["fr-FR", "hi-IN", "ta"], "hi"),
        (&["en", "hi"], "en"),
        (&["PT-br"], "pt-BR"),
        // Subtags are cut off from the right only: `pt` does not match `pt-BR`.
        (&["pt"], "en"),
        (&["pt-PT", "hi"], "hi"),
        (&["hindi"], "en"),
        (&["h"], "en"),
        (&["*", "", "-", "--", "hi_IN", "हिन्दी-IN"], "en"),
    ] {
        assert_eq!(compose(&texts, Channel::Sms, wanted, None).language, found, "{wanted:?}");
    }
}

#[test]
fn a_text_message_ends_as_the_app_wants_it() {
    let webotp = Some("example.com");
    let hash = Some(HASH);
    let plain = "Your Loopin verification code is: 1097. This code is valid for 10 min.";
    let with = |end: &str| format!("{plain}\n{end}");
    for (webotp_domain, android_app_hash, platform, expected) in [
        (None, None, None, plain.to_owned()),
        (None, None, Some(Android), plain.to_owned()),
        (None, hash, None, plain.to_owned()),
        (None, hash, Some(Ios), plain.to_owned()),
        (None, hash, Some(Android), with(HASH)),
        (webotp, None, None, with("@example.com #1097")),
        (webotp, None, Some(Android), with("@example.com #1097")),
        (webotp, hash, None, with("@example.com #1097")),
        (webotp, hash, Some(Ios), with("@example.com #1097")),
        (webotp, hash, Some(Web), with("@example.com #1097")),
        (webotp, hash, Some(Android), with(HASH)),
    ] {
        let texts = texts(TextSettings {
            webotp_domain: webotp_domain.map(str::to_owned),
            android_app_hash: android_app_hash.map(str::to_owned),
            ..settings()
        });
        assert_eq!(body(&compose(&texts, Channel::Sms, &[], platform)), expected);
        for other in [Channel::WhatsApp, Channel::Call] {
            let text = compose(&texts, other, &[], platform);
            assert!(!body(&text).contains('\n'), "{other:?}: {}", body(&text));
        }
    }
}

#[test]
fn a_voice_is_told_each_digit() {
    let texts = texts(settings());
    let text = compose(&texts, Channel::Call, &[], None);
    assert_eq!(body(&text), "Your Loopin verification code is: 1, 0, 9, 7.");
}

#[test]
fn a_folder_replaces_our_texts_and_adds_languages() {
    let folder = Folder::new(
        "replace",
        &[
            ("en.json", &file("{product}: {code} ({minutes})")),
            ("ta.json", &format!("\u{feff}{}", file("ta\n{code}"))),
            ("README.md", "not a text"),
            ("hi.json.bak", "neither"),
            ("json", "nor this"),
        ],
    );
    let texts = texts(folder.settings());
    // Our singular form is replaced too, because a text may be registered word for word.
    for (minutes, expected) in [(10, "Loopin: 1097 (10)"), (1, "Loopin: 1097 (1)")] {
        assert_eq!(body(&composed(&texts, Channel::Sms, &["fr"], None, minutes)), expected);
    }
    assert_eq!(body(&compose(&texts, Channel::Sms, &["ta"], None)), "ta\n1097");
    assert_eq!(compose(&texts, Channel::Sms, &["ta"], None).voice, "ta-IN");
    assert!(body(&compose(&texts, Channel::Sms, &["hi"], None)).contains("कोड 1097"));
}

#[test]
fn a_notice_to_an_old_number_is_in_the_first_language_that_has_one() {
    let notice_for = |texts: &Texts, tags: &[&str]| {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let text = texts.notice(Notice::PhoneChanged, &tags);
        (text.language.clone(), body(&text).to_owned())
    };
    let ours = texts(settings());
    let (language, english) = notice_for(&ours, &["fr", "en"]);
    assert_eq!(language, "en");
    assert!(english.starts_with("The phone number of your Loopin account was changed."), "{english}");
    assert_eq!(notice_for(&ours, &["hi-IN"]).0, "hi");
    assert_eq!(notice_for(&ours, &[]).1, english);
    // A file without a notice keeps the existing one, whether its language is new or replaces ours.
    let tamil = file("{code}").replacen('{', "{\"phone_changed\": \"ta {product}\",", 1);
    let files = [
        ("en.json", file("{code}")),
        ("hi.json", file("{code}")),
        ("ta.json", tamil),
        ("te.json", file("{code}")),
    ];
    let files = files.each_ref().map(|(name, content)| (*name, content.as_str()));
    let folder = Folder::new("notice", &files);
    let mixed = texts(folder.settings());
    assert_eq!(notice_for(&mixed, &["te"]), ("en".to_owned(), english));
    assert_eq!(notice_for(&mixed, &["hi"]).0, "hi");
    assert_eq!(notice_for(&mixed, &["te", "ta"]).1, "ta Loopin");
}

#[test]
fn what_stands_in_for_a_placeholder_is_not_read_again() {
    let texts = texts(TextSettings { product: "{code} & {x}".to_owned(), ..settings() });
    let text = compose(&texts, Channel::Sms, &[], None);
    assert!(body(&text).starts_with("Your {code} & {x} verification code is: 1097."), "{}", body(&text));
}

#[test]
fn a_fault_names_the_file_and_the_key() {
    let long = format!("{}{{code}}", "a".repeat(1_593));
    let good = file("{code}");
    let with = |key: &str, value: Value| {
        let mut file: Value = serde_json::from_str(&good).unwrap();
        file[key] = value;
        file.to_string()
    };
    for (name, content, expected) in [
        ("ta.json", with("smss", json!("{code}")), "ta.json: unknown field `smss`"),
        ("ta.json", with("sms", json!(1)), "ta.json: invalid type: integer `1`"),
        ("ta.json", r#"{"sms": "{code}"}"#.to_owned(), "ta.json: missing field `call`"),
        ("ta.json", r#"{"sms": "{code}", "sms": "{code}"}"#.to_owned(), "ta.json: duplicate field `sms`"),
        ("ta.json", "{".to_owned(), "ta.json: EOF while parsing"),
        ("ta.json", String::new(), "ta.json: EOF while parsing"),
        ("ta.json", file("code"), "ta.json: sms has no {code}"),
        ("ta.json", with("sms_one", json!("1097")), "ta.json: sms_one has no {code}"),
        ("ta.json", with("call", json!("1097")), "ta.json: call has no {code}"),
        ("ta.json", with("whatsapp", json!("")), "ta.json: whatsapp has no {code}"),
        ("ta.json", file("{code} {#var#}"), "ta.json: sms has a placeholder that is not known: {#var#}"),
        ("ta.json", file("{Code}"), "ta.json: sms has a placeholder that is not known: {Code}"),
        ("ta.json", file("{code} {"), "ta.json: sms has a { without its }"),
        ("ta.json", file("{code} }"), "ta.json: sms has a } without its {"),
        ("ta.json", file("{code}\u{0}"), "ta.json: sms holds a control character"),
        ("ta.json", with("voice", json!("Tamil")), "ta.json: voice must be a language"),
        ("ta.json", with("phone_changed", json!("{code}")), "ta.json: phone_changed has a {code}"),
        (
            "ta.json",
            with("phone_changed", json!("{minutes}")),
            "ta.json: phone_changed has a {code} or {minutes}",
        ),
        ("ta.json", with("phone_changed", json!(" ")), "ta.json: phone_changed says nothing"),
        ("ta.json", with("phone_changed", json!("a".repeat(1_601))), "ta.json: phone_changed can be 1601"),
        ("ta.json", file(&long), "ta.json: sms can be 1601 characters long, over 1600"),
        ("ta.json", with("sms_one", json!(long)), "ta.json: sms_one can be 1601 characters long"),
        ("ta.json", with("call", json!(long)), "ta.json: call can be 1601 characters long, over 1000"),
        ("tamil.json", good.clone(), "tamil.json: the name must be a BCP 47 language tag"),
        ("en_IN.json", good.clone(), "en_IN.json: the name must be a BCP 47 language tag"),
        ("en-.json", good.clone(), "en-.json: the name must be a BCP 47 language tag"),
        (".json", good.clone(), ".json: the name must be a BCP 47 language tag"),
    ] {
        let folder = Folder::new("faults", &[(name, &content)]);
        let message = errors(folder.settings());
        assert!(message.starts_with(expected), "{expected}\n{message}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let folder =
        Folder::new("all", &[("TA.json", &file("code")), ("b.json", "{"), ("ta.json", &file("{x}"))]);
    let message = errors(TextSettings {
        webotp_domain: Some("https://example.com".to_owned()),
        android_app_hash: Some("short".to_owned()),
        ..folder.settings()
    });
    for expected in [
        "SMS_ANDROID_APP_HASH must be",
        "SMS_WEBOTP_DOMAIN must be",
        "TA.json and ta.json are the same language",
        "TA.json: sms has no {code}",
        "b.json: the name must be",
        "ta.json: sms has a placeholder that is not known: {x}",
    ] {
        assert!(message.contains(expected), "{expected}\n{message}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_a_fault() {
    let folder = std::env::temp_dir().join("loopin-auth-texts-that-are-not-there");
    let message = errors(TextSettings { folder: Some(folder.clone()), ..settings() });
    assert!(message.starts_with(&format!("SMS_TEXTS_DIR {}: ", folder.display())), "{message}");
}

#[test]
fn a_text_may_have_1600_characters_the_last_line_included() {
    let hash = Some(HASH.to_owned());
    for (length, android_app_hash, is_fault) in
        [(1_592, None, false), (1_593, None, true), (1_580, hash.clone(), false), (1_581, hash, true)]
    {
        let folder = Folder::new("long", &[("ta.json", &file(&format!("{}{{code}}", "a".repeat(length))))]);
        let loaded = Texts::load(TextSettings { android_app_hash, ..folder.settings() });
        assert_eq!(loaded.is_err(), is_fault, "{length}");
    }
}

#[test]
fn only_a_hash_and_a_host_name_are_taken() {
    for (hash, is_taken) in [
        (HASH, true),
        ("abcdefghij/", true),
        ("FA+9qCX9VS", false),
        ("FA+9qCX9VSuu", false),
        ("FA-9qCX9VSu", false),
        ("FA+9qCX9VS=", false),
        ("FA+9qCX9VS ", false),
    ] {
        let loaded = Texts::load(TextSettings { android_app_hash: Some(hash.to_owned()), ..settings() });
        assert_eq!(loaded.is_ok(), is_taken, "{hash}");
    }
    for (domain, is_taken) in [
        ("example.com", true),
        ("xn--h1aa.example", true),
        ("localhost", true),
        ("1.example.com", true),
        ("", false),
        ("https://example.com", false),
        ("example.com/", false),
        ("example.com:443", false),
        ("@example.com", false),
        ("exa mple.com", false),
        ("example..com", false),
        ("example.com.", false),
        ("-a.example", false),
        ("a_b.example", false),
        ("उदाहरण.example", false),
        ("127.0.0.1", false),
        ("example.com #1", false),
        ("example.com\nEvil", false),
    ] {
        let loaded = Texts::load(TextSettings { webotp_domain: Some(domain.to_owned()), ..settings() });
        assert_eq!(loaded.is_ok(), is_taken, "{domain}");
    }
}

#[test]
fn a_text_over_one_segment_is_named() {
    let gsm = format!("{}{{code}}", "a".repeat(156));
    let folder = Folder::new("warn", &[("ta.json", &file(&gsm)), ("bn.json", &file("’{code}"))]);
    let loaded = |settings: TextSettings| texts(settings).warnings(4, 10);
    assert_eq!(loaded(folder.settings()), [""; 0]);
    let long_product = TextSettings { product: "प".repeat(40), ..settings() };
    assert_eq!(
        loaded(long_product),
        [
            "the SMS of the built-in en.json takes 2 segments: it has 104 UCS-2 characters, since 'प' is not in GSM-7; \
             one segment holds 70",
            "the SMS of the built-in hi.json takes 2 segments: it has 71 UCS-2 characters, since 'प' is not in GSM-7; \
             one segment holds 70",
        ]
    );
    assert_eq!(
        texts(folder.settings()).warnings(5, 10),
        ["the SMS of ta.json takes 2 segments: it has 161 GSM-7 characters; one segment holds 160"]
    );
    let warnings = loaded(TextSettings {
        webotp_domain: Some("accounts.identity.example.com".to_owned()),
        android_app_hash: Some(HASH.to_owned()),
        ..folder.settings()
    });
    assert_eq!(
        warnings,
        [
            "the SMS of the built-in hi.json with the WebOTP line takes 2 segments: it has 74 UCS-2 characters, since 'क' \
             is not in GSM-7; one segment holds 70",
            "the SMS of ta.json with the WebOTP line takes 2 segments: it has 197 GSM-7 characters; one segment holds \
             160",
            "the SMS of ta.json with the Android hash takes 2 segments: it has 172 GSM-7 characters; one segment \
             holds 160",
            "the SMS of ta.json with the Android hash has 172 bytes: Android's SMS Retriever reads at most 140",
        ]
    );
}

#[test]
fn a_text_for_the_retriever_has_at_most_140_bytes() {
    for (length, is_warned) in [(124, false), (125, true)] {
        let folder = Folder::new("bytes", &[("ta.json", &file(&format!("{}{{code}}", "a".repeat(length))))]);
        let settings = TextSettings { android_app_hash: Some(HASH.to_owned()), ..folder.settings() };
        let warnings = texts(settings).warnings(4, 10);
        assert_eq!(!warnings.is_empty(), is_warned, "{warnings:?}");
        assert!(warnings.iter().all(|sentence| sentence.contains("141 bytes")), "{warnings:?}");
    }
}
