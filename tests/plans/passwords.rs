//! The requests of users with a password.

use poem::http::Method;
use serde_json::json;

use super::observed::Observed;

const PASSWORD: &str = "purple-kettle-morning-71";

pub async fn ask_all(observed: &mut Observed, phone: &str) {
    let name = format!("walker{}", phone.trim_start_matches('+'));
    let mut token = String::new();
    for (label, status, path, name, password) in [
        ("POST /api/auth/register", 201, "/api/auth/register", name.clone(), PASSWORD),
        ("POST /api/auth/register, taken", 409, "/api/auth/register", name.clone(), PASSWORD),
        ("POST /api/register", 201, "/api/register", format!("{name}.2"), PASSWORD),
        ("POST /api/register, taken", 409, "/api/register", name.clone(), PASSWORD),
        ("POST /api/auth/login, wrong password", 401, "/api/auth/login", name.clone(), "not this one"),
        ("POST /api/auth/login, no such name", 401, "/api/auth/login", format!("no{name}"), PASSWORD),
        ("POST /api/auth/login, an address", 200, "/api/auth/login", format!("{name}@example.com"), PASSWORD),
        ("POST /api/token", 200, "/api/token", name.clone(), PASSWORD),
    ] {
        let email = format!("{}@example.com", name.trim_end_matches("@example.com"));
        let body = json!({"username": name, "email": email, "password": password});
        let answer = observed.ask(label, status, async |server| server.post(path, body).await).await;
        token = answer.text_at("/access");
    }
    let new = json!({"old_password": PASSWORD, "new_password": "copper-lantern-evening-38"});
    let wrong = json!({"old_password": "not this one", "new_password": "copper-lantern-evening-38"});
    for (label, status, method, path, body) in [
        ("GET /api/dashboard", 200, Method::GET, "/api/dashboard", json!({})),
        ("POST /api/dashboard", 200, Method::POST, "/api/dashboard", json!({"text": "a text"})),
        ("POST /api/auth/password, wrong", 422, Method::POST, "/api/auth/password", wrong),
        ("POST /api/auth/password", 200, Method::POST, "/api/auth/password", new),
    ] {
        observed.ask(label, status, async |server| server.send_as(&token, method, path, body).await).await;
    }
    forgotten(observed, &name, phone).await;
}

/// A forgotten password, of a name that has an account with a phone and of one that has none.
async fn forgotten(observed: &mut Observed, name: &str, phone: &str) {
    let unknown = format!("no{name}");
    let of_phone = format!("+91620582{}", &phone[phone.len() - 4..]);
    observed
        .server
        .execute(&format!("UPDATE accounts SET phone = '{of_phone}' WHERE username = '{name}'"))
        .await;
    for (name, label) in [
        (name, "POST /api/auth/forgot-password"),
        (unknown.as_str(), "POST /api/auth/forgot-password, no such name"),
    ] {
        let body = json!({ "username": name });
        observed
            .ask(label, 200, async |server| {
                let answer = server.post("/api/auth/forgot-password", body).await;
                server.services.lifecycle.all_done().await;
                answer
            })
            .await;
    }
    let code = observed.server.last_code_for(&of_phone);
    let wrong = crate::support::wrong(&code);
    for (label, status, name, code) in [
        ("POST /api/auth/reset-password, wrong", 400, name, &wrong),
        ("POST /api/auth/reset-password, no such name", 400, unknown.as_str(), &wrong),
        ("POST /api/auth/reset-password", 200, name, &code),
    ] {
        let body = json!({"username": name, "otp_code": code, "new_password": PASSWORD});
        observed
            .ask(label, status, async |server| {
                let answer = server.post("/api/auth/reset-password", body).await;
                server.services.lifecycle.all_done().await;
                answer
            })
            .await;
    }
}
