//! `loopin-auth createsuperuser`: the first admin.

use serde_json::json;

use crate::server::{Folder, Said, Server, run};

const VARIABLE: &str = "LOOPIN_SUPERUSER_PASSWORD";
const PASSWORD: &str = "wistful-otter-71";

fn create(folder: &Folder, arguments: &[&str], password: &str) -> Said {
    let all: Vec<&str> = ["createsuperuser"].into_iter().chain(arguments.iter().copied()).collect();
    run(folder, &all, &[(VARIABLE, password)])
}

#[track_caller]
fn refuses(said: &Said, sentences: &[&str]) {
    assert_eq!(said.status.code(), Some(1), "{}{}", said.out, said.err);
    for sentence in sentences {
        assert!(said.err.contains(sentence), "{sentence:?} is not in:\n{}", said.err);
    }
    for text in [&said.out, &said.err] {
        assert!(!text.contains(PASSWORD) && !text.contains("panicked"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_that_a_script_made_signs_in_and_sees_the_users() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]).await;
    let arguments = ["--username", "Ada", "--email", "ada@example.com", "--noinput"];
    let said = create(&folder, &arguments, PASSWORD);
    assert!(said.status.success(), "{}{}", said.out, said.err);
    assert!(said.out.contains("Ada is an admin now"), "{}", said.out);
    assert!(!said.out.contains(PASSWORD) && !said.err.contains(PASSWORD), "{}{}", said.out, said.err);

    for username in ["ada", "ADA@example.com"] {
        let body = json!({ "username": username, "password": PASSWORD });
        let access = server.post("/api/token/", body).await.ok().text("/access");
        let list = server.get_as(&access, "/api/users").await.ok();
        assert_eq!(list.body["total"], json!(1));
        for (pointer, value) in
            [("/users/0/username", "Ada"), ("/users/0/email", "ada@example.com"), ("/users/0/role", "admin")]
        {
            assert_eq!(list.text(pointer), value);
        }
    }
    let wrong = server.post("/api/token/", json!({ "username": "ada", "password": "another-one-5" })).await;
    assert_eq!(wrong.code(), "credentials_invalid");

    // Whoever is there already stays as she is.
    refuses(&create(&folder, &["--username", "aDA", "--noinput"], "another-otter-72"), &["aDA is taken"]);
    let other = ["--username", "grace", "--email", "Ada@Example.com", "--noinput"];
    refuses(&create(&folder, &other, "another-otter-72"), &["e-mail address is taken"]);
    server.post("/api/token/", json!({ "username": "ada", "password": PASSWORD })).await.ok();
}

#[test]
fn what_a_script_forgot_is_named_at_once() {
    let folder = Folder::new();
    let said = run(&folder, &["createsuperuser", "--noinput", "--email", "nonsense"], &[]);
    refuses(&said, &["--username is missing", "--email: ", VARIABLE]);
    let said = create(&folder, &["--noinput", "--username", "lovelace"], "lovelace-1");
    refuses(&said, &[VARIABLE, "too much like"]);
    let said = create(&folder, &["--noinput", "--username", "9876543210"], "12345678");
    refuses(&said, &["--username: ", "only digits", "too common"]);
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let said = create(&Folder::new(), &["--username", "ada"], PASSWORD);
    refuses(&said, &["no terminal", "--noinput", VARIABLE]);
}

#[test]
fn a_database_without_its_tables_is_said() {
    let folder = Folder::new();
    let arguments = ["--username", "ada", "--noinput"];
    refuses(&create(&folder, &arguments, PASSWORD), &["loopin-auth migrate"]);
    assert!(run(&folder, &["migrate"], &[]).status.success());
    let said = create(&folder, &arguments, PASSWORD);
    assert!(said.status.success(), "{}", said.err);
}

#[test]
fn a_password_is_never_an_argument() {
    let folder = Folder::new();
    let said = create(&folder, &["--username", "ada", "--noinput", "--password", PASSWORD], PASSWORD);
    assert_eq!(said.status.code(), Some(2), "{}{}", said.out, said.err);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0, "nothing was made");
    let said = run(&folder, &["createsuperuser", "--help"], &[]);
    assert!(said.out.contains("never an argument") && said.out.contains(VARIABLE), "{}", said.out);
}
