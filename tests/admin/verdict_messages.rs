//! The verdict on a phone: what became of the last message and of its code. Every case is made through the API.

use wiremock::MockServer;

use crate::{
    desk::{Desk, clock},
    on_both,
    support::{PHONE, TestServer, wait_until},
    twilio,
};

/// Checks the verdict on a number of the test inbox whose message is refused.
async fn refused_at_once(server: &TestServer, desk: &Desk, phone: &str, status: u16, code: &str, why: &str) {
    let answer = server.signup(phone).await;
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    let at = clock(server);
    desk.sees(server, phone, code, &why.replace("{at}", &at)).await;
}

on_both! {
    async fn a_message_is_accepted_passed_on_and_delivered(server: TestServer) {
        let desk = Desk::open(&server).await;
        // The test inbox reports this one after 20 and after 30 seconds.
        let slow = "+15005550010";
        server.signup(slow).await.assert_ok();
        let accepted = format!("Accepted by the provider at {}, and no report came yet.", clock(&server));
        let page = desk.sees(&server, slow, "accepted_no_report", &accepted).await;
        assert!(page.html.contains("data-refresh=\"5\""), "it looks for news");
        server.play(20).await;
        let passed = format!("Passed on to the carrier at {}, and no report of its delivery came yet.", clock(&server));
        desk.sees(&server, slow, "passed_on_no_report", &passed).await;
        server.play(10).await;
        let delivered = format!("Delivered at {}, and no code was entered since.", clock(&server));
        desk.sees(&server, slow, "delivered_not_entered", &delivered).await;
        server.advance(570);
        desk.sees(&server, slow, "delivered_not_entered", &delivered).await;
        server.advance(1);
        let unused = delivered.replace(", and no code was entered since.", ", and no code was entered before it expired at 15:06:53.");
        let page = desk.sees(&server, slow, "expired_unused", &unused).await;
        assert!(!page.html.contains("data-refresh"), "nothing more becomes known");
    }

    async fn a_code_expires_and_no_report_ever_came(server: TestServer) {
        let desk = Desk::open(&server).await;
        server.signup(PHONE).await.assert_ok();
        server.advance(601);
        let sentence = "Accepted by the provider at 14:56:53, and no report came before the code expired at 15:06:53.";
        desk.sees(&server, PHONE, "expired_without_report", sentence).await;
    }

    async fn wrong_codes_are_counted_until_none_is_left(server: TestServer) {
        let desk = Desk::open(&server).await;
        server.signup(PHONE).await.assert_ok();
        server.play(2).await;
        for (left, sentence) in [
            (2, "A wrong code was entered at {at}; 2 guesses are left."),
            (1, "A wrong code was entered at {at}; 1 guess is left."),
        ] {
            server.advance(10);
            let wrong = server.wrong_code_for(PHONE);
            let answer = server.verify_otp(PHONE, &wrong).await;
            assert_eq!(answer.at("/error/attempts_remaining"), serde_json::json!(left));
            desk.sees(&server, PHONE, "wrong_code", &sentence.replace("{at}", &clock(&server))).await;
        }
        // The code is sent again: the same one.
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        server.play(2).await;
        let delivered = format!("Delivered at {}, and no code was entered since.", clock(&server));
        desk.sees(&server, PHONE, "delivered_not_entered", &delivered).await;
        server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        let used_up = format!("The code was entered wrongly three times, the last time at {}.", clock(&server));
        let page = desk.sees(&server, PHONE, "guesses_used_up", &used_up).await;
        page.assert_has("A wrong code was entered.");
    }

    async fn a_code_expires_after_a_wrong_guess(server: TestServer) {
        let desk = Desk::open(&server).await;
        server.signup(PHONE).await.assert_ok();
        server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        server.advance(601);
        let sentence = "The code expired at 15:06:53, after a wrong code was entered.";
        desk.sees(&server, PHONE, "expired_after_wrong_code", sentence).await;
    }

    async fn the_provider_refuses_a_number(server: TestServer) {
        let desk = Desk::open(&server).await;
        for (phone, code, why) in [
            ("+15005550001", "number_unreachable", "it is not a valid number"),
            ("+15005550002", "number_unreachable", "the provider has no way to reach this number from our sender"),
            ("+15005550003", "number_unreachable", "our account at the provider sends no messages to this country"),
            ("+15005550004", "opted_out", "the user wrote STOP to our number"),
            ("+15005550009", "number_unreachable", "it is not a mobile number"),
        ] {
            let sentence = format!("The provider refused the message at {{at}}: {why}.");
            refused_at_once(&server, &desk, phone, 400, code, &sentence).await;
        }
    }

    async fn the_provider_refuses_us_or_is_away(server: TestServer) {
        let desk = Desk::open(&server).await;
        let us = "The provider refused the message at {at} because of our account or our settings.";
        refused_at_once(&server, &desk, "+15005550013", 502, "provider_refuses_us", us).await;
        let away = "The provider was not available at {at}, so no code was sent.";
        refused_at_once(&server, &desk, "+15005550012", 503, "provider_unavailable", away).await;
    }

    async fn a_carrier_does_not_deliver_and_says_why(server: TestServer) {
        let desk = Desk::open(&server).await;
        let stub = MockServer::start().await;
        let other = twilio::server_with(&server, &stub).await;
        let mut phones = (0..).map(|n| format!("+9198765432{n:02}"));
        for (status, error, code, why) in [
            ("undelivered", "30003", "undelivered", "the phone is switched off or out of reach"),
            ("undelivered", "30006", "undelivered", "it is a landline, or its carrier takes no messages"),
            ("undelivered", "30007", "undelivered", "the carrier's filter took it for spam"),
            ("failed", "30034", "undelivered", "our sender is not registered with the carriers of this country"),
            ("undelivered", "30008", "undelivered", "the carrier gave no reason"),
            ("undelivered", "", "undelivered", "the carrier gave no reason"),
            ("failed", "30450", "undelivered", "the provider took it for fraud"),
            ("undelivered", "21610", "opted_out", "the user wrote STOP to our number"),
        ] {
            let phone = phones.next().unwrap();
            twilio::answer(&stub, twilio::accepted()).await;
            other.signup(&phone).await.assert_ok();
            server.advance(5);
            twilio::report(&other, status, error).await;
            let at = clock(&server);
            let sentence = if code == "opted_out" {
                format!("The provider refused the message at {at}: {why}.")
            } else {
                format!("The SMS was not delivered, as reported at {at}: {why}.")
            };
            desk.sees(&other, &phone, code, &sentence).await;
            server.execute("DELETE FROM messages").await;
        }
    }

    async fn the_provider_does_not_confirm_a_message(server: TestServer) {
        let desk = Desk::open(&server).await;
        let stub = MockServer::start().await;
        let other = twilio::server_with(&server, &stub).await;
        twilio::answer(&stub, twilio::refused(500, 20_500)).await;
        other.signup(PHONE).await.assert_error(503, "sms_unavailable");
        let sentence = format!("The provider did not confirm the message at {}: it may have been sent or not.", clock(&server));
        desk.sees(&other, PHONE, "outcome_unknown", &sentence).await;
    }

    async fn the_provider_has_not_answered_yet(server: TestServer) {
        let desk = Desk::open(&server).await;
        let stub = MockServer::start().await;
        let other = twilio::server_with(&server, &stub).await;
        // Longer than the two looks at the phone take.
        twilio::answer(&stub, twilio::accepted().set_delay(std::time::Duration::from_secs(5))).await;
        let sender = other.clone();
        let request = tokio::spawn(async move { sender.signup(PHONE).await });
        wait_until("the message is on its way", async || !stub.received_requests().await.unwrap().is_empty()).await;
        let sentence = format!("The message was handed to the provider at {}, and it has not answered yet.", clock(&server));
        desk.sees(&other, PHONE, "sending", &sentence).await;
        request.await.unwrap().assert_ok();
    }

    async fn the_next_provider_takes_over(server: TestServer) {
        let desk = Desk::open(&server).await;
        let (stub, webhook) = (MockServer::start().await, MockServer::start().await);
        let other = twilio::server_before_webhook(&server, &stub, &webhook.uri()).await;
        let words = serde_json::json!({"code": 20_003, "message": "Authenticate AC0123 for +916205829376", "status": 401});
        twilio::answer(&stub, wiremock::ResponseTemplate::new(401).set_body_json(words)).await;
        twilio::answer(&webhook, wiremock::ResponseTemplate::new(200)).await;
        other.signup(PHONE).await.assert_ok();
        let sentence = format!(
            "The SMS through Twilio failed (wrong credentials), so the code went through the webhook: sent at {}, and no \
             code was entered since.",
            clock(&server)
        );
        let page = desk.sees(&other, PHONE, "another_provider", &sentence).await;
        page.assert_has("A code was to be sent by SMS through Twilio.")
            .assert_has("The SMS failed: wrong credentials (error 20003: Authenticate … for …).")
            .assert_has("A code was to be sent by SMS through the webhook.")
            .assert_has("The webhook accepted the SMS.");
    }

    async fn the_next_channel_takes_over(server: TestServer) {
        let desk = Desk::open(&server).await;
        let settings = [("OTP_CHANNELS", "sms,whatsapp"), ("OTP_FALLBACK", "whatsapp")];
        let other = server.second_server(&settings).await;
        // By SMS it fails after three seconds.
        let phone = "+15005550011";
        other.signup(phone).await.assert_ok();
        other.play(3).await;
        let at = clock(&server);
        let sentence = format!("The SMS failed (the number is not in use), so the code went by WhatsApp: sent at {at}, and no code was entered since.");
        desk.sees(&other, phone, "another_channel", &sentence).await;
        other.play(1).await;
        let at = clock(&server);
        let sentence = format!("The SMS failed (the number is not in use), so the code went by WhatsApp: delivered at {at}, and no code was entered since.");
        let page = desk.sees(&other, phone, "another_channel", &sentence).await;
        page.assert_has("The SMS was not delivered: the number is not in use.").assert_has("The WhatsApp message was delivered.");
    }
}
