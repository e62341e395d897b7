//! `/admin/people/{id}`: the page of a person, and what staff and admins may do there.

use futures_util::future::join_all;
use poem::http::{Method, StatusCode};
use serde_json::json;

use crate::{
    browser::{Browser, Page, new_account},
    on_both,
    people::{known_as, set},
    support::{OTHER_PHONE, PHONE, TestServer, Tokens},
};

fn path(id: &str) -> String {
    format!("/admin/people/{id}")
}

async fn person(browser: &Browser, id: &str) -> Page {
    let page = browser.get(&path(id)).await;
    page.assert_status(200);
    page
}

/// Opens the page of an act and sends its form.
async fn act(browser: &Browser, id: &str, act: &str, values: &[(&str, &str)]) -> Page {
    let action = format!("{}/{act}", path(id));
    let page = browser.get(&action).await;
    page.assert_status(200);
    browser.submit(&page, &action, values).await
}

async fn entries(server: &TestServer, action: &str) -> i64 {
    server.services.audit.flush().await.unwrap();
    server.count(&format!("SELECT COUNT(*) FROM audit WHERE action = '{action}'")).await
}

/// How many entries of this action staff wrote about somebody else.
async fn staff_entries(server: &TestServer, action: &str) -> i64 {
    let sql = format!(
        "SELECT COUNT(*) FROM audit WHERE action = '{action}' AND actor_kind = 'staff' AND actor_id <> user_id"
    );
    server.count(&sql).await
}

async fn live_sessions(server: &TestServer, who: &Tokens) -> usize {
    let answer = server.get_as(&who.access, "/api/auth/sessions").await;
    if answer.status == StatusCode::OK { answer.at("/data").as_array().map_or(0, Vec::len) } else { 0 }
}

