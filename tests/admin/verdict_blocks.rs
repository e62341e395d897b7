//! The verdict on a phone that staff blocked, or whose account moved to another number; and what its page says about that. Every
//! case is made through the API.

use poem::http::Method;
use serde_json::json;

use crate::{
    browser::{Browser, PASSWORD, new_account},
    desk::{Desk, clock, until},
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer},
};

const ADDRESS: &str = "203.0.113.7";
const BLOCKS: &str = "/api/admin/blocks";

/// An admin who makes and ends blocks.
struct Admin(String);

impl Admin {
    async fn open(server: &TestServer) -> Self {
        new_account(server, "boss", "admin").await;
        let body = json!({ "username": "boss", "password": PASSWORD });
        Self(server.post("/api/token", body).await.assert_ok().text_at("/access"))
    }

    async fn block(&self, server: &TestServer, kind: &str, value: &str, hours: Option<i64>) -> Answer {
        let ends_at = hours.map(|hours| (server.now() + chrono::Duration::hours(hours)).to_rfc3339());
        let body = json!({"kind": kind, "value": value, "reason": "a chargeback", "reference": "T-7", "ends_at": ends_at});
        let made = server.send_as(&self.0, Method::POST, BLOCKS, body).await;
        assert_eq!(made.status.as_u16(), 201, "{}", made.text);
        made
    }

    async fn end(&self, server: &TestServer, made: &Answer) {
        let path = format!("{BLOCKS}/{}", made.text_at("/id"));
        server.send_as(&self.0, Method::DELETE, &path, json!({})).await.assert_ok();
    }
}

/// The user changes the number by the API.
async fn change_phone(server: &TestServer, access: &str, to: &str) {
    let body = json!({ "phone_number": to });
    server.send_as(access, Method::POST, "/api/auth/change-phone", body).await.assert_ok();
    let body = json!({ "phone_number": to, "otp_code": server.last_code_for(to) });
    server.send_as(access, Method::POST, "/api/auth/verify-change-phone", body).await.assert_ok();
}

