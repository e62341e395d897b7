//! What a command prints. `println!` panics where nobody reads, as in `loopin-auth audit | head`.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// Prints to standard output. A reader who has gone has what they wanted.
///
/// # Errors
/// When it cannot be written for another reason, such as a full disk.
pub fn print(text: impl Display) -> io::Result<()> {
    print_to(&mut io::stdout().lock(), text)
}

/// Prints to standard error. There is nobody to tell that this failed.
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
