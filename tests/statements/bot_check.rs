//! `BOT_PROOF`: reading whether a prefix is suspicious takes one more round trip; nothing else does.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Answer, TestServer, proxy::Proxy};

/// With limits, the same number as in `limits.rs`.
const SIGNUP: u64 = 3;

/// The round trips of a request that is not suspicious, of one that is refused because it needs a proof, and of the same
/// request with the proof.
async fn took(server: &TestServer, proxy: &Proxy, round: u32) -> [u64; 3] {
    let mut before = proxy.round_trips();
    let mut took = |status: u16, answer: &Answer| {
        let after = proxy.round_trips();
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        let taken = after - before;
        before = after;
        taken
    };
    let one = server.from(format!("203.0.113.{round}"));
    let free = took(200, &one.signup(&format!("+9198765431{round:02}")).await);
    // The limits count each of these requests, which takes a round trip.
    for _ in 0..9 {
        assert_eq!(took(422, &one.login("1").await), 1);
    }
    let mut body = json!({ "phone_number": format!("+9198765432{round:02}") });
    let question = one.post("/api/auth/signup", body.clone()).await;
    let refused = took(403, &question);
    let challenge = question.text_at("/error/challenge/challenge");
    let mut answers = (0_u64..).map(|number| format!("{challenge}.{number}"));
    body["challenge_response"] =
        answers.find(|answer| Sha256::digest(answer)[0] == 0).map(Value::from).unwrap();
    let accepted = took(200, &one.post("/api/auth/signup", body).await);
    [free, refused, accepted]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bot_proof_takes_one_round_trip_more_at_most() {
    let settings = [
        // One connection, so that a statement is prepared once.
        ("DATABASE_MAX_CONNECTIONS", "1"),
        ("BOT_PROOF", "pow"),
        ("BOT_PROOF_DIFFICULTY", "8"),
    ];
    let Some((server, proxy)) = TestServer::behind_proxy(&settings).await else { return };
    // The first request also prepares every statement.
    server.signup("+919876543000").await.assert_ok();
    let mut last = [0; 3];
    for round in 10..13 {
        last = took(&server, &proxy, round).await;
    }
    // An address that is suspicious is refused before the prefix is read: the cost is counting and reading the account.
    assert_eq!(last, [SIGNUP + 1, 2, SIGNUP]);
}
