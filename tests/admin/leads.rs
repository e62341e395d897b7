//! `/admin/leads`: the list, the page of a lead, and what staff do on both.

use loopin_auth::{
    domain::audit::{Action, Entry, Filter},
    store,
};
use poem::http::Method;
use url::form_urlencoded;

use crate::{
    browser::{Browser, Page},
    on_both,
    support::{OTHER_PHONE, PHONE, TestServer},
};

const LIST: &str = "/admin/leads";
const ACT: &str = "/admin/leads/act";

pub async fn entries(server: &TestServer, action: Action) -> Vec<Entry> {
    server.services.audit.flush().await.unwrap();
    let filter = Filter { action: Some(action), ..Filter::default() };
    store::audit::list_after(&server.services.store, &filter, None, 10_000).await.unwrap()
}

/// The addresses of the leads of a list, in its order.
pub fn leads_of(page: &Page) -> Vec<String> {
    let is_lead = |link: &String| link.strip_prefix("/admin/leads/").is_some_and(|id| id.len() == 36);
    page.links().into_iter().filter(is_lead).collect()
}

/// Opens the only lead that a search finds.
pub async fn open(browser: &Browser, q: &str) -> Page {
    let list = browser.get(&format!("{LIST}?q={q}")).await;
    let found = leads_of(&list);
    assert_eq!(found.len(), 1, "{q}: {}", list.text());
    browser.get(&found[0]).await
}

/// Sends the form of the list with these leads selected.
async fn act(browser: &Browser, page: &Page, act: &str, leads: &[String]) -> Page {
    let mut values = vec![("act", act)];
    values.extend(leads.iter().map(|path| ("id", &path["/admin/leads/".len()..])));
    browser.submit(page, ACT, &values).await
}

async fn state_of(server: &TestServer, phone: &str, state: &str) -> bool {
    server.count(&format!("SELECT COUNT(*) FROM leads WHERE phone = '{phone}' AND state = '{state}'")).await
        == 1
}

