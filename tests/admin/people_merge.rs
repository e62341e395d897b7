//! Joining two accounts of one user for the user, and undoing that.

use poem::http::Method;
use serde_json::json;

use crate::{
    browser::{Browser, PASSWORD, Page, new_account},
    on_both,
    support::{Database, OTHER_PHONE, PHONE, TestServer},
};

const DAYS_30: i64 = 30 * 86_400;

fn path(id: &str) -> String {
    format!("/admin/people/{id}/merge")
}

/// Names the other account.
async fn compare(browser: &Browser, id: &str, other: &str) -> Page {
    let page = browser.get(&path(id)).await;
    page.assert_status(200);
    browser.submit(&page, &path(id), &[("other", other)]).await
}

/// Confirms with a reason.
async fn confirm(browser: &Browser, id: &str, page: &Page) -> Page {
    let values = [("reason", "user_asked"), ("reference", "T-1042")];
    browser.submit(page, &format!("{}/confirm", path(id)), &values).await
}

/// Undoes it.
async fn undo(browser: &Browser, id: &str, gone: &str) -> Page {
    let path = format!("/admin/people/{id}/unmerge/{gone}");
    let page = browser.get(&path).await;
    page.assert_status(200);
    browser.submit(&page, &path, &[("reason", "two_people"), ("reference", "")]).await
}

/// Of the account with this id.
async fn count(server: &TestServer, id: &str, condition: &str) -> i64 {
    let id = match server.database {
        Database::Postgres => format!("'{id}'"),
        Database::Sqlite => format!("x'{}'", id.replace('-', "")),
    };
    server.count(&format!("SELECT COUNT(*) FROM accounts WHERE id = {id} AND {condition}")).await
}

async fn accounts(server: &TestServer) -> i64 {
    server.count("SELECT COUNT(*) FROM accounts WHERE role = 'user'").await
}

/// A user with a username, and one with a phone and a profile.
async fn two(server: &TestServer) -> (String, String) {
    let own = new_account(server, "asha", "user").await;
    let other = server.sign_in_and_complete(PHONE).await;
    (own, other.user_id)
}

