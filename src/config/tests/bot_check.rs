//! The settings of bot proof.

use super::*;
use crate::bot_check::Provider;

const SITE_KEY: &str = "0x4AAAAAAAsitekeyofthetests";
const PROVIDER_SECRET: &str = "0x4AAAAAAAthesecretofthetests";

fn provider(name: &'static str) -> [(&'static str, &'static str); 4] {
    [
        ("BOT_PROOF", name),
        ("BOT_PROOF_SITE_KEY", SITE_KEY),
        ("BOT_PROOF_SECRET", PROVIDER_SECRET),
        ("BOT_PROOF_HOSTNAMES", "app.example.com, www.example.com"),
    ]
}

fn is_off(config: &Config) -> bool {
    matches!(config.bot_check, BotCheckSettings::Off)
}

#[test]
fn nobody_is_asked_by_default() {
    assert!(is_off(&dev(&[])));
    assert!(is_off(&dev(&[("BOT_PROOF", "off"), ("BOT_PROOF_DIFFICULTY", "20")])));
    assert!(is_off(&prod(&[]).unwrap()));
}

#[test]
fn work_has_a_difficulty() {
    let bits = |settings: &[(&str, &str)]| match dev(settings).bot_check {
        BotCheckSettings::Pow(difficulty) => difficulty.bits(),
        other => panic!("{other:?}"),
    };
    assert_eq!(bits(&[("BOT_PROOF", "pow")]), 17);
    assert_eq!(bits(&[("BOT_PROOF", "pow"), ("BOT_PROOF_DIFFICULTY", "8")]), 8);
    assert_eq!(bits(&[("BOT_PROOF", "pow"), ("BOT_PROOF_DIFFICULTY", "24")]), 24);
    for wrong in ["7", "25", "many"] {
        assert_eq!(
            problem(&[("BOT_PROOF", "pow"), ("BOT_PROOF_DIFFICULTY", wrong)]),
            "BOT_PROOF_DIFFICULTY must be a whole number from 8 to 24"
        );
    }
}

#[test]
fn a_provider_is_asked_where_its_documents_say() {
    for (name, provider_of_it, url) in [
        ("turnstile", Provider::Turnstile, "https://challenges.cloudflare.com/turnstile/v0/siteverify"),
        ("hcaptcha", Provider::HCaptcha, "https://api.hcaptcha.com/siteverify"),
    ] {
        let BotCheckSettings::Provider(settings) = prod(&provider(name)).unwrap().bot_check else {
            panic!("{name} is on")
        };
        assert_eq!((settings.provider, settings.url.as_str()), (provider_of_it, url));
        assert_eq!(settings.site_key, SITE_KEY);
        assert_eq!(settings.secret.expose_secret(), PROVIDER_SECRET);
        assert_eq!(settings.hostnames, ["app.example.com", "www.example.com"]);
        assert_eq!((settings.action, settings.timeout), (None, std::time::Duration::from_secs(5)));
    }
    let elsewhere = [("BOT_PROOF_URL", "http://127.0.0.1:9/verify"), ("BOT_PROOF_ACTION", "sign-in_1")];
    let BotCheckSettings::Provider(settings) = read(&[&provider("turnstile"), &elsewhere]).unwrap().bot_check
    else {
        panic!("turnstile is on")
    };
    assert_eq!(settings.url.as_str(), "http://127.0.0.1:9/verify");
    assert_eq!(settings.action.as_deref(), Some("sign-in_1"));
}

#[test]
fn a_provider_needs_a_key_and_a_secret() {
    let Problems(problems) = read(&[&[("BOT_PROOF", "turnstile")]]).unwrap_err();
    assert_eq!(
        problems,
        [
            "BOT_PROOF_SITE_KEY must be set when BOT_PROOF is turnstile",
            "BOT_PROOF_SECRET must be set when BOT_PROOF is turnstile",
        ]
    );
}

