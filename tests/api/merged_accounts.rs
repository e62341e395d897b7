//! What becomes of everything around two accounts that were joined: races, ids in other systems, events, the audit log, export and
//! deletion.

use futures_util::future::join;
use loopin_auth::domain::audit::Action;
use poem::http::Method;
use serde_json::json;

use crate::{
    again::{confirm_by_code, post_as, register, tokens_of},
    auth_merge_accounts::{accounts, ask, join_with, merge},
    events::sent,
    exchange::moved,
    on_both,
    prefixes::entries,
    roles::{STAFF, sign_in_with_role},
    support::{
        OTHER_PHONE, PHONE,
        hook::Hook,
        issuer::{Issuer, app_claims, signed},
    },
};

const NEW: &str = "+919812345678";
const DAYS_30: i64 = 30 * 86_400;

on_both! {
    async fn of_two_that_want_each_other_at_once_one_stays(server: TestServer) {
        let server = server.without_limits().await;
        let second = server.second_server(&[]).await;
        for _ in 0..5 {
            let (one, two) = (server.sign_in(PHONE).await, server.sign_in(OTHER_PHONE).await);
            ask(&server, &one, OTHER_PHONE).await.assert_ok();
            ask(&server, &two, PHONE).await.assert_ok();
            let (code_one, code_two) = (server.last_code_for(OTHER_PHONE), server.last_code_for(PHONE));
            let (first, other) =
                join(merge(&server, &one, OTHER_PHONE, &code_one), merge(&second, &two, PHONE, &code_two)).await;
            let statuses = [first.status.as_u16(), other.status.as_u16()];
            assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{} {}", first.text, other.text);
            let (won, lost, stays) = if statuses[0] == 200 { (first, other, one) } else { (other, first, two) };
            assert_eq!(won.text_at("/data/user_id"), stays.user_id);
            assert!([400, 401, 404].contains(&lost.status.as_u16()), "{}", lost.text);
            assert_eq!(accounts(&server).await, 1);
            assert_eq!(server.count("SELECT COUNT(*) FROM merged_accounts").await, 1);
            server.execute("DELETE FROM accounts").await;
            server.advance(3600);
        }
    }

    async fn one_right_code_sent_many_times_joins_once(server: TestServer) {
        let server = server.without_limits().await;
        let second = server.second_server(&[]).await;
        server.sign_in(PHONE).await;
        let own = register(&server, "gaurav").await;
        ask(&server, &own, PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let answers = futures_util::future::join_all(
            [&server, &second, &server].map(|server| merge(server, &own, PHONE, &code)),
        )
        .await;
        let won = answers.iter().filter(|answer| answer.status.as_u16() == 200).count();
        assert_eq!(won, 1, "{:?}", answers.iter().map(|answer| &answer.text).collect::<Vec<_>>());
        // Each server writes the entries of its own requests.
        entries(&second, Action::AccountsMerged).await;
        assert_eq!(entries(&server, Action::AccountsMerged).await.len(), 2, "one about each account");
    }

    async fn of_a_merge_and_the_deletion_of_an_account_one_happens_whole(server: TestServer) {
        let server = server.without_limits().await;
        let second = server.second_server(&[]).await;
        for who_deletes in ["own", "other", "own", "other"] {
            let (own, other) = (server.sign_in(PHONE).await, server.sign_in(OTHER_PHONE).await);
            ask(&server, &own, OTHER_PHONE).await.assert_ok();
            let code = server.last_code_for(OTHER_PHONE);
            let leaving = if who_deletes == "own" { &own } else { &other };
            let (merged, deleted) = join(
                merge(&server, &own, OTHER_PHONE, &code),
                post_as(&second, leaving, "/api/auth/delete-account", json!({})),
            )
            .await;
            let left = accounts(&server).await;
            match (merged.status.as_u16(), deleted.status.as_u16()) {
                // The merge was first, and the session that deletes its account goes on if that account stays.
                (200, 200) => assert_eq!((left, who_deletes), (0, "own")),
                (200, 401) => assert_eq!((left, who_deletes), (1, "other")),
                // The deletion was first.
                (400 | 401 | 404, 200) => assert_eq!(left, 1),
                _ => panic!("{who_deletes}: {} {}", merged.text, deleted.text),
            }
            let orphans = "SELECT COUNT(*) FROM sessions WHERE account_id NOT IN (SELECT id FROM accounts)";
            assert_eq!(server.count(orphans).await, 0);
            server.execute("DELETE FROM accounts").await;
            server.execute("DELETE FROM challenges").await;
            server.advance(3600);
        }
    }

    async fn of_a_merge_and_a_change_of_the_phone_one_happens_whole(server: TestServer) {
        let server = server.without_limits().await;
        let second = server.second_server(&[]).await;
        for _ in 0..4 {
            let (own, other) = (server.sign_in(PHONE).await, server.sign_in(OTHER_PHONE).await);
            ask(&server, &own, OTHER_PHONE).await.assert_ok();
            let code = server.last_code_for(OTHER_PHONE);
            post_as(&second, &other, "/api/auth/change-phone", json!({ "phone_number": NEW })).await.assert_ok();
            let body = json!({ "phone_number": NEW, "otp_code": second.last_code_for(NEW) });
            let (merged, changed) = join(
                merge(&server, &own, OTHER_PHONE, &code),
                post_as(&second, &other, "/api/auth/verify-change-phone", body),
            )
            .await;
            let numbers = |phones: &str| format!("SELECT COUNT(*) FROM accounts WHERE phone IN ({phones})");
            match (merged.status.as_u16(), changed.status.as_u16()) {
                (200, 401 | 400) => assert_eq!(server.count(&numbers(&format!("'{OTHER_PHONE}'"))).await, 1),
                (404, 200) => assert_eq!(server.count(&numbers(&format!("'{PHONE}', '{NEW}'"))).await, 2),
                _ => panic!("{} {}", merged.text, changed.text),
            }
            server.execute("DELETE FROM accounts").await;
            server.execute("DELETE FROM challenges").await;
            server.advance(3600);
        }
    }

    async fn the_ids_of_another_system_lead_to_the_account_that_stays(server: TestServer) {
        let issuer = Issuer::new().await;
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        // Both were moved from another system, so one of the two ids has no place in the account.
        let stays = moved(&server, OTHER_PHONE, "auth0|stays").await;
        let goes = moved(&server, PHONE, "auth0|goes").await;
        server.advance(60);
        server.login(OTHER_PHONE).await.assert_ok();
        let own = tokens_of(&server.verify_login(OTHER_PHONE, &server.last_code_for(OTHER_PHONE)).await);
        assert_eq!(own.user_id, stays);
        join_with(&server, &own, PHONE).await.assert_ok();
        let server = issuer.trusted_by(&server, &[]).await;
        for id in ["auth0|stays", "auth0|goes", goes.as_str()] {
            let answer = server.exchange(&signed(&app_claims(&server, id))).await;
            assert_eq!(answer.assert_ok().text_at("/data/user_id"), stays, "{id}");
            assert_eq!(answer.at("/data/is_new"), json!(false), "{id}");
            let query = id.replace('|', "%7C");
            let found = server.get_as(&staff.access, &format!("/api/users?external_id={query}")).await;
            assert_eq!((found.at("/total"), found.text_at("/users/0/id")), (json!(1), stays.clone()), "{id}");
        }
        // A deletion of the account lets go of them.
        let by_token = server.exchange(&signed(&app_claims(&server, "auth0|stays"))).await;
        let own = tokens_of(&by_token);
        server.advance(60);
        confirm_by_code(&server, &own, PHONE).await;
        post_as(&server, &own, "/api/auth/delete-account", json!({})).await.assert_ok();
        let again = server.exchange(&signed(&app_claims(&server, &goes))).await;
        assert_eq!((again.assert_ok().at("/data/is_new"), again.text_at("/data/user_id")), (json!(true), goes));
    }

    async fn a_token_of_the_old_id_at_the_same_time_makes_no_second_account(server: TestServer) {
        let issuer = Issuer::new().await;
        let open = server.without_limits().await;
        for nth in 0..4 {
            let id = format!("auth0|{nth}");
            let goes = moved(&open, PHONE, &id).await;
            let own = register(&open, &format!("user{nth}")).await;
            ask(&open, &own, PHONE).await.assert_ok();
            let code = open.last_code_for(PHONE);
            let second = issuer.trusted_by(&open, &[]).await;
            let token = signed(&app_claims(&second, &goes));
            let (merged, exchanged) = join(merge(&open, &own, PHONE, &code), second.exchange(&token)).await;
            merged.assert_ok();
            // The token came first and its session ended, or it came later and opens the account that stays.
            let opened = exchanged.assert_ok().text_at("/data/user_id");
            assert!(opened == goes || opened == own.user_id, "{opened}");
            assert_eq!(exchanged.at("/data/is_new"), json!(false));
            let made = format!("SELECT COUNT(*) FROM accounts WHERE phone = '{PHONE}' OR external_id = '{id}'");
            assert_eq!(open.count(&made).await, 1);
            open.execute("DELETE FROM accounts").await;
            open.advance(3600);
        }
    }

    async fn others_are_told_in_events_and_in_the_audit_log(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        let other = server.sign_in(PHONE).await;
        let own = register(&server, "gaurav").await;
        ask(&server, &own, PHONE).await.assert_ok();
        sent(&server, &hook).await;
        merge(&server, &own, PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        let events = sent(&server, &hook).await;
        let of = |kind: &str| -> Vec<_> {
            events.iter().filter(|event| event["type"] == kind).map(|event| event["data"].clone()).collect()
        };
        assert_eq!(of("user.merged"), [json!({"user_id": own.user_id, "merged_user_id": other.user_id})]);
        let ended = of("session.ended");
        assert_eq!((ended.len(), &ended[0]["user_id"], &ended[0]["reason"]), (1, &json!(other.user_id), &json!("merged")));
        assert_eq!(of("user.phone_changed"), [json!({"user_id": own.user_id})]);
        assert!(of("user.deleted").is_empty());
        let noted = entries(&server, Action::AccountsMerged).await;
        let about: Vec<_> = noted.iter().map(|entry| (entry.actor_id, entry.user_id)).collect();
        let (own_id, other_id) = (own.user_id.parse().ok(), other.user_id.parse().ok());
        assert!(about.contains(&(own_id, own_id)) && about.contains(&(own_id, other_id)), "{about:?}");
        assert!(noted.iter().all(|entry| entry.phone_masked.as_deref() == Some("+91******9376")), "{noted:?}");
    }

    async fn an_export_has_what_is_kept_and_a_deletion_removes_it(server: TestServer) {
        let other = server.sign_in_and_complete(PHONE).await;
        let own = register(&server, "gaurav").await;
        let own = tokens_of(&join_with(&server, &own, PHONE).await);
        let export = server.get_as(&own.access, "/api/auth/export").await;
        assert_eq!(export.assert_ok().text_at("/merged_accounts/0/user_id"), other.user_id);
        let kept = export.text_at("/merged_accounts/0/kept");
        assert!(kept.contains("Gaurav Kumar") && kept.contains("gaurav@example.com"), "{kept}");
        assert!(!kept.contains("argon2") && !kept.contains("password"), "{kept}");
        // What is kept goes after thirty days, and with the account.
        let purge = async |server: &TestServer| {
            loopin_auth::flows::housekeeping::purge_if_due(&server.services).await.unwrap().unwrap().merges
        };
        server.advance(DAYS_30 - 120);
        assert_eq!(purge(&server).await, 0);
        server.advance(3700);
        assert_eq!(purge(&server).await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM merged_accounts WHERE snapshot IS NULL").await, 1);
        server.login(PHONE).await.assert_ok();
        let own = tokens_of(&server.verify_login(PHONE, &server.last_code_for(PHONE)).await);
        let export = server.get_as(&own.access, "/api/auth/export").await;
        assert_eq!(export.at("/merged_accounts/0/kept"), json!(null));
        server.send_as(&own.access, Method::POST, "/api/auth/delete-account", json!({})).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM merged_accounts").await, 0);
    }
}
