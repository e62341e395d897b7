//! Requests with a password, and requests of staff about users.

use poem::http::Method;
use serde_json::json;

use super::Meter;

impl Meter {
    /// Signs in a user with this role. Returns the access token and the user id.
    async fn sign_in_with_role(&self, phone: &str, role: &str) -> (String, String) {
        self.server.advance(30);
        let is_known = !self.server.codes_for(phone).is_empty();
        let sent = if is_known { self.server.login(phone).await } else { self.server.signup(phone).await };
        sent.assert_ok();
        let answer = self.server.verify_otp(phone, &self.server.last_code_for(phone)).await;
        answer.assert_ok();
        let accounts = format!("(SELECT id FROM accounts WHERE phone = '{phone}')");
        self.server.execute(&format!("UPDATE accounts SET role = '{role}' WHERE id IN {accounts}")).await;
        self.server
            .execute(&format!("UPDATE sessions SET role = '{role}' WHERE account_id IN {accounts}"))
            .await;
        let refreshed = self.server.refresh(&answer.text_at("/data/refresh_token")).await;
        refreshed.assert_ok();
        (refreshed.text_at("/access"), answer.text_at("/data/user_id"))
    }

    pub(super) async fn users(&mut self) {
        let (admin, admin_id) = self.sign_in_with_role("+919876543201", "admin").await;
        let (user, id) = self.sign_in_with_role("+919876543202", "user").await;
        let (admin, user) = (admin.as_str(), user.as_str());
        let path = format!("/api/users/{id}");
        self.count("GET /api/users, as a user", 403, async |server| server.get_as(user, "/api/users").await)
            .await;
        let other = format!("/api/users/{admin_id}");
        self.count("GET /api/users/{id}, of another", 403, async |server| server.get_as(user, &other).await)
            .await;
        for (name, query) in [
            ("GET /api/users", ""),
            ("GET /api/users, searched", "?search=98765%2043202&per_page=1"),
            ("GET /api/users, past the end", "?page=99"),
        ] {
            let list = format!("/api/users{query}");
            self.count(name, 200, async |server| server.get_as(admin, &list).await).await;
        }
        self.count("GET /api/users/{id}", 200, async |server| server.get_as(user, &path).await).await;
        for (name, method, body) in [
            ("PUT /api/users/{id}", Method::PUT, json!({"first_name": "Gaurav"})),
            ("PUT /api/users/{id}, role", Method::PUT, json!({"role": "staff"})),
            ("DELETE /api/users/{id}", Method::DELETE, json!({})),
        ] {
            self.count(name, 200, async |server| server.send_as(admin, method, &path, body).await).await;
        }
        let path = format!("{path}/activate");
        self.count("POST /api/users/{id}/activate", 200, async |server| {
            server.send_as(admin, Method::POST, &path, json!({})).await
        })
        .await;
    }

    pub(super) async fn guest(&mut self) {
        let path = "/api/auth/guest";
        self.count("POST /api/auth/guest", 200, async |server| server.post(path, json!({})).await).await;
    }

    pub(super) async fn passwords(&mut self, name: &str) {
        let password = "purple-kettle-morning-71";
        let user = |name: &str| json!({"username": name, "email": format!("{name}@example.com"), "password": password});
        let mut token = String::new();
        // The costs of old password hashes are kept for some seconds: the first sign-in by password reads them.
        self.server.post("/api/token", json!({"username": "nobody", "password": password})).await;
        for (label, status, path, name, password) in [
            ("POST /api/auth/register", 201, "/api/auth/register", name, password),
            ("POST /api/auth/register, taken", 409, "/api/auth/register", name, password),
            ("POST /api/register", 201, "/api/register", &format!("{name}.2"), password),
            ("POST /api/register, taken", 409, "/api/register", name, password),
            ("POST /api/auth/login, wrong password", 401, "/api/auth/login", name, "not this one"),
            ("POST /api/auth/login, no such name", 401, "/api/auth/login", "nobody", password),
            ("POST /api/token", 200, "/api/token", name, password),
            ("POST /api/auth/login, by name", 200, "/api/auth/login", name, password),
        ] {
            let mut body = user(name);
            body["password"] = password.into();
            let answer = self.count(label, status, async |server| server.post(path, body).await).await;
            token = answer.text_at("/access");
        }
        for label in ["GET /api/dashboard", "POST /api/dashboard"] {
            self.count_as(&token, label, "/api/dashboard", json!({"text": "a text"})).await;
        }
        let body = json!({"old_password": "not this one", "new_password": "copper-lantern-evening-38"});
        self.count("POST /api/auth/password, wrong", 422, async |server| {
            server.send_as(&token, Method::POST, "/api/auth/password", body).await
        })
        .await;
        let body = json!({"old_password": password, "new_password": "copper-lantern-evening-38"});
        self.count_as(&token, "POST /api/auth/password", "/api/auth/password", body).await;
    }
}
