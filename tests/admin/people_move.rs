//! Moving a user to another phone after a lost SIM card.

use futures_util::future::join_all;
use sea_orm::ConnectionTrait;

use crate::{
    blocks::make,
    browser::{Browser, Page, new_account},
    on_both,
    support::{Answer, Database, OTHER_PHONE, PHONE, TestServer, Tokens, wait_until, wrong},
};

fn path(id: &str) -> String {
    format!("/admin/people/{id}/move-phone")
}

/// Sends the first form.
async fn start(browser: &Browser, id: &str, phone: &str) -> Page {
    let page = browser.get(&path(id)).await;
    page.assert_status(200);
    let values = [("phone", phone), ("reason", "lost_sim"), ("reference", "T-1042")];
    browser.submit(&page, &path(id), &values).await
}

/// Types the code.
async fn finish(browser: &Browser, id: &str, page: &Page, code: &str) -> Page {
    browser.submit(page, &format!("{}/code", path(id)), &[("code", code)]).await
}

async fn phone_of(server: &TestServer, id: &str, phone: &str) -> i64 {
    let id = id.replace('-', "");
    let sql = match server.database {
        Database::Postgres => {
            format!(
                "SELECT COUNT(*) FROM accounts WHERE replace(id::text, '-', '') = '{id}' AND phone = '{phone}'"
            )
        }
        Database::Sqlite => {
            format!("SELECT COUNT(*) FROM accounts WHERE lower(hex(id)) = '{id}' AND phone = '{phone}'")
        }
    };
    server.count(&sql).await
}

async fn verify_login(server: &TestServer, phone: &str, code: &str) -> Answer {
    server.verify_login(phone, code).await
}

async fn live_sessions(server: &TestServer) -> i64 {
    server.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL AND role = 'user'").await
}

