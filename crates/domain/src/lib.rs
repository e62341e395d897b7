//! RULES. What the service decides, as pure functions over plain values: no I/O, no `async`, no framework, no clock
//! and no randomness of its own. Time and chance come in as arguments.
//!
//! To add a rule:
//! 1. give its input a type whose only constructor checks it (`PhoneNumber`, `OtpCode`, `BirthDate`);
//! 2. let the rule return a verdict, an enum that names every outcome;
//! 3. where a write may only follow a favourable verdict, let the verdict carry a proof with a private field and let
//!    the store's function ask for it;
//! 4. test it here, as a table of inputs with the sentence why.

pub mod access;
pub mod account;
pub mod address;
pub mod audit;
pub mod bot_check;
pub mod budget;
pub mod calendar;
pub mod clocks;
pub mod credentials;
pub mod delivery;
mod derived;
pub mod destination;
pub mod device;
mod fold;
pub mod interests;
pub mod lead;
pub mod otp;
pub mod phone;
pub mod profile;
pub mod pseudonym;
pub mod retention;
pub mod review;
pub mod roles;
pub mod sign_in;
pub mod users;
