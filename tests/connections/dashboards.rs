//! `deploy/grafana.json` and `deploy/alerts.yml` ask for metrics and labels that there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::Value;

use crate::metrics::used;

type Labels = BTreeMap<String, BTreeSet<String>>;

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect(file)
}

/// The labels of every sample in `/metrics`. Prometheus adds the job.
fn samples() -> Labels {
    let text = used().text();
    let mut samples = Labels::from([("up".to_owned(), BTreeSet::from(["job".to_owned()]))]);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let series = line.split(" # ").next().and_then(|line| line.rsplit_once(' ')).expect(line).0;
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
        samples.entry(name.to_owned()).or_default().extend(labels.map(|(name, _)| name.to_owned()));
    }
    samples
}

/// The words of a text that are made of these characters.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// What stands between each of these openings and its end.
fn inside<'a>(text: &'a str, opening: &'a str, end: char) -> impl Iterator<Item = &'a str> {
    text.split(opening).skip(1).filter_map(move |rest| rest.split(end).next())
}

/// The names of labels in an expression and in a text about it.
fn labels(text: &str) -> BTreeSet<String> {
    let grouped = inside(text, "by (", ')').flat_map(words);
    let told = inside(text, "$labels.", ' ').flat_map(|rest| words(rest).take(1));
    let legend = inside(text, "{{", '}').map(str::trim).filter(|name| !name.starts_with('$'));
    let matched = inside(text, "{", '}').flat_map(|matchers| matchers.split("\","));
    let matched =
        matched.filter_map(|matcher| words(matcher.split_once('=')?.0.trim_end_matches('!')).last());
    grouped.chain(told).chain(legend).chain(matched).map(str::to_owned).collect()
}

/// What a block asks for that there is not.
fn unknown(block: &str, samples: &Labels) -> Vec<String> {
    let is_metric = |word: &&str| word.starts_with("loopin_") || *word == "up";
    let metrics: BTreeSet<&str> = words(block).filter(is_metric).collect();
    assert!(!metrics.is_empty(), "no metric in {block}");
    let known: BTreeSet<&String> = metrics.iter().filter_map(|name| samples.get(*name)).flatten().collect();
    let no_metric = metrics.iter().filter(|name| !samples.contains_key(**name)).map(ToString::to_string);
    let no_label = labels(block).into_iter().filter(|label| !known.contains(label));
    no_metric.chain(no_label.map(|label| format!("the label {label}"))).collect()
}

/// The alerts, each as its text.
fn alerts() -> Vec<String> {
    read("deploy/alerts.yml").split("- alert: ").skip(1).map(str::to_owned).collect()
}

/// The queries of the dashboard, each with its legend.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets
        .map(|target| format!("{}\n{}", target["expr"].as_str().expect("a query"), target["legendFormat"]))
        .collect()
}

#[test]
fn every_metric_and_label_is_there() {
    let samples = samples();
    let (alerts, queries) = (alerts(), queries());
    assert!(alerts.len() > 10 && queries.len() > 20);
    for block in alerts.iter().chain(&queries) {
        let unknown = unknown(block, &samples);
        assert!(unknown.is_empty(), "{unknown:?} in {block}");
    }
}

#[test]
fn what_is_not_there_is_found() {
    let samples = samples();
    for (block, expected) in [
        ("sum(rate(loopin_nothing_total[5m]))", "loopin_nothing_total"),
        ("sum by (phone) (loopin_connections)", "the label phone"),
        ("loopin_http_requests_total{route=\"/\", state!=\"idle\"}", "the label state"),
        ("loopin_connections\n{{ $labels.provider }} is away", "the label provider"),
        ("loopin_connections\n\"{{how}}\"", "the label how"),
    ] {
        assert_eq!(unknown(block, &samples), [expected], "{block}");
    }
}

#[test]
fn the_dashboard_shows_every_metric_of_messages_and_sign_ins() {
    let shown = queries().join("\n");
    let not_shown: Vec<String> = samples()
        .into_keys()
        .filter(|name| name.starts_with("loopin_") && !name.ends_with("_sum") && !name.ends_with("_count"))
        .filter(|name| !words(&shown).any(|word| word == name))
        .collect();
    assert!(not_shown.is_empty(), "{not_shown:?}");
}

#[test]
fn every_runbook_is_a_section() {
    let alerts = alerts();
    for alert in &alerts {
        let runbook = alert.lines().find_map(|line| line.trim().strip_prefix("runbook: ")).expect(alert);
        let (page, anchor) = runbook.split_once('#').expect(runbook);
        let anchors: BTreeSet<String> = read(page)
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .map(|title| title.to_lowercase().replace(' ', "-").replace(['\'', ',', '?'], ""))
            .collect();
        assert!(anchors.contains(anchor), "{runbook} is not among {anchors:?}");
    }
}