on_both! {
    async fn a_list_shows_everybody_who_asked_and_no_whole_number(server: TestServer) {
        let browser = Browser::staff(&server).await;
        browser.get(LIST).await.assert_status(200).assert_has("There are no leads yet. One appears here when a user asks for a code");
        server.signup(PHONE).await.assert_ok();
        server.advance(60);
        server.signup("+447400123456").await.assert_ok();
        let page = browser.get(LIST).await;
        page.assert_status(200).assert_has("2 leads").assert_has("+91 ••••• ••376").assert_has("+44 ••••• ••456");
        page.assert_has("GB").assert_has("14 Mar 2026");
        for part in ["6205829376", "05829", "7400123456"] {
            assert!(!page.html.contains(part), "{part}");
        }
        assert_eq!(entries(&server, Action::PhoneShown).await.len(), 0);
        // The newest first.
        let first = page.text().find("••456").unwrap();
        assert!(first < page.text().find("••376").unwrap());
    }

    async fn the_page_of_a_lead_shows_the_number_and_that_is_recorded(server: TestServer) {
        let browser = Browser::staff(&server).await;
        server.signup(PHONE).await.assert_ok();
        let page = open(&browser, "9376").await;
        page.assert_status(200).assert_has(PHONE).assert_has("No notes yet.");
        let links = page.links();
        for link in ["tel:+916205829376", "https://wa.me/916205829376", "/admin/phones/%2B916205829376"] {
            assert!(links.iter().any(|known| known == link), "{link} in {links:?}");
        }
        assert!(page.html.contains("rel=\"noopener noreferrer\""));
        let shown = entries(&server, Action::PhoneShown).await;
        assert_eq!((shown.len(), shown[0].phone_masked.as_deref()), (1, Some("+91******9376")));
        for path in ["/admin/leads/0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11", "/admin/leads/x", "/admin/leads/+916205829376"] {
            browser.get(path).await.assert_status(404);
        }
    }

    async fn staff_note_what_they_were_told(server: TestServer) {
        let browser = Browser::staff(&server).await;
        server.signup(PHONE).await.assert_ok();
        let page = open(&browser, "9376").await;
        let path = page.path.clone();
        let saved = browser.submit(&page, &path, &[
            ("name", "Gaurav"), ("note", "Call back\r\non Monday"), ("to", "contacted"),
        ]).await;
        saved.assert_status(200).assert_has("Saved. The lead is contacted.").assert_has("Call back on Monday");
        saved.assert_has("staff The lead was changed (From: new; To: contacted; Changed: state, name, note)");
        assert_eq!(saved.form(&path).value("name"), Some("Gaurav"));
        assert_eq!(saved.form(&path).value("note"), Some(""));
        browser.get(&format!("{LIST}?q=gau")).await.assert_has("Gaurav").assert_has("Contacted");
        // The same form without a change.
        browser.submit(&saved, &path, &[]).await.assert_has("There was nothing to save.");
        assert_eq!(entries(&server, Action::LeadChanged).await.len(), 1);
    }

    async fn what_is_wrong_is_beside_its_field_and_nothing_typed_is_lost(server: TestServer) {
        let browser = Browser::staff(&server).await;
        server.signup(PHONE).await.assert_ok();
        let page = open(&browser, "9376").await;
        let path = page.path.clone();
        let long = "a".repeat(151);
        let wrong = browser.submit(&page, &path, &[("name", &long), ("note", "a\u{7}b"), ("to", "lost")]).await;
        wrong.assert_status(422).assert_has("Name must be at most 150 characters long");
        wrong.assert_has("Note must not contain control characters");
        assert_eq!(wrong.form(&path).value("name"), Some(long.as_str()));
        assert_eq!(wrong.form(&path).value("note"), Some("a\u{7}b"));
        assert!(state_of(&server, PHONE, "new").await);
    }

    async fn a_stale_form_says_who_was_first_and_loses_nothing(server: TestServer) {
        let first = Browser::staff(&server).await;
        let second = Browser::signed_in(&server, "asha", "staff").await;
        server.signup(PHONE).await.assert_ok();
        let (page, other) = (open(&first, "9376").await, open(&second, "9376").await);
        let path = page.path.clone();
        second.submit(&other, &path, &[("to", "lost")]).await.assert_has("The lead is lost.");
        let typed = [("name", "Gaurav"), ("note", "Wants to <b>join</b>"), ("to", "contacted")];
        let stale = first.submit(&page, &path, &typed).await;
        stale.assert_status(409).assert_has("asha changed this lead since you opened it. It is lost now.");
        stale.assert_has("Last change: asha, 14 Mar 2026");
        assert_eq!(stale.form(&path).value("name"), Some("Gaurav"));
        assert_eq!(stale.form(&path).value("note"), Some("Wants to <b>join</b>"));
        assert!(state_of(&server, PHONE, "lost").await);
        first.submit(&stale, &path, &[("to", "contacted")]).await.assert_has("The lead is contacted.");
        // Also when the user was first.
        let page = open(&first, "9376").await;
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        let stale = first.submit(&page, &path, &[("note", "No answer"), ("to", "lost")]).await;
        stale.assert_status(409).assert_has("The user, by entering a code, changed this lead");
        first.submit(&stale, &path, &[]).await.assert_has("Saved. The lead is verified.").assert_has("No answer");
    }

    async fn names_stay_text(server: TestServer) {
        let browser = Browser::staff(&server).await;
        server.signup(PHONE).await.assert_ok();
        let marks = format!("a{}", "\u{301}".repeat(100));
        for name in ["<script>alert(1)</script>", "\"><img src=x>", marks.as_str(), "محمد علي", "=1+1"] {
            let page = open(&browser, "9376").await;
            let path = page.path.clone();
            let saved = browser.submit(&page, &path, &[("name", name), ("note", name)]).await;
            saved.assert_status(200).assert_has(name);
            let list = browser.get(LIST).await;
            list.assert_has(name);
            for html in [saved.html, list.html] {
                assert!(!html.contains("<script>alert") && !html.contains("<img"), "{html}");
            }
        }
        browser.get(&format!("{LIST}?q=%3Cscript%3E")).await.assert_status(200);
        browser.get(&format!("{LIST}?q=%D8%B9%D9%84%D9%8A")).await.assert_status(200);
    }

    async fn a_wrong_filter_is_beside_its_field_and_the_list_stays(server: TestServer) {
        let browser = Browser::staff(&server).await;
        server.signup(PHONE).await.assert_ok();
        for (query, message) in [
            ("state=old", "State must be new, waiting, contacted, converted or lost"),
            ("verified=1", "Verified must be yes or no"),
            ("country=India", "Country must be the two letters"),
            ("source=web", "Source must be signup or login"),
            ("sort=name", "Sort must be one of"),
            ("last_from=14.3.2026", "A day must be written as YYYY-MM-DD"),
            ("first_to=2026-02-30", "A day must be written as YYYY-MM-DD"),
            ("last_from=2026-03-15&last_to=2026-03-14", "The last day must not be before the first"),
            ("q=a%00b", "must not contain control characters"),
        ] {
            let page = browser.get(&format!("{LIST}?{query}")).await;
            page.assert_status(422).assert_has(message);
            if !query.starts_with("last_from=2026") {
                page.assert_has("••376");
            }
        }
        let page = browser.get(&format!("{LIST}?last_from=14.3.2026&state=lost")).await;
        page.assert_has("No lead fits these filters");
        assert_eq!(page.form(LIST).value("last_from"), Some("14.3.2026"));
        assert_eq!(page.form(LIST).value("state"), Some("lost"));
        let page = browser.get(&format!("{LIST}?cursor=x")).await;
        page.assert_status(200).assert_has("This link to a further page is not valid.").assert_has("••376");
    }

    async fn a_list_has_pages_and_links_keep_the_filters(server: TestServer) {
        let browser = Browser::staff(&server).await;
        many_leads(&server, 119).await;
        let mut seen = Vec::new();
        let mut page = browser.get(&format!("{LIST}?state=new&sort=first")).await;
        page.assert_has("120 leads found");
        loop {
            seen.extend(leads_of(&page));
            let next = page.links().into_iter().find(|link| link.contains("cursor="));
            let Some(next) = next else { break };
            assert!(next.starts_with("/admin/leads?state=new&sort=first&cursor="), "{next}");
            page = browser.get(&next).await;
            assert!(page.links().contains(&"/admin/leads?state=new&sort=first".to_owned()), "the first page");
        }
        assert_eq!(seen.len(), 120);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 120);
    }

    async fn the_selected_are_changed_and_each_outcome_is_counted(server: TestServer) {
        let server = server.without_limits().await;
        let browser = Browser::staff(&server).await;
        let phones = [PHONE, OTHER_PHONE, "+447400123456"];
        for phone in phones {
            server.signup(phone).await.assert_ok();
        }
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        let page = browser.get(&format!("{LIST}?sort=-last")).await;
        let all = leads_of(&page);
        let done = act(&browser, &page, "contacted", &all).await;
        assert_eq!(done.path, "/admin/leads?sort=-last", "back to the same list");
        done.assert_has("2 leads: marked contacted; 1 lead: verified, so the state stays.");
        assert!(state_of(&server, PHONE, "converted").await && state_of(&server, OTHER_PHONE, "contacted").await);
        let done = act(&browser, &page, "contacted", &all).await;
        done.assert_has("2 leads: contacted already; 1 lead: verified, so the state stays.");
        server.execute(&format!("DELETE FROM leads WHERE phone = '{OTHER_PHONE}'")).await;
        act(&browser, &page, "lost", &all).await.assert_has("1 lead: marked lost; 1 lead: verified, so the state stays; 1 lead: no longer there.");
        act(&browser, &page, "lost", &[]).await.assert_has("Select at least one lead first.");
        act(&browser, &page, "convert", &all).await.assert_has("Choose what to do");
        let many: Vec<String> = (0..201).map(|n| format!("/admin/leads/{}", uuid::Uuid::from_u128(n))).collect();
        act(&browser, &page, "new", &many).await.assert_has("select at most 200 leads at once.");
        act(&browser, &page, "new", &many[..200]).await.assert_has("200 leads: no longer there.");
        assert_eq!(entries(&server, Action::LeadChanged).await.len(), 3);
    }

    async fn a_notice_leads_back_to_the_list_only(server: TestServer) {
        let browser = Browser::staff(&server).await;
        server.signup(PHONE).await.assert_ok();
        let page = browser.get(LIST).await;
        for back in ["https://evil.example/", "//evil.example", "x\r\nset-cookie: a=b", "../people?a=b"] {
            let values = [("act", "lost"), ("back", back)];
            let page = browser.submit(&page, ACT, &values).await;
            assert!(page.path == LIST || page.path.starts_with("/admin/leads?"), "{}", page.path);
        }
    }

    async fn verifying_by_hand_is_confirmed_first(server: TestServer) {
        let browser = Browser::staff(&server).await;
        server.signup(PHONE).await.assert_ok();
        let page = open(&browser, "9376").await;
        let verify = format!("{}/verify", page.path);
        let ask = browser.get(&verify).await;
        ask.assert_status(200).assert_has("Verify this number by hand?").assert_has("••376").assert_has_not(PHONE);
        assert!(state_of(&server, PHONE, "new").await);
        let done = browser.submit(&ask, &verify, &[]).await;
        assert_eq!(done.path, page.path);
        done.assert_has("has an account now").assert_has("Verified").assert_has("Open the account");
        done.assert_has_not("Save and mark");
        assert!(state_of(&server, PHONE, "converted").await);
        browser.submit(&ask, &verify, &[]).await.assert_has("was verified before. Nothing was changed.");
        assert_eq!(entries(&server, Action::LeadVerifiedByStaff).await.len(), 1);
        let code = server.last_code_for(PHONE);
        server.verify_login(PHONE, &code).await.assert_ok();
    }

    async fn several_are_verified_by_hand_after_one_confirmation(server: TestServer) {
        let server = server.without_limits().await;
        let browser = Browser::staff(&server).await;
        for phone in [PHONE, OTHER_PHONE] {
            server.signup(phone).await.assert_ok();
        }
        server.sign_in("+447400123456").await;
        server.disable("+447400123456").await;
        let page = browser.get(LIST).await;
        let ask = act(&browser, &page, "verify", &leads_of(&page)).await;
        ask.assert_status(200).assert_has("Verify 3 leads by hand?").assert_has("+44 ••••• ••456 Verified");
        ask.assert_has("+91 ••••• ••376 New").assert_has_not("more").assert_has_not(PHONE);
        assert!(!ask.html.contains("6205829376"));
        assert_eq!(leads_of(&ask).len(), 3);
        assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE state = 'converted'").await, 1);
        let form = ask.form(ACT);
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(&form.fields);
        let done = browser.post(ACT, &body.finish()).await;
        done.assert_has("2 leads: verified by hand; 1 lead: left out: the account is disabled.");
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE phone IS NOT NULL").await, 3);
    }

    async fn a_lead_that_changed_after_the_page_that_asks_is_left_out(server: TestServer) {
        let browser = Browser::staff(&server).await;
        for phone in [PHONE, OTHER_PHONE] {
            server.signup(phone).await.assert_ok();
        }
        let page = browser.get(LIST).await;
        let ask = act(&browser, &page, "verify", &leads_of(&page)).await;
        let other = open(&browser, "9376").await;
        browser.submit(&other, &other.path, &[("note", "Not the owner of the number")]).await.assert_status(200);
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(&ask.form(ACT).fields);
        let done = browser.post(ACT, &body.finish()).await;
        done.assert_has("1 lead: verified by hand; 1 lead: left out: changed after you selected it, so look at it again.");
        assert!(state_of(&server, PHONE, "new").await && state_of(&server, OTHER_PHONE, "converted").await);
    }

    async fn a_page_that_asks_about_many_leads_lists_some(server: TestServer) {
        let browser = Browser::staff(&server).await;
        many_leads(&server, 24).await;
        let page = browser.get(LIST).await;
        let ask = act(&browser, &page, "verify", &leads_of(&page)).await;
        ask.assert_status(200).assert_has("Verify 25 leads by hand?").assert_has("and 5 more");
        assert_eq!(leads_of(&ask).len(), 20);
        assert_eq!(ask.form(ACT).fields.iter().filter(|(name, _)| name == "id").count(), 25);
        server.execute("DELETE FROM leads").await;
        act(&browser, &page, "resend", &leads_of(&page)).await.assert_has("The selected leads are no longer there.");
    }

    async fn a_code_is_sent_from_the_page_of_a_lead(server: TestServer) {
        let browser = Browser::staff(&server).await;
        server.signup(PHONE).await.assert_ok();
        let page = open(&browser, "9376").await;
        let send = format!("{}/resend", page.path);
        let soon = browser.submit(&page, &send, &[]).await;
        assert_eq!(soon.path, page.path);
        soon.assert_has("Nothing was sent: the last code was a moment ago.");
        server.advance(30);
        let sent = browser.submit(&page, &send, &[("channel", "sms")]).await;
        let code = server.last_code_for(PHONE);
        sent.assert_has("A code was sent").assert_has_not(&code);
        assert_eq!(server.codes_for(PHONE).len(), 2);
    }

    async fn the_selected_get_codes_after_one_confirmation(server: TestServer) {
        let server = server.without_limits().await;
        let browser = Browser::staff(&server).await;
        for phone in [PHONE, OTHER_PHONE] {
            server.signup(phone).await.assert_ok();
        }
        server.advance(60);
        server.signup("+447400123456").await.assert_ok();
        let page = browser.get(LIST).await;
        let ask = act(&browser, &page, "resend", &leads_of(&page)).await;
        ask.assert_status(200).assert_has("Send a code to 3 leads?");
        assert_eq!(server.codes_for(PHONE).len(), 1);
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(&ask.form(ACT).fields);
        let done = browser.post(ACT, &body.finish()).await;
        done.assert_has("2 leads: sent a code; 1 lead: left out: the last code was a moment ago.");
        assert_eq!(server.codes_for(PHONE).len() + server.codes_for(OTHER_PHONE).len(), 4);
    }

    async fn who_is_lost_and_asks_again_is_marked(server: TestServer) {
        let server = server.without_limits().await;
        let browser = Browser::staff(&server).await;
        server.signup(PHONE).await.assert_ok();
        server.advance(60);
        let page = open(&browser, "9376").await;
        let lost = browser.submit(&page, &page.path, &[("to", "lost")]).await;
        lost.assert_has_not("asks again");
        server.advance(60);
        server.signup(PHONE).await.assert_ok();
        browser.get(LIST).await.assert_has("Lost asks again");
        browser.get(&page.path).await.assert_has("asks again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_a_page_that_says_so() {
    let Some((server, proxy)) = TestServer::behind_proxy(&[]).await else { return };
    let browser = Browser::staff(&server).await;
    server.signup(PHONE).await.assert_ok();
    let page = open(&browser, "9376").await;
    proxy.go_away().await;
    browser.get(LIST).await.assert_status(503).assert_has("The database does not answer");
    browser.submit(&page, &page.path, &[("to", "lost")]).await.assert_status(503);
    proxy.come_back();
    browser.get(LIST).await.assert_status(200);
    assert!(state_of(&server, PHONE, "new").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_fifty_is_light() {
    let server = TestServer::on(crate::support::Database::Sqlite).await;
    let browser = Browser::admin(&server).await;
    many_leads(&server, 80).await;
    server.execute("UPDATE leads SET name = 'Gaurav Kumar'").await;
    let page = browser.get(LIST).await;
    assert_eq!(leads_of(&page).len(), 50);
    let mut bytes = page.html.len();
    let assets = page.html.split('"').filter(|part| part.starts_with("/admin/admin."));
    for asset in assets {
        let asset = browser.send(Method::GET, asset, &[], None).await;
        bytes += asset.assert_status(200).html.len();
    }
    assert!(bytes < 40 * 1024, "{bytes} bytes, {} of them the page", page.html.len());
}

/// Adds leads to the one of [`PHONE`], all with its times.
pub async fn many_leads(server: &TestServer, count: u32) {
    server.signup(PHONE).await.assert_ok();
    let (id, numbers, zeros) = match server.database {
        crate::support::Database::Sqlite => (
            "randomblob(16)",
            format!(
                "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
            ),
            "printf('%05d', n)",
        ),
        crate::support::Database::Postgres => (
            "gen_random_uuid()",
            format!("WITH numbers(n) AS (SELECT generate_series(1, {count}))"),
            "lpad(n::text, 5, '0')",
        ),
    };
    let insert = format!(
        "{numbers} INSERT INTO leads (id, phone, source, state, requests, first_requested_at, last_requested_at, notes, region) \
         SELECT {id}, '+9170000' || {zeros}, 'signup', 'new', 1, first_requested_at, last_requested_at, '', 'IN' \
         FROM numbers, (SELECT * FROM leads WHERE phone = '{PHONE}') AS one"
    );
    server.execute(&insert).await;
}
