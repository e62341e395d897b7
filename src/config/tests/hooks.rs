//! The settings of hooks.

use super::*;
use crate::hooks::OnFailure;

const URL: (&str, &str) = ("BEFORE_SEND_URL", "https://hooks.example.com/before-send");
const SECRET: (&str, &str) = ("BEFORE_SEND_SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
const OPEN: (&str, &str) = ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true");

fn local(url: &'static str) -> [(&'static str, &'static str); 2] {
    [("BEFORE_SEND_URL", url), SECRET]
}

#[test]
fn nothing_is_asked_by_default() {
    for config in [dev(&[]), prod(&[]).unwrap(), dev(&[("BEFORE_SEND_ON_FAILURE", "deny")])] {
        assert!(config.before_send.is_none());
        assert!(!config.hook_rules.allow_private_networks);
    }
}

#[test]
fn a_hook_has_a_url_and_a_secret() {
    let hook = prod(&[URL, SECRET]).unwrap().before_send.unwrap();
    assert_eq!(
        (hook.endpoint.to_string().as_str(), hook.on_failure),
        ("https://hooks.example.com", OnFailure::Allow)
    );
    let hook = dev(&[URL, SECRET, ("BEFORE_SEND_ON_FAILURE", "deny")]).before_send.unwrap();
    assert_eq!(hook.on_failure, OnFailure::Deny);
    assert_eq!(problem(&[URL]), "BEFORE_SEND_SECRET must be set with BEFORE_SEND_URL");
    assert_eq!(
        problem(&[URL, ("BEFORE_SEND_SECRET", "a secret")]),
        "BEFORE_SEND_SECRET must begin with whsec_"
    );
    assert_eq!(
        problem(&[URL, SECRET, ("BEFORE_SEND_ON_FAILURE", "ask")]),
        "BEFORE_SEND_ON_FAILURE must be allow or deny"
    );
    let warns = |config: &Config, text: &str| config.warnings.iter().any(|warning| warning.starts_with(text));
    assert!(warns(&dev(&[SECRET]), "BEFORE_SEND_SECRET has no effect"));
    assert!(warns(&dev(&[URL, SECRET]), "BEFORE_SEND_URL is set and BOT_PROOF is off"));
    assert!(!warns(&dev(&[URL, SECRET, ("BOT_PROOF", "pow")]), "BEFORE_SEND_URL"));
}

#[test]
fn events_have_a_url_and_a_secret() {
    const URL: (&str, &str) = ("EVENTS_URL", "https://hooks.example.com/events");
    let secret = ("EVENTS_SECRET", SECRET.1);
    assert!(prod(&[]).unwrap().events.is_none());
    let events = prod(&[URL, secret]).unwrap().events.unwrap();
    assert_eq!(
        (events.endpoint.to_string().as_str(), events.include_phone),
        ("https://hooks.example.com", false)
    );
    assert!(dev(&[URL, secret, ("EVENTS_INCLUDE_PHONE", "true")]).events.unwrap().include_phone);
    assert_eq!(problem(&[URL]), "EVENTS_SECRET must be set with EVENTS_URL");
    assert_eq!(problem(&[URL, ("EVENTS_SECRET", "whsec_c2hvcnQ=")]).split(' ').next(), Some("EVENTS_SECRET"));
    assert_eq!(
        problem(&[URL, secret, ("EVENTS_INCLUDE_PHONE", "perhaps")]).split(' ').next(),
        Some("EVENTS_INCLUDE_PHONE")
    );
    let private = "EVENTS_URL must not be a private address, unless HOOKS_ALLOW_PRIVATE_NETWORKS is true";
    assert_eq!(problem(&[("EVENTS_URL", "https://10.0.0.5/"), secret]), private);
    let Err(problems) = prod(&[("EVENTS_URL", "http://hooks.example.com"), secret]) else {
        panic!("http in prod")
    };
    assert_eq!(problems.0, ["EVENTS_URL must be an https URL (http is for development only)"]);
    let warns =
        dev(&[secret]).warnings.iter().any(|warning| warning.starts_with("EVENTS_SECRET has no effect"));
    assert!(warns);
    // The path can hold a secret of the operator.
    assert!(!format!("{:?}", prod(&[URL, secret]).unwrap()).contains("/events"));
}

#[test]
fn a_url_is_https_and_public() {
    let private =
        "BEFORE_SEND_URL must not be a private address, unless HOOKS_ALLOW_PRIVATE_NETWORKS is true";
    for url in ["http://localhost:3000", "https://10.0.0.5/hook", "https://[::1]", "https://169.254.169.254"]
    {
        assert_eq!(problem(&local(url)), private, "{url}");
        assert!(dev(&[local(url)[0], SECRET, OPEN]).before_send.is_some());
    }
    let http = local("http://hooks.example.com");
    assert!(dev(&http).before_send.is_some());
    let Err(problems) = prod(&http) else { panic!("http in prod") };
    assert_eq!(problems.0, ["BEFORE_SEND_URL must be an https URL (http is for development only)"]);
    let Err(problems) = prod(&[http[0], SECRET, OPEN]) else { panic!("http in prod") };
    assert_eq!(problems.0.len(), 1);
    assert!(prod(&[("BEFORE_SEND_URL", "https://10.0.0.5"), SECRET, OPEN]).unwrap().before_send.is_some());
}
