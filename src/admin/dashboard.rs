//! The first page: how far users came in the last days, and what the operator should know. It reads the daily counts, and
//! counts of an index that stop at 10,000.

mod chart;

use std::collections::BTreeMap;

use askama::Template;
use chrono::NaiveDate;
use poem::http::StatusCode;

use self::chart::Chart;
use super::{
    Console, Layout, PageError, PageResult, Section, Staff, Visit,
    figures::{grouped, money, with_grouped_end},
    page::Time,
    terms,
};
use crate::{
    domain::{
        budget::{BudgetKey, BudgetRow, Odds, OneIn, Wanted},
        keyset::Count,
        lead::State,
        signups::Signups,
        statistics::{Costs, Counted, Day, DayCounts, Funnel, Period},
        users::{Number, PageOf, Size},
    },
    flows::Services,
    store,
};

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console.get("/admin", show)
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Dashboard {
    layout: Layout,
    is_admin: bool,
    counted_at: Option<Time>,
    today: [(&'static str, String); 4],
    chart: Option<Chart>,
    days: Vec<DayRow>,
    leads: Vec<LeadState>,
    refusals: Vec<PeriodRow>,
    locks: [PeriodRow; 1],
    costs: Vec<PeriodRow>,
    unpriced: String,
    closed: Vec<ClosedPrefix>,
    closed_count: String,
    odds: Vec<(&'static str, String)>,
    address_hours: Option<String>,
}

/// A day of the funnel. Without numbers it was not counted.
struct DayRow {
    date: String,
    numbers: Option<[String; 4]>,
}

struct LeadState {
    name: &'static str,
    href: String,
    count: String,
}

/// A number for today, for 7 and for 30 days.
struct PeriodRow {
    name: String,
    numbers: [String; 3],
}

struct ClosedPrefix {
    prefix: String,
    country: String,
    until: Time,
}

async fn show(visit: Visit<Staff>) -> PageResult {
    let services = visit.services();
    let (db, now) = (&services.store, services.clock.now());
    let today = Day::at(now, services.zone).date;
    let first = Period::Month.begins(today);
    let counted = store::statistics::list_counted(db, first).await?;
    let costs = store::statistics::list_costs(db, (first, today)).await?;
    let layout = visit.layout("Dashboard", Section::Dashboard);
    let (closed, closed_count) = closed(services, &layout).await?;
    let odds = Odds::from_policies(&services.otp, &services.budgets);
    let days = dates(first, today);
    let funnels: BTreeMap<NaiveDate, Funnel> =
        counted.iter().map(|(counted, counts)| (counted.day.date, counts.funnel)).collect();
    let (costs, unpriced) = cost_rows(&costs, today);
    let page = Dashboard {
        is_admin: visit.is_admin(),
        counted_at: counted.last().map(|(counted, _)| layout.time(counted.at)),
        today: steps(funnels.get(&today).copied().unwrap_or_default()),
        chart: drawing(&days, &funnels),
        days: day_rows(&days, &funnels),
        leads: leads(services).await?,
        refusals: refusal_rows(&counted, today),
        locks: [lock_row(&counted, today)],
        costs,
        unpriced,
        closed,
        closed_count: grouped(closed_count),
        odds: odds_rows(&odds),
        address_hours: odds.address_hours.map(|hours| with_grouped_end(&format!("{hours:.0}"))),
        layout,
    };
    visit.page(StatusCode::OK, &page)
}

fn dates(first: NaiveDate, last: NaiveDate) -> Vec<NaiveDate> {
    first.iter_days().take_while(|date| *date <= last).collect()
}

fn steps(funnel: Funnel) -> [(&'static str, String); 4] {
    [
        ("Phones that asked", grouped(funnel.asked)),
        ("got the code", grouped(funnel.delivered)),
        ("typed it", grouped(funnel.verified)),
        ("have a complete profile", grouped(funnel.completed)),
    ]
}

fn short(date: NaiveDate) -> String {
    date.format("%-d %b").to_string()
}

/// The drawing; none as long as no code was asked for.
fn drawing(days: &[NaiveDate], funnels: &BTreeMap<NaiveDate, Funnel>) -> Option<Chart> {
    if funnels.values().all(|funnel| funnel.asked == 0) {
        return None;
    }
    let day = |date: &NaiveDate| {
        let funnel = funnels.get(date).copied().unwrap_or_default();
        let Funnel { asked, delivered, verified, completed } = funnel;
        let name = short(*date);
        let title = format!(
            "{name}: {} asked, {} delivered, {} verified, {} completed",
            grouped(asked),
            grouped(delivered),
            grouped(verified),
            grouped(completed)
        );
        (name, title, funnel)
    };
    Some(Chart::new(days.iter().map(day).collect()))
}

/// The table behind the drawing, the newest day first.
fn day_rows(days: &[NaiveDate], funnels: &BTreeMap<NaiveDate, Funnel>) -> Vec<DayRow> {
    let numbers =
        |funnel: &Funnel| [funnel.asked, funnel.delivered, funnel.verified, funnel.completed].map(grouped);
    let row = |date: &NaiveDate| DayRow {
        date: date.format("%-d %b %Y").to_string(),
        numbers: funnels.get(date).map(numbers),
    };
    days.iter().rev().map(row).collect()
}

async fn leads(services: &Services) -> Result<Vec<LeadState>, PageError> {
    let most = i64::try_from(Count::MOST + 1).unwrap_or(i64::MAX);
    let mut states = Vec::new();
    for state in State::ALL {
        let count = store::statistics::count_leads(&services.store, state, most).await?;
        // Where everybody may sign up, nobody waits.
        if state == State::Waiting && count == 0 && services.signups == Signups::Open {
            continue;
        }
        states.push(LeadState {
            name: terms::lead_state(state),
            href: format!("/admin/leads?state={}", state.as_str()),
            count: Count::new(count.unsigned_abs()).to_string(),
        });
    }
    Ok(states)
}

/// Sums a number of days for each period.
fn sums<T>(days: &[(NaiveDate, T)], today: NaiveDate, number: impl Fn(&T) -> i64) -> [i64; 3] {
    Period::ALL.map(|period| {
        let begins = period.begins(today);
        days.iter().filter(|(date, _)| *date >= begins).map(|(_, day)| number(day)).sum()
    })
}

fn by_date(counted: &[(Counted, DayCounts)]) -> Vec<(NaiveDate, &DayCounts)> {
    counted.iter().map(|(counted, counts)| (counted.day.date, counts)).collect()
}

/// The refusals by reason, the most frequent of the month first.
fn refusal_rows(counted: &[(Counted, DayCounts)], today: NaiveDate) -> Vec<PeriodRow> {
    let days = by_date(counted);
    let mut names: Vec<&String> = days.iter().flat_map(|(_, counts)| counts.refusals.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let sums = |name: &String| sums(&days, today, |counts| counts.refusals.get(name).copied().unwrap_or(0));
    let mut rows: Vec<_> = names.into_iter().map(|name| (name, sums(name))).collect();
    rows.sort_by_key(|(_, [.., month])| std::cmp::Reverse(*month));
    let row = |(name, numbers): (&String, [i64; 3])| PeriodRow {
        name: terms::refusal(name).to_owned(),
        numbers: numbers.map(grouped),
    };
    rows.into_iter().map(row).collect()
}

fn lock_row(counted: &[(Counted, DayCounts)], today: NaiveDate) -> PeriodRow {
    let numbers = sums(&by_date(counted), today, |counts| counts.locks).map(grouped);
    PeriodRow { name: "Phones locked by wrong codes".to_owned(), numbers }
}

/// The costs by currency, and how many messages of the month have no price.
fn cost_rows(days: &[(NaiveDate, Costs)], today: NaiveDate) -> (Vec<PeriodRow>, String) {
    let mut month = Costs::default();
    for (_, costs) in days {
        month.merge(costs);
    }
    let row = |currency: &String| {
        let numbers = sums(days, today, |costs| costs.by_currency.get(currency).copied().unwrap_or(0));
        PeriodRow { name: currency.clone(), numbers: numbers.map(|micros| money(micros, currency)) }
    };
    (month.by_currency.keys().map(row).collect(), grouped(month.messages - month.priced))
}

/// The prefixes that are closed now, those with the most messages first, and how many there are.
async fn closed(services: &Services, layout: &Layout) -> Result<(Vec<ClosedPrefix>, u64), PageError> {
    let (Ok(number), Ok(size)) = (Number::parse(None), Size::parse(Some("10"))) else {
        return Ok((Vec::new(), 0));
    };
    let (page, now) = (PageOf::new(number, size), services.clock.now());
    let (rows, count) = store::prefixes::list_page(&services.store, Wanted::Closed, page, now).await?;
    let prefix = |row: BudgetRow| {
        let BudgetKey::Prefix(prefix) = row.key else { return None };
        Some(ClosedPrefix {
            prefix: prefix.prefix.to_string(),
            country: prefix.country,
            until: layout.time(row.closed_until?),
        })
    };
    Ok((rows.into_iter().filter_map(prefix).collect(), count))
}

fn odds_rows(odds: &Odds) -> Vec<(&'static str, String)> {
    let chance = |chance: f64| with_grouped_end(&OneIn(chance).to_string());
    vec![
        ("One account, in a day", chance(odds.in_a_day)),
        ("One account, between two sign-ins a month apart", chance(odds.between_sign_ins)),
        ("One account, in a year", chance(odds.in_a_year)),
        (
            "Accounts opened when one code is tried out at each of a million phones",
            with_grouped_end(&format!("{:.0}", odds.of_a_million)),
        ),
    ]
}
