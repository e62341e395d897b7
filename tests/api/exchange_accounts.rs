//! `POST /api/auth/exchange`: which account a token opens or creates, and which it must not; and the ids of moved accounts.

use loopin_auth::domain::audit::Action;
use serde_json::{Value, json};

use crate::{
    exchange::moved,
    forge::{claims, with},
    on_both,
    prefixes::entries,
    roles::{STAFF, a_user, sign_in_with_role},
    support::{
        OTHER_PHONE, PHONE, TestServer,
        hook::Hook,
        issuer::{Issuer, app_claims, phone_claims, signed, signed_by_key},
    },
};

const UUID: &str = "7d1c2b3a-4e5f-4a6b-8c7d-9e0f1a2b3c4d";

fn verified(phone: &str) -> Value {
    json!({"phone": phone, "app": {"phone_verified": true}})
}

async fn number_of(server: &TestServer, table: &str) -> i64 {
    server.count(&format!("SELECT COUNT(*) FROM {table}")).await
}

on_both! {
    async fn a_new_account_has_the_id_that_the_user_had(server: TestServer) {
        let issuer = Issuer::new().await;
        let server = issuer.trusted_by(&server, &[]).await;
        let answer = server.exchange(&signed(&app_claims(&server, UUID))).await;
        answer.assert_ok();
        assert_eq!(answer.text_at("/data/user_id"), UUID);
        assert_eq!((answer.at("/data/is_new"), answer.at("/data/phone_number")), (json!(true), Value::Null));
        let again = server.exchange(&signed(&app_claims(&server, &UUID.to_uppercase()))).await;
        assert_eq!((again.text_at("/data/user_id"), again.at("/data/is_new")), (UUID.to_owned(), json!(false)));
        // Another id is kept beside ours.
        let external = with(app_claims(&server, "auth0|5f7c"), verified(PHONE));
        let first = server.exchange(&signed(&external)).await;
        assert_eq!((first.assert_ok().text_at("/data/phone_number"), first.at("/data/is_verified")), (PHONE.to_owned(), json!(true)));
        let second = server.exchange(&signed(&app_claims(&server, "auth0|5f7c"))).await;
        assert_eq!(second.text_at("/data/user_id"), first.text_at("/data/user_id"));
        // The phone signs in to the same account.
        server.advance(30);
        assert_eq!(server.sign_in(PHONE).await.user_id, first.text_at("/data/user_id"));
        let new = entries(&server, Action::SignedIn).await;
        let new = new.iter().filter(|entry| entry.detail.get("new_account") == Some(&json!(true))).count();
        assert_eq!(new, 2);
    }

    async fn a_phone_is_taken_only_where_it_is_verified(server: TestServer) {
        let issuer = Issuer::new().await;
        let server = issuer.trusted_by(&server, &[]).await;
        for (id, claims) in [
            ("a", json!({"phone": PHONE})),
            ("b", json!({"phone": PHONE, "app": {"phone_verified": false}})),
            ("c", json!({"phone": PHONE, "app": {"phone_verified": "true"}})),
            ("d", json!({"phone": PHONE, "phone_verified": true})),
            ("e", json!({"phone": "6205829376", "app": {"phone_verified": true}})),
        ] {
            let answer = server.exchange(&signed(&with(app_claims(&server, id), claims))).await;
            assert_eq!(answer.assert_ok().at("/data/phone_number"), Value::Null, "{id}");
        }
        // An account that exists gets none either, and one that has a phone keeps it.
        server.exchange(&signed(&with(app_claims(&server, "a"), verified(PHONE)))).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE phone IS NOT NULL").await, 0);
        // The phone of another account opens nothing.
        let owner = server.sign_in(PHONE).await;
        let token = signed(&with(app_claims(&server, "f"), verified(PHONE)));
        server.exchange(&token).await.assert_error(409, "phone_taken");
        assert_eq!(number_of(&server, "accounts").await, 6);
        server.get_as(&owner.access, "/api/auth/profile").await.assert_ok();
        // The token was not used up.
        server.execute("UPDATE accounts SET phone = NULL").await;
        server.exchange(&token).await.assert_ok();
    }

    async fn a_proved_phone_opens_its_account_or_a_new_one(server: TestServer) {
        let issuer = Issuer::new().await;
        let owner = server.sign_in(PHONE).await;
        // A number that requested a code, and never entered it.
        server.signup(OTHER_PHONE).await.assert_ok();
        let server = issuer.trusted_by(&server, &[]).await;
        let answer = server.exchange(&issuer.proves(&server, PHONE)).await;
        assert_eq!((answer.assert_ok().text_at("/data/user_id"), answer.at("/data/is_new")), (owner.user_id, json!(false)));
        let answer = server.exchange(&issuer.proves(&server, OTHER_PHONE)).await;
        assert_eq!((answer.assert_ok().text_at("/data/phone_number"), answer.at("/data/is_new")), (OTHER_PHONE.to_owned(), json!(true)));
        let converted = format!("SELECT COUNT(*) FROM leads WHERE phone = '{OTHER_PHONE}' AND state = 'converted'");
        assert_eq!(server.count(&converted).await, 1);
    }

    async fn a_number_that_was_unused_for_long_is_another_persons(server: TestServer) {
        let issuer = Issuer::new().await;
        let before = server.sign_in(PHONE).await.user_id;
        let other = moved(&server, OTHER_PHONE, "42").await;
        let server = issuer.trusted_by(&server, &[("PHONE_STALE_DAYS", "90")]).await;
        server.advance(91 * 86_400);
        let answer = server.exchange(&issuer.proves(&server, PHONE)).await;
        assert_eq!(answer.assert_ok().at("/data/is_new"), json!(true));
        assert_ne!(answer.text_at("/data/user_id"), before);
        let lost = format!("SELECT COUNT(*) FROM accounts WHERE phone IS NULL AND former_phone = '{PHONE}'");
        assert_eq!(server.count(&lost).await, 1);
        assert_eq!(entries(&server, Action::AccountUnlinked).await.len(), 1);
        // A new account takes such a phone, too. The id is a person's: it does not get old.
        let token = signed(&with(app_claims(&server, "new"), verified(OTHER_PHONE)));
        assert_eq!(server.exchange(&token).await.assert_ok().text_at("/data/phone_number"), OTHER_PHONE);
        let answer = server.exchange(&signed(&app_claims(&server, "42"))).await;
        assert_eq!((answer.text_at("/data/user_id"), answer.at("/data/phone_number")), (other, Value::Null));
    }

    async fn staff_disabled_and_blocked_users_are_not_let_in(server: TestServer) {
        let issuer = Issuer::new().await;
        let staff = sign_in_with_role(&server, STAFF, "admin").await;
        server.execute(&format!("UPDATE accounts SET external_id = 'boss' WHERE phone = '{STAFF}'")).await;
        moved(&server, PHONE, "42").await;
        let server = issuer.trusted_by(&server, &[]).await;
        server.exchange(&signed(&app_claims(&server, "boss"))).await.assert_error(403, "forbidden");
        server.exchange(&issuer.proves(&server, STAFF)).await.assert_error(403, "forbidden");
        server.exchange(&signed(&app_claims(&server, &staff.user_id))).await.assert_error(403, "forbidden");
        let token = signed(&app_claims(&server, "42"));
        server.disable(PHONE).await;
        server.exchange(&token).await.assert_error(403, "account_disabled");
        server.exchange(&issuer.proves(&server, PHONE)).await.assert_error(403, "account_disabled");
        server.execute("UPDATE accounts SET is_active = TRUE").await;
        let block = json!({"kind": "phone", "value": PHONE, "reason": "fraud"});
        let made = server.send_as(&staff.access, poem::http::Method::POST, "/api/admin/blocks", block).await;
        assert_eq!(made.status, 201, "{}", made.text);
        server.advance(6);
        server.exchange(&token).await.assert_error(403, "forbidden");
        server.exchange(&issuer.proves(&server, PHONE)).await.assert_error(403, "forbidden");
        server.execute("DELETE FROM blocks").await;
        server.advance(6);
        server.exchange(&token).await.assert_ok();
        server.exchange(&token).await.assert_error(409, "token_used");
        // That a token was used is said to nobody who may not come in.
        server.disable(PHONE).await;
        server.exchange(&token).await.assert_error(403, "account_disabled");
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions WHERE opened_by = 'exchange'").await, 1);
    }

    async fn a_review_number_is_opened_by_its_code_only(server: TestServer) {
        let issuer = Issuer::new().await;
        let settings = [("OTP_REVIEW_NUMBERS", "+12025550100=4821@2027-01-31")];
        let server = issuer.trusted_by(&server, &settings).await;
        server.exchange(&issuer.proves(&server, "+12025550100")).await.assert_error(403, "forbidden");
        let token = signed(&with(app_claims(&server, "x"), verified("+12025550100")));
        server.exchange(&token).await.assert_error(403, "forbidden");
        assert_eq!(number_of(&server, "accounts").await, 0);
    }

    async fn a_deleted_account_does_not_come_back_with_a_used_token(server: TestServer) {
        let issuer = Issuer::new().await;
        let server = issuer.trusted_by(&server, &[]).await;
        let token = issuer.proves(&server, PHONE);
        let access = server.exchange(&token).await.assert_ok().text_at("/token");
        server.send_as(&access, poem::http::Method::POST, "/api/auth/delete-account", json!({})).await.assert_ok();
        server.exchange(&token).await.assert_error(409, "token_used");
        assert_eq!(number_of(&server, "accounts").await, 0);
    }

    async fn the_events_are_written_with_it(server: TestServer) {
        let (issuer, hook) = (Issuer::new().await, Hook::that_answers("allow").await);
        let own = hook.events_settings();
        let settings: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let server = issuer.trusted_by(&server, &settings).await;
        server.exchange(&signed(&app_claims(&server, UUID))).await.assert_ok();
        server.exchange(&issuer.proves(&server, PHONE)).await.assert_ok();
        server.exchange(&signed(&app_claims(&server, UUID))).await.assert_ok();
        server.exchange("abc").await.assert_error(401, "token_invalid");
        let of = |kind: &str, text: &str| {
            format!("SELECT COUNT(*) FROM outbox WHERE kind = '{kind}' AND data LIKE '%{text}%'")
        };
        assert_eq!(server.count(&of("user.created", "\"exchange\"")).await, 2);
        assert_eq!(server.count(&of("session.started", "\"exchange\"")).await, 3);
    }

    async fn staff_find_an_account_by_its_old_id_and_tokens_can_hold_it(server: TestServer) {
        let user_id = moved(&server, PHONE, "auth0|5f7c").await;
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let list = async |query: &str| server.get_as(&staff.access, &format!("/api/users?{query}")).await;
        for query in ["external_id=auth0%7C5f7c", "external_id=auth0%7C5f7c&search=6205829376"] {
            let answer = list(query).await;
            assert_eq!((answer.assert_ok().at("/total"), answer.text_at("/users/0/id")), (json!(1), user_id.clone()));
        }
        assert_eq!(list(&format!("external_id={user_id}")).await.text_at("/users/0/id"), user_id);
        for query in ["external_id=auth0", "external_id=auth0%7C5f7c&search=nobody", &format!("external_id={UUID}")] {
            assert_eq!(list(query).await.assert_ok().at("/total"), json!(0), "{query}");
        }
        for query in ["external_id=", "external_id=00000000-0000-0000-0000-000000000000"] {
            let answer = list(query).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/external_id").is_array(), "{}", answer.text);
        }
        let user = a_user(&server, OTHER_PHONE).await;
        server.get_as(&user.access, "/api/users?external_id=42").await.assert_error(403, "forbidden");
        // The claim, where it is asked for and where the account has one.
        let asked = server.second_server(&[("JWT_CLAIMS", "external_id")]).await;
        for (server, phone, expected) in [
            (&server, PHONE, Value::Null),
            (&asked, PHONE, json!("auth0|5f7c")),
            (&asked, OTHER_PHONE, Value::Null),
        ] {
            server.advance(30);
            let tokens = server.sign_in(phone).await;
            assert_eq!(claims(&tokens.access)["external_id"], expected);
            assert_eq!(claims(&tokens.refresh)["external_id"], Value::Null);
            server.get_as(&tokens.access, "/api/auth/profile").await.assert_ok();
        }
    }

    async fn an_issuer_that_may_not_create_accounts_creates_none(server: TestServer) {
        let issuer = Issuer::new().await;
        let server = issuer.trusted_by(&server, &[]).await;
        let token = signed(&crate::support::issuer::loopin_claims(&server, 42));
        server.exchange(&token).await.assert_error(403, "signup_closed");
        let user_id = moved(&server, PHONE, "42").await;
        assert_eq!(server.exchange(&token).await.assert_ok().text_at("/data/user_id"), user_id);
        // Numbers that get no messages can be proved in another way.
        let server = issuer.trusted_by(&server, &[("SMS_ALLOWED_COUNTRIES", "US")]).await;
        let proof = signed_by_key(&issuer.key, &phone_claims(&server, OTHER_PHONE));
        server.exchange(&proof).await.assert_ok();
    }
}
