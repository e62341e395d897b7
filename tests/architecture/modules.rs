//! The table of modules: what each may name, and which words it must not have.

/// What a module may name. Everything else is refused, so a new dependency of a module is decided here.
pub struct Module {
    /// Its name, as in paths.
    pub name: &'static str,
    /// Other modules, or parts of them.
    pub modules: &'static [&'static str],
    /// Crates. `None` for a module that is a crate: its manifest is the list.
    pub crates: Option<&'static [&'static str]>,
    /// Words that are refused everywhere in the module, each with the reason.
    pub refused: &'static [(&'static str, &'static str)],
}

const PURE: &[(&str, &str)] = &[
    ("async", "a rule does no I/O"),
    ("await", "a rule does no I/O"),
    ("SystemTime", "time comes in as an argument"),
    ("Instant", "time comes in as an argument"),
];

const NO_STATUS: &[(&str, &str)] = &[("StatusCode", "the status of a response is decided in http")];

/// The modules that answer requests. They read from the store, and write through `flows`.
pub const FRONT_ENDS: [&str; 2] = ["admin", "http"];

pub const MODULES: &[Module] = &[
    Module { name: "clock", modules: &[], crates: None, refused: &[] },
    Module { name: "domain", modules: &[], crates: None, refused: PURE },
    Module { name: "store", modules: &["domain"], crates: None, refused: &[] },
    Module {
        name: "sms",
        modules: &["clock", "domain::delivery", "domain::phone"],
        crates: None,
        refused: &[],
    },
    Module {
        name: "flows",
        modules: &["domain", "store", "sms", "bot_check", "clock", "random", "telemetry::Metrics"],
        crates: Some(&["chrono", "chrono_tz", "secrecy", "thiserror", "tokio", "tracing", "uuid"]),
        refused: NO_STATUS,
    },
    Module {
        name: "bot_check",
        modules: &["domain::bot_check"],
        crates: Some(&["reqwest", "secrecy", "serde_json", "thiserror", "tokio", "tracing", "url", "uuid"]),
        refused: &[],
    },
    Module {
        name: "http",
        modules: &[
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
    Module {
        name: "admin",
        modules: &["domain", "flows", "store"],
        crates: Some(&[
            "askama",
            "chrono",
            "chrono_tz",
            "futures_util",
            "percent_encoding",
            "poem",
            "qrcode",
            "secrecy",
            "serde_json",
            "thiserror",
            "tracing",
            "url",
            "uuid",
        ]),
        refused: &[],
    },
    Module {
        name: "config",
        modules: &[
            "admin::ConsoleSettings",
            "domain",
            "http::EdgeSettings",
            "http::GuardSettings",
            "http::TrustedProxies",
            "bot_check",
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
    Module {
        name: "app",
        modules: &[
            "admin",
            "clock",
            "config",
            "domain",
            "flows",
            "http",
            "bot_check",
            "random",
            "sms",
            "store",
            "telemetry::Metrics",
        ],
        crates: Some(&["poem", "rlimit", "serde_json", "thiserror", "tokio", "tracing"]),
        refused: &[],
    },
    Module {
        name: "commands",
        modules: &[
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
    Module {
        name: "main",
        modules: &["clock::Clock", "commands", "config::Sources", "random::Random"],
        crates: Some(&["clap"]),
        refused: &[],
    },
    Module { name: "lib", modules: &[], crates: Some(&[]), refused: &[] },
    Module {
        name: "random",
        modules: &[],
        crates: Some(&["chrono", "rand", "secrecy", "uuid"]),
        refused: &[],
    },
    Module {
        name: "telemetry",
        modules: &[],
        crates: Some(&["prometheus_client", "tracing", "tracing_subscriber"]),
        refused: &[],
    },
];
