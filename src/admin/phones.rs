//! The phone page: why a user is not signed in, what to tell them, what staff can do, and what happened. It exists for every
//! phone, also for an unknown one.

use std::sync::Arc;

use askama::Template;
use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use poem::http::StatusCode;

use super::{Console, Form, Layout, Notice, PageResult, Section, Staff, Visit, search, terms};
use crate::{
    domain::{
        account::Account,
        budget::{Budget, Prefix, PrefixName, Spent},
        lead::Lead,
        phone::PhoneNumber,
        timeline::{TimelineEntry, Tone},
        verdict::{Case, Limit, Verdict, by_channel},
    },
    flows::{
        Services, console,
        leads::{self, Verified},
        phone_report::{self, PhoneReport},
        prefixes, resend, unlock,
    },
};

/// How often the page looks for news while a message is under way, in seconds.
const REFRESH_SECONDS: u32 = 5;

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console
        .get("/admin/phones/:number", show)
        .get("/admin/phones/:number/live", live)
        .post("/admin/phones/:number/resend", resend)
        .post("/admin/phones/:number/unlock", unlock)
        .post("/admin/phones/:number/open-prefix", open_prefix)
        .post("/admin/phones/:number/verify", verify)
}

#[derive(Template)]
#[template(path = "phone.html")]
struct PhonePage {
    layout: Layout,
    path: String,
    /// The number whole.
    number: String,
    verdict: Verdict,
    timeline: Vec<Line>,
    account: Option<Account>,
    former: Option<Account>,
    lead: Option<Lead>,
    limits: Vec<LimitRow>,
    prefix: Option<Prefix>,
    /// The buttons that send a code: the word and the text of each channel.
    channels: Vec<(&'static str, &'static str)>,
    is_locked: bool,
    opens_prefix: bool,
    /// Whether the phone can be verified by hand: it has no account yet.
    may_verify: bool,
    /// `data-refresh`, while more may become known.
    refresh: Option<u32>,
    /// The token of an opening that is in the audit log, for the refresh.
    shown: String,
}

/// A line of the timeline.
struct Line {
    class: &'static str,
    entry: TimelineEntry,
}

/// A limit that is used, as the table shows it.
struct LimitRow {
    name: String,
    network: Option<String>,
    used: i64,
    most: i64,
    is_spent: bool,
    until: Option<DateTime<Utc>>,
}

impl PhonePage {
    fn new(services: &Services, layout: Layout, report: PhoneReport, shown: String) -> Self {
        let PhoneReport { phone, verdict, timeline, account, former, lead, limits } = report;
        let channels = services.channels.on.iter().filter(|_| verdict.case.may_send());
        let closed = limits.prefix.as_ref().is_some_and(|prefix| prefix.closed_until.is_some());
        let is_prefix = matches!(verdict.case, Case::Limited(Limit::PrefixClosed { .. }, _));
        Self {
            path: search::phone_page(&phone),
            number: phone.full().to_owned(),
            is_locked: limits.spent.iter().any(Spent::is_lock),
            opens_prefix: is_prefix || closed,
            may_verify: account.is_none() && !matches!(verdict.case, Case::Stopped(_)),
            refresh: verdict.case.is_under_way().then_some(REFRESH_SECONDS),
            limits: limits.spent.into_iter().map(limit_row).collect(),
            prefix: limits.prefix,
            channels: channels.map(|channel| (channel.as_str(), by_channel(*channel))).collect(),
            timeline: timeline.into_iter().map(line).collect(),
            layout,
            shown,
            verdict,
            account,
            former,
            lead,
        }
    }
}

fn line(entry: TimelineEntry) -> Line {
    let class = match entry.tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Plain => "plain",
    };
    Line { class, entry }
}

fn limit_row(spent: Spent) -> LimitRow {
    let Spent { budget, network, used, most, is_spent, until, window } = spent;
    let name = match window {
        Some(seconds) if budget != Budget::Cooldown => {
            format!("{} per {}", terms::limit(budget), terms::span(seconds))
        }
        Some(_) | None => terms::limit(budget).to_owned(),
    };
    LimitRow { name, network, used, most, is_spent, until }
}

async fn show(visit: Visit<Staff>) -> PageResult {
    let Ok(phone) = phone(&visit) else {
        return search::not_a_number(&visit, &text(&visit));
    };
    let report = phone_report::report(visit.services(), &phone, &visit.permission()).await?;
    let account = report.account.as_ref().map(|account| account.id);
    let shown = console::note_page_opened(visit.services(), visit.who(), &phone, account, visit.permission());
    let layout = visit.layout(phone.full(), Section::None);
    visit.page(StatusCode::OK, &PhonePage::new(visit.services(), layout, report, shown))
}

