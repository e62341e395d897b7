//! `POST /api/auth/complete-profile`

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    forge::with,
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer, whole_profile},
};

const PATH: &str = "/api/auth/complete-profile";

async fn complete(server: &TestServer, token: &str, body: Value) -> Answer {
    server.send_as(token, Method::POST, PATH, body).await
}

/// The field errors of a valid profile with these changes; null removes a field.
async fn errors(server: &TestServer, token: &str, changes: Value) -> Value {
    let answer = complete(server, token, with(whole_profile(), changes)).await;
    if answer.status == 200 {
        return json!({});
    }
    answer.assert_error(422, "validation_failed");
    answer.at("/error/fields")
}

on_both! {
    async fn it_completes_the_profile(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let answer = complete(&server, &tokens.access, whole_profile()).await;
        answer.assert_ok();
        let profile_id = server.get_as(&tokens.access, "/api/auth/profile").await.text_at("/id");
        assert_eq!(answer.json(), json!({
            "success": true,
            "message": "Profile completed successfully",
            "data": {
                "user_id": tokens.user_id,
                "profile_id": profile_id,
                "name": "Gaurav Kumar",
                "phone_number": PHONE,
                "gender": "male",
                "event_interests_count": 3,
                "profile_pictures_count": 2,
            },
            "token": null,
        }));
        assert!(uuid::Uuid::parse_str(&profile_id).is_ok_and(|id| id.get_version_num() == 7));
    }

    async fn afterwards_the_person_is_registered(server: TestServer) {
        server.sign_in_and_complete(PHONE).await;
        server.advance(31);
        server.signup(PHONE).await.assert_error(409, "user_already_exists");
        server.login(PHONE).await.assert_ok();
        let answer = server.verify_login(PHONE, &server.last_code_for(PHONE)).await;
        assert_eq!(answer.assert_ok().at("/data/needs_profile_completion"), json!(false));
        assert_eq!(answer.at("/data/name"), json!("Gaurav Kumar"));
    }

    async fn the_phone_may_be_left_out_or_spelt_in_any_way(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        for phone in [Value::Null, json!(PHONE), json!("+91 62058-29376"), json!("6205829376"), json!("0091 6205829376")] {
            assert_eq!(errors(&server, &token, json!({"phone_number": phone})).await, json!({}), "{phone}");
        }
    }

    async fn the_phone_must_be_the_tokens(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        for phone in [json!(OTHER_PHONE), json!("12"), json!(""), json!(6_205_829_376_i64)] {
            let errors = errors(&server, &token, json!({"phone_number": phone})).await;
            assert!(errors["phone_number"].is_array(), "{phone}: {errors}");
            assert_eq!(errors.as_object().unwrap().len(), 1);
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE name IS NOT NULL").await, 0);
    }

    async fn all_faults_come_at_once_and_nothing_is_written(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        let answer = complete(&server, &token, json!({
            "phone_number": OTHER_PHONE, "name": "A1", "birth_date": "1995-1-1", "gender": "m",
            "event_interests": [1, 1, 99], "profile_pictures": ["ftp://a.b/c", "nonsense"],
            "bio": "a".repeat(501), "location": "a".repeat(101),
        })).await;
        answer.assert_error(422, "validation_failed");
        assert_eq!(answer.at("/error/fields"), json!({
            "bio": ["Bio must be at most 500 characters long"],
            "birth_date": ["Birth date must have the form YYYY-MM-DD"],
            "event_interests": [
                "Each event interest may be chosen only once",
                "Every event interest must be one of the active ones",
            ],
            "gender": ["Gender must be male, female or other"],
            "location": ["Location must be at most 100 characters long"],
            "name": [
                "Name must be at least 3 characters long",
                "Name may contain only letters, spaces, hyphens, full stops, middle dots and apostrophes",
            ],
            "phone_number": ["Phone number must be the one that you signed in with"],
            "profile_pictures": [
                "Profile picture 1 must be an http or https URL",
                "Profile picture 2 must be an http or https URL",
            ],
        }));
        let profile = server.get_as(&token, "/api/auth/profile").await;
        assert_eq!(profile.at("/name"), Value::Null);
        assert_eq!(profile.at("/event_interests"), json!([]));
    }

    async fn an_empty_object_names_everything_that_is_missing(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        let required = json!(["This field is required"]);
        let expected = json!({"birth_date": required, "event_interests": required, "gender": required,
            "name": required, "profile_pictures": required});
        let answer = complete(&server, &token, json!({})).await;
        answer.assert_error(422, "validation_failed");
        assert_eq!(answer.at("/error/fields"), expected);
        for field in ["name", "birth_date", "gender", "event_interests", "profile_pictures"] {
            let mut body = whole_profile();
            body[field] = Value::Null;
            let answer = complete(&server, &token, body).await;
            answer.assert_error(422, "validation_failed");
            assert_eq!(answer.at("/error/fields"), json!({field: ["This field may not be null"]}));
        }
    }

    async fn names_of_every_script_are_taken_and_trimmed(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        for name in ["गौरव", "José Ñúñez", "A. R. Rahman", "O’Brien", "O'Brien", "Anne-Marie", "李小龙", "  Gaurav  ", "abc"] {
            let answer = complete(&server, &token, with(whole_profile(), json!({"name": name}))).await;
            assert_eq!(answer.assert_ok().at("/data/name"), json!(name.trim()));
        }
        for name in ["", "  ", "ab", " a ", "a1b", "Gaurav!", "a\nb c", "Gau\u{0}rav", "123", "...", &"a".repeat(101)] {
            let errors = errors(&server, &token, json!({"name": name})).await;
            assert!(errors["name"].is_array(), "{name:?}: {errors}");
        }
    }

    async fn eighteen_is_counted_in_the_zone_of_the_product(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        // It is 14 March 2026 everywhere, mid-day in India.
        for (birth_date, is_right) in [
            ("2008-03-14", true), ("2008-03-15", false), ("1906-03-14", true), ("1906-03-13", false),
            ("2026-03-15", false), ("0001-01-01", false), ("1995-1-1", false), ("1995-02-30", false),
            ("١٩٩٥-٠١-٠١", false), ("1995-01-01T00:00:00Z", false),
        ] {
            let errors = errors(&server, &token, json!({"birth_date": birth_date})).await;
            assert_eq!(errors == json!({}), is_right, "{birth_date}: {errors}");
        }
        // 18:29:53 UTC is 23:59:53 in India; eight seconds later it is the 15th there.
        server.advance(9 * 3600 + 3 * 60);
        let token = server.sign_in(OTHER_PHONE).await.access;
        let born = json!({"phone_number": OTHER_PHONE, "birth_date": "2008-03-15"});
        assert!(errors(&server, &token, born.clone()).await["birth_date"].is_array());
        server.advance(8);
        assert_eq!(errors(&server, &token, born).await, json!({}));
    }

    async fn the_gender_is_stored_in_lower_case(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        for gender in ["Female", "OTHER", "male"] {
            let answer = complete(&server, &token, with(whole_profile(), json!({"gender": gender}))).await;
            assert_eq!(answer.assert_ok().at("/data/gender"), json!(gender.to_lowercase()));
        }
    }

    async fn one_to_five_active_interests_are_chosen(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        server.execute("UPDATE event_interests SET is_active = FALSE WHERE id = 10").await;
        for (ids, is_right) in [
            (json!([1]), true), (json!([5, 4, 3, 2, 1]), true), (json!([]), false), (json!([1, 2, 3, 4, 5, 6]), false),
            (json!([1, 1]), false), (json!([10]), false), (json!([99]), false), (json!([-1]), false),
            (json!(["1"]), false), (json!([1.0]), false), (json!([true]), false), (json!([null]), false),
            (json!(1), false), (json!("1"), false), (json!({"1": 1}), false), (json!([u64::MAX]), false),
        ] {
            let errors = errors(&server, &token, json!({"event_interests": ids})).await;
            assert_eq!(errors == json!({}), is_right, "{ids}: {errors}");
            assert!(is_right || errors["event_interests"].is_array(), "{ids}: {errors}");
        }
    }

    async fn one_to_six_pictures_are_given(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        let urls = |count: usize| (0..count).map(|n| format!("https://cdn.company/{n}.jpg")).collect::<Vec<_>>();
        for (pictures, is_right) in [
            (json!(urls(1)), true), (json!(urls(6)), true), (json!(urls(0)), false), (json!(urls(7)), false),
            (json!(["https://cdn.company/a", "https://cdn.company/a"]), false),
            (json!([format!("https://cdn.company/{}", "a".repeat(2028))]), true),
            (json!([format!("https://cdn.company/{}", "a".repeat(2029))]), false),
            (json!(["https://999.999.999.999/a"]), false), (json!(["javascript:alert(1)"]), false),
            (json!(["https://cdn.company/\u{0}"]), false), (json!([7]), false), (json!([null]), false),
            (json!("https://cdn.company/a"), false),
        ] {
            let errors = errors(&server, &token, json!({"profile_pictures": pictures})).await;
            assert_eq!(errors == json!({}), is_right, "{pictures}: {errors}");
        }
        // In dev, pictures may be on the developer's machine. The next test is about production.
        assert_eq!(errors(&server, &token, json!({"profile_pictures": ["http://localhost:3000/a.jpg"]})).await, json!({}));
    }

    async fn in_production_pictures_are_on_public_hosts(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        let server = server.second_server(&[
            ("ENVIRONMENT", "prod"), ("ALLOWED_HOSTS", "*"),
            ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000"), ("TWILIO_AUTH_TOKEN", "none"),
            ("TWILIO_PHONE_NUMBER", "+15005550006"),
        ]).await;
        let hosted = [("host", "auth.example.com"), ("content-type", "application/json")];
        for (url, is_right) in [
            ("https://cdn.company/a.jpg", true), ("http://localhost/a", false), ("http://127.0.0.1/a", false),
            ("http://169.254.169.254/a", false), ("http://10.0.0.1/a", false), ("http://[::1]/a", false),
            ("http://192.168.1.1/a", false), ("http://nas/a", false),
        ] {
            let body = with(whole_profile(), json!({"profile_pictures": [url]})).to_string();
            let bearer = format!("Bearer {token}");
            let headers = [hosted[0], hosted[1], ("authorization", bearer.as_str())];
            let answer = server.send(Method::POST, PATH, &headers, Some(body)).await;
            assert_eq!(answer.status == 200, is_right, "{url}: {}", answer.text);
        }
    }

    async fn again_overwrites(server: TestServer) {
        let tokens = server.sign_in_and_complete(PHONE).await;
        let texts = json!({"bio": "I like live music.", "location": "Patna"});
        complete(&server, &tokens.access, with(whole_profile(), texts)).await.assert_ok();
        let newer = json!({"name": "Gaurav K.", "birth_date": "1996-02-29", "gender": "other",
            "event_interests": [7, 2], "profile_pictures": ["https://cdn.company/new.jpg"]});
        complete(&server, &tokens.access, newer).await.assert_ok();
        let profile = server.get_as(&tokens.access, "/api/auth/profile").await;
        assert_eq!(profile.at("/name"), json!("Gaurav K."));
        assert_eq!(profile.at("/birth_date"), json!("1996-02-29"));
        assert_eq!(profile.at("/gender"), json!("other"));
        assert_eq!((profile.at("/event_interests/0/id"), profile.at("/event_interests/1/id")), (json!(7), json!(2)));
        assert_eq!(profile.at("/profile_pictures"), json!(["https://cdn.company/new.jpg"]));
        assert_eq!((profile.at("/bio"), profile.at("/location")), (Value::Null, Value::Null));
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 1);
    }

    async fn what_is_not_asked_for_is_passed_over(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let extra = json!({"email": "g@example.com", "user_id": 1, "is_active": false, "role": "admin"});
        assert_eq!(errors(&server, &tokens.access, extra).await, json!({}));
        assert_eq!(server.get_as(&tokens.access, "/api/auth/profile").await.at("/user/email"), Value::Null);
    }

    async fn everybody_writes_her_own(server: TestServer) {
        let mine = server.sign_in_and_complete(PHONE).await;
        let other = server.sign_in(OTHER_PHONE).await;
        let body = with(whole_profile(), json!({"phone_number": null, "name": "Asha"}));
        complete(&server, &other.access, body).await.assert_ok();
        assert_eq!(server.get_as(&mine.access, "/api/auth/profile").await.at("/name"), json!("Gaurav Kumar"));
        assert_eq!(server.get_as(&other.access, "/api/auth/profile").await.at("/name"), json!("Asha"));
    }
}