on_both! {
    async fn both_are_shown_side_by_side_and_become_one(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let own = new_account(&server, "asha", "user").await;
        let other = server.sign_in_and_complete(PHONE).await;
        browser.get(&format!("/admin/people/{own}")).await.assert_has("Join with another account");
        for typed in ["+91 62058 29376", other.user_id.as_str()] {
            let page = compare(&browser, &own, typed).await;
            page.assert_status(200).assert_has("Both accounts, and what will stay").assert_has(PHONE);
            page.assert_has("Username asha – asha").assert_has("Name – Gaurav Kumar Gaurav Kumar");
            page.assert_has("Password set none set");
        }
        assert_eq!(accounts(&server).await, 2, "comparing changes nothing");
        let page = compare(&browser, &own, PHONE).await;
        let done = confirm(&browser, &own, &page).await;
        done.assert_status(200).assert_has("The two accounts are one now").assert_has("Gaurav Kumar");
        done.assert_has("Accounts that were joined with this one").assert_has(&other.user_id).assert_has("It can be undone until");
        done.assert_has("Two accounts of the user became one").assert_has("Reason: user asked").assert_has("Reference: T-1042");
        assert_eq!(count(&server, &own, &format!("phone = '{PHONE}' AND username = 'asha'")).await, 1);
        server.get_as(&other.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
        let notice = &server.inbox_of(PHONE)[0];
        assert!(notice.otp_code.is_none(), "{}", notice.body);
        let entries = "SELECT COUNT(*) FROM audit WHERE action = 'accounts_merged' AND actor_kind = 'staff' AND detail LIKE '%T-1042%'";
        assert_eq!(server.count(entries).await, 2);
        // The old page leads to the account that stayed.
        let page = browser.get(&format!("/admin/people/{}", other.user_id)).await;
        page.assert_status(200).assert_has("was joined with this one").assert_has(&own);
    }

    async fn an_undo_brings_everything_back(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let (own, other) = two(&server).await;
        let page = compare(&browser, &own, PHONE).await;
        confirm(&browser, &own, &page).await.assert_has("are one now");
        // What the user changes since stays.
        let body = json!({ "username": "asha", "password": PASSWORD });
        let signed_in = server.post("/api/auth/login", body).await.text_at("/access");
        let change = json!({"first_name": "Asha"});
        server.send_as(&signed_in, Method::PUT, &format!("/api/users/{own}"), change).await.assert_ok();
        let done = undo(&browser, &own, &other).await;
        done.assert_status(200).assert_has("This account is there again").assert_has("Gaurav Kumar").assert_has(PHONE);
        done.assert_has("Two accounts that had become one are two again").assert_has("Reason: two people");
        assert_eq!(count(&server, &own, "phone IS NULL AND name IS NULL AND username = 'asha' AND first_name = 'Asha'").await, 1);
        assert_eq!(count(&server, &other, &format!("phone = '{PHONE}' AND name = 'Gaurav Kumar' AND username IS NULL")).await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM merged_accounts").await, 0);
        let counted = "SELECT CAST(COALESCE(SUM(accounts), 0) AS bigint) FROM interest_counts";
        assert_eq!(server.count(counted).await, 3);
        server.get_as(&signed_in, "/api/auth/profile").await.assert_error(401, "token_revoked");
        // Each has its own way in.
        server.advance(60);
        server.login(PHONE).await.assert_ok();
        let by_phone = server.verify_login(PHONE, &server.last_code_for(PHONE)).await;
        assert_eq!(by_phone.assert_ok().text_at("/data/user_id"), other);
        let body = json!({ "username": "asha", "password": PASSWORD });
        server.post("/api/auth/login", body).await.assert_ok();
        // A second undo finds nothing.
        browser.get(&format!("/admin/people/{own}/unmerge/{other}")).await.assert_status(404);
    }

    async fn of_two_phones_the_own_one_stays_and_an_undo_returns_the_other(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let own = server.sign_in(OTHER_PHONE).await.user_id;
        let other = server.sign_in(PHONE).await.user_id;
        let page = compare(&browser, &own, PHONE).await;
        confirm(&browser, &own, &page).await.assert_has("are one now");
        assert_eq!(count(&server, &own, &format!("phone = '{OTHER_PHONE}'")).await, 1);
        assert_eq!(server.count(&format!("SELECT COUNT(*) FROM leads WHERE phone = '{PHONE}'")).await, 0);
        for phone in [PHONE, OTHER_PHONE] {
            assert_eq!(server.inbox_of(phone)[0].otp_code, None, "{phone} gets a notice");
        }
        undo(&browser, &own, &other).await.assert_has("there again");
        assert_eq!(count(&server, &own, &format!("phone = '{OTHER_PHONE}'")).await, 1);
        assert_eq!(count(&server, &other, &format!("phone = '{PHONE}'")).await, 1);
    }

    async fn an_undo_says_what_was_taken_since_and_changes_nothing(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let own = server.sign_in(OTHER_PHONE).await.user_id;
        let other = new_account(&server, "asha", "user").await;
        server.execute(&format!("UPDATE accounts SET phone = '{PHONE}', email = 'a@b.example', email_key = 'a@b.example' WHERE username = 'asha'")).await;
        server.execute("UPDATE accounts SET username = 'own', username_key = 'own' WHERE phone IS NOT NULL AND username IS NULL").await;
        let page = compare(&browser, &own, PHONE).await;
        confirm(&browser, &own, &page).await.assert_has("are one now");
        // The number and the username that the account had are free since, and others take them.
        server.advance(60);
        server.sign_in(PHONE).await;
        new_account(&server, "Asha", "user").await;
        let page = undo(&browser, &own, &other).await;
        page.assert_status(409).assert_has("another account has the phone number and the username now");
        assert_eq!(count(&server, &other, "1 = 1").await, 0);
        assert_eq!(count(&server, &own, "email = 'a@b.example'").await, 1);
        server.execute("DELETE FROM accounts WHERE username = 'Asha'").await;
        server.execute(&format!("DELETE FROM accounts WHERE phone = '{PHONE}'")).await;
        undo(&browser, &own, &other).await.assert_has("there again");
        assert_eq!(count(&server, &other, "email = 'a@b.example' AND username = 'asha'").await, 1);
        assert_eq!(count(&server, &own, "email IS NULL AND username = 'own'").await, 1);
    }

    async fn after_thirty_days_or_a_later_merge_there_is_no_undo(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let own = new_account(&server, "asha", "user").await;
        let (first, second) = (server.sign_in(PHONE).await.user_id, server.sign_in(OTHER_PHONE).await.user_id);
        for phone in [PHONE, OTHER_PHONE] {
            let page = compare(&browser, &own, phone).await;
            confirm(&browser, &own, &page).await.assert_has("are one now");
            server.advance(10);
        }
        undo(&browser, &own, &first).await.assert_status(409).assert_has("joined with this one later");
        undo(&browser, &own, &second).await.assert_has("there again");
        server.advance(DAYS_30);
        browser.sign_in("admin").await;
        browser.get(&format!("/admin/people/{own}")).await.assert_has("can no longer be undone");
        undo(&browser, &own, &first).await.assert_status(409).assert_has("more than 30 days ago");
        assert_eq!(count(&server, &first, "1 = 1").await, 0);
    }

    async fn a_chain_is_undone_link_by_link(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let (a, b, c) = (
            new_account(&server, "aaa", "user").await,
            new_account(&server, "bbb", "user").await,
            new_account(&server, "ccc", "user").await,
        );
        for (stays, goes) in [(&b, "aaa"), (&c, "bbb")] {
            let page = compare(&browser, stays, goes).await;
            confirm(&browser, stays, &page).await.assert_has("are one now");
            server.advance(10);
        }
        browser.get(&format!("/admin/people/{a}")).await.assert_has(&c);
        undo(&browser, &c, &b).await.assert_has("there again");
        undo(&browser, &b, &a).await.assert_has("there again");
        assert_eq!(accounts(&server).await, 3);
        for (id, name) in [(&a, "aaa"), (&b, "bbb"), (&c, "ccc")] {
            assert_eq!(count(&server, id, &format!("username = '{name}'")).await, 1);
        }
    }

    async fn what_may_not_be_joined_is_said(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let own = new_account(&server, "asha", "user").await;
        let staff = new_account(&server, "helper", "staff").await;
        server.sign_in(PHONE).await;
        for (typed, status, sentence) in [
            ("nobody", 422, "No account has this"),
            ("+919800000000", 422, "No account has this"),
            ("", 422, "No account has this"),
            ("asha", 422, "the account that you see"),
            ("helper", 409, "An account of staff"),
            ("admin", 409, "An account of staff"),
        ] {
            compare(&browser, &own, typed).await.assert_status(status).assert_has(sentence);
        }
        browser.get(&path(&staff)).await.assert_status(403);
        // Between the comparison and the confirmation.
        let page = compare(&browser, &own, PHONE).await;
        let wrong = browser.submit(&page, &format!("{}/confirm", path(&own)), &[("reason", ""), ("reference", "Asha Rao")]).await;
        wrong.assert_status(422).assert_has("Choose a reason").assert_has("may hold only").assert_has("Both accounts");
        let other = [("reason", "other"), ("reference", "")];
        browser.submit(&page, &format!("{}/confirm", path(&own)), &other).await.assert_status(422).assert_has("needs a reference");
        server.disable(PHONE).await;
        confirm(&browser, &own, &page).await.assert_status(409).assert_has("is deactivated");
        assert_eq!(accounts(&server).await, 2);
        assert_eq!(server.count("SELECT COUNT(*) FROM merged_accounts").await, 0);
    }

    async fn two_admins_who_join_or_undo_at_once_do_it_once(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let (own, other) = two(&server).await;
        let page = compare(&browser, &own, PHONE).await;
        let back = compare(&browser, &other, &own).await;
        let (one, two) = tokio::join!(confirm(&browser, &own, &page), confirm(&browser, &other, &back));
        let won = [&one, &two].into_iter().filter(|page| page.text().contains("are one now")).count();
        assert_eq!((won, accounts(&server).await), (1, 1), "{} {}", one.text(), two.text());
        let (stays, gone) = if one.text().contains("are one now") { (own, other) } else { (other, own) };
        let path = format!("/admin/people/{stays}/unmerge/{gone}");
        let page = browser.get(&path).await;
        let values = [("reason", "user_asked")];
        let (one, two) = tokio::join!(browser.submit(&page, &path, &values), browser.submit(&page, &path, &values));
        let won = [&one, &two].into_iter().filter(|page| page.text().contains("there again")).count();
        assert_eq!((won, accounts(&server).await), (1, 2), "{} {}", one.text(), two.text());
    }
}
