//! The requests of users: with the limits off and on, planned for their values and without.

use std::collections::BTreeSet;

use poem::http::Method;
use serde_json::{Value, json};

use super::observed::{Exception, Observed, Planning};
use crate::support::{
    WIDE_LIMITS,
    issuer::{Issuer, IssuersFile, app_claims, signed, three},
    whole_profile, wrong,
};

/// Requests that send no statement.
const WITHOUT_STATEMENTS: [&str; 6] = [
    "GET /",
    "GET /api",
    "GET /api/health",
    "GET /api/auth/jwks.json",
    "GET /.well-known/jwks.json",
    "GET /.well-known/openid-configuration",
];

const SEARCH: &str = "the search of the original looks for a text anywhere in a column, and tells the number of all. Staff only";
const OF_A_DAY: &str = "reads the newest leads until a page of that day is full: a minute with 10,000,000 leads. With sort=first the \
                        index has them";

/// Requests of staff that may read a large table row by row: the beginning of a name, the table, and why.
const EXCEPTIONS: &[Exception] =
    &[("GET /api/users", "accounts", SEARCH), ("GET /api/admin/leads, of a day", "leads", OF_A_DAY)];

const DEARER: &str = "dearer than each plan that knows the values, so PostgreSQL never prefers this one";

/// The same without values. A value that most rows have (an empty holder, the role of a user) and a range look as if they found
/// many rows.
const WITHOUT_VALUES: &[Exception] = &[
    ("GET /api/auth/export", "challenges", DEARER),
    ("POST /api/auth/delete-account", "challenges", DEARER),
    ("POST /api/auth/merge-accounts", "challenges", DEARER),
    ("PUT /api/users/{id}, role", "accounts", DEARER),
    ("DELETE /api/users/{id}", "accounts", DEARER),
    ("GET /api/admin/leads, a number", "leads", DEARER),
    ("POST /api/abuse/phones/{phone}/unlock", "budgets", DEARER),
];

/// The walk of one user, from the first code to a deleted account.
struct Walk {
    observed: Observed,
    phone: String,
    token: String,
}

impl Walk {
    async fn as_user(&mut self, name: &'static str, path: &str, body: Value) -> crate::support::Answer {
        let method =
            name.split(' ').next().and_then(|method| method.parse::<Method>().ok()).expect("a method");
        let token = self.token.clone();
        self.observed.ask(name, 200, async |server| server.send_as(&token, method, path, body).await).await
    }

    async fn signing_up(&mut self) {
        let Self { observed, phone, token } = self;
        observed.ask("POST /api/auth/login, unknown", 404, async |server| server.login(phone).await).await;
        let sent =
            observed.ask("POST /api/auth/signup", 200, async |server| server.signup(phone).await).await;
        observed
            .ask("GET /api/auth/deliveries/{delivery_id}", 200, async |server| server.delivery(&sent).await)
            .await;
        observed.ask("POST /api/auth/signup, too soon", 429, async |server| server.signup(phone).await).await;
        observed.server.advance(30);
        observed.ask("POST /api/auth/signup, resend", 200, async |server| server.signup(phone).await).await;
        let code = observed.server.last_code_for(phone);
        observed
            .ask("POST /api/auth/verify-otp, wrong", 400, async |server| {
                server.verify_otp(phone, &wrong(&code)).await
            })
            .await;
        observed
            .ask("POST /api/auth/verify-login, no account", 404, async |server| {
                server.verify_login(phone, &code).await
            })
            .await;
        let answer = observed
            .ask("POST /api/auth/verify-otp", 200, async |server| server.verify_otp(phone, &code).await)
            .await;
        observed
            .ask("POST /api/auth/verify-otp, used", 400, async |server| server.verify_otp(phone, &code).await)
            .await;
        *token = answer.text_at("/token");
    }

    async fn profile(&mut self) {
        let mut profile = whole_profile();
        profile["phone_number"] = json!(self.phone);
        self.as_user("POST /api/auth/complete-profile", "/api/auth/complete-profile", profile).await;
        self.as_user("PUT /api/auth/profile", "/api/auth/profile", json!({"bio": "Music."})).await;
        self.as_user("GET /api/auth/profile", "/api/auth/profile", json!({})).await;
        self.observed
            .ask("GET /api/auth/event-interests", 200, async |server| {
                server.advance(6);
                server.get("/api/auth/event-interests").await
            })
            .await;
    }

