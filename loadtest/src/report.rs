//! What was measured, as a table and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{
    floor::Report,
    load::Tally,
    meter::Used,
    stats::{float, median, percentile, range},
};

/// The columns after scenario, limits and server, each with its unit.
const COLUMNS: [&str; 10] = [
    "right answers/s",
    "p50 ms",
    "p99 ms",
    "wrong",
    "CPU s/1,000, server",
    "CPU s/1,000, PostgreSQL",
    "CPU s/1,000, PgBouncer",
    "MiB at rest",
    "MiB peak",
    "start ms",
];

/// One measurement. What cannot be known is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Round {
    /// Right answers a second; of the whole flow, finished flows a second.
    pub per_second: f64,
    /// The median of the times of right answers, in milliseconds.
    pub p50: Option<f64>,
    /// 99 of 100 right answers came within so many milliseconds.
    pub p99: Option<f64>,
    /// Wrong answers.
    pub wrong: u64,
    /// The first of them.
    pub first_wrong: Option<String>,
    /// CPU seconds of the server per 1,000 answers.
    pub server_cpu: Option<f64>,
    /// CPU seconds of PostgreSQL per 1,000 answers.
    pub database_cpu: Option<f64>,
    /// CPU seconds of PgBouncer per 1,000 answers.
    pub pooler_cpu: Option<f64>,
    /// CPU seconds of this program per 1,000 answers.
    pub loadtest_cpu: Option<f64>,
    /// Memory of the server (PSS) before its first request, in MiB.
    pub memory_at_rest: Option<f64>,
    /// The most memory of the server meanwhile, in MiB.
    pub memory_peak: Option<f64>,
    /// From the start of the process to the first answer, in milliseconds.
    pub start: Option<f64>,
}

impl Round {
    /// What these answers, in so many seconds, come to.
    #[must_use]
    pub fn new(tally: Tally, seconds: f64, used: Used) -> Self {
        let Tally { mut right, wrong, first_wrong } = tally;
        right.sort_unstable();
        let milliseconds =
            |hundredths| percentile(&right, hundredths).map(|micros| f64::from(micros) / 1000.0);
        let answers = float(right.len() as u64 + wrong).max(1.0);
        let per_thousand = |cpu: Option<f64>| cpu.map(|seconds| seconds * 1000.0 / answers);
        Self {
            per_second: float(right.len() as u64) / seconds,
            p50: milliseconds(50),
            p99: milliseconds(99),
            wrong,
            first_wrong,
            server_cpu: per_thousand(used.server),
            database_cpu: per_thousand(used.database),
            pooler_cpu: per_thousand(used.pooler),
            loadtest_cpu: per_thousand(used.loadtest),
            ..Self::default()
        }
    }

    /// A report of `pgbench`, which has no percentiles.
    #[must_use]
    pub fn of_floor(report: Report, used: Used) -> Self {
        let transactions = float(report.committed).max(1.0);
        Self {
            per_second: report.per_second,
            wrong: report.failed,
            database_cpu: used.database.map(|seconds| seconds * 1000.0 / transactions),
            ..Self::default()
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "right_answers_per_second": self.per_second,
            "p50_ms": self.p50,
            "p99_ms": self.p99,
            "wrong_answers": self.wrong,
            "first_wrong_answer": self.first_wrong,
            "server_cpu_seconds_per_1000": self.server_cpu,
            "database_cpu_seconds_per_1000": self.database_cpu,
            "pgbouncer_cpu_seconds_per_1000": self.pooler_cpu,
            "loadtest_cpu_seconds_per_1000": self.loadtest_cpu,
            "memory_at_rest_mib": self.memory_at_rest,
            "memory_peak_mib": self.memory_peak,
            "start_ms": self.start,
        })
    }
}

/// All rounds of one server, or one floor, in one scenario.
#[derive(Debug, Clone)]
pub struct Row {
    /// The scenario.
    pub scenario: &'static str,
    /// Whether the limits are on.
    pub has_limits: bool,
    /// The server, `A` or `B`, or the name of the floor.
    pub of: &'static str,
    /// Its rounds.
    pub rounds: Vec<Round>,
}

impl Row {
    fn median(&self, value: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        median(self.rounds.iter().filter_map(value))
    }

