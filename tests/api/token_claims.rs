//! `sub`, and the claims that `JWT_CLAIMS` adds to access tokens.

use loopin_auth::{config::Config, random::Random};
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    again::{register, tokens_of},
    forge::{claim, claims, signed, with},
    on_both,
    support::{OTHER_PHONE, PHONE, TestServer, Tokens, whole_profile},
};

const PROFILE: &str = "/api/auth/profile";

/// The names of `JWT_CLAIMS` that are in every token, if they are asked for.
const ALWAYS: [&str; 3] = ["phone_verified", "email_verified", "needs_profile_completion"];

/// The claims of a token that `JWT_CLAIMS` can add, `email_verified` and its like included.
fn added(token: &str) -> Value {
    let all = claims(token);
    let named =
        ["name", "locale", "external_id", "phone_verified", "email_verified", "needs_profile_completion"];
    named.iter().filter_map(|name| Some(((*name).to_owned(), all.get(*name)?.clone()))).collect()
}

/// Signs in by code, with this `Accept-Language`.
async fn sign_in_with_languages(server: &TestServer, phone: &str, languages: &str) -> Tokens {
    server.advance(30);
    server.signup(phone).await.assert_ok();
    let body = json!({ "phone_number": phone, "otp_code": server.last_code_for(phone) });
    let headers = [("content-type", "application/json"), ("accept-language", languages)];
    tokens_of(&server.send(Method::POST, "/api/auth/verify-otp", &headers, Some(body.to_string())).await)
}

async fn refreshed(server: &TestServer, tokens: &Tokens) -> Tokens {
    let answer = server.refresh(&tokens.refresh).await;
    answer.assert_ok();
    Tokens {
        access: answer.text_at("/access"),
        refresh: answer.text_at("/refresh"),
        user_id: tokens.user_id.clone(),
    }
}

on_both! {
    async fn sub_is_the_account_in_every_access_token(server: TestServer) {
        let by_code = server.sign_in(PHONE).await;
        let by_password = register(&server, "asha").await;
        let next = refreshed(&server, &by_code).await;
        for tokens in [&by_code, &by_password, &next] {
            assert_eq!(claim(&tokens.access, "sub"), tokens.user_id);
            assert_eq!(claim(&tokens.access, "user_id"), tokens.user_id);
            // A refresh token is for this server only.
            assert_eq!(claims(&tokens.refresh)["sub"], Value::Null);
        }
    }

    async fn a_token_that_names_two_accounts_is_refused(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let other = server.sign_in(OTHER_PHONE).await;
        let answer = async |change| {
            let token = signed(&server, &with(claims(&tokens.access), change));
            server.get_as(&token, PROFILE).await
        };
        answer(json!({"sub": other.user_id})).await.assert_error(401, "token_revoked");
        answer(json!({"sub": "auth0|5f7c"})).await.assert_error(401, "token_invalid");
        answer(json!({"sub": 7})).await.assert_error(401, "token_invalid");
        // Tokens of earlier versions have none.
        answer(json!({"sub": null})).await.assert_ok();
    }

    async fn without_the_setting_there_is_none_of_them(server: TestServer) {
        let tokens = sign_in_with_languages(&server, PHONE, "hi-IN").await;
        server.send_as(&tokens.access, Method::POST, "/api/auth/complete-profile", whole_profile()).await.assert_ok();
        let next = refreshed(&server, &tokens).await;
        for token in [&tokens.access, &next.access, &next.refresh] {
            assert_eq!(added(token), json!({}));
        }
        // An address brings its own.
        assert_eq!(added(&register(&server, "asha").await.access), json!({"email_verified": false}));
    }

    async fn each_is_in_access_tokens_where_it_is_asked_for(server: TestServer) {
        let all = server.second_server(&[
            ("JWT_CLAIMS", "name, locale,external_id,phone_verified,email_verified,needs_profile_completion"),
            // Not about the limits, which it would reach.
            ("RATE_LIMITS_ENABLED", "false"),
        ]).await;
        let tokens = sign_in_with_languages(&all, PHONE, "en;q=0.8, hi-IN").await;
        let new = json!({
            "locale": "hi-IN", "phone_verified": true, "email_verified": false, "needs_profile_completion": true,
        });
        assert_eq!(added(&tokens.access), new);
        assert_eq!(added(&tokens.refresh), json!({}));
        // A refresh brings them up to date; the language stays that of the sign-in.
        all.send_as(&tokens.access, Method::POST, "/api/auth/complete-profile", whole_profile()).await.assert_ok();
        let next = refreshed(&all, &tokens).await;
        let complete = json!({
            "name": "Gaurav Kumar", "locale": "hi-IN", "phone_verified": true, "email_verified": false,
            "needs_profile_completion": false,
        });
        assert_eq!(added(&next.access), complete);
        assert_eq!(added(&refreshed(&all, &next).await.access), complete);
        // Without a phone, a name and a language.
        let none = json!({"phone_verified": false, "email_verified": false, "needs_profile_completion": true});
        assert_eq!(added(&register(&all, "asha").await.access), none);
        // Each alone.
        for name in ALWAYS {
            let one = all.second_server(&[("JWT_CLAIMS", name)]).await;
            one.advance(30);
            one.login(PHONE).await.assert_ok();
            let answer = one.verify_login(PHONE, &one.last_code_for(PHONE)).await;
            assert_eq!(added(&answer.assert_ok().text_at("/token")), json!({name: complete[name]}), "{name}");
        }
    }

    async fn the_language_of_a_sign_in_is_kept_with_its_session(server: TestServer) {
        // Not about the limits, which it would reach.
        let asked = server.without_limits().await.second_server(&[("JWT_CLAIMS", "locale")]).await;
        for (languages, expected) in [
            ("hi-IN,en;q=0.5", json!({"locale": "hi-IN"})),
            ("*", json!({})),
            ("", json!({})),
            ("<script>, ta", json!({"locale": "ta"})),
        ] {
            let tokens = sign_in_with_languages(&asked, PHONE, languages).await;
            assert_eq!(added(&tokens.access), expected, "{languages}");
            assert_eq!(added(&refreshed(&asked, &tokens).await.access), expected, "{languages}");
        }
        // The owner sees it in the export.
        let tokens = sign_in_with_languages(&asked, PHONE, "mr").await;
        let export = asked.get_as(&tokens.access, "/api/auth/export").await;
        let locales: Vec<Value> = export.assert_ok().at("/sessions").as_array().unwrap().iter()
            .map(|session| session["locale"].clone()).collect();
        assert_eq!(locales, [json!("hi-IN"), Value::Null, Value::Null, json!("ta"), json!("mr")]);
    }
}

#[test]
fn a_claim_that_is_not_known_stops_the_start() {
    for (value, unknown) in
        [("name,phone", "phone"), ("sub", "sub"), ("Name,LOCALE", "Name, LOCALE"), ("role;name", "role;name")]
    {
        let get = |name: &str| (name == "JWT_CLAIMS").then(|| value.to_owned());
        let (_, problems) = Config::examine(&get, &Random::seeded(1));
        let expected = format!(
            "JWT_CLAIMS must be names of this list: name, locale, external_id, phone_verified, email_verified, \
             needs_profile_completion; it has {unknown}"
        );
        assert_eq!(problems.0, [expected]);
    }
    for value in ["", " , ", "name", "external_id , name,", "name,name"] {
        let get = |name: &str| (name == "JWT_CLAIMS").then(|| value.to_owned());
        assert!(Config::examine(&get, &Random::seeded(1)).1.0.is_empty(), "{value}");
    }
}
