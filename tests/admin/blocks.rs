//! `/admin/blocks`: admins list, make and end blocks, and see the prefixes that closed.

use poem::http::Method;
use url::form_urlencoded;

use crate::{
    browser::{Browser, Form, Page, new_account},
    on_both,
    support::{OTHER_PHONE, PHONE, TestServer},
};

const LIST: &str = "/admin/blocks";
const PREFIXES: &str = "/admin/blocks/prefixes";
const MASKED: &str = "+91 ••••• ••376";

async fn id(server: &TestServer) -> String {
    // Only one block is there.
    assert_eq!(server.count("SELECT COUNT(*) FROM blocks WHERE ended_at IS NULL").await, 1);
    let blocks = loopin_auth::store::blocks::list_live(&server.services.store, server.now()).await.unwrap();
    blocks[0].id.to_string()
}

/// Sends the form of a new block with these values instead of its own. The form of the filters leads to the same path.
pub async fn make(browser: &Browser, page: &Page, values: &[(&str, &str)]) -> Page {
    let form = new_form(page);
    let mut body = form_urlencoded::Serializer::new(String::new());
    let is_given = |key: &str| values.iter().any(|(name, _)| *name == key);
    body.extend_pairs(form.fields.iter().filter(|(key, _)| !is_given(key)));
    body.extend_pairs(values);
    browser.post(LIST, &body.finish()).await
}

fn new_form(page: &Page) -> Form {
    page.forms()
        .into_iter()
        .find(|form| form.is_post && form.action == LIST)
        .expect("the form of a new block")
}

