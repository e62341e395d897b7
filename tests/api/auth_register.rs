//! `POST /api/auth/register`: an account with a password, signed in at once.

use futures_util::future::join_all;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    again::{PASSWORD, password_tokens, register},
    forge::claim,
    on_both,
    support::{OTHER_PHONE, PHONE},
};

const PATH: &str = "/api/auth/register";

/// A valid body with these members changed.
fn body(more: Value) -> Value {
    let mut body = json!({ "username": "Gaurav", "email": "Gaurav@Example.com", "password": PASSWORD });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}

on_both! {
    async fn who_registers_is_signed_in_with_a_profile(server: TestServer) {
        let more = json!({"first_name": " Gaurav ", "last_name": "Kumār", "phone": "062058 29376"});
        let answer = server.post(PATH, body(more)).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
        let members: Vec<String> = answer.json().as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["refresh", "access"]);
        let tokens = password_tokens(&answer);
        assert_eq!(claim(&tokens.access, "username"), "Gaurav");
        assert_eq!(claim(&tokens.access, "email"), "Gaurav@Example.com");
        assert_eq!(claim(&tokens.access, "role"), "user");
        let profile = server.get_as(&tokens.access, "/api/auth/profile").await;
        let user = json!({
            "id": tokens.user_id,
            "username": "Gaurav",
            "email": "Gaurav@Example.com",
            "first_name": "Gaurav",
            "last_name": "Kumār",
        });
        assert_eq!(profile.assert_ok().at("/user"), user);
        assert_eq!(profile.at("/phone"), json!(PHONE));
        assert_eq!(profile.at("/phone_number"), Value::Null);
        assert_eq!(profile.at("/is_verified"), json!(false));
        server.refresh(&tokens.refresh).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions WHERE opened_by = 'password'").await, 1);
        assert_eq!(server.codes_for(PHONE).len(), 0);
    }

    async fn names_are_unique_without_regard_to_case(server: TestServer) {
        register(&server, "other").await;
        assert_eq!(server.post(PATH, body(json!({}))).await.status.as_u16(), 201);
        for (username, email, code) in [
            ("gauRAV", "new@example.com", "username_taken"),
            ("new", "gaurav@EXAMPLE.com", "email_taken"),
            ("GAURAV", "gaurav@example.com", "username_taken"),
            ("gaurav", "OTHER@example.com", "username_taken"),
        ] {
            let answer = server.post(PATH, body(json!({"username": username, "email": email}))).await;
            answer.assert_error(409, code);
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 2);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 2);
    }

    async fn of_many_at_once_one_gets_the_name(server: TestServer) {
        let other_server = server.second_server(&[]).await;
        let answers = join_all((0..8).map(|number| {
            let other = if number % 2 == 0 { &server } else { &other_server };
            other.post(PATH, body(json!({"email": format!("gaurav{number}@example.com")})))
        })).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            answer.assert_error(409, "username_taken");
        }
        let answers = join_all((0..4).map(|number| {
            server.post(PATH, body(json!({"username": format!("g{number}"), "email": "one@example.com"})))
        })).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            answer.assert_error(409, "email_taken");
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 2);
    }

    async fn every_fault_is_named_at_once(server: TestServer) {
        let answer = server.post(PATH, json!({})).await;
        answer.assert_error(422, "validation_failed");
        let fields = answer.at("/error/fields");
        let named: Vec<&String> = fields.as_object().unwrap().keys().collect();
        assert_eq!(named, ["email", "password", "username"]);
        let answer = server.post(PATH, json!({
            "username": "a@b", "email": "nobody", "password": "1234567", "first_name": "n".repeat(151),
            "last_name": 7, "phone": "none",
        })).await;
        answer.assert_error(422, "validation_failed");
        let fields = answer.at("/error/fields");
        let named: Vec<&String> = fields.as_object().unwrap().keys().collect();
        assert_eq!(named, ["email", "first_name", "last_name", "password", "phone", "username"]);
        assert_eq!(fields["password"].as_array().unwrap().len(), 3, "short, digits, common: {fields}");
        for secret in ["1234567", "nobody", "a@b"] {
            assert!(!answer.text.contains(secret), "{}", answer.text);
        }
    }

    async fn a_password_is_not_like_what_else_was_sent(server: TestServer) {
        for (member, value, password) in [
            ("username", "odysseus", "xOdysseus-77"),
            ("email", "penelope@example.com", "penelope-of-ithaca"),
            ("first_name", "Telemachos", "telemachos!1"),
            ("last_name", "Laertiades", "laertiades9"),
            ("phone", "+91 62058 29376", "+916205829376"),
        ] {
            let answer = server.post(PATH, body(json!({member: value, "password": password}))).await;
            answer.assert_error(422, "validation_failed");
            let fields = answer.at("/error/fields");
            assert!(fields["password"][0].as_str().unwrap().contains("too much like"), "{member}: {fields}");
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 0);
    }

    async fn control_characters_and_other_types_are_no_text(server: TestServer) {
        for (member, value) in [
            ("username", json!("a\u{0}b")),
            ("email", json!("a\u{0}@example.com")),
            ("password", json!("correct horse\u{7} battery")),
            ("password", json!(["correct horse battery"])),
            ("password", json!(8_305_721_964_835_u64)),
            ("password", Value::Null),
            ("first_name", json!("a\nb")),
            ("phone", json!("62058\t29376")),
        ] {
            let answer = server.post(PATH, body(json!({member: value}))).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields")[member][0].is_string(), "{}", answer.text);
        }
        for optional in ["first_name", "last_name", "phone"] {
            let answer = server.post(PATH, body(json!({
                "username": format!("u{optional}"), "email": format!("{optional}@example.com"), optional: null,
            }))).await;
            assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
        }
    }

    async fn a_session_that_cannot_be_opened_leaves_no_account(server: TestServer) {
        server.execute("ALTER TABLE sessions RENAME TO elsewhere").await;
        server.post(PATH, body(json!({}))).await.assert_error(500, "internal");
        server.execute("ALTER TABLE elsewhere RENAME TO sessions").await;
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 0);
        assert_eq!(server.post(PATH, body(json!({}))).await.status.as_u16(), 201);
    }

    async fn a_claimed_phone_is_nobodys_and_gives_nothing(server: TestServer) {
        // Before the owner of the phone signs up.
        let claimed = register_with_phone(&server, "before").await;
        server.login(PHONE).await.assert_error(404, "user_not_found");
        let owner = server.sign_in_and_complete(PHONE).await;
        assert_ne!(owner.user_id, claimed.user_id);
        // And afterwards.
        let after = register_with_phone(&server, "after").await;
        assert_ne!(owner.user_id, after.user_id);
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let answer = server.verify_login(PHONE, &server.last_code_for(PHONE)).await;
        assert_eq!(answer.assert_ok().text_at("/data/user_id"), owner.user_id);
        assert_eq!(answer.text_at("/data/name"), "Gaurav Kumar");
        // The phone cannot sign in by a password, because the account of its owner has none.
        let answer =
            server.post("/api/auth/login", json!({"username": PHONE, "password": PASSWORD})).await;
        answer.assert_error(401, "credentials_invalid");
        for (tokens, name) in [(&claimed, "before"), (&after, "after")] {
            let profile = server.get_as(&tokens.access, "/api/auth/profile").await;
            assert_eq!(profile.assert_ok().at("/phone_number"), Value::Null);
            assert_eq!(profile.at("/phone"), json!(PHONE));
            assert_eq!((profile.text_at("/user/username").as_str(), profile.at("/name")), (name, Value::Null));
            assert_eq!(claim(&tokens.access, "phone_number"), "");
        }
        let profile = server.get_as(&owner.access, "/api/auth/profile").await;
        assert_eq!(profile.at("/user/username"), Value::Null);
        assert_eq!(profile.at("/phone"), Value::Null);
        assert_eq!(profile.at("/phone_number"), json!(PHONE));
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 3);
    }

    async fn a_phone_that_texts_do_not_reach_is_kept_as_it_was_written(server: TestServer) {
        let answer = server.post(PATH, body(json!({"phone": " 1234567890 "}))).await;
        let tokens = password_tokens(&answer);
        let profile = server.get_as(&tokens.access, "/api/auth/profile").await;
        assert_eq!(profile.at("/phone"), json!("1234567890"));
        let put = server.send_as(&tokens.access, Method::PUT, "/api/auth/profile", json!({"name": "Gaurav Kumar"}));
        assert_eq!(put.await.assert_ok().at("/phone"), json!("1234567890"));
        assert_eq!(server.codes_for(OTHER_PHONE).len(), 0);
    }
}

async fn register_with_phone(server: &crate::support::TestServer, name: &str) -> crate::support::Tokens {
    let more = json!({"username": name, "email": format!("{name}@example.com"), "phone": PHONE});
    let answer = server.post(PATH, body(more)).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
    password_tokens(&answer)
}
