//! Why a user of a phone number is not signed in: one sentence for staff.

mod words;

pub use self::words::{by_channel, wait};
