//! `POST /api/auth/logout-all`

use serde_json::json;

use crate::{
    again::{assert_goes_on, assert_over, post_empty_as, sign_in_from},
    on_both,
    support::{OTHER_PHONE, PHONE},
};

const PATH: &str = "/api/auth/logout-all";

on_both! {
    async fn every_session_ends_at_once(server: TestServer) {
        let one = server.sign_in(PHONE).await;
        let two = sign_in_from(&server, PHONE, "Two").await;
        let other = server.sign_in(OTHER_PHONE).await;
        let second_server = server.second_server(&[]).await;
        let answer = post_empty_as(&server, &one, PATH).await;
        answer.assert_ok();
        assert_eq!(answer.at("/data/ended"), json!(2));
        for server in [&server, &second_server] {
            assert_over(server, &one).await;
            assert_over(server, &two).await;
        }
        assert_goes_on(&server, &other).await;
        post_empty_as(&server, &one, PATH).await.assert_error(401, "token_revoked");
        // The user can sign in again.
        assert_goes_on(&server, &sign_in_from(&server, PHONE, "Three").await).await;
    }

    async fn it_needs_an_access_token(server: TestServer) {
        server.post(PATH, json!({})).await.assert_error(401, "token_missing");
        let tokens = server.sign_in(PHONE).await;
        let body = json!({ "refresh": tokens.refresh });
        server.post(PATH, body).await.assert_error(401, "token_missing");
        assert_goes_on(&server, &tokens).await;
    }
}
