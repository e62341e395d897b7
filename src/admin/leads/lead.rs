//! The page of one lead: the whole number, what is known, notes, and what to do next.

use askama::Template;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use poem::http::StatusCode;
use uuid::Uuid;

use super::{super::terms::lead_state, state_class};
use crate::{
    admin::{
        Form, Layout, Notice, PageError, PageResult, Section, Staff, Visit, history, invitations, names,
        page::{Time, TimeOrDash},
    },
    domain::{
        audit::Filter,
        delivery::Channel,
        invitation::NewInvitation,
        lead::{Change, LONGEST_NAME, LONGEST_NOTE, Lead, LeadName, Note, NoteText, State},
        phone::PhoneNumber,
    },
    flows::{
        Services, invitations as made_by_staff,
        leads::{self, Changed, ChangedBy, Stale, Verified},
        resend::{self, Resent},
    },
    store::{self, leads::AccountName},
};

/// How many entries of the audit log the history shows.
const HISTORY: u64 = 20;

/// What was typed into the form, and what is wrong with it.
#[derive(Default)]
struct Typed {
    name: Option<String>,
    name_error: Option<String>,
    note: String,
    note_error: Option<String>,
    /// The version that the form was made with: it stays while the form is refused, so that no change of others is lost.
    version: Option<String>,
    /// Why the form was not saved.
    conflict: Option<String>,
}

struct ShownNote {
    author: String,
    text: String,
    at: Time,
}

#[derive(Template)]
#[template(path = "lead.html")]
struct LeadPage {
    layout: Layout,
    lead: Lead,
    number: String,
    digits: String,
    phone_page: String,
    account: Option<AccountName>,
    has_name: bool,
    state: &'static str,
    class: &'static str,
    is_converted: bool,
    may_invite: bool,
    moves: Vec<(&'static str, &'static str)>,
    channels: Vec<(&'static str, &'static str)>,
    first: Time,
    last: Time,
    verified_at: TimeOrDash,
    changed_at: TimeOrDash,
    changed_by: Option<String>,
    notes: Vec<ShownNote>,
    history: Vec<history::Line>,
    typed: Typed,
    name: String,
    longest_name: usize,
    longest_note: usize,
}

/// `GET /admin/leads/{id}`
pub async fn show(visit: Visit<Staff>) -> PageResult {
    let lead = find(&visit).await?;
    render(&visit, lead, Typed::default(), StatusCode::OK).await
}

/// `POST /admin/leads/{id}`: a note, a name, and perhaps another state.
pub async fn change(visit: Visit<Staff>, form: Form) -> PageResult {
    let lead = find(&visit).await?;
    let here = format!("/admin/leads/{}", lead.id);
    let mut typed = Typed {
        name: Some(form.raw("name").to_owned()),
        note: form.raw("note").to_owned(),
        version: form.given("version").map(str::to_owned),
        ..Typed::default()
    };
    let Some(change) = read(&form, &mut typed) else {
        return render(&visit, lead, typed, StatusCode::UNPROCESSABLE_ENTITY).await;
    };
    match leads::change(visit.services(), lead.id, change, visit.permission()).await? {
        Changed::Done(lead, true) => {
            let text = format!("Saved. The lead is {}.", lead_state(lead.state).to_lowercase());
            visit.redirect(&here, Notice::done(text))
        }
        Changed::Done(_, false) => visit.redirect(&here, Notice::done("There was nothing to save.")),
        Changed::NotFound => Err(PageError::NotFound),
        Changed::Stale(stale) => {
            let Stale { lead, by } = *stale;
            // The page tells of the other change, so the next save may replace it.
            typed.version = None;
            typed.conflict = Some(conflict(&lead, &by));
            render(&visit, lead, typed, StatusCode::CONFLICT).await
        }
        Changed::IsConverted | Changed::NeedsProof => {
            let lead = find(&visit).await?;
            typed.conflict =
                Some("Nothing was saved: the lead is verified, and keeps its state. Press Save.".to_owned());
            render(&visit, lead, typed, StatusCode::CONFLICT).await
        }
    }
}

