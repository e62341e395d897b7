//! `loopin-auth createsuperuser`: the first admin.

use serde_json::json;

use crate::server::{CommandOutput, Folder, Server, run};

const VARIABLE: &str = "LOOPIN_SUPERUSER_PASSWORD";
const PASSWORD: &str = "wistful-otter-71";

fn create(folder: &Folder, arguments: &[&str], password: &str) -> CommandOutput {
    let all: Vec<&str> = ["createsuperuser"].into_iter().chain(arguments.iter().copied()).collect();
    run(folder, &all, &[(VARIABLE, password)])
}

#[track_caller]
fn refuses(output: &CommandOutput, sentences: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{}{}", output.out, output.err);
    for sentence in sentences {
        assert!(output.err.contains(sentence), "{sentence:?} is not in:\n{}", output.err);
    }
    for text in [&output.out, &output.err] {
        assert!(!text.contains(PASSWORD) && !text.contains("panicked"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_that_a_script_made_signs_in_and_sees_the_users() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]).await;
    let arguments = ["--username", "Ada", "--email", "ada@example.com", "--noinput"];
    let output = create(&folder, &arguments, PASSWORD);
    assert!(output.status.success(), "{}{}", output.out, output.err);
    assert!(output.out.contains("Ada is an admin now"), "{}", output.out);
    assert!(!output.out.contains(PASSWORD) && !output.err.contains(PASSWORD), "{}{}", output.out, output.err);

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

    // An account that exists is not changed.
    refuses(&create(&folder, &["--username", "aDA", "--noinput"], "another-otter-72"), &["aDA is taken"]);
    let other = ["--username", "grace", "--email", "Ada@Example.com", "--noinput"];
    refuses(&create(&folder, &other, "another-otter-72"), &["e-mail address is taken"]);
    server.post("/api/token/", json!({ "username": "ada", "password": PASSWORD })).await.ok();
}

#[test]
fn what_a_script_forgot_is_named_at_once() {
    let folder = Folder::new();
    let output = run(&folder, &["createsuperuser", "--noinput", "--email", "nonsense"], &[]);
    refuses(&output, &["--username is missing", "--email: ", VARIABLE]);
    let output = create(&folder, &["--noinput", "--username", "lovelace"], "lovelace-1");
    refuses(&output, &[VARIABLE, "too much like"]);
    let output = create(&folder, &["--noinput", "--username", "9876543210"], "12345678");
    refuses(&output, &["--username: ", "only digits", "too common"]);
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let output = create(&Folder::new(), &["--username", "ada"], PASSWORD);
    refuses(&output, &["no terminal", "--noinput", VARIABLE]);
}

#[test]
fn a_database_without_its_tables_is_said() {
    let folder = Folder::new();
    let arguments = ["--username", "ada", "--noinput"];
    refuses(&create(&folder, &arguments, PASSWORD), &["loopin-auth migrate"]);
    assert!(run(&folder, &["migrate"], &[]).status.success());
    let output = create(&folder, &arguments, PASSWORD);
    assert!(output.status.success(), "{}", output.err);
}

#[test]
fn a_password_is_never_an_argument() {
    let folder = Folder::new();
    let output = create(&folder, &["--username", "ada", "--noinput", "--password", PASSWORD], PASSWORD);
    assert_eq!(output.status.code(), Some(2), "{}{}", output.out, output.err);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0, "nothing was made");
    let output = run(&folder, &["createsuperuser", "--help"], &[]);
    assert!(output.out.contains("never an argument") && output.out.contains(VARIABLE), "{}", output.out);
}