    /// The row of the table.
    fn cells(&self) -> Vec<String> {
        let cell = |digits: usize, value: Option<f64>| {
            value.map_or("–".to_owned(), |value| format!("{value:.digits$}"))
        };
        let rate = |round: &Round| Some(round.per_second);
        let (lowest, highest) = range(self.rounds.iter().filter_map(rate)).unwrap_or_default();
        let middle = self.median(rate).map_or("–".to_owned(), thousands);
        let wrong: u64 = self.rounds.iter().map(|round| round.wrong).sum();
        let limits = if self.has_limits { "on" } else { "off" };
        vec![
            self.scenario.to_owned(),
            limits.to_owned(),
            self.of.to_owned(),
            format!("{middle} ({} to {})", thousands(lowest), thousands(highest)),
            cell(1, self.median(|round| round.p50)),
            cell(1, self.median(|round| round.p99)),
            wrong.to_string(),
            cell(3, self.median(|round| round.server_cpu)),
            cell(3, self.median(|round| round.database_cpu)),
            cell(3, self.median(|round| round.pooler_cpu)),
            cell(1, self.median(|round| round.memory_at_rest)),
            cell(1, self.median(|round| round.memory_peak)),
            cell(0, self.median(|round| round.start)),
        ]
    }

    fn to_json(&self) -> Value {
        json!({
            "scenario": self.scenario,
            "limits": self.has_limits,
            "of": self.of,
            "right_answers_per_second": self.median(|round| Some(round.per_second)),
            "rounds": self.rounds.iter().map(Round::to_json).collect::<Vec<_>>(),
        })
    }
}

/// A whole number with commas: `17,640`. A small one keeps a digit after the point.
fn thousands(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The table in Markdown, with columns of one width, so that it can be read as it is.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let head = ["scenario", "limits", "of"].iter().chain(&COLUMNS).map(|name| (*name).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..COLUMNS.len() + 3).map(|column| width(column).unwrap_or_default()).collect();
    let show = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let mut text: String = lines.iter().map(show).collect();
    let end_of_head = text.find('\n').map_or(0, |end| end + 1);
    text.insert_str(end_of_head, &format!("|{}|\n", rules.join("|")));
    for row in rows {
        if let Some(wrong) = row.rounds.iter().find_map(|round| round.first_wrong.as_ref()) {
            // Writing to a text cannot fail.
            writeln!(text, "! {}, {}: a wrong answer: {wrong}", row.scenario, row.of).ok();
        }
    }
    text
}

/// Everything, for programs.
#[must_use]
pub fn to_json(rows: &[Row], facts: &Value) -> Value {
    json!({ "facts": facts, "rows": rows.iter().map(Row::to_json).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rates: &[f64]) -> Row {
        let round = |rate: &f64| Round { per_second: *rate, p99: Some(7.25), ..Round::default() };
        Row { scenario: "signup", has_limits: true, of: "A", rounds: rates.iter().map(round).collect() }
    }

    #[test]
    fn a_round_counts_right_answers_only() {
        let used = Used { server: Some(2.0), ..Used::default() };
        let tally = Tally { right: vec![3000, 1000, 2000], wrong: 1, first_wrong: Some("503".to_owned()) };
        let round = Round::new(tally, 2.0, used);
        assert_eq!((round.per_second, round.wrong), (1.5, 1));
        assert_eq!((round.p50, round.p99), (Some(2.0), Some(3.0)));
        assert_eq!((round.server_cpu, round.database_cpu), (Some(500.0), None));
    }

    #[test]
    fn the_table_shows_the_median_and_the_range() {
        let table = table(&[row(&[1234.0, 900.0, 1500.6])]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[2].starts_with("| signup   | on     | A  | 1,234 (900 to 1,501) | –"), "{table}");
        assert!(lines[2].contains("| 7.2 ") || lines[2].contains("| 7.3 "), "{table}");
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width), "{table}");
    }

    #[test]
    fn a_wrong_answer_is_shown_below() {
        let mut row = row(&[1.0]);
        row.rounds[0].first_wrong = Some("429 without success".to_owned());
        assert!(table(&[row]).ends_with("! signup, A: a wrong answer: 429 without success\n"));
    }

    #[test]
    fn numbers_have_commas() {
        assert_eq!(thousands(2.68), "2.7");
        assert_eq!(thousands(717.6), "718");
        assert_eq!(thousands(17_640.3), "17,640");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
    }

    #[test]
    fn the_json_has_every_round() {
        let json = to_json(&[row(&[1.0, 3.0])], &json!({"seconds": 10}));
        assert_eq!(json.pointer("/rows/0/rounds/1/right_answers_per_second"), Some(&json!(3.0)));
        assert_eq!(json.pointer("/rows/0/right_answers_per_second"), Some(&json!(2.0)));
        assert_eq!(json.pointer("/rows/0/rounds/0/p50_ms"), Some(&Value::Null));
    }
}
