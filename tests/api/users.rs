//! `GET /api/users`: the list, its pages and its search.

use migration::{Migrator, MigratorTrait};
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    on_both,
    roles::{ADMIN, STAFF, a_user, sign_in_with_role},
    schema::connect,
    support::{Answer, PHONE, TestServer, Tokens, whole_profile},
};

/// Signs up a user with this name, and sets these fields by PUT.
async fn known_as(server: &TestServer, phone: &str, name: &str, fields: Value) -> Tokens {
    let tokens = server.sign_in(phone).await;
    let mut profile = whole_profile();
    profile["phone_number"] = json!(phone);
    profile["name"] = json!(name);
    server.send_as(&tokens.access, Method::POST, "/api/auth/complete-profile", profile).await.assert_ok();
    let path = format!("/api/users/{}", tokens.user_id);
    server.send_as(&tokens.access, Method::PUT, &path, fields).await.assert_ok();
    tokens
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn search(server: &TestServer, staff: &str, text: &str) -> Answer {
    let answer = server.get_as(staff, &format!("/api/users?search={}", escaped(text))).await;
    answer.assert_ok();
    answer
}

/// The phones of the users that a search finds, in order of the digits.
async fn found(server: &TestServer, staff: &str, text: &str) -> Vec<String> {
    let answer = search(server, staff, text).await;
    let users = answer.at("/users");
    let mut phones: Vec<String> = users
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["phone_number"].as_str().unwrap_or("none").to_owned())
        .collect();
    assert_eq!(answer.at("/total"), json!(phones.len()));
    phones.sort();
    phones
}

const GAURAV: &str = "+916205829376";
const JOSE: &str = "+919876543211";
const SOFIA: &str = "+919876543212";

