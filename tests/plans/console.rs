//! The pages of the console: no list and no search reads a whole table.

use super::observed::{Observed, Planning, slow, take_plans};
use crate::browser::{Browser, new_account};

/// The path with the id of a row, or the query of the second page, of the list that it begins with. `None` if the list has no
/// such link.
async fn path(browser: &Browser, template: &str) -> Option<String> {
    let Some((list, rest)) = template.split_once('{') else { return Some(template.to_owned()) };
    let list = list.trim_end_matches('/');
    let links = browser.get(list).await.links();
    if rest == "next}" {
        return links.into_iter().find(|link| link.contains("cursor="));
    }
    let id = |link: &String| {
        link.strip_prefix(list)?.strip_prefix('/').filter(|id| id.len() == 36).map(str::to_owned)
    };
    links.iter().find_map(id).map(|id| template.replace("{id}", &id))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_of_the_console_reads_a_whole_table() {
    let Some(mut observed) = Observed::new(Planning::Custom, &[], Vec::new()).await else { return };
    new_account(&observed.server, "admin", "admin").await;
    let browser = Browser::new(&observed.server);
    browser.sign_in("admin").await;
    for line in include_str!("../scale/pages.txt").lines().filter(|line| !line.starts_with('#')) {
        let (name, template) = line.rsplit_once("  ").expect("a name and a path");
        let name = name.trim();
        let Some(path) = path(&browser, template).await else {
            observed.note(format!("{name}: the list has no link to {template}"));
            continue;
        };
        let page = observed.watch(name, async |_| browser.get(&path).await).await;
        if page.status.as_u16() != 200 {
            observed.note(format!("{name}: {path} answers {}", page.status));
        }
    }
    observed.assert_all_right();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_read_as_a_whole_is_noticed() {
    let Some(observed) = Observed::new(Planning::Custom, &[], Vec::new()).await else { return };
    let found = async |sql: &str| {
        observed.server.count(sql).await;
        let plans = take_plans();
        assert!(plans.contains("Query Text"), "PostgreSQL reports its plans");
        (slow(&plans).iter().map(|(_, table)| (*table).to_owned()).collect::<Vec<_>>(), plans)
    };
    assert_eq!(found("SELECT count(*) FROM leads WHERE notes = 'x'").await.0, ["leads"]);
    // An index that finds nearly all rows, of which none is wanted.
    let sql =
        "SET LOCAL enable_seqscan = off; SELECT count(*) FROM leads WHERE region = 'IN' AND notes = 'x'";
    observed.server.execute(sql).await;
    assert!(!slow(&take_plans()).is_empty());
    let (slow, plans) = found("SELECT count(*) FROM leads WHERE phone = '+916205829376'").await;
    assert!(plans.contains("leads_phone_key") && slow.is_empty(), "{plans}");
}
