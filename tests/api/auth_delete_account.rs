//! `POST /api/auth/delete-account`

use futures_util::future::join;
use poem::http::Method;
use serde_json::json;

use crate::{
    again::{assert_goes_on, assert_over, confirm_by_code, poke_as, post_as, register, sign_in_from},
    on_both,
    support::{OTHER_PHONE, PHONE, TestHouse, whole_profile, wrong},
};

const PATH: &str = "/api/auth/delete-account";

/// How many rows of any table hold this text in any column.
async fn rows_with(house: &TestHouse, text: &str) -> i64 {
    let columns = [
        ("accounts", "phone"),
        ("accounts", "name"),
        ("accounts", "claimed_phone"),
        ("challenges", "phone"),
        ("challenges", "holder"),
        ("leads", "phone"),
        ("messages", "phone"),
        ("sessions", "device"),
    ];
    let mut rows = 0;
    for (table, column) in columns {
        rows += house.count(&format!("SELECT COUNT(*) FROM {table} WHERE {column} = '{text}'")).await;
    }
    rows
}

on_both! {
    async fn everything_goes(house: TestHouse) {
        // Not about the limits, into which it would run.
        let house = house.without_limits().await;
        let elsewhere = sign_in_from(&house, PHONE, "Elsewhere").await;
        let tokens = sign_in_from(&house, PHONE, "Here").await;
        house.send_as(&tokens.access, Method::POST, "/api/auth/complete-profile", whole_profile()).await.assert_ok();
        let other = house.sign_in(OTHER_PHONE).await;
        confirm_by_code(&house, &tokens, PHONE).await;
        let answer = poke_as(&house, &tokens, PATH).await;
        answer.assert_ok();
        assert_eq!(answer.at("/data/user_id"), json!(tokens.user_id));
        assert_over(&house, &tokens).await;
        assert_over(&house, &elsewhere).await;
        for text in [PHONE, "Gaurav Kumar", "Elsewhere", tokens.user_id.as_str()] {
            assert_eq!(rows_with(&house, text).await, 0, "{text}");
        }
        assert_eq!(house.count("SELECT COUNT(*) FROM accounts").await, 1);
        assert_eq!(house.count("SELECT COUNT(*) FROM sessions").await, 1);
        assert_goes_on(&house, &other).await;
        house.refresh(&other.refresh).await.assert_ok();
    }

    async fn what_went_to_another_number_of_hers_goes_too(house: TestHouse) {
        let tokens = house.sign_in(PHONE).await;
        let (new, never) = ("+919876543211", "+919876543212");
        for phone in [never, new] {
            post_as(&house, &tokens, "/api/auth/change-phone", json!({ "phone_number": phone })).await.assert_ok();
        }
        let body = json!({ "phone_number": new, "otp_code": house.last_code_for(new) });
        post_as(&house, &tokens, "/api/auth/verify-change-phone", body).await.assert_ok();
        // The old number was told, and she can see that in what is held about her.
        let notice = format!("SELECT COUNT(*) FROM messages WHERE phone = '{PHONE}' AND template = 'phone_changed'");
        assert_eq!(house.count(&notice).await, 1);
        let bearer = house.get_as(&tokens.access, "/api/auth/export").await;
        assert_eq!(bearer.assert_ok().at("/messages").as_array().map(Vec::len), Some(3), "{}", bearer.text);
        poke_as(&house, &tokens, PATH).await.assert_ok();
        for phone in [PHONE, new, never] {
            let messages = format!("SELECT COUNT(*) FROM messages WHERE phone = '{phone}'");
            assert_eq!(house.count(&messages).await, 0, "{phone}");
        }
        assert_eq!((rows_with(&house, new).await, rows_with(&house, never).await), (0, 0));
    }

    async fn it_needs_a_fresh_proof(house: TestHouse) {
        let tokens = house.sign_in(PHONE).await;
        house.advance(601);
        poke_as(&house, &tokens, PATH).await.assert_error(403, "reauthentication_required");
        assert_goes_on(&house, &tokens).await;
        confirm_by_code(&house, &tokens, PHONE).await;
        house.post(PATH, json!({})).await.assert_error(401, "token_missing");
        poke_as(&house, &tokens, PATH).await.assert_ok();
        poke_as(&house, &tokens, PATH).await.assert_error(401, "token_revoked");
    }

    async fn the_phone_signs_up_anew_as_somebody_else(house: TestHouse) {
        let tokens = house.sign_in(PHONE).await;
        house.advance(30);
        poke_as(&house, &tokens, PATH).await.assert_ok();
        house.login(PHONE).await.assert_error(404, "user_not_found");
        let anew = house.sign_in(PHONE).await;
        assert_ne!(anew.user_id, tokens.user_id);
        assert_over(&house, &tokens).await;
        let profile = house.get_as(&anew.access, "/api/auth/profile").await;
        assert_eq!(profile.at("/name"), json!(null));
    }

    async fn leaving_and_coming_back_buys_no_message(house: TestHouse) {
        let tokens = house.sign_in(PHONE).await;
        house.advance(10);
        poke_as(&house, &tokens, PATH).await.assert_ok();
        let server = house.second_server(&[]).await;
        let answer = server.signup(PHONE).await;
        answer.assert_error(429, "otp_cooldown");
        assert_eq!(answer.at("/error/retry_after"), json!(20));
        house.advance(19);
        house.signup(PHONE).await.assert_error(429, "otp_cooldown");
        // Nobody else waits for it.
        house.signup(OTHER_PHONE).await.assert_ok();
        assert_eq!(house.count(&format!("SELECT COUNT(*) FROM challenges WHERE phone = '{PHONE}'")).await, 0);
        house.advance(1);
        house.signup(PHONE).await.assert_ok();
    }

    async fn leaving_and_coming_back_buys_no_guesses(house: TestHouse) {
        let tokens = house.sign_in(PHONE).await;
        house.advance(30);
        house.signup(PHONE).await.assert_ok();
        let guess = wrong(&house.last_code_for(PHONE));
        house.verify_otp(PHONE, &guess).await.assert_error(400, "otp_invalid");
        house.advance(30);
        poke_as(&house, &tokens, PATH).await.assert_ok();
        // The code that was guessed at would live on for 570 seconds.
        let answer = house.signup(PHONE).await;
        answer.assert_error(429, "otp_cooldown");
        assert_eq!(answer.at("/error/retry_after"), json!(570));
        house.verify_otp(PHONE, &guess).await.assert_error(400, "otp_not_found");
        house.advance(570);
        house.signup(PHONE).await.assert_ok();
    }

    async fn an_older_key_still_knows_what_it_marked(house: TestHouse) {
        let first = "the first secret key of the tests: 32 bytes or more";
        let house = TestHouse::with(house.database, &[("SECRET_KEY", first)]).await;
        let tokens = house.sign_in(PHONE).await;
        poke_as(&house, &tokens, PATH).await.assert_ok();
        let settings = [
            ("SECRET_KEY", "the next secret key of the tests: 32 bytes or more"),
            ("SECRET_KEY_FALLBACKS", first),
        ];
        let next = house.second_server(&settings).await;
        next.signup(PHONE).await.assert_error(429, "otp_cooldown");
    }

    async fn without_a_cooldown_there_is_none(house: TestHouse) {
        let house = TestHouse::with(house.database, &[("OTP_RESEND_SECONDS", "0")]).await;
        let tokens = house.sign_in(PHONE).await;
        poke_as(&house, &tokens, PATH).await.assert_ok();
        house.sign_in(PHONE).await;
    }

    async fn an_account_without_a_phone_goes_too(house: TestHouse) {
        let tokens = register(&house, "gaurav").await;
        poke_as(&house, &tokens, PATH).await.assert_ok();
        assert_over(&house, &tokens).await;
        assert_ne!(register(&house, "gaurav").await.user_id, tokens.user_id);
    }

    async fn the_only_admin_cannot_leave(house: TestHouse) {
        let tokens = register(&house, "boss").await;
        let staff = register(&house, "staff").await;
        house.execute("UPDATE accounts SET role = 'admin' WHERE username = 'boss'").await;
        house.execute("UPDATE accounts SET role = 'staff' WHERE username = 'staff'").await;
        poke_as(&house, &staff, PATH).await.assert_ok();
        let answer = poke_as(&house, &tokens, PATH).await;
        answer.assert_error(403, "forbidden");
        assert_goes_on(&house, &tokens).await;
        // A disabled admin is none.
        register(&house, "other").await;
        house.execute("UPDATE accounts SET role = 'admin', is_active = FALSE WHERE username = 'other'").await;
        poke_as(&house, &tokens, PATH).await.assert_error(403, "forbidden");
        house.execute("UPDATE accounts SET is_active = TRUE WHERE username = 'other'").await;
        poke_as(&house, &tokens, PATH).await.assert_ok();
    }

    async fn of_two_admins_who_leave_at_once_one_stays(house: TestHouse) {
        let (one, two) = (register(&house, "one").await, register(&house, "two").await);
        house.execute("UPDATE accounts SET role = 'admin'").await;
        let second_server = house.second_server(&[]).await;
        let (first, second) = join(poke_as(&house, &one, PATH), poke_as(&second_server, &two, PATH)).await;
        let (gone, stays) = if first.status == 200 { (first, second) } else { (second, first) };
        gone.assert_ok();
        stays.assert_error(403, "forbidden");
        assert_eq!(house.count("SELECT COUNT(*) FROM accounts").await, 1);
    }

    async fn a_sign_in_in_the_same_moment_is_before_it_or_makes_somebody_new(house: TestHouse) {
        // Not about the limits, into which it would run.
        let house = house.without_limits().await;
        let second_server = house.second_server(&[]).await;
        let mut tokens = house.sign_in(PHONE).await;
        for _ in 0..5 {
            house.advance(30);
            house.signup(PHONE).await.assert_ok();
            let code = house.last_code_for(PHONE);
            let leaving = poke_as(&house, &tokens, PATH);
            let (left, came) = join(leaving, second_server.verify_otp(PHONE, &code)).await;
            left.assert_ok();
            assert_over(&house, &tokens).await;
            match came.status.as_u16() {
                200 if came.text_at("/data/user_id") == tokens.user_id => {
                    house.get_as(&came.text_at("/token"), "/api/auth/profile").await.assert_error(401, "token_revoked");
                }
                200 => assert_goes_on(&house, &crate::again::tokens_of(&came)).await,
                _ => came.assert_error(400, "otp_not_found"),
            }
            house.advance(600);
            tokens = sign_in_from(&house, PHONE, "Again").await;
        }
    }

    async fn a_report_of_a_message_that_is_forgotten_changes_nothing(house: TestHouse) {
        let tokens = house.sign_in(PHONE).await;
        poke_as(&house, &tokens, PATH).await.assert_ok();
        house.play(3600).await;
        assert_eq!(house.count("SELECT COUNT(*) FROM messages").await, 0);
    }
}