    /// Signs in once more. Returns the refresh token.
    async fn signing_in(&mut self) -> String {
        let Self { observed, phone, token } = self;
        observed.server.advance(30);
        observed.ask("POST /api/auth/login", 200, async |server| server.login(phone).await).await;
        let code = observed.server.last_code_for(phone);
        let answer = observed
            .ask("POST /api/auth/verify-login", 200, async |server| server.verify_login(phone, &code).await)
            .await;
        *token = answer.text_at("/token");
        answer.text_at("/data/refresh_token")
    }

    async fn known_account(&mut self) {
        let Self { observed, phone, .. } = self;
        observed
            .ask("POST /api/auth/signup, registered", 409, async |server| server.signup(phone).await)
            .await;
        observed.server.advance(30);
        observed.server.login(phone).await.assert_ok();
        let code = observed.server.last_code_for(phone);
        observed
            .ask("POST /api/auth/verify-otp, known account", 200, async |server| {
                server.verify_otp(phone, &code).await
            })
            .await;
        observed.server.advance(30);
        observed.server.login(phone).await.assert_ok();
        let wrong = observed.server.wrong_code_for(phone);
        for _ in 0..3 {
            observed.server.verify_otp(phone, &wrong).await;
        }
        observed
            .ask("POST /api/auth/verify-otp, exhausted", 429, async |server| {
                server.verify_otp(phone, &wrong).await
            })
            .await;
    }

    async fn sessions(&mut self) {
        let first = self.signing_in().await;
        let observed = &mut self.observed;
        let refreshed =
            observed.ask("POST /api/auth/refresh", 200, async |server| server.refresh(&first).await).await;
        observed
            .ask("POST /api/auth/refresh, repeated", 200, async |server| server.refresh(&first).await)
            .await;
        let second = refreshed.text_at("/refresh");
        let body = json!({ "refresh": second });
        observed
            .ask("POST /api/token/refresh", 200, async |server| server.post("/api/token/refresh", body).await)
            .await;
        observed
            .ask("POST /api/auth/refresh, retired", 401, async |server| server.refresh(&first).await)
            .await;
        self.signing_in().await;
        self.as_user("POST /api/auth/logout", "/api/auth/logout", json!({})).await;
        self.signing_in().await;
        self.signing_in().await;
        let list = "/api/auth/sessions";
        let sessions = self.as_user("GET /api/auth/sessions", list, json!({})).await.at("/data");
        let other = sessions.as_array().unwrap().iter().find(|session| session["current"] == false).unwrap();
        let path = format!("{list}/{}", other["id"].as_str().unwrap());
        self.as_user("DELETE /api/auth/sessions/{id}", &path, json!({})).await;
        self.as_user("DELETE /api/auth/sessions", list, json!({})).await;
        self.as_user("POST /api/auth/logout-all", "/api/auth/logout-all", json!({})).await;
    }

    /// Tokens of the issuers of `support/issuer.rs`.
    async fn exchange(&mut self, issuer: &Issuer) {
        let Self { observed, phone, .. } = self;
        let id = format!("old-{phone}");
        for name in ["POST /api/auth/exchange, a new account", "POST /api/auth/exchange"] {
            let token = signed(&app_claims(&observed.server, &id));
            observed.ask(name, 200, async |server| server.exchange(&token).await).await;
        }
        let token = issuer.proves(&observed.server, phone);
        observed
            .ask("POST /api/auth/exchange, a phone", 200, async |server| server.exchange(&token).await)
            .await;
        observed
            .ask("POST /api/auth/exchange, used", 409, async |server| server.exchange(&token).await)
            .await;
    }

    /// A guest verifies a phone.
    async fn guest(&mut self) {
        let user = self.token.clone();
        let entered = self
            .observed
            .ask("POST /api/auth/guest", 200, async |server| server.post("/api/auth/guest", json!({})).await)
            .await;
        self.token = entered.text_at("/token");
        let new = format!("{}8", &self.phone[..self.phone.len() - 1]);
        let path = "/api/auth/change-phone";
        self.as_user("POST /api/auth/change-phone, a guest", path, json!({ "phone_number": new })).await;
        let body = json!({ "phone_number": new, "otp_code": self.observed.server.last_code_for(&new) });
        self.as_user("POST /api/auth/verify-change-phone, a guest", "/api/auth/verify-change-phone", body)
            .await;
        self.token = user;
    }

    /// The guest has a phone now, and is the same person.
    async fn joining_accounts(&mut self) {
        let other = format!("{}8", &self.phone[..self.phone.len() - 1]);
        let path = "/api/auth/change-phone";
        let body = json!({ "phone_number": other, "merge": true });
        self.as_user("POST /api/auth/change-phone, to join accounts", path, body).await;
        let body = json!({ "phone_number": other, "otp_code": self.observed.server.last_code_for(&other) });
        self.as_user("POST /api/auth/merge-accounts", "/api/auth/merge-accounts", body).await;
    }