#[test]
fn in_production_everything_that_is_wrong_with_it_is_named_at_once() {
    let Problems(problems) = prod(&[
        ("BOT_PROOF", "hcaptcha"),
        ("BOT_PROOF_SECRET", "0x0000000000000000000000000000000000000000"),
        ("BOT_PROOF_URL", "http://api.hcaptcha.com/siteverify"),
        ("BOT_PROOF_HOSTNAMES", "https://app.example.com"),
        ("BOT_PROOF_ACTION", "sign in"),
        ("BOT_PROOF_DIFFICULTY", "0"),
    ])
    .unwrap_err();
    assert_eq!(
        problems,
        [
            "BOT_PROOF_DIFFICULTY must be a whole number from 8 to 24",
            "BOT_PROOF_URL must be an https URL in prod: the secret goes to it",
            "BOT_PROOF_HOSTNAMES must be host names such as app.example.com, without a scheme or port",
            "BOT_PROOF_ACTION must have 32 letters, digits, _ and - at most",
            "BOT_PROOF_SITE_KEY must be set when BOT_PROOF is hcaptcha",
            "BOT_PROOF_SECRET is one that its provider gives to everybody for tests: not in prod",
        ]
    );
    assert_eq!(problem(&[("BOT_PROOF", "recaptcha")]), "BOT_PROOF must be off, pow, turnstile or hcaptcha");
    assert_eq!(
        problem(&[("BOT_PROOF_ACTION", "a-name-of-thirty-three-characters")]),
        "BOT_PROOF_ACTION must have 32 letters, digits, _ and - at most"
    );
}

#[test]
fn secrets_that_everybody_has_are_for_tests_only() {
    for (name, secret) in [
        ("turnstile", "1x0000000000000000000000000000000AA"),
        ("turnstile", "2x0000000000000000000000000000000AA"),
        ("turnstile", "3x0000000000000000000000000000000AA"),
        ("hcaptcha", "0x0000000000000000000000000000000000000000"),
    ] {
        let settings = [("BOT_PROOF_SECRET", secret)];
        assert!(read(&[&provider(name), &settings]).is_ok(), "{secret} in dev");
        let Problems(problems) = read(&[&PROD, &provider(name), &settings]).unwrap_err();
        assert_eq!(problems.len(), 1, "{secret}: {problems:?}");
    }
}

#[test]
fn what_makes_a_proof_weaker_is_warned_of() {
    let warnings = |settings: &[&[(&str, &str)]]| {
        let config = read(settings).unwrap();
        config.warnings.into_iter().filter(|warning| warning.starts_with("BOT_PROOF")).collect::<Vec<_>>()
    };
    assert_eq!(warnings(&[&provider("turnstile")]), Vec::<String>::new());
    let anywhere = warnings(&[&provider("turnstile"), &[("BOT_PROOF_HOSTNAMES", "")]]);
    assert_eq!(anywhere.len(), 1, "{anywhere:?}");
    assert!(anywhere[0].starts_with("BOT_PROOF_HOSTNAMES is empty"));
    let no_actions = warnings(&[&provider("hcaptcha"), &[("BOT_PROOF_ACTION", "signin")]]);
    assert_eq!(no_actions, ["BOT_PROOF_ACTION is not looked at: hcaptcha knows no actions"]);
}

#[test]
fn it_is_off_where_limits_are() {
    let off = [("RATE_LIMITS_ENABLED", "false")];
    assert!(is_off(&read(&[&[("BOT_PROOF", "pow")], &off]).unwrap()));
    assert!(is_off(&read(&[&provider("turnstile"), &off]).unwrap()));
    // The settings are checked all the same.
    let Problems(problems) = read(&[&[("BOT_PROOF", "turnstile")], &off]).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn the_secret_is_not_shown() {
    let config = read(&[&provider("turnstile")]).unwrap();
    assert!(!format!("{config:?}").contains(PROVIDER_SECRET));
}
