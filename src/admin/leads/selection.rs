//! Acts on the selected leads of the list. What makes accounts or sends messages is confirmed on a page of its own.

use askama::Template;
use poem::http::StatusCode;

use super::{list_with, state_class};
use crate::{
    admin::{Form, Layout, Notice, PageResult, Section, Staff, Visit, terms::lead_state},
    domain::lead::{Lead, MOST_SELECTED, State},
    flows::leads::{Act, Outcome, Outcomes, Selected, act_on},
    store,
};

/// How many of the selected leads a page that asks lists.
const MOST_LISTED: usize = 20;

/// The acts, by the values of the buttons.
fn act_of(name: &str) -> Option<Act> {
    match name {
        "contacted" => Some(Act::Move(State::Contacted)),
        "lost" => Some(Act::Move(State::Lost)),
        "new" => Some(Act::Move(State::New)),
        "verify" => Some(Act::Verify),
        "resend" => Some(Act::Resend),
        _ => None,
    }
}

#[derive(Template)]
#[template(path = "leads_confirm.html")]
struct ConfirmPage {
    layout: Layout,
    act: &'static str,
    /// Every selected lead with the version that the page shows.
    selected: Vec<String>,
    /// The first of them.
    rows: Vec<Row>,
    /// How many others there are.
    others: usize,
    back: String,
    cancel: String,
}

/// A selected lead, as a list shows it.
struct Row {
    id: String,
    number: String,
    name: Option<String>,
    state: &'static str,
    class: &'static str,
}

/// A lead in the form: its id, and the version that was seen.
fn read(text: &str) -> Option<Selected> {
    let (id, version) = text.split_once(':').map_or((text, None), |(id, version)| (id, Some(version)));
    // A version that cannot be read counts as stale: no lead has this one.
    let version = version.map(|version| version.parse().unwrap_or(-1));
    Some(Selected { id: id.parse().ok()?, version })
}

/// `POST /admin/leads/act`
pub async fn act(visit: Visit<Staff>, form: Form) -> PageResult {
    let back = list_with(form.text("back"));
    let mut selected: Vec<Selected> = form.all("id").filter_map(read).collect();
    selected.sort_unstable();
    selected.dedup_by_key(|lead| lead.id);
    let Some(act) = act_of(form.text("act")) else {
        return visit.redirect(&back, Notice::warning("Choose what to do with the selected leads."));
    };
    if selected.is_empty() {
        return visit.redirect(&back, Notice::warning("Select at least one lead first."));
    }
    if selected.len() > MOST_SELECTED {
        let text = format!("Nothing was done: select at most {MOST_SELECTED} leads at once.");
        return visit.redirect(&back, Notice::warning(text));
    }
    let is_asked = matches!(act, Act::Verify | Act::Resend);
    if is_asked && form.text("confirmed") != "yes" {
        return ask(&visit, &form, act, selected, back).await;
    }
    let outcomes = act_on(visit.services(), selected, act, visit.permission()).await?;
    visit.redirect(&back, notice(act, &outcomes))
}

/// The page that asks before accounts are made or messages are sent.
async fn ask(
    visit: &Visit<Staff>,
    form: &Form,
    act: Act,
    selected: Vec<Selected>,
    cancel: String,
) -> PageResult {
    let ids: Vec<_> = selected.iter().map(|lead| lead.id).collect();
    let mut found = store::leads::list_by_ids(&visit.services().store, ids).await?;
    if found.is_empty() {
        return visit.redirect(&cancel, Notice::warning("The selected leads are no longer there."));
    }
    found.sort_by_key(|lead| std::cmp::Reverse((lead.last_requested_at, lead.id)));
    let (title, act) = match act {
        Act::Resend => (format!("Send a code to {}?", leads(found.len())), "resend"),
        Act::Verify | Act::Move(_) => (format!("Verify {} by hand?", leads(found.len())), "verify"),
    };
    let page = ConfirmPage {
        layout: visit.layout(title, Section::Leads),
        act,
        selected: found.iter().map(|lead| format!("{}:{}", lead.id, lead.version)).collect(),
        rows: found.iter().take(MOST_LISTED).map(row).collect(),
        others: found.len().saturating_sub(MOST_LISTED),
        back: form.text("back").to_owned(),
        cancel,
    };
    visit.page(StatusCode::OK, &page)
}

fn row(lead: &Lead) -> Row {
    Row {
        id: lead.id.to_string(),
        number: lead.phone.masked(),
        name: lead.name.clone(),
        state: lead_state(lead.state),
        class: state_class(lead.state),
    }
}

fn leads(count: usize) -> String {
    if count == 1 { "1 lead".to_owned() } else { format!("{count} leads") }
}

/// A sentence with the count of each outcome.
fn notice(act: Act, outcomes: &Outcomes) -> Notice {
    let (done, already) = match act {
        Act::Move(State::New) => ("marked new", "new already"),
        Act::Move(State::Waiting) => ("marked waiting", "waiting already"),
        Act::Move(State::Contacted) => ("marked contacted", "contacted already"),
        Act::Move(State::Lost) => ("marked lost", "lost already"),
        Act::Move(State::Converted) | Act::Verify => ("verified by hand", "verified already"),
        Act::Resend => ("sent a code", ""),
    };
    let words = [
        (Outcome::Done, done),
        (Outcome::Already, already),
        (Outcome::IsConverted, "verified, so the state stays"),
        (Outcome::Busy, "left out: changed after you selected it, so look at it again"),
        (Outcome::Disabled, "left out: the account is disabled"),
        (Outcome::Blocked, "left out: the number is blocked"),
        (Outcome::ReviewNumber, "left out: a number for app reviewers"),
        (Outcome::TooSoon, "left out: the last code was a moment ago"),
        (Outcome::NotSent, "not sent: open the lead to see why"),
        (Outcome::NotFound, "no longer there"),
        (Outcome::NotTried, "not tried, because the database failed: try again"),
    ];
    let counted = words.into_iter().map(|(outcome, words)| (outcomes.count(outcome), words));
    let parts: Vec<String> = counted
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{}: {words}", leads(count)))
        .collect();
    let text = format!("{}.", parts.join("; "));
    let is_fine = outcomes.count(Outcome::Done) + outcomes.count(Outcome::Already) == outcomes.0.len();
    if is_fine { Notice::done(text) } else { Notice::warning(text) }
}
