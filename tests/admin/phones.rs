//! The page of a phone, and the search box that leads to it.

use poem::http::Method;
use serde_json::json;

use crate::{
    browser::{Browser, Page, new_account},
    desk::Desk,
    on_both,
    support::{Database, OTHER_PHONE, PHONE, TestServer, whole_profile},
};

async fn shown(server: &TestServer) -> i64 {
    server.services.audit.flush().await.unwrap();
    server.count("SELECT COUNT(*) FROM audit WHERE action = 'phone_shown'").await
}

/// Where the script of a page reads its newer self.
#[track_caller]
fn from(page: &Page) -> String {
    let rest = page.html.split_once("data-from=\"").unwrap().1;
    rest.split_once('"').unwrap().0.replace("%2B", "+")
}

/// The id of the one row that fits.
async fn id_in(server: &TestServer, table: &str, fits: &str) -> String {
    // SQLite keeps ids as 16 bytes.
    let id = match server.database {
        Database::Sqlite => "lower(hex(id))",
        Database::Postgres => "CAST(id AS TEXT)",
    };
    let text = server.text(&format!("SELECT {id} FROM {table} WHERE {fits}")).await;
    text.parse::<uuid::Uuid>().unwrap().to_string()
}

on_both! {
    async fn a_number_is_found_in_any_spelling(server: TestServer) {
        let browser = Browser::staff(&server).await;
        for spelling in ["+916205829376", "06205829376", "+91 62058-29376", "(062058) 29376", "916205829376"] {
            let home = browser.get("/admin").await;
            let page = browser.submit(&home, "/admin/search", &[("q", spelling)]).await;
            assert_eq!(page.path, format!("/admin/phones/{PHONE}"), "{spelling}");
            page.assert_status(200).assert_has("No code was ever requested for this number.");
            let encoded: String = url::form_urlencoded::byte_serialize(spelling.as_bytes()).collect();
            let page = browser.get(&format!("/admin/phones/{}", encoded.replace('+', "%20"))).await;
            page.assert_status(200).assert_has(PHONE);
        }
        assert_eq!(shown(&server).await, 10, "each opening is recorded");
    }

    async fn what_is_no_number_says_why(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let page = browser.get("/admin/phones/+911140000000").await;
        page.assert_status(404).assert_has("not a fixed line or a service number");
        browser.get("/admin/phones/12").await.assert_status(404);
        browser.get("/admin/phones/%3Cscript%3E").await.assert_status(404);
        browser.get("/admin/phones/%ff").await.assert_status(404);
        let page = browser.get("/admin/search?q=%2B9199999999999").await;
        page.assert_status(200).assert_has("does not exist in its country's numbering plan");
        browser.get("/admin/search?q=%3Cscript%3E").await.assert_status(200).assert_has("<script>");
        browser.get("/admin/search?q=").await.assert_status(200).assert_has("Type a phone number");
        browser.get("/admin/search?q=0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11").await.assert_status(200).assert_has("Nothing fits");
        assert_eq!(shown(&server).await, 0);
    }

    async fn an_id_leads_to_its_page(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let user = server.sign_in(PHONE).await;
        let sent = server.signup("+919876543210").await;
        let lead = id_in(&server, "leads", "phone = '+919876543210'").await;
        let message = id_in(&server, "messages", "phone = '+919876543210'").await;
        let session = id_in(&server, "sessions", "opened_by = 'code'").await;
        for (id, path) in [
            (user.user_id.clone(), format!("/admin/people/{}", user.user_id)),
            (session, format!("/admin/people/{}", user.user_id)),
            (lead.clone(), format!("/admin/leads/{lead}")),
            (message.clone(), format!("/admin/messages/{message}")),
            (sent.text_at("/data/delivery_id"), format!("/admin/messages/{message}")),
        ] {
            let found = browser.send(Method::GET, &format!("/admin/search?q={id}"), &[], None).await;
            found.assert_status(303);
            assert_eq!(found.headers["location"].to_str().unwrap(), path);
        }
    }

    async fn a_part_of_a_number_or_a_name_leads_to_a_list(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let user = server.sign_in(PHONE).await;
        let mut profile = whole_profile();
        profile["name"] = json!("गौरव Kumar");
        server.send_as(&user.access, Method::POST, "/api/auth/complete-profile", profile).await.assert_ok();
        for text in ["9376", "+91 6205", "गौरव", "kum", "KUMAR गौर"] {
            let home = browser.get("/admin").await;
            let page = browser.submit(&home, "/admin/search", &[("q", text)]).await;
            page.assert_status(200).assert_has("गौरव Kumar");
            assert!(page.links().contains(&format!("/admin/people/{}", user.user_id)), "{text}");
            assert!(!page.html.contains("6205829376"), "{text}: no whole number");
        }
        let lead = id_in(&server, "leads", "phone = '+916205829376'").await;
        let page = browser.get("/admin/search?q=29376").await;
        assert!(page.links().contains(&format!("/admin/leads/{lead}")), "{:?}", page.links());
        browser.get("/admin/search?q=anna").await.assert_status(200).assert_has("Nothing fits anna");
        browser.get("/admin/search?q=...").await.assert_status(200).assert_has("Search for a number, the end of a number");
    }

    async fn the_page_shows_no_code_and_what_staff_did(server: TestServer) {
        let desk = Desk::open(&server).await;
        server.signup(PHONE).await.assert_ok();
        server.play(31).await;
        let page = desk.page(&server, PHONE).await;
        let resend = format!("/admin/phones/{PHONE}/resend");
        let page = desk.submit(&server, &page, &resend, &[("channel", "sms")]).await;
        page.assert_has("A code was sent by SMS. The user can enter it for 10 minutes.");
        page.assert_has("Staff had a code sent. – by staff");
        let again = desk.submit(&server, &page, &resend, &[("channel", "pigeon")]).await;
        again.assert_has("There is no such channel.");
        let code = server.last_code_for(PHONE);
        // Digits of the number and of times may be the same by chance, so whole words are compared.
        let words = page.text();
        assert!(words.split(|c: char| !c.is_ascii_digit()).all(|digits| digits != code), "{words}");
        assert!(desk.json(&server, PHONE).await.text.split(|c: char| !c.is_ascii_digit()).all(|digits| digits != code));
    }

    async fn a_refresh_is_recorded_only_if_the_opening_was_not(server: TestServer) {
        let browser = Browser::staff(&server).await;
        for phone in [PHONE, OTHER_PHONE] {
            server.signup(phone).await.assert_ok();
        }
        let page = browser.get(&format!("/admin/phones/{PHONE}")).await;
        let live = from(&page);
        let begins = format!("/admin/phones/{PHONE}/live?shown=");
        assert!(live.starts_with(&begins), "{live}");
        assert_eq!(shown(&server).await, 1);
        // The script refreshes the page without recording it again, and goes on with the same token.
        for _ in 0..3 {
            let newer = browser.get(&live).await;
            newer.assert_status(200).assert_has(PHONE);
            assert_eq!(from(&newer), live);
        }
        assert_eq!(shown(&server).await, 1);
        // Without a token, with another phone's, in another session, or too late it is an opening.
        let bare = browser.get(&format!("/admin/phones/{PHONE}/live")).await;
        assert_eq!(shown(&server).await, 2);
        browser.get(&from(&bare)).await.assert_status(200);
        assert_eq!(shown(&server).await, 2);
        browser.get(&live.replace(PHONE, OTHER_PHONE)).await.assert_status(200).assert_has(OTHER_PHONE);
        assert_eq!(shown(&server).await, 3);
        Browser::admin(&server).await.get(&live).await.assert_status(200);
        assert_eq!(shown(&server).await, 4);
        server.advance(30 * 60);
        server.signup(PHONE).await.assert_ok();
        let later = browser.get(&live).await;
        assert_eq!(shown(&server).await, 5);
        assert_ne!(from(&later), live);
        browser.get(&from(&later)).await.assert_status(200);
        assert_eq!(shown(&server).await, 5);
    }

    async fn only_staff_see_a_phone(server: TestServer) {
        new_account(&server, "person", "user").await;
        let browser = Browser::new(&server);
        browser.sign_in("person").await;
        for path in ["/admin/search?q=x", "/admin/phones/+916205829376", "/admin/phones/+916205829376/live"] {
            let page = browser.get(path).await;
            assert!(page.path.starts_with("/admin/sign-in"), "{path} leads to {}", page.path);
        }
    }
}
