//! `/api/admin/leads`: what staff see of leads, and what they do with them.

use loopin_auth::domain::audit::{Action, Entry};
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    on_both,
    prefixes::entries,
    roles::{ADMIN, STAFF, sign_in_with_role},
    support::{Answer, OTHER_PHONE, PHONE, TestServer, Tokens},
};

const LIST: &str = "/api/admin/leads";

/// A staff member, and the id of the lead of [`PHONE`], who requested a code.
async fn staff_and_lead(server: &TestServer) -> (Tokens, String) {
    let staff = sign_in_with_role(server, STAFF, "staff").await;
    server.signup(PHONE).await.assert_ok();
    let id = lead_of(server, &staff, "376").await;
    (staff, id)
}

/// The id of the lead whose number ends like this.
async fn lead_of(server: &TestServer, who: &Tokens, end: &str) -> String {
    let found = server.get_as(&who.access, &format!("{LIST}?q={end}")).await;
    assert_eq!(found.assert_ok().at("/items").as_array().map(Vec::len), Some(1), "{}", found.text);
    found.text_at("/items/0/id")
}

async fn put(server: &TestServer, who: &Tokens, id: &str, body: Value) -> Answer {
    server.send_as(&who.access, Method::PUT, &format!("{LIST}/{id}"), body).await
}

async fn verify(server: &TestServer, who: &Tokens, id: &str) -> Answer {
    server.send_as(&who.access, Method::POST, &format!("{LIST}/{id}/verify"), json!({})).await
}

/// The masked numbers of a list.
fn numbers(answer: &Answer) -> Vec<String> {
    let items = answer.assert_ok().at("/items");
    let number = |item: &Value| item["phone_masked"].as_str().unwrap().to_owned();
    items.as_array().unwrap().iter().map(number).collect()
}

fn fact(entry: &Entry, name: &str) -> Value {
    entry.detail.get(name).cloned().unwrap_or_default()
}

