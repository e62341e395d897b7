//! The sources of settings, and the messages about wrong ones.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use crate::{
    server::{CommandOutput, Folder, SECRETS, Server, run, run_by},
    support::PHONE,
};

/// What a production server needs besides the database.
const PROD: [(&str, &str); 8] = [
    ("ENVIRONMENT", "prod"),
    SECRETS[0],
    SECRETS[1],
    ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000"),
    ("TWILIO_AUTH_TOKEN", "the auth token of the tests"),
    ("TWILIO_PHONE_NUMBER", "+15005550006"),
    ("PUBLIC_BASE_URL", "https://auth.example.com"),
    ("BIND_ADDR", "127.0.0.1:0"),
];

/// The commands that need a database, and `doctor`.
const COMMANDS: &[&[&str]] = &[
    &["serve"],
    &["migrate"],
    &["purge"],
    &["doctor"],
    &["audit"],
    &["audit", "drop", "--before", "2020-01"],
    &["prefixes"],
    &["prefixes", "open", "+916205"],
    &["unlock", PHONE],
    &["openapi"],
    &["sms", "test", PHONE],
    &["createsuperuser", "--noinput", "--username", "ada"],
];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [PROD.as_slice(), more].concat()
}

#[track_caller]
fn refused(output: &CommandOutput, sentences: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{}{}", output.out, output.err);
    for sentence in sentences {
        assert!(output.err.contains(sentence), "{sentence:?} is not in:\n{}", output.err);
    }
}

fn is_empty(folder: &Folder) -> bool {
    std::fs::read_dir(&folder.0).unwrap().count() == 0
}

#[test]
fn no_command_repeats_the_password_of_a_database() {
    let urls = [
        "postgres://u:SEC/RET@127.0.0.1/x",
        "postgres://u:SEC#RET@127.0.0.1/x",
        "postgres://u:SEC?RET@127.0.0.1/x",
        "postgres://u:SEC?RET=RET@127.0.0.1/x",
        "postgres://u:p@SEC/w#RET@127.0.0.1/x",
        "postgres://u:SECRET@127.0.0.1:port/x",
        "postgres://u:SECRET@127.0.0.1:99999/x",
        "postgres://u:SECRET@one,two/x",
        "postgres://u:SECRET@one:5432,two:5432/x",
        "postgres://u:SECRET@/x",
        "postgres://u:SEC RET@127.0.0.1/x",
        "postgres://u:SECRET@127.0.0.1/x?sslmode=RET",
        "postgresql:u:SECRET@127.0.0.1/x",
        "mysql://u:SECRET@127.0.0.1/x",
        "u:SECRET@127.0.0.1/x",
    ];
    let folder = Folder::new();
    for url in urls {
        for command in COMMANDS {
            let settings = [
                SECRETS.as_slice(),
                &[("DATABASE_URL", url), ("LOOPIN_SUPERUSER_PASSWORD", "wistful-otter-71")],
            ];
            let output = run(&folder, command, &settings.concat());
            let printed = format!("{}{}", output.out, output.err);
            assert!(
                !printed.contains("SEC") && !printed.contains("RET@"),
                "{command:?} with {url}:\n{printed}"
            );
            assert!(
                printed.contains("DATABASE_URL ") && !printed.contains("panicked"),
                "{command:?} with {url}:\n{printed}"
            );
        }
    }
    assert!(is_empty(&folder));
}

