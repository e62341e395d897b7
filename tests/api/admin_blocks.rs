//! `/api/admin/blocks`: admins make, list and end blocks.

use chrono::Duration;
use loopin_auth::domain::audit::Action;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    on_both,
    prefixes::entries,
    roles::{ADMIN, STAFF, sign_in_with_role},
    support::{Answer, OTHER_PHONE, PHONE, TestServer, Tokens},
};

const PATH: &str = "/api/admin/blocks";

pub async fn admin(server: &TestServer) -> Tokens {
    sign_in_with_role(server, ADMIN, "admin").await
}

pub async fn post(server: &TestServer, who: &Tokens, body: Value) -> Answer {
    server.send_as(&who.access, Method::POST, PATH, body).await
}

/// Blocks something. Returns the id.
pub async fn block(server: &TestServer, admin: &Tokens, kind: &str, value: &str) -> String {
    let answer = post(server, admin, json!({"kind": kind, "value": value, "reason": "a test"})).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
    answer.text_at("/id")
}

pub async fn end(server: &TestServer, admin: &Tokens, id: &str) -> Answer {
    server.send_as(&admin.access, Method::DELETE, &format!("{PATH}/{id}"), json!({})).await
}

async fn values(server: &TestServer, admin: &Tokens, query: &str) -> Vec<String> {
    let answer = server.get_as(&admin.access, &format!("{PATH}{query}")).await;
    let items = answer.assert_ok().at("/items");
    items.as_array().unwrap().iter().map(|item| item["value"].as_str().unwrap().to_owned()).collect()
}

