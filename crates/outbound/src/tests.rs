//! Signatures against known values, addresses against a table, the client against stubs.

mod addresses;
mod client;
mod signature;
