//! `TERMS_VERSION`: the terms that users accept with their profile, again when they change.

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    on_both,
    support::{PHONE, TestServer, Tokens, whole_profile},
};

const COMPLETE: &str = "/api/auth/complete-profile";
const PROFILE: &str = "/api/auth/profile";

async fn with_terms(server: &TestServer, version: &str) -> TestServer {
    server.second_server(&[("TERMS_VERSION", version)]).await
}

fn accepting(version: impl Into<Value>) -> Value {
    let mut profile = whole_profile();
    profile["terms_version"] = version.into();
    profile
}

async fn complete(server: &TestServer, tokens: &Tokens, body: Value) -> crate::support::Answer {
    server.send_as(&tokens.access, Method::POST, COMPLETE, body).await
}

/// `needs_profile_completion` of a sign-in by code.
async fn needs_completion(server: &TestServer) -> bool {
    server.advance(30);
    server.login(PHONE).await.assert_ok();
    let answer = server.verify_login(PHONE, &server.last_code_for(PHONE)).await;
    answer.assert_ok().at("/data/needs_profile_completion").as_bool().unwrap()
}

on_both! {
    async fn the_version_in_force_must_be_accepted(server: TestServer) {
        let server = with_terms(&server, "2026-11").await;
        let tokens = server.sign_in(PHONE).await;
        for (version, sentence) in [
            (None, "must be accepted: version 2026-11"),
            (Some(json!(null)), "must be accepted"),
            (Some(json!("2026-10")), "Another version of the terms is in force: 2026-11"),
            (Some(json!("")), "Another version"),
            (Some(json!(7)), "Must be a text"),
            (Some(json!("2026\u{0}")), "Control characters"),
        ] {
            let mut body = whole_profile();
            if let Some(version) = version {
                body["terms_version"] = version;
            }
            let answer = complete(&server, &tokens, body).await;
            answer.assert_error(422, "validation_failed");
            let errors = answer.text_at("/error/fields/terms_version/0");
            assert!(errors.contains(sentence), "{}", answer.text);
        }
        // With every other fault at once.
        let answer = complete(&server, &tokens, json!({"name": "x"})).await;
        assert_eq!(answer.at("/error/fields").as_object().unwrap().len(), 6, "{}", answer.text);
        assert!(needs_completion(&server).await);
        complete(&server, &tokens, accepting("2026-11")).await.assert_ok();
        assert!(!needs_completion(&server).await);
    }

    async fn a_new_version_is_asked_for_again(server: TestServer) {
        let old = with_terms(&server, "2026-11").await;
        let tokens = old.sign_in(PHONE).await;
        complete(&old, &tokens, accepting("2026-11")).await.assert_ok();
        let terms = old.get_as(&tokens.access, PROFILE).await.assert_ok().at("/terms");
        let accepted_at = "2026-03-14T09:26:53.589793+00:00";
        assert_eq!(terms, json!({"in_force": "2026-11", "accepted": "2026-11", "accepted_at": accepted_at}));
        // The same version again keeps its time.
        server.advance(60);
        complete(&old, &tokens, accepting("2026-11")).await.assert_ok();
        let new = with_terms(&server, "2027-01").await;
        let terms = new.get_as(&tokens.access, PROFILE).await.assert_ok().at("/terms");
        assert_eq!(terms, json!({"in_force": "2027-01", "accepted": "2026-11", "accepted_at": accepted_at}));
        let user = new.get_as(&tokens.access, &format!("/api/users/{}", tokens.user_id)).await;
        assert_eq!(user.assert_ok().at("/needs_profile_completion"), json!(true));
        assert!(needs_completion(&new).await);
        // Who has a finished account logs in, also to accept newer terms.
        new.advance(30);
        new.signup(PHONE).await.assert_error(409, "user_already_exists");
        // One field is enough for that.
        let refused = new.send_as(&tokens.access, Method::PUT, PROFILE, json!({"terms_version": "2026-11"})).await;
        refused.assert_error(422, "validation_failed");
        let accepted = new.send_as(&tokens.access, Method::PUT, PROFILE, json!({"terms_version": "2027-01"})).await;
        assert_eq!(accepted.assert_ok().at("/terms/accepted"), json!("2027-01"));
        assert!(accepted.text_at("/terms/accepted_at").as_str() > accepted_at);
        assert!(!needs_completion(&new).await);
        // A change without the field keeps what was accepted.
        let kept = new.send_as(&tokens.access, Method::PUT, PROFILE, json!({"bio": "Music."})).await;
        assert_eq!(kept.assert_ok().at("/terms/accepted"), json!("2027-01"));
    }

    async fn the_export_has_them(server: TestServer) {
        let server = with_terms(&server, "2026-11").await;
        let tokens = server.sign_in(PHONE).await;
        let exported = async || server.get_as(&tokens.access, "/api/auth/export").await.assert_ok().at("/account");
        assert_eq!(exported().await["terms_version"], Value::Null);
        complete(&server, &tokens, accepting("2026-11")).await.assert_ok();
        let account = exported().await;
        assert_eq!(account["terms_version"], json!("2026-11"));
        assert_eq!(account["terms_accepted_at"], json!("2026-03-14T09:26:53.589793+00:00"));
    }

    async fn without_terms_nothing_is_asked_and_the_field_is_ignored(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        complete(&server, &tokens, accepting(7)).await.assert_error(422, "validation_failed");
        complete(&server, &tokens, accepting("whatever")).await.assert_ok();
        assert!(!needs_completion(&server).await);
        let profile = server.get_as(&tokens.access, PROFILE).await.assert_ok().json();
        assert!(profile.get("terms").is_none(), "{profile}");
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE terms_version IS NOT NULL").await, 0);
    }

    async fn a_null_accepts_nothing(server: TestServer) {
        let server = with_terms(&server, "2026-11").await;
        let tokens = server.sign_in(PHONE).await;
        let answer = server.send_as(&tokens.access, Method::PUT, PROFILE, json!({"terms_version": null})).await;
        answer.assert_error(422, "validation_failed");
        assert_eq!(answer.at("/error/fields").as_object().unwrap().len(), 1, "{}", answer.text);
    }
}
