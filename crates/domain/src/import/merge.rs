//! Several people with one number.
//!
//! The other system may have let one subscriber have two accounts: with and without the plus, or with digits of another script.
//! Here a number has one account. Of several users the one keeps it who is active, then who signed in last, then whose account is
//! newer, then whose row comes first. What its profile lacks comes from the others. The others get no account; the report names
//! their ids.
//!
//! Accounts with rights are not merged with anybody: a phone code must not open what belongs to somebody else's password. They
//! come without the number if a user has it, or another account with rights.
//!
//! A first reading counts the numbers, so that a second one can write each group as soon as it is complete, and keeps no more
//! than that in memory: a number costs 16 bytes.

use std::collections::HashMap;

use super::judge::Newcomer;
use crate::{
    account::Role,
    former_id::FormerId,
    phone::{PhoneNumber, Region},
};

/// How many people have each number.
#[derive(Debug, Default)]
pub struct Census(HashMap<u64, Holders>);

#[derive(Debug, Default, Clone, Copy)]
struct Holders {
    users: u32,
    with_rights: u32,
}

impl Census {
    /// Counts a person.
    pub fn count(&mut self, newcomer: &Newcomer) {
        if let Some(phone) = &newcomer.phone {
            let holders = self.0.entry(number(phone)).or_default();
            let count =
                if newcomer.role == Role::User { &mut holders.users } else { &mut holders.with_rights };
            *count = count.saturating_add(1);
        }
    }
}

/// The digits of a number, which are at most 15.
fn number(phone: &PhoneNumber) -> u64 {
    phone.full().trim_start_matches('+').parse().unwrap_or_default()
}

/// A person whose number went to another one of the same source.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The place of the row.
    pub place: u64,
    /// The id.
    pub old_id: FormerId,
}

/// A person, and those who are merged into it.
#[derive(Debug, Clone)]
pub struct Group {
    /// Who gets the account.
    pub kept: Box<Newcomer>,
    /// Who gets none.
    pub merged: Vec<Merged>,
}

/// Collects the people of each number.
#[derive(Debug)]
pub struct Groups {
    census: Census,
    waiting: HashMap<u64, (Group, u32)>,
    region: Region,
}

impl Groups {
    /// For a second reading of the same source.
    #[must_use]
    pub fn new(census: Census, region: Region) -> Self {
        Self { census, waiting: HashMap::new(), region }
    }

    /// Whether a person of the source has the number. Someone who requested a code with it is no lead then.
    #[must_use]
    pub fn has(&self, phone: &PhoneNumber) -> bool {
        self.census.0.contains_key(&number(phone))
    }

    /// Takes a person. Returns a group that is complete.
    pub fn take(&mut self, mut newcomer: Box<Newcomer>) -> Option<Group> {
        let alone = |kept| Some(Group { kept, merged: Vec::new() });
        let Some(number) = newcomer.phone.as_ref().map(number) else {
            return alone(newcomer);
        };
        let holders = self.census.0.get(&number).copied().unwrap_or_default();
        if newcomer.role != Role::User {
            if holders.users > 0 || holders.with_rights > 1 {
                newcomer.lose_phone(self.region);
            }
            return alone(newcomer);
        }
        if holders.users < 2 {
            return alone(newcomer);
        }
        let Some((group, count)) = self.waiting.remove(&number) else {
            self.waiting.insert(number, (Group { kept: newcomer, merged: Vec::new() }, 1));
            return None;
        };
        let (group, count) = (group.with(newcomer), count + 1);
        if count >= holders.users {
            return Some(group);
        }
        self.waiting.insert(number, (group, count));
        None
    }

    /// The groups that never became complete, because the source changed between the two readings.
    pub fn rest(&mut self) -> Vec<Group> {
        let mut rest: Vec<Group> = self.waiting.drain().map(|(_, (group, _))| group).collect();
        rest.sort_by_key(|group| group.kept.place);
        rest
    }
}

impl Group {
    fn with(mut self, other: Box<Newcomer>) -> Self {
        let rank = |newcomer: &Newcomer| {
            let Newcomer { is_active, last_sign_in, created_at, place, .. } = newcomer;
            (*is_active, *last_sign_in, *created_at, std::cmp::Reverse(*place))
        };
        let (mut kept, other) =
            if rank(&other) > rank(&self.kept) { (other, self.kept) } else { (self.kept, other) };
        fill_gaps(&mut kept, &other);
        self.merged.push(Merged { place: other.place, old_id: other.old_id });
        Self { kept, merged: self.merged }
    }
}

/// What the profile lacks. Names for signing in, the password and the role stay those of the account that is kept.
fn fill_gaps(kept: &mut Newcomer, other: &Newcomer) {
    fn fill<T: Clone>(gap: &mut Option<T>, other: Option<&T>) {
        if gap.is_none() {
            *gap = other.cloned();
        }
    }
    fill(&mut kept.first_name, other.first_name.as_ref());
    fill(&mut kept.last_name, other.last_name.as_ref());
    fill(&mut kept.name, other.name.as_ref());
    fill(&mut kept.birth_date, other.birth_date.as_ref());
    fill(&mut kept.gender, other.gender.as_ref());
    fill(&mut kept.bio, other.bio.as_ref());
    fill(&mut kept.location, other.location.as_ref());
    if kept.interests.is_empty() {
        kept.interests.clone_from(&other.interests);
    }
    if kept.pictures.is_empty() {
        kept.pictures.clone_from(&other.pictures);
    }
    kept.created_at = kept.created_at.min(other.created_at);
}
