//! The settings of messages.

use std::path::Path;

use super::*;
use crate::{
    domain::{
        delivery::{Channel, ChannelOrder, ChannelPolicy},
        phone::PhoneNumber,
    },
    sms::{Provider, RiskCheck, Sender, TwilioSettings},
};

const AUTH_TOKEN: &str = "the auth token of the tests";
const SERVICE: &str = "MG0123456789abcdef0123456789abcdef";
const KEY: [(&str, &str); 2] = [
    ("TWILIO_API_KEY_SID", "SK0123456789abcdef0123456789ABCDEF"),
    ("TWILIO_API_KEY_SECRET", "the key secret of the tests"),
];
const WHATSAPP: [(&str, &str); 2] = [
    ("TWILIO_WHATSAPP_SENDER", "+14155238886"),
    ("TWILIO_WHATSAPP_CONTENT_SID", "HX0123456789abcdef0123456789abcdef"),
];

/// A production server with these additional settings.
fn started(settings: &[&[(&str, &str)]]) -> Config {
    let all: Vec<&[(&str, &str)]> = std::iter::once(&PROD[..]).chain(settings.iter().copied()).collect();
    read(&all).unwrap()
}

fn twilio(settings: &[&[(&str, &str)]]) -> TwilioSettings {
    match started(settings).sms {
        SmsSettings::Providers(settings) => settings.twilio.expect("messages go to Twilio"),
        SmsSettings::TestInbox | SmsSettings::Unknown => panic!("messages do not go to Twilio"),
    }
}

fn twilio_of(config: &Config) -> &TwilioSettings {
    let SmsSettings::Providers(settings) = &config.sms else { panic!("messages go to providers") };
    settings.twilio.as_ref().expect("messages go to Twilio")
}

fn of_twilio(config: &Config) -> &Reports {
    let found = config.reports.iter().find(|(provider, _)| *provider == Provider::Twilio);
    &found.expect("Twilio is named").1
}

fn problems(settings: &[&[(&str, &str)]]) -> Vec<String> {
    let all: Vec<&[(&str, &str)]> = std::iter::once(&PROD[..]).chain(settings.iter().copied()).collect();
    read(&all).unwrap_err().0
}

fn warnings(settings: &[(&str, &str)]) -> Vec<String> {
    started(&[settings]).warnings
}

fn sender_to(settings: &TwilioSettings, phone: &str) -> Option<Sender> {
    settings.senders.for_phone(&PhoneNumber::from_e164(phone).unwrap()).cloned()
}

#[test]
fn a_plain_account_sends_by_itself() {
    let settings = twilio(&[]);
    assert_eq!(settings.account_sid, "AC00000000000000000000000000000000");
    assert_eq!(settings.credentials.user, settings.account_sid);
    assert_eq!(settings.credentials.password.expose_secret(), AUTH_TOKEN);
    assert_eq!(sender_to(&settings, "+919876543210"), Some(Sender::Number("+15005550006".to_owned())));
    assert!(settings.whatsapp.is_none());
    assert_eq!(settings.voice_number.as_deref(), Some("+15005550006"));
    assert_eq!(settings.risk_check, None);
    assert_eq!(settings.max_in_flight, 1024);
    assert_eq!(settings.timeout.as_secs(), 10);
    assert_eq!(settings.api_base_url.as_str(), "https://api.twilio.com/");
    assert!(settings.breaker);
}

#[test]
fn an_api_key_sends_and_the_auth_token_is_for_reports() {
    let settings = twilio(&[&KEY]);
    assert_eq!(settings.account_sid, "AC00000000000000000000000000000000");
    assert_eq!(settings.credentials.user, KEY[0].1);
    assert_eq!(settings.credentials.password.expose_secret(), KEY[1].1);
    assert!(settings.status_callback.is_some());

    let config = started(&[&KEY, &[("TWILIO_AUTH_TOKEN", "")]]);
    assert!(config.report_readers.twilio.is_none());
    let Reports::Never(why) = of_twilio(&config) else { panic!("{:?}", config.reports) };
    assert!(why.starts_with("TWILIO_AUTH_TOKEN is not set"), "{why}");
    assert_eq!(config.warnings, [format!("no delivery report will come: {why}")]);
}

