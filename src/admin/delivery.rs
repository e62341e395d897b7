//! Delivery at a glance: by country, channel and provider how many messages arrived and were answered, and how fast. It reads the daily
//! counts only.

use askama::Template;
use poem::http::StatusCode;

use super::{
    Console, Layout, PageResult, Section, Staff, Visit,
    figures::{Compared, grouped},
    page::Time,
    terms,
};
use crate::{
    domain::statistics::{Counts, Day, Glance, GlanceRow, Period, Place, Quantile, Share},
    store,
};

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console.get("/admin/delivery", show)
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct Delivery {
    layout: Layout,
    periods: Vec<Choice>,
    error: Option<String>,
    title: &'static str,
    compared: &'static str,
    rows: Vec<Row>,
    failures: Vec<(&'static str, String)>,
    counted_at: Option<Time>,
    is_today: bool,
}

struct Choice {
    href: String,
    text: &'static str,
    is_current: bool,
}

struct Row {
    country: String,
    channel: &'static str,
    provider: &'static str,
    /// A link to its messages, if the row is of one country.
    href: Option<String>,
    messages: String,
    delivered: Compared,
    delivered_median: Compared,
    delivered_95: Compared,
    verified: Compared,
    verified_median: Compared,
    verified_95: Compared,
}

impl Row {
    fn of(place: &Place, row: &GlanceRow) -> Self {
        let Place { region, channel, provider } = place;
        let channel_name = channel.as_str();
        let href = format!("/admin/messages?country={region}&channel={channel_name}&provider={provider}");
        Self {
            channel: terms::channel(*channel),
            provider: terms::provider(provider),
            href: Some(href),
            ..Self::of_all(region.clone(), row)
        }
    }

    fn of_all(country: String, row: &GlanceRow) -> Self {
        let GlanceRow { now, before } = row;
        let delivered = |counts: &Counts| Share::new(counts.delivered, counts.messages);
        let verified = |counts: &Counts| Share::new(counts.verified, counts.codes);
        let delivered_in = |quantile| {
            Compared::time(now.delivered_in.quantile(quantile), before.delivered_in.quantile(quantile))
        };
        let verified_in = |quantile| {
            Compared::time(now.verified_in.quantile(quantile), before.verified_in.quantile(quantile))
        };
        Self {
            country,
            channel: "all channels",
            provider: "all",
            href: None,
            messages: grouped(now.messages),
            delivered: Compared::share(delivered(now), delivered(before)),
            delivered_median: delivered_in(Quantile::Median),
            delivered_95: delivered_in(Quantile::Percentile95),
            verified: Compared::share(verified(now), verified(before)),
            verified_median: verified_in(Quantile::Median),
            verified_95: verified_in(Quantile::Percentile95),
        }
    }
}

/// The name of a period, and what it is compared with.
fn names(period: Period) -> (&'static str, &'static str) {
    match period {
        Period::Today => ("Today", "the 7 days before"),
        Period::Week => ("7 days", "the 7 days before"),
        Period::Month => ("30 days", "the 30 days before"),
    }
}

async fn show(visit: Visit<Staff>) -> PageResult {
    let services = visit.services();
    let asked = visit.query().given("period");
    let (period, error) = match asked.map(str::parse::<Period>) {
        None => (Period::Week, None),
        Some(Ok(period)) => (period, None),
        Some(Err(_)) => {
            (Period::Week, Some("There is no such period. These are the last 7 days.".to_owned()))
        }
    };
    let today = Day::at(services.clock.now(), services.zone).date;
    let time = (period.compared_from(today), today);
    let days = store::statistics::list_messages(&services.store, time).await?;
    let counted = store::statistics::list_counted(&services.store, today).await?;
    let glance = Glance::new(days, period, today);
    let layout = visit.layout("Delivery", Section::Delivery);
    let (title, compared) = names(period);
    let page = Delivery {
        periods: choices(period),
        error,
        title,
        compared,
        rows: rows(&glance),
        failures: failures(&glance.all.now),
        counted_at: counted.last().map(|(counted, _)| layout.time(counted.at)),
        is_today: period == Period::Today,
        layout,
    };
    visit.page(StatusCode::OK, &page)
}

fn choices(current: Period) -> Vec<Choice> {
    let choice = |period: Period| Choice {
        href: format!("/admin/delivery?period={}", period.as_str()),
        text: names(period).0,
        is_current: period == current,
    };
    Period::ALL.map(choice).into()
}

/// All messages first, then each country, channel and provider.
fn rows(glance: &Glance) -> Vec<Row> {
    if glance.rows.is_empty() {
        return Vec::new();
    }
    let mut rows = vec![Row::of_all("All countries".to_owned(), &glance.all)];
    rows.extend(glance.rows.iter().map(|(place, row)| Row::of(place, row)));
    rows.extend(glance.others.iter().map(|(places, row)| Row::of_all(format!("{places} others"), row)));
    rows
}

/// Why messages were lost, the most frequent reason first.
fn failures(counts: &Counts) -> Vec<(&'static str, String)> {
    let mut failures: Vec<_> = counts.failures.iter().collect();
    failures.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    failures.into_iter().map(|(name, count)| (terms::failure(name), grouped(*count))).collect()
}
