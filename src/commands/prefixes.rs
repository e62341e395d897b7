//! `loopin-auth prefixes`: the state and the statistics of prefixes, as tables.

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};

use super::{CommandError, Context, cli::PrefixesCommand, output::print, runtime};
use crate::{
    domain::{
        budget::{Country, Prefix, Wanted},
        roles::StaffPermission,
        users::{Number, PageOf, Size},
    },
    flows::prefixes,
};

/// Lists, opens or closes prefixes, and prints the result.
///
/// # Errors
/// When the settings are wrong, the database is not migrated or does not answer, or the prefix is unknown.
pub fn run(context: &Context, command: Option<PrefixesCommand>) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let command = command.unwrap_or(PrefixesCommand::List { closed: false, page: 1 });
    let text = runtime()?.block_on(async {
        let services = context.services(&config).await?;
        let permission = StaffPermission::by_command();
        let changed = match command {
            PrefixesCommand::List { closed, page } => {
                let wanted = if closed { Wanted::Closed } else { Wanted::All };
                let page = PageOf::new(Number::parse(Some(&page.to_string()))?, Size::parse(Some("100"))?);
                let listed = prefixes::list(&services, wanted, page).await?;
                return Ok(format!("{}\n{}", table(&listed.prefixes, config.zone), sums(&listed.countries)));
            }
            PrefixesCommand::Open { prefix, hours } => {
                prefixes::open(&services, prefix, hours, permission).await?
            }
            PrefixesCommand::Close { prefix } => {
                prefixes::close_by_hand(&services, prefix, permission).await?
            }
        };
        if changed.is_empty() {
            return Err(CommandError::from("no message was ever sent to this prefix"));
        }
        Ok(table(&changed, config.zone))
    })?;
    print(text)?;
    Ok(ExitCode::SUCCESS)
}

/// The prefixes, one per line.
#[must_use]
pub fn table(prefixes: &[Prefix], zone: chrono_tz::Tz) -> String {
    let mut table = format!(
        "{:<10}{:<9}{:<11}{:>9}{:>10}{:>12}  UNTIL\n",
        "PREFIX", "COUNTRY", "STATE", "SENT", "VERIFIED", "UNANSWERED"
    );
    for prefix in prefixes {
        let Prefix { country, prefix: name, state, sent, verified, unanswered, closed_until, held_until } =
            prefix;
        let state = state.as_str();
        let until = closed_until.or(*held_until).map_or_else(String::new, |until| local(until, zone));
        let line =
            format!("{name:<10}{country:<9}{state:<11}{sent:>9}{verified:>10}{unanswered:>12}  {until}");
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

/// The sums of countries, one per line.
#[must_use]
pub fn sums(countries: &[Country]) -> String {
    let head = format!("{:<10}{:>9}{:>9}{:>9}{:>10}\n", "COUNTRY", "PREFIXES", "CLOSED", "SENT", "VERIFIED");
    let lines = countries.iter().map(|Country { country, prefixes, closed, sent, verified }| {
        format!("{country:<10}{prefixes:>9}{closed:>9}{sent:>9}{verified:>10}\n")
    });
    std::iter::once(head).chain(lines).collect()
}

fn local(time: DateTime<Utc>, zone: chrono_tz::Tz) -> String {
    time.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;
    use crate::domain::budget::PrefixState;

    #[test]
    fn a_closed_prefix_says_until_when() {
        let closed = Prefix {
            country: "IN".to_owned(),
            prefix: "+916205".to_owned(),
            state: PrefixState::Closed,
            sent: 51,
            verified: 0,
            unanswered: 0,
            closed_until: Utc.with_ymd_and_hms(2026, 11, 21, 6, 30, 0).single(),
            held_until: None,
        };
        let said = table(&[closed], chrono_tz::Asia::Kolkata);
        let line = said.lines().nth(1).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["+916205", "IN", "closed", "51", "0", "0", "2026-11-21T12:00:00+05:30"]);
    }
}
