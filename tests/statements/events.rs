//! The cost of requests whose events are sent.

use std::collections::BTreeMap;

use poem::http::Method;
use serde_json::json;

use super::{super::support::hook::Hook, Meter};

/// A request, and its round trips without limits. A code that is sent and a sign-in by code take as many as without events: the events
/// are a part of their statement. What is rarer is a transaction.
const COSTS: &[(&str, u64)] = &[
    ("POST /api/auth/signup, new", 2),
    ("POST /api/auth/verify-otp, new account", 2),
    ("POST /api/auth/refresh", 1),
    ("PUT /api/auth/profile", 6),
    ("POST /api/auth/logout", 4),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_cost_the_sign_in_no_round_trip() {
    let hook = Hook::that_answers("").await;
    let own = hook.events_settings();
    let settings: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let Some(mut meter) = Meter::with(&[&settings[..], &[("RATE_LIMITS_ENABLED", "false")]].concat()).await
    else {
        return;
    };
    for round in 0..3 {
        // The first time each statement is prepared.
        meter.counted.clear();
        let phone = format!("+91987654{round:04}");
        meter.count("POST /api/auth/signup, new", 200, async |server| server.signup(&phone).await).await;
        let code = meter.server.last_code_for(&phone);
        let answer = meter
            .count("POST /api/auth/verify-otp, new account", 200, async |server| {
                server.verify_otp(&phone, &code).await
            })
            .await;
        let (token, first) = (answer.text_at("/token"), answer.text_at("/data/refresh_token"));
        meter
            .count("PUT /api/auth/profile", 200, async |server| {
                server.send_as(&token, Method::PUT, "/api/auth/profile", json!({"bio": "Music."})).await
            })
            .await;
        let answer =
            meter.count("POST /api/auth/refresh", 200, async |server| server.refresh(&first).await).await;
        meter
            .count("POST /api/auth/logout", 200, async |server| {
                server.send_as(&answer.text_at("/access"), Method::POST, "/api/auth/logout", json!({})).await
            })
            .await;
    }
    assert_eq!(meter.counted, COSTS.iter().copied().collect::<BTreeMap<_, _>>());
}

/// A charge that locks the phone writes the event in its transaction, so each guess is charged in one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_limits_a_guess_costs_a_transaction() {
    let hook = Hook::that_answers("").await;
    let own = hook.events_settings();
    let settings: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let Some(mut meter) = Meter::with(&settings).await else { return };
    for round in 0..3 {
        meter.counted.clear();
        let phone = format!("+91987654{round:04}");
        meter.count("signup", 200, async |server| server.signup(&phone).await).await;
        let (wrong, code) = (meter.server.wrong_code_for(&phone), meter.server.last_code_for(&phone));
        meter.count("a wrong code", 400, async |server| server.verify_otp(&phone, &wrong).await).await;
        meter.count("a right code", 200, async |server| server.verify_otp(&phone, &code).await).await;
    }
    assert_eq!(meter.counted, BTreeMap::from([("signup", 3), ("a wrong code", 4), ("a right code", 5)]));
}
