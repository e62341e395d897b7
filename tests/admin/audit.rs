//! The audit log and the settings in force.

use chrono::Duration;
use loopin_auth::domain::audit::{Action, Actor, Event};

use crate::{
    browser::{Browser, new_account},
    on_both,
    support::{OTHER_PHONE, PHONE, TestServer},
};

const WRONG: &str = "A wrong code was entered";

const SENT: &str = "A code was sent";

async fn flush(server: &TestServer) {
    server.services.audit.flush().await.expect("the entries are written");
}

on_both! {
    async fn the_log_is_read_by_who_and_what_and_whom_and_when(server: TestServer) {
        let server = server.from("203.0.113.7");
        server.sign_in(PHONE).await;
        server.signup(OTHER_PHONE).await;
        server.from("198.51.100.9").verify_otp(OTHER_PHONE, &server.wrong_code_for(OTHER_PHONE)).await;
        flush(&server).await;
        let browser = Browser::staff(&server).await;
        let all = browser.get("/admin/audit").await;
        all.assert_status(200).assert_has("A wrong code was entered wrong_code").assert_has("The user signed in").assert_has("+91 ••••• ••210");
        let found = |page: &crate::browser::Page| {
            let rows = page.html.split("<th scope=\"row\"").skip(1);
            rows.map(|row| row.split("<td class=\"long\">").nth(1).unwrap().split('<').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        for (query, expected) in [
            ("whom=98765%2043210", vec![WRONG, SENT]),
            ("whom=98765%2043210&what=wrong_code", vec![WRONG]),
            ("address=198.51.100.9", vec![WRONG]),
            ("who=staff&whom=98765%2043210", vec![]),
            ("whom=98765%2043210&to=2026-03-13", vec![]),
            ("whom=98765%2043210&from=2026-03-14&to=2026-03-14", vec![WRONG, SENT]),
            ("whom=98765%2043210&from=2026-03-15", vec![]),
        ] {
            let page = browser.get(&format!("/admin/audit?{query}")).await;
            page.assert_status(200);
            assert_eq!(found(&page), expected, "{query}");
        }
        browser.get("/admin/audit?whom=98765%2043210&who=staff").await.assert_has("No entry fits these filters. Change them, or show all entries");
        flush(&server).await;
        let by_name = found(&browser.get("/admin/audit?by=STAFF").await);
        assert!(by_name.contains(&"The user signed in".to_owned()) && !by_name.contains(&WRONG.to_owned()), "{by_name:?}");
    }

    async fn a_filter_that_cannot_be_read_is_named_beside_its_field(server: TestServer) {
        server.signup(PHONE).await;
        flush(&server).await;
        let browser = Browser::staff(&server).await;
        let page = browser.get("/admin/audit?who=x&by=nobody&what=y&whom=%3Cb%3E&address=office&from=today&to=2026-03-14").await;
        page.assert_status(200).assert_has(SENT).assert_has("Write a day like 2026-11-21.");
        page.assert_has("Write an IP address").assert_has("No account has this username");
        assert_eq!(page.form("/admin/audit").value("whom"), Some("<b>"), "what was typed stays");
        for field in ["who", "by", "what", "whom", "address", "from"] {
            assert!(page.html.contains(&format!("aria-describedby=\"{field}-error\"")), "{field}");
            assert!(page.html.contains(&format!("id=\"{field}-error\"")), "{field}");
        }
        // A cursor of an old link begins at the beginning.
        browser.get("/admin/audit?cursor=old").await.assert_status(200).assert_has(SENT);
    }

    async fn pages_follow_each_other_and_keep_the_filters(server: TestServer) {
        let target = new_account(&server, "asha", "user").await.parse().unwrap();
        for _ in 0..120 {
            server.services.audit.note(Event::new(Action::AccountEdited, Actor::System).about(target), server.now());
            server.clock.advance(Duration::milliseconds(7));
        }
        flush(&server).await;
        let browser = Browser::staff(&server).await;
        let mut page = browser.get("/admin/audit?what=account_edited&whom=asha").await;
        let mut sizes = Vec::new();
        loop {
            sizes.push(page.html.matches("<th scope=\"row\"").count());
            page.assert_status(200).assert_has("asha");
            assert_eq!(page.form("/admin/audit").value("what"), Some("account_edited"));
            let Some(next) = page.links().into_iter().find(|link| link.contains("cursor=")) else { break };
            page = browser.get(&next).await;
        }
        assert_eq!(sizes, [50, 50, 20]);
        let first = page.links().into_iter().find(|link| link.starts_with("/admin/audit?")).unwrap();
        assert_eq!(first, "/admin/audit?what=account_edited&whom=asha");
    }

    async fn the_settings_in_force_are_for_admins_and_hold_no_secret(server: TestServer) {
        let server = server.second_server(&[("OTP_LENGTH", "6"), ("PRODUCT_NAME", "<b>Loopin</b>")]).await;
        let admin = Browser::admin(&server).await;
        let page = admin.get("/admin/settings").await;
        page.assert_status(200);
        let row = |name: &str| {
            let (_, rest) = page.html.split_once(&format!("<code>{name}</code>")).expect(name);
            let cells = rest.split("</tr>").next().unwrap().split("<td").skip(1);
            let cells = cells.map(|cell| cell.split_once('>').unwrap().1.replace("</td>", ""));
            cells.map(|cell| cell.split(['<', '>']).nth(2).unwrap_or(&cell).trim().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(row("OTP_LENGTH"), ["6", "environment"]);
        assert_eq!(row("OTP_MAX_ATTEMPTS"), ["3", "default"]);
        assert_eq!(row("SECRET_KEY"), ["set", "environment"]);
        assert_eq!(row("TWILIO_AUTH_TOKEN"), ["not set", "default"]);
        page.assert_has("<b>Loopin</b>");
        assert!(!page.html.contains("<b>"));
        for secret in ["SECRET_KEY", "JWT_SECRET_KEY"] {
            page.assert_has_not(server.setting(secret));
        }
        Browser::staff(&server).await.get("/admin/settings").await.assert_status(403);
    }
}
