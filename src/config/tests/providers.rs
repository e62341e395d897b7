//! `SMS_PROVIDERS`, and the settings of the providers that it names.

use super::*;
use crate::{
    domain::{delivery::Channel, phone::PhoneNumber},
    sms::{Kind, Provider},
};

const VONAGE: [(&str, &str); 3] = [
    ("VONAGE_API_KEY", "abcd1234"),
    ("VONAGE_API_SECRET", "the api secret of the tests"),
    ("VONAGE_FROM", "+12015550123"),
];
const MSG91: [(&str, &str); 2] =
    [("MSG91_AUTH_KEY", "the auth key of the tests"), ("MSG91_TEMPLATE_ID", "en=t1,hi=t2")];
const WEBHOOK: [(&str, &str); 2] = [
    ("SMS_WEBHOOK_URL", "https://sms.example.com/send"),
    ("SMS_WEBHOOK_SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
];
const NO_TWILIO: [(&str, &str); 3] =
    [("TWILIO_ACCOUNT_SID", ""), ("TWILIO_AUTH_TOKEN", ""), ("TWILIO_PHONE_NUMBER", "")];

fn prod(settings: &[&[(&str, &str)]]) -> Result<Config, Problems> {
    let all: Vec<&[(&str, &str)]> = std::iter::once(&PROD[..]).chain(settings.iter().copied()).collect();
    read(&all)
}

fn providers(settings: &[&[(&str, &str)]]) -> ProviderSettings {
    match prod(settings).unwrap().sms {
        SmsSettings::Providers(settings) => *settings,
        SmsSettings::TestInbox | SmsSettings::Unknown => panic!("messages go to providers"),
    }
}

fn problems(settings: &[&[(&str, &str)]]) -> Vec<String> {
    prod(settings).unwrap_err().0
}

#[test]
fn without_a_list_twilio_sends_everywhere() {
    let settings = providers(&[]);
    let lists: Vec<_> = settings.routes.lists().collect();
    assert_eq!(lists, [("*".to_owned(), &[Provider::Twilio][..])]);
    assert!(settings.vonage.is_none() && settings.msg91.is_none() && settings.webhook.is_none());
}

#[test]
fn each_country_has_its_order() {
    let list = ("SMS_PROVIDERS", "IN = msg91 , Vonage ; *=twilio,webhook;");
    let settings = providers(&[&[list], &VONAGE, &MSG91, &WEBHOOK]);
    let order = |phone: &str| settings.routes.order_for(&PhoneNumber::from_e164(phone).unwrap()).to_vec();
    assert_eq!(order("+919876543210"), [Provider::Msg91, Provider::Vonage]);
    assert_eq!(order("+12025550100"), [Provider::Twilio, Provider::Webhook]);
    assert!(settings.twilio.is_some() && settings.webhook.is_some());
    assert_eq!(settings.vonage.unwrap().from.as_deref(), Some("12015550123"), "without a plus");
    assert_eq!(settings.msg91.unwrap().templates.get("hi-Latn"), Some("t2"));

    // A list without a star serves the named countries only.
    let settings = providers(&[&[("SMS_PROVIDERS", "IN=twilio")]]);
    assert!(settings.routes.order_for(&PhoneNumber::from_e164("+12025550100").unwrap()).is_empty());
}

#[test]
fn a_list_that_is_wrong_is_refused() {
    for wrong in [
        ";",
        "twilio",
        "IN",
        "IN=",
        "IN=twilio,",
        "IN=sinch",
        "IN=test_inbox",
        "IN=twilio,twilio",
        "IN=twilio;IN=twilio",
        "*=twilio;*=twilio",
        "ZZ=twilio",
        "IN=twilio,*=twilio",
    ] {
        let found = problems(&[&[("SMS_PROVIDERS", wrong)]]);
        assert!(found.len() == 1 && found[0].starts_with("SMS_PROVIDERS"), "{wrong}: {found:?}");
    }
}

#[test]
fn a_named_provider_needs_its_settings_and_another_one_does_not() {
    let names = |list: &str| {
        let found = problems(&[&[("SMS_PROVIDERS", list)], &NO_TWILIO]);
        found.iter().map(|problem| problem.split([' ', ',']).next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("*=vonage"), ["VONAGE_API_KEY", "VONAGE_API_SECRET", "VONAGE_FROM"]);
    assert_eq!(names("*=msg91"), ["MSG91_AUTH_KEY", "MSG91_TEMPLATE_ID"]);
    assert_eq!(names("*=webhook"), ["SMS_WEBHOOK_URL", "SMS_WEBHOOK_SECRET"]);
    assert_eq!(names("*=twilio").len(), 3);
    // Twilio's credentials are needed only where the list names it.
    let settings = providers(&[&[("SMS_PROVIDERS", "*=webhook")], &WEBHOOK, &NO_TWILIO]);
    assert!(settings.twilio.is_none() && settings.webhook.is_some());
    // Nor are they used then.
    assert!(providers(&[&[("SMS_PROVIDERS", "*=webhook")], &WEBHOOK]).twilio.is_none());
}

#[test]
fn a_channel_that_no_provider_of_a_country_has_is_an_error() {
    let on = |channels| ("OTP_CHANNELS", channels);
    for (list, channels, expected) in [
        ("IN=msg91;*=twilio", "sms,whatsapp", "no provider of IN carries whatsapp"),
        ("*=vonage", "sms,call", "no provider of * carries call"),
        ("US=msg91,vonage;*=webhook", "call", "no provider of US carries call"),
    ] {
        let found = problems(&[&[("SMS_PROVIDERS", list), on(channels)], &VONAGE, &MSG91, &WEBHOOK]);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{list}: {found:?}");
    }
    let all = on("sms,whatsapp,call");
    providers(&[&[("SMS_PROVIDERS", "IN=msg91,webhook;*=webhook"), all], &MSG91, &WEBHOOK, &NO_TWILIO]);
    // Twilio lacks its WhatsApp sender, and the webhook needs none.
    let settings = providers(&[&[("SMS_PROVIDERS", "*=twilio,webhook"), on("sms,whatsapp")], &WEBHOOK]);
    let order = settings.routes.carriers(Kind::code_by(Channel::WhatsApp)).next().unwrap().1;
    assert_eq!(order, [Provider::Twilio, Provider::Webhook]);
    let found = problems(&[&[("SMS_PROVIDERS", "*=vonage,twilio"), on("whatsapp")], &VONAGE]);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("VONAGE_WHATSAPP_FROM"), "{found:?}");
}

#[test]
fn each_country_has_its_order_of_channels() {
    let on = ("OTP_CHANNELS", "sms,whatsapp");
    let list = ("SMS_PROVIDERS", "IN=msg91,webhook;US=twilio,webhook");
    let with = |order| [on, list, ("OTP_CHANNEL_ORDER", order)];
    let config = prod(&[&with("IN=whatsapp,sms;*=sms"), &MSG91, &WEBHOOK]).unwrap();
    let order = |phone: &str| config.channels.order_for(&PhoneNumber::from_e164(phone).unwrap());
    assert_eq!(order("+919876543210"), [Channel::WhatsApp, Channel::Sms]);
    assert_eq!(order("+12025550100"), [Channel::Sms]);
    for (order, expected) in [
        ("IN=whatsapp,call", "OTP_CHANNEL_ORDER has call, which OTP_CHANNELS does not have"),
        // No list serves it.
        ("GB=sms", "OTP_CHANNEL_ORDER: no provider of GB carries sms"),
        ("IN=email", "OTP_CHANNEL_ORDER: each channel of IN must be sms, whatsapp or call"),
        (
            "whatsapp,sms",
            "OTP_CHANNEL_ORDER: item 1 must be a country and its channels, such as IN=whatsapp,sms or *=sms",
        ),
    ] {
        let found = problems(&[&with(order), &MSG91, &WEBHOOK]);
        assert!(found.iter().any(|problem| problem == expected), "{order}: {found:?}");
    }
}

#[test]
fn a_country_that_gets_no_notice_is_a_warning() {
    let config = prod(&[&[("SMS_PROVIDERS", "IN=msg91;*=twilio")], &MSG91]).unwrap();
    assert!(config.warnings.iter().any(|warning| warning.contains("no provider of IN can send the notice")));
}

#[test]
fn wrong_values_are_named() {
    for (name, wrong) in [
        ("VONAGE_FROM", "a sender that is too long"),
        ("VONAGE_API_BASE_URL", "api.nexmo.com"),
        ("MSG91_TEMPLATE_ID", "en=,hi=2"),
        ("MSG91_TEMPLATE_ID", "a b"),
        ("MSG91_CODE_VARIABLE", "##otp##"),
        ("MSG91_CODE_VARIABLE", "mobiles"),
        ("MSG91_STATUS_SECRET", "tooshort"),
        ("MSG91_STATUS_SECRET", "long/enough/but/not/a/part/of/a/path"),
        ("SMS_WEBHOOK_URL", "sms.example.com"),
        ("SMS_WEBHOOK_URL", "https://user:password@sms.example.com"),
        ("SMS_WEBHOOK_URL", "https://127.0.0.1/send"),
        ("SMS_WEBHOOK_SECRET", "whsec_c2hvcnQ="),
    ] {
        // In test mode too.
        let found = problem(&[(name, wrong)]);
        assert!(found.starts_with(name) && !found.contains(wrong), "{name}={wrong}: {found}");
    }
    let http = ("SMS_WEBHOOK_URL", "http://sms.example.com/send");
    assert!(problems(&[&[http]])[0].starts_with("SMS_WEBHOOK_URL must be an https URL"));
    let private = ("SMS_WEBHOOK_URL", "https://10.0.0.1/send");
    let allowed = ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true");
    providers(&[&[("SMS_PROVIDERS", "*=webhook")], &WEBHOOK, &[private, allowed]]);
}

#[test]
fn it_is_said_which_reports_come() {
    let list = ("SMS_PROVIDERS", "*=vonage,msg91,webhook");
    let public = ("PUBLIC_BASE_URL", "https://auth.example.com/sub");
    let secret = "0123456789abcdef0123456789abcdef";
    let secrets = [("VONAGE_SIGNATURE_SECRET", "s"), ("MSG91_STATUS_SECRET", secret)];
    let config = prod(&[&[list, public], &VONAGE, &MSG91, &WEBHOOK, &secrets]).unwrap();
    let urls: Vec<_> =
        config.reports.iter().map(|(provider, reports)| (*provider, reports.clone())).collect();
    let to = |path: &str| Reports::To(format!("https://auth.example.com/sub/api/{path}").parse().unwrap());
    assert_eq!(
        urls,
        [
            (Provider::Vonage, to("vonage/status")),
            (Provider::Msg91, to("msg91/status/MSG91_STATUS_SECRET")),
            (Provider::Webhook, to("webhook/status")),
        ]
    );
    let shown = format!("{config:?}");
    for secret in [VONAGE[0].1, VONAGE[1].1, MSG91[0].1, WEBHOOK[1].1, secret] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let config = prod(&[&[list], &VONAGE, &MSG91, &WEBHOOK]).unwrap();
    for title in ["Vonage", "MSG91"] {
        let expected = format!("no delivery report will come from {title}: ");
        assert!(
            config.warnings.iter().any(|warning| warning.starts_with(&expected)),
            "{:?}",
            config.warnings
        );
    }
}

#[test]
fn test_mode_ends_in_dev_when_a_named_provider_has_credentials() {
    assert!(dev(&[]).is_test_mode());
    assert!(dev(&VONAGE).is_test_mode(), "the list names Twilio");
    let settings = [&VONAGE[..], &[("SMS_PROVIDERS", "*=vonage")]].concat();
    assert!(!dev(&settings).is_test_mode());
}