fn read(form: &Form, typed: &mut Typed) -> Option<Change> {
    let name = LeadName::parse(form.raw("name"));
    let note = form.given("note").map(|_| NoteText::parse(form.raw("note"))).transpose();
    typed.name_error = name.as_ref().err().map(ToString::to_string);
    typed.note_error = note.as_ref().err().map(ToString::to_string);
    let state = match form.text("to") {
        "new" => Some(State::New),
        "contacted" => Some(State::Contacted),
        "lost" => Some(State::Lost),
        _ => None,
    };
    // A form without a version that can be read counts as stale: no lead has this one.
    let version = form.text("version").parse().unwrap_or(-1);
    Some(Change { state, name: Some(name.ok()?), note: note.ok()?, version: Some(version) })
}

fn conflict(lead: &Lead, by: &ChangedBy) -> String {
    let who = match by {
        ChangedBy::Staff(name) => name.as_str(),
        ChangedBy::Unknown => "A member of staff whose account was deleted",
        ChangedBy::User if lead.state == State::Waiting => "The user, by trying to sign up,",
        ChangedBy::User => "The user, by entering a code,",
    };
    let state = lead_state(lead.state).to_lowercase();
    format!(
        "Nothing was saved: {who} changed this lead since you opened it. It is {state} now. What you typed is still below. \
         Check it and save again."
    )
}

/// `GET /admin/leads/{id}/verify`: asks before an account is made.
pub async fn ask_to_verify(visit: Visit<Staff>) -> PageResult {
    let lead = find(&visit).await?;
    let layout = visit.layout("Verify this number by hand?", Section::Leads);
    visit.page(StatusCode::OK, &VerifyPage { layout, id: lead.id, number: lead.phone.masked() })
}

#[derive(Template)]
#[template(path = "lead_verify.html")]
struct VerifyPage {
    layout: Layout,
    id: Uuid,
    number: String,
}

/// `POST /admin/leads/{id}/verify`
pub async fn verify(visit: Visit<Staff>, _form: Form) -> PageResult {
    let lead = find(&visit).await?;
    let here = format!("/admin/leads/{}", lead.id);
    let notice = match leads::verify(visit.services(), lead.phone, visit.permission()).await? {
        Verified::Done { is_new: true, .. } => {
            Notice::done("The number is verified and has an account now. The user can log in with a code.")
        }
        Verified::Done { is_converted: true, .. } => Notice::done(
            "The lead is verified. Its number had an account already. The user can log in with a code.",
        ),
        Verified::Done { .. } => Notice::done("The number was verified before. Nothing was changed."),
        Verified::Disabled => Notice::warning(
            "Nothing was changed: the account of this number is disabled. Activate it under People first.",
        ),
        Verified::Blocked => Notice::warning(
            "Nothing was changed: this number is blocked. An admin can end the block under Blocks.",
        ),
        Verified::ReviewNumber => Notice::warning(
            "Nothing was changed: this number is for app reviewers. Only its fixed code makes its account.",
        ),
    };
    visit.redirect(&here, notice)
}

/// `POST /admin/leads/{id}/resend`: sends a code by the chosen channel.
pub async fn resend(visit: Visit<Staff>, form: Form) -> PageResult {
    let lead = find(&visit).await?;
    let here = format!("/admin/leads/{}", lead.id);
    let channel: Option<Channel> = form.given("channel").and_then(|name| name.parse().ok());
    let resent = resend::resend(visit.services(), lead.phone, channel, visit.permission()).await?;
    let notice = match resent {
        Resent::Sent { .. } => Notice::done(resent.sentence()),
        _ => Notice::warning(resent.sentence()),
    };
    visit.redirect(&here, notice)
}

/// `POST /admin/leads/{id}/invite`: makes an invitation for this number.
pub async fn invite(visit: Visit<Staff>, _form: Form) -> PageResult {
    let lead = find(&visit).await?;
    let here = format!("/admin/leads/{}", lead.id);
    let services = visit.services();
    if lead.state == State::Converted || !services.signups.takes_invitations() {
        return visit.redirect(&here, Notice::warning("This number needs no invitation."));
    }
    let end = services.clock.now() + invitations::USUAL_LIFE;
    let new = NewInvitation::for_phone(lead.phone, end);
    let made = made_by_staff::make(services, new, visit.permission()).await?;
    invitations::show_once(&visit, &made, (&here, "Back to the lead"))
}

