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
}
