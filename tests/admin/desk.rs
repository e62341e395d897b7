//! A member of staff who looks at a phone, on its page and in the JSON at once.

use serde_json::json;

use crate::{
    browser::{Browser, PASSWORD, Page},
    support::{Answer, TestServer},
};

/// A desk in the support team.
pub struct Desk {
    browser: Browser,
    address: &'static str,
}

impl Desk {
    pub async fn open(server: &TestServer) -> Self {
        // Not the address of the users, whose limits are tested.
        let address = "192.0.2.250";
        Self { browser: Browser::staff(&server.from(address)).await, address }
    }

    fn browser(&self, server: &TestServer) -> Browser {
        let mut browser = self.browser.clone();
        browser.server = server.from(self.address);
        browser
    }

    /// The page of a phone on this server. Signs in again if the session is over.
    pub async fn page(&self, server: &TestServer, phone: &str) -> Page {
        let browser = self.browser(server);
        let page = browser.get(&format!("/admin/phones/{phone}")).await;
        if !page.path.starts_with("/admin/sign-in") {
            return page;
        }
        browser.sign_in("staff").await.assert_status(200);
        browser.get(&format!("/admin/phones/{phone}")).await
    }

    /// A token of staff.
    pub async fn token(&self, server: &TestServer) -> String {
        let body = json!({ "username": "staff", "password": PASSWORD });
        let answer = server.from(self.address).post("/api/token", body).await;
        answer.assert_ok();
        answer.text_at("/access")
    }

    pub async fn json(&self, server: &TestServer, phone: &str) -> Answer {
        let token = self.token(server).await;
        server.get_as(&token, &format!("/api/admin/phones/{phone}")).await
    }

    /// Checks the verdict on a phone: its code, and its sentence word for word on the page.
    pub async fn sees(&self, server: &TestServer, phone: &str, code: &str, sentence: &str) -> Page {
        let json = self.json(server, phone).await;
        json.assert_ok();
        let says = (json.text_at("/verdict/code"), json.text_at("/verdict/sentence"));
        assert_eq!((says.0.as_str(), says.1.as_str()), (code, sentence), "{}", json.text);
        assert!(json.text_at("/verdict/advice").starts_with("Tell the user: "), "{}", json.text);
        assert_eq!(json.text_at("/phone_number"), phone);
        let page = self.page(server, phone).await;
        page.assert_status(200).assert_has(sentence).assert_has(phone);
        page
    }

    /// Sends a form of a page.
    pub async fn submit(
        &self,
        server: &TestServer,
        page: &Page,
        action: &str,
        values: &[(&str, &str)],
    ) -> Page {
        self.browser(server).submit(page, action, values).await
    }
}

/// The time in India, as sentences say it. Microseconds are cut off, as they are there.
pub fn clock(server: &TestServer) -> String {
    server.now().with_timezone(&chrono_tz::Asia::Kolkata).format("%H:%M:%S").to_string()
}

/// The end of a time that begins now, as sentences say it: rounded up to the second if it is soon, else to the minute.
pub fn until(server: &TestServer, seconds: i64) -> String {
    let end = server.now() + chrono::Duration::seconds(seconds);
    let step = if seconds < 600 { 1 } else { 60 };
    let over = end.timestamp_micros().rem_euclid(step * 1_000_000);
    let end = if over > 0 { end + chrono::Duration::microseconds(step * 1_000_000 - over) } else { end };
    let (local, today) =
        (end.with_timezone(&chrono_tz::Asia::Kolkata), server.now().with_timezone(&chrono_tz::Asia::Kolkata));
    let text = local.format(if step == 1 { "until %H:%M:%S" } else { "until %H:%M" }).to_string();
    if local.date_naive() == today.date_naive() {
        text
    } else {
        format!("{text} on {}", local.format("%-d %B"))
    }
}
