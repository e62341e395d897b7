//! Setting up a second factor: by a link, and from the own account.

use futures_util::future::join_all;
use secrecy::ExposeSecret;

use crate::{
    browser::{Browser, PASSWORD, Page, new_account},
    on_both,
    support::{Authenticator, TestServer},
};

const ACCOUNT: &str = "/admin/account";

async fn link(server: &TestServer, id: &str) -> String {
    server.enrolment_link(id).await.path().expose_secret().to_owned()
}

/// The app into which the key of this page was typed.
#[track_caller]
fn app(page: &Page) -> Authenticator {
    let key = page.html.split_once("<code class=\"key\">").unwrap().1;
    Authenticator::new(key.split_once("</code>").unwrap().0)
}

/// The recovery codes of this page.
fn codes(page: &Page) -> Vec<String> {
    let items = page.html.split("<li><code>").skip(1);
    items.map(|item| item.split_once("</code>").unwrap().0.to_owned()).collect()
}

async fn sign_in(server: &TestServer, name: &str, code: &str) -> Page {
    let browser = Browser::new(server);
    let page = browser.sign_in(name).await;
    browser.submit(&page, "/admin/sign-in/code", &[("code", code)]).await
}

on_both! {
    async fn a_link_sets_up_the_factor_once(server: TestServer) {
        let server = server.second_server(&[("STAFF_SECOND_FACTOR", "required"), ("PRODUCT_NAME", "Meetup")]).await;
        let link = link(&server, &new_account(&server, "asha", "staff").await).await;
        let browser = Browser::new(&server);
        let page = browser.get(&link).await;
        page.assert_status(200).assert_has("second factor of asha");
        assert!(page.html.contains("<svg role=\"img\"") && !page.html.contains("style="), "{}", page.html);
        assert_eq!(page.headers["cache-control"], "no-store");
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
        let app = app(&page);
        let again = browser.get(&link).await;
        assert_eq!(super::app(&again).code(&server), app.code(&server), "a reload shows the same key");
        for (code, sentence) in [(app.wrong(&server).as_str(), "not the code for this key"), ("nonsense", "6 digits")] {
            browser.submit(&page, &link, &[("code", code)]).await.assert_status(422).assert_has(sentence);
        }
        let used = app.code(&server);
        let done = browser.submit(&page, &link, &[("code", &used)]).await;
        done.assert_status(200).assert_has("not shown again");
        let codes = codes(&done);
        assert_eq!(codes.len(), 10, "{}", done.html);
        for page in [browser.get(&link).await, browser.submit(&page, &link, &[("code", &used)]).await] {
            page.assert_status(410).assert_has("used already");
            assert!(!page.html.contains("<svg"), "{}", page.html);
        }
        sign_in(&server, "asha", &used).await.assert_status(401).assert_has("used before");
        assert_eq!(sign_in(&server, "asha", &codes[9]).await.path, "/admin");
        server.advance(30);
        assert_eq!(sign_in(&server, "asha", &app.code(&server)).await.path, "/admin");
    }

    async fn a_link_works_for_a_day_and_until_the_next_one(server: TestServer) {
        let id = new_account(&server, "asha", "staff").await;
        let (first, browser) = (link(&server, &id).await, Browser::new(&server));
        let page = browser.get(&first).await;
        server.advance(TestServer::link_life() - 1);
        browser.get(&first).await.assert_status(200);
        server.advance(1);
        browser.get(&first).await.assert_status(410).assert_has("expired").assert_has("24 hours");
        let code = app(&page).code(&server);
        browser.submit(&page, &first, &[("code", &code)]).await.assert_status(410).assert_has("expired");
        let (second, third) = (link(&server, &id).await, link(&server, &id).await);
        for unknown in [&first, &second, "/admin/enroll/x", &format!("{third}A")] {
            browser.get(unknown).await.assert_status(404).assert_has("does not work");
        }
        browser.get(&third).await.assert_status(200);
        server.execute("UPDATE accounts SET is_active = FALSE").await;
        browser.get(&third).await.assert_status(404);
        assert_eq!(server.count("SELECT COUNT(*) FROM second_factors WHERE secret IS NOT NULL").await, 0);
    }

    async fn one_link_at_once_sets_up_one_factor(server: TestServer) {
        let link = link(&server, &new_account(&server, "asha", "staff").await).await;
        let browsers: Vec<Browser> = (0..4).map(|_| Browser::new(&server)).collect();
        let pages = join_all(browsers.iter().map(|browser| browser.get(&link))).await;
        let code = app(&pages[0]).code(&server);
        let code = [("code", code.as_str())];
        let sent = browsers.iter().zip(&pages).map(|(browser, page)| browser.submit(page, &link, &code));
        let mut statuses: Vec<u16> = join_all(sent).await.iter().map(|page| page.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 410, 410, 410]);
        assert_eq!(server.count("SELECT COUNT(*) FROM recovery_codes").await, 10);
    }

    async fn where_it_is_optional_staff_set_one_up_with_the_password(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let page = browser.get(ACCOUNT).await;
        page.assert_has("Not set up");
        let to = "/admin/account/second-factor";
        let wrong = browser.submit(&page, to, &[("password", "not this one")]).await;
        wrong.assert_status(422).assert_has("not your password");
        let page = browser.submit(&wrong, to, &[("password", PASSWORD)]).await;
        assert!(page.path.starts_with("/admin/enroll/"), "{}", page.path);
        let (app, path) = (app(&page), page.path.clone());
        let done = browser.submit(&page, &path, &[("code", &app.code(&server))]).await;
        done.assert_status(200).assert_has("recovery codes");
        assert!(browser.get("/admin").await.path.starts_with("/admin/sign-in"), "the session had no second factor");
        server.advance(30);
        let page = browser.sign_in("staff").await;
        let page = browser.submit(&page, "/admin/sign-in/code", &[("code", &app.code(&server))]).await;
        assert_eq!(page.path, "/admin");
        browser.get(ACCOUNT).await.assert_has("10 of 10 recovery codes").assert_has_not("Your password");
    }

    async fn a_link_obeys_the_role_and_the_setting_when_it_is_used(server: TestServer) {
        let strict = server.second_server(&[("STAFF_SECOND_FACTOR", "required")]).await;
        let browser = Browser::staff(&server).await;
        let page = browser.get(ACCOUNT).await;
        let offered = browser.submit(&page, "/admin/account/second-factor", &[("password", PASSWORD)]).await;
        let (own, code) = (offered.path.clone(), app(&offered).code(&server));
        // The factor was made required: the password alone sets up none, by a link of before either.
        let elsewhere = Browser::new(&strict);
        elsewhere.set_cookie("loopin_admin", &browser.cookie("loopin_admin").unwrap());
        elsewhere.get(&own).await.assert_status(404).assert_has("does not work");
        elsewhere.submit(&offered, &own, &[("code", &code)]).await.assert_status(404);
        elsewhere.get(&own.replace("own-", "")).await.assert_status(404);
        let by_admin = link(&server, &new_account(&server, "asha", "staff").await).await;
        let page = elsewhere.get(&by_admin).await;
        page.assert_status(200);
        // Users need no second factor.
        for role in ["user", "staff"] {
            server.execute(&format!("UPDATE accounts SET role = '{role}' WHERE username = 'asha'")).await;
            let code = app(&page).code(&server);
            let status = if role == "user" { 404 } else { 200 };
            elsewhere.get(&by_admin).await.assert_status(status);
            elsewhere.submit(&page, &by_admin, &[("code", &code)]).await.assert_status(status);
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM second_factors WHERE secret IS NOT NULL").await, 1);
    }

    async fn the_own_link_is_short_and_the_password_alone_makes_none(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let (page, to) = (browser.get(ACCOUNT).await, "/admin/account/second-factor");
        let offered = browser.submit(&page, to, &[("password", PASSWORD)]).await;
        server.advance(600);
        browser.get(&offered.path).await.assert_status(410);
        // Where the factor is required, the session has no rights without one.
        let strict = server.second_server(&[("STAFF_SECOND_FACTOR", "required")]).await;
        let same = Browser::new(&strict);
        same.set_cookie("loopin_admin", &browser.cookie("loopin_admin").unwrap());
        let page = browser.get(ACCOUNT).await;
        let token = page.form(to).value("form_token").unwrap().to_owned();
        let page = same.post(to, &format!("form_token={token}&password={PASSWORD}")).await;
        assert!(page.path.starts_with("/admin/sign-in"), "{}", page.path);
    }
}
