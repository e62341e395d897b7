//! The requests of staff: users, leads, phones, blocks, and what limits abuse.

use poem::http::Method;
use serde_json::{Value, json};

use super::observed::Observed;
use crate::support::{Answer, TestServer};

/// The phone of a filled lead that has no account: number 1 of `fill.sql`.
const LEAD: &str = "+918654435761";

/// Signs in a new user with this role. Returns the access token and the user id.
async fn sign_in_with_role(server: &TestServer, phone: &str, role: &str) -> (String, String) {
    let tokens = server.sign_in(phone).await;
    let accounts = format!("(SELECT id FROM accounts WHERE phone = '{phone}')");
    server.execute(&format!("UPDATE accounts SET role = '{role}' WHERE id IN {accounts}")).await;
    server
        .execute(&format!(
            "UPDATE sessions SET role = '{role}', opened_by = 'password' WHERE account_id IN {accounts}"
        ))
        .await;
    let refreshed = server.refresh(&tokens.refresh).await;
    refreshed.assert_ok();
    (refreshed.text_at("/access"), tokens.user_id)
}

struct Staff<'a> {
    observed: &'a mut Observed,
    token: String,
}

impl Staff<'_> {
    async fn ask(&mut self, name: &'static str, status: u16, path: &str, body: Value) -> Answer {
        let method =
            name.split(' ').next().and_then(|method| method.parse::<Method>().ok()).expect("a method");
        let token = self.token.clone();
        self.observed.ask(name, status, async |server| server.send_as(&token, method, path, body).await).await
    }

    async fn users(&mut self, phone: &str) {
        let server = self.observed.server.clone();
        let user = server.sign_in(phone).await.user_id;
        let path = format!("/api/users/{user}");
        for (name, query) in [
            ("GET /api/users", ""),
            ("GET /api/users, searched", "?search=98765%2043202&per_page=1"),
            ("GET /api/users, past the end", "?page=9999"),
            ("GET /api/users, of an old id", "?external_id=old-7"),
        ] {
            self.ask(name, 200, &format!("/api/users{query}"), json!({})).await;
        }
        let new = json!({"phone_number": "+919711111112", "email": "new@example.com"});
        self.ask("POST /api/users", 201, "/api/users", new).await;
        server.execute("DELETE FROM accounts WHERE phone = '+919711111112'").await;
        self.ask("GET /api/users/{id}", 200, &path, json!({})).await;
        self.ask("PUT /api/users/{id}", 200, &path, json!({"first_name": "Gaurav"})).await;
        self.ask("PUT /api/users/{id}, role", 200, &path, json!({"role": "staff"})).await;
        self.ask("DELETE /api/users/{id}", 200, &path, json!({})).await;
        self.ask("POST /api/users/{id}/activate", 200, &format!("{path}/activate"), json!({})).await;
        // The number goes to a new user.
        server.execute(&format!("UPDATE accounts SET role = 'user', created_at = created_at - interval '1 year', seen_at = created_at - interval '1 year', former_phone = phone, phone = NULL, unlinked_at = created_at WHERE id = '{user}'")).await;
        self.ask("POST /api/users/{id}/reunite", 200, &format!("{path}/reunite"), json!({})).await;
    }

    async fn leads(&mut self) {
        let list = "/api/admin/leads";
        for (name, query) in [
            ("GET /api/admin/leads", ""),
            ("GET /api/admin/leads, lost", "?state=lost&sort=first"),
            ("GET /api/admin/leads, of a country", "?country=AE"),
            ("GET /api/admin/leads, not verified", "?verified=no"),
            ("GET /api/admin/leads, by log-in", "?source=login"),
            ("GET /api/admin/leads, of a day", "?first_from=2026-03-01&first_to=2026-03-02"),
            ("GET /api/admin/leads, a name", "?q=gaurav%20sha"),
        ] {
            self.ask(name, 200, &format!("{list}{query}"), json!({})).await;
        }
        let found = self
            .ask("GET /api/admin/leads, a number", 200, &format!("{list}?q=%2B918654435761"), json!({}))
            .await;
        let lead = format!("{list}/{}", found.text_at("/items/0/id"));
        let one = self.ask("GET /api/admin/leads/{id}", 200, &lead, json!({})).await;
        assert_eq!(one.text_at("/phone_number"), LEAD);
        let change = json!({"state": "contacted", "name": "Gaurav", "note": "Call back", "version": one.at("/version")});
        self.ask("PUT /api/admin/leads/{id}", 200, &lead, change).await;
        let resend = json!({});
        self.ask("POST /api/admin/leads/{id}/resend", 200, &format!("{lead}/resend"), resend).await;
        self.ask("POST /api/admin/leads/{id}/verify", 200, &format!("{lead}/verify"), json!({})).await;
    }

    async fn phones(&mut self) {
        self.observed.server.advance(30);
        let phone = "/api/admin/phones/+918654435761";
        self.ask("GET /api/admin/phones/{phone}", 200, phone, json!({})).await;
        self.ask("POST /api/admin/phones/{phone}/resend", 200, &format!("{phone}/resend"), json!({})).await;
        let phone = "/api/abuse/phones/+918654435761";
        self.ask("GET /api/abuse/phones/{phone}", 200, phone, json!({})).await;
        self.ask("POST /api/abuse/phones/{phone}/unlock", 200, &format!("{phone}/unlock"), json!({})).await;
        let prefix = "/api/abuse/prefixes/918654";
        // Without limits no prefix is counted.
        let counted = "INSERT INTO budgets (key, ends_at) SELECT 'prefix/IN/+918654', now() + interval '1 day' \
                       ON CONFLICT DO NOTHING";
        self.observed.server.execute(counted).await;
        self.ask("GET /api/abuse/prefixes", 200, "/api/abuse/prefixes", json!({})).await;
        self.ask("POST /api/abuse/prefixes/{prefix}/close", 200, &format!("{prefix}/close"), json!({})).await;
        self.ask("POST /api/abuse/prefixes/{prefix}/open", 200, &format!("{prefix}/open"), json!({})).await;
    }

    /// The next walk finds the lead as this one did.
    async fn clean_up(&mut self) {
        self.observed
            .server
            .execute(&format!(
                "DELETE FROM challenges WHERE phone = '{LEAD}'; DELETE FROM accounts WHERE phone = '{LEAD}'; \
                 UPDATE leads SET converted_at = NULL, state = 'new' WHERE phone = '{LEAD}'"
            ))
            .await;
    }

    async fn blocks(&mut self) {
        let list = "/api/admin/blocks";
        let block = json!({"kind": "phone", "value": "+919711111111", "reason": "a test"});
        let made = self.ask("POST /api/admin/blocks", 201, list, block).await;
        let one = format!("{list}/{}", made.text_at("/id"));
        self.ask("GET /api/admin/blocks", 200, list, json!({})).await;
        self.ask("GET /api/admin/blocks/{id}", 200, &one, json!({})).await;
        self.ask("DELETE /api/admin/blocks/{id}", 200, &one, json!({})).await;
    }

    async fn invitations(&mut self) {
        let list = "/api/admin/invitations";
        let made = self.ask("POST /api/admin/invitations", 201, list, json!({})).await;
        let one = format!("{list}/{}", made.text_at("/id"));
        self.ask("GET /api/admin/invitations", 200, list, json!({})).await;
        self.ask("DELETE /api/admin/invitations/{id}", 200, &one, json!({})).await;
    }
}

pub async fn ask_all(observed: &mut Observed, phone: &str) {
    let with_end = |end: char| format!("{}{end}", &phone[..phone.len() - 1]);
    let (token, _) = sign_in_with_role(&observed.server, &with_end('5'), "admin").await;
    let mut staff = Staff { observed, token };
    staff.users(&with_end('6')).await;
    staff.leads().await;
    staff.phones().await;
    staff.blocks().await;
    staff.invitations().await;
    staff.clean_up().await;
}