on_both! {
    async fn only_staff_and_admins_may(server: TestServer) {
        let (staff, id) = staff_and_lead(&server).await;
        let user = server.sign_in(OTHER_PHONE).await;
        let (one, verify) = (format!("{LIST}/{id}"), format!("{LIST}/{id}/verify"));
        for (method, path) in
            [(Method::GET, LIST), (Method::GET, &one), (Method::PUT, &one), (Method::POST, &verify)]
        {
            server.send(method.clone(), path, &[], None).await.assert_error(401, "token_missing");
            server.send_as(&user.access, method, path, json!({})).await.assert_error(403, "forbidden");
        }
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        for who in [&staff, &admin] {
            server.get_as(&who.access, LIST).await.assert_ok();
            server.get_as(&who.access, &one).await.assert_ok();
            put(&server, who, &id, json!({})).await.assert_ok();
        }
    }

    async fn a_list_masks_numbers_and_one_lead_is_shown_whole_and_recorded(server: TestServer) {
        let (staff, id) = staff_and_lead(&server).await;
        let list = server.get_as(&staff.access, LIST).await;
        assert!(!list.text.contains("6205829376"), "{}", list.text);
        assert!(list.text.contains("+91 ••••• ••376"), "{}", list.text);
        assert_eq!(entries(&server, Action::PhoneShown).await.len(), 0);
        let one = server.get_as(&staff.access, &format!("{LIST}/{id}")).await;
        assert_eq!(one.assert_ok().at("/phone_number"), json!(PHONE));
        assert_eq!((one.at("/state"), one.at("/country")), (json!("new"), json!("IN")));
        assert_eq!((one.at("/is_verified"), one.at("/requests")), (json!(false), json!(1)));
        assert_eq!(one.at("/notes"), json!([]));
        let shown = entries(&server, Action::PhoneShown).await;
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].phone_masked.as_deref(), Some("+91******9376"));
    }

    async fn a_lead_is_changed_and_each_note_has_an_author(server: TestServer) {
        let (staff, id) = staff_and_lead(&server).await;
        server.execute(&format!("UPDATE accounts SET username = 'asha' WHERE phone = '{STAFF}'")).await;
        let changed = put(&server, &staff, &id, json!({
            "state": "contacted", "name": "  Gaurav ", "note": "Call back on Monday", "version": 0,
        })).await;
        assert_eq!(changed.assert_ok().at("/state"), json!("contacted"));
        assert_eq!((changed.at("/name"), changed.at("/version")), (json!("Gaurav"), json!(1)));
        server.advance(5);
        let changed = put(&server, &staff, &id, json!({ "state": "lost", "note": "=1+1" })).await;
        let notes = changed.assert_ok().at("/notes");
        let texts: Vec<&Value> = notes.as_array().unwrap().iter().map(|note| &note["text"]).collect();
        assert_eq!(texts, [&json!("Call back on Monday"), &json!("=1+1")]);
        assert_eq!((&notes[0]["author"], &notes[0]["author_id"]), (&json!("asha"), &json!(staff.user_id)));
        assert_eq!(changed.at("/changed_by"), json!(staff.user_id));
        let again = put(&server, &staff, &id, json!({ "state": "new", "name": null })).await;
        assert_eq!((again.assert_ok().at("/state"), again.at("/name")), (json!("new"), Value::Null));
        let recorded = entries(&server, Action::LeadChanged).await;
        assert_eq!(recorded.len(), 3);
        assert_eq!(fact(&recorded[0], "fields"), json!(["state", "name", "note"]));
        assert_eq!((fact(&recorded[1], "from"), fact(&recorded[1], "to")), (json!("contacted"), json!("lost")));
        assert!(recorded.iter().all(|entry| fact(entry, "lead_id") == json!(id)));
        assert!(!format!("{recorded:?}").contains("Gaurav"));
    }

    async fn a_change_that_changes_nothing_is_no_change(server: TestServer) {
        let (staff, id) = staff_and_lead(&server).await;
        let same = put(&server, &staff, &id, json!({ "state": "new", "name": "" })).await;
        assert_eq!((same.assert_ok().at("/version"), same.at("/changed_at")), (json!(0), Value::Null));
        assert_eq!(entries(&server, Action::LeadChanged).await.len(), 0);
    }

    async fn every_wrong_field_is_named(server: TestServer) {
        let (staff, id) = staff_and_lead(&server).await;
        let wrong = put(&server, &staff, &id, json!({
            "state": "old", "name": "a\u{0}b", "note": "two\nlines", "version": "1",
        })).await;
        wrong.assert_error(422, "validation_failed");
        let fields = wrong.at("/error/fields");
        let mut names: Vec<&String> = fields.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["name", "note", "state", "version"]);
        for state in ["converted", "Lost"] {
            put(&server, &staff, &id, json!({ "state": state })).await.assert_error(422, "validation_failed");
        }
        for note in ["", " ", &"a".repeat(2001)] {
            put(&server, &staff, &id, json!({ "note": note })).await.assert_error(422, "validation_failed");
        }
        let unknown = "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11";
        for id in [unknown, "x", &PHONE[1..]] {
            put(&server, &staff, id, json!({ "state": "lost" })).await.assert_error(404, "not_found");
            server.get_as(&staff.access, &format!("{LIST}/{id}")).await.assert_error(404, "not_found");
            verify(&server, &staff, id).await.assert_error(404, "not_found");
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE version > 0 AND state = 'new'").await, 0);
    }

    async fn a_change_of_another_version_is_refused_and_says_who_was_first(server: TestServer) {
        let (staff, id) = staff_and_lead(&server).await;
        server.execute(&format!("UPDATE accounts SET username = 'asha' WHERE phone = '{STAFF}'")).await;
        put(&server, &staff, &id, json!({ "state": "lost", "version": 0 })).await.assert_ok();
        let stale = put(&server, &staff, &id, json!({ "state": "contacted", "note": "hm", "version": 0 })).await;
        stale.assert_error(409, "edit_conflict");
        let message = stale.text_at("/message");
        assert!(message.contains("asha") && message.contains("2026-03-14T09:2"), "{message}");
        assert_eq!(server.count("SELECT COUNT(*) FROM lead_notes").await, 0);
        put(&server, &staff, &id, json!({ "state": "contacted", "version": 1 })).await.assert_ok();
        // A code of the user changes the lead, too.
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        let stale = put(&server, &staff, &id, json!({ "state": "lost", "version": 2 })).await;
        stale.assert_error(409, "edit_conflict");
        assert!(stale.text_at("/message").starts_with("The user"), "{}", stale.text);
    }

    async fn of_ten_changes_of_one_version_one_is_made(server: TestServer) {
        let (staff, id) = staff_and_lead(&server).await;
        let change = |n: u32| {
            let (server, staff, id) = (server.clone(), staff.clone(), id.clone());
            async move { put(&server, &staff, &id, json!({ "note": format!("note {n}"), "version": 0 })).await }
        };
        let answers = futures_util::future::join_all((0..10).map(change)).await;
        let made = answers.iter().filter(|answer| answer.status == 200).count();
        let stale = answers.iter().filter(|answer| answer.status == 409).count();
        assert_eq!((made, stale), (1, 9));
        assert_eq!(server.count("SELECT COUNT(*) FROM lead_notes").await, 1);
    }

    async fn a_verified_lead_keeps_its_state_but_takes_notes(server: TestServer) {
        let (staff, id) = staff_and_lead(&server).await;
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        put(&server, &staff, &id, json!({ "state": "lost" })).await.assert_error(422, "validation_failed");
        let noted = put(&server, &staff, &id, json!({ "note": "Welcome call done" })).await;
        assert_eq!(noted.assert_ok().at("/state"), json!("converted"));
    }

    async fn who_asks_again_converts_from_every_state_and_is_visible_before(server: TestServer) {
        let server = server.without_limits().await;
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        for (phone, end, state) in [(PHONE, "376", "contacted"), (OTHER_PHONE, "210", "lost")] {
            server.advance(60);
            server.signup(phone).await.assert_ok();
            let id = lead_of(&server, &staff, end).await;
            server.advance(60);
            let changed = put(&server, &staff, &id, json!({ "state": state })).await;
            assert_eq!(changed.assert_ok().at("/asks_again"), json!(false), "{state}");
            server.advance(60);
            server.signup(phone).await.assert_ok();
            let again = server.get_as(&staff.access, &format!("{LIST}/{id}")).await;
            assert_eq!((again.at("/state"), again.at("/asks_again")), (json!(state), json!(true)));
            server.verify_otp(phone, &server.last_code_for(phone)).await.assert_ok();
            let converted = server.get_as(&staff.access, &format!("{LIST}/{id}")).await;
            assert_eq!((converted.at("/state"), converted.at("/asks_again")), (json!("converted"), json!(false)));
            assert_eq!(converted.at("/changed_by"), Value::Null);
        }
    }

    async fn a_phone_is_verified_by_hand_once(server: TestServer) {
        let (staff, id) = staff_and_lead(&server).await;
        let done = verify(&server, &staff, &id).await;
        assert_eq!(done.assert_ok().at("/is_new"), json!(true));
        let account = done.text_at("/user_id");
        let lead = server.get_as(&staff.access, &format!("{LIST}/{id}")).await;
        assert_eq!((lead.at("/state"), lead.at("/is_verified")), (json!("converted"), json!(true)));
        assert_eq!((lead.at("/user_id"), lead.at("/changed_by")), (json!(account), json!(staff.user_id)));
        let again = verify(&server, &staff, &id).await;
        assert_eq!((again.assert_ok().at("/is_new"), again.at("/user_id")), (json!(false), json!(account)));
        let recorded = entries(&server, Action::LeadVerifiedByStaff).await;
        assert_eq!(recorded.len(), 1, "nothing was changed the second time");
        assert_eq!((fact(&recorded[0], "new_account"), fact(&recorded[0], "converted")), (json!(true), json!(true)));
        assert_eq!(recorded[0].user_id.map(|id| id.to_string()), Some(account.clone()));
        // It opened no session, and the user gets into this account by a code.
        assert_eq!(server.count(&format!("SELECT COUNT(*) FROM accounts WHERE phone = '{PHONE}'")).await, 1);
        let code = server.last_code_for(PHONE);
        let login = server.verify_login(PHONE, &code).await;
        assert_eq!(login.assert_ok().at("/data/user_id"), json!(account));
    }

    async fn ten_verifications_at_once_make_one_account(server: TestServer) {
        let (staff, id) = staff_and_lead(&server).await;
        let answers = futures_util::future::join_all((0..10).map(|_| verify(&server, &staff, &id))).await;
        let new = answers.iter().filter(|answer| answer.assert_ok().at("/is_new") == json!(true)).count();
        assert_eq!(new, 1);
        assert_eq!(entries(&server, Action::LeadVerifiedByStaff).await.len(), 1);
    }

    async fn a_disabled_account_and_a_review_number_are_not_verified_by_hand(server: TestServer) {
        let server = server.second_server(&[("OTP_REVIEW_NUMBERS", "+919876543219=4821@2027-01-31")]).await;
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        server.sign_in(PHONE).await;
        server.disable(PHONE).await;
        server.execute(&format!("UPDATE leads SET state = 'lost', converted_at = NULL WHERE phone = '{PHONE}'")).await;
        let id = lead_of(&server, &staff, "376").await;
        verify(&server, &staff, &id).await.assert_error(403, "account_disabled");
        assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE state = 'lost'").await, 1);
        server.signup(OTHER_PHONE).await.assert_ok();
        server.execute(&format!("UPDATE leads SET phone = '+919876543219' WHERE phone = '{OTHER_PHONE}'")).await;
        let id = lead_of(&server, &staff, "219").await;
        verify(&server, &staff, &id).await.assert_error(403, "forbidden");
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE phone = '+919876543219'").await, 0);
        assert_eq!(entries(&server, Action::LeadVerifiedByStaff).await.len(), 0);
    }

    async fn a_recycled_number_is_verified_into_a_new_account(server: TestServer) {
        let server = server.second_server(&[("PHONE_STALE_DAYS", "30")]).await;
        let old = server.sign_in(PHONE).await;
        server.advance(31 * 24 * 3600);
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let id = lead_of(&server, &staff, "376").await;
        let done = verify(&server, &staff, &id).await;
        assert_eq!(done.assert_ok().at("/is_new"), json!(true));
        assert_ne!(done.text_at("/user_id"), old.user_id);
        assert_eq!(entries(&server, Action::AccountUnlinked).await.len(), 1);
    }

    async fn a_verification_by_hand_is_no_use_of_the_account(server: TestServer) {
        server.sign_in(PHONE).await;
        server.execute("CREATE TABLE before AS SELECT * FROM accounts").await;
        server.execute(&format!("UPDATE leads SET state = 'lost', converted_at = NULL WHERE phone = '{PHONE}'")).await;
        server.advance(3600);
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        verify(&server, &staff, &lead_of(&server, &staff, "376").await).await.assert_ok();
        let same = format!(
            "SELECT COUNT(*) FROM accounts JOIN before ON accounts.id = before.id AND accounts.seen_at = before.seen_at \
             WHERE accounts.phone = '{PHONE}'"
        );
        assert_eq!(server.count(&same).await, 1);
    }

    async fn a_code_is_sent_again_within_the_limits_of_the_phone(server: TestServer) {
        let (staff, id) = staff_and_lead(&server).await;
        let path = format!("{LIST}/{id}/resend");
        let send = |body: Value| server.send_as(&staff.access, Method::POST, &path, body);
        send(json!({})).await.assert_error(429, "otp_cooldown");
        server.advance(30);
        let sent = send(json!({ "channel": "sms" })).await;
        assert_eq!((sent.assert_ok().at("/channel"), sent.at("/phone_number")), (json!("sms"), json!(PHONE)));
        let codes = server.codes_for(PHONE);
        assert_eq!((codes.len(), &codes[0]), (2, &codes[1]), "the same code");
        assert!(!sent.text.contains(&codes[0]));
        send(json!({ "channel": "pigeon" })).await.assert_error(422, "validation_failed");
        let unknown = format!("{LIST}/0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11/resend");
        server.send_as(&staff.access, Method::POST, &unknown, json!({})).await.assert_error(404, "not_found");
        let user = server.sign_in(OTHER_PHONE).await;
        server.send_as(&user.access, Method::POST, &path, json!({})).await.assert_error(403, "forbidden");
        server.verify_otp(PHONE, &codes[0]).await.assert_ok();
        server.disable(PHONE).await;
        server.advance(60);
        send(json!({})).await.assert_error(403, "account_disabled");
    }

    async fn a_lead_is_found_by_number_and_by_both_names(server: TestServer) {
        let (staff, id) = staff_and_lead(&server).await;
        put(&server, &staff, &id, json!({ "name": "गौरव O’Brien" })).await.assert_ok();
        server.sign_in(OTHER_PHONE).await;
        server.execute(&format!("UPDATE accounts SET name = 'Asha Rao', name_key = 'asha rao' WHERE phone = '{OTHER_PHONE}'")).await;
        let (first, second) = ("+91 ••••• ••376", "+91 ••••• ••210");
        for (q, expected) in [
            ("9376", vec![first]),
            ("%2B91620", vec![first]),
            ("6205829376", vec![first]),
            ("06205", vec![first]),
            ("543210", vec![second]),
            ("%E0%A4%97%E0%A5%8C", vec![first]),
            ("BRIEN", vec![first]),
            ("rao%20AS", vec![second]),
            ("rao%20brien", vec![]),
            ("ao", vec![]),
            ("%25", vec![]),
            (id.as_str(), vec![first]),
        ] {
            let found = server.get_as(&staff.access, &format!("{LIST}?q={q}")).await;
            assert_eq!(numbers(&found), expected, "{q}");
        }
    }

    async fn filters_are_combined_and_wrong_ones_are_named(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        server.advance(24 * 3600);
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        server.sign_in(OTHER_PHONE).await;
        server.signup("+447400123456").await.assert_ok();
        let (india, other, british) = ("+91 ••••• ••376", "+91 ••••• ••210", "+44 ••••• ••456");
        let staff_number = "+91 ••••• ••201";
        for (query, expected) in [
            ("", vec![british, other, india, staff_number]),
            ("?state=converted", vec![other, staff_number]),
            ("?verified=no", vec![british, india]),
            ("?verified=yes&last_from=2026-03-15", vec![other, staff_number]),
            ("?verified=yes&last_to=2026-03-14", vec![]),
            ("?country=GB", vec![british]),
            ("?country=gb&state=new&source=signup", vec![british]),
            ("?country=--", vec![]),
            ("?source=login", vec![]),
            ("?first_to=2026-03-14", vec![india]),
            ("?last_from=2026-03-14&last_to=2026-03-14&state=new", vec![india]),
        ] {
            let found = server.get_as(&staff.access, &format!("{LIST}{query}")).await;
            let mut found = numbers(&found);
            let mut expected = expected;
            found.sort();
            expected.sort_unstable();
            assert_eq!(found, expected, "{query}");
        }
        let query = "?q=%00&state=x&verified=1&country=India&source=web&first_from=x&first_to=1&last_from=2&last_to=3&sort=x\
                     &cursor=!&limit=0";
        let wrong = server.get_as(&staff.access, &format!("{LIST}{query}")).await;
        wrong.assert_error(422, "validation_failed");
        assert_eq!(wrong.at("/error/fields").as_object().map(serde_json::Map::len), Some(12), "{}", wrong.text);
        for limit in ["101", "-1", "1.5", "a"] {
            let wrong = server.get_as(&staff.access, &format!("{LIST}?limit={limit}")).await;
            wrong.assert_error(422, "validation_failed");
        }
    }

    async fn pages_of_every_order_lose_and_repeat_nothing_while_rows_change(server: TestServer) {
        let server = server.without_limits().await;
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        for n in 0..12 {
            // Three leads of each moment.
            if n % 3 == 0 {
                server.advance(60);
            }
            server.signup(&format!("+9170000000{n:02}")).await.assert_ok();
        }
        server.execute(&format!("DELETE FROM leads WHERE phone = '{STAFF}'")).await;
        for sort in ["-last", "last", "-first", "first"] {
            let (mut ids, mut cursor): (Vec<String>, Option<String>) = (Vec::new(), None);
            let mut times = Vec::new();
            loop {
                let more = cursor.as_ref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
                let page = server.get_as(&staff.access, &format!("{LIST}?sort={sort}&limit=5{more}")).await;
                for item in page.assert_ok().at("/items").as_array().unwrap() {
                    ids.push(item["id"].as_str().unwrap().to_owned());
                    let by = if sort.ends_with("last") { "last_requested_at" } else { "first_requested_at" };
                    times.push(item[by].as_str().unwrap().to_owned());
                }
                // A row that other staff change keeps its place.
                put(&server, &staff, ids.first().unwrap(), json!({ "note": "seen" })).await.assert_ok();
                match page.at("/next") {
                    Value::String(next) => cursor = Some(next),
                    _ => break,
                }
            }
            assert_eq!(ids.len(), 12, "{sort}");
            let mut sorted = times.clone();
            sorted.sort();
            if sort.starts_with('-') {
                sorted.reverse();
            }
            assert_eq!(times, sorted, "{sort}");
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), 12, "{sort} repeats");
        }
    }

    async fn deleting_an_account_deletes_the_notes_and_changing_the_phone_moves_them(server: TestServer) {
        let server = server.without_limits().await;
        let (staff, id) = staff_and_lead(&server).await;
        put(&server, &staff, &id, json!({ "name": "Gaurav", "note": "Likes jazz" })).await.assert_ok();
        server.advance(60);
        let user = server.sign_in(PHONE).await;
        // The new number has a lead already: its notes stay, and those of the old one come to it.
        server.signup(OTHER_PHONE).await.assert_ok();
        let other = lead_of(&server, &staff, "210").await;
        server.advance(60);
        put(&server, &staff, &other, json!({ "note": "First" })).await.assert_ok();
        let change = json!({ "phone_number": OTHER_PHONE });
        server.send_as(&user.access, Method::POST, "/api/auth/change-phone", change).await.assert_ok();
        let body = json!({ "phone_number": OTHER_PHONE, "otp_code": server.last_code_for(OTHER_PHONE) });
        server.send_as(&user.access, Method::POST, "/api/auth/verify-change-phone", body).await.assert_ok();
        let merged = server.get_as(&staff.access, &format!("{LIST}/{other}")).await;
        assert_eq!(merged.assert_ok().at("/notes").as_array().map(Vec::len), Some(2), "{}", merged.text);
        server.get_as(&staff.access, &format!("{LIST}/{id}")).await.assert_error(404, "not_found");
        // A number without a lead takes over the lead itself.
        let third = "+447400123456";
        let change = json!({ "phone_number": third });
        server.send_as(&user.access, Method::POST, "/api/auth/change-phone", change).await.assert_ok();
        let body = json!({ "phone_number": third, "otp_code": server.last_code_for(third) });
        server.send_as(&user.access, Method::POST, "/api/auth/verify-change-phone", body).await.assert_ok();
        let moved = server.get_as(&staff.access, &format!("{LIST}/{other}")).await;
        assert_eq!((moved.assert_ok().at("/phone_number"), moved.at("/country")), (json!(third), json!("GB")));
        assert_eq!(moved.at("/notes").as_array().map(Vec::len), Some(2));
        server.send_as(&user.access, Method::POST, "/api/auth/delete-account", json!({})).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM lead_notes").await, 0);
        assert_eq!(server.count("SELECT COUNT(*) FROM search_words WHERE subject = 'lead'").await, 0);
    }

    async fn countries_of_old_leads_are_filled_in(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        for phone in [PHONE, "+447400123456", "+12025550123"] {
            server.signup(phone).await.assert_ok();
        }
        server.execute("UPDATE leads SET region = NULL").await;
        let found = server.get_as(&staff.access, &format!("{LIST}?q=456")).await;
        assert_eq!(found.at("/items/0/country"), json!("GB"), "it is shown before it is stored");
        let filled = loopin_auth::flows::leads::fill_in_countries(&server.services).await.unwrap();
        assert_eq!(filled, 4);
        assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE region = 'GB'").await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE region = 'US'").await, 1);
        assert_eq!(loopin_auth::flows::leads::fill_in_countries(&server.services).await.unwrap(), 0);
        assert_eq!(numbers(&server.get_as(&staff.access, &format!("{LIST}?country=IN")).await).len(), 2);
    }
}
