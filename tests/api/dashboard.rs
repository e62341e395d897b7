//! `GET` and `POST /api/dashboard/`: the greeting.

use poem::http::Method;
use serde_json::{Value, json};

use crate::{again::register, on_both, support::PHONE};

const PATH: &str = "/api/dashboard/";

on_both! {
    async fn it_greets_by_the_username(server: TestServer) {
        let tokens = register(&server, "admin").await;
        let answer = server.get_as(&tokens.access, PATH).await;
        assert_eq!(answer.assert_ok().json(), json!({"response": "Hey admin, You are seeing a GET response"}));
        let answer =
            server.send_as(&tokens.access, Method::POST, PATH, json!({"text": "This is my Text"})).await;
        let expected = json!({"response": "Hey admin, your text is This is my Text"});
        assert_eq!(answer.assert_ok().json(), expected);
    }

    async fn it_greets_by_the_phone_and_then_by_the_name(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let response = server.get_as(&tokens.access, PATH).await.text_at("/response");
        assert_eq!(response, format!("Hey {PHONE}, You are seeing a GET response"));
        let put = json!({"name": "Gaurav Kumar"});
        server.send_as(&tokens.access, Method::PUT, "/api/auth/profile", put).await.assert_ok();
        let response = server.get_as(&tokens.access, PATH).await.text_at("/response");
        assert_eq!(response, "Hey Gaurav Kumar, You are seeing a GET response");
    }

    async fn a_text_is_a_text(server: TestServer) {
        let tokens = register(&server, "admin").await;
        for text in [Value::Null, json!(7), json!("a\u{0}b"), json!("a\nb"), json!("x".repeat(1001))] {
            let answer = server.send_as(&tokens.access, Method::POST, PATH, json!({"text": text})).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/text/0").is_string(), "{}", answer.text);
        }
        let answer = server.send_as(&tokens.access, Method::POST, PATH, json!({})).await;
        answer.assert_error(422, "validation_failed");
        let long = "ग".repeat(1000);
        let answer = server.send_as(&tokens.access, Method::POST, PATH, json!({"text": long})).await;
        assert_eq!(answer.assert_ok().text_at("/response"), format!("Hey admin, your text is {long}"));
    }

    async fn a_stranger_is_not_greeted(server: TestServer) {
        server.get(PATH).await.assert_error(401, "token_missing");
        // The gate comes before the body.
        server.post_text(PATH, "{").await.assert_error(401, "token_missing");
        let tokens = register(&server, "admin").await;
        server.get_as(&tokens.refresh, PATH).await.assert_error(401, "token_invalid");
    }
}
