//! The cost of requests that the limits count.

use std::collections::BTreeMap;

use serde_json::json;

use super::{super::support::wrong, Meter};

/// A request, and its round trips with the limits on: one statement more charges, and one gives back.
const COSTS: &[(&str, u64)] = &[
    ("POST /api/auth/signup, new", 3),
    ("POST /api/auth/signup, resend", 3),
    ("POST /api/auth/signup, cooldown", 4),
    ("POST /api/auth/login", 3),
    ("POST /api/auth/login, unknown", 2),
    ("POST /api/auth/verify-otp, new account", 3),
    ("POST /api/auth/verify-otp, wrong", 2),
    ("POST /api/auth/verify-otp, used", 3),
    ("POST /api/auth/verify-otp, exhausted", 5),
    ("POST /api/auth/verify-login", 3),
    ("POST /api/auth/verify-login, no account", 5),
    ("POST /api/auth/login, by name", 7),
    ("POST /api/auth/login, wrong password", 2),
    // The same for names with and without an account.
    ("POST /api/auth/login, no such name", 2),
    ("POST /api/auth/login, too many", 2),
    ("POST /api/auth/register", 5),
    ("POST /api/auth/register, too many", 2),
];

/// Everything that one user does up to a session, from an address of their own.
async fn with_limits(meter: &mut Meter, round: usize) {
    meter.server = meter.server.from(format!("2001:db8:{round:x}::1"));
    let (phone, name) = (format!("+91987654{round:04}"), format!("walker{round}"));
    meter.count("POST /api/auth/login, unknown", 404, async |server| server.login(&phone).await).await;
    meter.count("POST /api/auth/signup, new", 200, async |server| server.signup(&phone).await).await;
    meter.count("POST /api/auth/signup, cooldown", 429, async |server| server.signup(&phone).await).await;
    meter.server.advance(30);
    meter.count("POST /api/auth/signup, resend", 200, async |server| server.signup(&phone).await).await;
    let code = meter.server.last_code_for(&phone);
    meter
        .count("POST /api/auth/verify-otp, wrong", 400, async |server| {
            server.verify_otp(&phone, &wrong(&code)).await
        })
        .await;
    meter
        .count("POST /api/auth/verify-login, no account", 404, async |server| {
            server.verify_login(&phone, &code).await
        })
        .await;
    meter
        .count("POST /api/auth/verify-otp, new account", 200, async |server| {
            server.verify_otp(&phone, &code).await
        })
        .await;
    meter
        .count("POST /api/auth/verify-otp, used", 400, async |server| server.verify_otp(&phone, &code).await)
        .await;
    meter.server.advance(30);
    meter.count("POST /api/auth/login", 200, async |server| server.login(&phone).await).await;
    let code = meter.server.last_code_for(&phone);
    meter
        .count("POST /api/auth/verify-login", 200, async |server| server.verify_login(&phone, &code).await)
        .await;
    meter.server.advance(3600);
    meter.server.login(&phone).await.assert_ok();
    let code = wrong(&meter.server.last_code_for(&phone));
    for _ in 0..3 {
        meter.server.verify_otp(&phone, &code).await;
    }
    meter
        .count("POST /api/auth/verify-otp, exhausted", 429, async |server| {
            server.verify_otp(&phone, &code).await
        })
        .await;
    passwords_with_limits(meter, &name).await;
}

async fn passwords_with_limits(meter: &mut Meter, name: &str) {
    let password = "purple-kettle-morning-71";
    let body = |name: &str, password: &str| json!({"username": name, "email": format!("{name}@example.com"), "password": password});
    let (register, login) = ("/api/auth/register", "/api/auth/login");
    // The costs of old password hashes are kept for some seconds: the first sign-in by password reads them.
    meter.server.from("192.0.2.200").post(login, body("nobody", password)).await;
    for (label, status, path, body) in [
        ("POST /api/auth/register", 201, register, body(name, password)),
        ("POST /api/auth/login, by name", 200, login, body(name, password)),
        ("POST /api/auth/login, wrong password", 401, login, body(name, "not this one")),
        ("POST /api/auth/login, no such name", 401, login, body(&format!("no{name}"), password)),
    ] {
        meter.count(label, status, async |server| server.post(path, body).await).await;
    }
    for _ in 0..9 {
        meter.server.post(login, body(name, "not this one")).await;
    }
    for number in 1..20 {
        meter.server.post(register, body(&format!("{name}.{number}"), password)).await;
    }
    for (label, path) in
        [("POST /api/auth/login, too many", login), ("POST /api/auth/register, too many", register)]
    {
        meter.count(label, 429, async |server| server.post(path, body(name, password)).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_add_two_round_trips_at_most() {
    let Some(mut meter) = Meter::new("true").await else { return };
    for round in 1..4 {
        with_limits(&mut meter, round).await;
        if round == 1 {
            meter.counted.clear();
        }
    }
    for (name, took) in &meter.counted {
        println!("{took:>3}  {name}");
    }
    let known: BTreeMap<&str, u64> = COSTS.iter().copied().collect();
    assert_eq!(meter.counted, known);
}