#[test]
fn no_command_repeats_a_password_in_another_url() {
    for (name, value) in [
        ("PUBLIC_BASE_URL", "https://u:SECRET@auth.example.com"),
        ("TWILIO_API_BASE_URL", "https://u:SECRET@api.example.com"),
        ("TWILIO_API_BASE_URL", "u:SECRET@api.example.com"),
        ("BOT_PROOF_URL", "https://u:SECRET@proof.example.com"),
        ("CORS_ALLOWED_ORIGINS", "https://u:SECRET@app.example.com"),
        ("ALLOWED_HOSTS", "https://u:SECRET@app.example.com"),
        ("BIND_ADDR", "u:SECRET@127.0.0.1:8000"),
        ("METRICS_ADDR", "u:SECRET@127.0.0.1:8000"),
    ] {
        for command in [["serve"].as_slice(), &["doctor"], &["sms", "test", PHONE]] {
            let output = run(&Folder::new(), command, &[SECRETS.as_slice(), &[(name, value)]].concat());
            let printed = format!("{}{}", output.out, output.err);
            assert!(
                !printed.contains("SECRET@") && printed.contains(name),
                "{command:?} with {name}:\n{printed}"
            );
        }
    }
}

/// The output of `sms test` with this line in `.env`. It shows the message, which contains the name of the product.
fn product(line: &str) -> CommandOutput {
    let folder = Folder::new();
    folder.write(".env", &format!("# settings\n{line}\nOTP_LENGTH=6\n"));
    run(&folder, &["sms", "test", PHONE], &[("HOME", "/root"), ("vX2m", "substituted")])
}

