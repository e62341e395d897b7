//! Guests in the console: staff find them among the people, and see that they are guests.

use poem::http::Method;

use crate::{
    browser::{Browser, new_account},
    on_both,
    support::{PHONE, TestServer},
};

/// A server with guests, and the ids of two of them.
async fn two_guests(server: &TestServer) -> (TestServer, [String; 2]) {
    let server = server.second_server(&[("GUESTS", "on")]).await;
    let mut ids = [String::new(), String::new()];
    for id in &mut ids {
        let answer =
            server.send(Method::POST, "/api/auth/guest", &[("x-device-name", "Pixel 8")], None).await;
        *id = answer.assert_ok().text_at("/data/user_id");
    }
    (server, ids)
}

on_both! {
    async fn the_list_shows_guests_and_finds_them_alone(server: TestServer) {
        let (server, [one, two]) = two_guests(&server).await;
        let user = server.sign_in(PHONE).await;
        let browser = Browser::staff(&server).await;
        for (query, shown, hidden) in [
            ("", vec![&one, &two, &user.user_id], vec![]),
            ("?role=guest", vec![&one, &two], vec![&user.user_id]),
            ("?role=user", vec![&user.user_id], vec![&one, &two]),
            ("?phone=none", vec![&one, &two], vec![&user.user_id]),
        ] {
            let page = browser.get(&format!("/admin/people{query}")).await;
            page.assert_status(200);
            for id in shown {
                assert!(page.html.contains(&format!("/admin/people/{id}")), "{query} shows {id}");
            }
            for id in hidden {
                assert!(!page.html.contains(&format!("/admin/people/{id}")), "{query} hides {id}");
            }
        }
        let page = browser.get(&format!("/admin/people?search={one}")).await;
        assert!(page.html.contains(&one));
    }

    async fn the_page_of_a_guest_offers_what_can_be_done(server: TestServer) {
        let (server, [one, _]) = two_guests(&server).await;
        let browser = Browser::admin(&server).await;
        let path = format!("/admin/people/{one}");
        let page = browser.get(&path).await;
        page.assert_status(200).assert_has("guest").assert_has("No name").assert_has("Pixel 8");
        let links = page.links();
        for absent in ["role", "move-phone", "second-factor"] {
            assert!(!links.contains(&format!("{path}/{absent}")), "{links:?}");
        }
        for act in ["role", "move-phone"] {
            browser.get(&format!("{path}/{act}")).await.assert_status(403);
        }
        let page = browser.get(&format!("{path}/deactivate")).await;
        browser.submit(&page, &format!("{path}/deactivate"), &[]).await.assert_has("The account is deactivated");
        let page = browser.get(&format!("{path}/delete")).await;
        page.assert_status(200);
        browser.submit(&page, &format!("{path}/delete"), &[("typed", "delete")]).await.assert_has("The account is deleted");
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE role = 'guest'").await, 1);
    }

    async fn staff_deactivate_guests_and_delete_none(server: TestServer) {
        let (server, [one, _]) = two_guests(&server).await;
        let browser = Browser::staff(&server).await;
        let path = format!("/admin/people/{one}");
        browser.get(&format!("{path}/delete")).await.assert_status(403);
        let page = browser.get(&format!("{path}/deactivate")).await;
        browser.submit(&page, &format!("{path}/deactivate"), &[]).await.assert_has("The account is deactivated");
    }

    async fn with_one_session_for_each_user_both_steps_of_the_sign_in_still_work(server: TestServer) {
        let server = server.second_server(&[("SESSIONS_PER_USER", "1")]).await;
        let id = new_account(&server, "boss", "admin").await;
        let app = server.enrol(&id).await;
        let browser = Browser::new(&server);
        let page = browser.sign_in("boss").await;
        let page = browser.submit(&page, "/admin/sign-in/code", &[("code", &app.code(&server))]).await;
        assert_eq!(page.path, "/admin");
        // A second browser takes the place of the first.
        server.advance(30);
        let other = Browser::new(&server);
        let page = other.sign_in("boss").await;
        let page = other.submit(&page, "/admin/sign-in/code", &[("code", &app.code(&server))]).await;
        assert_eq!(page.path, "/admin");
        assert!(browser.get("/admin").await.path.starts_with("/admin/sign-in"));
        other.get("/admin").await.assert_status(200);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await, 1);
    }
}
