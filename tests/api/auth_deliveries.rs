//! `GET /api/auth/deliveries/{delivery_id}`: the status of a message while the user waits for it.

use serde_json::{Value, json};

use crate::{
    on_both,
    support::{Answer, OTHER_PHONE, PHONE},
};

/// A number of test mode whose messages are undelivered.
const UNDELIVERED: &str = "+15005550011";

fn instant(answer: &Answer) -> chrono::DateTime<chrono::Utc> {
    answer.text_at("/updated_at").parse().unwrap()
}

on_both! {
    async fn a_message_goes_from_queued_to_delivered(server: TestServer) {
        let answer = server.signup(PHONE).await;
        let queued_at = server.now();
        let queued = server.delivery(answer.assert_ok()).await;
        let text = queued.assert_ok().text_at("/updated_at");
        assert_eq!(queued.json(), json!({"status": "queued", "channel": "sms", "updated_at": text}));
        assert!(text.ends_with("+00:00") && instant(&queued) == queued_at, "{text}");
        server.play(10).await;
        let delivered = server.delivery(&answer).await;
        assert_eq!(delivered.text_at("/status"), "delivered");
        assert_eq!(delivered.at("/reason"), Value::Null);
        assert_eq!(instant(&delivered), queued_at + chrono::Duration::seconds(10));
        // No further report follows.
        server.play(3600).await;
        assert_eq!(server.delivery(&answer).await.json(), delivered.json());
    }

    async fn a_message_that_comes_back_says_why(server: TestServer) {
        let answer = server.signup(UNDELIVERED).await;
        server.play(10).await;
        let lost = server.delivery(answer.assert_ok()).await;
        assert_eq!(lost.assert_ok().text_at("/status"), "undelivered");
        assert_eq!(lost.text_at("/reason"), "invalid");
        // The code is still valid: the message may have arrived after all.
        let code = server.last_code_for(UNDELIVERED);
        server.verify_otp(UNDELIVERED, &code).await.assert_ok();
    }

    async fn login_names_a_delivery_too(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(30);
        let answer = server.login(PHONE).await;
        assert_eq!(server.delivery(answer.assert_ok()).await.assert_ok().text_at("/status"), "queued");
    }

    async fn each_wish_is_a_delivery_of_its_own_that_nobody_can_guess(server: TestServer) {
        let mut ids = Vec::new();
        for phone in [PHONE, OTHER_PHONE, PHONE] {
            let answer = server.signup(phone).await;
            let id: uuid::Uuid = answer.assert_ok().text_at("/data/delivery_id").parse().unwrap();
            // Not a version 7 UUID, which begins with the time and can be guessed (RFC 9562).
            assert_ne!(i64::try_from(id.as_u128() >> 80).unwrap(), server.now().timestamp_millis());
            ids.push(id);
            server.advance(30);
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 3);
        // The ids of messages are in logs, and are not ids of deliveries.
        let message = server.inbox_of(PHONE)[0].id;
        server.get(&format!("/api/auth/deliveries/{message}")).await.assert_error(404, "not_found");
    }

    async fn what_is_no_delivery_is_not_found(server: TestServer) {
        for id in ["00000000-0000-0000-0000-000000000000", "1", "%00", "%ff", "%F0%9F%98%80", "null", "a b"] {
            let path = format!("/api/auth/deliveries/{}", id.replace(' ', "%20"));
            server.get(&path).await.assert_error(404, "not_found");
        }
    }

    async fn a_delivery_outlives_its_code_and_not_the_purge(server: TestServer) {
        let answer = server.signup(PHONE).await;
        server.play(86_400).await;
        assert_eq!(server.delivery(&answer).await.assert_ok().text_at("/status"), "delivered");
        server.advance(86_400 * 90);
        let kept = loopin_auth::domain::retention::Retention::new(chrono::Duration::days(90));
        let by = loopin_auth::domain::audit::Actor::System;
        loopin_auth::flows::purge::purge(&server.services, &kept, by).await.unwrap();
        server.delivery(&answer).await.assert_error(404, "not_found");
    }
}
