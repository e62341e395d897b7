//! The list of messages: its filters, its pages, and that it holds no whole number; and the page of one message.

use loopin_auth::flows::housekeeping;
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::{
    browser::{Browser, Page},
    on_both,
    support::{Database, OTHER_PHONE, PHONE, TestServer, WIDE_LIMITS, postgres},
};

const OPTED_OUT: &str = "+15005550004";
const UNKNOWN_HANDSET: &str = "+15005550011";

/// A browser of staff, and a server with four messages: delivered and used, delivered, refused, lost.
async fn with_messages(server: &TestServer) -> Browser {
    let server = server.second_server(&WIDE_LIMITS).await;
    let browser = Browser::staff(&server).await;
    server.sign_in(PHONE).await;
    server.advance(60);
    server.signup(OTHER_PHONE).await.assert_ok();
    server.signup(OPTED_OUT).await;
    server.signup(UNKNOWN_HANDSET).await.assert_ok();
    server.play(4).await;
    browser
}

/// The masked numbers of the list, in its order.
fn numbers(page: &Page) -> Vec<String> {
    let cells = page.html.split("<td class=\"nowrap\">").skip(1);
    cells.map(|cell| cell.split('<').next().unwrap().to_owned()).collect()
}

/// The links to messages.
fn messages(page: &Page) -> Vec<String> {
    page.links().into_iter().filter(|link| link.starts_with("/admin/messages/")).collect()
}

async fn shown(server: &TestServer) -> i64 {
    server.services.audit.flush().await.unwrap();
    server.count("SELECT COUNT(*) FROM audit WHERE action = 'phone_shown'").await
}

on_both! {
    async fn the_list_shows_the_newest_first_and_no_whole_number(server: TestServer) {
        let browser = with_messages(&server).await;
        let page = browser.get("/admin/messages").await;
        page.assert_status(200).assert_has("4 messages, the newest first").assert_has("+91 ••••• ••376");
        let shown_numbers = numbers(&page);
        assert_eq!(shown_numbers.last().map(String::as_str), Some("+91 ••••• ••376"), "{shown_numbers:?}");
        assert_eq!(shown_numbers.len(), 4);
        for number in [PHONE, OTHER_PHONE, OPTED_OUT, UNKNOWN_HANDSET] {
            assert!(!page.html.contains(&number[1..]), "{number} is in the list");
        }
        page.assert_has("the user wrote STOP to our number (error 21610)");
        page.assert_has("the number is not in use (error 30005)");
        assert_eq!(shown(&browser.server).await, 0);
    }

    async fn each_filter_counts_and_stays_in_the_form(server: TestServer) {
        let browser = with_messages(&server).await;
        for (query, count) in [
            ("state=delivered", 2),
            ("state=failed", 1),
            ("state=pending", 0),
            ("channel=sms", 4),
            ("channel=call", 0),
            ("provider=test_inbox", 4),
            ("provider=twilio", 0),
            ("error=30005", 1),
            ("country=in", 2),
            ("country=IN&state=delivered&channel=sms", 2),
            ("country=US&state=delivered", 0),
            ("from=2026-03-14&to=2026-03-14", 4),
            ("from=2026-03-15", 0),
            ("to=2026-03-13", 0),
            ("from=&to=&state=&error=", 4),
        ] {
            let page = browser.get(&format!("/admin/messages?{query}")).await;
            page.assert_status(200);
            assert_eq!(messages(&page).len(), count, "{query}");
            let form = page.form("/admin/messages");
            for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
                assert_eq!(form.value(name), Some(value), "{query}");
            }
        }
    }

    async fn a_wrong_filter_is_named_and_the_list_stays(server: TestServer) {
        let browser = with_messages(&server).await;
        for (query, words) in [
            ("state=gone", "Choose one of the states."),
            ("channel=fax", "Choose one of the channels."),
            ("provider=%3Cb%3E", "Choose one of the providers."),
            ("error=abc", "Write the provider's code in digits"),
            ("country=%3Cscript%3E", "Write the two letters of a country"),
            ("from=14.3.2026", "Write the day as 2026-03-14."),
            ("from=2026-03-14&to=2026-03-13", "must not be before the first"),
        ] {
            let page = browser.get(&format!("/admin/messages?{query}")).await;
            page.assert_status(200).assert_has(words);
            assert_eq!(messages(&page).len(), 4, "{query}");
            assert!(page.html.contains("aria-invalid=\"true\"") && !page.html.contains("<script>"), "{query}");
        }
        let page = browser.get("/admin/messages?cursor=nonsense").await;
        assert_eq!(messages(&page).len(), 4);
    }

    async fn pages_neither_repeat_nor_skip_a_message(server: TestServer) {
        let browser = with_messages(&server).await;
        let copies = match server.database {
            Database::Postgres => ("gen_random_uuid()", "generate_series(1, 128) AS n"),
            Database::Sqlite => (
                "randomblob(16)",
                "(WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 128) SELECT n FROM n)",
            ),
        };
        // Many of the same moment.
        server.execute(&format!(
            "INSERT INTO messages (id, phone, channel, template, provider, status, created_at, updated_at, region) \
             SELECT {}, phone, channel, template, provider, status, created_at, updated_at, region \
             FROM messages, {} WHERE status = 'failed'", copies.0, copies.1
        )).await;
        let (mut path, mut seen, mut sizes) = ("/admin/messages?channel=sms".to_owned(), Vec::new(), Vec::new());
        loop {
            let page = browser.get(&path).await;
            page.assert_has("132 messages match");
            let here = messages(&page);
            sizes.push(here.len());
            seen.extend(here);
            let next = page.links().into_iter().find(|link| link.contains("cursor=") && link.contains("channel=sms"));
            assert_eq!(page.text().contains("First page"), sizes.len() > 1);
            let Some(next) = next else { break };
            path = next;
        }
        assert_eq!(sizes, [50, 50, 32]);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 132);
    }

    async fn a_message_shows_everything_once_it_is_opened(server: TestServer) {
        let browser = with_messages(&server).await;
        let list = browser.get("/admin/messages?error=30005").await;
        let page = browser.get(&messages(&list)[0]).await;
        page.assert_status(200)
            .assert_has(UNKNOWN_HANDSET)
            .assert_has("the number is not in use (error 30005)")
            .assert_has("The carrier did not deliver it.")
            .assert_has("(after 4.0 s)")
            .assert_has("the provider gave none");
        assert!(page.links().contains(&format!("/admin/phones/{UNKNOWN_HANDSET}")));
        assert_eq!(shown(&browser.server).await, 1);
        let used = browser.get("/admin/messages?state=delivered&to=2026-03-14").await;
        let oldest = messages(&used).pop().unwrap();
        let page = browser.get(&oldest).await;
        page.assert_has("Its code was used.").assert_has(PHONE);
        page.assert_has_not(&browser.server.last_code_for(PHONE));
        browser.server.execute("UPDATE messages SET price = '-0.0075', price_unit = 'USD'").await;
        browser.get(&oldest).await.assert_has("0.0075 USD");
    }

    async fn an_unknown_message_is_not_found(server: TestServer) {
        let browser = Browser::staff(&server).await;
        for id in ["0", "x", "..", "00000000-0000-7000-8000-000000000000"] {
            browser.get(&format!("/admin/messages/{id}")).await.assert_status(404);
        }
        browser.get("/admin/messages").await.assert_has("No message was sent yet.");
        browser.get("/admin/messages?state=sent").await.assert_has("No message matches.");
    }
}