on_both! {
    async fn staff_blocked_the_number_or_what_it_belongs_to(server: TestServer) {
        let desk = Desk::open(&server).await;
        let admin = Admin::open(&server).await;
        for (kind, value, code, what) in [
            ("phone", PHONE, "blocked_by_staff", "this number"),
            ("prefix", "+91620", "blocked_by_staff", "all numbers that begin like this one"),
            ("country", "IN", "blocked_by_staff", "all numbers of this country"),
            ("address", ADDRESS, "address_blocked_by_staff", "the address that the last request came from"),
        ] {
            // Each at its own moment, so that their order is known.
            server.advance(1);
            let end = until(&server, 5 * 3600);
            let made = admin.block(&server, kind, value, Some(5)).await;
            server.advance(1);
            let asked_at = clock(&server);
            let refused = server.from(ADDRESS).signup(PHONE).await;
            assert!(!refused.status.is_success(), "{}", refused.text);
            let page = desk.sees(&server, PHONE, code, &format!("Staff blocked {what} {end}.")).await;
            page.assert_has("Why it is blocked").assert_has("a chargeback").assert_has("T-7").assert_has("by boss");
            assert!(page.links().iter().all(|link| !link.starts_with("/admin/blocks/")), "staff may not open it");
            server.advance(1);
            admin.end(&server, &made).await;
            let over = format!(
                "The last request was refused at {asked_at}, because staff had blocked {what}. The block ended at {}.",
                clock(&server)
            );
            let page = desk.sees(&server, PHONE, "refused_by_block", &over).await;
            assert!(!page.text().contains("a chargeback"), "it is over");
        }
    }

    async fn an_admin_opens_the_block_from_the_page(server: TestServer) {
        let admin = Admin::open(&server).await;
        let made = admin.block(&server, "phone", PHONE, None).await;
        let browser = Browser::new(&server);
        browser.sign_in("boss").await;
        let page = browser.get(&format!("/admin/phones/{PHONE}")).await;
        page.assert_has("Staff blocked this number.").assert_has("Ends by itself never");
        let link = format!("/admin/blocks/{}", made.text_at("/id"));
        assert!(page.links().contains(&link), "{:?}", page.links());
        browser.get(&link).await.assert_status(200).assert_has("a chargeback");
    }

    async fn a_block_that_is_over_ended_the_code_and_the_sessions(server: TestServer) {
        let desk = Desk::open(&server).await;
        let admin = Admin::open(&server).await;
        let user = server.sign_in(PHONE).await;
        server.advance(60);
        server.login(PHONE).await.assert_ok();
        let old_code = server.last_code_for(PHONE);
        server.advance(5);
        let blocked_at = clock(&server);
        let made = admin.block(&server, "phone", PHONE, None).await;
        server.advance(60);
        admin.end(&server, &made).await;
        let sentence = format!(
            "Staff blocked this number at {blocked_at}, which ended its codes and sessions. The block ended at {}.",
            clock(&server)
        );
        let page = desk.sees(&server, PHONE, "block_over", &sentence).await;
        page.assert_has("Staff blocked this number. – by boss").assert_has("Staff ended the block of this number. – by boss");
        server.get_as(&user.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
        server.verify_login(PHONE, &old_code).await.assert_error(400, "otp_expired");
        // What happens next is what counts.
        server.login(PHONE).await.assert_ok();
        server.play(2).await;
        let delivered = format!("Delivered at {}, and no code was entered since.", clock(&server));
        desk.sees(&server, PHONE, "delivered_not_entered", &delivered).await;
    }

    async fn a_block_expires_and_the_timeline_says_so(server: TestServer) {
        let desk = Desk::open(&server).await;
        let admin = Admin::open(&server).await;
        admin.block(&server, "prefix", "+91620", Some(1)).await;
        server.signup(PHONE).await.assert_error(400, "phone_unreachable");
        let asked_at = clock(&server);
        server.advance(3600);
        let sentence = format!(
            "The last request was refused at {asked_at}, because staff had blocked all numbers that begin like this one. \
             The block ended at {}.",
            clock(&server)
        );
        let page = desk.sees(&server, PHONE, "refused_by_block", &sentence).await;
        page.assert_has("Staff blocked all numbers that begin like this one.")
            .assert_has("The block of all numbers that begin like this one ended by itself.")
            .assert_has("No code was sent: staff had blocked the number or the network.");
    }

    async fn what_staff_send_to_a_blocked_number_is_refused_in_the_timeline(server: TestServer) {
        let desk = Desk::open(&server).await;
        let admin = Admin::open(&server).await;
        let token = desk.token(&server).await;
        admin.block(&server, "phone", PHONE, None).await;
        let path = format!("/api/admin/phones/{PHONE}/resend");
        server.send_as(&token, Method::POST, &path, json!({})).await.assert_error(400, "phone_unreachable");
        let page = desk.page(&server, PHONE).await;
        page.assert_has("Staff wanted to send a code. It was refused: staff had blocked the number or the network. – by staff");
        assert!(!page.text().contains("Staff had a code sent"), "{}", page.text());
        // The account of another number is disabled.
        server.sign_in(OTHER_PHONE).await;
        server.disable(OTHER_PHONE).await;
        let path = format!("/api/admin/phones/{OTHER_PHONE}/resend");
        server.send_as(&token, Method::POST, &path, json!({})).await.assert_error(403, "account_disabled");
        let page = desk.page(&server, OTHER_PHONE).await;
        page.assert_has("Staff wanted to send a code. It was refused: the account is disabled. – by staff");
    }

    async fn the_user_changed_to_another_number(server: TestServer) {
        let desk = Desk::open(&server).await;
        let user = server.sign_in(PHONE).await;
        server.advance(60);
        change_phone(&server, &user.access, OTHER_PHONE).await;
        let sentence = format!("The user moved the account of this number to another number at {}.", clock(&server));
        let page = desk.sees(&server, PHONE, "moved_away", &sentence).await;
        page.assert_has("Your account has another number now.").assert_has("The account moved from this number to another one.");
        assert!(page.links().contains(&format!("/admin/people/{}", user.user_id)), "{:?}", page.links());
        assert!(page.forms().iter().all(|form| !form.action.contains(PHONE)), "a code or a verification would open a second account");
        // The new number is not said to have moved away, and neither is the old one once it has an account again.
        let verified = format!("The right code was entered at {}.", clock(&server));
        desk.sees(&server, OTHER_PHONE, "verified", &verified).await;
        server.advance(60);
        server.login(PHONE).await.assert_error(404, "user_not_found");
        desk.sees(&server, PHONE, "moved_away", &sentence).await;
        server.sign_in(PHONE).await;
        let verified = format!("The right code was entered at {}.", clock(&server));
        desk.sees(&server, PHONE, "verified", &verified).await.assert_has("moved from this number to another one");
    }

    async fn the_account_that_moved_away_is_deleted_since(server: TestServer) {
        let desk = Desk::open(&server).await;
        let user = server.sign_in(PHONE).await;
        server.advance(60);
        change_phone(&server, &user.access, OTHER_PHONE).await;
        let at = clock(&server);
        server.send_as(&user.access, Method::POST, "/api/auth/delete-account", json!({})).await.assert_ok();
        let sentence = format!("The user moved the account of this number to another number at {at}, and it was deleted since.");
        let page = desk.sees(&server, PHONE, "moved_away", &sentence).await;
        page.assert_has("Sign up if you want a new one.");
        assert!(!page.links().contains(&format!("/admin/people/{}", user.user_id)), "{:?}", page.links());
    }

    async fn an_admin_moved_the_account_to_another_number(server: TestServer) {
        let desk = Desk::open(&server).await;
        let user = server.sign_in(PHONE).await;
        server.advance(60);
        let browser = Browser::admin(&server).await;
        let path = format!("/admin/people/{}/move-phone", user.user_id);
        let page = browser.get(&path).await;
        let page = browser.submit(&page, &path, &[("phone", OTHER_PHONE), ("reason", "lost_sim")]).await;
        let code = server.last_code_for(OTHER_PHONE);
        server.advance(5);
        browser.submit(&page, &format!("{path}/code"), &[("code", &code)]).await.assert_has("The user has the new number");
        let at = clock(&server);
        let sentence = format!("Staff moved the account of this number to another number at {at}.");
        let page = desk.sees(&server, PHONE, "moved_away", &sentence).await;
        assert!(page.links().contains(&format!("/admin/people/{}", user.user_id)), "{:?}", page.links());
        let sentence = format!("Staff moved an account to this number at {at}, which ended all of its sessions.");
        let page = desk.sees(&server, OTHER_PHONE, "moved_here", &sentence).await;
        page.assert_has("Staff moved the account to this number.");
        assert!(!page.text().contains("moved from this number"), "{}", page.text());
        server.advance(60);
        let resend = format!("/admin/phones/{OTHER_PHONE}/resend");
        desk.submit(&server, &page, &resend, &[("channel", "sms")]).await.assert_has("A code was sent by SMS.");
    }
}