#[test]
fn half_an_api_key_is_a_mistake() {
    assert_eq!(problems(&[&KEY[..1]]), ["TWILIO_API_KEY_SECRET must be set when TWILIO_API_KEY_SID is"]);
    assert_eq!(problems(&[&KEY[1..]]), ["TWILIO_API_KEY_SID must be set when TWILIO_API_KEY_SECRET is"]);
    // In test mode too; there, half of the credentials does not switch Twilio on.
    let half = [("TWILIO_TEST_MODE", "true"), KEY[0]];
    assert!(problem(&half).starts_with("TWILIO_API_KEY_SECRET must"));
    let Problems(problems) = read(&[&KEY]).unwrap_err();
    assert_eq!(problems.len(), 2, "a key is meant for sending: {problems:?}");
}

#[test]
fn shapes_that_are_not_twilios_are_a_warning() {
    for (name, wrong, right) in [
        ("TWILIO_ACCOUNT_SID", "AC1", "ACabcdefabcdefabcdefabcdefabcdef01"),
        ("TWILIO_ACCOUNT_SID", "SK00000000000000000000000000000000", "AC00000000000000000000000000000009"),
        ("TWILIO_MESSAGING_SERVICE_SID", "MGservice", SERVICE),
        ("TWILIO_PHONE_NUMBER", "the loopin app", "Loopin"),
        ("TWILIO_PHONE_NUMBER", "(500) 555-0006", "56789"),
    ] {
        let found = warnings(&[(name, wrong)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(name), "{name}={wrong}: {found:?}");
        assert!(!found[0].contains(wrong), "{found:?}");
        assert!(warnings(&[(name, right)]).is_empty(), "{name}={right}");
    }
    let found = warnings(&[("TWILIO_API_KEY_SID", "SKx"), KEY[1]]);
    assert!(found.len() == 1 && found[0].starts_with("TWILIO_API_KEY_SID"), "{found:?}");
    // A value that looks wrong is still used unchanged.
    let settings = twilio(&[&[("TWILIO_PHONE_NUMBER", "the loopin app")]]);
    assert_eq!(sender_to(&settings, "+919876543210"), Some(Sender::Number("the loopin app".to_owned())));
    let settings = twilio(&[&[("TWILIO_MESSAGING_SERVICE_SID", "MGservice")]]);
    assert_eq!(sender_to(&settings, "+919876543210"), Some(Sender::MessagingService("MGservice".to_owned())));
}

#[test]
fn each_country_has_its_sender_and_the_star_has_the_rest() {
    let list = ("TWILIO_SENDERS", "IN=MG0123456789abcdef0123456789abcdef,US=+15005550007");
    let settings = twilio(&[&[list]]);
    assert_eq!(sender_to(&settings, "+919876543210"), Some(Sender::MessagingService(SERVICE.to_owned())));
    assert_eq!(sender_to(&settings, "+12025550100"), Some(Sender::Number("+15005550007".to_owned())));
    // Without a star: the service, else the number; with neither, other countries are not served.
    let others = |settings: &[&[(&str, &str)]]| sender_to(&twilio(settings), "+447400123456");
    assert_eq!(others(&[&[list]]), Some(Sender::Number("+15005550006".to_owned())));
    let other = "MGffffffffffffffffffffffffffffffff";
    assert_eq!(
        others(&[&[list, ("TWILIO_MESSAGING_SERVICE_SID", other)]]),
        Some(Sender::MessagingService(other.to_owned()))
    );
    assert_eq!(others(&[&[list, ("TWILIO_PHONE_NUMBER", "")]]), None);
    let starred = ("TWILIO_SENDERS", "IN=+15005550007,*=Loopin");
    assert_eq!(others(&[&[starred]]), Some(Sender::Alphanumeric("Loopin".to_owned())));
    for wrong in ["IN", "IN=", "ZZ=+15005550006", "IN=+15005550006,IN=+15005550007", "*=?"] {
        let found = problem(&[("TWILIO_SENDERS", wrong)]);
        assert!(found.starts_with("TWILIO_SENDERS"), "{wrong}: {found}");
    }
}

#[test]
fn whatsapp_needs_a_sender_and_a_template() {
    let on = ("OTP_CHANNELS", "sms,whatsapp");
    let settings = twilio(&[&[on], &WHATSAPP]).whatsapp.unwrap();
    assert_eq!(settings.sender, Sender::Number("+14155238886".to_owned()));
    assert_eq!(settings.content, [("*".to_owned(), WHATSAPP[1].1.to_owned())]);

    let [hindi, rest] = ["HX1", "HX2"].map(|start| format!("{start}{}", "0".repeat(31)));
    let by_language = format!("hi={hindi}, *={rest}");
    let settings = twilio(&[
        &[on, ("TWILIO_WHATSAPP_CONTENT_SID", &by_language)],
        &[("TWILIO_WHATSAPP_SENDER", "whatsapp:+14155238886")],
    ]);
    let whatsapp = settings.whatsapp.unwrap();
    assert_eq!(whatsapp.sender, Sender::Number("+14155238886".to_owned()));
    assert_eq!(whatsapp.content, [("hi".to_owned(), hindi.clone()), ("*".to_owned(), rest)]);

    for missing in [&[][..], &WHATSAPP[..1], &WHATSAPP[1..]] {
        let found = problems(&[&[on], missing]);
        assert!(found.len() == 1 && found[0].contains("when OTP_CHANNELS has whatsapp"), "{found:?}");
    }
    let twice = format!("hi={hindi},hi={hindi}");
    for (name, wrong) in [
        ("TWILIO_WHATSAPP_SENDER", "Loopin"),
        ("TWILIO_WHATSAPP_SENDER", "+0"),
        ("TWILIO_WHATSAPP_CONTENT_SID", "hi="),
        ("TWILIO_WHATSAPP_CONTENT_SID", "=HX1"),
        ("TWILIO_WHATSAPP_CONTENT_SID", "HX1,HX2"),
        ("TWILIO_WHATSAPP_CONTENT_SID", twice.as_str()),
    ] {
        assert!(problem(&[(name, wrong)]).starts_with(name), "{name}={wrong}");
    }
}

#[test]
fn calls_need_a_number() {
    let on = ("OTP_CHANNELS", "sms,call");
    assert_eq!(twilio(&[&[on]]).voice_number.as_deref(), Some("+15005550006"));
    let by_name = ("TWILIO_PHONE_NUMBER", "Loopin");
    let settings = twilio(&[&[on, by_name, ("TWILIO_VOICE_NUMBER", "+15005550007")]]);
    assert_eq!(settings.voice_number.as_deref(), Some("+15005550007"));
    let found = problems(&[&[on, by_name]]);
    assert!(found.len() == 1 && found[0].starts_with("TWILIO_VOICE_NUMBER must"), "{found:?}");
    assert!(twilio(&[&[by_name]]).voice_number.is_none());
    for wrong in ["Loopin", "5550006", "+0", "+1 500 555 0006"] {
        assert!(problem(&[("TWILIO_VOICE_NUMBER", wrong)]).starts_with("TWILIO_VOICE_NUMBER"), "{wrong}");
    }
}

#[test]
fn without_sms_no_sender_of_sms_is_needed() {
    let no_sender = ("TWILIO_PHONE_NUMBER", "");
    let by_whatsapp = started(&[&[no_sender, ("OTP_CHANNELS", "whatsapp")], &WHATSAPP]);
    let phone = PhoneNumber::from_e164("+919876543210").unwrap();
    assert_eq!(by_whatsapp.channels.usual_for(&phone), Channel::WhatsApp);
    assert_eq!(
        problems(&[&[no_sender]]),
        ["TWILIO_PHONE_NUMBER, TWILIO_MESSAGING_SERVICE_SID or TWILIO_SENDERS must be set when \
             TWILIO_TEST_MODE is false"]
    );
}

#[test]
fn channels_are_named_once_and_fall_back_to_what_is_on() {
    let channels = |settings: &[(&str, &str)]| dev(settings).channels;
    assert_eq!(channels(&[]), ChannelPolicy::default());
    // Test mode has all channels without an account.
    assert_eq!(
        channels(&[("OTP_CHANNELS", "call, SMS ,whatsapp"), ("OTP_FALLBACK", "whatsapp,call")]),
        ChannelPolicy {
            on: vec![Channel::Call, Channel::Sms, Channel::WhatsApp],
            fallback: vec![Channel::WhatsApp, Channel::Call],
            order: ChannelOrder::default(),
        }
    );
    for (name, wrong) in [
        ("OTP_CHANNELS", ","),
        ("OTP_CHANNELS", "sms,sms"),
        ("OTP_CHANNELS", "sms,email"),
        ("OTP_CHANNELS", "sms whatsapp"),
        ("OTP_FALLBACK", ","),
        ("OTP_FALLBACK", "pigeon"),
        ("OTP_FALLBACK", "sms,sms"),
        ("OTP_FALLBACK", "call"),
    ] {
        assert!(problem(&[(name, wrong)]).starts_with(name), "{name}={wrong}");
    }
}

#[test]
fn twilio_is_told_where_to_report() {
    let config = started(&[&[("PUBLIC_BASE_URL", "https://Example.com:8443/auth/")]]);
    let Reports::To(url) = of_twilio(&config) else { panic!("{:?}", config.reports) };
    assert_eq!(url.as_str(), "https://example.com:8443/auth/api/twilio/status");
    let settings = twilio_of(&config);
    assert_eq!(settings.status_callback.as_ref(), Some(url));
    assert!(config.report_readers.twilio.is_some());
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn it_is_said_why_no_report_will_come() {
    let none = ("PUBLIC_BASE_URL", "");
    let config = started(&[&[none]]);
    assert!(config.report_readers.twilio.is_none());
    assert!(config.warnings.iter().any(|said| said.contains("PUBLIC_BASE_URL is not set")));
    // Twilio refuses every message with such a URL, so it is not sent.
    let config = started(&[&[("PUBLIC_BASE_URL", "https://my_auth.example.com")]]);
    assert!(config.warnings.iter().any(|said| said.contains("underscore")), "{:?}", config.warnings);
    assert_eq!(twilio_of(&config).status_callback, None);
    for local in ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000", "http://10.0.0.1"] {
        let config = started(&[&[("PUBLIC_BASE_URL", local)]]);
        assert!(config.warnings.iter().any(|said| said.contains("cannot reach")), "{local}");
        assert!(matches!(of_twilio(&config), Reports::To(_)), "a tunnel or a stand-in may be there");
    }
    // In dev only if a setting relies on reports.
    let account =
        [("TWILIO_ACCOUNT_SID", PROD[3].1), ("TWILIO_AUTH_TOKEN", "t"), ("TWILIO_PHONE_NUMBER", "Loopin")];
    let about_reports = |settings: &[(&str, &str)]| {
        let config = read(&[&account, settings]).unwrap();
        config.warnings.into_iter().filter(|said| said.contains("report")).count()
    };
    assert_eq!(about_reports(&[]), 0);
    assert_eq!(
        about_reports(&[("OTP_CHANNELS", "sms,whatsapp"), ("OTP_FALLBACK", "sms"), WHATSAPP[0], WHATSAPP[1]]),
        1
    );
}

#[test]
fn in_test_mode_reports_are_played_and_real_ones_can_still_be_read() {
    let config = dev(&[]);
    assert_eq!(config.reports, [(Provider::TestInbox, Reports::Played)]);
    assert!(config.report_readers.twilio.is_none());
    let config = dev(&[
        ("TWILIO_TEST_MODE", "true"),
        ("PUBLIC_BASE_URL", "https://auth.example.com"),
        ("TWILIO_AUTH_TOKEN", "t"),
    ]);
    assert_eq!(config.reports, [(Provider::TestInbox, Reports::Played)]);
    assert!(config.report_readers.twilio.is_some());
}

#[test]
fn the_other_settings_reach_twilio() {
    let settings = twilio(&[&[
        ("TWILIO_RISK_CHECK", "Disable"),
        ("TWILIO_MAX_IN_FLIGHT", "10000"),
        ("TWILIO_API_BASE_URL", "https://api.dublin.ie1.twilio.com"),
    ]]);
    assert_eq!(settings.risk_check, Some(RiskCheck::Disable));
    assert_eq!(settings.max_in_flight, 10_000);
    assert_eq!(settings.api_base_url.host_str(), Some("api.dublin.ie1.twilio.com"));
    assert_eq!(twilio(&[&[("TWILIO_RISK_CHECK", "enable")]]).risk_check, Some(RiskCheck::Enable));
    let account = [PROD[3], PROD[4], PROD[5]];
    let dev = read(&[&account, &[("RATE_LIMITS_ENABLED", "false")]]).unwrap();
    assert!(!twilio_of(&dev).breaker);
    for (name, wrong) in [
        ("TWILIO_RISK_CHECK", "true"),
        ("TWILIO_MAX_IN_FLIGHT", "0"),
        ("TWILIO_MAX_IN_FLIGHT", "10001"),
        ("TWILIO_API_BASE_URL", "api.twilio.com"),
    ] {
        assert!(problem(&[(name, wrong)]).starts_with(name), "{name}={wrong}, in test mode too");
    }
}

#[test]
fn the_settings_of_texts_are_handed_on_and_their_faults_are_in_the_list() {
    let config = dev(&[
        ("PRODUCT_NAME", "Loopin Beta"),
        ("SMS_WEBOTP_DOMAIN", "auth.example.com"),
        ("SMS_ANDROID_APP_HASH", "FA+9qCX9VSu"),
        ("SMS_DLT_ENTITY_ID", "1101234567890123456"),
    ]);
    assert_eq!(config.texts.product, "Loopin Beta");
    assert_eq!(config.texts.dlt_entity_id.as_deref(), Some("1101234567890123456"));
    assert_eq!(config.texts.webotp_domain.as_deref(), Some("auth.example.com"));
    assert_eq!(config.texts.android_app_hash.as_deref(), Some("FA+9qCX9VSu"));
    // Any folder without texts.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migration");
    assert_eq!(dev(&[("SMS_TEXTS_DIR", folder)]).texts.folder.as_deref(), Some(Path::new(folder)));
    for (name, wrong) in [
        ("SMS_WEBOTP_DOMAIN", "https://example.com"),
        ("SMS_WEBOTP_DOMAIN", "example.com/path"),
        ("SMS_WEBOTP_DOMAIN", "example.com #1"),
        ("SMS_ANDROID_APP_HASH", "FA+9qCX9VS"),
        ("SMS_ANDROID_APP_HASH", "FA+9qCX9VS_u"),
        ("SMS_DLT_ENTITY_ID", "110123456789012345"),
        ("SMS_DLT_ENTITY_ID", "११०१२३४५६७८९०१२३४५६"),
        ("SMS_TEXTS_DIR", "/nowhere/at/all"),
    ] {
        let found = problem(&[(name, wrong)]);
        assert!(found.starts_with(name), "{name}={wrong}: {found}");
    }
}

#[test]
fn with_problems_there_is_still_something_to_look_at() {
    let settings: HashMap<&str, &str> =
        [PROD[3], PROD[4], ("TWILIO_TEST_MODE", "false"), ("OTP_LENGTH", "3")].into();
    let get = |name: &str| settings.get(name).map(|value| (*value).to_owned());
    let (config, Problems(problems)) = Config::examine(&get, &Random::seeded(1));
    assert_eq!(problems.len(), 2, "{problems:?}");
    // Without a sender the credentials can still be checked.
    assert!(matches!(config.sms, SmsSettings::Providers(_)));
    let (config, _) =
        Config::examine(&|name| (name == "TWILIO_TEST_MODE").then(|| "no".to_owned()), &Random::seeded(1));
    assert!(matches!(config.sms, SmsSettings::Unknown));
}

#[test]
fn debugging_shows_neither_key_nor_token() {
    let shown = format!("{:?}", started(&[&KEY, &WHATSAPP]));
    for secret in [AUTH_TOKEN, KEY[0].1, KEY[1].1, WHATSAPP[0].1, "+15005550006", PROD[3].1] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
