//! The client address of a request, as the list of sessions shows it: behind a proxy, and with forged headers.

use std::sync::atomic::{AtomicU32, Ordering};

use poem::http::Method;
use serde_json::{Value, json};

use crate::{on_both, support::TestServer};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The next name to register: each call makes an account of its own.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Registers with these headers. Returns the address of the session.
async fn address_with(server: &TestServer, headers: &[(&str, &str)]) -> Value {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let (username, email) = (format!("person{number}"), format!("person{number}@example.com"));
    let body = json!({ "username": username, "email": email, "password": "purple-kettle-morning-71" });
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    let answer = server.send(Method::POST, "/api/auth/register", &all, Some(body.to_string())).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
    let sessions = server.get_as(&answer.text_at("/access"), "/api/auth/sessions").await;
    sessions.assert_ok();
    sessions.at("/data/0/address")
}

on_both! {
    async fn a_session_has_the_address_of_whoever_opened_it(server: TestServer) {
        for (from, shown) in [
            ("203.0.113.7", "203.0.113.7"),
            ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            // A trusted proxy, and the only address in the header.
            ("junk", "0.0.0.0"),
        ] {
            assert_eq!(address_with(&server.from(from), &[]).await, json!(shown), "{from}");
        }
        assert_eq!(address_with(&server, &[]).await, json!("0.0.0.0"));
    }

    async fn several_lines_are_one_list(server: TestServer) {
        let server = server.second_server(&[("TRUSTED_PROXIES", "0.0.0.0, 10.0.0.0/8")]).await;
        let lines = [(FORWARDED_FOR, "198.51.100.1, 203.0.113.7"), (FORWARDED_FOR, "10.1.2.3,10.0.0.1")];
        assert_eq!(address_with(&server, &lines).await, json!("203.0.113.7"));
        let lines = [(FORWARDED_FOR, "203.0.113.7, junk"), (FORWARDED_FOR, "10.1.2.3,10.0.0.1")];
        assert_eq!(address_with(&server, &lines).await, json!("10.1.2.3"));
    }

    async fn a_forged_header_changes_nothing(server: TestServer) {
        for trusted in ["", "10.0.0.0/8"] {
            let server = server.second_server(&[("TRUSTED_PROXIES", trusted)]).await;
            for forged in ["203.0.113.7", "10.0.0.1", "203.0.113.7, 10.0.0.1", "0.0.0.0, 203.0.113.7"] {
                assert_eq!(address_with(&server.from(forged), &[]).await, json!("0.0.0.0"), "{forged}");
            }
        }
    }

    async fn no_other_header_is_believed(server: TestServer) {
        let headers = [
            ("forwarded", "for=203.0.113.7"),
            ("x-real-ip", "203.0.113.7"),
            ("x-client-ip", "203.0.113.7"),
            ("true-client-ip", "203.0.113.7"),
            ("cf-connecting-ip", "203.0.113.7"),
            ("x-forwarded", "203.0.113.7"),
        ];
        assert_eq!(address_with(&server, &headers).await, json!("0.0.0.0"));
        assert_eq!(address_with(&server.from("198.51.100.1"), &headers).await, json!("198.51.100.1"));
    }
}