#[test]
fn a_value_in_a_file_arrives_as_it_stands_in_all_three_forms() {
    for value in [
        "kQ9$vX2m", "$vX2m", "${vX2m}", "$HOME/x", "a$$b", "a$", "a#b", "#a", "a'b", "a=b", "a==", "a`id`b",
        "$(id)", "a!b", "a&b;c|d", "a%20b", "a~b", "a*b?c", "{a}", "a,b", "अ", "a\u{a0}b",
    ] {
        let unquoted = format!("PRODUCT_NAME={value}");
        let single = format!("PRODUCT_NAME='{value}'");
        let double = format!("PRODUCT_NAME=\"{value}\"");
        for (line, is_taken) in
            [(unquoted, !value.starts_with('#')), (single, !value.contains('\'')), (double, true)]
        {
            if is_taken {
                let output = product(&line);
                assert!(
                    output.out.contains(&format!("Your {value} ")),
                    "{line}:\n{}{}",
                    output.out,
                    output.err
                );
            }
        }
    }
    // Characters that need a backslash in double quotes, but not in single quotes.
    for (line, value) in [
        (r#"PRODUCT_NAME="a\"b""#, r#"a"b"#),
        (r#"PRODUCT_NAME="a\\b""#, r"a\b"),
        (r#"PRODUCT_NAME="a\$b""#, "a$b"),
        (r"PRODUCT_NAME='a\b'", r"a\b"),
        (r#"PRODUCT_NAME='a"b'"#, r#"a"b"#),
        (r"PRODUCT_NAME=a\b", r"a\b"),
        ("PRODUCT_NAME='a #b'", "a #b"),
        ("PRODUCT_NAME=a # b", "a"),
        ("export PRODUCT_NAME=a", "a"),
    ] {
        let output = product(line);
        assert!(output.out.contains(&format!("Your {value} ")), "{line}:\n{}{}", output.out, output.err);
    }
    for line in [
        "PRODUCT_NAME=two words",
        "PRODUCT_NAME='it's'",
        "PRODUCT_NAME=\"a\"b",
        "PRODUCT_NAME='a",
        "PRODUCT_NAME=\"\\d\"",
    ] {
        let output = product(line);
        assert!(
            output.err.contains(".env cannot be read at line 2 (PRODUCT_NAME): "),
            "{line}:\n{}",
            output.err
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_with_a_dollar_signs_as_a_whole() {
    let secret = "kQ9$vX2m#8'\\HOME$HOME of 32 bytes and more";
    let folder = Folder::new();
    folder.write(".env", "JWT_SECRET_KEY=\"kQ9$vX2m#8'\\\\HOME$HOME of 32 bytes and more\"\n");
    let server = Server::start(&folder, &[("HOME", "/root"), ("vX2m", "substituted")]).await;
    server.signup(PHONE).await.ok();
    let code = server.code_for(PHONE).await;
    let token = server.verify_otp(PHONE, &code).await.ok().text("/token");
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_aud = false;
    let key = DecodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::decode::<Value>(&token, &key, &validation).expect("the whole secret signed it");
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_everything_else() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.join(".env")).unwrap();
    refused(
        &run(&folder, &["migrate"], &[("OTP_LENGTH", "3")]),
        &[".env cannot be read", "OTP_LENGTH must be"],
    );
    let folder = Folder::new();
    std::fs::write(folder.0.join(".env"), [0xff, 0xfe, b'A', 0]).unwrap();
    refused(&run(&folder, &["migrate"], &[]), &[".env is not written in UTF-8"]);
}

#[test]
fn production_without_a_database_is_refused_and_makes_no_file() {
    for command in COMMANDS.iter().filter(|command| command[0] != "sms" && command[0] != "doctor") {
        let folder = Folder::new();
        let output = run(&folder, command, &with(&[("OTP_EXPIRE_MINUTES", "90")]));
        refused(&output, &["DATABASE_URL must be set in prod", "sqlite:", "OTP_EXPIRE_MINUTES must be"]);
        assert!(is_empty(&folder), "{command:?}");
    }
    // SQLite is used in prod if the setting names it.
    let folder = Folder::new();
    let sqlite = [("DATABASE_URL", "sqlite://mine.sqlite3"), ("OTP_LENGTH", "6")];
    let output = run(&folder, &["migrate"], &with(&sqlite));
    assert!(output.status.success(), "{}", output.err);
    assert!(folder.0.join("mine.sqlite3").exists());
    let output = run(
        &folder,
        &["doctor"],
        &with(&[("DATABASE_URL", "sqlite://mine.sqlite3"), ("TWILIO_API_BASE_URL", "http://127.0.0.1:9")]),
    );
    for sentence in
        ["warn  database: SQLite in prod means one server only", "warn  codes: they have four digits"]
    {
        assert!(output.out.contains(sentence), "{sentence} is not in:\n{}", output.out);
    }
    let output = run(&folder, &["doctor"], &sqlite);
    assert!(!output.out.contains("SQLite in prod") && !output.out.contains("four digits"), "{}", output.out);
}

#[test]
fn what_is_printed_is_in_force_in_prod_too() {
    for (environment, lines) in [
        (
            "dev",
            [
                "ALLOWED_HOSTS (not set) default",
                "SHUTDOWN_DELAY_SECONDS 0 default",
                "STAFF_SECOND_FACTOR optional default",
            ],
        ),
        (
            "prod",
            [
                "ALLOWED_HOSTS auth.example.com default",
                "SHUTDOWN_DELAY_SECONDS 5 default",
                "STAFF_SECOND_FACTOR required default",
            ],
        ),
    ] {
        let output = run(&Folder::new(), &["settings"], &with(&[("ENVIRONMENT", environment)]));
        let printed: Vec<String> =
            output.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for line in lines {
            assert!(printed.iter().any(|printed| printed == line), "no {line:?} in:\n{}", output.out);
        }
    }
}

/// Opening a named pipe waits until something else writes into it.
#[test]
fn a_named_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let folder = Folder::new();
    let pipe = folder.0.join("en.json");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let pipe = pipe.to_str().unwrap();
    let issuer = "name = \"x\"\niss = \"https://x\"\naud = \"us\"\nid_claim = \"sub\"\nalgorithm = \"HS256\"";
    folder.write("issuers.toml", &format!("[[issuer]]\n{issuer}\nsecret_file = \"{pipe}\"\n"));
    for (settings, sentence) in [
        (vec![("TRUSTED_ISSUERS_FILE", pipe)], "is not a file of at most 64 KiB"),
        (vec![("TRUSTED_ISSUERS_FILE", "issuers.toml")], "secret_file names a file that is not a file"),
        (vec![("TLS_CERT_FILE", pipe), ("TLS_KEY_FILE", pipe)], "en.json is not a file"),
        (vec![("JWT_ALGORITHM", "EdDSA"), ("JWT_PRIVATE_KEY_FILE", pipe)], "it is not a file with a key"),
        (vec![("SMS_TEXTS_DIR", folder.0.to_str().unwrap())], "en.json is not a file"),
    ] {
        for command in ["settings", "serve"] {
            refused(&run_by(&["timeout", "30"], &folder, &[command], &settings), &[sentence]);
        }
    }
    // A link to a file is one: Kubernetes mounts secrets as links.
    folder.write("secret", "a secret of the old system, 32 bytes or more");
    std::os::unix::fs::symlink("secret", folder.0.join("link")).unwrap();
    let link = folder.0.join("link").to_str().unwrap().to_owned();
    folder.write("issuers.toml", &format!("[[issuer]]\n{issuer}\nsecret_file = \"{link}\"\n"));
    std::fs::remove_file(pipe).unwrap();
    let output = run(&folder, &["settings"], &[("TRUSTED_ISSUERS_FILE", "issuers.toml")]);
    assert!(output.status.success(), "{}", output.err);
}

#[test]
fn a_setting_that_is_misspelt_is_named_with_the_right_spelling() {
    let database = ("DATABASE_URL", "sqlite://mine.sqlite3");
    let meant = "OTP_LENGHT is no setting of loopin-auth: write OTP_LENGTH";
    refused(&run(&Folder::new(), &["migrate"], &with(&[database, ("OTP_LENGHT", "6")])), &[meant]);
    let folder = Folder::new();
    folder.write(".env", "OTP_EXPIRE_MINUTES=5\nOTP_LENGHT=6\nPOSTGRES_PASSWORD=SECRET\n");
    let output = run(&folder, &["migrate"], &with(&[database]));
    refused(&output, &[&format!(".env, line 2: {meant}"), ".env, line 3: POSTGRES_PASSWORD is no setting"]);
    assert!(!output.err.contains("SECRET"), "{}", output.err);
    // In dev there is a warning, and the command continues.
    let output = run(&folder, &["migrate"], &[]);
    assert!(output.status.success(), "{}", output.err);
    let output = run(&folder, &["doctor"], &[("DEBG", "true"), ("TWILIO_FUTURE", "x"), ("HOSTNAME", "x")]);
    for sentence in [
        &format!("warn  settings: .env, line 2: {meant}"),
        "warn  settings: DEBG is no setting of loopin-auth: write DEBUG",
        "warn  settings: TWILIO_FUTURE is set, and is no setting",
    ] {
        assert!(output.out.contains(sentence), "{sentence} is not in:\n{}", output.out);
    }
    assert!(!output.out.contains("HOSTNAME"), "{}", output.out);
    // Platforms inject names that begin like ours.
    let output =
        run(&Folder::new(), &["migrate"], &with(&[database, ("OTP_LENGTH", "6"), ("JWT_FUTURE_THING", "x")]));
    assert!(output.status.success(), "{}", output.err);
    // With this misspelt name the server would have shown codes to everyone.
    refused(&run(&Folder::new(), &[], &[("ENVIROMENT", "prod")]), &["write ENVIRONMENT"]);
}

#[test]
fn an_address_or_a_zone_that_is_none_gets_an_example() {
    for (name, value, example) in [
        ("TIME_ZONE", "IST", "such as Asia/Kolkata"),
        ("BIND_ADDR", "localhost:99999", "such as 127.0.0.1:8000"),
        ("BIND_ADDR", "localhost:8000", "such as 127.0.0.1:8000"),
        ("METRICS_ADDR", "9100", "such as 127.0.0.1:8000"),
        ("ALLOWED_HOSTS", "https://auth.example.com", "such as auth.example.com"),
        ("CORS_ALLOWED_ORIGINS", "https://auth.example.com/", "such as https://app.example.com"),
    ] {
        refused(&run(&Folder::new(), &[], &[(name, value)]), &[name, example]);
    }
}
