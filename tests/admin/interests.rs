//! `/admin/interests`: staff add, rename, describe, activate and deactivate what users choose from.

use poem::http::Method;
use serde_json::json;

use crate::{
    browser::{Browser, Page},
    on_both,
    support::{OTHER_PHONE, PHONE, TestServer, whole_profile},
};

const LIST: &str = "/admin/interests";

/// The names that the API of this server gives.
async fn names(server: &TestServer) -> Vec<String> {
    let answer = server.get("/api/auth/event-interests").await;
    let data = answer.assert_ok().at("/data");
    data.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

async fn id_of(server: &TestServer, name: &str) -> i64 {
    server.count(&format!("SELECT id FROM event_interests WHERE name = '{name}'")).await
}

async fn count_of(server: &TestServer, id: i64) -> i64 {
    server
        .count(&format!(
            "SELECT CAST(COALESCE(SUM(accounts), 0) AS bigint) FROM interest_counts WHERE interest_id = {id}"
        ))
        .await
}

/// The cells of the row of an interest, as text.
fn row(page: &Page, name: &str) -> String {
    let row = page.html.split("<tr>").find(|row| row.contains(&format!(">{name}</a>"))).expect("the row");
    let row = row.split("</tr>").next().unwrap().to_owned();
    Page { html: row, ..page.clone() }.text()
}

on_both! {
    async fn an_interest_is_added_renamed_and_deactivated(server: TestServer) {
        let other = server.second_server(&[]).await;
        let browser = Browser::staff(&server).await;
        assert_eq!((names(&server).await.len(), names(&other).await.len()), (10, 10));
        let page = browser.get(LIST).await;
        assert_eq!(page.assert_status(200).form(LIST).value("name"), Some(""));
        let sent = [("name", " Anime "), ("description", "Films & <b>series</b>")];
        browser.submit(&page, LIST, &sent).await.assert_status(200).assert_has("Anime was added").assert_has("Films & <b>series</b>");
        // This server shows it at once, every other one within ten seconds.
        assert!(names(&server).await.contains(&"Anime".to_owned()));
        server.advance(9);
        assert!(names(&other).await.contains(&"Anime".to_owned()));
        let path = format!("{LIST}/{}", id_of(&server, "Anime").await);
        let page = browser.get(&path).await;
        assert_eq!(page.form(&path).value("name"), Some("Anime"));
        browser.submit(&page, &path, &[("name", "Anime & Manga")]).await.assert_has("Anime & Manga was saved");
        assert!(names(&server).await.contains(&"Anime & Manga".to_owned()));
        let page = browser.get(LIST).await;
        let action = format!("{path}/active");
        browser.submit(&page, &action, &[("is_active", "off")]).await.assert_has("can no longer choose it");
        assert!(!names(&server).await.contains(&"Anime & Manga".to_owned()));
        server.advance(9);
        assert_eq!(names(&other).await.len(), 10);
        let page = browser.get(LIST).await;
        browser.submit(&page, &action, &[("is_active", "on")]).await.assert_status(200);
        assert_eq!(names(&server).await.len(), 11);
        server.services.audit.flush().await.unwrap();
        let entries = "SELECT COUNT(*) FROM audit WHERE actor_kind = 'staff' AND action LIKE 'interest%'";
        assert_eq!(server.count(entries).await, 4);
    }

    async fn a_name_is_unique_without_regard_to_case(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let page = browser.get(LIST).await;
        let sent = [("name", "TECHNOLOGY"), ("description", "typed")];
        let taken = browser.submit(&page, LIST, &sent).await;
        taken.assert_status(422).assert_has("There is an interest with this name");
        assert_eq!(taken.form(LIST).value("description"), Some("typed"));
        let path = format!("{LIST}/{}", id_of(&server, "Technology").await);
        let page = browser.get(&path).await;
        browser.submit(&page, &path, &[("name", "sports & fitness")]).await.assert_status(422).assert_has("with this name");
        // Its own name in other letters is no other interest's.
        browser.submit(&page, &path, &[("name", "technology")]).await.assert_status(200).assert_has("technology was saved");
        for (name, error) in [("", "Name is required"), ("two\nlines", "line breaks"), (&"x".repeat(51), "at most 50 characters")] {
            let page = browser.get(LIST).await;
            browser.submit(&page, LIST, &[("name", name)]).await.assert_status(422).assert_has(error);
        }
        assert_eq!(names(&server).await.len(), 10);
        // A row that was written by hand has no key.
        server.execute("INSERT INTO event_interests (name, description) VALUES ('Gaming', '')").await;
        let page = browser.get(LIST).await;
        browser.submit(&page, LIST, &[("name", "gaming")]).await.assert_status(422).assert_has("with this name");
    }

    async fn of_two_who_change_an_interest_the_second_is_told(server: TestServer) {
        let first = Browser::staff(&server).await;
        let second = Browser::signed_in(&server, "asha", "admin").await;
        let path = format!("{LIST}/{}", id_of(&server, "Technology").await);
        let (one, other) = (first.get(&path).await, second.get(&path).await);
        second.submit(&other, &path, &[("name", "Tech")]).await.assert_status(200);
        let stale = first.submit(&one, &path, &[("name", "Computers"), ("description", "typed")]).await;
        stale.assert_status(409).assert_has("asha changed this interest at").assert_has("“Tech”");
        let form = stale.form(&path);
        assert_eq!((form.value("name"), form.value("description")), (Some("Computers"), Some("typed")));
        assert!(names(&server).await.contains(&"Tech".to_owned()));
        // Sent again, it replaces the other change knowingly.
        first.submit(&stale, &path, &[]).await.assert_status(200);
        assert!(names(&server).await.contains(&"Computers".to_owned()));
        // The button of a list that is too old.
        first.submit(&stale, &path, &[]).await.assert_status(409);
    }

    async fn the_number_of_people_follows_every_profile(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let one = server.sign_in_and_complete(PHONE).await;
        let two = server.sign_in(OTHER_PHONE).await;
        let profile = json!({ "event_interests": [2, 3] });
        server.send_as(&two.access, Method::PUT, "/api/auth/profile", profile).await.assert_ok();
        let counts = async || [count_of(&server, 1).await, count_of(&server, 2).await, count_of(&server, 3).await, count_of(&server, 4).await];
        assert_eq!(counts().await, [1, 2, 2, 0]);
        let page = browser.get(LIST).await;
        assert!(row(&page, "Sports &#38; Fitness").contains(" 2 "), "{}", row(&page, "Sports &#38; Fitness"));
        let profile = json!({ "event_interests": [4, 2] });
        server.send_as(&two.access, Method::PUT, "/api/auth/profile", profile).await.assert_ok();
        server.send_as(&two.access, Method::PUT, "/api/auth/profile", json!({ "bio": "Hi" })).await.assert_ok();
        assert_eq!(counts().await, [1, 2, 1, 1]);
        server.send_as(&one.access, Method::POST, "/api/auth/delete-account", json!({})).await.assert_ok();
        assert_eq!(counts().await, [0, 1, 0, 1]);
        let mut profile = whole_profile();
        profile["phone_number"] = json!(OTHER_PHONE);
        server.send_as(&two.access, Method::POST, "/api/auth/complete-profile", profile).await.assert_ok();
        assert_eq!(counts().await, [1, 1, 1, 0]);
    }

    async fn profiles_that_are_saved_at_once_are_all_counted(server: TestServer) {
        let server = server.without_limits().await;
        let mut users = Vec::new();
        for number in 0..12 {
            users.push(server.sign_in(&format!("+9162058293{number:02}")).await);
        }
        let save = |place: usize| {
            let chosen = if place.is_multiple_of(2) { json!([1, 2, 3]) } else { json!([3, 2, 1]) };
            let body = json!({ "event_interests": chosen });
            server.send_as(&users[place].access, Method::PUT, "/api/auth/profile", body)
        };
        for answer in futures_util::future::join_all((0..12).map(save)).await {
            answer.assert_ok();
        }
        for interest in 1..=3 {
            assert_eq!(count_of(&server, interest).await, 12);
        }
    }

    async fn an_unknown_interest_is_a_page_that_says_so(server: TestServer) {
        let browser = Browser::staff(&server).await;
        for path in ["/admin/interests/0", "/admin/interests/x", "/admin/interests/999999999999999999999"] {
            browser.get(path).await.assert_status(404);
        }
        let page = browser.get(LIST).await;
        let token = page.form(LIST).value("form_token").unwrap().to_owned();
        let body = format!("form_token={token}&name=x&version=0");
        browser.post("/admin/interests/77", &body).await.assert_status(404);
    }

    async fn a_user_of_the_app_sees_no_console(server: TestServer) {
        let browser = Browser::new(&server);
        assert!(browser.get(LIST).await.path.starts_with("/admin/sign-in"));
    }
}