    async fn own_account(&mut self) {
        self.signing_in().await;
        self.observed.server.advance(30);
        self.as_user("POST /api/auth/confirm-code", "/api/auth/confirm-code", json!({})).await;
        let code = self.observed.server.last_code_for(&self.phone);
        self.as_user("POST /api/auth/confirm", "/api/auth/confirm", json!({ "otp_code": code })).await;
        self.as_user("GET /api/auth/export", "/api/auth/export", json!({})).await;
        self.joining_accounts().await;
        let new = format!("{}9", &self.phone[..self.phone.len() - 1]);
        let path = "/api/auth/change-phone";
        self.as_user("POST /api/auth/change-phone", path, json!({ "phone_number": new })).await;
        let body = json!({ "phone_number": new, "otp_code": self.observed.server.last_code_for(&new) });
        self.as_user("POST /api/auth/verify-change-phone", "/api/auth/verify-change-phone", body).await;
        self.as_user("POST /api/auth/delete-account", "/api/auth/delete-account", json!({})).await;
        // Finds the tombstone of the account.
        self.observed
            .ask("POST /api/auth/signup, after the deletion", 200, async |server| {
                server.advance(30);
                server.signup(&new).await
            })
            .await;
        self.observed
            .ask("GET /dev/inbox.json", 200, async |server| server.get("/dev/inbox.json").await)
            .await;
        self.observed
            .ask("GET /api/health/ready", 200, async |server| server.get("/api/health/ready").await)
            .await;
    }
}

/// The requests of one user are sent, and their plans are read. Further servers with the same settings need the file.
async fn walk(planning: Planning, settings: &[(&str, &str)], phone: &str) -> Option<(Observed, IssuersFile)> {
    let without_values = if planning == Planning::Generic { WITHOUT_VALUES } else { &[] };
    let issuer = Issuer::new().await;
    let file = IssuersFile::new(&three(&issuer.url()));
    let trust =
        [("TRUSTED_ISSUERS_FILE", file.path()), ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true"), ("GUESTS", "on")];
    let settings = &[settings, &trust].concat();
    let observed = Observed::new(planning, settings, [EXCEPTIONS, without_values].concat()).await?;
    let mut walk = Walk { observed, phone: phone.to_owned(), token: String::new() };
    walk.signing_up().await;
    walk.profile().await;
    walk.known_account().await;
    walk.exchange(&issuer).await;
    walk.sessions().await;
    walk.guest().await;
    walk.own_account().await;
    super::passwords::ask_all(&mut walk.observed, phone).await;
    walk.observed.assert_all_right();
    Some((walk.observed, file))
}

/// Every request of the API is sent, and its plans are read.
async fn whole_walk(planning: Planning, phone: &str) {
    // This user sends more than the default limits allow.
    let settings = [&WIDE_LIMITS[..], &[("PHONE_STALE_DAYS", "180"), ("OTP_LENGTH", "6")]].concat();
    let Some((mut observed, _issuers)) = walk(planning, &settings, phone).await else { return };
    super::services::ask_all(&mut observed, phone).await;
    super::staff::ask_all(&mut observed, phone).await;
    super::provider::ask_all(&mut observed, &settings, phone).await;
    assert_eq!(operations_without(&observed.asked), BTreeSet::new(), "not asked");
    observed.assert_all_right();
    observed.assert_exceptions_are_used();
}

/// The operations of the API document that were not asked.
fn operations_without(asked: &BTreeSet<&str>) -> BTreeSet<String> {
    let asked: BTreeSet<&str> = asked.iter().filter_map(|name| name.split(", ").next()).collect();
    let document: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).expect("a document");
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase());
        methods.map(move |method| format!("{method} {path}"))
    });
    let is_missing = |operation: &String| {
        !asked.contains(operation.as_str()) && !WITHOUT_STATEMENTS.contains(&operation.as_str())
    };
    operations.filter(is_missing).collect()
}

const OFF: &[(&str, &str)] = &[("RATE_LIMITS_ENABLED", "false"), ("OTP_LENGTH", "6")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_reads_a_whole_table_planned_for_its_values() {
    whole_walk(Planning::Custom, "+919876543210").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_reads_a_whole_table_planned_without_values() {
    whole_walk(Planning::Generic, "+919876543220").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_without_limits_reads_a_whole_table_planned_for_its_values() {
    walk(Planning::Custom, OFF, "+919876543230").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_without_limits_reads_a_whole_table_planned_without_values() {
    walk(Planning::Generic, OFF, "+919876543240").await;
}
