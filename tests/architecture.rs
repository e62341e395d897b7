//! The walls of the house. `docs/ARCHITECTURE.md` draws them; this reads `src/` and names file and line where a room
//! names what it may not. It also checks that the files exist that the documents and comments point to.

#[cfg(test)]
#[path = "architecture/documents.rs"]
mod documents;
#[cfg(test)]
#[path = "architecture/source.rs"]
mod source;
#[cfg(test)]
mod walls {
    use std::path::Path;

    use super::source::{self, Named, Token};

    /// What a room may name. Whatever is not listed is refused, so a new dependency of a room is decided here.
    struct Room {
        name: &'static str,
        /// Other rooms, or parts of them.
        rooms: &'static [&'static str],
        /// Crates.
        crates: &'static [&'static str],
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

    /// A door reaches what is behind the verbs through the verbs only.
    const DOOR: &[(&str, &str)] = &[("entities", "rows are the store's own")];

    const ROOMS: &[Room] = &[
        Room {
            name: "domain",
            rooms: &[],
            crates: &[
                "argon2",
                "aws_lc_rs",
                "base64",
                "chrono",
                "chrono_tz",
                "hmac",
                "jsonwebtoken",
                "regex_lite",
                "rustls_pki_types",
                "secrecy",
                "serde",
                "serde_json",
                "sha2",
                "subtle",
                "thiserror",
                "unicode_normalization",
                "unicode_properties",
                "url",
                "uuid",
                "validator",
                "zxcvbn",
            ],
            refused: PURE,
        },
        Room {
            name: "flows",
            rooms: &["domain", "store", "sms", "proof", "clock", "random", "telemetry::Metrics"],
            crates: &["chrono", "chrono_tz", "secrecy", "thiserror", "tokio", "tracing", "uuid"],
            refused: NO_STATUS,
        },
        Room {
            name: "store",
            rooms: &["domain"],
            crates: &[
                "async_trait",
                "chrono",
                "futures_util",
                "migration",
                "sea_orm",
                "sea_query_sqlx",
                "secrecy",
                "serde",
                "thiserror",
                "tokio",
                "tracing",
                "url",
                "uuid",
            ],
            refused: &[],
        },
        Room {
            name: "sms",
            rooms: &["clock", "domain::delivery", "domain::phone"],
            crates: &[
                "base64",
                "chrono",
                "hmac",
                "reqwest",
                "secrecy",
                "serde",
                "serde_json",
                "sha1",
                "thiserror",
                "tokio",
                "tracing",
                "url",
                "uuid",
            ],
            refused: &[],
        },
        Room {
            name: "proof",
            rooms: &["domain::proof"],
            crates: &["reqwest", "secrecy", "serde_json", "thiserror", "tokio", "tracing", "url", "uuid"],
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
            crates: &[
                "chrono",
                "futures_util",
                "governor",
                "hyper",
                "hyper_util",
                "ipnet",
                "percent_encoding",
                "poem",
                "poem_openapi",
                "secrecy",
                "serde",
                "serde_json",
                "thiserror",
                "tokio",
                "tracing",
                "uuid",
            ],
            refused: DOOR,
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
            crates: &["chrono", "chrono_tz", "secrecy", "strsim", "url"],
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
            crates: &["poem", "rlimit", "serde_json", "thiserror", "tokio", "tracing"],
            refused: &[],
        },
        Room {
            name: "commands",
            rooms: &["clock::Clock", "config", "domain", "proof", "random::Random", "sms", "store"],
            crates: &[
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
            ],
            refused: &[],
        },
        Room {
            name: "main",
            rooms: &[
                "app",
                "clock",
                "commands",
                "config",
                "domain::audit",
                "domain::budget",
                "domain::delivery",
                "domain::phone",
                "domain::roles",
                "domain::users",
                "flows",
                "random",
                "telemetry",
            ],
            crates: &["chrono", "chrono_tz", "clap", "tokio"],
            refused: &[],
        },
        Room { name: "lib", rooms: &[], crates: &[], refused: &[] },
        Room { name: "clock", rooms: &[], crates: &["chrono"], refused: &[] },
        Room { name: "random", rooms: &[], crates: &["chrono", "rand", "secrecy", "uuid"], refused: &[] },
        Room {
            name: "telemetry",
            rooms: &[],
            crates: &["prometheus_client", "tracing", "tracing_subscriber"],
            refused: &[],
        },
    ];

    /// A file that only exists in tests.
    fn is_test(file: &str) -> bool {
        file.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    fn room_of(file: &str) -> Option<&'static Room> {
        let first = file.split('/').next().unwrap_or_default();
        ROOMS.iter().find(|room| room.name == first.trim_end_matches(".rs"))
    }

    /// Everything that is wrong with one file, as `src/file.rs:line: why`.
    fn faults(file: &str, source: &str, crates: &[String]) -> Vec<String> {
        if is_test(file) {
            return Vec::new();
        }
        let Some(room) = room_of(file) else {
            return vec![format!("src/{file}:1: no wall is drawn for this room")];
        };
        let tokens = source::without_tests(&source::tokens(source));
        let mut names = source::named(&tokens, &source::module_of(file));
        // `main` belongs to a crate of its own.
        if room.name == "main" {
            for name in &mut names {
                if name.path.first().is_some_and(|first| first == "crate") && name.path.len() < 2 {
                    name.path.clear();
                }
            }
        }
        let mut faults: Vec<(usize, String)> = Vec::new();
        for name in &names {
            let why = refused_path(room, name, crates);
            faults.extend(why.map(|why| (name.line, why)));
        }
        faults.extend(refused_words(room, &tokens));
        if room.name == "http" {
            faults.extend(reaching_behind_the_verbs(&tokens));
        }
        faults.sort();
        faults.dedup();
        faults.into_iter().map(|(line, why)| format!("src/{file}:{line}: {why}")).collect()
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
        (is_crate && !room.crates.contains(&first))
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
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let crates = crates();
        let mut found = Vec::new();
        for path in source::files(&src) {
            let file = path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
            found.extend(faults(&file, &std::fs::read_to_string(&path).unwrap(), &crates));
        }
        assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    }

    #[test]
    fn the_migrations_do_not_know_the_server() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migration");
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(!manifest.contains("path ="), "{manifest}");
        for path in source::files(&folder.join("src")) {
            let tokens = source::tokens(&std::fs::read_to_string(&path).unwrap());
            let named = tokens.iter().find(|token| token.text == "loopin_auth");
            assert_eq!(named, None, "{}", path.display());
        }
    }

    /// A checker that finds nothing proves nothing: each wall is shown a file that breaks it.
    #[test]
    fn a_planted_violation_is_found() {
        let planted = [
            ("domain/otp.rs", "use sea_orm::entity::prelude::*;", "sea_orm"),
            ("domain/otp.rs", "use crate::store::Store;", "crate::store::Store"),
            ("domain/otp.rs", "use super::super::store;", "crate::store"),
            ("domain/otp.rs", "async fn judge() {}", "async"),
            ("domain/otp.rs", "fn f() { tracing::info!(\"x\") }", "tracing::info"),
            ("domain/otp.rs", "fn f() -> u8 { rand::random() }", "rand::random"),
            ("domain/otp.rs", "fn f() { std::env::var(\"X\"); }", "std::env::var"),
            ("domain/otp.rs", "use std::{fmt, time::Instant};", "Instant: time"),
            ("flows/verify.rs", "use poem::Result;", "poem::Result"),
            ("flows/verify.rs", "fn f(_: StatusCode) {}", "StatusCode"),
            ("flows/verify.rs", "use sea_orm::TransactionTrait;", "sea_orm::TransactionTrait"),
            ("flows/verify.rs", "use crate::http::fault;", "crate::http::fault"),
            ("flows/verify.rs", "use crate::clock::Clock; fn f() { Clock::System.now(); }", "handed down"),
            ("store/otp.rs", "use crate::sms::Sms;", "crate::sms::Sms"),
            ("store/otp.rs", "use crate::clock::Clock;", "crate::clock::Clock"),
            ("sms/twilio.rs", "use crate::{store::Store};", "crate::store::Store"),
            ("sms/twilio.rs", "use crate::domain::otp::OtpCode;", "crate::domain::otp"),
            ("sms/twilio.rs", "use poem::Body;", "poem::Body"),
            ("proof/answer.rs", "use crate::store::Store;", "crate::store::Store"),
            ("proof/answer.rs", "use crate::domain::phone::PhoneNumber;", "crate::domain::phone"),
            ("http/proof.rs", "use crate::proof::Verdict;", "crate::proof::Verdict"),
            ("http/code.rs", "use crate::sms::SendError;", "crate::sms::SendError"),
            ("http/code.rs", "fn f(s: &Services) { s.sms.inbox(); }", ".sms: a door"),
            ("http/code.rs", "fn f(s: &Services) { s.store.begin(); }", ".store.begin"),
            (
                "http/code.rs",
                "use crate::store; fn f() { store::otp::consume(); }",
                "crate::store::otp::consume: writes",
            ),
            ("http/code.rs", "use crate::store::entities::account;", "rows are the store's own"),
            ("http/code.rs", "use crate::config::Config;", "crate::config::Config"),
            ("http/code.rs", "use reqwest::Client;", "reqwest::Client"),
            ("app.rs", "use poem_openapi::OpenApi;", "poem_openapi::OpenApi"),
            ("clock.rs", "use crate::domain::otp;", "crate::domain::otp"),
            ("main.rs", "use loopin_auth::store::Store;", "crate::store::Store"),
            ("attic/mod.rs", "", "no wall is drawn"),
        ];
        for (file, source, expected) in planted {
            let source = format!("//! A file.\n\n{source}\n");
            let found = faults(file, &source, &crates()).join("\n");
            assert!(found.contains(expected), "{file}: {source} was let through: {found:?}");
            assert!(found.starts_with(&format!("src/{file}:")), "{found} does not name its place");
        }
    }

    #[test]
    fn the_line_of_a_violation_is_named() {
        let source = "//! A file.\n/* a\ncomment */\nconst TEXT: &str = \"\n\";\n\nuse crate::{\n    domain::otp,\n    sms::Sms,\n};\n";
        assert_eq!(
            faults("store/otp.rs", source, &crates()),
            ["src/store/otp.rs:9: crate::sms::Sms: store may not name this"]
        );
    }

    #[test]
    fn comments_texts_and_tests_name_what_they_like() {
        let source = r##"
            //! Nothing of crate::store or sea_orm here.
            /* nor /* poem::Result */ here */
            const TEXT: &str = "use sea_orm::Entity; 'async'";
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
        assert_eq!(faults("domain/otp.rs", source, &crates()), Vec::<String>::new());
        assert_eq!(
            faults("domain/otp/tests.rs", "use crate::store::Store;", &crates()),
            Vec::<String>::new()
        );
    }
}
