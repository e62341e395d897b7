//! `POST /api/register/`: an account with a password, in the shape of Django REST framework.

use serde_json::{Value, json};

use crate::{again::PASSWORD, on_both};

const PATH: &str = "/api/register/";

on_both! {
    async fn an_account_is_made_and_not_signed_in(server: TestServer) {
        let body = json!({"username": "admin", "password": PASSWORD, "email": "admin@gmail.com", "password2": PASSWORD});
        let answer = server.post(PATH, body).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
        let expected = json!({"id": answer.at("/id"), "username": "admin", "email": "admin@gmail.com"});
        assert_eq!(answer.json(), expected);
        assert!(uuid::Uuid::parse_str(&answer.text_at("/id")).is_ok());
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 0);
        server.post("/api/token/", json!({"username": "admin", "password": PASSWORD})).await.assert_ok();
    }

    async fn the_address_may_be_left_out(server: TestServer) {
        for (name, email) in [("one", None), ("two", Some(Value::Null)), ("three", Some(json!("")))] {
            let mut body = json!({"username": name, "password": PASSWORD, "password2": null});
            if let Some(email) = email {
                body["email"] = email;
            }
            let answer = server.post(PATH, body).await;
            assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
            assert_eq!(answer.at("/email"), Value::Null);
        }
        let body = json!({"username": "TWO", "password": PASSWORD});
        server.post(PATH, body).await.assert_error(409, "username_taken");
        let body = json!({"username": "four", "password": PASSWORD, "email": "no"});
        let answer = server.post(PATH, body).await;
        answer.assert_error(422, "validation_failed");
        assert!(answer.at("/error/fields/email/0").is_string());
    }

    async fn two_passwords_must_be_one(server: TestServer) {
        for again in [json!("purple-kettle-morning-72"), json!(""), json!(7)] {
            let body = json!({"username": "admin", "password": PASSWORD, "password2": again});
            let answer = server.post(PATH, body).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/password2/0").is_string(), "{}", answer.text);
            assert!(answer.at("/error/fields/password").is_null(), "{}", answer.text);
        }
        // Django's own rules refuse the password of that document too.
        let answer = server.post(PATH, json!({"username": "admin", "password": "admin"})).await;
        answer.assert_error(422, "validation_failed");
        assert_eq!(answer.at("/error/fields/password").as_array().unwrap().len(), 3, "{}", answer.text);
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 0);
    }
}
