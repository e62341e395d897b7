//! `loopin-auth invitations`: who may sign up where `SIGNUPS=invited`.

use std::{process::ExitCode, sync::Arc};

use chrono::{DateTime, Duration, NaiveDate, SecondsFormat, Utc};
use chrono_tz::Tz;
use secrecy::ExposeSecret;

use super::{CommandError, Context, cli::InvitationsCommand, output::print, runtime};
use crate::{
    domain::{
        calendar::start_of_day,
        invitation::{Invitation, NewInvitation, check_end, check_uses},
        phone::{PhoneNumber, Region},
        roles::StaffPermission,
        signups::Signups,
    },
    flows::{
        Services,
        invitations::{self, Ended},
    },
    store,
};

const NO_END: &str = "must be a day, such as 2027-01-31, a time, such as 2027-01-31T00:00:00+05:30, or a number of days or hours, such as 14d or 12h";

/// Makes, lists or ends invitations, and prints the result.
///
/// # Errors
/// When the settings or the arguments are wrong, the database is not migrated or does not answer, or there is no such invitation.
pub fn run(context: &Context, command: InvitationsCommand) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let text = runtime()?.block_on(async {
        let services = context.services(&config).await?;
        act(&services, command).await
    })?;
    print(text)?;
    Ok(ExitCode::SUCCESS)
}

async fn act(services: &Arc<Services>, command: InvitationsCommand) -> Result<String, CommandError> {
    let now = services.clock.now();
    Ok(match command {
        InvitationsCommand::Create { uses, expires, phone } => {
            let new = new(uses, expires.as_deref(), phone.as_deref(), (services.region, services.zone), now)?;
            let made = invitations::make(services, new, StaffPermission::by_command()).await?;
            said(&made.invitation, made.code.text().expose_secret(), services.signups)
        }
        InvitationsCommand::List { limit } => {
            table(&store::invitations::list(&services.store, None, limit).await?, services.zone, now)
        }
        InvitationsCommand::End { id } => {
            match invitations::end(services, id, StaffPermission::by_command()).await? {
                Ended::Done(_) => format!("{id} is ended\n"),
                Ended::Before(_) => format!("{id} had been ended before\n"),
                Ended::NotFound => {
                    return Err("there is no invitation with this id: `loopin-auth invitations list`".into());
                }
            }
        }
    })
}

fn new(
    uses: i64,
    expires: Option<&str>,
    phone: Option<&str>,
    (region, zone): (Region, Tz),
    now: DateTime<Utc>,
) -> Result<NewInvitation, CommandError> {
    let phone = phone.map(|text| PhoneNumber::parse(text, region)).transpose()?;
    let uses = check_uses(uses, phone.is_some())?;
    let end =
        expires.map(|text| end(text, zone, now).ok_or_else(|| format!("--expires {NO_END}"))).transpose()?;
    let expires_at = end.map(|end| check_end(end, now)).transpose()?;
    Ok(NewInvitation { uses, expires_at, phone })
}

/// Reads an end: a day lasts to its end in `TIME_ZONE`.
fn end(text: &str, zone: Tz, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(start_of_day(day.succ_opt()?, zone));
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = number.parse::<u32>().ok()?;
    let life = match unit {
        "d" => Duration::days(number.into()),
        "h" => Duration::hours(number.into()),
        _ => return None,
    };
    now.checked_add_signed(life)
}

/// The invitation, and what to do with it.
fn said(invitation: &Invitation, text: &str, signups: Signups) -> String {
    let whom = match &invitation.phone {
        Some(phone) => format!("the owner of {phone}"),
        None => "any phone".to_owned(),
    };
    let plural = if invitation.uses == 1 { "" } else { "s" };
    let end = invitation.expires_at.map_or_else(
        || "It has no end.".to_owned(),
        |end| format!("It ends at {}.", end.to_rfc3339_opts(SecondsFormat::Secs, true)),
    );
    let note = if signups.takes_invitations() {
        ""
    } else {
        "SIGNUPS is not `invited`, so nobody needs an invitation at the moment.\n"
    };
    format!(
        "{text}\nThis is shown once. It makes {} account{plural} for {whom}. {end}\nIts id is {}.\n{note}",
        invitation.uses, invitation.id
    )
}

/// The invitations, one per line. Phones are masked, because terminals are shared and recorded.
fn table(invitations: &[Invitation], zone: Tz, now: DateTime<Utc>) -> String {
    let mut table = format!("{:<38}{:<9}{:>11}  {:<27}{:<27}FOR\n", "ID", "STATE", "USED", "MADE", "ENDS");
    let local = |at: DateTime<Utc>| at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false);
    for invitation in invitations {
        let used = format!("{} of {}", invitation.uses - invitation.uses_left, invitation.uses);
        let ends = invitation.expires_at.map_or_else(|| "never".to_owned(), local);
        let whom = invitation.phone.as_ref().map_or_else(|| "everyone".to_owned(), ToString::to_string);
        let (id, state) = (invitation.id.to_string(), invitation.state(now).as_str());
        let made = local(invitation.made_at);
        let line = format!("{id:<38}{state:<9}{used:>11}  {made:<27}{ends:<27}{whom}\n");
        table.push_str(&line);
    }
    table
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn an_end_is_a_day_a_time_or_a_while() {
        let now = Utc.with_ymd_and_hms(2026, 3, 14, 9, 0, 0).unwrap();
        for (text, expected) in [
            ("2027-01-31", Some("2027-01-31T18:30:00Z")),
            ("2027-01-31T00:00:00+05:30", Some("2027-01-30T18:30:00Z")),
            ("14d", Some("2026-03-28T09:00:00Z")),
            ("12h", Some("2026-03-14T21:00:00Z")),
            ("0d", Some("2026-03-14T09:00:00Z")),
            ("14", None),
            ("d", None),
            ("", None),
            ("-1d", None),
            ("soon", None),
            ("2027-02-30", None),
            ("é", None),
        ] {
            let expected = expected.map(|text| DateTime::parse_from_rfc3339(text).unwrap().to_utc());
            assert_eq!(end(text, Tz::Asia__Kolkata, now), expected, "{text}");
        }
    }
}
