//! What requests write into the audit log.

use loopin_auth::{
    domain::{
        audit::{Action, Entry, Filter},
        phone::PhoneNumber,
    },
    store,
};
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    audit::{detail, entries, entries_of},
    on_both,
    roles::{ADMIN, sign_in_with_role},
    support::{Database, OTHER_PHONE, PHONE, TestServer, whole_profile},
};

const ADDRESS: &str = "203.0.113.7";
const PASSWORD: &str = "purple-kettle-morning-71";
const NEW_PASSWORD: &str = "copper-lantern-evening-38";

/// The one entry of a kind.
#[track_caller]
fn only(mut entries: Vec<Entry>) -> Entry {
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.pop().unwrap()
}

/// Checks the actor, the user, the phone, the address and the time of an entry.
#[track_caller]
fn check(
    server: &TestServer,
    entry: &Entry,
    actor: (&str, Option<&str>),
    user: Option<&str>,
    phone: Option<&str>,
) {
    let text = |id: Option<uuid::Uuid>| id.map(|id| id.to_string());
    assert_eq!((entry.actor_kind.as_ref(), text(entry.actor_id).as_deref()), actor, "{entry:?}");
    assert_eq!(text(entry.user_id).as_deref(), user, "{entry:?}");
    let phone = phone.map(|phone| PhoneNumber::from_e164(phone).unwrap());
    let hash = phone.as_ref().map(|phone| server.services.pseudonyms.phone(phone).as_str().to_owned());
    assert_eq!(entry.phone_mark, hash, "{entry:?}");
    assert_eq!(entry.phone_masked, phone.map(|phone| phone.to_string()), "{entry:?}");
    assert_eq!(entry.address.as_deref(), Some(ADDRESS), "{entry:?}");
    assert_eq!(entry.at, server.now(), "{entry:?}");
}

fn user(name: &str, password: &str) -> Value {
    json!({"username": name, "email": format!("{name}@example.com"), "password": password, "phone": OTHER_PHONE})
}

