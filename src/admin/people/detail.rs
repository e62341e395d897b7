//! A person: account, profile with pictures, sessions, numbers that changed hands, and history.

use askama::Template;
use chrono::{DateTime, Utc};
use poem::http::{HeaderValue, StatusCode, header};
use uuid::Uuid;

use super::{called, find, find_by_id, path_of, second_factor};
use crate::{
    admin::{
        Form, Layout, Notice, PageError, PageResult, Section, Staff, Visit, history,
        page::{PAGE_POLICY, Time},
    },
    domain::{
        access::{OpenedBy, Session, device_name},
        account::{Account, Role},
        audit::Filter,
        phone::PhoneNumber,
        roles,
        users::User,
    },
    flows::{
        interests,
        sessions::{self, SessionEnded},
    },
    store,
};

/// How many entries of the audit log the page shows.
const ENTRIES: u64 = 30;

#[derive(Template)]
#[template(path = "person.html")]
struct Detail {
    layout: Layout,
    path: String,
    account: Account,
    /// The version of the terms in force.
    in_force: Option<String>,
    role: &'static str,
    last_login: Option<DateTime<Utc>>,
    phone: Option<String>,
    /// The number that another account has now, masked, and that account.
    lost: Option<Lost>,
    /// Accounts that had this number before.
    earlier: Vec<Earlier>,
    /// Accounts that were joined with this one.
    merges: Vec<Joined>,
    is_complete: bool,
    gender: Option<&'static str>,
    birth_date: Option<String>,
    interests: Vec<String>,
    pictures: Vec<String>,
    sessions: Vec<Row>,
    history: Vec<history::Line>,
    /// The button about the second factor, if the visitor may use it.
    factor: Option<&'static str>,
    may: May,
}

struct Lost {
    phone: String,
    at: Option<DateTime<Utc>>,
    holder: Option<String>,
}

struct Earlier {
    href: String,
    name: String,
    at: Option<DateTime<Utc>>,
}

struct Joined {
    id: Uuid,
    at: Time,
    /// Until when it can be undone, while it can.
    undo_until: Option<Time>,
}

struct Row {
    id: Uuid,
    device: String,
    /// What the device sent, whole.
    sent: String,
    address: String,
    opened_by: &'static str,
    role: Option<&'static str>,
    created_at: DateTime<Utc>,
    last_used_at: DateTime<Utc>,
}

/// What the visitor may do to the account.
#[expect(clippy::struct_excessive_bools, reason = "each is a button of the page")]
struct May {
    edit: bool,
    switch: bool,
    promote: bool,
    administer: bool,
    is_self: bool,
}

pub(super) async fn show(visit: Visit<Staff>) -> PageResult {
    let services = visit.services();
    let User { account, last_login } = match find(&visit, visit.who()).await {
        Ok(user) => user,
        Err(PageError::NotFound) => return show_merged(&visit).await,
        Err(error) => return Err(error),
    };
    let (db, id) = (&services.store, account.id);
    let may = may(&visit, &account);
    let leave = roles::may_list(visit.who()).map_err(|_| PageError::Forbidden)?;
    let entries = Filter { about: Some(id), ..Filter::default() };
    let sessions = store::sessions::list(db, id, services.clock.now()).await?;
    let layout = visit.layout(called(&account), Section::People);
    let history = history::list(&visit, &layout, &entries, ENTRIES).await?;
    let earlier = store::people::list_former_holders(db, &leave, account.phone.as_ref()).await?;
    let now = services.clock.now();
    let merges = store::merges::list_into(db, id).await?;
    let merges = merges.iter().map(|merge| Joined {
        id: merge.id,
        at: layout.time(merge.at),
        undo_until: merge.undoable(now).map(|_| layout.time(merge.undo_until())),
    });
    let merges = merges.collect();
    let lost = match &account.former_phone {
        Some(phone) => Some(lost(&visit, phone, account.unlinked_at).await?),
        None => None,
    };
    let known = interests::list(services).await?;
    let chosen = account.profile.event_interests.iter();
    let name_of = |id: &i64| {
        let interest = known.iter().find(|interest| interest.id == *id);
        interest.map_or_else(|| format!("interest {id}"), |interest| interest.name.clone())
    };
    if let Some(phone) = &account.phone {
        visit.note_shown(phone, Some(id));
    }
    if let Some(claimed) = &account.claimed_phone {
        visit.note_unverified_shown(claimed, id);
    }
    let factor = if may.administer && account.role > Role::User {
        Some(second_factor::button(second_factor::has_one(services, &account).await?))
    } else {
        None
    };
    let profile = &account.profile;
    let detail = Detail {
        layout,
        path: path_of(id),
        in_force: services.terms.as_ref().map(|version| version.as_str().to_owned()),
        role: account.role.as_str(),
        last_login,
        phone: account.phone.as_ref().map(|phone| phone.full().to_owned()),
        lost,
        earlier: earlier.iter().map(earlier_holder).collect(),
        merges,
        is_complete: !profile.lacks_fields(),
        gender: profile.gender.map(crate::domain::profile::Gender::as_str),
        birth_date: profile.birth_date.as_ref().map(|birth_date| birth_date.date().to_string()),
        interests: chosen.map(name_of).collect(),
        pictures: profile.profile_pictures.clone(),
        sessions: sessions.iter().map(row).collect(),
        history,
        factor,
        may,
        account,
    };
    let mut response = visit.page(StatusCode::OK, &detail)?;
    let policy = picture_policy(&detail.pictures);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// Leads to the account that the one of the path was joined with.
async fn show_merged(visit: &Visit<Staff>) -> PageResult {
    let id = visit.path_id("id").ok_or(PageError::NotFound)?;
    let merge = store::merges::find(&visit.services().store, id).await?.ok_or(PageError::NotFound)?;
    let notice = Notice::warning("The account that you opened was joined with this one.");
    visit.redirect(&path_of(merge.into), notice)
}

/// The policy of this page. The app's users keep their pictures on hosts that this server does not know, so the page may load
/// images from other hosts; all other pages may not. Nothing else is widened, and the images get no referrer.
fn picture_policy(pictures: &[String]) -> HeaderValue {
    let policy = if pictures.is_empty() {
        PAGE_POLICY.to_owned()
    } else {
        PAGE_POLICY.replace("img-src 'self' data:", "img-src 'self' data: https: http:")
    };
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(PAGE_POLICY))
}

