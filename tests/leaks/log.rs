//! The log of this process: everything that is written, at every level, of every crate.

use std::{
    io::Write,
    sync::{Mutex, OnceLock, PoisonError},
};

use tracing_subscriber::fmt::MakeWriter;

/// Everything that was logged in this process.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Kept;

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Kept {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

/// Keeps everything that is logged from here on, at every level, of every crate.
pub fn keep_the_log() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(Kept)
            .init();
    });
}

pub fn log() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

#[track_caller]
pub fn assert_is_nowhere(secret: &str, what: &str, place: &str, text: &str) {
    assert!(!secret.is_empty());
    if let Some(at) = text.find(secret) {
        let around: String = text[..at].chars().rev().take(300).collect();
        panic!("{what} is in {place} after: …{}", around.chars().rev().collect::<String>());
    }
}
