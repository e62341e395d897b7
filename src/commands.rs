//! The commands that look at an installation and try it. They work with settings that would not start a server, so they
//! ask for the parts that they need one by one and not for the whole of `app.rs`.
//!
//! To add a check of `doctor`: a function that returns findings, in `commands/doctor.rs`, and its place in `examine`.
//! Nothing of a check may take longer than the time that stands there, and none changes anything.

pub mod audit;
pub mod cli;
pub mod createsuperuser;
pub mod doctor;
pub mod keys;
pub mod output;
pub mod prefixes;
pub mod settings;
pub mod sms;
pub mod unlock;

use std::error::Error;

/// An error with all of its causes, on one line.
fn with_causes(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_said = cause.to_string();
        // Many an error repeats its cause.
        if !said.contains(&cause_said) {
            said.push_str(": ");
            said.push_str(&cause_said);
        }
        source = cause.source();
    }
    said.replace('\n', " ")
}
