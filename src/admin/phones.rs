//! The phone page: why a user is not signed in, what to tell them, what staff can do, and what happened. It exists for every
//! phone, also for an unknown one.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use poem::http::StatusCode;
use uuid::Uuid;

use super::{
    Console, Form, Layout, Notice, PageResult, Section, Staff, Visit, figures::grouped, names, search, terms,
};
use crate::{
    domain::{
        account::Account,
        block::{Block, Target},
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
    /// The account that left the number for another one, and when.
    mover: Option<(Account, DateTime<Utc>)>,
    block: Option<BlockCard>,
    lead: Option<LeadCard>,
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

/// The block that applies, as staff may read it. Only admins open the page of a block.
struct BlockCard {
    block: Block,
    made_by: String,
    href: Option<String>,
}

impl BlockCard {
    fn what(&self) -> String {
        let value = self.block.target.value();
        match self.block.target {
            Target::Phone(_) => "this number".to_owned(),
            Target::Prefix(_) => format!("all numbers that begin with {value}"),
            Target::Country(_) => format!("all numbers of this country ({value})"),
            Target::Address(_) => format!("the network of the last request ({value})"),
        }
    }
}

struct LeadCard {
    lead: Lead,
    state: &'static str,
    requests: String,
}

/// A line of the timeline.
struct Line {
    class: &'static str,
    entry: TimelineEntry,
    /// The member of staff who did it: the name and the page.
    by: Option<(String, String)>,
}

/// A limit that is used, as the table shows it.
struct LimitRow {
    name: String,
    network: Option<String>,
    used: String,
    most: String,
    is_spent: bool,
    until: Option<DateTime<Utc>>,
}

impl PhonePage {
    fn new(visit: &Visit<Staff>, report: PhoneReport, names: &Names, shown: String) -> Self {
        let (services, is_admin) = (visit.services(), visit.is_admin());
        let PhoneReport { phone, verdict, timeline, account, former, mover, block, lead, limits } = report;
        let layout = visit.layout(phone.full(), Section::None);
        let channels = services.channels.on.iter().filter(|_| verdict.case.may_send());
        let closed = limits.prefix.as_ref().is_some_and(|prefix| prefix.closed_until.is_some());
        let is_prefix = matches!(verdict.case, Case::Limited(Limit::PrefixClosed { .. }, _));
        Self {
            path: search::phone_page(&phone),
            number: phone.full().to_owned(),
            is_locked: limits.spent.iter().any(Spent::is_lock),
            opens_prefix: is_prefix || closed,
            may_verify: account.is_none() && verdict.case.may_verify(),
            refresh: verdict.case.is_under_way().then_some(REFRESH_SECONDS),
            limits: limits.spent.into_iter().map(limit_row).collect(),
            prefix: limits.prefix,
            channels: channels.map(|channel| (channel.as_str(), by_channel(*channel))).collect(),
            timeline: timeline.into_iter().map(|entry| line(entry, names)).collect(),
            block: block.map(|block| block_card(block, names, is_admin)),
            lead: lead.map(lead_card),
            layout,
            shown,
            verdict,
            account,
            former,
            mover,
        }
    }
}

/// The names of staff by their ids.
type Names = HashMap<Uuid, String>;

fn called(names: &Names, id: Uuid) -> String {
    names.get(&id).map_or(names::DELETED, String::as_str).to_owned()
}

fn block_card(block: Block, names: &Names, is_admin: bool) -> BlockCard {
    let made_by = block.made_by.map_or_else(|| "the command line".to_owned(), |id| called(names, id));
    let href = is_admin.then(|| format!("/admin/blocks/{}", block.id));
    BlockCard { block, made_by, href }
}

fn lead_card(lead: Lead) -> LeadCard {
    LeadCard { state: terms::lead_state(lead.state), requests: grouped(lead.requests), lead }
}

fn line(entry: TimelineEntry, names: &Names) -> Line {
    let class = match entry.tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Plain => "plain",
    };
    let by = entry.staff.map(|id| (called(names, id), format!("/admin/people/{id}")));
    Line { class, entry, by }
}

fn limit_row(spent: Spent) -> LimitRow {
    let Spent { budget, network, used, most, is_spent, until, window } = spent;
    let name = match window {
        Some(seconds) if budget != Budget::Cooldown => {
            format!("{} per {}", terms::limit(budget), terms::span(seconds))
        }
        Some(_) | None => terms::limit(budget).to_owned(),
    };
    LimitRow { name, network, used: grouped(used), most: grouped(most), is_spent, until }
}

async fn show(visit: Visit<Staff>) -> PageResult {
    let Ok(phone) = phone(&visit) else {
        return search::not_a_number(&visit, &text(&visit));
    };
    let report = phone_report::report(visit.services(), &phone, &visit.permission()).await?;
    let account = report.account.as_ref().map(|account| account.id);
    let shown = console::note_page_opened(visit.services(), visit.who(), &phone, account, visit.permission());
    page(&visit, report, shown).await
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
    page(&visit, report, shown).await
}

async fn page(visit: &Visit<Staff>, report: PhoneReport, shown: String) -> PageResult {
    let of_timeline = report.timeline.iter().filter_map(|entry| entry.staff);
    let of_block = report.block.as_ref().and_then(|block| block.made_by);
    let staff = of_timeline.chain(of_block).collect();
    let names = names::of_accounts(visit.services(), visit.who(), staff).await?;
    visit.page(StatusCode::OK, &PhonePage::new(visit, report, &names, shown))
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
