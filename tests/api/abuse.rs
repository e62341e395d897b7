//! `/api/abuse`: staff read and change the state of prefixes and locks.

use chrono::Duration;
use loopin_auth::{
    domain::{
        audit::{Action, Actor},
        retention::Retention,
        roles::StaffPermission,
    },
    flows::purge::purge,
};
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    on_both,
    prefixes::{assert_sent, entries, phone, request_code},
    roles::{ADMIN, STAFF, sign_in_with_role},
    support::{Answer, PHONE, TestServer, Tokens, start},
};

/// Purges the budgets that have ended. Returns their number.
async fn sweep(server: &TestServer) -> u64 {
    let nothing_else = Retention { challenges: None, messages: None, sessions: None, audit: None };
    purge(&server.services, &nothing_else, Actor::System).await.unwrap().budgets
}

const LIST: &str = "/api/abuse/prefixes";
const OPEN: &str = "/api/abuse/prefixes/917000/open";
const CLOSE: &str = "/api/abuse/prefixes/+917000/close";

async fn post(server: &TestServer, who: &Tokens, path: &str, body: Value) -> Answer {
    server.send_as(&who.access, Method::POST, path, body).await
}

async fn close_prefix(server: &TestServer) {
    assert_sent(server, 0..50).await;
    request_code(server, 50).await.assert_error(429, "rate_limited");
}

/// Sends wrong guesses for a phone from an address, each for a pending code.
async fn guess(server: &TestServer, phone: &str, from: &str, times: usize) {
    for _ in 0..times {
        let wrong = server.wrong_code_for(phone);
        let answer = server.from(from).verify_otp(phone, &wrong).await;
        if answer.text_at("/error/code") == "otp_attempts_exhausted" {
            server.advance(30);
            server.from(from).signup(phone).await.assert_ok();
            server
                .from(from)
                .verify_otp(phone, &server.wrong_code_for(phone))
                .await
                .assert_error(400, "otp_invalid");
        } else {
            answer.assert_error(400, "otp_invalid");
        }
    }
}

/// A server with wide limits for sends, which are not tested here.
async fn lenient(server: &TestServer) -> TestServer {
    let sends = "1000/1h";
    let settings = [
        ("LIMIT_SENDS_PER_PHONE", sends),
        ("LIMIT_SENDS_PER_PHONE_AND_ADDRESS", sends),
        ("LIMIT_REQUESTS_PER_ADDRESS", sends),
        ("LIMIT_GUESSES_PER_ADDRESS", sends),
        ("LIMIT_UNVERIFIED_SENDS_PER_PREFIX", sends),
    ];
    server.second_server(&settings).await
}

