//! `loopin-auth events`: what the operator's receiver has not got.

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::{CommandError, Context, cli::EventsCommand, output::print, runtime};
use crate::{
    domain::events::StoredEvent,
    flows::{
        Services,
        events::{self, Skipped},
    },
    store::outbox::Wanted,
};

/// Lists events, sends them again or gives them up, and prints the result.
///
/// # Errors
/// When the settings are wrong, the database is not migrated or does not answer, or there is no such event.
pub fn run(context: &Context, command: EventsCommand) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let text = runtime()?.block_on(async {
        let services = context.services(&config).await?;
        act(&services, command, config.zone).await
    })?;
    print(text)?;
    Ok(ExitCode::SUCCESS)
}

async fn act(
    services: &Services,
    command: EventsCommand,
    zone: chrono_tz::Tz,
) -> Result<String, CommandError> {
    Ok(match command {
        EventsCommand::List { dead, user, json, limit } => {
            let wanted = if dead { Wanted::Dead } else { Wanted::Waiting };
            let found = events::list(services, wanted, user, limit).await?;
            if json { lines(&found) } else { table(&found, zone) }
        }
        EventsCommand::Replay { id: Some(id), .. } => {
            if !events::replay(services, id).await? {
                return Err("no event with this id was given up: `loopin-auth events list --dead`".into());
            }
            format!("{id} is sent again\n")
        }
        EventsCommand::Replay { id: None, user, .. } => {
            format!("{} events are sent again\n", events::replay_all(services, user).await?)
        }
        EventsCommand::Skip { id } => match events::skip(services, id).await? {
            Skipped::Done => format!("{id} is given up\n"),
            Skipped::Before => format!("{id} was given up before\n"),
            Skipped::NotFound => {
                return Err("no event with this id waits: `loopin-auth events list`".into());
            }
        },
    })
}

/// The events, one per line.
#[must_use]
pub fn table(events: &[StoredEvent], zone: chrono_tz::Tz) -> String {
    let mut table =
        format!("{:<38}{:<24}{:<27}{:>5}  {:<27}ERROR\n", "ID", "TYPE", "HAPPENED", "TRIES", "NEXT");
    for event in events {
        let StoredEvent { id, kind, attempts, created_at, next_attempt_at, died_at, last_error, .. } = event;
        let next = match (next_attempt_at, died_at) {
            (Some(next), _) => local(*next, zone),
            (None, Some(_)) => "given up".to_owned(),
            (None, None) => "after an earlier one".to_owned(),
        };
        let (happened, error) = (local(*created_at, zone), last_error.as_deref().unwrap_or_default());
        let line = format!("{:<38}{kind:<24}{happened:<27}{attempts:>5}  {next:<27}{error}", id.to_string());
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

/// The events as JSON, one per line.
#[must_use]
pub fn lines(events: &[StoredEvent]) -> String {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, false);
    let line = |event: &StoredEvent| {
        let line = json!({
            "id": event.id,
            "type": event.kind,
            "timestamp": time(event.created_at),
            "data": event.data(),
            "attempts": event.attempts,
            "next_attempt_at": event.next_attempt_at.map(time),
            "given_up_at": event.died_at.map(time),
            "last_error": event.last_error,
        });
        format!("{line}\n")
    };
    events.iter().map(line).collect()
}

fn local(time: DateTime<Utc>, zone: chrono_tz::Tz) -> String {
    time.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;
    use uuid::Uuid;

    use super::*;
    use crate::domain::events::{RETRIED_FOR, Subject};

    #[test]
    fn an_event_says_when_it_is_sent_next() {
        let at = Utc.with_ymd_and_hms(2026, 11, 21, 6, 30, 0).unwrap();
        let event = StoredEvent {
            position: 1,
            id: Uuid::nil(),
            kind: "user.updated".to_owned(),
            subject: Subject::user(Uuid::nil()),
            data: r#"{"user_id":null,"fields":["bio"]}"#.to_owned(),
            created_at: at,
            attempts: 2,
            next_attempt_at: Some(at),
            retry_until: at + RETRIED_FOR,
            died_at: None,
            last_error: Some("status 503".to_owned()),
        };
        let parked = StoredEvent { next_attempt_at: None, ..event.clone() };
        let dead = StoredEvent { died_at: Some(at), ..parked.clone() };
        let said = table(&[event.clone(), parked, dead], chrono_tz::Asia::Kolkata);
        let lines: Vec<&str> = said.lines().skip(1).collect();
        let ends = [
            "2  2026-11-21T12:00:00+05:30  status 503",
            "2  after an earlier one       status 503",
            "2  given up                   status 503",
        ];
        assert!(lines.iter().zip(ends).all(|(line, end)| line.ends_with(end)), "{said}");
        let line: serde_json::Value = serde_json::from_str(&super::lines(&[event])).unwrap();
        assert_eq!(line["data"], json!({"user_id": Uuid::nil(), "fields": ["bio"]}));
    }
}
