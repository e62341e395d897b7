//! The spans of statements in traces: what is done to which table, never a value.

use tracing::Span;

/// The span of a statement. Disabled without a collector, and outside of a request.
pub(crate) fn statement(sql: &str) -> Span {
    tracing::info_span!(
        target: "otel",
        "statement",
        otel.name = summary(sql),
        otel.kind = "client",
    )
}

/// The verb and the first table of a statement, as in `UPDATE challenges`.
fn summary(sql: &str) -> String {
    let mut words = sql.split_whitespace();
    let verb = words.next().unwrap_or_default();
    let is_before_a_table = |word: &&str| ["FROM", "INTO", "UPDATE"].contains(word);
    let table = if verb == "UPDATE" { words.next() } else { words.find(is_before_a_table).and(words.next()) };
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let table = table.map(|table| table.trim_matches(|c| !is_letter(c)));
    match table.filter(|table| !table.is_empty() && table.chars().all(is_letter)) {
        Some(table) => format!("{verb} {table}"),
        None => verb.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_its_verb_and_its_table() {
        for (sql, expected) in [
            ("SELECT a FROM \"accounts\" WHERE b = $1", "SELECT accounts"),
            ("UPDATE challenges SET attempts = attempts + 1", "UPDATE challenges"),
            ("INSERT INTO \"messages\" (\"id\") VALUES ($1)", "INSERT messages"),
            ("DELETE FROM sessions", "DELETE sessions"),
            ("WITH charged AS (INSERT INTO budgets (key) VALUES ($1)) SELECT 1", "WITH budgets"),
            ("SELECT 1", "SELECT"),
            ("COMMIT", "COMMIT"),
            ("", ""),
        ] {
            assert_eq!(summary(sql), expected, "{sql}");
        }
    }
}
