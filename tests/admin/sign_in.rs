//! Signing in and out of the console.

use poem::http::Method;

use crate::{
    browser::{Browser, PASSWORD, new_account},
    on_both,
};

const COOKIE: &str = "loopin_admin";

on_both! {
    async fn a_member_of_staff_signs_in_and_out(server: TestServer) {
        let browser = Browser::staff(&server).await;
        browser.get("/admin").await.assert_status(200).assert_has("Dashboard").assert_has("staff");
        let page = browser.get("/admin").await;
        browser.submit(&page, "/admin/sign-out", &[]).await.assert_has("You are signed out.");
        let page = browser.get("/admin").await;
        assert!(page.path.starts_with("/admin/sign-in"), "{}", page.path);
    }

    async fn the_cookie_of_a_session_that_ended_opens_nothing(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let cookie = browser.cookie(COOKIE).unwrap();
        let page = browser.get("/admin").await;
        browser.submit(&page, "/admin/sign-out", &[]).await;
        browser.set_cookie(COOKIE, &cookie);
        assert!(browser.get("/admin").await.path.starts_with("/admin/sign-in"));
    }

    async fn the_way_leads_back_to_the_page_that_was_asked_for(server: TestServer) {
        new_account(&server, "staff", "staff").await;
        let browser = Browser::new(&server);
        let page = browser.get("/admin/nothing?a=b&c=d").await;
        let sent = [("username", "staff"), ("password", PASSWORD)];
        let page = browser.submit(&page, "/admin/sign-in", &sent).await;
        assert_eq!(page.path, "/admin/nothing?a=b&c=d");
        page.assert_status(404);
    }

    async fn a_link_on_another_site_leads_to_the_page_of_a_signed_in_user(server: TestServer) {
        let (signed_in, guest) = (Browser::staff(&server).await, Browser::new(&server));
        let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
        // The browser keeps the cookie back.
        let page = guest.send(Method::GET, "/admin/leads?state=new", &link, None).await;
        page.assert_status(200);
        assert!(page.html.contains("content=\"0; url=/admin/leads?state=new\""), "{}", page.html);
        signed_in.get("/admin").await.assert_has("Dashboard");
        // Somebody who is not signed in is asked to by the second request, which this server's own page sends.
        let own = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "navigate")];
        guest.send(Method::GET, "/admin/leads?state=new", &own, None).await.assert_status(303);
    }

    async fn a_user_and_a_wrong_password_are_refused_in_the_same_words(server: TestServer) {
        new_account(&server, "asha", "user").await;
        let browser = Browser::new(&server);
        let refused = browser.sign_in("asha").await;
        refused.assert_status(401).assert_has("may not use this console");
        let page = browser.get("/admin/sign-in").await;
        let wrong = browser.submit(&page, "/admin/sign-in", &[("username", "asha"), ("password", "x")]).await;
        wrong.assert_status(401);
        assert_eq!(wrong.text(), refused.text());
        assert_eq!(wrong.form("/admin/sign-in").value("username"), Some("asha"));
        assert_eq!(wrong.form("/admin/sign-in").value("password"), Some(""));
    }

    async fn a_session_ends_after_an_hour_without_use_and_after_twelve(server: TestServer) {
        let browser = Browser::staff(&server).await;
        for _ in 0..12 {
            server.advance(3_500);
            assert_eq!(browser.get("/admin").await.path, "/admin");
        }
        server.advance(1_199);
        assert_eq!(browser.get("/admin").await.path, "/admin");
        server.advance(1);
        assert!(browser.get("/admin").await.path.starts_with("/admin/sign-in"), "twelve hours are over");
        let browser = Browser::signed_in(&server, "other", "staff").await;
        server.advance(3_599);
        // A script that repeats itself is no use.
        let script = [("sec-fetch-dest", "empty")];
        browser.send(Method::GET, "/admin", &script, None).await.assert_status(200);
        server.advance(1);
        assert!(browser.get("/admin").await.path.starts_with("/admin/sign-in"), "it was not used for an hour");
    }

    async fn a_session_ends_with_the_rights_and_with_the_account(server: TestServer) {
        let browser = Browser::staff(&server).await;
        server.execute("UPDATE accounts SET role = 'user' WHERE username = 'staff'").await;
        assert!(browser.get("/admin").await.path.starts_with("/admin/sign-in"));
        server.execute("UPDATE accounts SET role = 'staff', is_active = FALSE WHERE username = 'staff'").await;
        assert!(browser.get("/admin").await.path.starts_with("/admin/sign-in"));
    }
}
