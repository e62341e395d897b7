//! The dependency rules between modules, which `docs/ARCHITECTURE.md` describes. Between crates the compiler enforces them: a
//! crate cannot name what its manifest does not list. This test reads the source and reports file and line for what the
//! compiler allows: the modules of `src/`, which are one crate, and parts of a crate that is listed. It also checks that the
//! files exist that documents and comments point to, and that modules of a folder do not depend on each other in a cycle.

#[cfg(test)]
#[path = "architecture/admissions.rs"]
mod admissions;
#[cfg(test)]
#[path = "architecture/circles.rs"]
mod circles;
#[cfg(test)]
#[path = "architecture/documents.rs"]
mod documents;
#[cfg(test)]
#[path = "architecture/modules.rs"]
mod modules;
#[cfg(test)]
#[path = "architecture/source.rs"]
mod source;
#[cfg(test)]
#[path = "architecture/verdicts.rs"]
mod verdicts;
#[cfg(test)]
mod dependencies {
    use std::path::Path;

    use super::{
        modules::{FRONT_ENDS, MODULES, Module},
        source::{self, MEMBERS, Named, Token},
    };

    fn module_of(file: &str) -> Option<&'static Module> {
        let file = source::path_in_module(file);
        let first = file.split('/').next().unwrap_or_default();
        MODULES.iter().find(|module| module.name == first.trim_end_matches(".rs"))
    }

    /// All violations in one file, as `src/file.rs:line: why`.
    fn errors(file: &str, source: &str, crates: &[String]) -> Vec<String> {
        if source::is_test(file) {
            return Vec::new();
        }
        let Some(module) = module_of(file) else {
            return vec![format!("{file}:1: this module is not listed here")];
        };
        let tokens = source::without_tests(&source::tokens(source));
        let mut names = source::named(&tokens, file);
        // `main` is a crate of its own.
        if module.name == "main" {
            for name in &mut names {
                if name.path.first().is_some_and(|first| first == "crate") && name.path.len() < 2 {
                    name.path.clear();
                }
            }
        }
        let mut errors: Vec<(usize, String)> = Vec::new();
        for name in &names {
            let why = refused_path(module, name, crates);
            errors.extend(why.map(|why| (name.line, why)));
        }
        errors.extend(refused_words(module, &tokens));
        if FRONT_ENDS.contains(&module.name) {
            errors.extend(bypasses_of_flows(&tokens));
        }
        errors.sort();
        errors.dedup();
        errors.into_iter().map(|(line, why)| format!("{file}:{line}: {why}")).collect()
    }

    fn refused_path(module: &Module, name: &Named, crates: &[String]) -> Option<String> {
        let path = name.path.join("::");
        let first = name.path.first()?.as_str();
        if name.is_below("std::env") && module.name != "main" {
            return Some(format!("{path}: only main reads the environment"));
        }
        let made = ["crate::clock::Clock::System", "crate::random::Random::System"];
        let may_make = ["main", "app", "clock", "random"];
        if made.iter().any(|made| name.is_below(made)) && !may_make.contains(&module.name) {
            return Some(format!("{path}: time and randomness are passed down, never fetched"));
        }
        if first == "crate" {
            let target = name.path.get(1)?;
            let is_own = target == module.name
                || !MODULES.iter().any(|other| other.name == target)
                || module.name == "lib";
            let is_allowed = module.modules.iter().any(|allowed| name.is_below(&format!("crate::{allowed}")));
            if !is_own && !is_allowed {
                return Some(format!("{path}: {} may not name this", module.name));
            }
            return FRONT_ENDS.contains(&module.name).then(|| write_of_the_store(name)).flatten();
        }
        let is_crate = name.path.len() > 1 && crates.iter().any(|known| known == first);
        (is_crate && module.crates.is_some_and(|allowed| !allowed.contains(&first)))
            .then(|| format!("{path}: {} may not name this", module.name))
    }

    fn refused_words(module: &Module, tokens: &[Token]) -> Vec<(usize, String)> {
        let refused = module.refused.iter().flat_map(|(word, why)| {
            let found = tokens.iter().filter(move |token| token.text == *word);
            found.map(move |token| (token.line, format!("{word}: {why}")))
        });
        refused.collect()
    }

    fn only_reads(function: &str) -> bool {
        ["find", "list", "count", "ping"].iter().any(|prefix| function.starts_with(prefix))
    }

    /// `crate::store::table::function` in `http`, which may only read.
    fn write_of_the_store(name: &Named) -> Option<String> {
        let function = name.path.get(3)?;
        let is_function = function.starts_with(char::is_lowercase);
        (name.is_below("crate::store") && is_function && !only_reads(function))
            .then(|| format!("{}: writes go through flows", name.path.join("::")))
    }

    /// `services.sms` and `services.store.function()` in `http`: these fields are for the use cases.
    fn bypasses_of_flows(tokens: &[Token]) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for window in tokens.windows(4) {
            let texts: Vec<&str> = window.iter().map(|token| token.text.as_str()).collect();
            match texts.as_slice() {
                [".", "sms", ..] => found.push((window[1].line, ".sms: only flows send".to_owned())),
                [".", "store", ".", function] if !only_reads(function) => {
                    found.push((window[3].line, format!(".store.{function}: writes go through flows")));
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
            MODULES.iter().filter(|module| module.crates.is_none()).map(|module| module.name).collect();
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

    /// Locks between servers are rows. Databases that speak PostgreSQL's protocol do not all have advisory locks.
    #[test]
    fn no_statement_takes_an_advisory_lock() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files =
            ["src", "crates", "migration"].iter().flat_map(|folder| source::files(&root.join(folder)));
        let sources: Vec<_> = files.map(|path| (std::fs::read_to_string(&path).unwrap(), path)).collect();
        assert!(sources.iter().any(|(source, _)| source.contains("FOR UPDATE")));
        let found: Vec<_> = sources.iter().filter(|(source, _)| source.contains("advisory_")).collect();
        assert!(found.is_empty(), "{:?}", found.iter().map(|(_, path)| path).collect::<Vec<_>>());
    }

    /// Of a crate that the log does not know, only warnings and errors are written.
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

    /// Shows that the checks above find violations: one file for each rule, which breaks it.
    #[test]
    fn a_planted_violation_is_found() {
        let planted = [
            ("crates/domain/src/otp.rs", "async fn judge() {}", "async"),
            ("crates/domain/src/otp.rs", "fn f() { std::env::var(\"X\"); }", "std::env::var"),
            ("crates/domain/src/otp.rs", "use std::{fmt, time::Instant};", "Instant: time"),
            ("crates/sms/src/twilio.rs", "use domain::otp::OtpCode;", "crate::domain::otp"),
            ("crates/sms/src/twilio.rs", "use domain::{otp, phone};", "crate::domain::otp"),
            ("crates/sms/src/twilio.rs", "fn f(_: domain::otp::OtpCode) {}", "crate::domain::otp"),
            ("crates/sms/src/twilio.rs", "use clock::Clock; fn f() { Clock::System.now(); }", "passed down"),
            ("src/flows/verify.rs", "use poem::Result;", "poem::Result"),
            ("src/flows/verify.rs", "fn f(_: StatusCode) {}", "StatusCode"),
            ("src/flows/verify.rs", "fn f() -> u8 { rand::random() }", "rand::random"),
            ("src/flows/verify.rs", "use crate::http::error;", "crate::http::error"),
            ("src/flows/verify.rs", "use super::super::http;", "crate::http"),
            (
                "src/flows/verify.rs",
                "use crate::clock::Clock; fn f() { Clock::System.now(); }",
                "passed down",
            ),
            ("src/flows/verify.rs", "fn f() { clock::Clock::System.now(); }", "passed down"),
            ("src/bot_check/answer.rs", "use crate::store::Store;", "crate::store::Store"),
            ("src/bot_check/answer.rs", "use store::Store;", "crate::store::Store"),
            ("src/bot_check/answer.rs", "use crate::domain::phone::PhoneNumber;", "crate::domain::phone"),
            ("src/http/bot_check.rs", "use crate::bot_check::Verdict;", "crate::bot_check::Verdict"),
            ("src/http/code.rs", "use crate::sms::SendError;", "crate::sms::SendError"),
            ("src/http/code.rs", "use sms::SendError;", "crate::sms::SendError"),
            ("src/http/code.rs", "use ::sms as messages;", "crate::sms"),
            ("src/http/code.rs", "fn f(s: &Services) { s.sms.inbox(); }", ".sms: only flows"),
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
            ("src/attic/mod.rs", "", "is not listed"),
            ("crates/attic/src/lib.rs", "", "is not listed"),
        ];
        for (file, source, expected) in planted {
            let source = format!("//! A file.\n\n{source}\n");
            let found = errors(file, &source, &crates()).join("\n");
            assert!(found.contains(expected), "{file}: {source} was accepted: {found:?}");
            assert!(found.starts_with(&format!("{file}:")), "{found} does not name the file");
        }
    }

    #[test]
    fn the_line_of_a_violation_is_named() {
        let source = "//! A file.\n/* a\ncomment */\nconst TEXT: &str = \"\n\";\n\nuse crate::{\n    domain::otp,\n    sms::Sms,\n};\n";
        assert_eq!(
            errors("src/bot_check/answer.rs", source, &crates()),
            [
                "src/bot_check/answer.rs:8: crate::domain::otp: bot_check may not name this",
                "src/bot_check/answer.rs:9: crate::sms::Sms: bot_check may not name this",
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
