//! `search_words`: the words that staff find accounts by. Triggers write them, so each way to write a name is tried.

use migration::{Migrator, MigratorTrait};
use poem::http::Method;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use crate::{
    on_both,
    roles::{STAFF, sign_in_with_role},
    schema::connect,
    support::{PHONE, TestServer, whole_profile},
};

/// The words of all accounts without those of staff, sorted and joined by spaces.
async fn words(server: &TestServer) -> String {
    let store = &server.services.store;
    let sql = "SELECT word FROM search_words JOIN accounts ON accounts.id = subject_id WHERE role = 'user' AND subject = 'account'";
    let statement = Statement::from_string(store.get_database_backend(), sql);
    let rows = store.query_all_raw(statement).await.expect("the statement runs");
    let mut words: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0).expect("a word")).collect();
    words.sort();
    words.join(" ")
}

async fn set_name(server: &TestServer, token: &str, name: &str) {
    server.send_as(token, Method::PUT, "/api/auth/profile", json!({"name": name})).await.assert_ok();
}

on_both! {
    async fn every_way_to_write_a_name_writes_its_words(server: TestServer) {
        let user = server.sign_in(PHONE).await;
        assert_eq!(words(&server).await, "");
        let profile = whole_profile();
        server.send_as(&user.access, Method::POST, "/api/auth/complete-profile", profile).await.assert_ok();
        assert_eq!(words(&server).await, "gaurav kumar");
        set_name(&server, &user.access, "Jean-Pierre O’Brien").await;
        assert_eq!(words(&server).await, "brien jean o pierre");
        let path = format!("/api/users/{}", user.user_id);
        let fields = json!({"first_name": "Gaurav", "email": "Ravi.Kumar@Example.com"});
        server.send_as(&user.access, Method::PUT, &path, fields).await.assert_ok();
        assert_eq!(
            words(&server).await,
            "brien gaurav jean kumar o pierre ravi ravi.kumar@example.com"
        );
        let staff = sign_in_with_role(&server, STAFF, "staff").await.access;
        let fields = json!({"first_name": "", "email": Value::Null, "last_name": "\"Quoted\\\" $1 %"});
        server.send_as(&staff, Method::PUT, &path, fields).await.assert_ok();
        assert_eq!(words(&server).await, "$1 % brien jean o pierre quoted\\");
        server.send_as(&user.access, Method::POST, "/api/auth/delete-account", Value::Null).await.assert_ok();
        assert_eq!(words(&server).await, "");
        let orphans = "SELECT COUNT(*) FROM search_words WHERE subject_id NOT IN (SELECT id FROM accounts)";
        assert_eq!(server.count(orphans).await, 0);
        let new = json!({"username": "ravi_99", "email": "r@example.com", "password": "a Long-enough one"});
        assert_eq!(server.post("/api/auth/register", new).await.status, 201);
        assert_eq!(words(&server).await, "99 r r@example.com ravi");
    }

    async fn words_of_any_script_are_kept(server: TestServer) {
        let user = server.sign_in(PHONE).await;
        for (name, expected) in [
            ("गौरव कुमार", "कुमार गौरव"),
            ("محمد علي", "علي محمد"),
            ("ZOË Straße", "strasse zoë"),
            ("A. R. Rahman", "a r rahman"),
            ("Kumar Kumar", "kumar"),
        ] {
            set_name(&server, &user.access, name).await;
            assert_eq!(words(&server).await, expected);
        }
        let path = format!("/api/users/{}", user.user_id);
        for name in ["x".repeat(150), format!("x{}", "\u{301}".repeat(100))] {
            let fields = json!({"first_name": name});
            server.send_as(&user.access, Method::PUT, &path, fields).await.assert_ok();
            let longest = "SELECT MAX(LENGTH(word)) FROM search_words";
            assert_eq!(server.count(&format!("SELECT CAST(({longest}) AS BIGINT)")).await, 64);
        }
    }

    async fn the_migration_adds_the_words_of_existing_rows(server: TestServer) {
        let user = server.sign_in(PHONE).await;
        set_name(&server, &user.access, "Jean-Pierre O’Brien").await;
        let fields = json!({"email": "Ravi.Kumar@Example.com", "last_name": "it's \"so\""});
        let path = format!("/api/users/{}", user.user_id);
        server.send_as(&user.access, Method::PUT, &path, fields).await.assert_ok();
        let before = words(&server).await;
        assert!(before.contains("pierre"), "{before}");
        let db = connect(&server).await;
        let steps = Migrator::migrations();
        let later = steps.iter().rev().take_while(|step| !step.name().ends_with("_search")).count();
        Migrator::down(&db, Some(u32::try_from(later).unwrap() + 1)).await.unwrap();
        // A name is still written without the triggers.
        server.execute("UPDATE accounts SET name = 'Jean-Pierre O’Brien'").await;
        server.services.store.migrate().await.unwrap();
        assert_eq!(words(&server).await, before);
        set_name(&server, &user.access, "Someone Else").await;
        assert!(words(&server).await.contains("someone"));
    }
}
