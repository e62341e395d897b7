//! `POST /api/users`: an admin makes the account of a person whose phone is known to be proved.

use futures_util::future::join_all;
use loopin_auth::domain::audit::Action;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    again::register,
    events::sent,
    on_both,
    prefixes::entries,
    roles::{ADMIN, STAFF, sign_in_with_role},
    support::{Answer, OTHER_PHONE, PHONE, TestServer, Tokens, hook::Hook},
};

const PATH: &str = "/api/users";

async fn create(server: &TestServer, who: &Tokens, body: Value) -> Answer {
    server.send_as(&who.access, Method::POST, PATH, body).await
}

async fn admin(server: &TestServer) -> Tokens {
    sign_in_with_role(server, ADMIN, "admin").await
}

on_both! {
    async fn the_account_is_there_and_its_owner_logs_in_with_a_code(server: TestServer) {
        let admin = admin(&server).await;
        let closed = server.second_server(&[("SIGNUPS", "closed")]).await;
        closed.signup(PHONE).await.assert_error(403, "signup_closed");
        let body = json!({
            "phone_number": "062058 29376", "username": "Gaurav", "email": "Gaurav@Example.com", "first_name": " Gaurav ", "last_name": "Kumār",
        });
        let created = create(&closed, &admin, body).await;
        assert_eq!(created.status.as_u16(), 201, "{}", created.text);
        for (field, expected) in [
            ("phone_number", PHONE), ("username", "Gaurav"), ("email", "Gaurav@Example.com"), ("first_name", "Gaurav"),
            ("last_name", "Kumār"), ("role", "user"),
        ] {
            assert_eq!(created.text_at(&format!("/{field}")), expected);
        }
        assert_eq!((created.at("/is_verified"), created.at("/is_active"), created.at("/last_login")), (json!(true), json!(true), Value::Null));
        let read = server.get_as(&admin.access, &format!("{PATH}/{}", created.text_at("/id"))).await;
        assert_eq!(read.assert_ok().json(), created.json());
        assert_eq!(server.count(&format!("SELECT COUNT(*) FROM leads WHERE state = 'converted' AND phone = '{PHONE}'")).await, 1);
        // The admin's own.
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 1);
        closed.login(PHONE).await.assert_ok();
        let entered = closed.verify_login(PHONE, &closed.last_code_for(PHONE)).await;
        assert_eq!(entered.assert_ok().text_at("/data/user_id"), created.text_at("/id"));
        let made = entries(&server, Action::Registered).await;
        assert_eq!((made[0].actor_id.unwrap().to_string(), made[0].user_id.unwrap().to_string()), (admin.user_id, created.text_at("/id")));
        assert_eq!((made[0].detail.get("by"), made[0].phone_masked.as_deref()), (Some(&json!("admin")), Some("+91******9376")));
    }

    async fn a_phone_or_a_username_is_enough(server: TestServer) {
        let admin = admin(&server).await;
        let by_phone = create(&server, &admin, json!({"phone_number": PHONE, "username": null, "email": null})).await;
        assert_eq!((by_phone.status.as_u16(), by_phone.at("/username")), (201, Value::Null));
        let by_name = create(&server, &admin, json!({"username": "gaurav"})).await;
        assert_eq!((by_name.status.as_u16(), by_name.at("/is_verified")), (201, json!(false)));
    }

    async fn what_is_taken_is_told(server: TestServer) {
        let admin = admin(&server).await;
        server.sign_in(PHONE).await;
        register(&server, "gaurav").await;
        for (body, code) in [
            (json!({"phone_number": PHONE, "username": "GAURAV", "email": "gaurav@example.com"}), "phone_taken"),
            (json!({"phone_number": OTHER_PHONE, "username": "GAURAV", "email": "gaurav@example.com"}), "username_taken"),
            (json!({"phone_number": OTHER_PHONE, "email": "Gaurav@Example.com"}), "email_taken"),
        ] {
            create(&server, &admin, body).await.assert_error(409, code);
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 3);
    }

    async fn all_faults_are_told_at_once(server: TestServer) {
        let admin = admin(&server).await;
        let long = "x".repeat(151);
        let body = json!({"phone_number": "12", "username": "a@b", "email": "no", "first_name": long, "last_name": 7});
        let answer = create(&server, &admin, body).await;
        answer.assert_error(422, "validation_failed");
        let fields = answer.at("/error/fields");
        let fields: Vec<&String> = fields.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["email", "first_name", "last_name", "phone_number", "username"]);
        let answer = create(&server, &admin, json!({"email": "a@example.com"})).await;
        answer.assert_error(422, "validation_failed");
        assert!(answer.at("/error/fields/phone_number/0").is_string(), "{}", answer.text);
    }

    async fn only_an_admin_does_it(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let user = server.sign_in(OTHER_PHONE).await;
        for who in [&staff, &user] {
            create(&server, who, json!({"phone_number": 7})).await.assert_error(403, "forbidden");
        }
        server.post(PATH, json!({"phone_number": 7})).await.assert_error(401, "token_missing");
        let admin = admin(&server).await;
        let review = server.second_server(&[("OTP_REVIEW_NUMBERS", "+12025550100=4821@2027-01-31")]).await;
        create(&review, &admin, json!({"phone_number": "+12025550100"})).await.assert_error(403, "forbidden");
        let block = json!({"kind": "phone", "value": PHONE, "reason": "a test"});
        let blocked = server.send_as(&admin.access, Method::POST, "/api/admin/blocks", block).await;
        assert_eq!(blocked.status.as_u16(), 201, "{}", blocked.text);
        create(&server, &admin, json!({"phone_number": PHONE})).await.assert_error(403, "forbidden");
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 3);
    }

    async fn of_many_at_once_one_makes_the_account(server: TestServer) {
        let admin = admin(&server).await;
        let answers = join_all((0..8).map(|_| create(&server, &admin, json!({"phone_number": PHONE})))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status.as_u16() == 201).count(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.text_at("/error/code") == "phone_taken").count(), 7);
    }

    async fn the_operators_systems_are_told(server: TestServer) {
        let admin = admin(&server).await;
        let hook = Hook::that_answers("allow").await;
        let server = hook.told_by(&server, &[]).await;
        server.signup(PHONE).await.assert_ok();
        sent(&server, &hook).await;
        let created = create(&server, &admin, json!({"phone_number": PHONE})).await;
        assert_eq!(created.status.as_u16(), 201, "{}", created.text);
        let told = sent(&server, &hook).await;
        let data = |kind: &str| told.iter().find(|event| event["type"] == kind).unwrap()["data"].clone();
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(data("user.created")["created_by"], json!("staff"));
        assert_eq!(data("user.created")["user_id"], created.at("/id"));
        assert_eq!(data("lead.converted")["by"], json!("staff"));
    }
}
