//! `POST /api/auth/refresh`

use chrono::Duration;
use futures_util::future::{join, join_all};
use jsonwebtoken::Algorithm;
use serde_json::json;

use crate::{
    forge::{altered, claim, claims, signed, signed_by, unsigned, with},
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer},
};

const DAY: i64 = 24 * 60 * 60;

/// The refresh token of an answer that must be a success.
#[track_caller]
fn next(answer: &Answer) -> String {
    answer.assert_ok();
    answer.text_at("/refresh")
}

#[track_caller]
fn assert_refused(answer: &Answer, code: &str) {
    answer.assert_error(401, code);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
}

on_both! {
    async fn it_answers_the_next_pair_without_an_envelope(server: TestServer) {
        let old = server.sign_in(PHONE).await;
        server.advance(60);
        let answer = server.refresh(&old.refresh).await;
        answer.assert_ok();
        let names: Vec<String> = answer.json().as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["access", "refresh"]);
        server.get_as(&answer.text_at("/access"), "/api/auth/profile").await.assert_ok();
        // Only the refresh token is single use.
        server.get_as(&old.access, "/api/auth/profile").await.assert_ok();
        assert_ne!(claim(&answer.text_at("/access"), "jti"), claim(&old.access, "jti"));
        assert_ne!(claim(&answer.text_at("/refresh"), "jti"), claim(&old.refresh, "jti"));
        for token in ["/access", "/refresh"].map(|at| answer.text_at(at)) {
            assert_eq!(claim(&token, "sid"), claim(&old.access, "sid"));
            assert_eq!(claim(&token, "user_id"), old.user_id);
        }
    }

    async fn the_tokens_claim_what_the_contract_says(server: TestServer) {
        let now = server.now().timestamp();
        let tokens = server.sign_in(PHONE).await;
        let (access, refresh) = (claims(&tokens.access), claims(&tokens.refresh));
        assert_eq!(access["token_type"], json!("access"));
        assert_eq!(access["role"], json!("user"));
        assert_eq!(access["phone_number"], json!(PHONE));
        assert_eq!((access["iat"].as_i64(), access["exp"].as_i64()), (Some(now), Some(now + 30 * 60)));
        assert_eq!(refresh["token_type"], json!("refresh"));
        assert_eq!((refresh["iat"].as_i64(), refresh["exp"].as_i64()), (Some(now), Some(now + 7 * DAY)));
        for missing in ["email", "username", "iss", "aud"] {
            assert!(access.get(missing).is_none(), "{missing}");
            assert!(refresh.get(missing).is_none(), "{missing}");
        }
        assert!(refresh.get("phone_number").is_none());
    }

    async fn within_thirty_seconds_a_repetition_gets_the_same_successor(server: TestServer) {
        let first = server.sign_in(PHONE).await.refresh;
        let second = next(&server.refresh(&first).await);
        assert_eq!(next(&server.refresh(&first).await), second);
        server.advance(30);
        let repeated = next(&server.refresh(&first).await);
        assert_eq!(claim(&repeated, "jti"), claim(&second, "jti"));
        next(&server.refresh(&second).await);
    }

    async fn after_thirty_seconds_an_unused_successor_is_replaced_and_retired(server: TestServer) {
        let first = server.sign_in(PHONE).await.refresh;
        let lost = next(&server.refresh(&first).await);
        server.advance(30);
        server.clock.advance(Duration::microseconds(1));
        let second = next(&server.refresh(&first).await);
        assert_ne!(claim(&second, "jti"), claim(&lost, "jti"));
        // A client that gets the lost answer after all has the same token.
        assert_refused(&server.refresh(&lost).await, "token_revoked");
        assert_refused(&server.refresh(&second).await, "token_revoked");
    }

    async fn a_lost_answer_may_be_asked_for_again_days_later(server: TestServer) {
        let first = server.sign_in(PHONE).await.refresh;
        next(&server.refresh(&first).await);
        server.advance(6 * DAY);
        let second = next(&server.refresh(&first).await);
        assert_eq!(next(&server.refresh(&first).await), second, "repeated at once");
        server.advance(DAY - 1);
        let third = next(&server.refresh(&second).await);
        next(&server.refresh(&third).await);
    }

    async fn the_first_use_of_a_successor_retires_its_parent(server: TestServer) {
        let signed_in = server.sign_in(PHONE).await;
        let second = next(&server.refresh(&signed_in.refresh).await);
        let third = server.refresh(&second).await;
        assert_refused(&server.refresh(&signed_in.refresh).await, "token_revoked");
        // The reuse has ended the session.
        assert_refused(&server.refresh(&next(&third)).await, "token_revoked");
        for access in [signed_in.access, third.text_at("/access")] {
            assert_refused(&server.get_as(&access, "/api/auth/profile").await, "token_revoked");
        }
    }

    async fn a_retired_token_ends_its_own_session_only(server: TestServer) {
        let stolen = server.sign_in(PHONE).await.refresh;
        server.advance(31);
        let other = server.sign_in(PHONE).await;
        let second = next(&server.refresh(&stolen).await);
        next(&server.refresh(&second).await);
        assert_refused(&server.refresh(&stolen).await, "token_revoked");
        server.get_as(&other.access, "/api/auth/profile").await.assert_ok();
        next(&server.refresh(&other.refresh).await);
    }

    async fn fifty_at_once_agree(server: TestServer) {
        let first = server.sign_in(PHONE).await.refresh;
        let other_server = server.second_server(&[]).await;
        let answers = join_all((0..50).map(|number| {
            let server = if number % 2 == 0 { &server } else { &other_server };
            server.refresh(&first)
        })).await;
        let second = next(&answers[0]);
        for answer in &answers {
            assert_eq!(claim(&next(answer), "jti"), claim(&second, "jti"));
            server.get_as(&answer.text_at("/access"), "/api/auth/profile").await.assert_ok();
        }
        next(&server.refresh(&second).await);
    }

    async fn twenty_at_once_agree_after_a_lost_answer(server: TestServer) {
        let first = server.sign_in(PHONE).await.refresh;
        let lost = next(&server.refresh(&first).await);
        server.advance(31);
        let answers = join_all((0..20).map(|_| server.refresh(&first))).await;
        let second = next(&answers[0]);
        assert_ne!(second, lost);
        assert!(answers.iter().all(|answer| next(answer) == second));
        next(&server.refresh(&second).await);
    }

    async fn a_parent_and_its_successor_at_once_leave_one_line_of_tokens_at_most(server: TestServer) {
        let first = server.sign_in(PHONE).await.refresh;
        let second = next(&server.refresh(&first).await);
        let (parent, successor) = join(server.refresh(&first), server.refresh(&second)).await;
        for answer in [&parent, &successor] {
            assert!([200, 401].contains(&answer.status.as_u16()), "{}", answer.text);
        }
        if parent.status == 200 {
            assert_eq!(next(&parent), second, "the parent got what it had got");
        }
    }

    async fn each_refresh_gives_seven_more_days(server: TestServer) {
        let mut token = server.sign_in(PHONE).await.refresh;
        for _ in 0..5 {
            server.advance(6 * DAY);
            token = next(&server.refresh(&token).await);
            assert_eq!(claims(&token)["exp"].as_i64(), Some(server.now().timestamp() + 7 * DAY));
        }
    }

    async fn a_token_is_dead_after_seven_days(server: TestServer) {
        let token = server.sign_in(PHONE).await.refresh;
        server.advance(7 * DAY);
        assert_refused(&server.refresh(&token).await, "token_expired");
    }

    async fn a_token_lives_until_the_last_second(server: TestServer) {
        let token = server.sign_in(PHONE).await.refresh;
        server.advance(7 * DAY - 1);
        next(&server.refresh(&token).await);
    }

    async fn tokens_of_another_kind_are_invalid(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let good = claims(&tokens.refresh);
        let secret = server.setting("JWT_SECRET_KEY");
        for (why, token) in [
            ("an access token", tokens.access.clone()),
            ("no token", "not a token".to_owned()),
            ("nothing", String::new()),
            ("three dots", "...".to_owned()),
            ("nobody's", unsigned("none", &good)),
            ("nobody's, in capitals", unsigned("NONE", &good)),
            ("another's", signed_by("another secret of at least 32 bytes!", Algorithm::HS256, &good)),
            ("of another algorithm", signed_by(secret, Algorithm::HS512, &good)),
            ("altered", altered(&tokens.refresh, &with(good.clone(), json!({"exp": 4_000_000_000_i64})))),
            ("endless", signed(&server, &with(good.clone(), json!({"exp": null})))),
            ("without a session", signed(&server, &with(good.clone(), json!({"sid": null})))),
            ("huge", "a".repeat(40_000)),
        ] {
            let answer = server.refresh(&token).await;
            assert_eq!(answer.text_at("/error/code"), "token_invalid", "{why}: {}", answer.text);
            assert_refused(&answer, "token_invalid");
        }
        // None of them affected the session.
        next(&server.refresh(&tokens.refresh).await);
    }

    async fn a_token_must_agree_with_its_session(server: TestServer) {
        let mine = server.sign_in(PHONE).await;
        let other = server.sign_in(OTHER_PHONE).await;
        let good = claims(&mine.refresh);
        for changes in [
            json!({"user_id": other.user_id}),
            json!({"sid": "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11"}),
        ] {
            let token = signed(&server, &with(good.clone(), changes));
            assert_refused(&server.refresh(&token).await, "token_revoked");
        }
        next(&server.refresh(&mine.refresh).await);
        next(&server.refresh(&other.refresh).await);
    }

    async fn a_disabled_account_gets_no_tokens(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.disable(PHONE).await;
        server.refresh(&tokens.refresh).await.assert_error(403, "account_disabled");
        // Staff who disable an account may end its sessions too: the reason stays the same.
        server.post("/api/auth/logout", json!({"refresh": tokens.refresh})).await.assert_ok();
        server.refresh(&tokens.refresh).await.assert_error(403, "account_disabled");
    }

    async fn an_ended_session_gets_no_tokens(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.post("/api/auth/logout", json!({"refresh": tokens.refresh})).await.assert_ok();
        assert_refused(&server.refresh(&tokens.refresh).await, "token_revoked");
    }

    async fn a_body_without_a_token_names_the_field(server: TestServer) {
        for body in [json!({}), json!({"refresh": null}), json!({"refresh": 7}), json!({"refresh": ["a"]}),
            json!({"refresh": "a\u{0}b"}), json!({"refresh": "a\nb"})] {
            let answer = server.post("/api/auth/refresh", body).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/refresh").is_array(), "{}", answer.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_the_token_stays_as_good_as_it_was() {
    let settings = [("DATABASE_MAX_CONNECTIONS", "1")];
    let Some((server, proxy)) = TestServer::behind_proxy(&settings).await else { return };
    let token = server.sign_in(PHONE).await.refresh;
    proxy.go_away().await;
    server.refresh(&token).await.assert_error(503, "database_unavailable");
    proxy.come_back();
    let second = next(&server.refresh(&token).await);
    next(&server.refresh(&second).await);
}
