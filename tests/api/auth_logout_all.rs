//! `POST /api/auth/logout-all`

use serde_json::json;

use crate::{
    again::{assert_goes_on, assert_over, poke_as, sign_in_from},
    on_both,
    support::{OTHER_PHONE, PHONE},
};

const PATH: &str = "/api/auth/logout-all";

on_both! {
    async fn every_session_ends_at_once(house: TestHouse) {
        let one = house.sign_in(PHONE).await;
        let two = sign_in_from(&house, PHONE, "Two").await;
        let other = house.sign_in(OTHER_PHONE).await;
        let second_server = house.second_server(&[]).await;
        let answer = poke_as(&house, &one, PATH).await;
        answer.assert_ok();
        assert_eq!(answer.at("/data/ended"), json!(2));
        for server in [&house, &second_server] {
            assert_over(server, &one).await;
            assert_over(server, &two).await;
        }
        assert_goes_on(&house, &other).await;
        poke_as(&house, &one, PATH).await.assert_error(401, "token_revoked");
        // And she comes in again.
        assert_goes_on(&house, &sign_in_from(&house, PHONE, "Three").await).await;
    }

    async fn it_needs_an_access_token(house: TestHouse) {
        house.post(PATH, json!({})).await.assert_error(401, "token_missing");
        let tokens = house.sign_in(PHONE).await;
        let body = json!({ "refresh": tokens.refresh });
        house.post(PATH, body).await.assert_error(401, "token_missing");
        assert_goes_on(&house, &tokens).await;
    }
}
