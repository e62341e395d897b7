//! Acts on the selected leads of the list. What makes accounts or sends messages is confirmed on a page of its own.

use askama::Template;
use poem::http::StatusCode;
use uuid::Uuid;

use super::list_with;
use crate::{
    admin::{Form, Layout, Notice, PageResult, Section, Staff, Visit},
    domain::lead::{MOST_SELECTED, State},
    flows::leads::{Act, Outcome, Outcomes, act_on},
};

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
    ids: Vec<Uuid>,
    back: String,
    cancel: String,
}

/// `POST /admin/leads/act`
pub async fn act(visit: Visit<Staff>, form: Form) -> PageResult {
    let back = list_with(form.text("back"));
    let mut ids: Vec<Uuid> = form.all("id").filter_map(|id| id.parse().ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    let Some(act) = act_of(form.text("act")) else {
        return visit.redirect(&back, Notice::warning("Choose what to do with the selected leads."));
    };
    if ids.is_empty() {
        return visit.redirect(&back, Notice::warning("Select at least one lead first."));
    }
    if ids.len() > MOST_SELECTED {
        let text = format!("Nothing was done: select at most {MOST_SELECTED} leads at once.");
        return visit.redirect(&back, Notice::warning(text));
    }
    let question = match act {
        Act::Verify => Some((format!("Verify {} by hand?", leads(ids.len())), "verify")),
        Act::Resend => Some((format!("Send a code to {}?", leads(ids.len())), "resend")),
        Act::Move(_) => None,
    };
    if let Some((title, act)) = question.filter(|_| form.text("confirmed") != "yes") {
        let page = ConfirmPage {
            layout: visit.layout(title, Section::Leads),
            act,
            ids,
            back: form.text("back").to_owned(),
            cancel: back,
        };
        return visit.page(StatusCode::OK, &page);
    }
    let outcomes = act_on(visit.services(), ids, act, visit.permission()).await?;
    visit.redirect(&back, notice(act, &outcomes))
}

fn leads(count: usize) -> String {
    if count == 1 { "1 lead".to_owned() } else { format!("{count} leads") }
}

/// A sentence with the count of each outcome.
fn notice(act: Act, outcomes: &Outcomes) -> Notice {
    let (done, already) = match act {
        Act::Move(State::New) => ("marked new", "new already"),
        Act::Move(State::Contacted) => ("marked contacted", "contacted already"),
        Act::Move(State::Lost) => ("marked lost", "lost already"),
        Act::Move(State::Converted) | Act::Verify => ("verified by hand", "verified already"),
        Act::Resend => ("sent a code", ""),
    };
    let words = [
        (Outcome::Done, done),
        (Outcome::Already, already),
        (Outcome::IsConverted, "verified, so the state stays"),
        (Outcome::Busy, "changed by others at the same time: try again"),
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
