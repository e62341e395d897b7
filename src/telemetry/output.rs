//! Writes the log in a thread of its own, so that no request waits for a disk or a reader. Lines wait in a bounded buffer.
//!
//! A line that finds no room, because the reader of the pipe does not read, or that cannot be written, because the disk is full
//! or the reader has gone, is dropped and counted: problems of the log must not stop sign-ins.

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::fmt::MakeWriter;

/// How many bytes may wait: some thousand lines.
const MOST_WAITING: usize = 2 * 1024 * 1024;

/// How long the thread sleeps after a write. A busy server then writes many lines at once, and its requests do not wake the
/// thread for each. It is also the time whose lines a killed process may lose.
const GATHERING: Duration = Duration::from_millis(10);

/// How much memory the thread keeps between two writes.
const KEPT: usize = 64 * 1024;

/// A process has one log, so there is one count of lost lines.
static LOST: LazyLock<Counter> = LazyLock::new(Counter::default);

/// The lines that this process could not write.
pub(super) fn lost() -> Counter {
    LOST.clone()
}

/// Takes whole lines, and never blocks or fails. Clones write the same log.
#[derive(Clone)]
pub(super) struct Output(Arc<Shared>);

struct Shared {
    buffer: Mutex<Buffer>,
    /// Wakes the thread: there are lines, or a caller waits for them to be written.
    filled: Condvar,
    /// Wakes the callers that wait.
    emptied: Condvar,
    /// How many bytes may wait.
    most_waiting: usize,
    lost: Counter,
}

#[derive(Default)]
struct Buffer {
    /// Lines that wait, each with its line end.
    bytes: Vec<u8>,
    /// Whether the thread waits for the first line.
    is_idle: bool,
    /// Whether the thread has lines that it has not written yet.
    is_writing: bool,
    /// How many callers wait until everything is written.
    flushing: usize,
    /// Lines that were lost since a line was last written.
    missing: u64,
}

impl Output {
    /// Starts the thread, which writes to this writer. When lines can be written again, `tell` gets the number of lost ones.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn start(
        writer: impl Write + Send + 'static,
        tell: impl Fn(u64) + Send + 'static,
        lost: Counter,
    ) -> io::Result<Self> {
        Self::with_room(MOST_WAITING, writer, tell, lost)
    }

    fn with_room(
        most_waiting: usize,
        writer: impl Write + Send + 'static,
        tell: impl Fn(u64) + Send + 'static,
        lost: Counter,
    ) -> io::Result<Self> {
        let shared = Shared {
            buffer: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            most_waiting,
            lost,
        };
        let output = Self(Arc::new(shared));
        let shared = Arc::clone(&output.0);
        let lines = Lines { writer, is_torn: false };
        thread::Builder::new().name("log".to_owned()).spawn(move || shared.keep_writing(lines, tell))?;
        Ok(output)
    }

    /// Waits until every line is written or lost, but no longer than this.
    pub(super) fn flush(&self, limit: Duration) {
        let mut buffer = self.0.buffer();
        buffer.flushing += 1;
        self.0.filled.notify_one();
        let is_left = |buffer: &mut Buffer| buffer.is_writing || !buffer.bytes.is_empty();
        let waited = self.0.emptied.wait_timeout_while(buffer, limit, is_left);
        let (mut buffer, _) = waited.unwrap_or_else(PoisonError::into_inner);
        buffer.flushing -= 1;
    }
}