on_both! {
    async fn only_staff_and_admins_may(server: TestServer) {
        let user = server.sign_in(PHONE).await;
        let phone_path = "/api/abuse/phones/+916205829376";
        let unlock = format!("{phone_path}/unlock");
        for (method, path) in [
            (Method::GET, LIST),
            (Method::POST, OPEN),
            (Method::POST, CLOSE),
            (Method::GET, phone_path),
            (Method::POST, unlock.as_str()),
        ] {
            server.send(method.clone(), path, &[], None).await.assert_error(401, "token_missing");
            server.send_as(&user.access, method, path, json!({})).await.assert_error(403, "forbidden");
        }
        for (phone, role) in [(STAFF, "staff"), (ADMIN, "admin")] {
            let who = sign_in_with_role(&server, phone, role).await;
            server.get_as(&who.access, LIST).await.assert_ok();
            server.get_as(&who.access, phone_path).await.assert_ok();
            post(&server, &who, &unlock, json!({})).await.assert_ok();
        }
        assert_eq!(entries(&server, Action::PhoneUnlocked).await.len(), 2);
    }

    async fn prefixes_are_listed_with_the_sums_of_countries(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        close_prefix(&server).await;
        server.signup("+447400123456").await.assert_ok();
        let all = server.get_as(&staff.access, LIST).await;
        all.assert_ok();
        let first = json!({
            "prefix": "+917000", "country": "IN", "state": "closed", "sent": 50, "verified": 0, "unanswered": 0,
            "closed_until": (server.now() + Duration::hours(1)).to_rfc3339_opts(chrono::SecondsFormat::Micros, false),
            "held_until": null,
        });
        assert_eq!(all.at("/prefixes/0"), first);
        assert_eq!(all.at("/total"), json!(3));
        assert_eq!(
            all.at("/countries"),
            json!([
                {"country": "IN", "prefixes": 2, "closed": 1, "sent": 51, "verified": 1},
                {"country": "GB", "prefixes": 1, "closed": 0, "sent": 1, "verified": 0},
            ])
        );
        let closed = server.get_as(&staff.access, &format!("{LIST}?state=closed")).await;
        assert_eq!((closed.at("/total"), closed.at("/prefixes/0/prefix")), (json!(1), json!("+917000")));
        let open = server.get_as(&staff.access, &format!("{LIST}?state=open&per_page=1&page=2")).await;
        assert_eq!((open.at("/total"), open.at("/total_pages")), (json!(2), json!(2)));
        assert_eq!(open.at("/prefixes").as_array().unwrap().len(), 1);
        let past = server.get_as(&staff.access, &format!("{LIST}?page=9")).await;
        assert_eq!(past.at("/prefixes"), json!([]));
        server.advance(3600);
        let later = server.refresh(&staff.refresh).await.text_at("/access");
        let half = server.get_as(&later, &format!("{LIST}?state=open")).await;
        assert_eq!(half.at("/prefixes/0/state"), json!("half_open"));
        let wrong = server.get_as(&later, &format!("{LIST}?state=ajar&page=0&per_page=101")).await;
        wrong.assert_error(422, "validation_failed");
        for field in ["state", "page", "per_page"] {
            assert!(wrong.at(&format!("/error/fields/{field}/0")).is_string(), "{}", wrong.text);
        }
    }

    async fn staff_open_a_closed_prefix_and_hold_it_open(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        close_prefix(&server).await;
        for body in [json!({"hours": 0}), json!({"hours": 721}), json!({"hours": "1"}), json!({"hours": 1.5}), json!({"hours": null})] {
            post(&server, &staff, OPEN, body).await.assert_error(422, "validation_failed");
        }
        for unknown in ["/api/abuse/prefixes/917001/open", "/api/abuse/prefixes/nonsense/close", "/api/abuse/prefixes/%25/open"] {
            post(&server, &staff, unknown, json!({})).await.assert_error(404, "not_found");
        }
        // It was only opened: it closes as before.
        let opened = server.from("203.0.113.40").send(Method::POST, OPEN, &[("authorization", &format!("Bearer {}", staff.access))], None).await;
        assert_eq!(opened.assert_ok().at("/prefixes/0/state"), json!("open"));
        assert_sent(&server, 100..150).await;
        request_code(&server, 150).await.assert_error(429, "rate_limited");
        let held = post(&server, &staff, OPEN, json!({"hours": 2})).await;
        assert_eq!(held.assert_ok().at("/prefixes/0/state"), json!("held_open"));
        assert_sent(&server, 200..260).await;
        // The last second of the lock.
        server.advance(7199);
        assert_sent(&server, 300..360).await;
        server.advance(1);
        request_code(&server, 360).await.assert_error(429, "rate_limited");
        let opened = entries(&server, Action::PrefixOpened).await;
        assert_eq!((opened[0].actor_kind.as_ref(), opened[0].actor_id.unwrap().to_string()), ("staff", staff.user_id.clone()));
        assert_eq!(opened[0].address.as_deref(), Some("203.0.113.40"));
        let held = entries(&server, Action::PrefixHeldOpen).await;
        assert_eq!(held.len(), 1);
        assert_eq!(held[0].detail.get("prefix"), Some(&json!("+917000")));
    }

    async fn a_prefix_that_staff_closed_stays_closed_whatever_comes_back(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        assert_sent(&server, 0..2).await;
        let shut = post(&server, &staff, CLOSE, json!({})).await;
        assert_eq!(shut.assert_ok().at("/prefixes/0/state"), json!("closed"));
        server.verify_otp(&phone(0), &server.last_code_for(&phone(0))).await.assert_ok();
        server.advance(3599);
        let answer = request_code(&server, 2).await;
        answer.assert_error(429, "rate_limited");
        assert_eq!(answer.at("/error/retry_after"), json!(1));
        server.advance(1);
        assert_sent(&server, 2..7).await;
        let closed = entries(&server, Action::PrefixClosed).await;
        assert_eq!(closed.len(), 1);
        assert_eq!((closed[0].actor_kind.as_ref(), closed[0].detail.get("sent")), ("staff", Some(&json!(2))));
    }

    async fn a_phone_says_why_it_gets_no_code(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let path = "/api/abuse/phones/062058%2029376";
        let nothing = server.get_as(&staff.access, path).await;
        assert_eq!(
            nothing.assert_ok().json(),
            json!({"phone_number": PHONE, "is_locked": false, "not_served": null, "budgets": [], "prefix": null})
        );
        let other = lenient(&server).await;
        other.from("203.0.113.7").signup(PHONE).await.assert_ok();
        guess(&other, PHONE, "203.0.113.7", 10).await;
        let until = server.now() + Duration::days(1) - Duration::seconds(90);
        let locked = other.get_as(&staff.access, path).await;
        assert_eq!(locked.at("/is_locked"), json!(true), "{}", locked.text);
        let budgets = locked.at("/budgets");
        let named = |name: &str| budgets.as_array().unwrap().iter().find(|budget| budget["budget"] == name).cloned().unwrap();
        let from_address = named("phone-guesses-from-address");
        assert_eq!((&from_address["address"], &from_address["used"], &from_address["is_spent"]), (&json!("203.0.113.7"), &json!(10), &json!(true)));
        let said = chrono::DateTime::parse_from_rfc3339(from_address["until"].as_str().unwrap()).unwrap();
        assert_eq!(said.to_utc(), until + Duration::microseconds(0));
        let all = named("phone-guesses");
        assert_eq!((&all["address"], &all["used"], &all["most"], &all["is_spent"], &all["until"]), (&json!(null), &json!(10), &json!(30), &json!(false), &json!(null)));
        assert_eq!(named("phone-failures-in-a-row")["window"], json!(null));
        assert_eq!(named("phone-sends")["used"], json!(4));
        assert_eq!(locked.at("/prefix/prefix"), json!("+916205"));
        // The answer does not contain the phone.
        assert_eq!(other.count("SELECT COUNT(*) FROM budgets WHERE key LIKE '%6205829376%'").await, 0);
        let left_out = server.second_server(&[("SMS_BLOCKED_PREFIXES", "+91")]).await;
        assert_eq!(left_out.get_as(&staff.access, path).await.at("/not_served"), json!("blocked"));
        server.get_as(&staff.access, "/api/abuse/phones/12").await.assert_error(422, "validation_failed");
    }

    async fn staff_unlock_a_phone_for_every_address(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let server = lenient(&server).await;
        server.signup(PHONE).await.assert_ok();
        for address in ["203.0.113.7", "203.0.113.8", "2001:db8:5::1"] {
            guess(&server, PHONE, address, 10).await;
        }
        server.advance(30);
        for address in ["203.0.113.7", "198.51.100.1"] {
            server.from(address).signup(PHONE).await.assert_error(429, "phone_locked");
        }
        let other = server.signup("+916205829377").await;
        other.assert_ok();
        let unlocked = post(&server, &staff, "/api/abuse/phones/+916205829376/unlock", json!({})).await;
        assert_eq!(
            unlocked.assert_ok().json(),
            json!({"phone_number": PHONE, "unlocked": ["phone-guesses", "phone-guesses-from-address"]})
        );
        server.from("203.0.113.7").signup(PHONE).await.assert_ok();
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        let entry = &entries(&server, Action::PhoneUnlocked).await[0];
        assert_eq!(entry.actor_id.unwrap().to_string(), staff.user_id);
        assert_eq!(entry.phone_masked.as_deref(), Some("+91******9376"));
        assert_eq!(entry.detail.get("budget"), Some(&json!(["phone-guesses", "phone-guesses-from-address"])));
        let again = post(&server, &staff, "/api/abuse/phones/+916205829376/unlock", json!({})).await;
        assert_eq!(again.at("/unlocked"), json!([]));
    }

    async fn a_hundred_failures_in_a_row_lock_until_somebody_unlocks(server: TestServer) {
        let server = lenient(&server).await;
        server.sign_in(PHONE).await;
        // Thirty a day, from three addresses, and ten on the fourth day.
        for day in 0..4 {
            server.advance(86_400);
            server.signup(PHONE).await.assert_ok();
            let addresses = if day < 3 { 3 } else { 1 };
            for address in 0..addresses {
                guess(&server, PHONE, &format!("203.0.113.{address}"), 10).await;
            }
        }
        assert_eq!(entries(&server, Action::WrongCode).await.len(), 100);
        for days in [0, 1, 30, 368] {
            server.advance(86_400 * days + 30);
            let answer = server.from("198.51.100.9").signup(PHONE).await;
            answer.assert_error(429, "phone_locked");
            assert_eq!((answer.header("retry-after"), answer.at("/error/retry_after")), (None, Value::Null));
            // Housekeeping purges all other budgets of that time, but not this one.
            sweep(&server).await;
        }
        let leave = StaffPermission::by_command();
        let phone = loopin_auth::domain::phone::PhoneNumber::from_e164(PHONE).unwrap();
        let unlocked = loopin_auth::flows::unlock::unlock(&server.services, phone, leave).await.unwrap();
        assert_eq!(unlocked.0, ["phone-failures-in-a-row"]);
        server.signup(PHONE).await.assert_ok();
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        assert_eq!(entries(&server, Action::PhoneUnlocked).await[0].actor_kind, "command");
    }

    async fn housekeeping_removes_what_is_over_and_nothing_that_counts(server: TestServer) {
        let settings = [("LIMIT_SENDS_PER_DAY", "100"), ("LIMIT_SENDS_PER_PHONE", "1/1m"), ("OTP_RESEND_SECONDS", "120")];
        let server = server.second_server(&settings).await;
        server.from("203.0.113.7").signup(PHONE).await.assert_ok();
        server.from("203.0.113.7").verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        server.from("203.0.113.7").post("/api/auth/login", json!({"username": "nobody", "password": "wrong password"})).await;
        let keys = "SELECT COUNT(*) FROM budgets";
        let of = |what: &str| format!("{keys} WHERE key LIKE '{what}'");
        let all = server.count(keys).await;
        assert!(all >= 9, "{all}");
        assert_eq!(sweep(&server).await, 0, "all of it counts");
        // For each budget the last second in which it counts, and the first in which it does not.
        for (key, seconds) in [
            ("phone/%/sends", 120),
            ("name/%", 900),
            ("address/%/passwords", 900),
            ("address/%/requests", 3600),
            ("address/%/guesses", 3600),
            ("phone/%/guesses/%", 86_400),
            ("phone/%/sends/%", 86_400),
        ] {
            let left = (start() + Duration::seconds(seconds)) - server.now();
            if left > Duration::seconds(1) {
                server.advance(left.num_seconds() - 1);
                sweep(&server).await;
                assert!(server.count(&of(key)).await > 0, "{key} counts");
            }
            server.advance(((start() + Duration::seconds(seconds)) - server.now()).num_seconds().max(0));
            sweep(&server).await;
            assert_eq!(server.count(&of(key)).await, 0, "{key} is over");
        }
        // These remain: the failures in a row, the row of the prefix, and the count of the day, for one more day.
        assert_eq!(server.count(&of("phone/%/guesses")).await, 1);
        assert_eq!(server.count(&of("prefix/%")).await, 1);
        assert_eq!(server.count(&of("day/%")).await, 1);
        assert_eq!(server.count(keys).await, 3);
        server.advance(86_400);
        sweep(&server).await;
        assert_eq!(server.count(keys).await, 2);
    }
}