on_both! {
    async fn an_admin_makes_the_account_of_another_person(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let closed = server.second_server(&[("SIGNUPS", "closed")]).await;
        let path = "/admin/people/new";
        assert!(browser.get("/admin/people").await.links().contains(&path.to_owned()));
        let page = browser.get(path).await;
        let refused = browser.submit(&page, path, &[("phone", "12"), ("email", "no")]).await;
        refused.assert_status(422).assert_has("Enter a valid e-mail address");
        assert_eq!((refused.form(path).value("phone"), refused.form(path).value("email")), (Some("12"), Some("no")));
        browser.submit(&page, path, &[]).await.assert_status(422).assert_has("Name a phone number or a username");
        let made = browser.submit(&page, path, &[("phone", PHONE), ("first_name", "Gaurav")]).await;
        made.assert_status(200).assert_has("The account is made").assert_has("Gaurav").assert_has(PHONE);
        browser.submit(&page, path, &[("phone", PHONE)]).await.assert_status(409).assert_has("Another account has this number");
        closed.login(PHONE).await.assert_ok();
        closed.verify_login(PHONE, &closed.last_code_for(PHONE)).await.assert_ok();
        let staff = Browser::staff(&server).await;
        assert!(!staff.get("/admin/people").await.links().contains(&path.to_owned()));
    }

    async fn the_page_shows_the_person_and_is_audited(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let user = known_as(&server, PHONE, "Gaurav Kumar").await;
        let page = person(&browser, &user.user_id).await;
        for text in ["Gaurav Kumar", PHONE, "1995-01-01", "male", "completed", "Signed in", "0.0.0.0"] {
            page.assert_has(text);
        }
        assert_eq!(entries(&server, "phone_shown").await, 1);
        person(&browser, &user.user_id).await;
        assert_eq!(entries(&server, "phone_shown").await, 2);
        let row = "SELECT COUNT(*) FROM audit WHERE action = 'phone_shown' AND actor_kind = 'staff' AND user_id IS NOT NULL";
        assert_eq!(server.count(row).await, 2);
    }

    async fn an_unverified_number_is_audited_too(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let id = new_account(&server, "asha", "user").await;
        server.execute(&format!("UPDATE accounts SET claimed_phone = '{PHONE}' WHERE username = 'asha'")).await;
        person(&browser, &id).await.assert_has(PHONE);
        assert_eq!(entries(&server, "phone_shown").await, 1);
        let row = "SELECT COUNT(*) FROM audit WHERE action = 'phone_shown' AND phone_masked = '+91******9376' \
                   AND user_id IS NOT NULL";
        assert_eq!(server.count(row).await, 1);
    }

    async fn pictures_of_other_hosts_load_on_this_page_only(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let user = known_as(&server, PHONE, "Gaurav Kumar").await;
        let policy = |page: &Page| page.headers["content-security-policy"].to_str().unwrap().to_owned();
        let page = person(&browser, &user.user_id).await;
        assert!(policy(&page).contains("img-src 'self' data: https: http:;"), "{}", policy(&page));
        assert_eq!(policy(&page).matches("https:").count(), 1);
        let image = page.html.split("<img ").nth(1).unwrap().split('>').next().unwrap();
        for attribute in ["referrerpolicy=\"no-referrer\"", "loading=\"lazy\"", "https://example.com/pic1.jpg", "alt=\"Picture 1 of 2"] {
            assert!(image.contains(attribute), "{image}");
        }
        let other = server.sign_in(OTHER_PHONE).await;
        for path in ["/admin/people".to_owned(), path(&other.user_id), format!("{}/edit", path(&user.user_id))] {
            assert!(!policy(&browser.get(&path).await).contains("https:"), "{path}");
        }
    }

    async fn a_session_is_ended_alone(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let first = server.sign_in(PHONE).await;
        server.advance(60);
        server.login(PHONE).await.assert_ok();
        server.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        let page = person(&browser, &first.user_id).await;
        let ends: Vec<String> = page.forms().into_iter().map(|form| form.action).filter(|to| to.ends_with("/end")).collect();
        assert_eq!(ends.len(), 2);
        // The last used comes first, so the last form belongs to the first session.
        browser.submit(&page, &ends[1], &[]).await.assert_status(200).assert_has("The session is ended");
        server.get_as(&first.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
        assert_eq!(staff_entries(&server, "session_ended").await, 1);
        browser.submit(&page, &ends[1], &[]).await.assert_has("had ended already");
        assert_eq!(entries(&server, "session_ended").await, 1);
        // A session of another account does not end by this path.
        let other = server.sign_in(OTHER_PHONE).await;
        let foreign = ends[0].replace(&first.user_id, &other.user_id);
        let token = page.form(&ends[0]).value("form_token").unwrap().to_owned();
        browser.post(&foreign, &format!("form_token={token}")).await.assert_has("had ended already");
        assert_eq!(live_sessions(&server, &other).await, 1);
    }

    async fn deactivating_and_activating_ask_first(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let user = server.sign_in(PHONE).await;
        let page = act(&browser, &user.user_id, "deactivate", &[]).await;
        page.assert_status(200).assert_has("The account is deactivated").assert_has("gets no code");
        server.get_as(&user.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
        server.advance(60);
        server.login(PHONE).await.assert_error(403, "account_disabled");
        let page = act(&browser, &user.user_id, "activate", &[]).await;
        page.assert_has("active again").assert_has("staff The account was deactivated");
        server.login(PHONE).await.assert_ok();
        assert_eq!(staff_entries(&server, "account_deactivated").await, 1);
        assert_eq!(staff_entries(&server, "account_activated").await, 1);
    }

    async fn names_and_address_are_edited(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let user = server.sign_in(PHONE).await;
        let other = server.sign_in(OTHER_PHONE).await;
        set(&server, &other, json!({"email": "taken@example.com"})).await;
        let values = [("first_name", "  Zoë "), ("last_name", "محمد"), ("email", "zoe@example.com")];
        let page = act(&browser, &user.user_id, "edit", &values).await;
        page.assert_has("The changes are saved").assert_has("Zoë").assert_has("zoe@example.com");
        let fields = "SELECT COUNT(*) FROM audit WHERE detail LIKE '%first_name%last_name%' AND detail NOT LIKE '%zoe%'";
        assert_eq!(server.count(fields).await, 1);
        let page = act(&browser, &user.user_id, "edit", &[("email", "no address"), ("first_name", "x\u{7}")]).await;
        page.assert_status(422).assert_has("Control characters");
        let form = page.form(&format!("{}/edit", path(&user.user_id)));
        assert_eq!(form.value("email"), Some("no address"));
        let page = act(&browser, &user.user_id, "edit", &[("email", "Taken@Example.com")]).await;
        page.assert_status(409).assert_has("Another account has this e-mail address");
        let page = act(&browser, &user.user_id, "edit", &[("email", ""), ("first_name", "")]).await;
        page.assert_has("The changes are saved").assert_has_not("zoe@example.com");
    }

    async fn a_stale_form_says_who_and_when_and_keeps_what_was_typed(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let other = Browser::signed_in(&server, "other", "staff").await;
        let user = server.sign_in(PHONE).await;
        let action = format!("{}/edit", path(&user.user_id));
        let page = browser.get(&action).await;
        server.advance(60);
        act(&other, &user.user_id, "edit", &[("first_name", "Asha"), ("last_name", "Rao")]).await;
        server.advance(60);
        let stale = browser.submit(&page, &action, &[("first_name", "Gaurav")]).await;
        stale.assert_status(409).assert_has("other changed this account").assert_has("14 Mar 2026, 14:57:53");
        stale.assert_has("The account has now: Asha").assert_has("The account has now: Rao");
        let form = stale.form(&action);
        assert_eq!((form.value("first_name"), form.value("last_name")), (Some("Gaurav"), Some("")));
        assert!(stale.links().iter().any(|link| link.starts_with("/admin/people/") && !link.contains(&user.user_id)));
        // Sent again, it is saved.
        browser.submit(&stale, &action, &[]).await.assert_has("The changes are saved").assert_has_not("Asha");
        // A user can be the one, too.
        let page = browser.get(&action).await;
        server.advance(60);
        set(&server, &user, json!({"first_name": "Self"})).await;
        browser.submit(&page, &action, &[]).await.assert_status(409).assert_has("The user changed this account");
    }

    async fn staff_act_on_users_only_and_nobody_on_themselves(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let other = new_account(&server, "other", "staff").await;
        let admin = new_account(&server, "boss", "admin").await;
        let own = server.count("SELECT COUNT(*) FROM accounts WHERE username = 'staff'").await;
        assert_eq!(own, 1);
        for id in [&other, &admin] {
            let page = person(&browser, id).await;
            assert!(page.forms().iter().all(|form| !form.action.starts_with(&path(id))));
            for act in ["edit", "deactivate", "activate", "reunite"] {
                browser.get(&format!("{}/{act}", path(id))).await.assert_status(403);
            }
        }
        let admins = Browser::admin(&server).await;
        let me = admins.get("/admin/people?role=admin&search=admin").await;
        let me = me.links().into_iter().find(|link| link.starts_with("/admin/people/")).unwrap();
        let page = admins.get(&me).await;
        page.assert_status(200).assert_has("This is your own account");
        for act in ["deactivate", "activate", "role", "delete", "move-phone", "second-factor", "password"] {
            admins.get(&format!("{me}/{act}")).await.assert_status(403);
        }
    }

    async fn a_staff_account_does_no_act_of_an_admin(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let user = server.sign_in(PHONE).await;
        let page = person(&browser, &user.user_id).await;
        for act in ["role", "delete", "move-phone", "second-factor", "password"] {
            assert!(!page.links().iter().any(|link| link.ends_with(act)), "{act}");
            browser.get(&format!("{}/{act}", path(&user.user_id))).await.assert_status(403);
        }
        let token = page.form("/admin/sign-out").value("form_token").unwrap().to_owned();
        for (act, fields) in [
            ("role", "role=admin"),
            ("delete", "typed=%2B916205829376"),
            ("second-factor", ""),
            ("password", "new_password=copper-lantern-evening-38&repeated=copper-lantern-evening-38"),
            ("move-phone", "phone=%2B919876543210&reason=lost_sim"),
            ("move-phone/code", "phone=%2B919876543210&reason=lost_sim&code=0000"),
        ] {
            let body = format!("form_token={token}&{fields}");
            browser.post(&format!("{}/{act}", path(&user.user_id)), &body).await.assert_status(403);
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE role = 'user'").await, 1);
        assert!(server.inbox_of(OTHER_PHONE).is_empty());
        // An admin does, and a form of another session does not.
        let admin = Browser::admin(&server).await;
        let body = format!("form_token={token}&role=admin");
        admin.post(&format!("{}/role", path(&user.user_id)), &body).await.assert_status(403);
    }

    async fn an_admin_changes_roles(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let id = new_account(&server, "asha", "user").await;
        let page = act(&browser, &id, "role", &[("role", "staff")]).await;
        page.assert_has("The role is set").assert_has("The role was changed").assert_has("To: staff");
        assert_eq!(staff_entries(&server, "role_changed").await, 1);
        act(&browser, &id, "role", &[("role", "root")]).await.assert_status(422).assert_has("Choose one of the roles");
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE role = 'staff'").await, 1);
    }

    async fn an_admin_resets_the_second_factor_of_others(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let id = new_account(&server, "other", "staff").await;
        let button = |page: &Page| {
            let known = ["Make an enrolment link", "Reset the second factor"];
            known.into_iter().filter(|text| page.text().contains(text)).collect::<Vec<_>>()
        };
        assert_eq!(button(&person(&browser, &id).await), ["Make an enrolment link"]);
        let asked = browser.get(&format!("{}/second-factor", path(&id))).await;
        assert_eq!(button(&asked), ["Make an enrolment link"]);
        asked.assert_has_not("stop working, and");
        let page = act(&browser, &id, "second-factor", &[]).await;
        page.assert_status(200).assert_has("This link sets up a second factor").assert_has_not("is removed");
        server.enrol(&id).await;
        assert_eq!(button(&person(&browser, &id).await), ["Reset the second factor"]);
        let page = act(&browser, &id, "second-factor", &[]).await;
        page.assert_status(200).assert_has("The second factor is removed");
        let link = page.html.split("value=\"").find(|part| part.contains("/admin/enroll/")).unwrap();
        let link = &link[link.find("/admin/enroll/").unwrap()..link.find('"').unwrap()];
        Browser::new(&server).get(link).await.assert_status(200);
        assert!(!person(&browser, &id).await.html.contains("/admin/enroll/"), "it is shown once");
        let user = new_account(&server, "asha", "user").await;
        browser.get(&format!("{}/second-factor", path(&user))).await.assert_status(403);
    }

    async fn an_admin_sets_the_password_of_others(server: TestServer) {
        const NEW: &str = "copper-lantern-evening-38";
        let browser = Browser::admin(&server).await;
        let user = known_as(&server, PHONE, "Gaurav Kumar").await;
        let staff = new_account(&server, "other", "staff").await;
        assert!(person(&browser, &user.user_id).await.links().contains(&format!("{}/password", path(&user.user_id))));
        for (values, sentence) in [
            ([("new_password", ""), ("repeated", "")], "at least 8 characters"),
            ([("new_password", "Gaurav-71"), ("repeated", "Gaurav-71")], "too much like"),
            ([("new_password", NEW), ("repeated", "copper-lantern-evening-39")], "not the same"),
        ] {
            let page = act(&browser, &user.user_id, "password", &values).await;
            page.assert_status(422).assert_has(sentence).assert_has_not(NEW);
        }
        assert_eq!(live_sessions(&server, &user).await, 1);
        for id in [&user.user_id, &staff] {
            let page = act(&browser, id, "password", &[("new_password", NEW), ("repeated", NEW)]).await;
            page.assert_status(200).assert_has("The password is set").assert_has("The password was set or changed");
        }
        server.services.lifecycle.all_done().await;
        assert_eq!(live_sessions(&server, &user).await, 0);
        assert_eq!(staff_entries(&server, "password_changed").await, 2);
        let notice = &server.inbox_of(PHONE)[0];
        assert!(notice.otp_code.is_none() && notice.body.contains("password"), "{}", notice.body);
        for name in [PHONE, "other"] {
            server.post("/api/token", json!({"username": name, "password": NEW})).await.assert_ok();
        }
    }

    async fn the_terms_that_a_user_accepted_are_shown(server: TestServer) {
        let server = server.second_server(&[("TERMS_VERSION", "2026-11")]).await;
        let browser = Browser::staff(&server).await;
        let user = server.sign_in(PHONE).await;
        person(&browser, &user.user_id).await.assert_has("Terms in force").assert_has_not("Terms accepted");
        let body = json!({"terms_version": "2026-11"});
        server.send_as(&user.access, Method::PUT, "/api/auth/profile", body).await.assert_ok();
        person(&browser, &user.user_id).await.assert_has("Terms accepted").assert_has("2026-11");
    }

    async fn of_two_admins_who_demote_each_other_one_stays(server: TestServer) {
        for round in 0..4 {
            server.execute("UPDATE accounts SET role = 'user'").await;
            let names = [format!("one{round}"), format!("two{round}")];
            let one = Browser::signed_in(&server, &names[0], "admin").await;
            let two = Browser::signed_in(&server, &names[1], "admin").await;
            let mut ids = Vec::new();
            for name in &names {
                let page = one.get(&format!("/admin/people?search={name}")).await;
                ids.push(page.links().into_iter().find(|link| link.starts_with("/admin/people/")).unwrap());
            }
            let acts = [(&one, &ids[1]), (&two, &ids[0])];
            let pages = join_all(acts.map(|(browser, id)| async move {
                let action = format!("{id}/role");
                (browser, browser.get(&action).await, action)
            }));
            let sent = pages.await.into_iter().map(|(browser, page, action)| async move {
                browser.submit(&page, &action, &[("role", "user")]).await
            });
            join_all(sent).await;
            let left = "SELECT COUNT(*) FROM accounts WHERE role = 'admin' AND is_active";
            assert_eq!(server.count(left).await, 1, "round {round}");
        }
    }

    async fn of_two_admins_who_delete_each_other_one_stays(server: TestServer) {
        let one = Browser::signed_in(&server, "one", "admin").await;
        let two = Browser::signed_in(&server, "two", "admin").await;
        let link = async |name: &str| {
            let page = one.get(&format!("/admin/people?search={name}")).await;
            page.links().into_iter().find(|link| link.starts_with("/admin/people/")).unwrap()
        };
        let acts = [(&one, format!("{}/delete", link("two").await), "two"), (&two, format!("{}/delete", link("one").await), "one")];
        let pages = join_all(acts.map(|(browser, action, name)| async move {
            (browser, browser.get(&action).await, action, name)
        }));
        let sent = pages.await.into_iter().map(|(browser, page, action, name)| async move {
            browser.submit(&page, &action, &[("typed", name)]).await
        });
        join_all(sent).await;
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE role = 'admin'").await, 1);
    }

    async fn an_admin_deletes_an_account_by_typing_its_number(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let user = known_as(&server, PHONE, "Gaurav Kumar").await;
        for wrong in ["", "delete", "9376", OTHER_PHONE, "Gaurav Kumar"] {
            let page = act(&browser, &user.user_id, "delete", &[("typed", wrong)]).await;
            page.assert_status(422).assert_has("not what must be typed");
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE phone IS NOT NULL").await, 1);
        let page = act(&browser, &user.user_id, "delete", &[("typed", "062058 29376")]).await;
        page.assert_status(200).assert_has("The account is deleted");
        for table in ["accounts WHERE phone IS NOT NULL", "leads", "messages", "search_words WHERE word = 'gaurav'"] {
            assert_eq!(server.count(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
        }
        assert_eq!(staff_entries(&server, "account_deleted").await, 1);
        server.get_as(&user.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
        browser.get(&path(&user.user_id)).await.assert_status(404);
        let id = new_account(&server, "asha", "staff").await;
        act(&browser, &id, "delete", &[("typed", "ASHA")]).await.assert_has("The account is deleted");
    }

    async fn a_lost_number_is_given_back(server: TestServer) {
        let settings = [("PHONE_STALE_DAYS", "90"), ("RATE_LIMITS_ENABLED", "false")];
        let server = server.second_server(&settings).await;
        let old = known_as(&server, PHONE, "Gaurav Kumar").await;
        server.advance(91 * 24 * 60 * 60);
        let new = server.sign_in(PHONE).await;
        assert_ne!(old.user_id, new.user_id);
        let browser = Browser::staff(&server).await;
        let page = person(&browser, &new.user_id).await;
        page.assert_has("An earlier account with this number is Gaurav Kumar");
        let page = person(&browser, &old.user_id).await;
        page.assert_has("This account lost the number +91 ••••• ••376").assert_has("Another account has it now");
        assert!(page.links().contains(&path(&new.user_id)));
        browser.get(&format!("{}/reunite", path(&new.user_id))).await.assert_status(404);
        let page = act(&browser, &old.user_id, "reunite", &[]).await;
        page.assert_has("The account has its number back").assert_has(PHONE);
        assert_eq!(live_sessions(&server, &new).await, 0);
        // It is found by the number that it lost.
        let found = browser.get("/admin/people?search=9376&state=inactive").await;
        assert!(found.links().contains(&path(&new.user_id)), "{}", found.text());
    }

    async fn a_person_is_at_one_place_only(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let user = server.sign_in(PHONE).await;
        browser.get(&format!("{}/nothing", path(&user.user_id))).await.assert_status(404);
        let page = browser.send(Method::GET, &format!("{}/", path(&user.user_id)), &[], None).await;
        page.assert_status(200);
    }
}
