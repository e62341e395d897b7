//! The walls of the house. `docs/ARCHITECTURE.md` draws them. Between crates the compiler keeps them: what a manifest does
//! not list cannot be named. This reads the source and names file and line for what the compiler allows: the rooms of
//! `src/`, which are modules of one crate, and parts of a crate that is listed. It also checks that the files exist that
//! the documents and comments point to, and that modules of a folder do not go in circles.

#[cfg(test)]
#[path = "architecture/circles.rs"]
mod circles;
#[cfg(test)]
#[path = "architecture/documents.rs"]
mod documents;
#[cfg(test)]
#[path = "architecture/source.rs"]
mod source;
#[cfg(test)]
mod walls {
    use std::path::Path;

    use super::source::{self, MEMBERS, Named, Token};

    /// What a room may name. Whatever is not listed is refused, so a new dependency of a room is decided here.
    struct Room {
        name: &'static str,
        /// Other rooms, or parts of them.
        rooms: &'static [&'static str],
        /// Crates. `None` for a room that is a crate: its manifest is the list.
        crates: Option<&'static [&'static str]>,
        /// Words that are refused wherever they stand, each with the reason.
        refused: &'static [(&'static str, &'static str)],
    }

    const PURE: &[(&str, &str)] = &[
        ("async", "a rule waits for nothing"),
        ("await", "a rule waits for nothing"),
        ("SystemTime", "time comes in as an argument"),
        ("Instant", "time comes in as an argument"),
    ];

    const NO_STATUS: &[(&str, &str)] = &[("StatusCode", "what a client is told is for the doors to say")];

    const ROOMS: &[Room] = &[
        Room { name: "clock", rooms: &[], crates: None, refused: &[] },
        Room { name: "domain", rooms: &[], crates: None, refused: PURE },
        Room { name: "store", rooms: &["domain"], crates: None, refused: &[] },
        Room {
            name: "sms",
            rooms: &["clock", "domain::delivery", "domain::phone"],
            crates: None,
            refused: &[],
        },
        Room {
            name: "flows",
            rooms: &["domain", "store", "sms", "proof", "clock", "random", "telemetry::Metrics"],
            crates: Some(&["chrono", "chrono_tz", "secrecy", "thiserror", "tokio", "tracing", "uuid"]),
            refused: NO_STATUS,
        },
        Room {
            name: "proof",
            rooms: &["domain::bot_check"],
            crates: Some(&[
                "reqwest",
                "secrecy",
                "serde_json",
                "thiserror",
                "tokio",
                "tracing",
                "url",
                "uuid",
            ]),
            refused: &[],
        },
        Room {
            name: "http",
            rooms: &[
                "domain",
                "flows",
                "store",
                "telemetry::METRICS_CONTENT_TYPE",
                "telemetry::Metrics",
                "telemetry::Stopwatch",
            ],
            crates: Some(&[
                "chrono",
                "futures_util",
                "governor",
                "hyper",
                "hyper_util",
                "ipnet",
                "percent_encoding",
                "poem",
                "poem_openapi",
                "pulldown_cmark",
                "rust_embed",
                "secrecy",
                "serde",
                "serde_json",
                "thiserror",
                "tokio",
                "tracing",
                "url",
                "uuid",
            ]),
            refused: &[],
        },
        Room {
            name: "config",
            rooms: &[
                "domain",
                "http::EdgeSettings",
                "http::GuardSettings",
                "http::TrustedProxies",
                "proof",
                "random",
                "sms",
                "store::DatabaseSettings",
                "store::DatabaseUrl",
                "store::Pooler",
                "telemetry::LogFormat",
            ],
            crates: Some(&["chrono", "chrono_tz", "secrecy", "strsim", "url"]),
            refused: &[],
        },
        Room {
            name: "app",
            rooms: &[
                "clock",
                "config",
                "domain",
                "flows",
                "http",
                "proof",
                "random",
                "sms",
                "store",
                "telemetry::Metrics",
            ],
            crates: Some(&["poem", "rlimit", "serde_json", "thiserror", "tokio", "tracing"]),
            refused: &[],
        },
        Room {
            name: "commands",
            rooms: &[
                "app",
                "bot_check",
                "clock::Clock",
                "config",
                "domain",
                "flows",
                "random::Random",
                "sms",
                "store",
                "telemetry",
            ],
            crates: Some(&[
                "aws_lc_rs",
                "base64",
                "chrono",
                "chrono_tz",
                "clap",
                "rlimit",
                "rpassword",
                "secrecy",
                "serde_json",
                "thiserror",
                "tokio",
                "uuid",
            ]),
            refused: &[],
        },
        Room {
            name: "main",
            rooms: &["clock::Clock", "commands", "config::Sources", "random::Random"],
            crates: Some(&["clap"]),
            refused: &[],
        },
        Room { name: "lib", rooms: &[], crates: Some(&[]), refused: &[] },
        Room {
            name: "random",
            rooms: &[],
            crates: Some(&["chrono", "rand", "secrecy", "uuid"]),
            refused: &[],
        },
        Room {
            name: "telemetry",
            rooms: &[],
            crates: Some(&["prometheus_client", "tracing", "tracing_subscriber"]),
            refused: &[],
        },
    ];

    fn room_of(file: &str) -> Option<&'static Room> {
        let file = source::in_its_room(file);
        let first = file.split('/').next().unwrap_or_default();
        ROOMS.iter().find(|room| room.name == first.trim_end_matches(".rs"))
    }

    /// Everything that is wrong with one file, as `src/file.rs:line: why`.
    fn errors(file: &str, source: &str, crates: &[String]) -> Vec<String> {
        if source::is_test(file) {
            return Vec::new();
        }
        let Some(room) = room_of(file) else {
            return vec![format!("{file}:1: no wall is drawn for this room")];
        };
        let tokens = source::without_tests(&source::tokens(source));
        let mut names = source::named(&tokens, file);
        // `main` belongs to a crate of its own.
        if room.name == "main" {
            for name in &mut names {
                if name.path.first().is_some_and(|first| first == "crate") && name.path.len() < 2 {
                    name.path.clear();
                }
            }
        }
        let mut errors: Vec<(usize, String)> = Vec::new();
        for name in &names {
            let why = refused_path(room, name, crates);
            errors.extend(why.map(|why| (name.line, why)));
        }
        errors.extend(refused_words(room, &tokens));
        if room.name == "http" {
            errors.extend(reaching_behind_the_verbs(&tokens));
        }
        errors.sort();
        errors.dedup();
        errors.into_iter().map(|(line, why)| format!("{file}:{line}: {why}")).collect()
    }

    fn refused_path(room: &Room, name: &Named, crates: &[String]) -> Option<String> {
        let path = name.path.join("::");
        let first = name.path.first()?.as_str();
        if name.is_below("std::env") && room.name != "main" {
            return Some(format!("{path}: only main reads the environment"));
        }
        let made = ["crate::clock::Clock::System", "crate::random::Random::System"];
        let may_make = ["main", "app", "clock", "random"];
        if made.iter().any(|made| name.is_below(made)) && !may_make.contains(&room.name) {
            return Some(format!("{path}: time and chance are handed down, never fetched"));
        }
        if first == "crate" {
            let target = name.path.get(1)?;
            let is_own =
                target == room.name || !ROOMS.iter().any(|other| other.name == target) || room.name == "lib";
            let is_allowed = room.rooms.iter().any(|allowed| name.is_below(&format!("crate::{allowed}")));
            if !is_own && !is_allowed {
                return Some(format!("{path}: {} may not name this", room.name));
            }
            return (room.name == "http").then(|| write_of_the_store(name)).flatten();
        }
        let is_crate = name.path.len() > 1 && crates.iter().any(|known| known == first);
        (is_crate && room.crates.is_some_and(|allowed| !allowed.contains(&first)))
            .then(|| format!("{path}: {} may not name this", room.name))
    }

    fn refused_words(room: &Room, tokens: &[Token]) -> Vec<(usize, String)> {
        let refused = room.refused.iter().flat_map(|(word, why)| {
            let found = tokens.iter().filter(move |token| token.text == *word);
            found.map(move |token| (token.line, format!("{word}: {why}")))
        });
        refused.collect()
    }

    fn is_reading(verb: &str) -> bool {
        ["find", "list", "count", "ping"].iter().any(|reading| verb.starts_with(reading))
    }

    /// `crate::store::rows::verb`: a door may only read.
    fn write_of_the_store(name: &Named) -> Option<String> {
        let verb = name.path.get(3)?;
        let is_function = verb.starts_with(char::is_lowercase);
        (name.is_below("crate::store") && is_function && !is_reading(verb))
            .then(|| format!("{}: writes go through flows", name.path.join("::")))
    }

    /// `services.sms` and `services.store.verb()`: the fields are there for the verbs.
    fn reaching_behind_the_verbs(tokens: &[Token]) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for window in tokens.windows(4) {
            let texts: Vec<&str> = window.iter().map(|token| token.text.as_str()).collect();
            match texts.as_slice() {
                [".", "sms", ..] => found.push((window[1].line, ".sms: a door sends nothing".to_owned())),
                [".", "store", ".", verb] if !is_reading(verb) => {
                    found.push((window[3].line, format!(".store.{verb}: writes go through flows")));
                }
                _ => {}
            }
        }
        found
    }

    /// The names of all dependencies, as code names them.
    fn crates() -> Vec<String> {
        let manifest = include_str!("../Cargo.toml");
        let mut names = vec!["sqlx".to_owned()];
        let mut is_dependencies = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                is_dependencies = line == "[dependencies]";
            } else if is_dependencies {
                let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
                names.push(name.replace('-', "_"));
            }
        }
        names.retain(|name| !name.is_empty());
        names
    }

    #[test]
    fn no_room_names_what_it_may_not() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let crates = crates();
        let members: Vec<&str> =
            ROOMS.iter().filter(|room| room.crates.is_none()).map(|room| room.name).collect();
        assert_eq!(members, MEMBERS);
        let mut found = Vec::new();
        for path in ["src", "crates"].iter().flat_map(|folder| source::files(&root.join(folder))) {
            let file = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            found.extend(errors(&file, &std::fs::read_to_string(&path).unwrap(), &crates));
        }
        assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    }

    #[test]
    fn the_migrations_do_not_know_the_server() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migration");
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(!manifest.contains("path ="), "{manifest}");
    }

    /// Else its events would only be written when they are warnings.
    #[test]
    fn the_log_knows_every_crate_that_logs() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let telemetry = std::fs::read_to_string(root.join("src/telemetry.rs")).unwrap();
        let mut logging = 0;
        for entry in std::fs::read_dir(root.join("crates")).unwrap() {
            let folder = entry.unwrap().path();
            let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            if manifest.lines().any(|line| line.split(['.', ' ']).next() == Some("tracing")) {
                let name = folder.file_name().unwrap().to_str().unwrap();
                assert!(telemetry.contains(&format!("\"{name}\"")), "src/telemetry.rs does not name {name}");
                logging += 1;
            }
        }
        assert!(logging > 0, "no crate was found that logs");
    }

    /// A checker that finds nothing proves nothing: each wall is shown a file that breaks it.
    #[test]
    fn a_planted_violation_is_found() {
        let planted = [
            ("crates/domain/src/otp.rs", "async fn judge() {}", "async"),
            ("crates/domain/src/otp.rs", "fn f() { std::env::var(\"X\"); }", "std::env::var"),
            ("crates/domain/src/otp.rs", "use std::{fmt, time::Instant};", "Instant: time"),
            ("crates/sms/src/twilio.rs", "use domain::otp::OtpCode;", "crate::domain::otp"),
            ("crates/sms/src/twilio.rs", "use domain::{otp, phone};", "crate::domain::otp"),
            ("crates/sms/src/twilio.rs", "fn f(_: domain::otp::OtpCode) {}", "crate::domain::otp"),
            ("crates/sms/src/twilio.rs", "use clock::Clock; fn f() { Clock::System.now(); }", "handed down"),
            ("src/flows/verify.rs", "use poem::Result;", "poem::Result"),
            ("src/flows/verify.rs", "fn f(_: StatusCode) {}", "StatusCode"),
            ("src/flows/verify.rs", "fn f() -> u8 { rand::random() }", "rand::random"),
            ("src/flows/verify.rs", "use crate::http::error;", "crate::http::error"),
            ("src/flows/verify.rs", "use super::super::http;", "crate::http"),
            (
                "src/flows/verify.rs",
                "use crate::clock::Clock; fn f() { Clock::System.now(); }",
                "handed down",
            ),
            ("src/flows/verify.rs", "fn f() { clock::Clock::System.now(); }", "handed down"),
            ("src/proof/answer.rs", "use crate::store::Store;", "crate::store::Store"),
            ("src/proof/answer.rs", "use store::Store;", "crate::store::Store"),
            ("src/proof/answer.rs", "use crate::domain::phone::PhoneNumber;", "crate::domain::phone"),
            ("src/http/proof.rs", "use crate::bot_check::Verdict;", "crate::bot_check::Verdict"),
            ("src/http/code.rs", "use crate::sms::SendError;", "crate::sms::SendError"),
            ("src/http/code.rs", "use sms::SendError;", "crate::sms::SendError"),
            ("src/http/code.rs", "use ::sms as messages;", "crate::sms"),
            ("src/http/code.rs", "fn f(s: &Services) { s.sms.inbox(); }", ".sms: a door"),
            ("src/http/code.rs", "fn f(s: &Services) { s.store.begin(); }", ".store.begin"),
            (
                "src/http/code.rs",
                "use crate::store; fn f() { store::otp::consume(); }",
                "crate::store::otp::consume: writes",
            ),
            ("src/http/code.rs", "fn f() { store::otp::consume(); }", "crate::store::otp::consume: writes"),
            ("src/http/code.rs", "fn f() { ::store::otp::consume(); }", "crate::store::otp::consume: writes"),
            ("src/http/code.rs", "use crate::config::Config;", "crate::config::Config"),
            ("src/http/code.rs", "use reqwest::Client;", "reqwest::Client"),
            ("src/app.rs", "use poem_openapi::OpenApi;", "poem_openapi::OpenApi"),
            ("src/random.rs", "use crate::domain::otp;", "crate::domain::otp"),
            ("src/main.rs", "use loopin_auth::store::Store;", "crate::store::Store"),
            ("src/attic/mod.rs", "", "no wall is drawn"),
            ("crates/attic/src/lib.rs", "", "no wall is drawn"),
        ];
        for (file, source, expected) in planted {
            let source = format!("//! A file.\n\n{source}\n");
            let found = errors(file, &source, &crates()).join("\n");
            assert!(found.contains(expected), "{file}: {source} was let through: {found:?}");
            assert!(found.starts_with(&format!("{file}:")), "{found} does not name its place");
        }
    }

    #[test]
    fn the_line_of_a_violation_is_named() {
        let source = "//! A file.\n/* a\ncomment */\nconst TEXT: &str = \"\n\";\n\nuse crate::{\n    domain::otp,\n    sms::Sms,\n};\n";
        assert_eq!(
            errors("src/proof/answer.rs", source, &crates()),
            [
                "src/proof/answer.rs:8: crate::domain::otp: proof may not name this",
                "src/proof/answer.rs:9: crate::sms::Sms: proof may not name this",
            ]
        );
    }

    #[test]
    fn comments_texts_and_tests_name_what_they_like() {
        let source = r##"
            //! Nothing of crate::store or sea_orm here.
            /* nor /* poem::Result */ here */
            const TEXT: &str = "use store::Store; 'async'";
            const RAW: &str = r#"tracing::info!("x")"#;
            const QUOTE: char = '"';
            const ESCAPED: char = '\'';
            fn lifetime<'a>(text: &'a str) -> &'a str { text }
            #[cfg(test)]
            mod tests {
                use crate::store::Store;
                #[tokio::test]
                async fn waits() {}
            }
        "##;
        assert_eq!(errors("crates/domain/src/otp.rs", source, &crates()), Vec::<String>::new());
        assert_eq!(
            errors("crates/domain/src/otp/tests.rs", "use store::Store;", &crates()),
            Vec::<String>::new()
        );
    }
}
