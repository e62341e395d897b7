//! The verdict on a phone: sign-ins that worked, and those that failed for another reason than a message or a limit. Every
//! case is made through the API.

use poem::http::Method;
use serde_json::json;

use crate::{
    desk::{Desk, clock, until},
    on_both,
    support::{PHONE, TestServer, issuer::Issuer, service::Service, whole_profile},
};

const DAY: i64 = 86_400;

/// Signs up and sets a password. Returns the tokens.
async fn with_password(server: &TestServer) -> crate::support::Tokens {
    let user = server.sign_in(PHONE).await;
    let body = json!({ "new_password": "violet-canoe-7350" });
    server.send_as(&user.access, Method::POST, "/api/auth/password", body).await.assert_ok();
    user
}

async fn by_password(server: &TestServer, password: &str) -> crate::support::Answer {
    server.post("/api/token", json!({ "username": PHONE, "password": password })).await
}

on_both! {
    async fn the_user_entered_the_right_code(server: TestServer) {
        let desk = Desk::open(&server).await;
        server.sign_in(PHONE).await;
        let sentence = format!("The right code was entered at {}.", clock(&server));
        let page = desk.sees(&server, PHONE, "verified", &sentence).await;
        page.assert_has("The user signed in with a code.");
    }

    async fn the_user_entered_a_code_at_another_service(server: TestServer) {
        let (desk, shop) = (Desk::open(&server).await, Service::new(&server, "Order service").await);
        let id = shop.started(&server, PHONE).await;
        desk.page(&server, PHONE).await.assert_has("The service “Order service” asked for a check of this number.");
        shop.guess(&server, &id, PHONE).await.assert_error(400, "otp_invalid");
        desk.page(&server, PHONE).await.assert_has("A wrong code was entered at the service “Order service”.");
        shop.check(&server, &id, &server.last_code_for(PHONE)).await.assert_ok();
        let sentence =
            format!("The right code was entered at {} for a check of another service, which signs nobody in.", clock(&server));
        let page = desk.sees(&server, PHONE, "checked_for_service", &sentence).await;
        page.assert_has("The service “Order service” got its proof: the right code was entered there.");
        server.advance(30);
        let id = shop.started(&server, PHONE).await;
        shop.cancel(&server, &id).await.assert_ok();
        desk.page(&server, PHONE).await.assert_has("The service “Order service” canceled its check.");
        // A sign-in after it is a sign-in.
        server.advance(30);
        server.sign_in(PHONE).await;
        desk.sees(&server, PHONE, "verified", &format!("The right code was entered at {}.", clock(&server))).await;
    }

    async fn the_user_came_with_a_token_of_another_system(server: TestServer) {
        let issuer = Issuer::new().await;
        let server = issuer.trusted_by(&server, &[]).await;
        let desk = Desk::open(&server).await;
        server.exchange(&issuer.proves(&server, PHONE)).await.assert_ok();
        let sentence = format!("The user signed in with a token of another system at {}.", clock(&server));
        let page = desk.sees(&server, PHONE, "signed_in_by_token", &sentence).await;
        page.assert_has("The user signed in with a token of another system.");
    }

    async fn the_app_chose_the_wrong_route(server: TestServer) {
        let desk = Desk::open(&server).await;
        server.login(PHONE).await.assert_error(404, "user_not_found");
        let at = clock(&server);
        let sentence = format!("The app tried to log in at {at}, and this number has no account.");
        desk.sees(&server, PHONE, "no_account", &sentence).await;
        server.signup(PHONE).await.assert_ok();
        server.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_error(404, "user_not_found");
        let sentence = format!("The right code was entered at {at} to log in, and this number has no account.");
        desk.sees(&server, PHONE, "right_code_no_account", &sentence).await;
        // The same code still works, as the advice says.
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        let other = "+919876543210";
        let user = server.sign_in(other).await;
        let mut profile = whole_profile();
        profile["phone_number"] = json!(other);
        server.send_as(&user.access, Method::POST, "/api/auth/complete-profile", profile).await.assert_ok();
        server.signup(other).await.assert_error(409, "user_already_exists");
        let sentence = format!("The app tried to sign up at {at}, and this number has an account already.");
        desk.sees(&server, other, "already_registered", &sentence).await;
    }

    async fn the_user_may_not_sign_up(server: TestServer) {
        let desk = Desk::open(&server).await;
        let closed = server.second_server(&[("SIGNUPS", "closed")]).await;
        closed.signup(PHONE).await.assert_error(403, "signup_closed");
        let at = clock(&server);
        let why = "sign-ups are closed, or the user had no valid invitation.";
        let sentence = format!("The app tried to sign up at {at}, and was refused: {why}");
        let page = desk.sees(&closed, PHONE, "signup_closed", &sentence).await;
        page.assert_has("No code was sent: there is no account, and none may be made.");
        server.signup(PHONE).await.assert_ok();
        closed.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_error(403, "signup_closed");
        let sentence = format!("The right code was entered at {at}, but no account was made: {why}");
        desk.sees(&closed, PHONE, "right_code_signup_closed", &sentence).await;
    }

    async fn passwords_work_or_not(server: TestServer) {
        let desk = Desk::open(&server).await;
        let server = server.second_server(&[("LIMIT_WRONG_PASSWORDS_PER_NAME_AND_ADDRESS", "2/15m")]).await;
        with_password(&server).await;
        server.advance(60);
        by_password(&server, "violet-canoe-7350").await.assert_ok();
        let sentence = format!("The user signed in with a password at {}.", clock(&server));
        desk.sees(&server, PHONE, "signed_in_by_password", &sentence).await;
        server.advance(60);
        let end = until(&server, 900);
        for _ in 0..2 {
            by_password(&server, "another-canoe-7351").await.assert_error(401, "credentials_invalid");
        }
        let sentence = format!("A wrong password was entered at {}.", clock(&server));
        desk.sees(&server, PHONE, "wrong_password", &sentence).await;
        by_password(&server, "another-canoe-7351").await.assert_error(429, "rate_limited");
        let sentence = format!("Too many wrong passwords were tried: no more {end}.");
        desk.sees(&server, PHONE, "passwords_used_up", &sentence).await;
    }

    async fn an_old_token_ends_a_session(server: TestServer) {
        let desk = Desk::open(&server).await;
        let user = server.sign_in(PHONE).await;
        let second = server.refresh(&user.refresh).await.assert_ok().text_at("/refresh");
        server.refresh(&second).await.assert_ok();
        server.advance(60);
        server.refresh(&user.refresh).await.assert_error(401, "token_revoked");
        let sentence = format!("The user was signed out at {}: an old token of the app came back.", clock(&server));
        let page = desk.sees(&server, PHONE, "signed_out", &sentence).await;
        page.assert_has("A session was ended");
    }

    async fn a_number_is_stale_and_then_unlinked(server: TestServer) {
        let desk = Desk::open(&server).await;
        let server = server.second_server(&[("PHONE_STALE_DAYS", "90"), ("RATE_LIMITS_ENABLED", "false")]).await;
        server.sign_in(PHONE).await;
        server.advance(90 * DAY);
        server.login(PHONE).await.assert_error(404, "user_not_found");
        let stale = "The account of this number was unused for so long that the number may belong to another person now.";
        desk.sees(&server, PHONE, "number_stale", stale).await;
        server.sign_in(PHONE).await;
        let at = clock(&server);
        let unlinked = format!("The number was taken at {at} from an account that was unused for too long.");
        let page = desk.sees(&server, PHONE, "unlinked", &unlinked).await;
        page.assert_has("Before, it belonged to another account");
        server.advance(60);
        server.login(PHONE).await.assert_ok();
        server.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        let verified = format!("The right code was entered at {}.", clock(&server));
        desk.sees(&server, PHONE, "verified", &verified).await;
    }

    async fn staff_verify_a_number_by_hand(server: TestServer) {
        let desk = Desk::open(&server).await;
        server.signup(PHONE).await.assert_ok();
        server.advance(60);
        let page = desk.page(&server, PHONE).await;
        let verify = format!("/admin/phones/{PHONE}/verify");
        let page = desk.submit(&server, &page, &verify, &[]).await;
        page.assert_has("Nothing was changed: make sure that the caller owns this number");
        let page = desk.submit(&server, &page, &verify, &[("sure", "yes")]).await;
        page.assert_has("The number is verified and has an account now.");
        let sentence = format!("Staff verified this number by hand at {}.", clock(&server));
        let page = desk.sees(&server, PHONE, "verified_by_hand", &sentence).await;
        assert!(page.forms().iter().all(|form| form.action != verify), "it is verified");
        // The user is not signed in yet, and needs a code.
        page.assert_has("Your number is verified. Choose “log in” in the app");
        let sent = desk.submit(&server, &page, &format!("/admin/phones/{PHONE}/resend"), &[("channel", "sms")]).await;
        sent.assert_has("A code was sent by SMS.");
        server.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn what_is_known_is_from_long_ago(server: TestServer) {
        let desk = Desk::open(&server).await;
        server.signup(PHONE).await.assert_ok();
        let other = "+919876543210";
        server.sign_in(other).await;
        server.advance(400 * DAY);
        server.services.audit.flush().await.unwrap();
        // Housekeeping removes messages, challenges and the audit log after a year, and ended sessions.
        let system = loopin_auth::domain::audit::Actor::System;
        loopin_auth::flows::purge::purge(&server.services, &server.services.retention, system).await.unwrap();
        let asked = "The last code was requested on 14 March 2026 at 14:56:53. Its messages are no longer stored.";
        desk.sees(&server, PHONE, "asked_long_ago", asked).await;
        let ready = "This number has an account, and no code was requested lately.";
        desk.sees(&server, other, "account_ready", ready).await;
    }
}
