//! What a check of another service is charged to, and what it never locks.

use loopin_auth::domain::{
    api_key::{KeyLimits, Scope},
    audit::Action,
};
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    admin_blocks::{admin, block},
    audit::{detail, entries_of},
    budgets::{Guesser, HOUR, phone, stranger},
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer, WIDE_LIMITS, hook::Hook, service::Service},
};

const USER: &str = "203.0.113.7";

async fn for_user(service: &Service, server: &TestServer, phone: &str, address: &str) -> Answer {
    service.start_with(server, json!({ "phone_number": phone, "end_user_address": address })).await
}

/// Enters so many wrong codes at checks of this phone. A new check begins where one is used up.
async fn guess_wrong(service: &Service, server: &TestServer, phone: &str, times: usize) {
    let mut id = String::new();
    for nth in 0..times {
        if nth % 3 == 0 {
            server.advance(HOUR);
            id = service.started(server, phone).await;
        }
        service.guess(server, &id, phone).await.assert_error(400, "otp_invalid");
    }
}

async fn limited(server: &TestServer, name: &str, limits: KeyLimits) -> Service {
    Service::with(server, name, &[Scope::Verifications], limits).await
}

on_both! {
    async fn sends_share_the_budgets_of_the_phone(server: TestServer) {
        let (shop, bank) = (Service::new(&server, "shop").await, Service::new(&server, "bank").await);
        shop.started(&server, PHONE).await;
        // The cooldown is the phone's, for every caller and purpose.
        bank.start(&server, PHONE).await.assert_error(429, "otp_cooldown");
        server.signup(PHONE).await.assert_error(429, "otp_cooldown");
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        for nth in 0..3 {
            server.advance(30);
            let body = json!({ "phone_number": PHONE, "reference": nth.to_string() });
            assert_eq!(bank.start_with(&server, body).await.status, 201);
        }
        server.advance(30);
        // Five in an hour.
        shop.start(&server, PHONE).await.assert_error(429, "rate_limited");
        server.from(USER).signup(PHONE).await.assert_error(429, "rate_limited");
        assert_eq!(server.codes_for(PHONE).len(), 5);
    }

    async fn the_address_of_the_service_is_charged_nothing(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let from = server.from("198.51.100.7");
        // Twenty requests and thirty wrong codes are what an address has in an hour.
        for nth in 0..30 {
            let id = shop.started(&from, &phone(nth)).await;
            shop.guess(&from, &id, &phone(nth)).await.assert_error(400, "otp_invalid");
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM budgets WHERE key LIKE 'address/%'").await, 0);
        from.signup(PHONE).await.assert_ok();
    }

    async fn the_address_of_its_user_is_charged_for_this_key_alone(server: TestServer) {
        let (shop, bank) = (Service::new(&server, "shop").await, Service::new(&server, "bank").await);
        for nth in 0..20 {
            assert_eq!(for_user(&shop, &server, &phone(nth), USER).await.status, 201);
        }
        let refused = for_user(&shop, &server, &phone(20), USER).await;
        refused.assert_error(429, "rate_limited");
        assert_eq!(refused.at("/error/retry_after"), json!(HOUR));
        // A mapped address is the same, and another one is not.
        for_user(&shop, &server, &phone(20), &format!("::ffff:{USER}")).await.assert_error(429, "rate_limited");
        assert_eq!(for_user(&shop, &server, &phone(20), "203.0.113.8").await.status, 201);
        assert_eq!(for_user(&bank, &server, &phone(21), USER).await.status, 201);
        // The holder of a key locks no address out of signing in.
        server.from(USER).signup(PHONE).await.assert_ok();
        // Wrong codes of that address.
        let path = |id: &str| format!("/api/verifications/{id}/check");
        let mut judged = 0;
        for nth in 0..11 {
            let id = bank.started(&server, &phone(100 + nth)).await;
            let wrong = crate::support::wrong(&server.last_code_for(&phone(100 + nth)));
            for _ in 0..3 {
                let body = json!({ "otp_code": wrong, "end_user_address": USER });
                let answer = bank.send(&server, Method::POST, &path(&id), body).await;
                judged += usize::from(answer.text_at("/error/code") == "otp_invalid");
            }
        }
        assert_eq!(judged, 30);
        server.from(USER).verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn a_phone_gets_three_codes_an_hour_for_one_address(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        for _ in 0..3 {
            assert_eq!(for_user(&shop, &server, PHONE, USER).await.status, 201);
            server.advance(30);
        }
        for_user(&shop, &server, PHONE, USER).await.assert_error(429, "rate_limited");
        assert_eq!(for_user(&shop, &server, PHONE, "203.0.113.8").await.status, 201);
    }

    async fn wrong_codes_lock_the_checks_of_this_key_and_never_the_sign_in(server: TestServer) {
        let (shop, bank) = (Service::new(&server, "shop").await, Service::new(&server, "bank").await);
        let wide = server.second_server(&WIDE_LIMITS).await;
        guess_wrong(&shop, &wide, PHONE, 9).await;
        server.advance(HOUR);
        let id = shop.started(&server, PHONE).await;
        shop.guess(&server, &id, PHONE).await.assert_error(400, "otp_invalid");
        // The tenth in a day.
        let locked = shop.check(&server, &id, &server.last_code_for(PHONE)).await;
        locked.assert_error(429, "phone_locked");
        server.advance(30);
        shop.start(&server, PHONE).await.assert_error(429, "phone_locked");
        // Another phone at this service, the phone at another service, and the user who signs in.
        shop.started(&server, OTHER_PHONE).await;
        let at_bank = bank.started(&server, PHONE).await;
        bank.check(&server, &at_bank, &server.last_code_for(PHONE)).await.assert_ok();
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        let rows = server.count("SELECT COUNT(*) FROM budgets WHERE key LIKE 'phone/%/guesses%' AND count > 0").await;
        assert_eq!(rows, 0);
        let locks = entries_of(&server, Action::PhoneLocked).await;
        assert_eq!(locks.len(), 1);
        assert_eq!(detail(&locks[0])["budget"], json!("service-phone-guesses"));
        assert_eq!(detail(&locks[0])["service"], json!("shop"));
        // Staff lift it with the phone's other locks.
        let admin = admin(&server).await;
        let path = format!("/api/abuse/phones/{PHONE}/unlock");
        let unlocked = server.send_as(&admin.access, Method::POST, &path, json!({})).await;
        unlocked.assert_ok();
        assert!(unlocked.text.contains("service-phone-guesses"), "{}", unlocked.text);
        shop.check(&server, &id, &server.codes_for(PHONE)[2].clone()).await.assert_ok();
    }

    async fn locks_of_the_sign_in_do_not_refuse_checks(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let server = server.second_server(&WIDE_LIMITS).await;
        let mut guesser = Guesser::new(&server, PHONE);
        for nth in 0..30 {
            guesser.guess(&stranger(&server, nth), 30).await.assert_error(400, "otp_invalid");
        }
        server.advance(30);
        server.from("203.0.113.9").signup(PHONE).await.assert_error(429, "phone_locked");
        let id = shop.started(&server, PHONE).await;
        shop.check(&server, &id, &server.last_code_for(PHONE)).await.assert_ok();
        // An approved check is no sign-in, and ends no row of failures.
        server.from("203.0.113.9").signup(PHONE).await.assert_error(429, "phone_locked");
    }

    async fn a_key_has_its_own_hour_and_day(server: TestServer) {
        let limits = KeyLimits { sends_per_hour: 2, sends_per_day: 3, ..KeyLimits::default() };
        let (shop, bank) = (limited(&server, "shop", limits).await, Service::new(&server, "bank").await);
        for nth in 0..2 {
            shop.started(&server, &phone(nth)).await;
        }
        let hour = shop.start(&server, &phone(2)).await;
        hour.assert_error(429, "rate_limited");
        assert_eq!(hour.at("/error/retry_after"), json!(HOUR));
        assert!(server.inbox_of(&phone(2)).is_empty());
        bank.started(&server, &phone(2)).await;
        server.advance(HOUR);
        shop.started(&server, &phone(3)).await;
        let day = shop.start(&server, &phone(4)).await;
        day.assert_error(429, "rate_limited");
        // To the end of the day in India.
        assert_eq!(day.at("/error/retry_after"), json!(9 * HOUR + 3 * 60 + 7 - HOUR));
        server.advance(24 * HOUR);
        shop.started(&server, &phone(4)).await;
    }

    async fn a_key_has_its_own_wrong_codes(server: TestServer) {
        let limits = KeyLimits { wrong_codes_per_hour: 4, ..KeyLimits::default() };
        let shop = limited(&server, "shop", limits).await;
        let mut last = String::new();
        for nth in 0..2 {
            last = shop.started(&server, &phone(nth)).await;
            for _ in 0..2 {
                shop.guess(&server, &last, &phone(nth)).await.assert_error(400, "otp_invalid");
            }
        }
        let right = server.last_code_for(&phone(1));
        shop.check(&server, &last, &right).await.assert_error(429, "rate_limited");
        server.advance(HOUR - 1);
        let next = shop.started(&server, &phone(1)).await;
        shop.check(&server, &next, &server.last_code_for(&phone(1))).await.assert_error(429, "rate_limited");
        server.advance(1);
        shop.check(&server, &next, &server.last_code_for(&phone(1))).await.assert_ok();
        // A right code is charged nothing.
        assert_eq!(server.count("SELECT COUNT(*) FROM budgets WHERE key LIKE 'service/%/guesses' AND count > 4").await, 0);
    }

    async fn a_key_sends_to_its_countries(server: TestServer) {
        let countries = vec!["GB".parse().unwrap()];
        let shop = limited(&server, "shop", KeyLimits { countries, ..KeyLimits::default() }).await;
        let refused = shop.start(&server, PHONE).await;
        refused.assert_error(400, "phone_unreachable");
        assert_eq!(refused.text_at("/error/reason"), "region_not_allowed");
        shop.started(&server, "+447400123456").await;
        // What the server sends to at all is decided by its own settings.
        let indian = server.second_server(&[("SMS_ALLOWED_COUNTRIES", "IN")]).await;
        indian.advance(30);
        shop.start(&indian, "+447400123457").await.assert_error(400, "phone_unreachable");
        let said = detail(&entries_of(&server, Action::CodeRefused).await[0]);
        assert_eq!(said, json!({"purpose": "verification", "reason": "region_not_allowed", "country": "IN", "service": "shop"}));
    }

    async fn a_shop_cannot_pump_messages_to_a_closed_prefix(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let server = server.second_server(&[("LIMIT_UNVERIFIED_SENDS_PER_PREFIX", "5/1h")]).await;
        let of_prefix = |nth: usize| format!("+917000{nth:06}");
        let approve = async |nth: usize| {
            let id = shop.started(&server, &of_prefix(nth)).await;
            shop.check(&server, &id, &server.last_code_for(&of_prefix(nth))).await.assert_ok();
        };
        // A code that comes back is credited to the prefix.
        approve(0).await;
        for nth in 1..=5 {
            shop.started(&server, &of_prefix(nth)).await;
        }
        shop.start(&server, &of_prefix(6)).await.assert_error(429, "rate_limited");
        assert_eq!(entries_of(&server, Action::PrefixClosed).await.len(), 1);
        // A phone whose code came back once is served, and opens the prefix for nobody else.
        server.advance(60);
        approve(0).await;
        shop.start(&server, &of_prefix(6)).await.assert_error(429, "rate_limited");
        assert!(server.inbox_of(&of_prefix(6)).is_empty());
    }

    async fn a_block_stops_checks_too(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let admin = admin(&server).await;
        let id = shop.started(&server, PHONE).await;
        let code = server.last_code_for(PHONE);
        block(&server, &admin, "phone", PHONE).await;
        shop.check(&server, &id, &code).await.assert_error(403, "forbidden");
        server.advance(30);
        let refused = shop.start(&server, PHONE).await;
        refused.assert_error(400, "phone_unreachable");
        assert_eq!(refused.text_at("/error/reason"), "blocked");
        // A network is blocked for the service's user, and not for the service.
        block(&server, &admin, "address", "203.0.113.0/24").await;
        for_user(&shop, &server, OTHER_PHONE, USER).await.assert_error(403, "forbidden");
        let other = shop.started(&server.from(USER), OTHER_PHONE).await;
        assert_eq!(shop.status(&server.from(USER), &other).await, "pending");
    }

    async fn the_hook_is_told_that_it_is_a_check(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let hook = Hook::that_answers("deny").await;
        let server = hook.asked_by(&server, &[("HIDE_ACCOUNT_EXISTENCE", "true")]).await;
        for_user(&shop, &server, PHONE, USER).await.assert_error(400, "phone_unreachable");
        let questions = hook.questions(&server).await;
        let told: Vec<&Value> = ["purpose", "address", "can_challenge"].iter().map(|name| &questions[0][*name]).collect();
        assert_eq!(told, [&json!("verification"), &json!(USER), &json!(false)]);
    }
}
