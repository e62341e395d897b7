//! `SIGNUPS=invited`: invitations, from the making to the last use.

use chrono::Duration;
use futures_util::future::join_all;
use loopin_auth::{
    domain::{audit::Action, invitation::NewInvitation, phone::PhoneNumber, roles::StaffPermission},
    flows::invitations,
};
use poem::http::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    again::PASSWORD,
    events::sent,
    on_both,
    prefixes::entries,
    roles::{STAFF, sign_in_with_role},
    support::{Answer, Database, OTHER_PHONE, PHONE, TestServer, WIDE_LIMITS, hook::Hook},
};

pub const PATH: &str = "/api/admin/invitations";

/// A server where people need an invitation.
pub async fn invited(server: &TestServer, more: &[(&str, &str)]) -> TestServer {
    server.second_server(&[&[("SIGNUPS", "invited")], more].concat()).await
}

pub fn everyone() -> NewInvitation {
    NewInvitation { uses: 1, expires_at: None, phone: None }
}

/// Makes an invitation as the command line does. Returns its id and its text.
pub async fn make(server: &TestServer, new: NewInvitation) -> (String, String) {
    let made = invitations::make(&server.services, new, StaffPermission::by_command()).await.unwrap();
    (made.invitation.id.to_string(), made.code.text().expose_secret().to_owned())
}

async fn signup(server: &TestServer, phone: &str, invitation: impl Into<Value>) -> Answer {
    let body = json!({ "phone_number": phone, "invitation": invitation.into() });
    server.post("/api/auth/signup", body).await
}

async fn register(server: &TestServer, path: &str, name: &str, invitation: impl Into<Value>) -> Answer {
    let email = format!("{name}@example.com");
    let body =
        json!({"username": name, "email": email, "password": PASSWORD, "invitation": invitation.into()});
    server.post(path, body).await
}

/// Signs up with an invitation and enters the right code.
pub async fn enter(server: &TestServer, phone: &str, invitation: &str) -> Answer {
    signup(server, phone, invitation).await.assert_ok();
    server.verify_otp(phone, &server.last_code_for(phone)).await
}

pub async fn left(server: &TestServer, id: &str) -> i64 {
    server.count(&format!("SELECT uses_left FROM invitations WHERE id = {}", literal(server, id))).await
}

/// An id in SQL.
fn literal(server: &TestServer, id: &str) -> String {
    match server.database {
        Database::Sqlite => format!("X'{}'", id.replace('-', "")),
        Database::Postgres => format!("'{id}'"),
    }
}

pub async fn accounts(server: &TestServer) -> i64 {
    server.count("SELECT COUNT(*) FROM accounts").await
}

pub async fn end(server: &TestServer, id: &str) {
    let id = id.parse().unwrap();
    invitations::end(&server.services, id, StaffPermission::by_command()).await.unwrap();
}

pub fn phone(text: &str) -> PhoneNumber {
    PhoneNumber::from_e164(text).unwrap()
}

/// An answer without what differs between two requests of one kind.
fn shown(answer: &Answer) -> (u16, Value) {
    (answer.status.as_u16(), answer.json())
}

