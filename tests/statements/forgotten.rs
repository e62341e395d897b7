//! Forgotten passwords: every name costs the same round trips up to the right code, whether it gets a code or not.

use serde_json::json;

use crate::support::{Answer, TestServer, proxy::Proxy};

/// The kinds of names.
const KINDS: [&str; 6] = ["unknown", "known", "disabled", "staff", "without a phone", "in cooldown"];

/// Makes an account of this kind, whose name is the end of its phone. The requests that are counted later come from another address.
async fn prepare(server: &TestServer, kind: &str, name: &str) {
    if kind == "unknown" {
        return;
    }
    let phone = format!("+91{name}");
    server.sign_in(&phone).await;
    let username = format!("username = 'u{name}', username_key = 'u{name}'");
    let change = match kind {
        "disabled" => "is_active = FALSE",
        "staff" => "role = 'staff'",
        "without a phone" => "phone = NULL",
        _ => "role = 'user'",
    };
    server.execute(&format!("UPDATE accounts SET {username}, {change} WHERE phone = '{phone}'")).await;
}

/// One connection, so that a statement is prepared once.
const SETTINGS: [(&str, &str); 2] = [("DATABASE_MAX_CONNECTIONS", "1"), ("PHONE_STALE_DAYS", "180")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_name_costs_the_same_up_to_the_right_code() {
    for limits in ["true", "false"] {
        let settings = [SETTINGS.as_slice(), &[("RATE_LIMITS_ENABLED", limits)]].concat();
        let Some((server, proxy)) = TestServer::behind_proxy(&settings).await else { return };
        let mut costs = Vec::new();
        // The first rounds also prepare every statement.
        for round in 0..3 {
            costs.clear();
            for (place, kind) in KINDS.into_iter().enumerate() {
                let nth = round * KINDS.len() + place + 1;
                let name = format!("98765432{nth:02}");
                prepare(&server.from(format!("203.0.113.{nth}")), kind, &name).await;
                server.advance(24 * 60 * 60);
                let from = server.from(format!("198.51.100.{nth}"));
                if kind == "in cooldown" {
                    server.from(format!("192.0.2.{nth}")).login(&format!("+91{name}")).await.assert_ok();
                }
                loopin_auth::flows::blocks::refresh(&server.services).await.expect("the blocks are read");
                server.settle().await;
                costs.push((kind, measure(&from, &proxy, &format!("u{name}")).await));
            }
        }
        let (_, unknown) = costs.remove(0);
        println!("{limits}: {unknown:?}");
        for (kind, took) in costs {
            for ((step, one), (_, other)) in unknown.iter().zip(&took) {
                match (*step, kind) {
                    // The message of who gets one leaves after the answer, so its round trips are counted here too.
                    ("forgot-password", "known") => assert!(other > one, "{kind}: {took:?}"),
                    // All that happens is that nothing is sent.
                    ("forgot-password", "in cooldown") => assert!(other >= one, "{kind}: {took:?}"),
                    _ => assert_eq!(one, other, "{kind}, {step}"),
                }
            }
        }
    }
}

/// Sends every request that is possible before the right code. Returns the round trips of each, those after the answer included.
async fn measure(server: &TestServer, proxy: &Proxy, name: &str) -> Vec<(&'static str, u64)> {
    let mut taken = Vec::new();
    let mut before = proxy.round_trips();
    let mut took = async |step, status: u16, answer: Answer| {
        server.services.lifecycle.all_done().await;
        assert_eq!(answer.status.as_u16(), status, "{step}: {}", answer.text);
        let after = proxy.round_trips();
        taken.push((step, after - before));
        before = after;
    };
    let forgot = async || server.post("/api/auth/forgot-password", json!({ "username": name })).await;
    let reset = async |code: &str| {
        let body = json!({ "username": name, "otp_code": code, "new_password": "copper-lantern-evening-38" });
        server.post("/api/auth/reset-password", body).await
    };
    took("reset-password, none requested", 400, reset("0000").await).await;
    took("forgot-password", 200, forgot().await).await;
    took("forgot-password, too soon", 200, forgot().await).await;
    took("reset-password, wrong", 400, reset("0000").await).await;
    took("reset-password, wrong again", 400, reset("0001").await).await;
    took("reset-password, last", 400, reset("0002").await).await;
    took("reset-password, exhausted", 429, reset("0003").await).await;
    taken
}
