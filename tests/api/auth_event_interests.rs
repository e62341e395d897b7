//! `GET /api/auth/event-interests`

use serde_json::{Value, json};

use crate::{on_both, support::Answer};

const PATH: &str = "/api/auth/event-interests";

fn names(answer: &Answer) -> Vec<String> {
    let data = answer.at("/data");
    data.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

on_both! {
    async fn the_ten_are_there_by_name(server: TestServer) {
        let answer = server.get(PATH).await;
        answer.assert_ok();
        assert_eq!(answer.at("/success"), json!(true));
        assert!(!answer.text_at("/message").is_empty());
        assert_eq!(answer.json().get("token"), Some(&Value::Null));
        assert_eq!(names(&answer), [
            "Art & Culture", "Business & Networking", "Education & Learning", "Entertainment", "Food & Dining",
            "Health & Wellness", "Music & Concerts", "Sports & Fitness", "Technology", "Travel & Adventure",
        ]);
        for interest in answer.at("/data").as_array().unwrap() {
            let keys: Vec<&String> = interest.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["id", "name", "description"]);
            assert!(interest["id"].is_i64());
            assert!(!interest["description"].as_str().unwrap().is_empty());
        }
    }

    async fn it_needs_no_token_and_minds_none(server: TestServer) {
        server.get_as("nonsense", PATH).await.assert_ok();
    }

    async fn an_inactive_one_is_gone_within_ten_seconds(server: TestServer) {
        assert_eq!(names(&server.get(PATH).await).len(), 10);
        server.execute("UPDATE event_interests SET is_active = FALSE WHERE name = 'Technology'").await;
        server.advance(5);
        let left = names(&server.get(PATH).await);
        assert_eq!(left.len(), 9);
        assert!(!left.contains(&"Technology".to_owned()));
        server.execute("UPDATE event_interests SET is_active = TRUE").await;
        server.execute("INSERT INTO event_interests (name, description) VALUES ('anime', 'New')").await;
        server.advance(5);
        // The order by name ignores case: small letters do not come last.
        assert_eq!(names(&server.get(PATH).await)[0], "anime");
    }

    async fn a_list_that_is_remembered_outlives_the_database(server: TestServer) {
        server.get(PATH).await.assert_ok();
        server.services.store.close().await;
        server.advance(3600);
        assert_eq!(names(&server.get(PATH).await).len(), 10);
    }

    async fn without_the_database_nothing_is_made_up(server: TestServer) {
        server.services.store.close().await;
        server.get(PATH).await.assert_error(503, "database_unavailable");
    }
}