on_both! {
    async fn only_staff_and_admins_see_the_list(server: TestServer) {
        let user = server.sign_in(PHONE).await;
        for path in ["/api/users", "/api/users/", "/api/users?page=nonsense"] {
            server.get(path).await.assert_error(401, "token_missing");
            server.get_as(&user.access, path).await.assert_error(403, "forbidden");
        }
        for (phone, role) in [(STAFF, "staff"), (ADMIN, "admin")] {
            let token = sign_in_with_role(&server, phone, role).await.access;
            for path in ["/api/users", "/api/users/"] {
                server.get_as(&token, path).await.assert_ok();
            }
        }
    }

    async fn a_user_is_shown_with_everything_but_her_password(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await.access;
        server.advance(60);
        let fields = json!({"first_name": "Gaurav", "last_name": "Kumar", "email": "Gaurav@Example.com"});
        let tokens = known_as(&server, PHONE, "Gaurav Kumar", fields).await;
        server.execute(&format!(
            "UPDATE accounts SET password_hash = '$argon2id$secret', username = 'GauravK', username_key = 'gauravk', \
             claimed_phone = '+919999999999' WHERE phone = '{PHONE}'"
        )).await;
        let answer = server.get_as(&staff, "/api/users?per_page=1").await;
        answer.assert_ok();
        assert!(!answer.text.contains("argon2") && !answer.text.contains("password"), "{}", answer.text);
        let now = server.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
        let expected = json!({
            "id": tokens.user_id,
            "username": "GauravK",
            "email": "Gaurav@Example.com",
            "first_name": "Gaurav",
            "last_name": "Kumar",
            "phone_number": PHONE,
            "phone": "+919999999999",
            "former_phone": null,
            "name": "Gaurav Kumar",
            "role": "user",
            "is_active": true,
            "is_verified": true,
            "needs_profile_completion": false,
            "created_at": now,
            "updated_at": now,
            "last_login": now,
        });
        assert_eq!(answer.json(), json!({
            "users": [expected], "total": 2, "page": 1, "per_page": 1, "total_pages": 2,
        }));
        for token in [&staff, &tokens.access] {
            let one = server.get_as(token, &format!("/api/users/{}", tokens.user_id)).await;
            assert_eq!(one.assert_ok().json(), expected);
        }
    }

    async fn what_nothing_is_known_of_is_null(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.execute("DELETE FROM sessions WHERE opened_by <> 'code'").await;
        let one = server.get_as(&tokens.access, &format!("/api/users/{}", tokens.user_id)).await;
        for member in ["username", "email", "first_name", "last_name", "phone", "name"] {
            assert_eq!(one.json().get(member), Some(&Value::Null), "{member} of {}", one.text);
        }
        assert_eq!(one.at("/needs_profile_completion"), json!(true));
        // After the sessions are purged, the last sign-in is unknown.
        let staff = sign_in_with_role(&server, STAFF, "staff").await.access;
        server.execute(&format!(
            "DELETE FROM sessions WHERE account_id IN (SELECT id FROM accounts WHERE phone = '{PHONE}')"
        )).await;
        let one = server.get_as(&staff, &format!("/api/users/{}", tokens.user_id)).await;
        assert_eq!(one.json().get("last_login"), Some(&Value::Null), "{}", one.text);
    }

    async fn pages_are_newest_first_and_do_not_overlap(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await.access;
        for last in 10..16 {
            // Two users have the same time; their order is that of their ids.
            server.advance(i64::from(last % 2));
            a_user(&server, &format!("+9198765432{last}")).await;
        }
        let mut seen = Vec::new();
        for page in 1..=3 {
            let answer = server.get_as(&staff, &format!("/api/users?page={page}&per_page=3")).await;
            let numbers = ["total", "page", "per_page", "total_pages"].map(|name| answer.json()[name].clone());
            assert_eq!(numbers, [json!(7), json!(page), json!(3), json!(3)], "{}", answer.text);
            let users = answer.at("/users").as_array().unwrap().clone();
            assert_eq!(users.len(), if page == 3 { 1 } else { 3 });
            seen.extend(users.iter().map(|user| {
                (user["created_at"].as_str().unwrap().to_owned(), user["id"].as_str().unwrap().to_owned())
            }));
        }
        let mut sorted = seen.clone();
        sorted.sort();
        sorted.reverse();
        sorted.dedup();
        assert_eq!(seen, sorted);
        for page in ["4", "1000000", "9223372036854775807"] {
            let answer = server.get_as(&staff, &format!("/api/users?page={page}&per_page=3")).await;
            answer.assert_ok();
            assert_eq!((answer.at("/users"), answer.at("/total")), (json!([]), json!(7)));
            assert_eq!(answer.at("/page").to_string(), page);
        }
        let answer = server.get_as(&staff, "/api/users?search=nobody").await;
        assert_eq!(answer.assert_ok().json(), json!({
            "users": [], "total": 0, "page": 1, "per_page": 20, "total_pages": 0,
        }));
        let answer = server.get_as(&staff, "/api/users?per_page=100&page=1").await;
        assert_eq!(answer.at("/users").as_array().unwrap().len(), 7);
    }

    async fn bad_parameters_are_named_all_at_once(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await.access;
        let page = "Page must be a whole number from 1";
        let size = "Users per page must be a whole number from 1 to 100";
        let long = "Search must be at most 100 characters long";
        let control = "Search must not contain control characters";
        let (most, too_long) = ("g".repeat(100), "g".repeat(101));
        for (query, field, why) in [
            ("page=0".to_owned(), "page", page),
            ("page=-1".to_owned(), "page", page),
            ("page=".to_owned(), "page", page),
            ("page=1.5".to_owned(), "page", page),
            ("page=%2B1".to_owned(), "page", page),
            ("page=%D9%A1".to_owned(), "page", page), // a digit of another script
            ("page=9223372036854775808".to_owned(), "page", page),
            ("page=99999999999999999999999".to_owned(), "page", page),
            ("per_page=0".to_owned(), "per_page", size),
            ("per_page=101".to_owned(), "per_page", size),
            ("per_page=all".to_owned(), "per_page", size),
            (format!("search={too_long}"), "search", long),
            ("search=a%00b".to_owned(), "search", control),
            ("search=%0A".to_owned(), "search", control),
            ("search=%C2%85".to_owned(), "search", control),
        ] {
            let answer = server.get_as(&staff, &format!("/api/users?{query}")).await;
            answer.assert_error(422, "validation_failed");
            assert_eq!(answer.at("/error/fields"), json!({ field: [why] }), "{query}");
        }
        let answer = server.get_as(&staff, "/api/users?page=0&per_page=0&search=%00").await;
        assert_eq!(answer.at("/error/fields"), json!({"page": [page], "per_page": [size], "search": [control]}));
        for query in [format!("search={most}"), "search=".to_owned(), "search=%20%20".to_owned(), "other=1".to_owned()] {
            server.get_as(&staff, &format!("/api/users?{query}")).await.assert_ok();
        }
    }

    async fn people_are_found_by_what_they_are_called(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await.access;
        known_as(&server, GAURAV, "गौरव Kumar", json!({"email": "Gaurav_K@Example.com"})).await;
        // The accent as a separate (combining) character.
        known_as(&server, JOSE, "JOSE\u{301} Stra\u{df}er", json!({"first_name": "Zoë", "last_name": "Ñandú"})).await;
        known_as(&server, SOFIA, "Σοφία Οδυσσεύς", json!({"first_name": "50%", "last_name": r"back\slash !"})).await;
        server.execute(&format!(
            "UPDATE accounts SET username = 'Odysseus', username_key = 'odysseus' WHERE phone = '{SOFIA}'"
        )).await;
        server.execute(&format!(
            "UPDATE accounts SET claimed_phone = '+4915112345678' WHERE phone = '{JOSE}'"
        )).await;
        for (text, expected) in [
            ("kumar", vec![GAURAV]),
            ("KUMAR", vec![GAURAV]),
            ("  kUmAr ", vec![GAURAV]),
            ("गौरव", vec![GAURAV]),
            ("गौर", vec![GAURAV]),
            ("gaurav_k@example.COM", vec![GAURAV]),
            ("example.com kumar", vec![GAURAV]), // each word, wherever it stands
            ("kumar nobody", vec![]),
            ("josé", vec![JOSE]),
            ("JOS\u{c9}", vec![JOSE]),
            ("STRASSER", vec![JOSE]),
            ("straßer", vec![JOSE]),
            ("ZOË ñandÚ", vec![JOSE]),
            ("zo%", vec![]),
            ("σοφία", vec![SOFIA]),
            ("ΣΟΦΊΑ", vec![SOFIA]),
            ("ΟΔΥΣΣΕΎΣ", vec![SOFIA]),
            ("οδυς", vec![SOFIA]), // a sigma that ends the text and not the word
            ("ODYSS", vec![SOFIA]),
            ("%", vec![SOFIA]),
            ("50%", vec![SOFIA]),
            ("5_%", vec![]),
            ("_", vec![GAURAV]),
            (r"\", vec![SOFIA]),
            (r"K\S", vec![SOFIA]),
            ("!", vec![SOFIA]),
            ("'", vec![]),
            ("' OR 1=1 --", vec![]),
            ("\u{fffd}", vec![]),
            // Phones, verified or not.
            (GAURAV, vec![GAURAV]),
            ("916205829376", vec![GAURAV]),
            ("6205829376", vec![GAURAV]),
            ("062058 29376", vec![GAURAV]), // as one dials it at home
            ("+91 62058-29376", vec![GAURAV]),
            ("62058 293", vec![GAURAV]),
            ("(6205) 829", vec![GAURAV]),
            ("9876 5432 1", vec![JOSE, SOFIA]),
            ("+49 1511 234", vec![JOSE]),
            ("004915112345678", vec![JOSE]),
            ("kumar 6205", vec![GAURAV]),
            ("+", vec![STAFF, GAURAV, JOSE, SOFIA]),
        ] {
            let mut expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            expected.sort();
            assert_eq!(found(&server, &staff, text).await, expected, "{text:?}");
        }
        // Old values are not found any more.
        let user = server.get_as(&staff, "/api/users?search=nand%C3%BA").await;
        assert_eq!(user.at("/total"), json!(0), "ñ is not n: {}", user.text);
        let user = search(&server, &staff, "ñandú").await;
        let path = format!("/api/users/{}", user.text_at("/users/0/id"));
        server.send_as(&staff, Method::PUT, &path, json!({"last_name": null})).await.assert_ok();
        assert!(found(&server, &staff, "ñandú").await.is_empty());
    }

    async fn who_was_there_before_the_search_is_found_after_the_migration(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await.access;
        known_as(&server, PHONE, "Ångström", json!({"first_name": "ÉMILE"})).await;
        // Like rows from before the migration that added the search.
        for column in ["name_key", "first_name_key", "last_name_key"] {
            server.execute(&format!("UPDATE accounts SET {column} = NULL")).await;
        }
        assert!(found(&server, &staff, "ångström").await.is_empty());
        // The later step that searches the columns goes back first.
        let db = connect(&server).await;
        let steps = Migrator::migrations();
        let later = steps.iter().rev().take_while(|step| !step.name().ends_with("_search")).count();
        Migrator::down(&db, Some(u32::try_from(later).unwrap() + 1)).await.unwrap();
        server.execute("DROP INDEX accounts_created_at_id_idx").await;
        for column in ["name_key", "first_name_key", "last_name_key"] {
            server.execute(&format!("ALTER TABLE accounts DROP COLUMN {column}")).await;
        }
        server.execute("DELETE FROM seaql_migrations WHERE version = 'm20261121_000008_users'").await;
        server.services.store.migrate().await.unwrap();
        for text in ["ångström", "ÅNGSTRÖM", "émile"] {
            assert_eq!(found(&server, &staff, text).await, [PHONE], "{text}");
        }
    }
}