fn may(visit: &Visit<Staff>, account: &Account) -> May {
    let (who, id) = (visit.who(), account.id);
    let covers = |permission: Result<roles::EditPermission, roles::Forbidden>| {
        permission.is_ok_and(|permission| permission.over().contains(&account.role))
    };
    May {
        edit: covers(roles::may_edit(who, id)),
        switch: covers(roles::may_deactivate(who, id)),
        promote: covers(roles::may_promote(who, id)),
        administer: roles::may_administer(who, id, visit.from()).is_ok(),
        is_self: who.account().id == id,
    }
}

/// The number that the account lost, and who has it now.
async fn lost(
    visit: &Visit<Staff>,
    phone: &PhoneNumber,
    at: Option<DateTime<Utc>>,
) -> Result<Lost, PageError> {
    let holder = store::accounts::find_by_phone(&visit.services().store, phone, None).await?;
    Ok(Lost { phone: phone.masked(), at, holder: holder.map(|holder| path_of(holder.id)) })
}

fn earlier_holder(account: &Account) -> Earlier {
    Earlier { href: path_of(account.id), name: called(account), at: account.unlinked_at }
}

fn row(session: &Session) -> Row {
    let sent = session.client.device.clone();
    let device = Some(device_name(&sent)).filter(|name| !name.is_empty());
    Row {
        id: session.id,
        device: device.unwrap_or_else(|| "Unknown device".to_owned()),
        sent,
        address: session.client.address.clone(),
        opened_by: match session.opened_by {
            OpenedBy::Code => "code",
            OpenedBy::Password => "password",
            OpenedBy::Console => "admin console",
            OpenedBy::Exchange => "token of another system",
            OpenedBy::Guest => "guest",
        },
        role: Some(session.role).filter(|role| *role != Role::User).map(Role::as_str),
        created_at: session.created_at,
        last_used_at: session.last_used_at,
    }
}

pub(super) async fn end_session(visit: Visit<Staff>, _form: Form) -> PageResult {
    let id = visit.path_id("id").ok_or(PageError::NotFound)?;
    let session = visit.path_id("session").ok_or(PageError::NotFound)?;
    find_by_id(visit.services(), visit.who(), id).await?;
    let permission = roles::may_deactivate(visit.who(), id).map_err(|_| PageError::Forbidden)?;
    let ended = sessions::end_one_of_another(visit.services(), permission, session, visit.from()).await?;
    let notice = match ended {
        SessionEnded::Done => Notice::done("The session is ended. The device must sign in again."),
        SessionEnded::NotFound => Notice::warning("This session had ended already."),
        SessionEnded::Forbidden => return Err(PageError::Forbidden),
    };
    visit.redirect(&path_of(id), notice)
}