on_both! {
    async fn the_new_phone_proves_itself_and_the_old_one_gets_a_notice(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let user = server.sign_in(PHONE).await;
        server.advance(60);
        let page = start(&browser, &user.user_id, "98765 43210").await;
        page.assert_status(200).assert_has("A code is on its way").assert_has(OTHER_PHONE);
        let code = server.last_code_for(OTHER_PHONE);
        assert!(!page.html.contains(&code), "the page shows the code");
        let (start, rest) = code.split_at(2);
        let page = finish(&browser, &user.user_id, &page, &format!(" {start} {rest}")).await;
        page.assert_status(200).assert_has("The user has the new number").assert_has(OTHER_PHONE);
        page.assert_has("The account was moved to another phone number").assert_has("Reason: lost SIM").assert_has("Reference: T-1042");
        assert_eq!(phone_of(&server, &user.user_id, OTHER_PHONE).await, 1);
        server.get_as(&user.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
        let entry = "SELECT COUNT(*) FROM audit WHERE action = 'phone_moved' AND actor_kind = 'staff' AND actor_id <> user_id \
                     AND detail LIKE '%lost_sim%' AND detail LIKE '%T-1042%' AND detail LIKE '%+91******9376%'";
        assert_eq!(server.count(entry).await, 1);
        let notice = &server.inbox_of(PHONE)[0];
        assert!(notice.otp_code.is_none() && notice.body.contains("was changed"), "{}", notice.body);
        server.login(PHONE).await.assert_error(404, "user_not_found");
        server.advance(60);
        server.login(OTHER_PHONE).await.assert_ok();
        let answer = server.verify_login(OTHER_PHONE, &server.last_code_for(OTHER_PHONE)).await;
        assert_eq!(answer.assert_ok().text_at("/data/user_id"), user.user_id);
    }

    async fn a_user_without_a_phone_gets_the_first_one(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let id = new_account(&server, "asha", "user").await;
        let page = start(&browser, &id, PHONE).await;
        let page = finish(&browser, &id, &page, &server.last_code_for(PHONE)).await;
        page.assert_has("The user has the new number");
        assert_eq!(phone_of(&server, &id, PHONE).await, 1);
    }

    async fn wrong_codes_are_counted_and_the_form_keeps_everything(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let user = server.sign_in(PHONE).await;
        let mut page = start(&browser, &user.user_id, OTHER_PHONE).await;
        let code = server.last_code_for(OTHER_PHONE);
        for (typed, sentence) in [
            ("12", "exactly 4 digits"),
            (&wrong(&code), "2 attempts are left"),
            (&wrong(&code), "1 attempt is left"),
            (&wrong(&code), "no attempt is left"),
            (&code, "No attempt is left"),
        ] {
            page = finish(&browser, &user.user_id, &page, typed).await;
            page.assert_status(422).assert_has(sentence);
        }
        assert_eq!(phone_of(&server, &user.user_id, PHONE).await, 1);
        assert_eq!(server.get_as(&user.access, "/api/auth/profile").await.status, 200);
        let again = browser.submit(&page, &path(&user.user_id), &[]).await;
        again.assert_status(200).assert_has("a moment ago");
        server.advance(60);
        let again = browser.submit(&page, &path(&user.user_id), &[]).await;
        again.assert_has("A code is on its way");
        finish(&browser, &user.user_id, &again, &server.last_code_for(OTHER_PHONE)).await.assert_has("has the new number");
    }

    async fn a_code_of_the_app_moves_nobody_and_this_code_signs_nobody_in(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let user = server.sign_in(PHONE).await;
        let page = start(&browser, &user.user_id, OTHER_PHONE).await;
        let code = server.last_code_for(OTHER_PHONE);
        server.verify_otp(OTHER_PHONE, &code).await.assert_error(400, "otp_not_found");
        server.advance(60);
        server.signup(OTHER_PHONE).await.assert_ok();
        let other_code = server.last_code_for(OTHER_PHONE);
        if other_code != code {
            finish(&browser, &user.user_id, &page, &other_code).await.assert_status(422);
        }
        finish(&browser, &user.user_id, &page, &code).await.assert_has("has the new number");
    }

    async fn a_bad_form_says_what_is_wrong(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let user = server.sign_in(PHONE).await;
        let taken = server.sign_in(OTHER_PHONE).await;
        let id = &user.user_id;
        let page = browser.get(&path(id)).await;
        let send = async |phone, reason, reference| {
            let values = [("phone", phone), ("reason", reason), ("reference", reference)];
            browser.submit(&page, &path(id), &values).await
        };
        send("12", "", "Asha Rao").await.assert_status(422).assert_has("Phone number").assert_has("Choose a reason").assert_has("may hold only");
        send("+919876543219", "other", "").await.assert_status(422).assert_has("needs a reference");
        send("+919876543219", "because", "").await.assert_status(422).assert_has("Choose a reason");
        send(OTHER_PHONE, "lost_sim", "").await.assert_status(409).assert_has("Another account has this number");
        send(PHONE, "lost_sim", "").await.assert_status(409).assert_has("has this number already");
        server.disable(PHONE).await;
        send("+919876543219", "lost_sim", "").await.assert_status(409).assert_has("Activate it first");
        assert_eq!(server.inbox_of("+919876543219").len(), 0);
        assert_eq!(phone_of(&server, &taken.user_id, OTHER_PHONE).await, 1);
    }

    async fn a_blocked_number_cannot_be_left(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let user = server.sign_in(PHONE).await;
        let form = browser.get(&path(&user.user_id)).await;
        let page = start(&browser, &user.user_id, OTHER_PHONE).await;
        let code = server.last_code_for(OTHER_PHONE);
        server.advance(60);
        let blocks = browser.get("/admin/blocks").await;
        let values = [("kind", "phone"), ("value", PHONE), ("reason", "a chargeback")];
        make(&browser, &blocks, &values).await.assert_has("is blocked");
        let says = "The number of this account is blocked, so the account cannot move";
        // Before the admin begins, with a form from before the block, and with a code from before the block.
        let asked = browser.get(&path(&user.user_id)).await;
        asked.assert_status(200).assert_has(says);
        assert!(asked.forms().iter().all(|form| form.action != path(&user.user_id)), "there is nothing to send");
        let link = asked.links().into_iter().find(|link| link.starts_with("/admin/blocks/")).unwrap();
        let values = [("phone", OTHER_PHONE), ("reason", "lost_sim")];
        browser.submit(&form, &path(&user.user_id), &values).await.assert_status(409).assert_has(says);
        finish(&browser, &user.user_id, &page, &code).await.assert_status(409).assert_has(says);
        assert_eq!(phone_of(&server, &user.user_id, PHONE).await, 1);
        assert_eq!(server.codes_for(OTHER_PHONE).len(), 1);
        // Once the block is ended the account can move.
        let block = browser.get(&link).await;
        browser.submit(&block, &format!("{link}/end"), &[("confirm", "on")]).await.assert_has("is ended");
        let page = start(&browser, &user.user_id, OTHER_PHONE).await;
        let code = server.last_code_for(OTHER_PHONE);
        finish(&browser, &user.user_id, &page, &code).await.assert_has("The user has the new number");
        let blocks = browser.get("/admin/blocks").await;
        let values = [("kind", "phone"), ("value", PHONE), ("reason", "a chargeback")];
        make(&browser, &blocks, &values).await.assert_has("is blocked");
        start(&browser, &user.user_id, PHONE).await.assert_status(409).assert_has("The new number is blocked");
    }

    async fn a_block_that_is_made_while_a_move_waits_stops_it(server: TestServer) {
        // On SQLite a transaction that writes is alone, so nothing comes between.
        if matches!(server.database, Database::Sqlite) {
            return;
        }
        let browser = Browser::admin(&server).await;
        let user = server.sign_in(PHONE).await;
        let page = start(&browser, &user.user_id, OTHER_PHONE).await;
        let code = server.last_code_for(OTHER_PHONE);
        // A block holds the account as this does. The move has looked for a block before it waits.
        let block = server.services.store.begin().await.unwrap();
        block.execute_unprepared("UPDATE accounts SET bio = bio").await.unwrap();
        let (page, ()) = tokio::join!(finish(&browser, &user.user_id, &page, &code), async {
            let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            wait_until("the move waits for the account", async || server.count(waiting).await > 0).await;
            let made = format!(
                "INSERT INTO blocks (id, kind, value, reason, made_at) \
                 VALUES ('0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11', 'phone', '{PHONE}', 'a test', '2026-03-14T09:00:00Z')"
            );
            block.execute_unprepared(&made).await.unwrap();
            block.commit().await.unwrap();
        });
        page.assert_status(409).assert_has("The number of this account is blocked");
        assert_eq!(phone_of(&server, &user.user_id, PHONE).await, 1);
    }

    async fn no_account_of_staff_is_moved(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let user = server.sign_in(PHONE).await;
        let page = start(&browser, &user.user_id, OTHER_PHONE).await;
        let code = server.last_code_for(OTHER_PHONE);
        // The user became staff after the code was sent.
        server.execute(&format!("UPDATE accounts SET role = 'staff' WHERE phone = '{PHONE}'")).await;
        finish(&browser, &user.user_id, &page, &code).await.assert_status(403);
        browser.get(&path(&user.user_id)).await.assert_status(403);
        let staff = new_account(&server, "other", "staff").await;
        browser.get(&path(&staff)).await.assert_status(403);
        assert_eq!(phone_of(&server, &user.user_id, PHONE).await, 1);
    }

    async fn a_number_that_another_account_gets_first_is_taken(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let user = server.sign_in(PHONE).await;
        let page = start(&browser, &user.user_id, OTHER_PHONE).await;
        let code = server.last_code_for(OTHER_PHONE);
        server.advance(60);
        server.sign_in(OTHER_PHONE).await;
        let page = finish(&browser, &user.user_id, &page, &code).await;
        page.assert_status(409).assert_has("Another account has this number");
        assert_eq!(phone_of(&server, &user.user_id, PHONE).await, 1);
        assert_eq!(server.get_as(&user.access, "/api/auth/profile").await.status, 200);
    }

    async fn a_sign_in_at_the_same_time_leaves_no_session(server: TestServer) {
        let server = server.without_limits().await;
        let browser = Browser::admin(&server).await;
        let phones = ["+919876543220", "+919876543221", "+919876543222", "+919876543223", "+919876543224"];
        let user: Tokens = server.sign_in(phones[0]).await;
        for pair in phones.windows(2) {
            let (old, new) = (pair[0], pair[1]);
            server.advance(60);
            server.login(old).await.assert_ok();
            let code = server.last_code_for(old);
            let page = start(&browser, &user.user_id, new).await;
            let proof = server.last_code_for(new);
            let (moved, signed_in) = tokio::join!(
                finish(&browser, &user.user_id, &page, &proof),
                verify_login(&server, old, &code),
            );
            moved.assert_has("The user has the new number");
            // Either the sign-in came first, and its session ended with the others, or the old number has no account any more.
            if signed_in.status != 200 {
                assert!(["otp_not_found", "user_not_found"].contains(&signed_in.text_at("/error/code").as_str()), "{}", signed_in.text);
            }
            assert_eq!(live_sessions(&server).await, 0, "{old}");
            assert_eq!(phone_of(&server, &user.user_id, new).await, 1);
        }
    }

    async fn one_right_code_typed_many_times_moves_once(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let user = server.sign_in(PHONE).await;
        let page = start(&browser, &user.user_id, OTHER_PHONE).await;
        let code = server.last_code_for(OTHER_PHONE);
        let sent = join_all((0..3).map(|_| finish(&browser, &user.user_id, &page, &code))).await;
        let done = sent.iter().filter(|page| page.status == 200).count();
        assert_eq!(done, 1, "{:?}", sent.iter().map(|page| page.status).collect::<Vec<_>>());
        assert_eq!(server.count("SELECT COUNT(*) FROM audit WHERE action = 'phone_moved'").await, 1);
    }
}
