//! `loopin-auth`: self-hosted sign-in by phone number.
//!
//! `docs/ARCHITECTURE.md` describes the modules and which of them may name which; `tests/architecture.rs` checks that.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub use {clock, domain, sms, store};

pub mod admin;
pub mod app;
pub mod bot_check;
pub mod commands;
pub mod config;
pub mod flows;
pub mod hooks;
pub mod http;
pub mod random;
pub mod telemetry;
