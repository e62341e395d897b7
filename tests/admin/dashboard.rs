//! The dashboard and delivery at a glance: what they count, and what they say without numbers.

use loopin_auth::domain::{audit::Actor, retention::Retention};
use loopin_auth::flows::{housekeeping, purge::purge};

use crate::{
    browser::Browser,
    on_both,
    support::{OTHER_PHONE, PHONE, TestServer, WIDE_LIMITS},
};

const DAY: i64 = 86_400;
const OPTED_OUT: &str = "+15005550004";

async fn count(server: &TestServer) {
    server.services.audit.flush().await.unwrap();
    housekeeping::count_if_due(&server.services).await.unwrap().expect("it is time");
}

/// The text of the element with this heading, up to the next one.
fn part(text: &str, from: &str, to: &str) -> String {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from:?} in {text}"));
    rest.split(to).next().unwrap_or_default().trim().to_owned()
}

on_both! {
    async fn a_new_server_says_what_will_be_here(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let page = browser.get("/admin").await;
        page.assert_status(200)
            .assert_has("No code was sent in the last 30 days.")
            .assert_has("The first numbers come within five minutes")
            .assert_has("No prefix is closed")
            .assert_has("No request was refused in the last 30 days.")
            .assert_has("No provider gave a price in the last 30 days.")
            .assert_has("One account, in a day 1 in 334");
        assert!(!page.html.contains("class=\"chart\""));
        let page = browser.get("/admin/delivery").await;
        page.assert_status(200).assert_has("No message was counted in this time.");
        count(&server).await;
        browser.get("/admin").await.assert_has("No code was sent").assert_has("Counted at 14 Mar 2026, 14:56:53");
    }

    async fn the_funnel_counts_phones_and_has_a_table(server: TestServer) {
        let server = server.second_server(&WIDE_LIMITS).await;
        let browser = Browser::staff(&server).await;
        server.sign_in_and_complete(PHONE).await;
        server.signup(OTHER_PHONE).await.assert_ok();
        server.signup(OPTED_OUT).await;
        server.play(1).await;
        count(&server).await;
        let page = browser.get("/admin").await;
        page.assert_has("Phones that asked 3 got the code 2 typed it 1 have a complete profile 1");
        page.assert_has("14 Mar 2026 3 2 1 1");
        page.assert_has("13 Mar 2026 not counted");
        for needed in ["role=\"img\"", "<title id=\"chart-title\">", "<desc id=\"chart-text\">", "class=\"completed\""] {
            assert!(page.html.contains(needed), "{needed}");
        }
        assert!(!page.html.contains("style="), "the policy of the page refuses inline styles");
        assert_eq!(part(&page.text(), "Leads by state", "Closed prefixes"), "New 2 Contacted 0 Verified 1 Lost 0");
    }

    async fn refusals_locks_and_costs_are_summed_up_by_period(server: TestServer) {
        let server = server.second_server(&[
            ("LIMIT_SENDS_PER_PHONE", "1/1h"), ("LIMIT_GUESSES_PER_PHONE", "2/24h"),
        ]).await;
        let browser = Browser::staff(&server).await;
        server.signup(PHONE).await.assert_ok();
        server.advance(31);
        server.signup(PHONE).await.assert_error(429, "rate_limited");
        for _ in 0..3 {
            server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await;
        }
        server.execute("UPDATE messages SET price = '-0.0500', price_unit = 'USD'").await;
        server.signup(OTHER_PHONE).await.assert_ok();
        count(&server).await;
        server.advance(10 * DAY);
        count(&server).await;
        let browser = { let _ = browser; Browser::signed_in(&server, "other", "staff").await };
        let page = browser.get("/admin").await;
        page.assert_has("Too many codes to one phone 0 0 1");
        page.assert_has("Phones locked by wrong codes 0 0 1");
        page.assert_has("USD 0.0000 USD 0.0000 USD 0.0500 USD");
        page.assert_has("1 messages of the last 30 days have no price");
    }

    async fn closed_prefixes_are_listed(server: TestServer) {
        let server = server.second_server(&WIDE_LIMITS).await;
        let browser = Browser::admin(&server).await;
        server.signup(PHONE).await.assert_ok();
        let until = "'2026-03-15 09:26:53.000000 +00:00'";
        server.execute(&format!("UPDATE budgets SET closed_until = {until} WHERE key LIKE 'prefix/%'")).await;
        let page = browser.get("/admin").await;
        page.assert_has("1 closed now.").assert_has("+916205 (IN) until 15 Mar 2026, 14:56:53");
        assert!(page.links().contains(&"/admin/blocks".to_owned()));
    }

    async fn the_glance_compares_with_the_time_before(server: TestServer) {
        let server = server.second_server(&WIDE_LIMITS).await;
        // A week ago one of two arrived and none was used; now both arrive and one is used.
        server.signup(PHONE).await.assert_ok();
        server.signup(OTHER_PHONE).await.assert_ok();
        server.play(2).await;
        server.execute(&format!("UPDATE messages SET status = 'undelivered', reason = 'invalid' WHERE phone = '{PHONE}'")).await;
        count(&server).await;
        server.advance(7 * DAY);
        server.sign_in(PHONE).await;
        server.signup(OTHER_PHONE).await.assert_ok();
        server.play(2).await;
        count(&server).await;
        let browser = Browser::staff(&server).await;
        let page = browser.get("/admin/delivery").await;
        page.assert_has("7 days, compared with the 7 days before");
        page.assert_has("IN SMS Test inbox 2 100.0% +50.0 points: better (was 50.0%)");
        page.assert_has("50.0% +50.0 points: better (was 0.0%)");
        assert!(page.links().contains(&"/admin/messages?country=IN&channel=sms&provider=test_inbox".to_owned()));
        let page = browser.get("/admin/delivery?period=30").await;
        page.assert_has("30 days, compared with the 30 days before").assert_has("IN SMS Test inbox 4 75.0% new");
        page.assert_has("Why messages were lost 1 the number does not exist or cannot be reached");
        let page = browser.get("/admin/delivery?period=today").await;
        page.assert_has("Today, compared with the 7 days before").assert_has("may still be on their way");
        let page = browser.get("/admin/delivery?period=%3Cb%3E").await;
        page.assert_status(200).assert_has("There is no such period.").assert_has("IN SMS Test inbox 2");
    }

    async fn the_pages_keep_their_numbers_when_the_messages_are_purged(server: TestServer) {
        let server = server.second_server(&WIDE_LIMITS).await;
        server.sign_in(PHONE).await;
        server.play(2).await;
        count(&server).await;
        server.advance(3 * DAY);
        purge(&server.services, &Retention::new(chrono::Duration::days(1)), Actor::Command).await.unwrap();
        assert_eq!(server.count("SELECT COUNT(*) FROM messages").await, 0);
        let browser = Browser::staff(&server).await;
        browser.get("/admin/delivery").await.assert_has("IN SMS Test inbox 1 100.0%");
        browser.get("/admin").await.assert_has("14 Mar 2026 1 1 1 0");
    }

    async fn the_pages_are_light(server: TestServer) {
        let server = server.second_server(&WIDE_LIMITS).await;
        let browser = Browser::staff(&server).await;
        server.signup(PHONE).await.assert_ok();
        count(&server).await;
        // Thirty full days, and forty countries.
        let days: Vec<String> = (0..30).map(|ago| (chrono::NaiveDate::from_ymd_opt(2026, 3, 14).unwrap()
            - chrono::Duration::days(ago)).to_string()).collect();
        for day in &days[1..] {
            server.execute(&format!(
                "INSERT INTO counted_days (day, begins_at, ends_at, counted_at, is_closed, asked, delivered, verified, completed, locks, refusals) \
                 SELECT '{day}', begins_at, ends_at, counted_at, TRUE, 123456, 100000, 90000, 80000, 5, refusals \
                 FROM counted_days WHERE day = '2026-03-14'"
            )).await;
        }
        for n in 0..45 {
            server.execute(&format!(
                "INSERT INTO delivery_days SELECT day, 'X{n}', channel, provider, 1000, codes, delivered, verified, lost, priced, \
                 failures, delivered_in, verified_in, costs FROM delivery_days WHERE region = 'IN'"
            )).await;
        }
        let mut assets = 0;
        for asset in ["/admin/admin.css", "/admin/admin.js"] {
            assets += browser.get(asset).await.html.len();
        }
        for (path, most) in [("/admin", 40), ("/admin/delivery", 40)] {
            let page = browser.get(path).await;
            page.assert_status(200);
            let size = page.html.len() + assets;
            assert!(size < most * 1024, "{path} has {size} bytes");
        }
        browser.get("/admin/delivery").await.assert_has("6 others");
        browser.get("/admin").await.assert_has("123,456");
    }
}