on_both! {
    async fn an_invited_user_gets_an_account_and_the_invitation_is_used_up(server: TestServer) {
        let server = invited(&server, &[]).await;
        let (id, text) = make(&server, everyone()).await;
        signup(&server, PHONE, text.as_str()).await.assert_ok();
        assert_eq!(left(&server, &id).await, 1, "a code uses nothing up");
        let wrong = server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await;
        wrong.assert_error(400, "otp_invalid");
        assert_eq!(left(&server, &id).await, 1, "nor does a wrong one");
        let entered = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await;
        entered.assert_ok();
        assert!(!entered.text.contains("inv_"), "{}", entered.text);
        assert_eq!(left(&server, &id).await, 0);
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_error(400, "otp_not_found");
        let made = format!("SELECT COUNT(*) FROM accounts WHERE invitation_id = {}", literal(&server, &id));
        assert_eq!((accounts(&server).await, server.count(&made).await), (1, 1));
        signup(&server, OTHER_PHONE, text.as_str()).await.assert_error(403, "signup_closed");
        let used = entries(&server, Action::InvitationUsed).await;
        assert_eq!(used.len(), 1);
        assert_eq!(used[0].detail.get("invitation"), Some(&json!(id)));
        assert_eq!(used[0].user_id.unwrap().to_string(), entered.text_at("/data/user_id"));
    }

    async fn who_has_an_account_needs_none_and_uses_none_up(server: TestServer) {
        let user = server.sign_in(PHONE).await;
        let server = invited(&server, &[]).await;
        let (id, text) = make(&server, everyone()).await;
        server.advance(30);
        let entered = enter(&server, PHONE, &text).await;
        assert_eq!(entered.assert_ok().text_at("/data/user_id"), user.user_id);
        server.advance(30);
        assert_eq!(server.sign_in(PHONE).await.user_id, user.user_id);
        assert_eq!(left(&server, &id).await, 1);
    }

    async fn every_reason_to_refuse_an_invitation_is_answered_alike(server: TestServer) {
        let server = invited(&server, &WIDE_LIMITS).await;
        let soon = server.now() + Duration::seconds(60);
        let (_, expired) = make(&server, NewInvitation { expires_at: Some(soon), ..everyone() }).await;
        let (ended_id, ended) = make(&server, everyone()).await;
        end(&server, &ended_id).await;
        let (_, used) = make(&server, everyone()).await;
        enter(&server, OTHER_PHONE, &used).await.assert_ok();
        let (_, of_another) = make(&server, NewInvitation::for_phone(phone(OTHER_PHONE), soon + Duration::days(1))).await;
        server.advance(60);
        let unknown = "inv_aaaaaaaaaaaaaaaaaaaaaaaaaa";
        let refused = server.signup(PHONE).await;
        refused.assert_error(403, "signup_closed");
        for bad in [expired.as_str(), &ended, &used, &of_another, unknown, "nonsense", "", &"x".repeat(5_000)] {
            let answer = signup(&server, PHONE, bad).await;
            assert_eq!(shown(&answer), shown(&refused), "{bad}");
            for path in ["/api/auth/register", "/api/register/"] {
                let answer = register(&server, path, "gaurav", bad).await;
                assert_eq!(shown(&answer), shown(&refused), "{bad} at {path}");
            }
        }
        assert_eq!(shown(&signup(&server, PHONE, Value::Null).await), shown(&refused));
        assert_eq!((accounts(&server).await, server.codes_for(PHONE).len()), (1, 0));
    }

    async fn an_invitation_of_another_type_is_a_fault_of_the_body(server: TestServer) {
        for server in [invited(&server, &[]).await, server] {
            for bad in [json!(7), json!(["inv"]), json!({}), json!("a\u{0}b")] {
                let answer = signup(&server, "x", bad.clone()).await;
                answer.assert_error(422, "validation_failed");
                for field in ["phone_number", "invitation"] {
                    assert!(answer.at(&format!("/error/fields/{field}/0")).is_string(), "{}", answer.text);
                }
                for path in ["/api/auth/register", "/api/register/"] {
                    let answer = register(&server, path, "a@b", bad.clone()).await;
                    answer.assert_error(422, "validation_failed");
                    for field in ["username", "invitation"] {
                        assert!(answer.at(&format!("/error/fields/{field}/0")).is_string(), "{}", answer.text);
                    }
                }
            }
        }
    }

    async fn it_is_typed_in_many_ways(server: TestServer) {
        let server = invited(&server, &WIDE_LIMITS).await;
        let (id, text) = make(&server, NewInvitation { uses: 3, ..everyone() }).await;
        let random = text.trim_start_matches("inv_");
        let typed = [text.to_uppercase(), random.to_owned(), format!(" inv_{}-{} ", &random[..10], &random[10..])];
        for (place, typed) in typed.iter().enumerate() {
            enter(&server, &format!("+91987654322{place}"), typed).await.assert_ok();
        }
        assert_eq!((left(&server, &id).await, accounts(&server).await), (0, 3));
        // Only its hash is kept.
        let hash = server.text("SELECT hash FROM invitations").await;
        assert_eq!(server.count("SELECT COUNT(*) FROM invitations").await, 1);
        assert_eq!(hash.len(), 64);
        assert!(!hash.contains(random));
    }

    async fn an_invitation_for_a_phone_admits_no_other(server: TestServer) {
        let server = invited(&server, &[]).await;
        let end = server.now() + Duration::days(1);
        let (id, text) = make(&server, NewInvitation::for_phone(phone(PHONE), end)).await;
        signup(&server, OTHER_PHONE, text.as_str()).await.assert_error(403, "signup_closed");
        // Registering proves no phone, whatever the body says.
        let body = json!({"username": "gaurav", "email": "g@example.com", "password": PASSWORD, "phone": PHONE, "invitation": text});
        server.post("/api/auth/register", body).await.assert_error(403, "signup_closed");
        enter(&server, PHONE, &text).await.assert_ok();
        assert_eq!((left(&server, &id).await, accounts(&server).await), (0, 1));
    }

    async fn it_is_looked_at_again_when_the_code_comes_back(server: TestServer) {
        let server = invited(&server, &WIDE_LIMITS).await;
        let soon = server.now() + Duration::seconds(60);
        let (ended_id, ended) = make(&server, everyone()).await;
        let (expired_id, expired) = make(&server, NewInvitation { expires_at: Some(soon), ..everyone() }).await;
        let (_, used) = make(&server, everyone()).await;
        let phones = ["+919876543221", "+919876543222", "+919876543223"];
        for (phone, text) in phones.iter().zip([&ended, &expired, &used]) {
            signup(&server, phone, text.as_str()).await.assert_ok();
        }
        end(&server, &ended_id).await;
        enter(&server, OTHER_PHONE, &used).await.assert_ok();
        server.advance(60);
        for phone in phones {
            let code = server.last_code_for(phone);
            server.verify_otp(phone, &code).await.assert_error(403, "signup_closed");
            server.verify_otp(phone, &code).await.assert_error(400, "otp_not_found");
        }
        assert_eq!(accounts(&server).await, 1);
        assert_eq!((left(&server, &ended_id).await, left(&server, &expired_id).await), (1, 1));
        assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE state = 'waiting'").await, 3);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 1);
    }

    async fn the_last_valid_invitation_of_several_counts(server: TestServer) {
        let server = invited(&server, &WIDE_LIMITS).await;
        let (first_id, first) = make(&server, everyone()).await;
        let (second_id, second) = make(&server, everyone()).await;
        signup(&server, PHONE, first.as_str()).await.assert_ok();
        server.advance(30);
        signup(&server, PHONE, second.as_str()).await.assert_ok();
        server.advance(30);
        signup(&server, PHONE, "inv_aaaaaaaaaaaaaaaaaaaaaaaaaa").await.assert_error(403, "signup_closed");
        server.signup(PHONE).await.assert_error(403, "signup_closed");
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        assert_eq!((left(&server, &first_id).await, left(&server, &second_id).await), (1, 0));
    }

    async fn a_new_code_has_nothing_of_the_invitation_of_an_old_one(server: TestServer) {
        let server = invited(&server, &[&WIDE_LIMITS[..], &[("HIDE_ACCOUNT_EXISTENCE", "true")]].concat()).await;
        let (id, text) = make(&server, NewInvitation { uses: 2, ..everyone() }).await;
        // A resend without an invitation keeps that of the open code.
        signup(&server, OTHER_PHONE, text.as_str()).await.assert_ok();
        server.advance(30);
        server.login(OTHER_PHONE).await.assert_ok();
        server.verify_otp(OTHER_PHONE, &server.last_code_for(OTHER_PHONE)).await.assert_ok();
        // A code that has expired is followed by one that was asked for without.
        signup(&server, PHONE, text.as_str()).await.assert_ok();
        server.advance(601);
        server.signup(PHONE).await.assert_ok();
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_error(403, "signup_closed");
        assert_eq!((left(&server, &id).await, accounts(&server).await), (1, 1));
    }

    async fn a_hidden_account_is_not_told_by_an_invitation(server: TestServer) {
        server.sign_in(OTHER_PHONE).await;
        server.advance(30);
        let server = invited(&server, &[("HIDE_ACCOUNT_EXISTENCE", "true")]).await;
        let (id, text) = make(&server, everyone()).await;
        for (place, invitation) in [json!(text), json!("inv_aaaaaaaaaaaaaaaaaaaaaaaaaa"), Value::Null].into_iter().enumerate() {
            let mut answers = Vec::new();
            for (phone, side) in [(format!("+91987654322{place}"), "1"), (OTHER_PHONE.to_owned(), "2")] {
                let server = server.from(format!("203.0.113.{place}{side}"));
                let answer = signup(&server, &phone, invitation.clone()).await;
                let text = answer.assert_ok().text.replace(&phone, "PHONE");
                answers.push(text.replace(&answer.text_at("/data/delivery_id"), "DELIVERY"));
            }
            assert_eq!(answers[0], answers[1]);
            server.advance(600);
        }
        server.advance(86_400);
        let entered = enter(&server, PHONE, &text).await;
        entered.assert_ok();
        assert_eq!(left(&server, &id).await, 0);
    }

    async fn it_admits_people_who_register(server: TestServer) {
        let server = invited(&server, &[]).await;
        let (id, text) = make(&server, NewInvitation { uses: 2, ..everyone() }).await;
        let first = register(&server, "/api/auth/register", "gaurav", text.as_str()).await;
        assert_eq!(first.status.as_u16(), 201, "{}", first.text);
        // What fails uses nothing up.
        register(&server, "/api/auth/register", "gaurav", text.as_str()).await.assert_error(409, "username_taken");
        register(&server, "/api/register/", "gaurav", text.as_str()).await.assert_error(409, "username_taken");
        assert_eq!(left(&server, &id).await, 1);
        let second = register(&server, "/api/register/", "anita", text.as_str()).await;
        assert_eq!(second.status.as_u16(), 201, "{}", second.text);
        register(&server, "/api/register/", "third", text.as_str()).await.assert_error(403, "signup_closed");
        assert_eq!((left(&server, &id).await, accounts(&server).await), (0, 2));
        assert_eq!(entries(&server, Action::InvitationUsed).await.len(), 2);
    }

    async fn of_many_who_want_the_last_use_at_once_one_gets_it(server: TestServer) {
        let limits = [&WIDE_LIMITS[..], &[("LIMIT_REGISTRATIONS_PER_ADDRESS", "1000/1h")]].concat();
        let server = invited(&server, &limits).await;
        let (id, text) = make(&server, NewInvitation { uses: 2, ..everyone() }).await;
        let phones: Vec<String> = (0..8).map(|place| format!("+91987654323{place}")).collect();
        for phone in &phones {
            signup(&server, phone, text.as_str()).await.assert_ok();
        }
        let entering = phones.iter().map(async |phone| {
            let code = server.last_code_for(phone);
            server.verify_otp(phone, &code).await.status.as_u16()
        });
        let names: Vec<String> = (0..4).map(|place| format!("person{place}")).collect();
        let registering = names.iter().map(async |name| {
            register(&server, "/api/auth/register", name, text.as_str()).await.status.as_u16()
        });
        let (entered, registered) = tokio::join!(join_all(entering), join_all(registering));
        let made = entered.iter().filter(|status| **status == 200).count();
        let made = made + registered.iter().filter(|status| **status == 201).count();
        let refused = entered.iter().chain(&registered).filter(|status| **status == 403).count();
        assert_eq!((made, refused), (2, 10), "{entered:?} {registered:?}");
        assert_eq!((left(&server, &id).await, accounts(&server).await), (0, 2));
    }

    async fn one_code_entered_many_times_at_once_takes_one_use(server: TestServer) {
        let server = invited(&server, &[]).await;
        let (id, text) = make(&server, NewInvitation { uses: 5, ..everyone() }).await;
        signup(&server, PHONE, text.as_str()).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let answers = join_all((0..8).map(|_| server.verify_otp(PHONE, &code))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status.as_u16() == 200).count(), 1);
        assert_eq!((left(&server, &id).await, accounts(&server).await), (4, 1));
    }

    async fn an_account_that_another_request_makes_first_gives_the_use_back(server: TestServer) {
        // Staff verify the number by hand while its owner enters the code: of many tries, in either order, none loses a use.
        let open = server.clone();
        let server = invited(&server, &WIDE_LIMITS).await;
        let (id, text) = make(&server, NewInvitation { uses: 20, ..everyone() }).await;
        for place in 0..6 {
            let number = format!("+91987654324{place}");
            signup(&server, &number, text.as_str()).await.assert_ok();
            let code = server.last_code_for(&number);
            let by_hand = loopin_auth::flows::leads::verify(&open.services, phone(&number), StaffPermission::by_command());
            let (entered, verified) = tokio::join!(server.verify_otp(&number, &code), by_hand);
            entered.assert_ok();
            verified.unwrap();
        }
        let made = format!("SELECT COUNT(*) FROM accounts WHERE invitation_id = {}", literal(&server, &id));
        let made = server.count(&made).await;
        assert_eq!((left(&server, &id).await, accounts(&server).await), (20 - made, 6));
    }

    async fn once_it_is_closed_an_invitation_opens_nothing_and_once_it_is_open_none_is_used(server: TestServer) {
        let open = server.clone();
        let server = invited(&server, &WIDE_LIMITS).await;
        let closed = server.second_server(&[("SIGNUPS", "closed")]).await;
        let (id, text) = make(&server, NewInvitation { uses: 2, ..everyone() }).await;
        signup(&closed, PHONE, text.as_str()).await.assert_error(403, "signup_closed");
        register(&closed, "/api/register/", "gaurav", text.as_str()).await.assert_error(403, "signup_closed");
        for phone in [PHONE, OTHER_PHONE] {
            signup(&server, phone, text.as_str()).await.assert_ok();
        }
        closed.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_error(403, "signup_closed");
        open.verify_otp(OTHER_PHONE, &server.last_code_for(OTHER_PHONE)).await.assert_ok();
        assert_eq!((left(&server, &id).await, accounts(&server).await), (2, 1));
    }

    async fn guesses_are_limited_like_every_request_of_an_address(server: TestServer) {
        let server = invited(&server, &[]).await;
        let stranger = server.from("203.0.113.7");
        for place in 0..20 {
            let guess = format!("inv_aaaaaaaaaaaaaaaaaaaaaaaa{}{}", ["a", "b"][place / 10], ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"][place % 10]);
            signup(&stranger, &format!("+9198765432{place:02}"), guess).await.assert_error(403, "signup_closed");
        }
        signup(&stranger, PHONE, "inv_aaaaaaaaaaaaaaaaaaaaaaaaaa").await.assert_error(429, "rate_limited");
        // What the address may not ask for is no lead either.
        assert_eq!(server.count("SELECT COUNT(*) FROM leads").await, 20);
        for place in 0..20 {
            register(&stranger, "/api/register/", &format!("person{place}"), "nonsense").await.assert_error(403, "signup_closed");
        }
        register(&stranger, "/api/register/", "person", "nonsense").await.assert_error(429, "rate_limited");
    }

    async fn a_refused_user_is_a_lead_that_waits(server: TestServer) {
        let server = invited(&server, &[]).await;
        server.signup(PHONE).await.assert_error(403, "signup_closed");
        let waiting = "SELECT COUNT(*) FROM leads WHERE state = 'waiting' AND source = 'signup' AND requests = ";
        assert_eq!(server.count(&format!("{waiting} 1")).await, 1);
        server.advance(30);
        server.signup(PHONE).await.assert_error(403, "signup_closed");
        assert_eq!(server.count(&format!("{waiting} 2")).await, 1);
        // What sales made of it stays.
        server.execute("UPDATE leads SET state = 'contacted'").await;
        server.signup(PHONE).await.assert_error(403, "signup_closed");
        assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE state = 'contacted' AND requests = 3").await, 1);
        server.execute("UPDATE leads SET state = 'waiting'").await;
        let (_, text) = make(&server, everyone()).await;
        enter(&server, PHONE, &text).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE state = 'converted'").await, 1);
    }

    async fn a_lead_from_before_waits_and_many_refusals_at_once_are_one_lead(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let server = invited(&server, &WIDE_LIMITS).await;
        let answers = join_all((0..8).map(|_| server.signup(PHONE))).await;
        assert!(answers.iter().all(|answer| answer.status.as_u16() == 403));
        assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE state = 'waiting' AND requests = 9 AND version = 1").await, 1);
        let answers = join_all((0..8).map(|_| server.signup(OTHER_PHONE))).await;
        assert!(answers.iter().all(|answer| answer.status.as_u16() == 403));
        assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE state = 'waiting' AND requests = 8 AND version = 0").await, 1);
    }

    async fn the_operators_systems_are_told_of_a_lead_that_waits_once(server: TestServer) {
        let hook = Hook::that_answers("allow").await;
        let server = hook.told_by(&server, &[("SIGNUPS", "closed")]).await;
        for _ in 0..2 {
            server.signup(PHONE).await.assert_error(403, "signup_closed");
        }
        let told = sent(&server, &hook).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((&told[0]["type"], &told[0]["data"]["source"]), (&json!("lead.created"), &json!("signup")));
        assert!(told[0]["data"]["lead_id"].is_string(), "{told:?}");
    }

    async fn staff_see_who_waits(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let closed = server.second_server(&[("SIGNUPS", "closed")]).await;
        closed.signup(PHONE).await.assert_error(403, "signup_closed");
        server.signup(OTHER_PHONE).await.assert_ok();
        let list = server.get_as(&staff.access, "/api/admin/leads?state=waiting").await;
        assert_eq!(list.assert_ok().at("/items").as_array().unwrap().len(), 1);
        assert_eq!(list.text_at("/items/0/state"), "waiting");
        let path = format!("/api/admin/leads/{}", list.text_at("/items/0/id"));
        let change = |state: &str| json!({ "state": state });
        let changed = server.send_as(&staff.access, Method::PUT, &path, change("contacted")).await;
        assert_eq!(changed.assert_ok().text_at("/state"), "contacted");
        // Staff may put a lead back into the queue.
        let back = server.send_as(&staff.access, Method::PUT, &path, change("waiting")).await;
        assert_eq!(back.assert_ok().text_at("/state"), "waiting");
    }
}