on_both! {
    async fn only_admins_see_blocks(server: TestServer) {
        let admin = admin(&server).await;
        let id = block(&server, &admin, "phone", PHONE).await;
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let user = server.sign_in(OTHER_PHONE).await;
        for who in [&staff, &user] {
            for (method, path) in [
                (Method::GET, PATH.to_owned()),
                (Method::POST, PATH.to_owned()),
                (Method::GET, format!("{PATH}/{id}")),
                (Method::DELETE, format!("{PATH}/{id}")),
            ] {
                let answer = server.send_as(&who.access, method, &path, json!({})).await;
                answer.assert_error(403, "forbidden");
            }
        }
        server.get(PATH).await.assert_error(401, "token_missing");
        server.signup(PHONE).await.assert_error(400, "phone_unreachable");
    }

    async fn a_block_is_made_read_and_ended(server: TestServer) {
        let admin = admin(&server).await;
        let until = server.now() + Duration::hours(5);
        let made = post(&server, &admin, json!({
            "kind": "phone", "value": "062058 29376", "reason": " spam ", "reference": "FIR 112/2026",
            "ends_at": until.to_rfc3339(),
        })).await;
        assert_eq!(made.status.as_u16(), 201, "{}", made.text);
        assert_eq!((made.text_at("/value"), made.text_at("/reason")), (PHONE.to_owned(), "spam".to_owned()));
        assert_eq!((made.at("/is_live"), made.at("/ended_at")), (json!(true), Value::Null));
        assert_eq!(made.text_at("/made_by"), admin.user_id);
        let path = format!("{PATH}/{}", made.text_at("/id"));
        assert_eq!(server.get_as(&admin.access, &path).await.assert_ok().json(), made.json());
        let ended = end(&server, &admin, &made.text_at("/id")).await;
        assert_eq!((ended.assert_ok().at("/is_live"), ended.text_at("/ended_by")), (json!(false), admin.user_id.clone()));
        server.advance(60);
        let again = end(&server, &admin, &made.text_at("/id")).await;
        assert_eq!(again.assert_ok().json(), ended.json());
        for id in ["0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11", "x"] {
            end(&server, &admin, id).await.assert_error(404, "not_found");
            server.get_as(&admin.access, &format!("{PATH}/{id}")).await.assert_error(404, "not_found");
        }
        let made = &entries(&server, Action::BlockMade).await[0];
        assert_eq!(made.actor_id.unwrap().to_string(), admin.user_id);
        assert_eq!(made.phone_masked.as_deref(), Some("+91******9376"));
        assert_eq!(made.detail.get("kind"), Some(&json!("phone")));
        assert!(!made.detail.to_string().contains("spam") && !made.detail.to_string().contains("FIR"));
        assert_eq!(entries(&server, Action::BlockEnded).await.len(), 1);
        // The two readings with the whole number.
        assert_eq!(entries(&server, Action::PhoneShown).await.len(), 3);
    }

    async fn a_list_is_filtered_and_masked_and_has_pages(server: TestServer) {
        let admin = admin(&server).await;
        for (kind, value) in [("phone", PHONE), ("prefix", "+91987"), ("country", "gb"), ("address", "203.0.113.0/24")] {
            block(&server, &admin, kind, value).await;
            server.advance(1);
        }
        let masked = "+91 ••••• ••376";
        assert_eq!(values(&server, &admin, "").await, ["203.0.113.0/24", "GB", "+91987", masked]);
        assert_eq!(values(&server, &admin, "?kind=phone").await, [masked]);
        assert_eq!(values(&server, &admin, "?value=062058%2029376").await, [masked]);
        assert_eq!(values(&server, &admin, "?value=nonsense").await, [""; 0]);
        let list = server.get_as(&admin.access, PATH).await;
        assert!(!list.text.contains("6205829376"), "{}", list.text);
        end(&server, &admin, &list.text_at("/items/1/id")).await.assert_ok();
        assert_eq!(values(&server, &admin, "?state=ended").await, ["GB"]);
        assert_eq!(values(&server, &admin, "?state=live").await, ["203.0.113.0/24", "+91987", masked]);
        let wrong = server.get_as(&admin.access, &format!("{PATH}?kind=planet&state=maybe&cursor=x")).await;
        wrong.assert_error(422, "validation_failed");
        for field in ["kind", "state", "cursor"] {
            assert!(wrong.at(&format!("/error/fields/{field}/0")).is_string(), "{}", wrong.text);
        }
        for number in 0..49 {
            block(&server, &admin, "address", &format!("198.51.100.{number}")).await;
        }
        let first = server.get_as(&admin.access, PATH).await;
        assert_eq!(first.at("/items").as_array().unwrap().len(), 50);
        let next = values(&server, &admin, &format!("?cursor={}", first.text_at("/next"))).await;
        assert_eq!(next, ["GB", "+91987", masked]);
        let all = server.get_as(&admin.access, &format!("{PATH}?state=ended")).await;
        assert_eq!(all.json().get("next"), Some(&Value::Null));
    }

    async fn what_is_wrong_with_a_block_is_said_beside_its_field(server: TestServer) {
        let admin = admin(&server).await;
        let past = server.now().to_rfc3339();
        for (body, fields) in [
            (json!({}), vec!["kind", "value", "reason"]),
            (json!({"kind": "planet", "value": "Mars", "reason": ""}), vec!["kind", "reason"]),
            (json!({"kind": "phone", "value": "12", "reason": "x".repeat(501), "reference": "x".repeat(101)}), vec!["value", "reason", "reference"]),
            (json!({"kind": "country", "value": "IN", "reason": "x", "ends_at": past}), vec!["ends_at"]),
            (json!({"kind": "country", "value": "IN", "reason": "x", "ends_at": "tomorrow"}), vec!["ends_at"]),
            (json!({"kind": "address", "value": "0.0.0.0/0", "reason": "x"}), vec!["value"]),
            // The address of these requests, the admin's phone, and one that is blocked already.
            (json!({"kind": "address", "value": "198.18.7.0/24", "reason": "x"}), vec!["value"]),
            (json!({"kind": "phone", "value": ADMIN, "reason": "x"}), vec!["value"]),
            (json!({"kind": "phone", "value": PHONE, "reason": "x"}), vec!["value"]),
        ] {
            if body["value"] == PHONE {
                block(&server, &admin, "phone", PHONE).await;
            }
            let answer = post(&server.from("198.18.7.9"), &admin, body).await;
            answer.assert_error(422, "validation_failed");
            let named = answer.at("/error/fields");
            let mut named: Vec<&str> = named.as_object().unwrap().keys().map(String::as_str).collect();
            let mut fields = fields;
            named.sort_unstable();
            fields.sort_unstable();
            assert_eq!(named, fields, "{}", answer.text);
        }
        // Nothing of it was done: the admin is still signed in.
        assert_eq!(values(&server, &admin, "").await.len(), 1);
    }

    async fn a_value_can_be_blocked_again_after_its_end(server: TestServer) {
        let admin = admin(&server).await;
        let ends_at = (server.now() + Duration::seconds(60)).to_rfc3339();
        let first = json!({"kind": "phone", "value": PHONE, "reason": "x", "ends_at": ends_at});
        assert_eq!(post(&server, &admin, first).await.status.as_u16(), 201);
        server.advance(59);
        server.signup(PHONE).await.assert_error(400, "phone_unreachable");
        server.advance(1);
        assert_eq!(values(&server, &admin, "?state=ended").await.len(), 1);
        server.signup(PHONE).await.assert_ok();
        block(&server, &admin, "phone", PHONE).await;
        let ended = server.get_as(&admin.access, &format!("{PATH}?state=ended")).await;
        assert_eq!((ended.at("/items/0/ended_by"), ended.at("/items/0/ended_at")), (Value::Null, ended.at("/items/0/ends_at")));
        server.signup(PHONE).await.assert_error(400, "phone_unreachable");
    }

    async fn twenty_admins_at_once_make_one_block(server: TestServer) {
        let admin = admin(&server).await;
        let other = server.second_server(&[]).await;
        let body = json!({"kind": "phone", "value": PHONE, "reason": "a race"});
        let posts = (0..20).map(|number| post(if number % 2 == 0 { &server } else { &other }, &admin, body.clone()));
        let answers = futures_util::future::join_all(posts).await;
        let made = answers.iter().filter(|answer| answer.status.as_u16() == 201).count();
        assert_eq!(made, 1);
        assert!(answers.iter().all(|answer| [201, 422].contains(&answer.status.as_u16())));
        assert_eq!(entries(&server, Action::BlockMade).await.len(), 1);
    }
}
