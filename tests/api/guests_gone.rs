//! Guests who do not come back are deleted after 30 days, and nobody else is.

use futures_util::future::join_all;
use loopin_auth::{domain::audit::Action, flows::housekeeping};
use poem::http::Method;
use serde_json::json;

use crate::{
    again::register,
    guests::{enter, verify_phone, with_guests},
    on_both,
    prefixes::entries,
    support::{OTHER_PHONE, PHONE, TestServer, Tokens, hook::Hook},
};

const DAY: i64 = 86_400;

async fn purge(server: &TestServer) -> u64 {
    housekeeping::purge_if_due(&server.services).await.unwrap().expect("it is due").guests
}

async fn refresh(server: &TestServer, tokens: &mut Tokens) {
    let answer = server.refresh(&tokens.refresh).await;
    answer.assert_ok();
    tokens.refresh = answer.text_at("/refresh");
    tokens.access = answer.text_at("/access");
}

on_both! {
    async fn a_guest_who_was_not_there_for_thirty_days_is_deleted(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        let gone = enter(&server).await;
        server.advance(30 * DAY);
        assert_eq!(purge(&server).await, 0);
        server.advance(3600);
        assert_eq!(purge(&server).await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 0);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 0);
        server.refresh(&gone.refresh).await.assert_error(401, "token_expired");
        let deleted = entries(&server, Action::AccountDeleted).await;
        assert_eq!(deleted.len(), 1);
        assert_eq!(deleted[0].detail.get("reason"), Some(&json!("unused_guest")));
        assert_eq!(deleted[0].user_id.map(|id| id.to_string()), Some(gone.user_id));
    }

    async fn whoever_comes_back_stays(server: TestServer) {
        let server = with_guests(&server, &[("JWT_REFRESH_TOKEN_EXPIRE_DAYS", "60"), ("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "10080")]).await;
        let (mut refreshes, changes, _gone) = (enter(&server).await, enter(&server).await, enter(&server).await);
        server.advance(6 * DAY);
        server.send_as(&changes.access, Method::PUT, "/api/auth/profile", json!({"bio": "Music."})).await.assert_ok();
        server.advance(14 * DAY);
        refresh(&server, &mut refreshes).await;
        // Thirty days after they came only one was not there again.
        server.advance(10 * DAY + 1);
        assert_eq!(purge(&server).await, 1);
        server.advance(6 * DAY);
        assert_eq!(purge(&server).await, 1, "thirty days after the change");
        refresh(&server, &mut refreshes).await;
        server.advance(30 * DAY);
        assert_eq!(purge(&server).await, 0);
        server.advance(3601);
        assert_eq!(purge(&server).await, 1);
    }

    async fn no_other_account_is_ever_deleted(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        let was_guest = enter(&server).await;
        verify_phone(&server, &was_guest, PHONE).await;
        server.advance(30);
        let by_code = server.sign_in(OTHER_PHONE).await;
        let by_password = register(&server, "asha").await;
        // An account that lost its phone has neither a phone nor a name, and is no guest.
        server.execute(&format!("UPDATE accounts SET former_phone = phone, phone = NULL WHERE phone = '{OTHER_PHONE}'")).await;
        server.advance(400 * DAY);
        assert_eq!(purge(&server).await, 0);
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 3);
        assert_ne!(by_code.user_id, by_password.user_id);
    }

    async fn many_go_in_one_run_whatever_stays_among_them(server: TestServer) {
        let server = with_guests(&server, &[("RATE_LIMITS_ENABLED", "false"), ("JWT_REFRESH_TOKEN_EXPIRE_DAYS", "60")]).await;
        let mut all: Vec<Tokens> = Vec::new();
        for _ in 0..30 {
            all.extend(join_all((0..10).map(|_| enter(&server))).await);
        }
        server.advance(29 * DAY);
        for tokens in all.iter_mut().step_by(3) {
            refresh(&server, tokens).await;
        }
        server.advance(2 * DAY);
        assert_eq!(purge(&server).await, 200);
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 100);
        for tokens in all.iter_mut().step_by(3) {
            refresh(&server, tokens).await;
        }
    }

    async fn receivers_of_events_learn_of_it(server: TestServer) {
        let hook = Hook::that_answers("allow").await;
        let server = hook.told_by(&server, &[("GUESTS", "on")]).await;
        let gone = enter(&server).await;
        crate::events::sent(&server, &hook).await;
        server.advance(31 * DAY);
        assert_eq!(purge(&server).await, 1);
        let sent = crate::events::sent(&server, &hook).await;
        let deleted: Vec<_> = sent.iter().filter(|event| event["type"] == "user.deleted").collect();
        assert_eq!(deleted.len(), 1, "{sent:?}");
        assert_eq!(deleted[0]["data"]["user_id"], json!(gone.user_id));
    }

    async fn a_guest_who_becomes_a_user_meanwhile_stays(server: TestServer) {
        let server = with_guests(&server, &[("JWT_REFRESH_TOKEN_EXPIRE_DAYS", "60")]).await;
        let mut guest = enter(&server).await;
        server.advance(31 * DAY);
        // Both at once, several times: whichever is first, nothing is half done.
        refresh(&server, &mut guest).await;
        server.execute("UPDATE sessions SET last_used_at = created_at").await;
        let body = json!({ "phone_number": PHONE });
        server.send_as(&guest.access, Method::POST, "/api/auth/change-phone", body).await.assert_ok();
        let body = json!({ "phone_number": PHONE, "otp_code": server.last_code_for(PHONE) });
        let (verified, purged) = tokio::join!(
            server.send_as(&guest.access, Method::POST, "/api/auth/verify-change-phone", body),
            purge(&server),
        );
        let left = server.count("SELECT COUNT(*) FROM accounts").await;
        if verified.status == 200 {
            assert_eq!((purged, left), (0, 1));
            assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE role = 'user'").await, 1);
        } else {
            assert!([400, 401].contains(&verified.status.as_u16()), "{}", verified.text);
            assert_eq!((purged, left), (1, 0));
        }
    }
}
