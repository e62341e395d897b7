//! The filters of the audit log, as they were typed and as they are applied. A filter that cannot be read is shown with its problem,
//! and the others apply.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use uuid::Uuid;

use super::super::{Form, PageError};
use crate::{
    domain::{
        address::ClientAddress,
        audit::{Action, Actor, Filter},
        calendar::{read_day, start_of_day},
        keyset::Cursor,
        phone::{PhoneNumber, Region},
        pseudonym::Pseudonyms,
        roles::ListPermission,
    },
    flows::Services,
    store,
};

/// A field of the form: what was typed, and what is wrong with it.
#[derive(Default)]
pub(super) struct Typed {
    pub(super) text: String,
    pub(super) problem: Option<&'static str>,
}

impl Typed {
    fn of(query: &Form, name: &str) -> Self {
        Self { text: query.text(name).to_owned(), problem: None }
    }

    /// Reads what was typed; remembers the problem if it cannot be read.
    fn read<T>(&mut self, problem: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        if self.text.is_empty() {
            return None;
        }
        let value = read(&self.text);
        self.problem = value.is_none().then_some(problem);
        value
    }
}

/// Whom an entry is about.
enum Whom {
    Account(Uuid),
    Phone(PhoneNumber),
}

/// The filters.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) who: Typed,
    pub(super) by: Typed,
    pub(super) what: Typed,
    pub(super) whom: Typed,
    pub(super) address: Typed,
    pub(super) from: Typed,
    pub(super) to: Typed,
    pub(super) cursor: Option<Cursor>,
    kind: Option<&'static str>,
    actor: Option<Uuid>,
    action: Option<Action>,
    about: Option<Whom>,
    client: Option<ClientAddress>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

const NO_DAY: &str = "Write a day like 2026-11-21.";
const NO_ACCOUNT: &str = "No account has this username, e-mail address or id.";

impl Asked {
    /// Reads the query of the address.
    pub(super) fn read(query: &Form, region: Region, zone: Tz) -> Self {
        let mut asked = Self {
            who: Typed::of(query, "who"),
            by: Typed::of(query, "by"),
            what: Typed::of(query, "what"),
            whom: Typed::of(query, "whom"),
            address: Typed::of(query, "address"),
            from: Typed::of(query, "from"),
            to: Typed::of(query, "to"),
            // A cursor that cannot be read is that of an old link: the list begins at its beginning.
            cursor: Cursor::parse(query.text("cursor")).ok().filter(|cursor| cursor.time().is_ok()),
            ..Self::default()
        };
        let kind = |text: &str| Actor::KINDS.into_iter().find(|kind| *kind == text);
        asked.kind = asked.who.read("Choose one of the list.", kind);
        asked.action = asked.what.read("Choose one of the list.", |text| text.parse().ok());
        let client = |text: &str| text.parse().ok().map(ClientAddress::new);
        asked.client = asked.address.read("Write an IP address like 203.0.113.7 or 2001:db8::1.", client);
        asked.since = asked.from.read(NO_DAY, read_day).map(|day| start_of_day(day, zone));
        let last = asked.to.read(NO_DAY, read_day).and_then(|day| day.succ_opt());
        asked.until = last.map(|day| start_of_day(day, zone));
        if asked.since.zip(asked.until).is_some_and(|(since, until)| until <= since) {
            asked.to.problem = Some("The last day is before the first.");
            asked.until = None;
        }
        asked.about = asked.whom.text.parse().ok().map(Whom::Account);
        asked.about =
            asked.about.or_else(|| PhoneNumber::parse(&asked.whom.text, region).ok().map(Whom::Phone));
        asked.actor = asked.by.text.parse().ok();
        asked
    }

    /// Whether anything was typed.
    pub(super) fn is_filtered(&self) -> bool {
        let fields = [&self.who, &self.by, &self.what, &self.whom, &self.address, &self.from, &self.to];
        fields.iter().any(|field| !field.text.is_empty())
    }

    /// Finds the accounts that were typed by name.
    pub(super) async fn find_accounts(
        &mut self,
        services: &Services,
        permission: &ListPermission,
    ) -> Result<(), PageError> {
        let find = async |text: String| store::users::find_named(&services.store, permission, &text).await;
        if self.actor.is_none() && !self.by.text.is_empty() {
            self.actor = find(self.by.text.clone()).await?;
            self.by.problem = self.actor.is_none().then_some(NO_ACCOUNT);
        }
        if self.about.is_none() && !self.whom.text.is_empty() {
            self.about = find(self.whom.text.clone()).await?.map(Whom::Account);
            self.whom.problem = self
                .about
                .is_none()
                .then_some("Write a phone number, a username, an e-mail address or an id.");
        }
        Ok(())
    }

    /// The filter of the query.
    pub(super) fn filter(&self, pseudonyms: &Pseudonyms) -> Filter {
        let (about, phones) = match &self.about {
            Some(Whom::Account(id)) => (Some(*id), None),
            Some(Whom::Phone(phone)) => (None, Some(pseudonyms.phone_with_all(phone))),
            None => (None, None),
        };
        Filter {
            since: self.since,
            until: self.until,
            action: self.action,
            actor_kind: self.kind,
            actor_id: self.actor,
            about,
            phones,
            address: self.client,
            user_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Asked {
        Asked::read(&Form::parse(query.as_bytes()), "IN".parse().unwrap(), chrono_tz::Asia::Kolkata)
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named_and_the_others_apply() {
        let asked = read("who=nobody&what=signed_in&address=office&from=yesterday&to=2026-11-21");
        assert!(
            asked.who.problem.is_some() && asked.address.problem.is_some() && asked.from.problem.is_some()
        );
        assert_eq!((asked.action, asked.what.problem), (Some(Action::SignedIn), None));
        assert_eq!(asked.until, Some("2026-11-21T18:30:00Z".parse().unwrap()));
        let turned = read("from=2026-11-21&to=2026-11-20");
        assert!(turned.to.problem.is_some() && turned.until.is_none() && turned.since.is_some());
        let day = read("from=2026-11-21&to=2026-11-21");
        assert_eq!((day.until.unwrap() - day.since.unwrap()).num_hours(), 24);
    }
}
