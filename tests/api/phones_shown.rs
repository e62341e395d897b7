//! Answers with whole phone numbers of others are in the audit log.

use loopin_auth::domain::audit::Action;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    again::register,
    audit::detail,
    on_both,
    prefixes::entries,
    roles::{ADMIN, STAFF, sign_in_with_role},
    support::{OTHER_PHONE, PHONE, TestServer},
};

/// The masked phones of the entries, with the kind of number that each is.
async fn shown(server: &TestServer) -> Vec<(Option<String>, Value)> {
    let entries = entries(server, Action::PhoneShown).await;
    entries.iter().map(|entry| (entry.phone_masked.clone(), detail(entry)["number"].clone())).collect()
}

on_both! {
    async fn a_user_whom_staff_read_is_recorded_with_every_number(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let user = server.sign_in(PHONE).await;
        server.execute(&format!(
            "UPDATE accounts SET claimed_phone = '{OTHER_PHONE}', former_phone = '+919876543299' WHERE phone = '{PHONE}'"
        )).await;
        let path = format!("/api/users/{}", user.user_id);
        server.get_as(&user.access, &path).await.assert_ok();
        server.get_as(&staff.access, &format!("/api/users/{}", staff.user_id)).await.assert_ok();
        assert!(shown(&server).await.is_empty(), "the own account is no other's");
        server.get_as(&staff.access, &path).await.assert_ok();
        let all = [
            (Some("+91******9376".to_owned()), Value::Null),
            (Some("+91******3210".to_owned()), json!("unverified")),
            (Some("+91******3299".to_owned()), json!("former")),
        ];
        assert_eq!(shown(&server).await, all);
        let first = entries(&server, Action::PhoneShown).await.remove(0);
        assert_eq!(first.actor_id.unwrap().to_string(), staff.user_id);
        assert_eq!(first.user_id.unwrap().to_string(), user.user_id);
        // A change that has no effect answers the same.
        server.send_as(&staff.access, Method::PUT, &path, json!({})).await.assert_ok();
        server.send_as(&staff.access, Method::POST, &format!("{path}/activate"), json!({})).await.assert_ok();
        assert_eq!(shown(&server).await.len(), 9);
        for refused in ["/api/users/0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11", "/api/users/nonsense"] {
            server.get_as(&staff.access, refused).await.assert_error(404, "user_not_found");
        }
        assert_eq!(shown(&server).await.len(), 9);
    }

    async fn an_unverified_text_that_is_no_number_is_recorded_without_it(server: TestServer) {
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        let user = register(&server, "asha").await;
        server.execute("UPDATE accounts SET claimed_phone = '12-34' WHERE username = 'asha'").await;
        server.get_as(&admin.access, &format!("/api/users/{}", user.user_id)).await.assert_ok();
        assert_eq!(shown(&server).await, [(None, json!("unverified"))]);
    }

    async fn a_list_of_users_is_one_entry(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        server.sign_in(PHONE).await;
        for (query, accounts, filters, phone) in [
            ("", 2, json!([]), None),
            ("?per_page=1", 1, json!([]), None),
            ("?search=6205829376", 1, json!(["search"]), Some("+91******9376")),
            ("?search=9376", 1, json!(["search"]), None),
        ] {
            server.get_as(&staff.access, &format!("/api/users{query}")).await.assert_ok();
            let entry = entries(&server, Action::PhonesShown).await.pop().unwrap();
            assert_eq!(detail(&entry), json!({"list": "users", "accounts": accounts, "filters": filters}), "{query}");
            assert_eq!(entry.phone_masked.as_deref(), phone, "{query}");
            assert_eq!(entry.actor_id.unwrap().to_string(), staff.user_id);
        }
        // A page without accounts shows no number.
        server.get_as(&staff.access, "/api/users?search=none.is.called.so").await.assert_ok();
        assert_eq!(entries(&server, Action::PhonesShown).await.len(), 4);
        assert!(shown(&server).await.is_empty());
    }

    async fn the_state_of_a_phone_is_recorded(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        server.get_as(&staff.access, "/api/abuse/phones/12").await.assert_error(422, "validation_failed");
        assert!(shown(&server).await.is_empty());
        server.get_as(&staff.access, &format!("/api/abuse/phones/{PHONE}")).await.assert_ok();
        assert_eq!(shown(&server).await, [(Some("+91******9376".to_owned()), Value::Null)]);
        // That staff looked is no part of what happened to the phone.
        let report = server.get_as(&staff.access, &format!("/api/admin/phones/{PHONE}")).await;
        assert_eq!(report.assert_ok().at("/timeline"), json!([]));
    }

    async fn a_lead_that_gets_a_code_is_recorded(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        server.signup(PHONE).await.assert_ok();
        let list = server.get_as(&staff.access, "/api/admin/leads?q=9376").await;
        let path = format!("/api/admin/leads/{}/resend", list.text_at("/items/0/id"));
        assert!(!list.text.contains(PHONE) && shown(&server).await.is_empty());
        server.send_as(&staff.access, Method::POST, &path, json!({})).await.assert_error(429, "otp_cooldown");
        assert!(shown(&server).await.is_empty());
        server.advance(30);
        let sent = server.send_as(&staff.access, Method::POST, &path, json!({})).await;
        assert_eq!(sent.assert_ok().text_at("/phone_number"), PHONE);
        assert_eq!(shown(&server).await, [(Some("+91******9376".to_owned()), Value::Null)]);
    }
}
