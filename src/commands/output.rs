//! The output of commands. `println!` must not be used: it panics when the reader has gone, as in `loopin-auth audit | head`.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// Prints to standard output. That the reader has gone is not an error.
///
/// # Errors
/// When the output cannot be written for another reason, such as a full disk.
pub fn print(text: impl Display) -> io::Result<()> {
    print_to(&mut io::stdout().lock(), text)
}

/// Prints to standard error. Errors are ignored, because there is no place left to report them.
pub fn print_error(text: impl Display) {
    let _ = print_to(&mut io::stderr().lock(), text);
}

fn print_to(out: &mut impl Write, text: impl Display) -> io::Result<()> {
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(io::Error::new(error.kind(), format!("the result cannot be printed: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