on_both! {
    async fn an_admin_blocks_a_phone_and_ends_the_block(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let page = browser.get(LIST).await;
        page.assert_has("Nothing is blocked. A number, the beginning of numbers");
        let sent = [
            ("kind", "phone"), ("value", "062058 29376"), ("reason", "Sold <b>in bulk</b>"), ("reference", "FIR 112/2026"),
            ("ends_at", "2026-03-20T10:00"),
        ];
        let page = make(&browser, &page, &sent).await;
        page.assert_status(200).assert_has(&format!("{MASKED} is blocked")).assert_has("FIR 112/2026").assert_has("20 Mar 2026, 10:00");
        assert!(!page.html.contains("6205829376") && !page.html.contains("<b>in bulk"), "{}", page.html);
        server.signup(PHONE).await.assert_error(400, "phone_unreachable");
        let path = format!("{LIST}/{}", id(&server).await);
        let page = browser.get(&path).await;
        page.assert_status(200).assert_has(PHONE).assert_has("admin");
        server.services.audit.flush().await.unwrap();
        assert_eq!(server.count("SELECT COUNT(*) FROM audit WHERE action = 'phone_shown'").await, 1);
        let action = format!("{path}/end");
        let unsure = browser.submit(&page, &action, &[]).await;
        unsure.assert_status(422).assert_has("Check this box");
        browser.submit(&unsure, &action, &[("confirm", "on")]).await.assert_status(200).assert_has("is ended");
        server.signup(PHONE).await.assert_ok();
        // Another window still has the form.
        browser.submit(&page, &action, &[("confirm", "on")]).await.assert_has("had ended before");
        browser.get("/admin/blocks?state=live").await.assert_has("No block fits these filters.");
        browser.get("/admin/blocks?state=ended").await.assert_has(MASKED);
    }

    async fn what_is_wrong_stays_in_the_form(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let page = browser.get(LIST).await;
        let sent = [("kind", "address"), ("value", "0.0.0.0/0"), ("reason", "typed"), ("ends_at", "2020-01-01T10:00")];
        let wrong = make(&browser, &page, &sent).await;
        wrong.assert_status(422).assert_has("smaller network").assert_has("in the future");
        for (field, value) in sent {
            assert_eq!(new_form(&wrong).value(field), Some(value));
        }
        // A country stops many numbers, so it is confirmed.
        let country = [("kind", "country"), ("value", "GB"), ("reason", "x"), ("ends_at", "")];
        let sure = [("kind", "country"), ("value", "GB"), ("reason", "x"), ("ends_at", ""), ("confirm", "on")];
        make(&browser, &wrong, &country).await.assert_status(422).assert_has("Check this box");
        make(&browser, &wrong, &sure).await.assert_status(200).assert_has("GB is blocked");
        make(&browser, &wrong, &sure).await.assert_status(422).assert_has("blocked already");
        make(&browser, &wrong, &[("value", "0.0.0.0"), ("ends_at", "")]).await.assert_status(422).assert_has("Your own address");
        assert_eq!(server.count("SELECT COUNT(*) FROM blocks").await, 1);
    }

    async fn a_wrong_filter_is_shown_beside_its_field(server: TestServer) {
        let browser = Browser::admin(&server).await;
        let page = browser.get(LIST).await;
        let sent = [("kind", "prefix"), ("value", "+91987"), ("reason", "x"), ("confirm", "on")];
        let page = make(&browser, &page, &sent).await;
        page.assert_status(200).assert_has("+91987 is blocked");
        let wrong = browser.get("/admin/blocks?kind=planet&state=maybe&cursor=x&value=%2B91987").await;
        wrong.assert_status(200).assert_has("Kind must be").assert_has("State must be").assert_has("begins at its start");
        wrong.assert_has("+91987");
        browser.get("/admin/blocks/x").await.assert_status(404);
        browser.get("/admin/blocks/0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11").await.assert_status(404);
        browser.get("/admin/blocks/prefixes?state=ajar&page=0").await.assert_status(200).assert_has("must be closed or open").assert_has("begins at its start");
    }

    async fn staff_see_no_blocks(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let page = browser.get("/admin").await;
        assert!(!page.html.contains("\"/admin/blocks\""));
        let token = page.form("/admin/sign-out").value("form_token").unwrap().to_owned();
        for path in [LIST, PREFIXES, "/admin/blocks/0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11"] {
            browser.get(path).await.assert_status(403);
        }
        for path in [LIST, PREFIXES, "/admin/blocks/0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11/end"] {
            browser.post(path, &format!("form_token={token}&kind=phone&value={PHONE}&reason=x&confirm=on")).await.assert_status(403);
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM blocks").await, 0);
    }

    async fn an_admin_opens_and_closes_prefixes(server: TestServer) {
        let browser = Browser::admin(&server).await;
        server.signup(OTHER_PHONE).await.assert_ok();
        let page = browser.get(PREFIXES).await;
        page.assert_status(200).assert_has("+919876").assert_has("IN");
        browser.submit(&page, PREFIXES, &[("state", "")]).await;
        let token = browser.get("/admin").await.form("/admin/sign-out").value("form_token").unwrap().to_owned();
        let post = async |fields: &str| browser.post(PREFIXES, &format!("form_token={token}&{fields}")).await;
        post("prefix=919876&act=close").await.assert_status(200).assert_has("+919876 is closed");
        browser.get("/admin/blocks/prefixes?state=closed").await.assert_has("+919876");
        post("prefix=919876&act=hold&hours=0").await.assert_status(422).assert_has("from 1 to 720");
        post("prefix=919876&act=hold&hours=5").await.assert_has("held open for 5 hours");
        post("prefix=919876&act=open").await.assert_has("+919876 is open");
        post("prefix=917000&act=open").await.assert_status(422).assert_has("No message was ever sent");
        post("prefix=x&act=destroy").await.assert_status(422).assert_has("Prefix must be").assert_has("Choose what to do");
    }

    async fn a_blocked_network_cannot_sign_in_to_the_console(server: TestServer) {
        let browser = Browser::admin(&server).await;
        new_account(&server, "staff", "staff").await;
        let page = browser.get(LIST).await;
        let sent = [("kind", "address"), ("value", "203.0.113.0/24"), ("reason", "x")];
        make(&browser, &page, &sent).await.assert_status(200);
        let other = Browser::new(&server.from("203.0.113.7"));
        other.sign_in("staff").await.assert_status(403).assert_has("Blocked");
        let cookies = other.send(Method::GET, "/admin", &[], None).await;
        cookies.assert_status(303);
    }
}
