//! Which answers are decisions, and what the question says.

use super::*;

fn answer(status: u16, body: Option<&str>) -> outbound::Answer {
    outbound::Answer { status, retry_after: None, body: body.map(|body| body.as_bytes().to_vec()) }
}

#[test]
fn only_a_clear_word_is_a_decision() {
    for (status, body, expected) in [
        (200, Some(r#"{"decision": "allow"}"#), Ok(Decision::Allow)),
        (200, Some(r#"{"decision": "deny", "because": "SIM swap"}"#), Ok(Decision::Deny)),
        (201, Some(r#" {"decision":"challenge"} "#), Ok(Decision::Challenge)),
        (200, Some(r#"{"decision": "Allow"}"#), Err("no-decision")),
        (200, Some(r#"{"decision": "maybe"}"#), Err("no-decision")),
        (200, Some(r#"{"decision": true}"#), Err("no-decision")),
        (200, Some(r#""allow""#), Err("no-decision")),
        (200, Some("[]"), Err("no-decision")),
        (200, Some("{}"), Err("no-decision")),
        (200, Some("<html>"), Err("not-json")),
        (200, Some(""), Err("not-json")),
        (204, Some(""), Err("not-json")),
        (200, None, Err("body")),
    ] {
        let expected = expected.map_err(|why| Failure { why, status: Some(status), retry_after: None });
        assert_eq!(decision(&answer(status, body)), expected, "{status} {body:?}");
    }
}

#[test]
fn the_question_says_who_asks_for_what() {
    let phone = PhoneNumber::from_e164("+916205829376").unwrap();
    let now = DateTime::from_timestamp_micros(1_764_288_000_123_456).unwrap();
    let mut question = Question {
        phone: &phone,
        purpose: Purpose::SignIn,
        channel: Channel::WhatsApp,
        address: Some(ClientAddress::new("203.0.113.7".parse().unwrap())),
        is_known_device: true,
        bot_proof: BotProof::NotGiven,
    };
    assert_eq!(
        body(&question, now),
        json!({
            "type": "before_send",
            "timestamp": "2025-11-28T00:00:00.123456+00:00",
            "phone_number": "+916205829376",
            "country": "IN",
            "purpose": "sign_in",
            "channel": "whatsapp",
            "address": "203.0.113.7",
            "device_known": true,
            "bot_check": "not_passed",
            "can_challenge": true,
        })
    );
    question.address = None;
    for (bot_proof, bot_check, can_challenge) in
        [(BotProof::Given, "passed", false), (BotProof::Impossible, "not_passed", false)]
    {
        question.bot_proof = bot_proof;
        let body = body(&question, now);
        assert_eq!(body["bot_check"], bot_check);
        assert_eq!(body["can_challenge"], can_challenge);
        assert_eq!(body["address"], Value::Null);
    }
}
