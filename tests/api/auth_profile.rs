//! `GET` and `PUT /api/auth/profile`

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer},
};

const PATH: &str = "/api/auth/profile";

async fn put(server: &TestServer, token: &str, body: Value) -> Answer {
    server.send_as(token, Method::PUT, PATH, body).await
}

on_both! {
    async fn before_it_is_complete_it_is_full_of_nulls(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let answer = server.get_as(&tokens.access, PATH).await;
        answer.assert_ok();
        let id = answer.text_at("/id");
        assert_eq!(answer.json(), json!({
            "id": id,
            "user": {"id": tokens.user_id, "username": null, "email": null, "first_name": null, "last_name": null},
            "name": null, "phone_number": PHONE, "phone": null, "gender": null, "bio": null, "location": null,
            "birth_date": null, "event_interests": [], "profile_pictures": [],
            "is_verified": true, "is_active": true,
            "created_at": "2026-03-14T09:26:53.589793+00:00",
            "updated_at": "2026-03-14T09:26:53.589793+00:00",
        }));
        assert_ne!(id, tokens.user_id);
    }

    async fn complete_it_is_as_it_was_given(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.advance(60);
        server.send_as(&tokens.access, Method::POST, "/api/auth/complete-profile", json!({
            "name": "  गौरव कुमार ", "birth_date": "1995-01-01", "gender": "MALE", "event_interests": [3, 1],
            "profile_pictures": ["https://example.com/b.jpg", "https://example.com/a.jpg"],
            "bio": " I like live music. ", "location": "Patna",
        })).await.assert_ok();
        let profile = server.get_as(&tokens.access, PATH).await.json();
        for (name, value) in [
            ("name", json!("गौरव कुमार")), ("birth_date", json!("1995-01-01")), ("gender", json!("male")),
            ("bio", json!("I like live music.")), ("location", json!("Patna")),
            ("profile_pictures", json!(["https://example.com/b.jpg", "https://example.com/a.jpg"])),
            ("created_at", json!("2026-03-14T09:26:53.589793+00:00")),
            ("updated_at", json!("2026-03-14T09:27:53.589793+00:00")),
        ] {
            assert_eq!(profile[name], value);
        }
        let interests = server.get("/api/auth/event-interests").await;
        let by_id = |id: i64| interests.at("/data").as_array().unwrap().iter().find(|one| one["id"] == id).cloned();
        assert_eq!(profile["event_interests"], json!([by_id(3).unwrap(), by_id(1).unwrap()]));
    }

    async fn an_interest_that_was_switched_off_is_still_shown(server: TestServer) {
        let tokens = server.sign_in_and_complete(PHONE).await;
        server.execute("UPDATE event_interests SET is_active = FALSE WHERE id = 2").await;
        server.advance(61);
        let answer = server.get_as(&tokens.access, PATH).await;
        assert_eq!(answer.at("/event_interests").as_array().unwrap().len(), 3);
    }

    async fn any_subset_can_be_changed_and_the_rest_stays(server: TestServer) {
        let tokens = server.sign_in_and_complete(PHONE).await;
        let mut expected = server.get_as(&tokens.access, PATH).await.json();
        for (number, change) in [
            json!({"name": "Gaurav K."}), json!({"birth_date": "1990-12-31"}), json!({"gender": "OTHER"}),
            json!({"bio": "New", "location": "Mumbai"}), json!({"profile_pictures": ["https://example.com/new.jpg"]}),
            json!({"bio": null}), json!({"location": null}), json!({}), json!({"phone_number": PHONE}),
        ].into_iter().enumerate() {
            server.advance(1);
            let answer = put(&server, &tokens.access, change.clone()).await;
            answer.assert_ok();
            for (name, value) in change.as_object().unwrap() {
                expected[name] = value.clone();
            }
            if number >= 2 {
                expected["gender"] = json!("other");
            }
            expected["updated_at"] = answer.at("/updated_at");
            assert_eq!(answer.json(), expected, "{change}");
            assert_eq!(server.get_as(&tokens.access, PATH).await.json(), expected, "{change}");
        }
        let answer = put(&server, &tokens.access, json!({"event_interests": [5]})).await;
        assert_eq!(answer.assert_ok().at("/event_interests/0/id"), json!(5));
        assert_eq!(answer.at("/event_interests/1"), Value::Null);
    }

    async fn a_change_is_dated(server: TestServer) {
        let tokens = server.sign_in_and_complete(PHONE).await;
        server.advance(60);
        let answer = put(&server, &tokens.access, json!({"bio": "New"})).await;
        assert_eq!(answer.at("/updated_at"), json!("2026-03-14T09:27:53.589793+00:00"));
        assert_eq!(answer.at("/created_at"), json!("2026-03-14T09:26:53.589793+00:00"));
    }

    async fn null_clears_bio_and_location_only(server: TestServer) {
        let tokens = server.sign_in_and_complete(PHONE).await;
        let before = server.get_as(&tokens.access, PATH).await.json();
        let names = ["name", "birth_date", "gender", "event_interests", "profile_pictures", "phone_number"];
        for name in names {
            let answer = put(&server, &tokens.access, json!({name: null})).await;
            answer.assert_error(422, "validation_failed");
            assert_eq!(answer.at("/error/fields"), json!({name: ["This field may not be null"]}));
        }
        let all: Value = names.iter().map(|name| ((*name).to_owned(), Value::Null)).collect::<serde_json::Map<_, _>>().into();
        let answer = put(&server, &tokens.access, all).await;
        assert_eq!(answer.at("/error/fields").as_object().unwrap().len(), names.len());
        assert_eq!(server.get_as(&tokens.access, PATH).await.json(), before);
        put(&server, &tokens.access, json!({"bio": "a", "location": "b"})).await.assert_ok();
        let cleared = put(&server, &tokens.access, json!({"bio": null, "location": null})).await;
        assert_eq!((cleared.assert_ok().at("/bio"), cleared.at("/location")), (Value::Null, Value::Null));
    }

    async fn all_faults_come_at_once_and_nothing_is_written(server: TestServer) {
        let tokens = server.sign_in_and_complete(PHONE).await;
        let before = server.get_as(&tokens.access, PATH).await.json();
        let answer = put(&server, &tokens.access, json!({
            "phone_number": OTHER_PHONE, "name": "Al", "birth_date": "2020-01-01", "gender": "",
            "event_interests": [], "profile_pictures": [], "bio": "a\nb", "location": 7,
        })).await;
        answer.assert_error(422, "validation_failed");
        let fields = answer.at("/error/fields");
        let names: Vec<&String> = fields.as_object().unwrap().keys().collect();
        assert_eq!(names, ["bio", "birth_date", "event_interests", "gender", "location", "name", "phone_number",
            "profile_pictures"]);
        let one_bad = put(&server, &tokens.access, json!({"name": "Asha", "gender": "x"})).await;
        assert_eq!(one_bad.at("/error/fields").as_object().unwrap().len(), 1);
        assert_eq!(server.get_as(&tokens.access, PATH).await.json(), before);
    }

    async fn changing_everything_completes_the_profile_too(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        for change in [
            json!({"name": "Asha"}), json!({"gender": "female"}), json!({"birth_date": "1999-09-09"}),
            json!({"event_interests": [4]}),
        ] {
            put(&server, &tokens.access, change).await.assert_ok();
        }
        server.advance(31);
        // One field is still missing, so signing up continues.
        server.signup(PHONE).await.assert_ok();
        let picture = json!({"profile_pictures": ["https://example.com/a.jpg"]});
        put(&server, &tokens.access, picture).await.assert_ok();
        let answer = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await;
        assert_eq!(answer.assert_ok().at("/data/needs_profile_completion"), json!(false));
        assert_eq!(answer.at("/message"), json!("OTP verified successfully. You are logged in."));
        server.advance(31);
        server.signup(PHONE).await.assert_error(409, "user_already_exists");
    }

    async fn twenty_changes_at_once_leave_a_whole_profile(server: TestServer) {
        let tokens = server.sign_in_and_complete(PHONE).await;
        let answers = futures_util::future::join_all((0..20).map(|number| {
            let change = if number % 2 == 0 { json!({"bio": format!("Bio {number}")}) } else { json!({"location": "Pune"}) };
            put(&server, &tokens.access, change)
        })).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        let profile = server.get_as(&tokens.access, PATH).await;
        assert!(profile.text_at("/bio").starts_with("Bio "));
        assert_eq!(profile.at("/location"), json!("Pune"));
        assert_eq!(profile.at("/name"), json!("Gaurav Kumar"));
    }
}
