//! `/admin/invitations`: staff make, list and end invitations, and invite leads.

use poem::http::Method;
use serde_json::json;

use crate::{
    browser::{Browser, Page},
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer},
};

const LIST: &str = "/admin/invitations";

/// The text of an invitation on the page that shows it.
fn text_of(page: &Page) -> String {
    let at = page.html.find("inv_").expect("the page shows an invitation");
    page.html[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

async fn signup(server: &TestServer, phone: &str, invitation: &str) -> Answer {
    server.post("/api/auth/signup", json!({"phone_number": phone, "invitation": invitation})).await
}

/// A browser of staff where people need an invitation.
async fn staff(server: &TestServer) -> (TestServer, Browser) {
    let mut browser = Browser::staff(server).await;
    let server = server.second_server(&[("SIGNUPS", "invited")]).await;
    browser.server = server.clone();
    (server, browser)
}

on_both! {
    async fn an_invitation_is_made_shown_once_and_used(server: TestServer) {
        let (server, browser) = staff(&server).await;
        let page = browser.get(LIST).await;
        page.assert_status(200).assert_has("There are no invitations");
        assert!(browser.get("/admin").await.links().contains(&LIST.to_owned()));
        let form = page.form(LIST);
        assert_eq!((form.value("uses"), form.value("phone")), (Some("1"), Some("")));
        assert_eq!(form.value("expires_at"), Some("2026-03-28T14:56"));
        let made = browser.submit(&page, LIST, &[("uses", "2")]).await;
        made.assert_status(200).assert_has("only one that shows the text").assert_has("everyone");
        let text = text_of(&made);
        let list = browser.get(LIST).await;
        list.assert_has("Everyone open 0 of 2").assert_has_not(&text);
        signup(&server, PHONE, &text).await.assert_ok();
        let entered = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await;
        let person = format!("/admin/people/{}", entered.assert_ok().text_at("/data/user_id"));
        let list = browser.get(LIST).await;
        list.assert_has("Everyone open 1 of 2").assert_has("+91 ••••• ••376");
        assert!(list.links().contains(&person), "{:?}", list.links());
        let end = list.forms().into_iter().find(|form| form.action.ends_with("/end")).unwrap().action;
        browser.submit(&list, &end, &[]).await.assert_has("The invitation is ended").assert_has("ended 1 of 2");
        signup(&server, OTHER_PHONE, &text).await.assert_error(403, "signup_closed");
        let token = browser.get(LIST).await.form(LIST).value("form_token").unwrap().to_owned();
        browser.post(&end, &format!("form_token={token}")).await.assert_has("had been ended before");
        let unknown = format!("{LIST}/0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11/end");
        browser.post(&unknown, &format!("form_token={token}")).await.assert_status(404);
    }

    async fn faults_are_told_beside_their_fields_and_what_was_typed_stays(server: TestServer) {
        let (server, browser) = staff(&server).await;
        let page = browser.get(LIST).await;
        let sent = [("uses", "0"), ("phone", "12"), ("expires_at", "2020-01-01T10:00")];
        let answer = browser.submit(&page, LIST, &sent).await;
        answer.assert_status(422).assert_has("Uses must be from 1 to 1000").assert_has("The end must be in the future");
        let form = answer.form(LIST);
        assert_eq!((form.value("uses"), form.value("phone"), form.value("expires_at")), (Some("0"), Some("12"), Some("2020-01-01T10:00")));
        let answer = browser.submit(&page, LIST, &[("uses", "2"), ("phone", PHONE)]).await;
        answer.assert_status(422).assert_has("Uses must be 1 for an invitation of one phone");
        let answer = browser.submit(&page, LIST, &[("uses", "many"), ("expires_at", "soon")]).await;
        answer.assert_status(422).assert_has("Uses must be a whole number").assert_has("The end must be a time");
        browser.get(&format!("{LIST}?cursor=x")).await.assert_status(200).assert_has("the list begins at its start");
        assert_eq!(server.count("SELECT COUNT(*) FROM invitations").await, 0);
    }

    async fn a_lead_that_waits_is_invited_from_its_page(server: TestServer) {
        let (server, browser) = staff(&server).await;
        server.signup(PHONE).await.assert_error(403, "signup_closed");
        let leads = browser.get("/admin/leads?state=waiting").await;
        leads.assert_has("1 lead found").assert_has("Waiting");
        browser.get("/admin").await.assert_has("Waiting 1");
        let path = leads.links().into_iter().find(|link| link.len() > "/admin/leads/0199aa55-5a2b".len()).unwrap();
        let page = browser.get(&path).await;
        let made = browser.submit(&page, &format!("{path}/invite"), &[]).await;
        made.assert_status(200).assert_has("A new invitation").assert_has(PHONE);
        let text = text_of(&made);
        signup(&server, OTHER_PHONE, &text).await.assert_error(403, "signup_closed");
        signup(&server, PHONE, &text).await.assert_ok();
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        server.services.audit.flush().await.unwrap();
        let page = browser.get(&path).await;
        page.assert_has("Verified").assert_has("An account was made with an invitation");
        assert!(page.forms().iter().all(|form| !form.action.ends_with("/invite")));
        let token = page.form("/admin/sign-out").value("form_token").unwrap().to_owned();
        browser.post(&format!("{path}/invite"), &format!("form_token={token}")).await.assert_has("needs no invitation");
    }

    async fn where_everybody_may_sign_up_the_pages_say_so(server: TestServer) {
        let browser = Browser::staff(&server).await;
        server.signup(PHONE).await.assert_ok();
        let dashboard = browser.get("/admin").await;
        dashboard.assert_has_not("Waiting");
        assert!(!dashboard.links().contains(&LIST.to_owned()));
        browser.get(LIST).await.assert_status(200).assert_has("Everyone can sign up at the moment");
        let leads = browser.get("/admin/leads").await;
        let path = leads.links().into_iter().find(|link| link.len() > "/admin/leads/0199aa55-5a2b".len()).unwrap();
        let page = browser.get(&path).await;
        assert!(page.forms().iter().all(|form| !form.action.ends_with("/invite")));
        let mut closed = browser.clone();
        closed.server = server.second_server(&[("SIGNUPS", "closed")]).await;
        closed.get(LIST).await.assert_has("Nobody can sign up at the moment");
        let stranger = Browser::new(&server);
        stranger.send(Method::GET, LIST, &[], None).await.assert_status(303);
    }
}