/// The same page for the script that refreshes it. With the token of a page that was opened a short time ago it is not recorded
/// again.
async fn live(visit: Visit<Staff>) -> PageResult {
    let Ok(phone) = phone(&visit) else {
        return search::not_a_number(&visit, &text(&visit));
    };
    let report = phone_report::report(visit.services(), &phone, &visit.permission()).await?;
    let account = report.account.as_ref().map(|account| account.id);
    let token = visit.query().text("shown").to_owned();
    let shown = console::note_page_refreshed(
        visit.services(),
        visit.who(),
        &phone,
        account,
        &token,
        visit.permission(),
    );
    let layout = visit.layout(phone.full(), Section::None);
    visit.page(StatusCode::OK, &PhonePage::new(visit.services(), layout, report, shown))
}

async fn resend(visit: Visit<Staff>, form: Form) -> PageResult {
    let Ok(phone) = phone(&visit) else {
        return search::not_a_number(&visit, &text(&visit));
    };
    let channel = match form.given("channel").map(str::parse) {
        None => None,
        Some(Ok(channel)) => Some(channel),
        Some(Err(_)) => {
            return visit.redirect(&search::phone_page(&phone), Notice::warning("There is no such channel."));
        }
    };
    let resent = resend::resend(visit.services(), phone.clone(), channel, visit.permission()).await?;
    let notice = match resent {
        resend::Resent::Sent { .. } => Notice::done(resent.sentence()),
        resend::Resent::TooSoon { .. }
        | resend::Resent::Locked(_)
        | resend::Resent::Limited(_)
        | resend::Resent::NotServed(_)
        | resend::Resent::Disabled
        | resend::Resent::ReviewNumber
        | resend::Resent::ChannelOff(_)
        | resend::Resent::Failed(_) => Notice::warning(resent.sentence()),
    };
    visit.redirect(&search::phone_page(&phone), notice)
}

async fn unlock(visit: Visit<Staff>, _form: Form) -> PageResult {
    let Ok(phone) = phone(&visit) else {
        return search::not_a_number(&visit, &text(&visit));
    };
    let unlocked = unlock::unlock(visit.services(), phone.clone(), visit.permission()).await?;
    let notice = if unlocked.0.is_empty() {
        Notice::done("This number was not locked.")
    } else {
        Notice::done("The number is unlocked. The user can ask for a code now.")
    };
    visit.redirect(&search::phone_page(&phone), notice)
}

async fn open_prefix(visit: Visit<Staff>, _form: Form) -> PageResult {
    let Ok(phone) = phone(&visit) else {
        return search::not_a_number(&visit, &text(&visit));
    };
    let name = phone.prefix().and_then(|prefix| prefix.parse::<PrefixName>().ok());
    let opened = match name {
        Some(name) => prefixes::open(visit.services(), name, None, visit.permission()).await?,
        None => Vec::new(),
    };
    let notice = if opened.is_empty() {
        Notice::warning("No message was ever sent to numbers that begin like this one.")
    } else {
        Notice::done("Numbers that begin like this one get codes again.")
    };
    visit.redirect(&search::phone_page(&phone), notice)
}

async fn verify(visit: Visit<Staff>, form: Form) -> PageResult {
    let Ok(phone) = phone(&visit) else {
        return search::not_a_number(&visit, &text(&visit));
    };
    let page = search::phone_page(&phone);
    if form.text("sure") != "yes" {
        let sentence = "Nothing was changed: make sure that the caller owns this number, and tick the box.";
        return visit.redirect(&page, Notice::warning(sentence));
    }
    let notice = match leads::verify(visit.services(), phone, visit.permission()).await? {
        Verified::Done { is_new: true, .. } => {
            Notice::done("The number is verified and has an account now. The user can log in with a code.")
        }
        Verified::Done { is_new: false, .. } => Notice::done("The number had an account already."),
        Verified::Blocked => Notice::warning("Nothing was changed: staff blocked this number."),
        Verified::Disabled => Notice::warning("Nothing was changed: the account is disabled."),
        Verified::ReviewNumber => Notice::warning("Nothing was changed: this number is for app review."),
    };
    visit.redirect(&page, notice)
}

/// The text in the path. A browser writes spaces as `%20`, and a plus as it is.
fn text(visit: &Visit<Staff>) -> String {
    percent_decode_str(visit.path("number")).decode_utf8_lossy().into_owned()
}

fn phone(visit: &Visit<Staff>) -> Result<PhoneNumber, crate::domain::phone::PhoneError> {
    let services: &Arc<Services> = visit.services();
    PhoneNumber::parse(&text(visit), services.region)
}
