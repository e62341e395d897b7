//! `HIDE_ACCOUNT_EXISTENCE`: every request up to the right code costs the same round trips for every kind of phone.

use serde_json::json;

use crate::support::{Answer, TestServer, proxy::Proxy, whole_profile, wrong};

/// The kinds of phones.
const KINDS: [&str; 4] = ["unknown", "unfinished", "finished", "disabled"];

/// Makes the phone one of this kind. The requests that are counted later come from another address.
async fn prepare(server: &TestServer, kind: &str, phone: &str) {
    if kind == "unknown" {
        return;
    }
    let tokens = server.sign_in(phone).await;
    if kind == "finished" {
        let mut profile = whole_profile();
        profile["phone_number"] = json!(phone);
        let path = "/api/auth/complete-profile";
        server.send_as(&tokens.access, poem::http::Method::POST, path, profile).await.assert_ok();
    }
    if kind == "disabled" {
        server.disable(phone).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_phone_costs_the_same_up_to_the_right_code() {
    let settings = [
        // One connection, so that a statement is prepared once.
        ("DATABASE_MAX_CONNECTIONS", "1"),
        ("HIDE_ACCOUNT_EXISTENCE", "true"),
        ("PHONE_STALE_DAYS", "180"),
    ];
    let Some((server, proxy)) = TestServer::behind_proxy(&settings).await else { return };
    let mut costs = Vec::new();
    // The first round also prepares every statement.
    for round in 0..2 {
        costs.clear();
        for (place, kind) in KINDS.into_iter().enumerate() {
            let nth = round * KINDS.len() + place + 1;
            let phone = format!("+9198765432{nth:02}");
            prepare(&server.from(format!("203.0.113.{nth}")), kind, &phone).await;
            server.advance(24 * 60 * 60);
            costs.push((kind, measure(&server.from(format!("198.51.100.{nth}")), &proxy, &phone).await));
        }
    }
    let (_, first) = costs[0].clone();
    assert!(first.iter().all(|(_, took)| *took > 0), "{first:?}");
    for (kind, took) in costs {
        assert_eq!(took, first, "{kind}");
    }
}

/// Sends every request that is possible before the right code. Returns the round trips of each.
async fn measure(server: &TestServer, proxy: &Proxy, phone: &str) -> Vec<(&'static str, u64)> {
    let mut taken = Vec::new();
    let mut before = proxy.round_trips();
    let mut took = |name, status: u16, answer: Answer| {
        let after = proxy.round_trips();
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text);
        taken.push((name, after - before));
        before = after;
    };
    took("signup", 200, server.signup(phone).await);
    took("login, too soon", 429, server.login(phone).await);
    server.advance(30);
    took("login", 200, server.login(phone).await);
    let code = wrong(&server.last_code_for(phone));
    took("verify-otp", 400, server.verify_otp(phone, &code).await);
    took("verify-login", 400, server.verify_login(phone, &code).await);
    took("verify-login", 400, server.verify_login(phone, &code).await);
    took("exhausted", 429, server.verify_otp(phone, &code).await);
    taken
}
