//! The channel and the language of a code, and what is sent when it is undelivered.

use loopin_auth::domain::delivery::Channel;
use serde_json::json;

use crate::{
    on_both,
    support::{PHONE, TestServer},
};

/// A number of test mode whose SMS is undelivered; other channels deliver.
const UNDELIVERED: &str = "+15005550011";

const ALL: (&str, &str) = ("OTP_CHANNELS", "sms,whatsapp,call");

async fn server_with(server: &TestServer, settings: &[(&str, &str)]) -> TestServer {
    server.second_server(settings).await
}

/// The channels of the codes to this phone, oldest first.
fn channels(server: &TestServer, phone: &str) -> Vec<Channel> {
    server.inbox_of(phone).iter().rev().map(|message| message.channel).collect()
}

on_both! {
    async fn a_code_goes_by_the_way_that_is_wished(server: TestServer) {
        let server = server_with(&server, &[ALL]).await;
        for (channel, phone) in
            [("sms", "+919876543211"), ("whatsapp", "+919876543212"), ("call", "+919876543213")]
        {
            let answer = server.signup_with(phone, json!({ "channel": channel }), "").await;
            assert_eq!(server.delivery(answer.assert_ok()).await.text_at("/channel"), channel);
            let code = server.last_code_for(phone);
            server.verify_otp(phone, &code).await.assert_ok();
        }
        let calls = server.inbox_of("+919876543213");
        let spelt = calls[0].otp_code.clone().unwrap().chars().map(String::from).collect::<Vec<_>>().join(", ");
        assert!(calls[0].body.contains(&spelt), "{}", calls[0].body);
    }

    async fn a_way_that_is_off_or_none_is_named_beside_the_other_faults(server: TestServer) {
        for channel in [json!("whatsapp"), json!("call"), json!("pigeon"), json!("SMS"), json!(1), json!("")] {
            let answer = server.signup_with("nobody", json!({ "channel": channel, "platform": "dos" }), "").await;
            answer.assert_error(422, "validation_failed");
            for field in ["channel", "platform", "phone_number"] {
                assert!(answer.at(&format!("/error/fields/{field}/0")).is_string(), "{}", answer.text);
            }
        }
        let body = json!({"phone_number": PHONE, "channel": "call"});
        server.post("/api/auth/login", body).await.assert_error(422, "validation_failed");
        assert!(server.inbox_of(PHONE).is_empty());
        // Null counts as absent.
        server.signup_with(PHONE, json!({ "channel": null, "platform": null }), "").await.assert_ok();
    }

    async fn a_resend_by_another_way_is_the_same_code_under_the_same_cooldown(server: TestServer) {
        let server = server_with(&server, &[ALL]).await;
        server.signup(PHONE).await.assert_ok();
        let by_call = json!({ "channel": "call" });
        let too_soon = server.signup_with(PHONE, by_call.clone(), "").await;
        too_soon.assert_error(429, "otp_cooldown");
        server.advance(30);
        let answer = server.signup_with(PHONE, by_call, "").await;
        assert_eq!(answer.assert_ok().at("/data/expires_in"), json!(570));
        let codes = server.codes_for(PHONE);
        assert_eq!((channels(&server, PHONE), codes[0] == codes[1]), (vec![Channel::Sms, Channel::Call], true));
    }

    async fn where_text_messages_are_off_another_way_is_the_usual_one(server: TestServer) {
        let server = server_with(&server, &[("OTP_CHANNELS", "whatsapp,call")]).await;
        let answer = server.signup(PHONE).await;
        assert_eq!(server.delivery(answer.assert_ok()).await.text_at("/channel"), "whatsapp");
        let by_sms = server.signup_with(PHONE, json!({ "channel": "sms" }), "").await;
        by_sms.assert_error(422, "validation_failed");
    }

    async fn a_message_that_comes_back_is_followed_by_one_by_the_next_way(server: TestServer) {
        let server = server_with(&server, &[ALL, ("OTP_FALLBACK", "whatsapp,call")]).await;
        let answer = server.signup_with(UNDELIVERED, json!({}), "hi-IN").await;
        server.play(5).await;
        let followed = server.delivery(answer.assert_ok()).await;
        assert_eq!((followed.text_at("/channel"), followed.text_at("/status")), ("whatsapp".into(), "queued".into()));
        server.play(5).await;
        assert_eq!(server.delivery(&answer).await.text_at("/status"), "delivered");
        // Sent once, with the same code, in the same language, and without a guess.
        server.play(60).await;
        assert_eq!(channels(&server, UNDELIVERED), [Channel::Sms, Channel::WhatsApp]);
        let messages = server.inbox_of(UNDELIVERED);
        assert_eq!(messages[0].otp_code, messages[1].otp_code);
        assert!(messages.iter().all(|message| message.body.contains("कोड")), "{:?}", messages[0].body);
        server.verify_otp(UNDELIVERED, messages[0].otp_code.as_deref().unwrap()).await.assert_ok();
    }

    async fn without_a_fall_back_nothing_follows(server: TestServer) {
        let server = server_with(&server, &[ALL]).await;
        server.signup(UNDELIVERED).await.assert_ok();
        server.play(60).await;
        assert_eq!(channels(&server, UNDELIVERED), [Channel::Sms]);
    }

    async fn a_code_that_was_used_or_is_about_to_die_is_not_sent_again(server: TestServer) {
        let server = server_with(&server, &[ALL, ("OTP_FALLBACK", "whatsapp")]).await;
        server.signup(UNDELIVERED).await.assert_ok();
        let code = server.last_code_for(UNDELIVERED);
        server.verify_otp(UNDELIVERED, &code).await.assert_ok();
        server.play(60).await;
        assert_eq!(channels(&server, UNDELIVERED), [Channel::Sms], "used");
        server.advance(600);
        server.login(UNDELIVERED).await.assert_ok();
        server.play(500).await;
        assert_eq!(channels(&server, UNDELIVERED), [Channel::Sms, Channel::Sms], "100 seconds are left");
        server.advance(600);
        server.login(UNDELIVERED).await.assert_ok();
        let wrong = server.wrong_code_for(UNDELIVERED);
        for _ in 0..3 {
            server.verify_otp(UNDELIVERED, &wrong).await;
        }
        server.play(60).await;
        assert_eq!(channels(&server, UNDELIVERED), [Channel::Sms; 3], "no guess is left");
    }

    async fn the_text_is_in_the_first_language_that_the_server_has(server: TestServer) {
        for (last, languages, word) in [
            (1, "hi-IN,en;q=0.5", "कोड"),
            (2, "en;q=0.5, hi;q=0.9", "कोड"),
            (3, "xx, tlh;q=0.9", "Your Loopin verification code is"),
            (4, "", "Your Loopin verification code is"),
            (5, "en-GB, hi;q=0.9", "Your Loopin verification code is"),
        ] {
            let phone = format!("+91987654322{last}");
            server.signup_with(&phone, json!({}), languages).await.assert_ok();
            let messages = server.inbox_of(&phone);
            assert!(messages[0].body.contains(word), "{languages}: {}", messages[0].body);
            assert!(messages[0].body.contains(messages[0].otp_code.as_deref().unwrap()));
        }
    }

    async fn a_text_ends_as_the_phone_reads_it_by_itself(server: TestServer) {
        let settings =
            [("SMS_WEBOTP_DOMAIN", "app.example.com"), ("SMS_ANDROID_APP_HASH", "FA+9qCX9VSu")];
        let server = server_with(&server, &settings).await;
        for (last, platform) in [(1, json!("web")), (2, json!("ios")), (3, json!(null)), (4, json!("android"))] {
            let phone = format!("+91987654323{last}");
            server.signup_with(&phone, json!({ "platform": platform }), "").await.assert_ok();
            let message = &server.inbox_of(&phone)[0];
            let end = match platform.as_str() {
                Some("android") => "FA+9qCX9VSu".to_owned(),
                _ => format!("@app.example.com #{}", message.otp_code.as_deref().unwrap()),
            };
            assert_eq!(message.body.lines().last(), Some(end.as_str()), "{platform}");
            assert_eq!(message.body.lines().count(), 2, "{}", message.body);
        }
    }
}