async fn find(visit: &Visit<Staff>) -> Result<Lead, PageError> {
    let id = visit.path_id("id").ok_or(PageError::NotFound)?;
    store::leads::find_by_id(&visit.services().store, id).await?.ok_or(PageError::NotFound)
}

async fn render(visit: &Visit<Staff>, lead: Lead, typed: Typed, status: StatusCode) -> PageResult {
    let services = visit.services();
    let db = &services.store;
    let account = store::leads::list_accounts(db, [&lead.phone]).await?.remove(&lead.phone);
    let notes = store::leads::list_notes(db, lead.id).await?;
    let changed_by = match lead.changed_by {
        Some(id) => Some(names::of_account(services, visit.who(), Some(id)).await?),
        None => None,
    };
    let phones = services.pseudonyms.phone_with_all(&lead.phone);
    let filter = Filter { phones: Some(phones), ..Filter::default() };
    let layout = visit.layout(format!("Lead {}", lead.phone.masked()), Section::Leads);
    let history = history::list(visit, &layout, &filter, HISTORY).await?;
    visit.note_shown(&lead.phone, account.as_ref().map(|account| account.id));
    let channels = channels(services, &lead.phone);
    let number = lead.phone.full().to_owned();
    let page = LeadPage {
        digits: number.trim_start_matches('+').to_owned(),
        phone_page: format!("/admin/phones/{}", utf8_percent_encode(&number, NON_ALPHANUMERIC)),
        number,
        has_name: lead.name.is_some() || account.as_ref().is_some_and(|account| account.name.is_some()),
        account,
        state: lead_state(lead.state),
        class: state_class(lead.state),
        is_converted: lead.state == State::Converted,
        may_invite: lead.state != State::Converted && services.signups.takes_invitations(),
        moves: moves(lead.state),
        channels,
        first: layout.time(lead.first_requested_at),
        last: layout.time(lead.last_requested_at),
        verified_at: layout.time_or_dash(&lead.converted_at),
        changed_at: layout.time_or_dash(&lead.changed_at),
        changed_by,
        notes: notes.into_iter().rev().map(|note| shown_note(note, &layout)).collect(),
        history,
        name: typed.name.clone().or_else(|| lead.name.clone()).unwrap_or_default(),
        typed,
        longest_name: LONGEST_NAME,
        longest_note: LONGEST_NOTE,
        lead,
        layout,
    };
    visit.page(status, &page)
}

/// The states that a lead in this state can be given, with the texts of their buttons.
fn moves(state: State) -> Vec<(&'static str, &'static str)> {
    let all = [
        (State::Contacted, "Save and mark contacted"),
        (State::Lost, "Save and mark lost"),
        (State::New, "Save and mark new again"),
    ];
    let others = all.into_iter().filter(|(next, _)| state != State::Converted && *next != state);
    others.map(|(next, text)| (next.as_str(), text)).collect()
}

/// The channels that are switched on, the usual one first.
fn channels(services: &Services, phone: &PhoneNumber) -> Vec<(&'static str, &'static str)> {
    let usual = services.channels.usual_for(phone);
    let others = Channel::ALL.into_iter().filter(|channel| *channel != usual);
    let on = std::iter::once(usual).chain(others).filter(|channel| services.channels.is_on(*channel));
    on.map(|channel| (channel.as_str(), channel_name(channel))).collect()
}

fn channel_name(channel: Channel) -> &'static str {
    match channel {
        Channel::Sms => "SMS",
        Channel::WhatsApp => "WhatsApp",
        Channel::Call => "A call",
    }
}

fn shown_note(note: Note, layout: &Layout) -> ShownNote {
    let author = match note.author_name {
        name if name.is_empty() => "Author not known".to_owned(),
        name => name,
    };
    ShownNote { author, text: note.text, at: layout.time(note.at) }
}
