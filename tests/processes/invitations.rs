//! `loopin-auth invitations`, and a setting `SIGNUPS` that is none.

use serde_json::json;

use crate::{
    server::{Folder, Server, run},
    support::PHONE,
};

#[test]
fn a_wrong_setting_stops_the_start_and_says_what_is_right() {
    let output = run(&Folder::new(), &["serve"], &[("SIGNUPS", "sometimes")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.err.contains("SIGNUPS must be open, invited or closed"), "{}{}", output.out, output.err);
}

#[test]
fn wrong_arguments_are_told() {
    let folder = Folder::new();
    run(&folder, &["migrate"], &[]);
    for (arguments, sentence) in [
        (&["create", "--uses", "0"][..], "Uses must be from 1 to 1000"),
        (&["create", "--uses", "2", "--phone", PHONE], "Uses must be 1 for an invitation of one phone"),
        (&["create", "--phone", "12"], "Phone number"),
        (&["create", "--expires", "soon"], "--expires must be a day"),
        (&["create", "--expires", "2020-01-01"], "The end must be in the future"),
        (&["end", "x"], "invalid value"),
        (&["end", "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11"], "there is no invitation with this id"),
    ] {
        let output = run(&folder, &[&["invitations"], arguments].concat(), &[]);
        assert!(output.err.contains(sentence), "{arguments:?}: {}{}", output.out, output.err);
        assert_ne!(output.status.code(), Some(0));
    }
    let list = run(&folder, &["invitations", "list"], &[]);
    assert_eq!(list.out.lines().count(), 1, "{}{}", list.out, list.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_of_the_command_line_admits_one_person() {
    let folder = Folder::new();
    let settings = [("SIGNUPS", "invited"), ("SECRET_KEY", "a secret key of the tests, 32 bytes or more")];
    let server = Server::start(&folder, &settings).await;
    assert_eq!(server.signup(PHONE).await.code(), "signup_closed");
    let made = run(&folder, &["invitations", "create", "--expires", "14d", "--phone", PHONE], &settings);
    let text = made.out.lines().next().unwrap_or_default().to_owned();
    assert!(text.starts_with("inv_") && text.len() == 30, "{}{}", made.out, made.err);
    assert!(!made.out.contains(PHONE), "{}", made.out);
    let id = made.out.split("Its id is ").nth(1).unwrap().split('.').next().unwrap().to_owned();
    let listed = run(&folder, &["invitations", "list"], &settings);
    assert!(
        listed.out.contains(&id) && listed.out.contains("live") && listed.out.contains("0 of 1"),
        "{}",
        listed.out
    );
    assert!(!listed.out.contains(&text) && !listed.out.contains(PHONE), "{}", listed.out);
    let body = json!({"phone_number": PHONE, "invitation": text});
    server.post("/api/auth/signup", body).await.ok();
    let code = server.code_for(PHONE).await;
    server.verify_otp(PHONE, &code).await.ok();
    let listed = run(&folder, &["invitations", "list"], &settings);
    assert!(listed.out.contains("used_up") && listed.out.contains("1 of 1"), "{}", listed.out);
    let ended = run(&folder, &["invitations", "end", &id], &settings);
    assert_eq!(ended.out, format!("{id} is ended\n"), "{}", ended.err);
    let ended = run(&folder, &["invitations", "end", &id], &settings);
    assert_eq!(ended.out, format!("{id} had been ended before\n"), "{}", ended.err);
    assert!(!server.log().contains(&text), "an invitation is in the log");
}
