//! Random tokens: none of them is accepted.

use std::cell::RefCell;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use poem::http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    holds_on_server,
    support::{PHONE, TestServer, Tokens},
};

/// The printable characters that a header can carry.
const ANY_HEADER: &str = "[\\x21-\\x7e]{0,300}";

/// One change of a text.
#[derive(Debug, Clone)]
enum Change {
    Put(prop::sample::Index, char),
    Insert(prop::sample::Index, char),
    Remove(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = any::<prop::sample::Index>;
    let letter = || {
        prop_oneof![4 => "[A-Za-z0-9_.=\\-]", 1 => "[\\x21-\\x7e]"].prop_map(|it| it.chars().next().unwrap())
    };
    let change = prop_oneof![
        4 => (place(), letter()).prop_map(|(at, letter)| Change::Put(at, letter)),
        2 => (place(), letter()).prop_map(|(at, letter)| Change::Insert(at, letter)),
        2 => place().prop_map(Change::Remove),
        1 => (place(), place()).prop_map(|(one, other)| Change::Swap(one, other)),
        1 => place().prop_map(Change::Cut),
        1 => place().prop_map(Change::Repeat),
    ];
    prop::collection::vec(change, 1..4)
}

fn changed(token: &str, changes: &[Change]) -> String {
    let mut text: Vec<char> = token.chars().collect();
    for change in changes {
        if text.is_empty() {
            break;
        }
        let at = |place: &prop::sample::Index| place.index(text.len());
        match change {
            Change::Put(place, letter) => {
                let place = at(place);
                text[place] = *letter;
            }
            Change::Insert(place, letter) => text.insert(at(place), *letter),
            Change::Remove(place) => {
                text.remove(at(place));
            }
            Change::Swap(one, other) => {
                let (one, other) = (at(one), at(other));
                text.swap(one, other);
            }
            Change::Cut(place) => text.truncate(at(place)),
            Change::Repeat(place) => {
                let end = text[at(place)..].to_vec();
                text.extend(end);
            }
        }
    }
    text.into_iter().collect()
}

/// The tokens of the only account, which signs in once.
async fn tokens(server: &TestServer, kept: &RefCell<Option<Tokens>>) -> Tokens {
    let known = kept.borrow().clone();
    if let Some(tokens) = known {
        return tokens;
    }
    let tokens = server.sign_in(PHONE).await;
    *kept.borrow_mut() = Some(tokens.clone());
    tokens
}

/// Checks that a text is refused as a token of each kind.
async fn assert_is_none(server: &TestServer, text: &str) -> Result<(), TestCaseError> {
    let bearer = format!("Bearer {text}");
    let answer = server.send(Method::GET, "/api/auth/profile", &[("authorization", &bearer)], None).await;
    prop_assert_eq!(answer.status.as_u16(), 401, "{}", answer.text);
    let code = answer.text_at("/error/code");
    prop_assert!(code == "token_invalid" || (text.is_empty() && code == "token_missing"), "{code}: {text}");
    let answer = server.refresh(text).await;
    prop_assert_eq!(answer.status.as_u16(), 401, "{}", answer.text);
    Ok(())
}

async fn assert_is_good(server: &TestServer, tokens: &Tokens) -> Result<(), TestCaseError> {
    let answer = server.get_as(&tokens.access, "/api/auth/profile").await;
    prop_assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    Ok(())
}

#[test]
fn any_text_is_no_token() {
    let kept = RefCell::new(None);
    let text = prop_oneof![
        ANY_HEADER,
        "[A-Za-z0-9_\\-]{0,80}\\.[A-Za-z0-9_\\-]{0,200}\\.[A-Za-z0-9_\\-]{0,80}",
        "eyJhbGciOiJIUzI1NiJ9\\.eyJ[A-Za-z0-9_\\-]{0,200}\\.[A-Za-z0-9_\\-]{43}",
    ];
    holds_on_server(&[("RATE_LIMITS_ENABLED", "false")], 300, &text, async |server, text| {
        let tokens = tokens(server, &kept).await;
        assert_is_none(server, &text).await?;
        assert_is_good(server, &tokens).await
    });
}

#[test]
fn a_good_token_bears_no_change() {
    for settings in [vec![], vec![("JWT_AUDIENCE", "loopin")]] {
        let kept = RefCell::new(None);
        let settings = [settings, vec![("RATE_LIMITS_ENABLED", "false")]].concat();
        holds_on_server(
            &settings,
            300,
            &(changes(), any::<bool>()),
            async |server, (changes, is_refresh)| {
                let tokens = tokens(server, &kept).await;
                let good = if is_refresh { &tokens.refresh } else { &tokens.access };
                let text = changed(good, &changes);
                prop_assume!(&text != good);
                assert_is_none(server, &text).await?;
                assert_is_good(server, &tokens).await
            },
        );
    }
}

/// Random claims, signed with the right secret.
#[test]
fn claims_of_chance_admit_nobody() {
    let kept = RefCell::new(None);
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}".prop_map(Value::from),
        Just(json!(["access"])),
        Just(json!({})),
    ];
    let name = prop::sample::select(vec!["token_type", "user_id", "sid", "jti", "iat", "exp", "role"]);
    let changes = prop::collection::btree_map(name, value, 1..4);
    holds_on_server(&[("RATE_LIMITS_ENABLED", "false")], 300, &changes, async |server, changes| {
        let tokens = tokens(server, &kept).await;
        let good = claims(&tokens.access);
        let mut other = good.clone();
        other
            .as_object_mut()
            .unwrap()
            .extend(changes.into_iter().map(|(name, value)| (name.to_owned(), value)));
        // Nothing is decided by `jti` and `iat` of an access token, and a later end with our signature is valid.
        for free in ["jti", "iat"] {
            prop_assume!(uuid_or_number(&other[free]).is_none() || other[free] == good[free]);
        }
        prop_assume!(
            other != good && other["exp"].as_i64().is_none_or(|end| end == good["exp"].as_i64().unwrap())
        );
        let key = jsonwebtoken::EncodingKey::from_secret(server.setting("JWT_SECRET_KEY").as_bytes());
        let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &other, &key).expect("it signs");
        let answer = server.get_as(&token, "/api/auth/profile").await;
        prop_assert_eq!(answer.status.as_u16(), 401, "{}: {}", other, answer.text);
        assert_is_good(server, &tokens).await
    });
}

fn uuid_or_number(value: &Value) -> Option<()> {
    (value.is_i64() || value.as_str().is_some_and(|text| uuid::Uuid::parse_str(text).is_ok())).then_some(())
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("a token has three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("Base64 for URLs")).expect("claims are JSON")
}
