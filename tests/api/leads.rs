//! Leads: everyone who asked for a code, for the sales team to follow up.

use chrono::Duration;
use loopin_auth::{
    domain::{audit::Actor, retention::Retention},
    flows::purge::purge,
};
use poem::http::StatusCode;

use crate::{
    on_both,
    support::{OTHER_PHONE, PHONE, TestHouse},
};

/// How many leads there are like this.
async fn leads(house: &TestHouse, like: &str) -> i64 {
    house.count(&format!("SELECT COUNT(*) FROM leads WHERE {like}")).await
}

on_both! {
    async fn who_asked_is_a_lead(house: TestHouse) {
        house.signup(PHONE).await.assert_ok();
        let like = format!(
            "phone = '{PHONE}' AND source = 'signup' AND state = 'new' AND requests = 1 AND notes = '' \
             AND converted_at IS NULL AND first_requested_at = last_requested_at"
        );
        assert_eq!(leads(&house, &like).await, 1);
    }

    async fn asking_again_is_counted_and_moves_only_the_last_time(house: TestHouse) {
        house.signup(PHONE).await.assert_ok();
        house.execute("CREATE TABLE before AS SELECT * FROM leads").await;
        house.advance(30);
        house.signup(PHONE).await.assert_ok();
        let same = "SELECT COUNT(*) FROM leads JOIN before ON leads.id = before.id \
                    AND leads.first_requested_at = before.first_requested_at \
                    AND leads.last_requested_at > before.last_requested_at WHERE leads.requests = 2";
        assert_eq!(house.count(same).await, 1);
    }

    async fn who_asked_first_by_logging_in_came_from_there(house: TestHouse) {
        house.sign_in(PHONE).await;
        house.execute("DELETE FROM leads").await;
        house.advance(30);
        house.login(PHONE).await.assert_ok();
        house.advance(30);
        house.signup(PHONE).await.assert_ok();
        assert_eq!(leads(&house, "source = 'login' AND requests = 2").await, 1);
    }

    async fn twenty_wishes_at_once_are_one_lead(house: TestHouse) {
        let settings = [("OTP_RESEND_SECONDS", "0"), ("RATE_LIMITS_ENABLED", "false")];
        let house = TestHouse::with(house.database, &settings).await;
        futures_util::future::join_all((0..20).map(|_| house.signup(PHONE))).await;
        assert_eq!(leads(&house, "requests = 20").await, 1);
    }

    async fn the_code_that_comes_back_converts_her(house: TestHouse) {
        house.signup(PHONE).await.assert_ok();
        house.signup(OTHER_PHONE).await.assert_ok();
        house.verify_otp(PHONE, &house.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        assert_eq!(leads(&house, "state = 'new'").await, 2);
        house.advance(5);
        house.verify_otp(PHONE, &house.last_code_for(PHONE)).await.assert_ok();
        let like = format!("phone = '{PHONE}' AND state = 'converted' AND converted_at > last_requested_at");
        assert_eq!(leads(&house, &like).await, 1);
        assert_eq!(leads(&house, "state = 'new' AND converted_at IS NULL").await, 1);
    }

    async fn whom_the_sales_team_knows_is_converted_too_and_keeps_the_notes(house: TestHouse) {
        for state in ["contacted", "lost"] {
            let phone = if state == "lost" { PHONE } else { OTHER_PHONE };
            house.signup(phone).await.assert_ok();
            let told = format!("UPDATE leads SET state = '{state}', notes = 'call back' WHERE phone = '{phone}'");
            house.execute(&told).await;
            house.advance(30);
            house.signup(phone).await.assert_ok();
            assert_eq!(leads(&house, &format!("state = '{state}' AND notes = 'call back'")).await, 1);
            house.verify_otp(phone, &house.last_code_for(phone)).await.assert_ok();
            let like = format!("phone = '{phone}' AND state = 'converted' AND notes = 'call back'");
            assert_eq!(leads(&house, &like).await, 1);
        }
    }

    async fn converted_is_once_and_for_good(house: TestHouse) {
        house.sign_in(PHONE).await;
        house.execute("CREATE TABLE before AS SELECT * FROM leads").await;
        house.advance(30);
        house.login(PHONE).await.assert_ok();
        house.verify_login(PHONE, &house.last_code_for(PHONE)).await.assert_ok();
        let same = "SELECT COUNT(*) FROM leads JOIN before ON leads.converted_at = before.converted_at \
                    WHERE leads.state = 'converted' AND leads.requests = 2";
        assert_eq!(house.count(same).await, 1);
    }

    async fn who_could_not_be_reached_asked_all_the_same(house: TestHouse) {
        let twilio = [
            ("TWILIO_TEST_MODE", "false"), ("TWILIO_ACCOUNT_SID", "AC1"), ("TWILIO_AUTH_TOKEN", "token"),
            ("TWILIO_PHONE_NUMBER", "+15005550006"), ("TWILIO_API_BASE_URL", "http://127.0.0.1:9"),
        ];
        let server = house.second_server(&twilio).await;
        assert_eq!(server.signup(PHONE).await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(leads(&house, "state = 'new' AND requests = 1").await, 1);
    }

    async fn who_is_told_to_wait_or_has_no_number_is_no_new_lead(house: TestHouse) {
        house.signup(PHONE).await.assert_ok();
        house.signup(PHONE).await.assert_error(429, "otp_cooldown");
        house.signup("12345").await.assert_error(422, "validation_failed");
        assert_eq!(leads(&house, "TRUE").await, 1);
    }

    async fn forgetting_codes_and_messages_forgets_no_lead(house: TestHouse) {
        house.sign_in(PHONE).await;
        house.signup(OTHER_PHONE).await.assert_ok();
        house.advance(8 * 24 * 3600);
        let purged = purge(&house.services, &Retention::of(Duration::zero()), Actor::System).await.unwrap();
        assert_eq!((purged.challenges, purged.messages, purged.sessions), (2, 2, 1));
        assert_eq!(leads(&house, "state = 'converted'").await, 1);
        assert_eq!(leads(&house, "state = 'new'").await, 1);
        assert_eq!(house.count("SELECT COUNT(*) FROM accounts").await, 1);
        house.login(PHONE).await.assert_ok();
        house.verify_login(PHONE, &house.last_code_for(PHONE)).await.assert_ok();
    }
}