on_both! {
    async fn signing_in_by_a_code_is_written_down(server: TestServer) {
        let client = server.from(ADDRESS);
        client.signup(PHONE).await.assert_ok();
        client.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        let answer = client.verify_otp(PHONE, &server.last_code_for(PHONE)).await;
        let id = answer.assert_ok().text_at("/data/user_id");
        let all = entries(&server).await;
        let actions: Vec<&str> = all.iter().map(|entry| entry.action.as_ref()).collect();
        assert_eq!(actions, ["code_sent", "wrong_code", "signed_in"]);
        check(&server, &all[0], ("person", None), None, Some(PHONE));
        assert_eq!(all[0].detail.get("purpose"), Some(&json!("sign_in")));
        check(&server, &all[1], ("person", None), None, Some(PHONE));
        assert_eq!(all[1].detail.get("left"), Some(&json!(2)));
        check(&server, &all[2], ("person", Some(&id)), Some(&id), Some(PHONE));
        assert_eq!(all[2].detail.get("by"), Some(&json!("code")));
    }

    async fn what_a_password_does_is_written_down(server: TestServer) {
        let client = server.from(ADDRESS);
        let registered = client.post("/api/auth/register", user("gaurav", PASSWORD)).await;
        assert_eq!(registered.status.as_u16(), 201);
        let (access, other) = (registered.text_at("/access"), client.post("/api/register", user("third", PASSWORD)).await);
        let profile = server.get_as(&access, "/api/auth/profile").await;
        let id = profile.text_at("/user/id");
        client.post("/api/auth/register", user("gaurav", PASSWORD)).await.assert_error(409, "username_taken");
        for name in ["gaurav", "nobody"] {
            client.post("/api/token", user(name, "not-this-one-5")).await.assert_error(401, "credentials_invalid");
        }
        client.post("/api/token", user("gaurav", PASSWORD)).await.assert_ok();
        for (old, status) in [("not-this-one-5", 422), (PASSWORD, 200)] {
            let body = json!({"old_password": old, "new_password": NEW_PASSWORD});
            let changed = client.send_as(&access, Method::POST, "/api/auth/password", body).await;
            assert_eq!(changed.status.as_u16(), status);
        }
        for (password, status) in [("not-this-one-5", 422), (NEW_PASSWORD, 200)] {
            let body = json!({ "password": password });
            let confirmed = client.send_as(&access, Method::POST, "/api/auth/confirm", body).await;
            assert_eq!(confirmed.status.as_u16(), status);
        }
        server.execute("UPDATE accounts SET is_active = FALSE WHERE username = 'third'").await;
        client.post("/api/token", user("third", PASSWORD)).await.assert_error(403, "account_disabled");

        let all = entries(&server).await;
        let hash = |name: &str| json!(server.services.pseudonyms.name(name).as_str());
        let other = other.text_at("/id");
        let expected = [
            ("registered", Some(&id), Some(&id), json!({"by": "password"})),
            ("signed_in", Some(&id), Some(&id), json!({"by": "password"})),
            ("registered", Some(&other), Some(&other), json!({"by": "password"})),
            ("wrong_password", None, Some(&id), json!({"for": "sign_in", "name": hash("gaurav")})),
            ("wrong_password", None, None, json!({"for": "sign_in", "name": hash("nobody")})),
            ("signed_in", Some(&id), Some(&id), json!({"by": "password"})),
            ("wrong_password", Some(&id), Some(&id), json!({"for": "change"})),
            ("password_changed", Some(&id), Some(&id), json!({"ended": 1, "first": false})),
            ("wrong_password", Some(&id), Some(&id), json!({"for": "confirm"})),
            ("confirmed", Some(&id), Some(&id), json!({"by": "password"})),
            ("sign_in_refused", None, Some(&other), json!({"by": "password", "name": hash("third"), "reason": "account_disabled"})),
        ];
        for (entry, (action, actor, about, facts)) in all.iter().zip(&expected) {
            assert_eq!(entry.action, *action);
            check(&server, entry, ("person", actor.map(String::as_str)), about.map(String::as_str), None);
            let mut known = detail(entry);
            if ["signed_in", "confirmed"].contains(action) {
                let sid = known.as_object_mut().unwrap().remove("sid").unwrap();
                assert_eq!(server.count(&count_of_session(&server, sid.as_str().unwrap())).await, 1, "{entry:?}");
            }
            assert_eq!(&known, facts);
        }
        assert_eq!(all.len(), expected.len(), "{all:?}");
    }

    async fn what_happens_to_sessions_is_written_down(server: TestServer) {
        let client = server.from(ADDRESS);
        let tokens = server.sign_in(PHONE).await;
        let second = server.refresh(&tokens.refresh).await.text_at("/refresh");
        server.refresh(&second).await.assert_ok();
        client.refresh(&tokens.refresh).await.assert_error(401, "token_revoked");
        let entry = only(entries_of(&server, Action::RefreshReused).await);
        // The client that reused the token may not be the user, so the entry names no actor.
        check(&server, &entry, ("person", None), Some(&tokens.user_id), None);
        let sid = entry.detail.get("sid").unwrap().as_str().unwrap().to_owned();
        assert_eq!(server.count(&count_of_session(&server, &sid)).await, 1);

        server.advance(30);
        let tokens = server.sign_in(PHONE).await;
        server.advance(30);
        server.sign_in(PHONE).await;
        client.send_as(&tokens.access, Method::DELETE, "/api/auth/sessions", json!({})).await.assert_ok();
        client.send_as(&tokens.access, Method::POST, "/api/auth/logout-all", json!({})).await.assert_ok();
        let ended = entries_of(&server, Action::LoggedOutEverywhere).await;
        assert_eq!(ended.len(), 2);
        for entry in &ended {
            check(&server, entry, ("person", Some(&tokens.user_id)), Some(&tokens.user_id), None);
        }
        assert_eq!(ended[0].detail.get("ended"), Some(&json!(1)));
        let kept = ended[0].detail.get("kept").unwrap().as_str().unwrap();
        assert_eq!(server.count(&count_of_session(&server, kept)).await, 1);
        assert_eq!(detail(&ended[1]), json!({"ended": 1}));
    }

    async fn a_changed_phone_is_written_down_and_whoever_left_is_not_told_of(server: TestServer) {
        let client = server.from(ADDRESS);
        let tokens = server.sign_in(PHONE).await;
        let mut profile = whole_profile();
        profile["phone_number"] = json!(PHONE);
        server.send_as(&tokens.access, Method::POST, "/api/auth/complete-profile", profile).await.assert_ok();
        let (access, id) = (tokens.access.as_str(), tokens.user_id.as_str());
        let body = json!({ "phone_number": OTHER_PHONE });
        client.send_as(access, Method::POST, "/api/auth/change-phone", body).await.assert_ok();
        let body = json!({ "phone_number": OTHER_PHONE, "otp_code": server.last_code_for(OTHER_PHONE) });
        client.send_as(access, Method::POST, "/api/auth/verify-change-phone", body).await.assert_ok();
        let entry = only(entries_of(&server, Action::PhoneChanged).await);
        check(&server, &entry, ("person", Some(id)), Some(id), Some(OTHER_PHONE));
        let old = PhoneNumber::from_e164(PHONE).unwrap();
        let hash = server.services.pseudonyms.phone(&old).as_str().to_owned();
        assert_eq!(detail(&entry), json!({"ended": 0, "old_phone": "+91******9376", "old_phone_mark": hash}));

        client.send_as(access, Method::POST, "/api/auth/delete-account", json!({})).await.assert_ok();
        let entry = only(entries_of(&server, Action::AccountDeleted).await);
        check(&server, &entry, ("person", Some(id)), Some(id), Some(OTHER_PHONE));
        assert_eq!(detail(&entry), json!({}));
        let text = format!("{:?}", entries(&server).await);
        for secret in [&PHONE[3..], &OTHER_PHONE[3..], "Gaurav", "Kumar", "1995", "example.com"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        // The entries do not stop the same phone from getting a new account.
        server.advance(30);
        assert_ne!(server.sign_in(OTHER_PHONE).await.user_id, id);
    }

    async fn what_staff_do_is_written_with_the_act(server: TestServer) {
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        let user = server.sign_in(PHONE).await;
        let at = server.from(ADDRESS);
        let path = format!("/api/users/{}", user.user_id);
        let (by, id) = (("staff", Some(admin.user_id.as_str())), Some(user.user_id.as_str()));
        for (method, path, body, action, facts) in [
            (Method::PUT, path.clone(), json!({"first_name": "Gaurav", "email": "gaurav@example.com"}), Action::AccountEdited,
                json!({"fields": ["first_name", "email"]})),
            (Method::PUT, path.clone(), json!({"role": "staff"}), Action::RoleChanged, json!({"from": "user", "to": "staff", "ended": 1})),
            (Method::DELETE, path.clone(), json!({}), Action::AccountDeactivated, json!({"ended": 0})),
            (Method::POST, format!("{path}/activate"), json!({}), Action::AccountActivated, json!({})),
        ] {
            at.send_as(&admin.access, method, &path, body).await.assert_ok();
            // Without a flush, because staff entries are written in the transaction.
            let filter = Filter { action: Some(action), ..Filter::default() };
            let entry = only(store::audit::list_after(&server.services.store, &filter, None, 10).await.unwrap());
            let phone = (action != Action::AccountEdited).then_some(PHONE);
            check(&server, &entry, by, id, phone);
            assert_eq!(detail(&entry), facts);
        }
        // A change that has no effect, that is refused, or that concerns the own account is not written. That its answer shows
        // a whole number is.
        let changes = async || {
            let all = entries(&server).await;
            all.into_iter().filter(|entry| entry.action != Action::PhoneShown.as_str()).collect::<Vec<_>>()
        };
        let before = changes().await;
        at.send_as(&admin.access, Method::POST, &format!("{path}/activate"), json!({})).await.assert_ok();
        at.send_as(&admin.access, Method::PUT, &path, json!({"role": "staff"})).await.assert_ok();
        let own = format!("/api/users/{}", admin.user_id);
        at.send_as(&admin.access, Method::DELETE, &own, json!({})).await.assert_error(403, "forbidden");
        at.send_as(&admin.access, Method::PUT, &own, json!({"first_name": "Ada"})).await.assert_ok();
        at.send_as(&admin.access, Method::PUT, &path, json!({"email": "not one"})).await.assert_error(422, "validation_failed");
        assert_eq!(changes().await, before);
    }
}

/// SQLite stores ids as bytes.
fn count_of_session(server: &TestServer, sid: &str) -> String {
    let id = match server.database {
        Database::Sqlite => format!("x'{}'", sid.replace('-', "")),
        Database::Postgres => format!("'{sid}'"),
    };
    format!("SELECT COUNT(*) FROM sessions WHERE id = {id}")
}
