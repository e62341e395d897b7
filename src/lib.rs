//! `loopin-auth`: sign-in by phone number, hosted by yourself.
//!
//! The rooms, and who may name whom, are described in `docs/ARCHITECTURE.md`; `tests/architecture.rs` holds the walls.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub use {clock, domain, sms, store};

pub mod app;
pub mod bot_check;
pub mod commands;
pub mod config;
pub mod flows;
pub mod http;
pub mod random;
pub mod telemetry;
