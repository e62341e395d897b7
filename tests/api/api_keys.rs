//! API keys: who is let in by one, and what they cost.

use loopin_auth::{
    domain::{
        api_key::{ApiSecret, KeyLimits, KeyName, Scope},
        audit::Action,
    },
    flows::api_keys::{self, Made, NewKey},
};
use poem::http::Method;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    audit::{detail, entries_of},
    on_both,
    support::{PHONE, TestServer, service::Service},
};

/// The routes of keys: method, path and scope.
const ROUTES: [(&str, &str, Scope); 5] = [
    ("POST", "/api/verifications", Scope::Verifications),
    ("POST", "/api/verifications/7/check", Scope::Verifications),
    ("GET", "/api/verifications/7", Scope::Verifications),
    ("DELETE", "/api/verifications/7", Scope::Verifications),
    ("POST", "/api/auth/introspect", Scope::Introspect),
];

/// A key that was never made.
fn unknown_key(nth: u8) -> String {
    ApiSecret::new([nth; 24]).expose().expose_secret().to_owned()
}

async fn used_at(server: &TestServer) -> String {
    server.text("SELECT COALESCE(CAST(last_used_at AS TEXT), '') FROM api_keys").await
}

on_both! {
    async fn each_route_wants_a_live_key_with_its_scope(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let with = |name: &'static str, scope: Scope| {
            let server = server.clone();
            async move { Service::with(&server, name, &[scope], KeyLimits::default()).await.key }
        };
        let keys = [(Scope::Verifications, with("shop", Scope::Verifications).await), (Scope::Introspect, with("gateway", Scope::Introspect).await)];
        for (method, path, needed) in ROUTES {
            let method: Method = method.parse().unwrap();
            // A fault of the body is never told before the gate.
            let missing = server.send(method.clone(), path, &[("content-type", "application/json")], Some("[".to_owned())).await;
            missing.assert_error(401, "token_missing");
            assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
            for bad in [tokens.access.as_str(), tokens.refresh.as_str(), "lak_", &unknown_key(1), &keys[0].1.to_uppercase()] {
                let refused = server.send_as(bad, method.clone(), path, json!([])).await;
                refused.assert_error(401, "token_invalid");
                assert_eq!(refused.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
            }
            for (scope, key) in &keys {
                let answer = server.send_as(key, method.clone(), path, json!([])).await;
                if *scope == needed {
                    assert!(![401, 403].contains(&answer.status.as_u16()), "{path}: {}", answer.text);
                } else {
                    answer.assert_error(403, "forbidden");
                }
            }
        }
    }

    async fn a_key_is_nothing_at_the_routes_of_users(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        for (method, path) in [
            ("GET", "/api/auth/profile"),
            ("POST", "/api/auth/logout-all"),
            ("GET", "/api/users"),
            ("GET", "/api/admin/leads"),
            ("POST", "/api/auth/confirm-code"),
        ] {
            server.send_as(&shop.key, method.parse().unwrap(), path, json!({})).await.assert_error(401, "token_invalid");
        }
        server.refresh(&shop.key).await.assert_error(401, "token_invalid");
    }

    async fn an_ended_key_is_refused_at_once_and_its_name_is_free(server: TestServer) {
        let shop = Service::new(&server, "Shop").await;
        let id = shop.started(&server, PHONE).await;
        let name = KeyName::parse("shop").unwrap();
        let new = || NewKey { name: name.clone(), scopes: vec![Scope::Verifications], limits: KeyLimits::default() };
        assert!(matches!(api_keys::make(&server.services, new()).await.unwrap(), Made::NameTaken));
        assert!(api_keys::end(&server.services, name.clone()).await.unwrap());
        shop.get(&server, &id).await.assert_error(401, "token_invalid");
        assert!(!api_keys::end(&server.services, name.clone()).await.unwrap());
        server.advance(1);
        let next = Service::new(&server, "shop").await;
        // It is another key: what the one before asked for is not there.
        next.get(&server, &id).await.assert_error(404, "not_found");
        let listed = api_keys::list(&server.services).await.unwrap();
        let said: Vec<(&str, bool)> = listed.iter().map(|key| (key.name.as_str(), key.ended_at.is_some())).collect();
        assert_eq!(said, [("Shop", true), ("shop", false)]);
        let made = entries_of(&server, Action::ApiKeyMade).await;
        assert_eq!(detail(&made[0]), json!({"service": "Shop", "scopes": ["verifications", "introspect"]}));
        assert_eq!(made[0].actor_kind, "command");
        assert_eq!(detail(&entries_of(&server, Action::ApiKeyEnded).await[0]), json!({"service": "Shop"}));
    }

    async fn a_key_is_stored_as_a_hash_only(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        assert!(shop.key.starts_with("lak_") && shop.key.len() == 60, "{}", shop.key);
        let hash = server.text("SELECT hash FROM api_keys").await;
        assert_eq!(hash.len(), 64);
        assert!(!hash.contains(&shop.key[4..20]));
        let columns = server.text("SELECT name || name_key || scopes || hash || countries FROM api_keys").await;
        assert!(!columns.contains(&shop.key[4..52]), "{columns}");
        let other = Service::new(&server, "bank").await;
        assert_ne!(shop.key, other.key);
    }

    async fn the_last_use_is_written_once_a_minute(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let use_it = || async { shop.get(&server, "7").await.assert_error(404, "not_found") };
        assert_eq!(used_at(&server).await, "");
        use_it().await;
        let first = used_at(&server).await;
        assert_ne!(first, "");
        server.advance(59);
        use_it().await;
        assert_eq!(used_at(&server).await, first);
        server.advance(1);
        use_it().await;
        assert_ne!(used_at(&server).await, first);
    }

    async fn unknown_keys_are_limited_by_address_and_good_ones_are_not(server: TestServer) {
        let (shop, attacker) = (Service::new(&server, "shop").await, server.from("203.0.113.7"));
        let get = |server: &TestServer, key: String| {
            let server = server.clone();
            async move { server.get_as(&key, "/api/verifications/7").await }
        };
        // A text that is no key costs nothing, so it is not counted.
        for _ in 0..40 {
            get(&attacker, "lak_nonsense".to_owned()).await.assert_error(401, "token_invalid");
        }
        for nth in 0..30 {
            get(&attacker, unknown_key(nth)).await.assert_error(401, "token_invalid");
        }
        let limited = get(&attacker, unknown_key(31)).await;
        limited.assert_error(429, "rate_limited");
        assert_eq!(limited.at("/error/retry_after"), json!(3600));
        get(&attacker, shop.key.clone()).await.assert_error(404, "not_found");
        get(&server, unknown_key(31)).await.assert_error(401, "token_invalid");
        // It locks the address out of nothing else.
        attacker.signup(PHONE).await.assert_ok();
        attacker.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        server.advance(3600);
        get(&attacker, unknown_key(32)).await.assert_error(401, "token_invalid");
    }
}
