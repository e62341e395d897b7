//! Outages and contention: the database goes away, another writer holds it, Twilio is slow, clients hang up.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod database;
#[cfg(test)]
mod events;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod locks;
#[cfg(test)]
mod lost_answers;
#[cfg(test)]
mod pooler;
#[cfg(test)]
mod provider;
#[cfg(test)]
mod receipts;
#[cfg(test)]
mod sign_ins;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
