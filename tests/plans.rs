//! How PostgreSQL finds rows: no request and no background task reads a large table row by row. PostgreSQL itself reports the plan of
//! each statement that the server sends (`auto_explain`), with the values that were sent, so no statement is written down here.
//!
//! This is a test binary of its own, because the plans arrive in the log of the whole process.

#[cfg(test)]
#[allow(dead_code, reason = "the tests of the console need more of it")]
#[path = "admin/browser.rs"]
mod browser;
#[cfg(test)]
mod support;

#[cfg(test)]
mod plans {
    mod challenges;
    mod console;
    mod events;
    mod observed;
    mod passwords;
    mod provider;
    mod requests;
    mod services;
    mod sessions;
    mod staff;
    mod tasks;
}
