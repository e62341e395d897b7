//! Checks, cancellations and requests of the same moment.

use futures_util::future::{join, join_all};

use crate::{
    on_both,
    support::{Answer, WIDE_LIMITS, service::Service},
};

fn code_of(answer: &Answer) -> String {
    if answer.status.is_success() { answer.text_at("/status") } else { answer.text_at("/error/code") }
}

fn phone(nth: usize) -> String {
    format!("+9198110{nth:05}")
}

on_both! {
    async fn of_right_codes_at_once_one_approves(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let server = server.second_server(&WIDE_LIMITS).await;
        for round in 0..15 {
            let id = shop.started(&server, &phone(round)).await;
            let code = server.last_code_for(&phone(round));
            let mut codes: Vec<String> =
                join_all((0..3).map(|_| shop.check(&server, &id, &code))).await.iter().map(code_of).collect();
            codes.sort();
            assert_eq!(codes, ["approved", "otp_not_found", "otp_not_found"]);
        }
        server.services.audit.flush().await.unwrap();
        assert_eq!(server.count("SELECT COUNT(*) FROM audit WHERE action = 'verification_approved'").await, 15);
    }

    async fn a_right_code_and_a_cancellation_at_once_agree(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let server = server.second_server(&WIDE_LIMITS).await;
        for round in 0..25 {
            let id = shop.started(&server, &phone(round)).await;
            let code = server.last_code_for(&phone(round));
            let (checked, canceled) = join(shop.check(&server, &id, &code), shop.cancel(&server, &id)).await;
            let stands = shop.status(&server, &id).await;
            let answers = (code_of(&checked), code_of(&canceled));
            let expected = if stands == "approved" { ("approved", "approved") } else { ("otp_not_found", "canceled") };
            assert_eq!((answers.0.as_str(), answers.1.as_str()), expected, "{stands}");
        }
    }

    async fn a_right_code_counts_beside_the_last_wrong_ones(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let server = server.second_server(&WIDE_LIMITS).await;
        for round in 0..15 {
            let id = shop.started(&server, &phone(round)).await;
            let code = server.last_code_for(&phone(round));
            let wrong = crate::support::wrong(&code);
            let guesses = [&wrong, &code, &wrong].map(|code| shop.check(&server, &id, code));
            let answers: Vec<String> = join_all(guesses).await.iter().map(code_of).collect();
            assert_eq!(answers[1], "approved", "{answers:?}");
            assert_eq!(shop.status(&server, &id).await, "approved");
        }
    }

    async fn of_requests_at_once_one_sends(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let phone = phone(0);
        let answers = join_all((0..10).map(|_| shop.start(&server, &phone))).await;
        let mut codes: Vec<String> = answers.iter().map(code_of).collect();
        codes.sort();
        codes.dedup();
        assert_eq!(codes, ["otp_cooldown", "pending"]);
        assert_eq!(server.codes_for(&phone).len(), 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM verifications").await, 1);
    }

    async fn a_canceled_verification_is_not_opened_again_by_a_resend(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let server = server.second_server(&[&WIDE_LIMITS[..], &[("OTP_RESEND_SECONDS", "0")]].concat()).await;
        for round in 0..20 {
            let id = shop.started(&server, &phone(round)).await;
            let (again, canceled) = join(shop.start(&server, &phone(round)), shop.cancel(&server, &id)).await;
            assert_eq!(code_of(&canceled), "canceled");
            let code = server.last_code_for(&phone(round));
            if again.text_at("/id") == id || !again.status.is_success() {
                shop.check(&server, &id, &code).await.assert_error(400, "otp_not_found");
            } else {
                shop.check(&server, &again.text_at("/id"), &code).await.assert_ok();
            }
        }
    }
}
