//! Making an account for another person, whose phone is known to be proved.

use std::sync::Arc;

use crate::{
    domain::{
        account::Role,
        audit::{Action, Event},
        credentials::{Email, PersonName, Username},
        events::{CreatedBy, Fact},
        phone::PhoneNumber,
        review::Listed,
        roles::AdminPermission,
        signups::Admission,
        users::User,
    },
    flows::{
        Error, Services, blocks,
        events::{self, LeadConvertedBy},
        run_to_completion, transaction,
    },
    store::{
        self,
        accounts::NewIds,
        users::{Added, NewUser},
    },
};

/// What an admin knows about the person. It has a phone or a username, so that the person can sign in.
#[derive(Debug)]
pub struct NewPerson {
    /// The phone, which counts as verified.
    pub phone: Option<PhoneNumber>,
    /// The username.
    pub username: Option<Username>,
    /// The e-mail address, not verified.
    pub email: Option<Email>,
    /// The first name.
    pub first_name: Option<PersonName>,
    /// The last name.
    pub last_name: Option<PersonName>,
}

/// Why no account was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotCreated {
    /// Another account has the phone.
    PhoneTaken,
    /// Another account has the username.
    UsernameTaken,
    /// Another account has the e-mail address.
    EmailTaken,
    /// The phone is blocked.
    Blocked,
    /// It is a review number, whose account only its fixed code makes.
    ReviewNumber,
}

/// Makes the account of another person, whatever `SIGNUPS` says. No session is opened, and the account has no password. Its lead is
/// converted, and the audit entry written, in the same transaction.
///
/// # Errors
/// When the database does not answer: no account is created.
pub async fn create(
    services: &Arc<Services>,
    person: NewPerson,
    permission: AdminPermission,
) -> Result<Result<User, NotCreated>, Error> {
    run_to_completion(services, move |services| async move {
        transaction(|| create_in_transaction(&services, &person, permission)).await
    })
    .await
}

async fn create_in_transaction(
    services: &Services,
    person: &NewPerson,
    permission: AdminPermission,
) -> Result<Result<User, NotCreated>, Error> {
    let now = services.clock.now();
    if let Some(phone) = &person.phone {
        match services.review.find(phone, now) {
            Listed::Yes(_) => return Ok(Err(NotCreated::ReviewNumber)),
            Listed::No | Listed::Ended => {}
        }
    }
    if blocks::is_shut_out(services, person.phone.as_ref(), now).await? {
        return Ok(Err(NotCreated::Blocked));
    }
    let admission = Admission::by_admin(permission);
    let new = NewUser {
        ids: NewIds { admission, account: services.random.id(now), profile: services.random.id(now) },
        phone: person.phone.as_ref(),
        username: person.username.as_ref(),
        email: person.email.as_ref(),
        first_name: person.first_name.as_ref(),
        last_name: person.last_name.as_ref(),
    };
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    let account = match store::users::insert(&txn, permission, new, now).await? {
        Added::Account(account) => account,
        Added::PhoneTaken => return Ok(Err(NotCreated::PhoneTaken)),
        Added::UsernameTaken => return Ok(Err(NotCreated::UsernameTaken)),
        Added::EmailTaken => return Ok(Err(NotCreated::EmailTaken)),
    };
    let by = CreatedBy::Staff;
    let created = Fact::UserCreated { by, role: Role::User, phone: account.phone.as_ref() };
    events::write_of(services, &txn, account.id, &[created], now).await?;
    let actor = permission.actor();
    if let Some(phone) = &account.phone {
        let by = LeadConvertedBy::Staff(actor.id());
        events::convert_lead(services, &txn, (phone, account.id), by, now).await?;
    }
    let event = Event::new(Action::Registered, actor).about(account.id).from(permission.from());
    let event = Event { phone: account.phone.clone(), ..event }.with("by", "admin");
    services.audit.write(&txn, event, now).await?;
    txn.commit().await?;
    tracing::info!(user_id = %account.id, "an admin made an account");
    Ok(Ok(User { account: *account, last_login: None }))
}
