//! The verdict on a phone: what stops it, and which limit refuses. Every case is made through the API.

use loopin_auth::domain::api_key::{KeyLimits, Scope};
use poem::http::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wiremock::ResponseTemplate;

use crate::{
    desk::{Desk, clock, until},
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer, WIDE_LIMITS, hook::Hook, service::Service},
};

const ADDRESS: &str = "203.0.113.7";
const DAY: i64 = 86_400;

/// Limits so wide that only the given ones are reached.
async fn with(server: &TestServer, settings: &[(&str, &str)]) -> TestServer {
    let others = WIDE_LIMITS.iter().filter(|(name, _)| settings.iter().all(|(given, _)| given != name));
    server.second_server(&others.chain(settings).copied().collect::<Vec<_>>()).await
}

async fn guess(server: &TestServer, address: &str) -> Answer {
    let wrong = server.wrong_code_for(PHONE);
    server.from(address).verify_otp(PHONE, &wrong).await
}

/// Signs up with a device token, and guesses with it.
async fn with_device(server: &TestServer, path: &str, token: &str, more: Value) -> Answer {
    let mut body = json!({ "phone_number": PHONE, "device_token": token });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.post(path, body).await
}

/// Signs up, and returns what the device shows from then on.
async fn device(server: &TestServer) -> String {
    server.signup(PHONE).await.assert_ok();
    let answer = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await;
    answer.assert_ok().text_at("/data/device_token")
}

/// A wrong answer to a challenge of proof of work.
fn wrong_answer(refused: &Answer) -> String {
    refused.assert_error(403, "challenge_required");
    let challenge = refused.text_at("/error/challenge/challenge");
    let answers = (0_u64..).map(|number| format!("{challenge}.{number}"));
    answers.into_iter().find(|answer| Sha256::digest(answer)[0] != 0).unwrap()
}

