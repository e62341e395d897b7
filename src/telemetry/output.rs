//! Where the log goes. A line that cannot be written, because the disk is full or nobody reads the pipe any more, is
//! dropped and counted: a log is no reason to stop signing people in.

use std::{
    io::{self, Write},
    sync::{LazyLock, Mutex, PoisonError},
};

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::fmt::MakeWriter;

/// A process has one log, and so one count of what was lost of it.
static LOST: LazyLock<Counter> = LazyLock::new(Counter::default);

/// The lines that this process could not write.
pub(super) fn lost() -> Counter {
    LOST.clone()
}

/// A writer of whole lines that never fails.
pub(super) struct Output<W> {
    state: Mutex<State<W>>,
    lost: Counter,
}

struct State<W> {
    writer: W,
    /// Lines that were lost since the last one that was written.
    missing: u64,
}

impl<W: Write> Output<W> {
    /// Writes there.
    pub(super) fn new(writer: W, lost: Counter) -> Self {
        Self { state: Mutex::new(State { writer, missing: 0 }), lost }
    }

    /// Writes a line or drops it. When writing works again, this tells how many lines are missing before this one.
    fn put(&self, line: &[u8]) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { writer, missing } = &mut *state;
        // Half of a line may be the last thing that was written.
        let begun = if *missing > 0 { writer.write_all(b"\n") } else { Ok(()) };
        if begun.and_then(|()| writer.write_all(line)).and_then(|()| writer.flush()).is_err() {
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

/// The writer of one line.
pub(super) struct Line<'a, W>(&'a Output<W>);

impl<W: Write> Write for Line<'_, W> {
    /// The subscriber hands over a whole line at once.
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

    /// Takes so many bytes and then fails, until it is emptied.
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
