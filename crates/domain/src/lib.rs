//! The rules of the service, as pure functions over plain values. No I/O, no `async`, no framework, no clock and no
//! randomness: the caller passes in the time and the random values.
//!
//! To add a rule:
//! 1. Give its input a type whose only constructor checks it (`PhoneNumber`, `OtpCode`, `BirthDate`).
//! 2. Let the rule return a verdict: an enum that names every outcome.
//! 3. If a write may only follow a positive verdict, let the verdict carry a proof with a private field, and let
//!    the store's function require that proof.
//! 4. Test it here with a table of inputs, each with its reason.

pub mod access;
pub mod account;
pub mod account_merge;
pub mod address;
pub mod api_key;
pub mod audit;
pub mod block;
pub mod bot_check;
pub mod budget;
pub mod calendar;
pub mod clocks;
pub mod console;
pub mod conversion;
pub mod credentials;
pub mod csv;
pub mod delivery;
mod derived;
pub mod destination;
pub mod device;
pub mod events;
mod fold;
pub mod former_id;
pub mod import;
pub mod interests;
pub mod invitation;
pub mod issuer;
pub mod keyset;
pub mod lead;
pub mod messages;
pub mod otp;
pub mod people;
pub mod phone;
pub mod phone_move;
pub mod profile;
pub mod pseudonym;
pub mod renumbering;
pub mod retention;
pub mod review;
mod rights;
pub mod roles;
pub mod search;
pub mod second_factor;
pub mod sent_message;
pub mod settings;
pub mod sign_in;
pub mod signups;
pub mod statistics;
pub mod terms;
pub mod timeline;
pub mod token_ids;
pub mod users;
pub mod verdict;
pub mod verification;
