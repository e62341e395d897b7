//! Writes the log. A line that cannot be written, because the disk is full or the reader of the pipe has gone, is dropped
//! and counted: problems of the log must not stop sign-ins.

use std::{
    io::{self, Write},
    sync::{LazyLock, Mutex, PoisonError},
};

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::fmt::MakeWriter;

/// A process has one log, so there is one count of lost lines.
static LOST: LazyLock<Counter> = LazyLock::new(Counter::default);

/// The lines that this process could not write.
pub(super) fn lost() -> Counter {
    LOST.clone()
}

/// Writes whole lines and never fails.
pub(super) struct Output<W> {
    state: Mutex<State<W>>,
    lost: Counter,
}

struct State<W> {
    writer: W,
    /// Lines lost since the last written line.
    missing: u64,
}

impl<W: Write> Output<W> {
    /// Writes to this writer.
    pub(super) fn new(writer: W, lost: Counter) -> Self {
        Self { state: Mutex::new(State { writer, missing: 0 }), lost }
    }

    /// Writes a line or drops it. When writing works again, returns how many lines are missing before this one.
    fn put(&self, line: &[u8]) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { writer, missing } = &mut *state;
        // The last write may have ended in the middle of a line.
        let separated = if *missing > 0 { writer.write_all(b"\n") } else { Ok(()) };
        if separated.and_then(|()| writer.write_all(line)).and_then(|()| writer.flush()).is_err() {
            *missing += 1;
            self.lost.inc();
            return None;
        }
        Some(std::mem::take(missing)).filter(|missing| *missing > 0)
    }
}

impl<'a, W: Write + 'a> MakeWriter<'a> for Output<W> {
    type Writer = Line<'a, W>;

    fn make_writer(&'a self) -> Line<'a, W> {
        Line(self)
    }
}

/// Writes one line.
pub(super) struct Line<'a, W>(&'a Output<W>);

impl<W: Write> Write for Line<'_, W> {
    /// The subscriber passes a whole line in one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(lines) = self.0.put(line) {
            tracing::warn!(parent: None, lines, "lines of the log could not be written and are lost");
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts this many bytes and then fails.
    #[derive(Default)]
    struct Disk {
        room: usize,
        bytes: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.bytes.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_written_is_dropped_counted_and_told_once() {
        let output = Output::new(Disk { room: 8, ..Disk::default() }, Counter::default());
        assert_eq!(output.put(b"one\n"), None);
        // Half of this one is written.
        assert_eq!(output.put(b"two and more\n"), None);
        assert_eq!(output.put(b"three\n"), None);
        assert_eq!(output.lost.get(), 2);
        output.state.lock().unwrap().writer.room = 100;
        assert_eq!(output.put(b"four\n"), Some(2));
        assert_eq!(output.put(b"five\n"), None);
        assert_eq!(output.lost.get(), 2);
        let text = String::from_utf8(output.state.lock().unwrap().writer.bytes.clone()).unwrap();
        assert_eq!(text, "one\ntwo \nfour\nfive\n");
    }

    #[test]
    fn the_subscriber_hears_of_no_error() {
        let output = Output::new(Disk::default(), Counter::default());
        assert!(output.make_writer().write_all(b"a line\n").is_ok());
        assert_eq!(output.lost.get(), 1);
    }
}