impl Shared {
    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, line: &[u8]) {
        let mut buffer = self.buffer();
        if buffer.bytes.len() + line.len() > self.most_waiting {
            buffer.missing += 1;
            drop(buffer);
            self.lost.inc();
            return;
        }
        buffer.bytes.extend_from_slice(line);
        let is_idle = buffer.is_idle;
        drop(buffer);
        if is_idle {
            self.filled.notify_one();
        }
    }

    /// Writes lines for as long as the process runs.
    fn keep_writing(&self, mut lines: Lines<impl Write>, tell: impl Fn(u64)) {
        let mut bytes = Vec::new();
        loop {
            self.take(&mut bytes);
            let missing = self.count(lines.write(&bytes));
            if missing > 0 {
                // This is a line too, and is written next.
                tell(missing);
            }
            bytes.clear();
            bytes.shrink_to(KEPT);
            self.rest();
        }
    }

    /// Waits for lines and takes them out.
    fn take(&self, bytes: &mut Vec<u8>) {
        let mut buffer = self.buffer();
        while buffer.bytes.is_empty() {
            buffer.is_idle = true;
            buffer = self.filled.wait(buffer).unwrap_or_else(PoisonError::into_inner);
        }
        buffer.is_idle = false;
        buffer.is_writing = true;
        std::mem::swap(&mut buffer.bytes, bytes);
    }

    /// Counts lines that were lost in a write. Returns how many are missing before it, if none were.
    fn count(&self, lost: u64) -> u64 {
        let mut buffer = self.buffer();
        if lost == 0 {
            return std::mem::take(&mut buffer.missing);
        }
        buffer.missing += lost;
        drop(buffer);
        self.lost.inc_by(lost);
        0
    }

    /// Tells the callers that wait, and sleeps unless there are any.
    fn rest(&self) {
        let mut buffer = self.buffer();
        buffer.is_writing = false;
        self.emptied.notify_all();
        let is_alone = |buffer: &mut Buffer| buffer.flushing == 0;
        // Either way the next lines are due.
        drop(self.filled.wait_timeout_while(buffer, GATHERING, is_alone));
    }
}

/// Writes lines, and knows whether the last one was cut.
struct Lines<W> {
    writer: W,
    is_torn: bool,
}

impl<W: Write> Lines<W> {
    /// Writes whole lines, as many as it can. Returns how many are lost.
    fn write(&mut self, lines: &[u8]) -> u64 {
        if self.is_torn && self.writer.write_all(b"\n").is_err() {
            return count(lines);
        }
        let mut left = lines;
        while !left.is_empty() {
            match self.writer.write(left) {
                Ok(0) => break,
                Ok(written) => left = left.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let written = lines.len() - left.len();
        self.is_torn =
            lines.get(..written).is_some_and(|written| !written.is_empty() && !written.ends_with(b"\n"));
        count(left)
    }
}

/// Each line has one line end.
fn count(lines: &[u8]) -> u64 {
    lines.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// Takes one line.
pub(super) struct Line<'a>(&'a Shared);

impl Write for Line<'_> {
    /// The subscriber passes a whole line in one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

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

    /// A reader of a pipe that reads when the test says so.
    struct Reader {
        allowed: mpsc::Receiver<()>,
        read: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.allowed.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.read.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn what_cannot_be_written_is_counted_line_by_line() {
        let mut lines = Lines { writer: Disk { room: 8, ..Disk::default() }, is_torn: false };
        // Half of the second line is written.
        assert_eq!(lines.write(b"one\ntwo and more\nthree\n"), 2);
        assert_eq!(lines.write(b"four\n"), 1);
        lines.writer.room = 100;
        assert_eq!(lines.write(b"five\n"), 0);
        assert_eq!(lines.write(b"six\n"), 0);
        assert_eq!(String::from_utf8_lossy(&lines.writer.bytes), "one\ntwo \nfive\nsix\n");
    }

    #[test]
    fn a_reader_that_does_not_read_blocks_no_caller_and_the_lost_lines_are_told_once() {
        let ((allow, allowed), (read, written), (told, tells)) =
            (mpsc::channel(), mpsc::channel(), mpsc::channel());
        let counter = Counter::default();
        let tell = move |lines| told.send(lines).unwrap();
        let output = Output::with_room(100, Reader { allowed, read }, tell, counter.clone()).unwrap();
        let put = |line: &[u8]| output.make_writer().write_all(line).unwrap();
        put(b"first\n");
        // A flush waits no longer than it may. Afterwards the thread has taken the first line.
        output.flush(Duration::from_millis(100));
        while !output.0.buffer().is_writing {
            thread::yield_now();
        }
        for _ in 0..12 {
            put(b"ten bytes\n");
        }
        assert_eq!(counter.get(), 2, "ten lines wait");
        for _ in 0..2 {
            allow.send(()).unwrap();
        }
        assert_eq!(written.recv_timeout(LONG).unwrap(), b"first\n");
        assert_eq!(written.recv_timeout(LONG).unwrap(), b"ten bytes\n".repeat(10));
        output.flush(LONG);
        assert_eq!(tells.try_iter().collect::<Vec<_>>(), [2]);
        // With a reader that has gone, lines are lost, and the log goes on.
        drop((allow, written));
        put(b"last\n");
        output.flush(LONG);
        assert_eq!(counter.get(), 3);
    }
}
