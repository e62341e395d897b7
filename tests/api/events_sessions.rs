//! Events of what staff do to a user, and of a number that another user gets: what becomes of the sessions, and why.

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    admin_blocks::block,
    again::{PASSWORD, post_as, sign_in_from},
    events::sent,
    on_both,
    roles::{ADMIN, STAFF, sign_in_with_role},
    second_factor,
    support::{PHONE, hook::Hook},
};

const DAY: i64 = 24 * 60 * 60;

/// Type, user and reason of each event, sorted.
fn said(events: &[Value]) -> Vec<(&str, &str, &str)> {
    let mut said: Vec<_> = events
        .iter()
        .map(|event| {
            let text = |name: &str| event["data"][name].as_str().unwrap_or_default();
            let why =
                ["reason", "created_by", "opened_by"].into_iter().map(text).find(|text| !text.is_empty());
            (event["type"].as_str().unwrap(), text("user_id"), why.unwrap_or_default())
        })
        .collect();
    said.sort_unstable();
    said
}

on_both! {
    async fn a_blocked_phone_loses_its_sessions(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        let user = server.sign_in(PHONE).await;
        sent(&server, &hook).await;
        block(&server, &admin, "phone", PHONE).await;
        let events = sent(&server, &hook).await;
        assert_eq!(said(&events), [("session.ended", user.user_id.as_str(), "blocked")]);
    }

    async fn a_number_that_another_user_gets_and_staff_give_back(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let settings = [
            ("PHONE_STALE_DAYS", "90"),
            ("JWT_REFRESH_TOKEN_EXPIRE_DAYS", "365"),
            ("SESSION_MAX_DAYS", "3650"),
            ("RATE_LIMITS_ENABLED", "false"),
        ];
        let server = hook.told_by(&server, &settings).await;
        let old = server.sign_in(PHONE).await;
        sent(&server, &hook).await;
        server.advance(90 * DAY);
        let new = server.sign_in(PHONE).await;
        let events = sent(&server, &hook).await;
        let mut expected = vec![
            ("session.ended", old.user_id.as_str(), "phone_lost"),
            ("session.started", new.user_id.as_str(), "code"),
            ("user.created", new.user_id.as_str(), "code"),
            ("user.phone_changed", old.user_id.as_str(), ""),
        ];
        expected.sort_unstable();
        assert_eq!(said(&events), expected);
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        sent(&server, &hook).await;
        let path = format!("/api/users/{}/reunite", old.user_id);
        server.send_as(&staff.access, Method::POST, &path, json!({})).await.assert_ok();
        let events = sent(&server, &hook).await;
        let mut expected = vec![
            ("session.ended", new.user_id.as_str(), "rights_changed"),
            ("user.deactivated", new.user_id.as_str(), ""),
            ("user.phone_changed", new.user_id.as_str(), ""),
            ("user.phone_changed", old.user_id.as_str(), ""),
        ];
        expected.sort_unstable();
        assert_eq!(said(&events), expected);
    }

    async fn the_oldest_of_too_many_sessions_ends_and_another_password_ends_the_others(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[("RATE_LIMITS_ENABLED", "false")]).await;
        let first = server.sign_in(PHONE).await;
        let mut own = first;
        for number in 0..20 {
            server.advance(30);
            own = sign_in_from(&server, PHONE, &format!("Device {number}")).await;
        }
        let events = sent(&server, &hook).await;
        let ended = said(&events).into_iter().filter(|(kind, ..)| *kind == "session.ended").collect::<Vec<_>>();
        assert_eq!(ended, [("session.ended", own.user_id.as_str(), "too_many")]);
        post_as(&server, &own, "/api/auth/password", json!({"new_password": PASSWORD})).await.assert_ok();
        let events = sent(&server, &hook).await;
        assert_eq!(said(&events), [("session.ended", own.user_id.as_str(), "password_changed"); 19]);
    }

    async fn a_second_factor_ends_the_sessions_with_rights(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        let id = second_factor::account(&server, "boss", "admin").await;
        let app = server.enrol(&id).await;
        second_factor::sign_in(&server, "boss", Some(&app.code(&server))).await;
        sent(&server, &hook).await;
        server.enrol(&id).await;
        let events = sent(&server, &hook).await;
        assert_eq!(said(&events), [("session.ended", id.as_str(), "second_factor_changed")]);
    }
}
