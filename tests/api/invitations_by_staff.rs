//! Invitations as staff make, list and end them, and their removal.

use chrono::Duration;
use loopin_auth::domain::{audit::Action, invitation::NewInvitation};
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    invitations::{PATH, accounts, end, enter, everyone, invited, left, make, phone},
    on_both,
    prefixes::entries,
    roles::{ADMIN, STAFF, sign_in_with_role},
    support::{OTHER_PHONE, PHONE},
};

on_both! {
    async fn staff_make_list_and_end_invitations(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let end = server.now() + Duration::days(3);
        let body = json!({"uses": 1, "expires_at": end.to_rfc3339(), "phone_number": "062058 29376"});
        let made = server.send_as(&staff.access, Method::POST, PATH, body).await;
        assert_eq!(made.status.as_u16(), 201, "{}", made.text);
        assert!(made.text_at("/invitation").starts_with("inv_"), "{}", made.text);
        assert_eq!((made.text_at("/phone_number"), made.at("/uses"), made.at("/uses_left")), (PHONE.to_owned(), json!(1), json!(1)));
        assert_eq!((made.text_at("/state"), made.text_at("/made_by")), ("live".to_owned(), staff.user_id.clone()));
        // Without a body: one account, for everyone, without an end.
        let headers = [("authorization", format!("Bearer {}", staff.access))];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        server.advance(1);
        let plain = server.send(Method::POST, PATH, &headers, None).await;
        assert_eq!(plain.status.as_u16(), 201, "{}", plain.text);
        assert_eq!((plain.at("/uses"), plain.at("/expires_at"), plain.at("/phone_number")), (json!(1), Value::Null, Value::Null));
        let list = server.get_as(&staff.access, PATH).await;
        let ids: Vec<String> = list.assert_ok().at("/items").as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids, [plain.text_at("/id"), made.text_at("/id")]);
        for secret in [made.text_at("/invitation"), plain.text_at("/invitation"), "6205829376".to_owned()] {
            assert!(!list.text.contains(&secret), "{}", list.text);
        }
        let path = format!("{PATH}/{}", made.text_at("/id"));
        let ended = server.send_as(&staff.access, Method::DELETE, &path, json!({})).await;
        assert_eq!((ended.assert_ok().text_at("/state"), ended.text_at("/ended_by")), ("ended".to_owned(), staff.user_id.clone()));
        server.advance(60);
        let again = server.send_as(&staff.access, Method::DELETE, &path, json!({})).await;
        assert_eq!(again.assert_ok().json(), ended.json());
        for id in ["0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11", "x"] {
            let path = format!("{PATH}/{id}");
            server.send_as(&staff.access, Method::DELETE, &path, json!({})).await.assert_error(404, "not_found");
        }
        // Who used it.
        let invited = invited(&server, &[]).await;
        let entered = enter(&invited, OTHER_PHONE, &plain.text_at("/invitation")).await;
        let list = server.get_as(&staff.access, PATH).await;
        assert_eq!(list.at("/items/0/used_by/0/user_id"), entered.at("/data/user_id"));
        assert_eq!((list.text_at("/items/0/state"), list.at("/items/1/used_by")), ("used_up".to_owned(), json!([])));
        let (made, ended) = (entries(&server, Action::InvitationMade).await, entries(&server, Action::InvitationEnded).await);
        assert_eq!((made.len(), ended.len()), (2, 1));
        assert_eq!(ended[0].actor_id.unwrap().to_string(), staff.user_id);
        assert_eq!(ended[0].phone_masked.as_deref(), Some("+91******9376"));
        assert!(made.iter().all(|entry| !entry.detail.to_string().contains("inv_")));
    }

    async fn a_list_has_pages(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        for _ in 0..52 {
            make(&server, everyone()).await;
            server.advance(1);
        }
        let first = server.get_as(&staff.access, PATH).await;
        assert_eq!(first.at("/items").as_array().unwrap().len(), 50);
        let second = server.get_as(&staff.access, &format!("{PATH}?cursor={}", first.text_at("/next"))).await;
        assert_eq!((second.at("/items").as_array().unwrap().len(), second.at("/next")), (2, Value::Null));
        server.get_as(&staff.access, &format!("{PATH}?cursor=nonsense")).await.assert_error(422, "validation_failed");
    }

    async fn only_staff_make_invitations_and_all_faults_are_told_at_once(server: TestServer) {
        let user = server.sign_in(PHONE).await;
        let path = format!("{PATH}/0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11");
        for (method, path) in [(Method::GET, PATH), (Method::POST, PATH), (Method::DELETE, path.as_str())] {
            server.send(method.clone(), path, &[], None).await.assert_error(401, "token_missing");
            let answer = server.send_as(&user.access, method, path, json!({"uses": "x"})).await;
            answer.assert_error(403, "forbidden");
        }
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let past = server.now();
        for (body, fields) in [
            (json!({"uses": 0, "expires_at": past.to_rfc3339(), "phone_number": "x"}), &["uses", "expires_at", "phone_number"][..]),
            (json!({"uses": 1001, "expires_at": "tomorrow"}), &["uses", "expires_at"]),
            (json!({"uses": "2", "phone_number": 7}), &["uses", "phone_number"]),
            (json!({"uses": 2, "phone_number": PHONE}), &["uses"]),
            (json!({"uses": 1.5}), &["uses"]),
            (json!({"expires_at": "2226-01-01T00:00:00Z"}), &["expires_at"]),
        ] {
            let answer = server.send_as(&staff.access, Method::POST, PATH, body).await;
            answer.assert_error(422, "validation_failed");
            let found = answer.at("/error/fields");
            let found: Vec<&String> = found.as_object().unwrap().keys().collect();
            let mut expected = fields.to_vec();
            expected.sort_unstable();
            assert_eq!(found, expected, "{}", answer.text);
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM invitations").await, 0);
        sign_in_with_role(&server, ADMIN, "admin").await;
    }

    async fn a_deleted_account_takes_the_invitations_of_its_phone_along(server: TestServer) {
        let invited = invited(&server, &[]).await;
        let end = server.now() + Duration::days(1);
        let (_, text) = make(&server, NewInvitation::for_phone(phone(PHONE), end)).await;
        make(&server, everyone()).await;
        let entered = enter(&invited, PHONE, &text).await;
        let token = entered.assert_ok().text_at("/token");
        let export = server.get_as(&token, "/api/auth/export").await;
        assert!(export.assert_ok().text.contains("invitation_id"), "{}", export.text);
        server.send_as(&token, Method::POST, "/api/auth/delete-account", json!({})).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM invitations").await, 1);
    }

    async fn dead_invitations_are_removed_in_time(server: TestServer) {
        let invited = invited(&server, &[]).await;
        let soon = server.now() + Duration::days(1);
        let (ended_id, _) = make(&server, everyone()).await;
        end(&server, &ended_id).await;
        make(&server, NewInvitation { expires_at: Some(soon), ..everyone() }).await;
        let (_, used) = make(&server, everyone()).await;
        enter(&invited, PHONE, &used).await.assert_ok();
        let (live_id, _) = make(&server, everyone()).await;
        let purge = async || {
            let retention = server.services.retention;
            let by = loopin_auth::domain::audit::Actor::Command;
            loopin_auth::flows::purge::purge(&server.services, &retention, by).await.unwrap().invitations
        };
        server.advance(365 * 86_400);
        assert_eq!(purge().await, 0);
        server.advance(1);
        assert_eq!(purge().await, 2);
        server.advance(86_400);
        assert_eq!(purge().await, 1);
        assert_eq!(left(&server, &live_id).await, 1);
        assert_eq!(accounts(&server).await, 1);
    }
}
