//! `/api/verifications`: checks of phones for other services.

use loopin_auth::domain::audit::Action;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    on_both,
    prefixes::entries,
    support::{Answer, OTHER_PHONE, PHONE, service::Service, wrong},
};

#[track_caller]
fn assert_created(answer: &Answer) {
    assert_eq!(answer.status, 201, "{}", answer.text);
}

/// The names of the fields with errors.
fn faults(answer: &Answer) -> Vec<String> {
    answer.assert_error(422, "validation_failed");
    answer.at("/error/fields").as_object().unwrap().keys().cloned().collect()
}

on_both! {
    async fn the_right_code_approves_once_and_opens_nothing(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let started = shop.start_with(&server, json!({ "phone_number": "+91 62058 29376", "reference": " order 17 " })).await;
        assert_created(&started);
        let id = started.text_at("/id");
        let end = (server.now() + chrono::Duration::minutes(10)).to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
        for (member, value) in [
            ("phone_number", json!(PHONE)),
            ("status", json!("pending")),
            ("channel", json!("sms")),
            ("reference", json!("order 17")),
            ("expires_at", json!(end)),
            ("resend_in", json!(30)),
        ] {
            assert_eq!(started.at(&format!("/{member}")), value, "{}", started.text);
        }
        let delivery = server.get(&format!("/api/auth/deliveries/{}", started.text_at("/delivery_id"))).await;
        delivery.assert_ok();
        let code = server.last_code_for(PHONE);
        assert!(!started.text.contains(&code));
        let wrong = shop.check(&server, &id, &wrong(&code)).await;
        wrong.assert_error(400, "otp_invalid");
        assert_eq!(wrong.at("/error/attempts_remaining"), json!(2));
        assert_eq!(shop.status(&server, &id).await, "pending");
        let approved = shop.check(&server, &id, &code).await;
        approved.assert_ok();
        assert_eq!(approved.text_at("/status"), "approved");
        assert_eq!(approved.text_at("/reference"), "order 17");
        // A used code is none.
        shop.check(&server, &id, &code).await.assert_error(400, "otp_not_found");
        server.advance(86_400);
        assert_eq!(shop.status(&server, &id).await, "approved");
        for table in ["accounts", "sessions", "leads"] {
            assert_eq!(server.count(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
        }
        // The message counts as one whose code came back.
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE verified_at IS NOT NULL").await, 1);
    }

    async fn a_code_is_of_one_verification_and_of_nothing_else(server: TestServer) {
        let (shop, other) = (Service::new(&server, "shop").await, Service::new(&server, "bank").await);
        let server = server.second_server(&[("OTP_RESEND_SECONDS", "0"), ("OTP_LENGTH", "8")]).await;
        let first = shop.started(&server, PHONE).await;
        let of_first = server.last_code_for(PHONE);
        let of_other = other.started(&server, PHONE).await;
        let code_of_other = server.last_code_for(PHONE);
        server.signup(PHONE).await.assert_ok();
        let of_sign_in = server.last_code_for(PHONE);
        for code in [&code_of_other, &of_sign_in] {
            shop.check(&server, &first, code).await.assert_error(400, "otp_invalid");
        }
        server.verify_otp(PHONE, &of_first).await.assert_error(400, "otp_invalid");
        server.verify_login(PHONE, &code_of_other).await.assert_error(400, "otp_invalid");
        other.check(&server, &of_other, &of_first).await.assert_error(400, "otp_invalid");
        shop.check(&server, &first, &of_first).await.assert_ok();
        other.check(&server, &of_other, &code_of_other).await.assert_ok();
        server.verify_otp(PHONE, &of_sign_in).await.assert_ok();
    }

    async fn the_verification_of_another_key_is_not_there(server: TestServer) {
        let (shop, other) = (Service::new(&server, "shop").await, Service::new(&server, "bank").await);
        let id = shop.started(&server, PHONE).await;
        let code = server.last_code_for(PHONE);
        other.get(&server, &id).await.assert_error(404, "not_found");
        other.cancel(&server, &id).await.assert_error(404, "not_found");
        other.check(&server, &id, &code).await.assert_error(404, "not_found");
        for id in ["01a1fc92-62af-76bb-98c3-320c45c7951a", "7", "%00"] {
            shop.get(&server, id).await.assert_error(404, "not_found");
            shop.cancel(&server, id).await.assert_error(404, "not_found");
            shop.check(&server, id, &code).await.assert_error(404, "not_found");
        }
        // No guess was used.
        assert_eq!(server.count("SELECT attempts FROM challenges").await, 0);
        shop.check(&server, &id, &code).await.assert_ok();
    }

    async fn a_second_request_is_a_resend_of_the_same_code(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let first = shop.start(&server, PHONE).await;
        let (id, code) = (first.text_at("/id"), server.last_code_for(PHONE));
        shop.guess(&server, &id, PHONE).await.assert_error(400, "otp_invalid");
        server.advance(29);
        let soon = shop.start(&server, PHONE).await;
        soon.assert_error(429, "otp_cooldown");
        assert_eq!(soon.at("/error/retry_after"), json!(1));
        server.advance(1);
        let again = shop.start(&server, PHONE).await;
        assert_created(&again);
        assert_eq!((again.text_at("/id"), server.last_code_for(PHONE)), (id.clone(), code.clone()));
        assert_eq!(again.text_at("/expires_at"), first.text_at("/expires_at"));
        assert_eq!(server.codes_for(PHONE).len(), 2);
        // The resend gave no guess back.
        let wrong = shop.guess(&server, &id, PHONE).await;
        assert_eq!(wrong.at("/error/attempts_remaining"), json!(1));
        // By another reference it is another check, with a code of its own.
        server.advance(30);
        let other = shop.start_with(&server, json!({ "phone_number": PHONE, "reference": "order 18" })).await;
        assert_created(&other);
        assert_ne!(other.text_at("/id"), id);
        shop.check(&server, &id, &code).await.assert_ok();
        assert_eq!(shop.status(&server, &other.text_at("/id")).await, "pending");
        // What has ended is not sent again.
        server.advance(30);
        assert_ne!(shop.started(&server, PHONE).await, id);
        // Neither is what ends in less than two minutes.
        let last = shop.get(&server, &id).await;
        last.assert_ok();
    }

    async fn the_cooldown_holds_without_limits(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let server = server.without_limits().await;
        let id = shop.started(&server, PHONE).await;
        shop.start(&server, PHONE).await.assert_error(429, "otp_cooldown");
        shop.check(&server, &id, &server.last_code_for(PHONE)).await.assert_ok();
        shop.start_with(&server, json!({ "phone_number": PHONE, "reference": "2" })).await.assert_error(429, "otp_cooldown");
        server.advance(30);
        shop.started(&server, PHONE).await;
    }

    async fn three_wrong_codes_are_the_end_of_a_verification(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let id = shop.started(&server, PHONE).await;
        let code = server.last_code_for(PHONE);
        for left in [2, 1, 0] {
            assert_eq!(shop.status(&server, &id).await, "pending");
            let answer = shop.guess(&server, &id, PHONE).await;
            answer.assert_error(400, "otp_invalid");
            assert_eq!(answer.at("/error/attempts_remaining"), json!(left));
        }
        assert_eq!(shop.status(&server, &id).await, "max_attempts_reached");
        let exhausted = shop.check(&server, &id, &code).await;
        exhausted.assert_error(429, "otp_attempts_exhausted");
        assert_eq!(exhausted.at("/error/retry_after"), json!(30));
        server.advance(30);
        let next = shop.started(&server, PHONE).await;
        assert_ne!(next, id);
        shop.check(&server, &next, &server.last_code_for(PHONE)).await.assert_ok();
        // Long after its code it still says so.
        server.advance(30 * 86_400);
        loopin_auth::flows::purge::purge(&server.services, &server.services.retention, loopin_auth::domain::audit::Actor::System)
            .await
            .unwrap();
        assert_eq!(shop.status(&server, &id).await, "max_attempts_reached");
    }

    async fn a_code_dies_after_ten_minutes(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let id = shop.started(&server, PHONE).await;
        let code = server.last_code_for(PHONE);
        server.advance(600);
        assert_eq!(shop.status(&server, &id).await, "pending");
        server.advance(1);
        assert_eq!(shop.status(&server, &id).await, "expired");
        shop.check(&server, &id, &code).await.assert_error(400, "otp_expired");
        let canceled = shop.cancel(&server, &id).await;
        canceled.assert_ok();
        assert_eq!(canceled.text_at("/status"), "expired");
    }

    async fn a_canceled_verification_takes_no_code(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let id = shop.started(&server, PHONE).await;
        let code = server.last_code_for(PHONE);
        for _ in 0..2 {
            let canceled = shop.cancel(&server, &id).await;
            canceled.assert_ok();
            assert_eq!(canceled.text_at("/status"), "canceled");
        }
        shop.check(&server, &id, &code).await.assert_error(400, "otp_not_found");
        server.advance(700);
        assert_eq!(shop.status(&server, &id).await, "canceled");
        let next = shop.started(&server, PHONE).await;
        assert_ne!(next, id);
        shop.check(&server, &next, &server.last_code_for(PHONE)).await.assert_ok();
        // What is approved stays approved.
        let kept = shop.cancel(&server, &next).await;
        kept.assert_ok();
        assert_eq!(kept.text_at("/status"), "approved");
        let said: Vec<String> = entries(&server, Action::VerificationCanceled).await.iter()
            .map(|entry| entry.detail.json().to_string()).collect();
        assert_eq!(said, [json!({"service": "shop", "verification": id}).to_string()]);
    }

    async fn all_faults_are_named_at_once_and_after_the_gate(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let bad = json!({
            "phone_number": 7, "channel": "pigeon", "locale": "not a language", "reference": " ", "end_user_address": "::zz",
        });
        assert_eq!(
            faults(&shop.start_with(&server, bad.clone()).await),
            ["channel", "end_user_address", "locale", "phone_number", "reference"]
        );
        assert_eq!(faults(&shop.start_with(&server, json!({})).await), ["phone_number"]);
        let long = json!({ "phone_number": PHONE, "reference": "x".repeat(101), "locale": "x".repeat(36), "end_user_address": "203.0.113.0/24" });
        assert_eq!(faults(&shop.start_with(&server, long).await), ["end_user_address", "locale", "reference"]);
        let id = shop.started(&server, PHONE).await;
        let path = format!("/api/verifications/{id}/check");
        let bad_check = json!({ "otp_code": 1234, "end_user_address": 7 });
        assert_eq!(faults(&shop.send(&server, Method::POST, &path, bad_check.clone()).await), ["end_user_address", "otp_code"]);
        shop.send(&server, Method::POST, "/api/verifications", json!([])).await.assert_error(400, "malformed_request");
        // A caller without a key learns nothing of the body.
        for (path, body) in [("/api/verifications", bad), (path.as_str(), bad_check)] {
            server.post(path, body.clone()).await.assert_error(401, "token_missing");
            server.send_as("lak_no", Method::POST, path, body).await.assert_error(401, "token_invalid");
        }
        // Null is as good as absent.
        server.advance(30);
        let body = json!({ "phone_number": PHONE, "channel": null, "locale": null, "reference": null, "end_user_address": null });
        assert_created(&shop.start_with(&server, body).await);
        // Slashes at the end, and other methods.
        assert_eq!(shop.get(&server, &format!("{id}/")).await.status, 200);
        let refused = shop.send(&server, Method::PUT, &format!("/api/verifications/{id}"), json!({})).await;
        refused.assert_error(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), Some("DELETE, GET, HEAD"));
    }

    async fn channel_and_language_are_those_of_the_request(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let server = server.second_server(&[("OTP_CHANNELS", "sms,whatsapp")]).await;
        let body = json!({ "phone_number": PHONE, "channel": "whatsapp", "locale": "hi_IN" });
        let started = shop.start_with(&server, body).await;
        assert_created(&started);
        assert_eq!(started.text_at("/channel"), "whatsapp");
        assert_eq!(shop.get(&server, &started.text_at("/id")).await.text_at("/channel"), "whatsapp");
        assert_eq!(server.text("SELECT language FROM messages").await, "hi");
        server.advance(30);
        let by_sms = shop.start_with(&server, json!({ "phone_number": PHONE, "channel": "sms" })).await;
        assert_eq!((by_sms.text_at("/channel"), by_sms.text_at("/id")), ("sms".to_owned(), started.text_at("/id")));
        assert_eq!(shop.get(&server, &started.text_at("/id")).await.text_at("/channel"), "sms");
    }

    async fn an_export_names_the_service_and_a_deletion_ends_its_checks(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let tokens = server.sign_in(PHONE).await;
        server.advance(30);
        let body = json!({ "phone_number": PHONE, "reference": "order 17" });
        let id = shop.start_with(&server, body).await.text_at("/id");
        let of_another = shop.started(&server, OTHER_PHONE).await;
        let export = server.get_as(&tokens.access, "/api/auth/export").await;
        export.assert_ok();
        let named: Vec<Value> = export.at("/messages").as_array().unwrap().iter()
            .map(|message| json!([message["service"], message["reference"]])).collect();
        assert_eq!(named, [json!([null, null]), json!(["shop", "order 17"])]);
        let purposes: Vec<Value> = export.at("/codes").as_array().unwrap().iter().map(|code| code["purpose"].clone()).collect();
        assert_eq!(purposes, [json!("sign_in"), json!("verification")]);
        let code = server.last_code_for(PHONE);
        server.send_as(&tokens.access, Method::POST, "/api/auth/delete-account", json!({})).await.assert_ok();
        shop.check(&server, &id, &code).await.assert_error(404, "not_found");
        for table in ["verifications", "challenges", "messages"] {
            let left = format!("SELECT COUNT(*) FROM {table} WHERE phone = '{PHONE}'");
            assert_eq!(server.count(&left).await, 0, "{table}");
        }
        assert_eq!(shop.status(&server, &of_another).await, "pending");
    }

    async fn verifications_go_with_their_messages(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let id = shop.started(&server, PHONE).await;
        server.advance(366 * 86_400);
        let next = shop.started(&server, PHONE).await;
        loopin_auth::flows::purge::purge(&server.services, &server.services.retention, loopin_auth::domain::audit::Actor::System)
            .await
            .unwrap();
        shop.get(&server, &id).await.assert_error(404, "not_found");
        assert_eq!(shop.status(&server, &next).await, "pending");
    }

    async fn what_was_not_sent_costs_nothing(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        for (phone, status, code) in [
            ("+15005550001", 400, "phone_unreachable"),
            ("+15005550013", 502, "sms_rejected"),
            ("+15005550012", 503, "sms_unavailable"),
        ] {
            for _ in 0..7 {
                shop.start(&server, phone).await.assert_error(status, code);
            }
        }
        let charged = "SELECT COUNT(*) FROM budgets WHERE key LIKE 'service/%' AND count > 0";
        assert_eq!(server.count(charged).await, 0);
        // The next try is about the same verification, so a message that comes after all still works.
        assert_eq!(server.count("SELECT COUNT(*) FROM verifications").await, 3);
    }

    async fn a_lost_message_goes_by_the_next_channel(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let server = server.second_server(&[("OTP_CHANNELS", "sms,call"), ("OTP_FALLBACK", "call")]).await;
        let lost = "+15005550011";
        let id = shop.started(&server, lost).await;
        server.play(10).await;
        assert_eq!(server.codes_for(lost).len(), 2);
        shop.check(&server, &id, &server.last_code_for(lost)).await.assert_ok();
        // The code of a canceled one is not sent again.
        server.advance(30);
        let id = shop.started(&server, lost).await;
        shop.cancel(&server, &id).await.assert_ok();
        server.play(10).await;
        assert_eq!(server.codes_for(lost).len(), 3);
    }

    async fn a_review_number_has_its_fixed_code(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let server = server.second_server(&[("OTP_REVIEW_NUMBERS", "+12025550100=4821@2026-03-14")]).await;
        let id = shop.started(&server, "+12025550100").await;
        assert!(server.inbox_of("+12025550100").is_empty());
        shop.check(&server, &id, "4822").await.assert_error(400, "otp_invalid");
        shop.check(&server, &id, "4821").await.assert_ok();
        assert_eq!(shop.status(&server, &id).await, "approved");
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 0);
    }
}
