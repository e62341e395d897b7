//! Names that were given and are no settings: most likely misspelt, or of an older or newer version.

use strsim::osa_distance;

/// What is read past the settings. A password has no place in a file that stays, so it is no setting.
const ELSEWHERE: &[&str] = &["LOOPIN_SUPERUSER_PASSWORD"];

/// So many letters may differ, one where a name is this short.
const MOST_LETTERS: usize = 2;
const SHORT: usize = 5;

/// A name that is no setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stranger {
    pub(super) said: String,
    severity: Severity,
}

#[derive(Debug, PartialEq, Eq)]
enum Severity {
    /// Refused everywhere.
    Always,
    /// Refused in `prod`.
    Prod,
    /// Never refused: platforms inject variables of their own.
    Never,
}

impl Stranger {
    pub(super) fn is_refused(&self, is_prod: bool) -> bool {
        match self.severity {
            Severity::Always => true,
            Severity::Prod => is_prod,
            Severity::Never => false,
        }
    }
}

/// Lines of `.env` that are no settings, and variables that were meant to be some.
pub(super) fn strangers<'a>(
    lines: impl Iterator<Item = (usize, &'a str)>,
    variables: impl Iterator<Item = &'a str>,
    known: &[&str],
    is_set: &dyn Fn(&str) -> bool,
) -> Vec<Stranger> {
    let is_strange = |name: &str| !known.contains(&name);
    let of_lines = lines.filter(|(_, name)| is_strange(name)).map(|(number, name)| line(number, name, known));
    let of_variables = variables
        .filter(|name| is_strange(name) && !ELSEWHERE.contains(name))
        .filter_map(|name| variable(name, known, is_set));
    of_lines.chain(of_variables).collect()
}

fn line(number: usize, name: &str, known: &[&str]) -> Stranger {
    let place = format!(".env, line {number}: {name}");
    if ELSEWHERE.contains(&name) {
        let said = format!("{place} is read from the environment only: take the line out");
        return Stranger { said, severity: Severity::Prod };
    }
    if let Some(meant) = nearest(name, known.iter().copied()) {
        return misspelt(&place, meant);
    }
    let said = format!("{place} is no setting of loopin-auth: see .env.example, or take the line out");
    Stranger { said, severity: Severity::Prod }
}

fn variable(name: &str, known: &[&str], is_set: &dyn Fn(&str) -> bool) -> Option<Stranger> {
    let unset = known.iter().chain(ELSEWHERE).copied().filter(|setting| !is_set(setting));
    if let Some(meant) = nearest(name, unset) {
        return Some(misspelt(name, meant));
    }
    let (beginning, _) = name.split_once('_')?;
    // A word that only one setting begins with, such as TIME_ZONE's, is everybody's.
    let begin_so = |setting: &&&str| setting.split_once('_').is_some_and(|(first, _)| first == beginning);
    let is_ours = known.iter().filter(begin_so).count() > 1;
    let said = format!("{name} is set, and is no setting of loopin-auth: see .env.example");
    is_ours.then_some(Stranger { said, severity: Severity::Never })
}

fn misspelt(place: &str, meant: &str) -> Stranger {
    let said = format!("{place} is no setting of loopin-auth: write {meant}");
    // Whoever wrote ENVIROMENT=prod would get the defaults of a developer's machine, which show codes.
    let severity = if meant == "ENVIRONMENT" { Severity::Always } else { Severity::Prod };
    Stranger { said, severity }
}

/// The setting that a name was most likely meant for.
fn nearest<'a>(name: &str, settings: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_uppercase();
    let near = settings.filter_map(|setting| {
        let most = if setting.len().min(name.len()) <= SHORT { 1 } else { MOST_LETTERS };
        // Two letters that changed places are one mistake.
        let distance = osa_distance(&name, setting);
        (distance <= most).then_some((distance, setting))
    });
    near.min().map(|(_, setting)| setting)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 6] =
        ["DEBUG", "ENVIRONMENT", "OTP_LENGTH", "OTP_CHANNELS", "TIME_ZONE", "TWILIO_AUTH_TOKEN"];

    fn said(variable: &str, set: &[&str]) -> Option<String> {
        let found =
            strangers(std::iter::empty(), std::iter::once(variable), &KNOWN, &|name| set.contains(&name));
        found.into_iter().next().map(|stranger| stranger.said)
    }

    #[test]
    fn two_letters_are_a_mistake_and_three_are_another_name() {
        for (name, meant) in [
            ("OTP_LENGHT", Some("OTP_LENGTH")),
            ("OTP_LENGHTH", Some("OTP_LENGTH")),
            ("OTPLENGTH", Some("OTP_LENGTH")),
            ("otp_length", Some("OTP_LENGTH")),
            ("OTP_LENTHG", Some("OTP_LENGTH")),
            ("TP_LENTHS", None),
            ("TIMEZONE", Some("TIME_ZONE")),
            ("TIME_ZONES", Some("TIME_ZONE")),
            ("TIME_STYLE", None),
            // A short name bears one letter.
            ("DEBUGS", Some("DEBUG")),
            ("DEBG", Some("DEBUG")),
            ("DBEUG", Some("DEBUG")),
            ("DEB", None),
            ("HOME", None),
            ("LOOPIN_SUPERUSER_PASWORD", Some("LOOPIN_SUPERUSER_PASSWORD")),
        ] {
            let expected = meant.map(|meant| format!("{name} is no setting of loopin-auth: write {meant}"));
            assert_eq!(said(name, &[]), expected, "{name}");
        }
        assert_eq!(said("LOOPIN_SUPERUSER_PASSWORD", &[]), None);
        assert_eq!(said("OTP_LENGTH", &[]), None);
    }

    #[test]
    fn what_is_near_a_setting_that_is_set_is_only_told() {
        let strange = "OTP_LENGHT is set, and is no setting of loopin-auth: see .env.example";
        assert_eq!(said("OTP_LENGHT", &["OTP_LENGTH"]).as_deref(), Some(strange));
        assert_eq!(said("TIMEZONE", &["TIME_ZONE"]), None);
    }

    #[test]
    fn how_bad_it_is() {
        let lines = [(3, "OTP_LENGHT"), (4, "POSTGRES_PASSWORD"), (5, "LOOPIN_SUPERUSER_PASSWORD")];
        let found = strangers(lines.into_iter(), std::iter::empty(), &KNOWN, &|_| true);
        assert!(found.iter().all(|stranger| stranger.is_refused(true) && !stranger.is_refused(false)));
        let said: Vec<&str> = found.iter().map(|stranger| stranger.said.as_str()).collect();
        assert_eq!(
            said,
            [
                ".env, line 3: OTP_LENGHT is no setting of loopin-auth: write OTP_LENGTH",
                ".env, line 4: POSTGRES_PASSWORD is no setting of loopin-auth: see .env.example, or take the line out",
                ".env, line 5: LOOPIN_SUPERUSER_PASSWORD is read from the environment only: take the line out",
            ]
        );
        let variables = ["OTP_COLOUR", "OTP_LENGHT", "ENVIROMENT"];
        let found = strangers(std::iter::empty(), variables.into_iter(), &KNOWN, &|_| false);
        let refused: Vec<(bool, bool)> =
            found.iter().map(|stranger| (stranger.is_refused(true), stranger.is_refused(false))).collect();
        assert_eq!(refused, [(false, false), (true, false), (true, true)]);
    }
}
