//! Phones as users write them, on servers of several countries.

use poem::http::Method;
use serde_json::json;

use crate::{
    on_both,
    roles::{STAFF, sign_in_with_role},
    support::{Answer, PHONE, TestServer},
};

async fn of_country(server: &TestServer, region: &str) -> TestServer {
    server.second_server(&[("PHONE_DEFAULT_REGION", region), ("RATE_LIMITS_ENABLED", "false")]).await
}

#[track_caller]
fn assert_plus_is_required(answer: &Answer, field: &str) {
    answer.assert_error(422, "validation_failed");
    let sentence = answer.text_at(&format!("/error/fields/{field}/0"));
    assert!(sentence.contains("with a plus and the country code"), "{}", answer.text);
}

on_both! {
    async fn a_code_goes_to_the_country_of_the_server_and_never_abroad(server: TestServer) {
        for (region, text, number) in [
            ("CN", "16109342507", "+8616109342507"), // not to +1 610 934 2507
            ("IN", "916205829376", "+916205829376"),
            ("IN", "9607712345", "+919607712345"), // not to +960 771 2345
            ("DE", "0154 10123456", "+4915410123456"),
        ] {
            let server = of_country(&server, region).await;
            let answer = server.signup(text).await;
            assert_eq!(answer.assert_ok().at("/data/phone_number"), json!(number), "{text} at {region}");
            assert_eq!(server.codes_for(number).len(), 1);
        }
    }

    async fn every_route_asks_for_the_plus_of_another_country(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        let staff = sign_in_with_role(&server, STAFF, "staff").await.access;
        for (region, text) in [
            ("IN", "84382746639"), // a digit too many, and a number of Vietnam
            ("IN", "14155550123"),
            ("US", "916205829376"),
            ("SG", "0014155550123"),
            ("BR", "005511961234567"),
        ] {
            let server = of_country(&server, region).await;
            for path in ["/api/auth/signup", "/api/auth/login"] {
                assert_plus_is_required(&server.post(path, json!({"phone_number": text})).await, "phone_number");
            }
            let guess = json!({"phone_number": text, "otp_code": "1234"});
            for path in ["/api/auth/verify-otp", "/api/auth/verify-login"] {
                assert_plus_is_required(&server.post(path, guess.clone()).await, "phone_number");
            }
            for (path, body) in [
                ("/api/auth/change-phone", json!({"phone_number": text})),
                ("/api/auth/verify-change-phone", guess.clone()),
            ] {
                assert_plus_is_required(&server.send_as(&token, Method::POST, path, body).await, "phone_number");
            }
            let body = json!({"phone_number": text});
            assert_plus_is_required(&server.send_as(&token, Method::PUT, "/api/auth/profile", body).await, "phone_number");
            assert_plus_is_required(&server.get_as(&staff, &format!("/api/abuse/phones/{text}")).await, "phone");
        }
    }

    async fn numbers_of_new_series_get_their_code(server: TestServer) {
        let server = of_country(&server, "IN").await;
        for number in ["+19835002345", "+905823141756", "+212730012345", "+254135123456", "+46780123456"] {
            server.signup(number).await.assert_ok();
            assert_eq!(server.codes_for(number).len(), 1, "{number}");
        }
    }
}
