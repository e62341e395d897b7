//! The gate of the console: sessions, ranks, and where a form may come from.

use poem::http::Method;

use crate::{browser::Browser, on_both};

type Headers<'a> = &'a [(&'a str, &'a str)];

on_both! {
    async fn without_a_session_a_page_leads_to_the_sign_in(server: TestServer) {
        let browser = Browser::new(&server);
        for path in ["/admin", "/admin/", "/admin/leads", "/admin/nothing"] {
            let page = browser.send(Method::GET, path, &[], None).await;
            page.assert_status(303);
            assert!(page.headers["location"].to_str().unwrap().starts_with("/admin/sign-in"));
        }
    }

    async fn a_form_must_come_from_a_page_of_the_same_session(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let other = Browser::signed_in(&server, "other", "staff").await;
        let page = browser.get("/admin").await;
        let own = page.form("/admin/sign-out").value("form_token").unwrap().to_owned();
        let foreign = other.get("/admin").await;
        let foreign = foreign.form("/admin/sign-out").value("form_token").unwrap().to_owned();
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let same = ("sec-fetch-site", "same-origin");
        let attempts: [(&str, Headers<'_>, String); 8] = [
            ("no token", &[kind, same], String::new()),
            ("a wrong token", &[kind, same], "form_token=x".to_owned()),
            ("the token of another session", &[kind, same], format!("form_token={foreign}")),
            ("another site", &[kind, ("sec-fetch-site", "cross-site")], format!("form_token={own}")),
            ("a sibling site", &[kind, ("sec-fetch-site", "same-site")], format!("form_token={own}")),
            ("no page at all", &[kind, ("sec-fetch-site", "none")], format!("form_token={own}")),
            ("another origin", &[kind, ("origin", "https://evil.example")], format!("form_token={own}")),
            ("neither header", &[kind], format!("form_token={own}")),
        ];
        for (what, headers, body) in attempts {
            let page = browser.send(Method::POST, "/admin/sign-out", headers, Some(body)).await;
            page.assert_status(403).assert_has("no longer valid");
            assert_eq!(browser.get("/admin").await.path, "/admin", "{what}");
        }
        let headers = [kind, ("origin", "http://localhost")];
        let body = Some(format!("form_token={own}"));
        browser.send(Method::POST, "/admin/sign-out", &headers, body).await.assert_status(303);
    }
}
