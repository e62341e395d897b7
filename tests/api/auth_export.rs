//! `GET /api/auth/export`

use serde_json::{Value, json};

use crate::{
    again::{PASSWORD, confirm_by_code, post_as, register, sign_in_from},
    on_both,
    support::{OTHER_PHONE, PHONE},
};

const PATH: &str = "/api/auth/export";
const NEW: &str = "+919812345678";

on_both! {
    async fn everything_is_in_it(server: TestServer) {
        // Not about the limits, which it would reach.
        let server = server.without_limits().await;
        let tokens = server.sign_in_and_complete(PHONE).await;
        let note = "INSERT INTO lead_notes (id, lead_id, author_id, author_name, text, at) \
                    SELECT id, id, id, 'asha', 'likes jazz', first_requested_at FROM leads";
        server.execute(note).await;
        confirm_by_code(&server, &tokens, PHONE).await;
        let answer = server.get_as(&tokens.access, PATH).await;
        answer.assert_ok();
        let disposition = answer.header("content-disposition").unwrap();
        assert!(disposition.starts_with("attachment; filename="), "{disposition}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.at("/account/user_id"), json!(tokens.user_id));
        assert_eq!(answer.at("/account/phone_number"), json!(PHONE));
        assert_eq!(answer.at("/account/has_password"), json!(false));
        assert_eq!(answer.at("/profile/name"), json!("Gaurav Kumar"));
        assert_eq!(answer.at("/profile/birth_date"), json!("1995-01-01"));
        assert_eq!(answer.at("/profile/event_interests").as_array().map(Vec::len), Some(3));
        assert_eq!(answer.at("/sessions/0/opened_by"), json!("code"));
        assert_eq!(answer.at("/messages").as_array().map(Vec::len), Some(2));
        assert_eq!(answer.at("/messages/0/kind"), json!("otp"));
        let purposes: Vec<Value> = answer.at("/codes").as_array().unwrap().iter()
            .map(|code| code["purpose"].clone()).collect();
        assert_eq!(purposes, [json!("confirm"), json!("sign_in")]);
        assert_eq!(answer.at("/lead/notes/0/text"), json!("likes jazz"));
        assert_eq!(answer.at("/lead/notes/1"), Value::Null);
        assert!(!answer.text.contains("asha"), "the author is a member of staff, not the user");
        assert_eq!(answer.at("/lead/state"), json!("converted"));
        assert_eq!(answer.at("/exported_at"), answer.at("/codes/0/used_at"));
    }

    async fn no_secret_is_in_it(server: TestServer) {
        let tokens = register(&server, "gaurav").await;
        let body = json!({ "phone_number": PHONE });
        post_as(&server, &tokens, "/api/auth/change-phone", body).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let answer = server.get_as(&tokens.access, PATH).await;
        answer.assert_ok();
        assert_eq!(answer.at("/account/email"), json!("gaurav@example.com"));
        assert_eq!(answer.at("/account/has_password"), json!(true));
        assert_eq!(answer.at("/codes/0/purpose"), json!("change_phone"));
        let text = answer.text.clone();
        for secret in [PASSWORD, "$argon2", "eyJ", "jti", &format!("\"{code}\"")] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        // The message is part of the export; the number that is not verified is not.
        assert_eq!(answer.at("/messages").as_array().map(Vec::len), Some(1));
        assert!(!answer.at("/messages").to_string().contains(PHONE));
        assert_eq!(answer.at("/lead"), Value::Null);
    }

    async fn the_next_owner_of_a_number_sees_nothing_of_the_last(server: TestServer) {
        let (old, new) = (PHONE, "+919876543211");
        let tokens = server.sign_in(old).await;
        post_as(&server, &tokens, "/api/auth/change-phone", json!({ "phone_number": new })).await.assert_ok();
        let body = json!({ "phone_number": new, "otp_code": server.last_code_for(new) });
        post_as(&server, &tokens, "/api/auth/verify-change-phone", body).await.assert_ok();
        server.advance(30);
        let next = server.sign_in(old).await;
        let answer = server.get_as(&next.access, PATH).await;
        let messages = answer.assert_ok().at("/messages");
        assert_eq!(messages.as_array().map(Vec::len), Some(1), "{messages}");
        assert_eq!(messages[0]["kind"], json!("otp"));
    }

    async fn nothing_of_anybody_else_is_in_it(server: TestServer) {
        let first = server.sign_in(PHONE).await;
        server.sign_in(OTHER_PHONE).await;
        // Another account requests a code for this number.
        let other = register(&server, "other").await;
        // The user changes to another number, and another user gets the old one.
        let body = json!({ "phone_number": NEW });
        post_as(&server, &first, "/api/auth/change-phone", body.clone()).await.assert_ok();
        let body = json!({ "phone_number": NEW, "otp_code": server.last_code_for(NEW) });
        post_as(&server, &first, "/api/auth/verify-change-phone", body).await.assert_ok();
        let next = sign_in_from(&server, PHONE, "Next").await;
        post_as(&server, &other, "/api/auth/change-phone", json!({ "phone_number": NEW })).await
            .assert_error(409, "phone_taken");
        let answer = server.get_as(&next.access, PATH).await;
        answer.assert_ok();
        let text = answer.text.clone();
        for others in [first.user_id.as_str(), other.user_id.as_str(), NEW, OTHER_PHONE] {
            assert!(!text.contains(others), "{others} is in {text}");
        }
        // The user's own code, but not the notice to this number from the time of its former user.
        let kinds: Vec<Value> = answer.at("/messages").as_array().unwrap().iter()
            .map(|message| message["kind"].clone()).collect();
        assert_eq!(kinds, [json!("otp")]);
        assert_eq!(answer.at("/sessions").as_array().map(Vec::len), Some(1));
        assert_eq!(answer.at("/lead/requests"), json!(1));
    }

    async fn a_stranger_gets_nothing(server: TestServer) {
        server.get(PATH).await.assert_error(401, "token_missing");
        let tokens = server.sign_in(PHONE).await;
        server.get_as(&tokens.refresh, PATH).await.assert_error(401, "token_invalid");
    }
}
