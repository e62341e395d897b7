//! The real program, started as an operator starts it: with a cleared environment, in an empty folder, on a free port.

#[cfg(test)]
mod api_keys;
#[cfg(test)]
mod attack;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod backups;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod createsuperuser;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod doctor_bot_check;
#[cfg(test)]
mod doctor_india;
#[cfg(test)]
mod doctor_issuers;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod events;
#[cfg(test)]
mod healthcheck;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod imports_files;
#[cfg(test)]
mod invitations;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod log;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod reloads;
#[cfg(test)]
mod renumber;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod server;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod sms_test;
#[cfg(test)]
mod staff;
#[cfg(test)]
mod start;
#[cfg(test)]
mod stopping;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod together;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod walk;