on_both! {
    async fn no_code_was_ever_requested(server: TestServer) {
        let desk = Desk::open(&server).await;
        let page = desk.sees(&server, PHONE, "never_asked", "No code was ever requested for this number.").await;
        page.assert_has("Nothing is recorded about this number.");
    }

    async fn settings_exclude_the_number(server: TestServer) {
        let desk = Desk::open(&server).await;
        let abroad = "+447400123456";
        let other = server.second_server(&[("SMS_ALLOWED_COUNTRIES", "IN"), ("SMS_BLOCKED_PREFIXES", "+916205")]).await;
        for phone in [abroad, PHONE] {
            other.signup(phone).await.assert_error(400, "phone_unreachable");
        }
        let country = "No codes are sent to this country (GB): the settings do not allow it.";
        desk.sees(&other, abroad, "country_not_allowed", country).await.assert_has("the country is not served");
        let prefix = "No codes are sent to numbers that begin like this one: the settings block them.";
        desk.sees(&other, PHONE, "number_not_served", prefix).await;
        // The settings were changed, so the user can try again.
        let again = format!("The last request was refused at {}. What refused it is over.", clock(&server));
        desk.sees(&server, PHONE, "refused_earlier", &again).await;
    }

    async fn the_account_is_disabled(server: TestServer) {
        let desk = Desk::open(&server).await;
        let user = server.sign_in(PHONE).await;
        let token = desk.token(&server).await;
        let path = format!("/api/users/{}", user.user_id);
        server.send_as(&token, Method::DELETE, &path, json!({})).await.assert_ok();
        server.login(PHONE).await.assert_error(403, "account_disabled");
        let page = desk.sees(&server, PHONE, "account_disabled", "The account of this number is disabled.").await;
        page.assert_has("The account was deactivated.");
        assert!(page.forms().iter().all(|form| !form.action.ends_with("/resend")), "sending would not help");
    }

    async fn wrong_codes_lock_the_phone_for_strangers(server: TestServer) {
        let desk = Desk::open(&server).await;
        let server = with(&server, &[("LIMIT_GUESSES_PER_PHONE", "3/24h")]).await;
        server.signup(PHONE).await.assert_ok();
        for address in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
            guess(&server, address).await.assert_error(400, "otp_invalid");
        }
        let sentence = format!("Locked {}: too many wrong codes were entered within a day.", until(&server, DAY));
        let page = desk.sees(&server, PHONE, "locked_for_strangers", &sentence).await;
        let unlock = format!("/admin/phones/{PHONE}/unlock");
        let unlocked = desk.submit(&server, &page, &unlock, &[]).await;
        unlocked.assert_status(200).assert_has("The number is unlocked.").assert_has("The number was unlocked.");
        let again = format!("The last request was refused at {}. What refused it is over.", clock(&server));
        desk.sees(&server, PHONE, "refused_earlier", &again).await;
    }

    async fn failures_in_a_row_lock_until_staff_unlock(server: TestServer) {
        let desk = Desk::open(&server).await;
        let server = with(&server, &[("LIMIT_FAILURES_IN_A_ROW", "2")]).await;
        server.signup(PHONE).await.assert_ok();
        for address in ["203.0.113.1", "203.0.113.2"] {
            guess(&server, address).await.assert_error(400, "otp_invalid");
        }
        server.advance(2 * DAY);
        server.signup(PHONE).await.assert_error(429, "phone_locked");
        let sentence = "Locked until staff unlock it: too many wrong codes in a row were entered.";
        let page = desk.sees(&server, PHONE, "locked_until_unlocked", sentence).await;
        page.form(&format!("/admin/phones/{PHONE}/unlock"));
    }

    async fn wrong_codes_lock_the_phone_for_one_address(server: TestServer) {
        let desk = Desk::open(&server).await;
        let server = with(&server, &[("LIMIT_GUESSES_PER_PHONE_AND_ADDRESS", "2/24h")]).await;
        server.signup(PHONE).await.assert_ok();
        for _ in 0..2 {
            guess(&server, ADDRESS).await.assert_error(400, "otp_invalid");
        }
        let sentence = format!(
            "Locked for the address {ADDRESS} {}: too many wrong codes were entered from there.",
            until(&server, DAY)
        );
        desk.sees(&server, PHONE, "locked_for_address", &sentence).await;
        // The owner signs in from elsewhere.
        let answer = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await;
        answer.assert_ok();
        let verified = format!("The right code was entered at {}.", clock(&server));
        desk.sees(&server, PHONE, "verified", &verified).await;
    }

    async fn a_number_for_app_review_gets_nothing(server: TestServer) {
        let desk = Desk::open(&server).await;
        let review = "+12025550100";
        let other = server.second_server(&[("OTP_REVIEW_NUMBERS", "+12025550100=4821@2026-03-14")]).await;
        other.signup(review).await.assert_ok();
        let sentence = "This number is for app review until 00:00 on 15 March: its code is fixed, and nothing is sent to it.";
        let page = desk.sees(&other, review, "review_number", sentence).await;
        assert!(!page.html.contains("4821"), "no code is shown");
    }

    async fn the_next_code_is_requested_too_soon(server: TestServer) {
        let desk = Desk::open(&server).await;
        server.signup(PHONE).await.assert_ok();
        server.advance(10);
        server.signup(PHONE).await.assert_error(429, "otp_cooldown");
        let sentence = format!("A code was sent a moment ago, so the next one is refused {}.", until(&server, 20));
        desk.sees(&server, PHONE, "cooldown", &sentence).await;
        server.play(20).await;
        let delivered = format!("Delivered at {}, and no code was entered since.", clock(&server));
        desk.sees(&server, PHONE, "delivered_not_entered", &delivered).await;
    }

    async fn the_account_was_just_deleted(server: TestServer) {
        let desk = Desk::open(&server).await;
        let user = server.sign_in(PHONE).await;
        server.send_as(&user.access, Method::POST, "/api/auth/delete-account", json!({})).await.assert_ok();
        let deleted_at = clock(&server);
        let sentence = format!("The account was just deleted, so no new code is sent {}.", until(&server, 30));
        desk.sees(&server, PHONE, "recently_deleted", &sentence).await;
        server.advance(31);
        let sentence = format!("The user deleted the account at {deleted_at}.");
        desk.sees(&server, PHONE, "account_deleted", &sentence).await;
    }

    async fn the_phone_got_as_many_codes_as_it_may(server: TestServer) {
        let desk = Desk::open(&server).await;
        for (limit, code, within, seconds) in
            [("2/1h", "sends_of_hour_used_up", "an hour", 3600), ("2/24h", "sends_of_day_used_up", "a day", DAY)]
        {
            let server = with(&server, &[("LIMIT_SENDS_PER_PHONE", limit)]).await;
            let end = until(&server, seconds);
            for _ in 0..2 {
                server.signup(PHONE).await.assert_ok();
                server.advance(30);
            }
            server.signup(PHONE).await.assert_error(429, "rate_limited");
            let sentence = format!("This number got 2 codes within {within}, so it gets no more {end}.");
            let page = desk.sees(&server, PHONE, code, &sentence).await;
            page.assert_has("this number got as many codes as it may");
            server.advance(2 * DAY);
        }
    }

    async fn one_address_requested_as_many_codes_as_it_may(server: TestServer) {
        let desk = Desk::open(&server).await;
        let server = with(&server, &[("LIMIT_SENDS_PER_PHONE_AND_ADDRESS", "1/1h")]).await;
        let user = server.from(ADDRESS);
        let end = until(&server, 3600);
        user.signup(PHONE).await.assert_ok();
        server.advance(30);
        user.signup(PHONE).await.assert_error(429, "rate_limited");
        let sentence = format!("Too many codes for this number were requested from the address {ADDRESS}: no more {end}.");
        let page = desk.sees(&server, PHONE, "sends_from_address_used_up", &sentence).await;
        // What staff send is not charged to it.
        let sent = desk.submit(&server, &page, &format!("/admin/phones/{PHONE}/resend"), &[]).await;
        sent.assert_has("A code was sent by SMS.").assert_has("Staff had a code sent.");
        assert_eq!(server.codes_for(PHONE).len(), 2);
    }

    async fn one_address_sent_as_many_requests_as_it_may(server: TestServer) {
        let desk = Desk::open(&server).await;
        let server = with(&server, &[("LIMIT_REQUESTS_PER_ADDRESS", "1/1h")]).await;
        let user = server.from(ADDRESS);
        let end = until(&server, 3600);
        user.signup(OTHER_PHONE).await.assert_ok();
        user.signup(PHONE).await.assert_error(429, "rate_limited");
        let sentence = format!("Too many codes were requested from the address {ADDRESS}: no more {end}.");
        desk.sees(&server, PHONE, "address_requests_used_up", &sentence).await;
        server.advance(3600);
        let over = format!("The last request was refused at {}. What refused it is over.", "14:56:53");
        desk.sees(&server, PHONE, "refused_earlier", &over).await;
    }

    async fn one_address_guessed_as_often_as_it_may(server: TestServer) {
        let desk = Desk::open(&server).await;
        let server = with(&server, &[("LIMIT_GUESSES_PER_ADDRESS", "1/1h")]).await;
        for phone in [OTHER_PHONE, PHONE] {
            server.signup(phone).await.assert_ok();
        }
        let wrong = server.wrong_code_for(OTHER_PHONE);
        server.from(ADDRESS).verify_otp(OTHER_PHONE, &wrong).await.assert_error(400, "otp_invalid");
        guess(&server, ADDRESS).await.assert_error(429, "rate_limited");
        let sentence = format!(
            "Too many wrong codes were entered from the address {ADDRESS}: no more guesses {}.",
            until(&server, 3600)
        );
        desk.sees(&server, PHONE, "address_guesses_used_up", &sentence).await;
    }

    async fn a_known_device_has_limits_of_its_own(server: TestServer) {
        let desk = Desk::open(&server).await;
        let settings = [("LIMIT_SENDS_PER_DEVICE", "1/24h"), ("LIMIT_GUESSES_PER_DEVICE", "1/24h")];
        let server = with(&server, &settings).await;
        let token = device(&server).await;
        let end = until(&server, DAY);
        with_device(&server, "/api/auth/login", &token, json!({})).await.assert_ok();
        server.advance(30);
        with_device(&server, "/api/auth/login", &token, json!({})).await.assert_error(429, "rate_limited");
        let sentence = format!("The user's device requested too many codes: no more {end}.");
        desk.sees(&server, PHONE, "device_sends_used_up", &sentence).await;
        let wrong = json!({ "otp_code": server.wrong_code_for(PHONE) });
        let end = until(&server, DAY);
        for (status, code) in [(400, "otp_invalid"), (429, "phone_locked")] {
            with_device(&server, "/api/auth/verify-login", &token, wrong.clone()).await.assert_error(status, code);
        }
        let sentence = format!("Too many wrong codes were entered on the user's device: no more guesses {end}.");
        desk.sees(&server, PHONE, "device_guesses_used_up", &sentence).await;
    }

    async fn a_prefix_is_closed_and_staff_open_it(server: TestServer) {
        let desk = Desk::open(&server).await;
        let server = with(&server, &[("LIMIT_UNVERIFIED_SENDS_PER_PREFIX", "2/1h")]).await;
        for phone in ["+916205829301", "+916205829302"] {
            server.signup(phone).await.assert_ok();
        }
        server.advance(60);
        server.signup(PHONE).await.assert_error(429, "rate_limited");
        let sentence = format!(
            "Numbers that begin with +916205 are closed since {} {}, because too few of their codes were entered.",
            clock(&server),
            until(&server, 3600)
        );
        desk.sees(&server, PHONE, "prefix_closed", &sentence).await;
        // Also for a number that was never requested.
        let page = desk.sees(&server, "+916205829399", "prefix_closed", &sentence).await;
        let open = "/admin/phones/+916205829399/open-prefix";
        desk.submit(&server, &page, open, &[]).await.assert_has("get codes again.");
        desk.sees(&server, "+916205829399", "never_asked", "No code was ever requested for this number.").await;
        server.signup(PHONE).await.assert_ok();
    }

    async fn a_service_has_used_up_its_limits(server: TestServer) {
        let desk = Desk::open(&server).await;
        let limits = KeyLimits { sends_per_hour: 1, ..KeyLimits::default() };
        let shop = Service::with(&server, "shop", &Scope::ALL, limits).await;
        shop.started(&server, OTHER_PHONE).await;
        shop.start(&server, PHONE).await.assert_error(429, "rate_limited");
        let refused = |until: String| {
            format!("Another service asked for a check of this number, and a limit of that service refuses more {until}.")
        };
        let page = desk.sees(&server, PHONE, "service_limit_used_up", &refused(until(&server, 3600))).await;
        page.assert_has(
            "The service “shop” asked for a check of this number. No code was sent: the service had as many codes sent as it may.",
        );
        // Wrong codes there, which staff can lift.
        let wide = with(&server, &[("LIMIT_GUESSES_PER_PHONE_AND_ADDRESS", "3/24h")]).await;
        let bank = Service::new(&wide, "bank").await;
        let id = bank.started(&wide, PHONE).await;
        for _ in 0..3 {
            bank.guess(&wide, &id, PHONE).await.assert_error(400, "otp_invalid");
        }
        bank.check(&wide, &id, &wide.last_code_for(PHONE)).await.assert_error(429, "phone_locked");
        let page = desk.sees(&wide, PHONE, "service_limit_used_up", &refused(until(&server, DAY))).await;
        page.assert_has("Checks of this number for the service “bank” were locked: too many wrong codes within a day.");
        let page = desk.submit(&wide, &page, &format!("/admin/phones/{PHONE}/unlock"), &[]).await;
        page.assert_status(200).assert_has_not("a limit of that service refuses");
        bank.check(&wide, &id, &wide.last_code_for(PHONE)).await.assert_error(429, "otp_attempts_exhausted");
    }

    async fn the_messages_of_the_day_are_used_up(server: TestServer) {
        let desk = Desk::open(&server).await;
        let midnight = "until 00:00 on 15 March";
        // The last fifth is for phones that have an account.
        for (settings, code, sentence) in [
            ([("LIMIT_SENDS_PER_DAY", "2")], "day_cap_reached", format!("The messages of the day are used up {midnight}.")),
            (
                [("LIMIT_SENDS_PER_DAY_AND_COUNTRY", "IN:2")],
                "country_cap_reached",
                format!("The messages of the day to this country (IN) are used up {midnight}."),
            ),
        ] {
            server.execute("DELETE FROM budgets").await;
            let server = with(&server, &settings).await;
            server.signup(OTHER_PHONE).await.assert_ok();
            server.signup(PHONE).await.assert_error(429, "rate_limited");
            desk.sees(&server, PHONE, code, &sentence).await;
            server.advance(60);
        }
    }

    async fn the_hook_before_sending_stops_a_code(server: TestServer) {
        let desk = Desk::open(&server).await;
        let hook = Hook::that_answers("deny").await;
        let pow = [("BOT_PROOF", "pow"), ("BOT_PROOF_DIFFICULTY", "8"), ("BEFORE_SEND_ON_FAILURE", "deny")];
        let server = hook.asked_by(&server, &pow).await;
        server.signup(PHONE).await.assert_error(400, "phone_unreachable");
        let denied = format!("The operator's check before sending denied the code at {}, so it was not sent.", clock(&server));
        let page = desk.sees(&server, PHONE, "hook_denied", &denied).await;
        page.assert_has("No code was sent: the operator's check before sending denied it.");
        page.assert_has("The SMS failed: the operator's check before sending did not allow it.");
        server.advance(5);
        hook.answer(ResponseTemplate::new(500));
        server.signup(PHONE).await.assert_error(400, "phone_unreachable");
        let failed = format!("The operator's check before sending did not answer at {}, so no code was sent.", clock(&server));
        desk.sees(&server, PHONE, "hook_failed", &failed).await;
        server.advance(5);
        hook.decide("challenge");
        server.signup(PHONE).await.assert_error(403, "challenge_required");
        let wanted = format!("The operator's check before sending wanted the app to prove at {} that it is no bot, and it has not done so.", clock(&server));
        desk.sees(&server, PHONE, "hook_challenged", &wanted).await;
        server.advance(5);
        hook.decide("allow");
        server.signup(PHONE).await.assert_ok();
        assert_eq!(desk.json(&server, PHONE).await.text_at("/verdict/code"), "accepted_no_report");
    }

    async fn the_bot_check_stops_a_request(server: TestServer) {
        let desk = Desk::open(&server).await;
        let settings = [("BOT_PROOF", "pow"), ("BOT_PROOF_DIFFICULTY", "8")];
        let checked = server.second_server(&settings).await;
        let user = checked.from(ADDRESS);
        for _ in 0..10 {
            user.login("1").await.assert_error(422, "validation_failed");
        }
        let refused = user.signup(PHONE).await;
        let wrong = wrong_answer(&refused);
        let missing = format!("The app was asked at {} to prove that it is no bot, and has not done so.", clock(&server));
        desk.sees(&checked, PHONE, "bot_check_missing", &missing).await;
        server.advance(5);
        user.post("/api/auth/signup", json!({"phone_number": PHONE, "challenge_response": wrong})).await.assert_error(403, "challenge_required");
        let failed = format!("The bot check failed at {}, so no code was sent.", clock(&server));
        desk.sees(&checked, PHONE, "bot_check_failed", &failed).await;
        // A provider that does not answer.
        server.advance(5);
        let settings = [
            ("BOT_PROOF", "turnstile"),
            ("BOT_PROOF_SITE_KEY", "the-site-key"),
            ("BOT_PROOF_SECRET", "the-provider-secret"),
            ("BOT_PROOF_URL", "http://127.0.0.1:9"),
            ("BOT_PROOF_HOSTNAMES", "app.example.com"),
        ];
        let away = server.second_server(&settings).await;
        let body = json!({"phone_number": PHONE, "challenge_response": "token"});
        away.from(ADDRESS).post("/api/auth/signup", body).await.assert_error(503, "sms_unavailable");
        let unavailable = format!("The provider of the bot check did not answer at {}, so no code was sent.", clock(&server));
        desk.sees(&away, PHONE, "bot_check_unavailable", &unavailable).await;
    }
}
