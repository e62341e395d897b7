//! India's registration of texts: the ids, the forms to register, and what providers get.

use super::{
    texts::{Folder, HASH, body, compose, composed, errors, settings, texts},
    *,
};
use domain::delivery::Platform::{Android, Ios};

/// Ids of the registry, one for each key.
fn template_ids(keys: &[&str]) -> serde_json::Value {
    let ids = keys.iter().enumerate().map(|(number, key)| ((*key).to_owned(), json!(template_id(number))));
    ids.collect::<serde_json::Map<_, _>>().into()
}

fn template_id(number: usize) -> String {
    format!("110700000000000000{number}")
}

fn registered(sms: &str, keys: &[&str]) -> String {
    let notice = "Your {product} number was changed.";
    json!({
        "sms": sms, "sms_one": format!("{sms} (one)"), "call": "{code}", "whatsapp": "{code}", "voice": "ta-IN",
        "phone_changed": notice, "dlt": template_ids(keys),
    })
    .to_string()
}

#[test]
fn a_text_has_the_template_id_of_its_wording_and_its_ending() {
    let keys = ["sms_webotp", "sms_android", "sms_one_webotp", "sms_one_android", "phone_changed"];
    let folder = Folder::new("dlt", &[("ta.json", &registered("{code} {minutes}", &keys))]);
    let settings = TextSettings {
        webotp_domain: Some("example.com".to_owned()),
        android_app_hash: Some(HASH.to_owned()),
        dlt_entity_id: Some(template_id(9)),
        ..folder.settings()
    };
    let loaded = texts(settings.clone());
    for (platform, minutes, number) in
        [(None, 10, 0), (Some(Android), 10, 1), (Some(Ios), 1, 2), (Some(Android), 1, 3)]
    {
        let dlt = Dlt { entity_id: template_id(9), template_id: template_id(number) };
        let text = composed(&loaded, Channel::Sms, &["ta"], platform, minutes);
        assert_eq!(text.dlt, Some(dlt), "{platform:?} {minutes}");
    }
    assert_eq!(
        loaded.notice(Notice::PhoneChanged, &["ta".to_owned()]).dlt.unwrap().template_id,
        template_id(4)
    );
    for channel in [Channel::WhatsApp, Channel::Call] {
        assert_eq!(composed(&loaded, channel, &["ta"], None, 10).dlt, None, "{channel:?}");
    }
    assert_eq!(composed(&loaded, Channel::Sms, &["en"], None, 10).dlt, None, "not registered");
    let without_entity = texts(TextSettings { dlt_entity_id: None, ..settings });
    assert_eq!(composed(&without_entity, Channel::Sms, &["ta"], None, 10).dlt, None);
}

#[test]
fn a_template_id_has_nineteen_digits() {
    for (wrong, error) in [
        (json!({ "sms": "110700000000000000" }), "ta.json: dlt.sms must have 19 digits"),
        (json!({ "sms_android": "11070000000000000O1" }), "ta.json: dlt.sms_android must have 19 digits"),
        (json!({ "call": template_id(1) }), "ta.json: unknown field `call`"),
        (json!({ "sms": 1 }), "ta.json: invalid type"),
    ] {
        let content = json!({ "sms": "{code}", "call": "{code}", "whatsapp": "{code}", "voice": "ta-IN", "dlt": wrong });
        let folder = Folder::new("dlt-wrong", &[("ta.json", &content.to_string())]);
        let found = errors(folder.settings());
        assert!(found.contains(error), "{found}");
    }
}

#[test]
fn the_texts_to_register_have_tags_in_the_place_of_numbers() {
    let ours = texts(settings());
    let found = ours.registrations(4, 10);
    let forms: Vec<_> =
        found.iter().map(|it| (it.key.as_str(), it.template.as_str(), it.is_unicode)).collect();
    assert_eq!(
        forms[..3],
        [
            (
                "sms",
                "Your Loopin verification code is: {#numeric#}. This code is valid for {#numeric#} min.",
                false
            ),
            (
                "phone_changed",
                "The phone number of your Loopin account was changed. If this was not you, please contact us at once.",
                false
            ),
            (
                "password_changed",
                "The password of your Loopin account was changed. If this was not you, please contact us at once.",
                false
            ),
        ]
    );
    assert_eq!(forms[3].0, "accounts_merged");
    assert_eq!(forms[4], ("sms", "Loopin कोड {#numeric#} है, {#numeric#} मिनट तक मान्य।", true));
    let sent = compose(&ours, Channel::Sms, &["en"], None);
    assert_eq!(found[0].characters, body(&sent).chars().count());
    assert!(found.iter().all(|it| it.template_id.is_none()));
}

#[test]
fn each_ending_that_can_be_sent_is_registered() {
    let folder = Folder::new("dlt-endings", &[("ta.json", &registered("{code}", &["sms_android"]))]);
    let with_both = texts(TextSettings {
        webotp_domain: Some("example.com".to_owned()),
        android_app_hash: Some(HASH.to_owned()),
        ..folder.settings()
    });
    let found = with_both.registrations(4, 10);
    let forms: Vec<_> = found
        .iter()
        .filter(|it| it.file == "ta.json")
        .map(|it| (it.key.as_str(), it.template.as_str()))
        .collect();
    let hash = format!("{{#numeric#}}\n{HASH}");
    let hash_one = format!("{{#numeric#}} (one)\n{HASH}");
    assert_eq!(
        forms,
        [
            ("sms_webotp", "{#numeric#}\n@example.com #{#numeric#}"),
            ("sms_android", &hash),
            ("sms_one_webotp", "{#numeric#} (one)\n@example.com #{#numeric#}"),
            ("sms_one_android", &hash_one),
            ("phone_changed", "Your Loopin number was changed."),
        ]
    );
    let known: Vec<_> = found.iter().filter_map(|it| it.template_id).collect();
    assert_eq!(known, [template_id(0)]);
}

/// A message with a registered text.
fn message_to(phone: &str) -> Message {
    let dlt = Some(Dlt { entity_id: template_id(9), template_id: template_id(0) });
    Message { to: PhoneNumber::from_e164(phone).unwrap(), text: Text { dlt, ..message().text }, ..message() }
}

#[test]
fn only_messages_to_india_are_sent_with_their_registration() {
    assert_eq!(message_to("+919876543210").dlt().unwrap().template_id, template_id(0));
    assert_eq!(message_to("+12015550123").dlt(), None);
    assert_eq!(message().dlt(), None, "it is not registered");
}
