//! The real program, started as an operator starts it: with a cleared environment, in an empty folder, on a free port.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod createsuperuser;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod server;
#[cfg(test)]
mod sms_test;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod together;
#[cfg(test)]
mod walk;
