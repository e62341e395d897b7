//! `loopin-auth doctor`: the texts that can go to India.

use crate::{
    doctor::{about, assert_line, ended},
    server::{Folder, SECRETS, run},
};

/// A language file of the operator, with two of its three texts registered.
const REGISTERED: &str = r#"{
  "sms": "{product} code {code}, valid for {minutes} min.",
  "call": "Your code is {code}.",
  "whatsapp": "{code} is your code.",
  "voice": "en-IN",
  "phone_changed": "The number of your {product} account was changed.",
  "dlt": {"sms_webotp": "1107000000000000001", "phone_changed": "1107000000000000003"}
}"#;

#[test]
fn the_texts_that_can_go_to_india_are_listed_in_the_form_to_register() {
    let folder = Folder::new();
    folder.write("en.json", REGISTERED);
    let path = folder.0.display().to_string();
    let settings = [
        ("SMS_TEXTS_DIR", path.as_str()),
        ("SMS_WEBOTP_DOMAIN", "example.com"),
        ("SMS_ANDROID_APP_HASH", "FA+9qCX9VSu"),
        ("SMS_DLT_ENTITY_ID", "1101000000000000009"),
    ];
    let output = run(&folder, &["doctor"], &[SECRETS.as_slice(), &settings].concat());
    ended(&output, 0);
    assert_line(&output, "India", "warn", &["8 of 10 texts have no template id"]);
    let (_, list) = output.out.split_once("\n\n").expect("a list after the findings");
    let of_english = "The texts that can go to India, in the form to register:

sms_webotp of en.json: template id 1107000000000000001, 54 characters, not Unicode
  Loopin code {#numeric#}, valid for {#numeric#} min.
  @example.com #{#numeric#}

sms_android of en.json: no template id (dlt.sms_android), 47 characters, not Unicode
  Loopin code {#numeric#}, valid for {#numeric#} min.
  FA+9qCX9VSu

phone_changed of en.json: template id 1107000000000000003, 46 characters, not Unicode
  The number of your Loopin account was changed.

password_changed of en.json: no template id (dlt.password_changed), 96 characters, not Unicode
  The password of your Loopin account was changed. If this was not you, please contact us at once.

accounts_merged of en.json: no template id (dlt.accounts_merged), 89 characters, not Unicode
  Two Loopin accounts were joined into one. If this was not you, please contact us at once.

sms_webotp of the built-in hi.json: no template id (dlt.sms_webotp), ";
    assert!(list.starts_with(of_english), "{list}");
    assert!(
        list.contains(
            "\n  Loopin कोड {#numeric#} है, {#numeric#} मिनट तक मान्य।\n  @example.com #{#numeric#}\n"
        )
    );
}

#[test]
fn the_texts_for_india_are_not_shown_where_it_is_not_served() {
    let of = |settings: &[(&str, &str)]| {
        run(&Folder::new(), &["doctor"], &[SECRETS.as_slice(), settings].concat())
    };
    let output = of(&[]);
    ended(&output, 0);
    assert_line(&output, "India", "ok", &["SMS_DLT_ENTITY_ID is not set"]);
    assert!(output.out.contains("sms of the built-in en.json: no template id (dlt.sms)"), "{}", output.out);
    let output = of(&[("SMS_ALLOWED_COUNTRIES", "DE,FR")]);
    ended(&output, 0);
    assert!(!output.out.contains("India") && !output.out.contains("\n\n"), "{}", output.out);
}

#[test]
fn msg91_has_the_texts_and_their_ids_in_its_panel() {
    let settings = [
        SECRETS.to_vec(),
        vec![
            ("SMS_PROVIDERS", "*=msg91"),
            ("MSG91_AUTH_KEY", "the-key"),
            ("MSG91_TEMPLATE_ID", "template"),
            ("MSG91_STATUS_SECRET", "a-secret-of-24-characters"),
            ("PUBLIC_BASE_URL", "http://127.0.0.1:8000"),
        ],
    ]
    .concat();
    let output = run(&Folder::new(), &["doctor"], &settings);
    assert_line(&output, "India", "ok", &["no provider for IN takes ids"]);
    assert!(!output.out.contains("no template id"), "{}", output.out);
    assert_line(&output, "MSG91", "ok", &["--provider msg91"]);
    assert_line(&output, "delivery reports", "warn", &["MSG91 cannot reach http://127.0.0.1:8000/"]);
    assert!(about(&output, "settings").iter().all(|line| !line.contains("cannot reach")), "{}", output.out);
}
