//! Leads: everyone who requested a code, for the sales team to follow up.

use chrono::Duration;
use loopin_auth::{
    domain::{audit::Actor, retention::Retention},
    flows::purge::purge,
};
use poem::http::StatusCode;

use crate::{
    on_both,
    support::{OTHER_PHONE, PHONE, TestServer},
};

/// The number of leads with this condition.
async fn leads(server: &TestServer, like: &str) -> i64 {
    server.count(&format!("SELECT COUNT(*) FROM leads WHERE {like}")).await
}

on_both! {
    async fn who_asked_is_a_lead(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let like = format!(
            "phone = '{PHONE}' AND source = 'signup' AND state = 'new' AND requests = 1 AND notes = '' \
             AND converted_at IS NULL AND first_requested_at = last_requested_at"
        );
        assert_eq!(leads(&server, &like).await, 1);
    }

    async fn asking_again_is_counted_and_moves_only_the_last_time(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        server.execute("CREATE TABLE before AS SELECT * FROM leads").await;
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        let same = "SELECT COUNT(*) FROM leads JOIN before ON leads.id = before.id \
                    AND leads.first_requested_at = before.first_requested_at \
                    AND leads.last_requested_at > before.last_requested_at WHERE leads.requests = 2";
        assert_eq!(server.count(same).await, 1);
    }

    async fn who_asked_first_by_logging_in_came_from_there(server: TestServer) {
        server.sign_in(PHONE).await;
        server.execute("DELETE FROM leads").await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        assert_eq!(leads(&server, "source = 'login' AND requests = 2").await, 1);
    }

    async fn twenty_wishes_at_once_are_one_lead(server: TestServer) {
        let settings = [("OTP_RESEND_SECONDS", "0"), ("RATE_LIMITS_ENABLED", "false")];
        let server = TestServer::with(server.database, &settings).await;
        futures_util::future::join_all((0..20).map(|_| server.signup(PHONE))).await;
        assert_eq!(leads(&server, "requests = 20").await, 1);
    }

    async fn the_code_that_comes_back_converts_her(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        server.signup(OTHER_PHONE).await.assert_ok();
        server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        assert_eq!(leads(&server, "state = 'new'").await, 2);
        server.advance(5);
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        let like = format!("phone = '{PHONE}' AND state = 'converted' AND converted_at > last_requested_at");
        assert_eq!(leads(&server, &like).await, 1);
        assert_eq!(leads(&server, "state = 'new' AND converted_at IS NULL").await, 1);
    }

    async fn whom_the_sales_team_knows_is_converted_too_and_keeps_the_notes(server: TestServer) {
        for state in ["contacted", "lost"] {
            let phone = if state == "lost" { PHONE } else { OTHER_PHONE };
            server.signup(phone).await.assert_ok();
            let update = format!("UPDATE leads SET state = '{state}', notes = 'call back' WHERE phone = '{phone}'");
            server.execute(&update).await;
            server.advance(30);
            server.signup(phone).await.assert_ok();
            assert_eq!(leads(&server, &format!("state = '{state}' AND notes = 'call back'")).await, 1);
            server.verify_otp(phone, &server.last_code_for(phone)).await.assert_ok();
            let like = format!("phone = '{phone}' AND state = 'converted' AND notes = 'call back'");
            assert_eq!(leads(&server, &like).await, 1);
        }
    }

    async fn converted_is_once_and_for_good(server: TestServer) {
        server.sign_in(PHONE).await;
        server.execute("CREATE TABLE before AS SELECT * FROM leads").await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        server.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        let same = "SELECT COUNT(*) FROM leads JOIN before ON leads.converted_at = before.converted_at \
                    WHERE leads.state = 'converted' AND leads.requests = 2";
        assert_eq!(server.count(same).await, 1);
    }

    async fn who_could_not_be_reached_asked_all_the_same(server: TestServer) {
        let twilio = [
            ("TWILIO_TEST_MODE", "false"), ("TWILIO_ACCOUNT_SID", "AC1"), ("TWILIO_AUTH_TOKEN", "token"),
            ("TWILIO_PHONE_NUMBER", "+15005550006"), ("TWILIO_API_BASE_URL", "http://127.0.0.1:9"),
        ];
        let other = server.second_server(&twilio).await;
        assert_eq!(other.signup(PHONE).await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(leads(&server, "state = 'new' AND requests = 1").await, 1);
    }

    async fn who_is_told_to_wait_or_has_no_number_is_no_new_lead(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        server.signup(PHONE).await.assert_error(429, "otp_cooldown");
        server.signup("12345").await.assert_error(422, "validation_failed");
        assert_eq!(leads(&server, "TRUE").await, 1);
    }

    async fn forgetting_codes_and_messages_forgets_no_lead(server: TestServer) {
        server.sign_in(PHONE).await;
        server.signup(OTHER_PHONE).await.assert_ok();
        server.advance(8 * 24 * 3600);
        let purged = purge(&server.services, &Retention::new(Duration::zero()), Actor::System).await.unwrap();
        assert_eq!((purged.challenges, purged.messages, purged.sessions), (2, 2, 1));
        assert_eq!(leads(&server, "state = 'converted'").await, 1);
        assert_eq!(leads(&server, "state = 'new'").await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 1);
        server.login(PHONE).await.assert_ok();
        server.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }
}