/// How often each table that grows with the users was read as a whole. The server has a single connection.
async fn whole_reads(server: &TestServer) -> Vec<(String, i64)> {
    let store = &server.services.store;
    let statement = |sql: &str| Statement::from_string(DbBackend::Postgres, sql.to_owned());
    // The counters are published at the end of the next statement.
    store.query_all_raw(statement("SELECT pg_stat_force_next_flush()")).await.unwrap();
    store.query_all_raw(statement("SELECT 1")).await.unwrap();
    let counts = "SELECT relname::text, seq_scan FROM pg_stat_user_tables WHERE relname IN \
                  ('messages', 'accounts', 'leads', 'audit', 'budgets') ORDER BY relname";
    let rows = store.query_all_raw(statement(counts)).await.unwrap();
    rows.iter().map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_reads_a_table_as_a_whole() {
    if !postgres::is_there() {
        return;
    }
    let settings = [&WIDE_LIMITS[..], &[("DATABASE_MAX_CONNECTIONS", "1")]].concat();
    let server = TestServer::with(Database::Postgres, &settings).await;
    let browser = Browser::staff(&server).await;
    server.sign_in_and_complete(PHONE).await;
    server.signup(UNKNOWN_HANDSET).await.assert_ok();
    server.play(4).await;
    server.services.audit.flush().await.unwrap();
    // PostgreSQL reads small tables as a whole because that is cheap. This setting avoids it where an index can be used.
    server.execute("SET enable_seqscan = off").await;
    let mut before = whole_reads(&server).await;
    let mut check = async |what: &str| {
        let after = whole_reads(&server).await;
        assert_eq!(after, before, "{what}");
        before = after;
    };
    housekeeping::count_if_due(&server.services).await.unwrap().expect("it is time");
    check("counting").await;
    for path in [
        "/admin",
        "/admin/delivery?period=30",
        "/admin/messages",
        "/admin/messages?state=failed",
        "/admin/messages?channel=call&country=FR",
        "/admin/messages?error=30005&from=2026-03-01&to=2026-03-31",
        "/admin/messages?country=IN&state=delivered",
    ] {
        browser.get(path).await.assert_status(200);
        check(path).await;
    }
}
