//! The requests of the clients of three password-based backends, as in the documents of those backends. The differences are
//! intended: their passwords are too weak here, a body needs its Content-Type, ids are UUIDs.

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    forge::claim,
    on_both,
    support::{Answer, TestServer},
};

const TEXT: (&str, &str) = ("content-type", "application/json");

async fn curl(server: &TestServer, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    server.send(Method::POST, path, headers, Some(body.to_owned())).await
}

fn members(answer: &Answer) -> Vec<String> {
    answer.json().as_object().unwrap().keys().cloned().collect()
}

on_both! {
    async fn the_phone_of_a_profile_is_written_and_proves_nothing(server: TestServer) {
        let body = json!({"username": "gaurav", "email": "g@example.com", "password": "purple-kettle-morning-71", "phone": "1234567890"});
        let access = server.post("/api/auth/register", body).await.text_at("/access");
        let path = "/api/auth/profile/";
        assert_eq!(server.get_as(&access, path).await.assert_ok().at("/phone"), json!("1234567890"));
        for (given, shown) in [
            (json!("062058 29376"), json!("+916205829376")),
            (json!(null), json!(null)),
            (json!("0987654321"), json!("0987654321")),
        ] {
            let answer = server.send_as(&access, Method::PUT, path, json!({ "phone": given })).await;
            assert_eq!((answer.assert_ok().at("/phone"), answer.at("/phone_number")), (shown, json!(null)));
        }
        let answer = server.send_as(&access, Method::PUT, path, json!({ "phone": "call me" })).await;
        answer.assert_error(422, "validation_failed");
        server.login("+916205829376").await.assert_error(404, "user_not_found");
    }

    /// "What you need from Django", with its test user.
    async fn the_client_of_the_opportunities_service(server: TestServer) {
        let user = r#"{"username":"testuser","password":"testpass123","email":"user@example.com"}"#;
        assert_eq!(curl(&server, "/api/register/", &[TEXT], user).await.status.as_u16(), 201);
        let body = r#"{"username":"testuser","password":"testpass123"}"#;
        // The default Content-Type of curl, which is for forms.
        let form = [("content-type", "application/x-www-form-urlencoded")];
        curl(&server, "/api/auth/login/", &form, body).await.assert_error(415, "unsupported_media_type");
        let answer = curl(&server, "/api/auth/login/", &[TEXT], body).await;
        let access = answer.assert_ok().text_at("/access");
        assert_eq!(members(&answer), ["refresh", "access"]);
        for (name, expected) in [
            ("token_type", "access"), ("username", "testuser"), ("email", "user@example.com"), ("role", "user"),
        ] {
            assert_eq!(claim(&access, name), expected, "{name}");
        }
        assert!(uuid::Uuid::parse_str(&claim(&access, "user_id")).is_ok());
        let body = json!({"refresh": answer.text_at("/refresh")}).to_string();
        let answer = curl(&server, "/api/auth/refresh/", &[TEXT], &body).await;
        assert!(!answer.assert_ok().text_at("/access").is_empty());
    }

    /// "django-auth-backend": register, token, refresh, dashboard.
    async fn the_client_of_the_dashboard(server: TestServer) {
        let weak = r#"{"username": "admin", "password": "admin"}"#;
        let refused = curl(&server, "/api/register/", &[TEXT], weak).await;
        refused.assert_error(422, "validation_failed");
        assert!(refused.at("/error/fields/password/0").is_string());
        let body = r#"{"username": "admin", "password": "Str0ng-Passw0rd!"}"#;
        let answer = curl(&server, "/api/register/", &[TEXT], body).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
        assert_eq!(members(&answer), ["id", "username", "email"]);
        assert_eq!(answer.at("/username"), json!("admin"));
        let answer = curl(&server, "/api/token/", &[TEXT], body).await;
        assert_eq!(members(answer.assert_ok()), ["refresh", "access"]);
        let refresh = json!({"refresh": answer.text_at("/refresh")}).to_string();
        let answer = curl(&server, "/api/token/refresh/", &[TEXT], &refresh).await;
        let access = answer.assert_ok().text_at("/access");
        let answer = server.get_as(&access, "/api/dashboard/").await;
        let expected = "Hey admin, You are seeing a GET response";
        assert_eq!(answer.assert_ok().json(), json!({"response": expected}));
        let bearer = format!("Bearer {access}");
        let headers = [TEXT, ("authorization", bearer.as_str())];
        let answer = curl(&server, "/api/dashboard/", &headers, r#"{"text": "This is my Text"}"#).await;
        let expected = "Hey admin, your text is This is my Text";
        assert_eq!(answer.assert_ok().json(), json!({"response": expected}));
    }

    /// "Authentication System": register with a profile, log in, refresh, read and change the profile, log out.
    async fn the_client_of_the_nextjs_frontend(server: TestServer) {
        let body = json!({
            "username": "username", "email": "email@example.com", "password": "a long walk in May",
            "first_name": "First", "last_name": "Last", "phone": "1234567890",
        });
        let answer = curl(&server, "/api/auth/register", &[TEXT], &body.to_string()).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
        assert_eq!(members(&answer), ["refresh", "access"]);
        let body = json!({"username": "username", "password": "a long walk in May"}).to_string();
        let answer = curl(&server, "/api/auth/login", &[TEXT], &body).await;
        assert_eq!(members(answer.assert_ok()), ["refresh", "access"]);
        let refresh = json!({"refresh": answer.text_at("/refresh")}).to_string();
        let answer = curl(&server, "/api/auth/refresh", &[TEXT], &refresh).await;
        let (access, refresh) = (answer.assert_ok().text_at("/access"), answer.text_at("/refresh"));
        let profile = server.get_as(&access, "/api/auth/profile").await;
        let user = json!({
            "id": claim(&access, "user_id"),
            "username": "username",
            "email": "email@example.com",
            "first_name": "First",
            "last_name": "Last",
        });
        assert_eq!(profile.assert_ok().at("/user"), user);
        assert_eq!(profile.at("/phone"), json!("1234567890"));
        for there in ["/id", "/created_at", "/updated_at"] {
            assert_ne!(profile.at(there), Value::Null, "{there}");
        }
        let changed =
            server.send_as(&access, Method::PUT, "/api/auth/profile", json!({"location": "Pune"})).await;
        assert_eq!(changed.assert_ok().at("/location"), json!("Pune"));
        assert_eq!(changed.at("/phone"), json!("1234567890"));
        let body = json!({"refresh": refresh});
        server.send_as(&access, Method::POST, "/api/auth/logout", body).await.assert_ok();
        server.refresh(&refresh).await.assert_error(401, "token_revoked");
    }
}
