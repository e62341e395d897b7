//! Finds names in `.env` and the environment that are not settings: they are probably misspelt, or belong to another
//! version.

use strsim::osa_distance;

/// Variables that are read directly: passwords, which must not stay in a file, and what the libraries of TLS and of traces read
/// themselves.
const NOT_SETTINGS: &[&str] = &[
    "LOOPIN_IMPORT_URL",
    "LOOPIN_IMPORT_URL_FILE",
    "LOOPIN_SUPERUSER_PASSWORD",
    "LOOPIN_SUPERUSER_PASSWORD_FILE",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

/// The most letters in which a misspelt name differs from a setting.
const MAX_DISTANCE: usize = 2;

/// A name of up to this length may differ in one letter only.
const SHORT_NAME: usize = 5;

/// A name that is not a setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnknownName {
    pub(super) sentence: String,
    severity: Severity,
}

#[derive(Debug, PartialEq, Eq)]
enum Severity {
    /// Refused everywhere.
    Always,
    /// Refused in `prod` only.
    Prod,
    /// Never refused: platforms set variables of their own.
    Never,
}

impl UnknownName {
    pub(super) fn is_refused(&self, is_prod: bool) -> bool {
        match self.severity {
            Severity::Always => true,
            Severity::Prod => is_prod,
            Severity::Never => false,
        }
    }
}

/// Lines of `.env` that are not settings, and variables that look like misspelt settings.
pub(super) fn unknown_names<'a>(
    lines: impl Iterator<Item = (usize, &'a str)>,
    variables: impl Iterator<Item = &'a str>,
    known: &[&str],
    is_set: &dyn Fn(&str) -> bool,
) -> Vec<UnknownName> {
    let is_unknown = |name: &str| !known.contains(&name);
    let of_lines = lines.filter(|(_, name)| is_unknown(name)).map(|(number, name)| line(number, name, known));
    let of_variables = variables
        .filter(|name| is_unknown(name) && !NOT_SETTINGS.contains(name))
        .filter_map(|name| variable(name, known, is_set));
    of_lines.chain(of_variables).collect()
}

fn line(number: usize, name: &str, known: &[&str]) -> UnknownName {
    let place = format!(".env, line {number}: {name}");
    if NOT_SETTINGS.contains(&name) {
        let sentence = format!("{place} is read from the environment only: take the line out");
        return UnknownName { sentence, severity: Severity::Prod };
    }
    if let Some(meant) = nearest(name, known.iter().copied()) {
        return misspelt(&place, meant);
    }
    let sentence = format!("{place} is no setting of loopin-auth: see .env.example, or take the line out");
    UnknownName { sentence, severity: Severity::Prod }
}

fn variable(name: &str, known: &[&str], is_set: &dyn Fn(&str) -> bool) -> Option<UnknownName> {
    let unset = known.iter().chain(NOT_SETTINGS).copied().filter(|setting| !is_set(setting));
    if let Some(meant) = nearest(name, unset) {
        return Some(misspelt(name, meant));
    }
    let (beginning, _) = name.split_once('_')?;
    // A first word that only one setting has, such as that of TIME_ZONE, is common in other names.
    let has_same_beginning =
        |setting: &&&str| setting.split_once('_').is_some_and(|(first, _)| first == beginning);
    let is_ours = known.iter().filter(has_same_beginning).count() > 1;
    let sentence = format!("{name} is set, and is no setting of loopin-auth: see .env.example");
    is_ours.then_some(UnknownName { sentence, severity: Severity::Never })
}

fn misspelt(place: &str, meant: &str) -> UnknownName {
    let sentence = format!("{place} is no setting of loopin-auth: write {meant}");
    // ENVIROMENT=prod would start with the defaults of development, which show codes.
    let severity = if meant == "ENVIRONMENT" { Severity::Always } else { Severity::Prod };
    UnknownName { sentence, severity }
}

/// The setting that is most similar to a name.
fn nearest<'a>(name: &str, settings: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_uppercase();
    let near = settings.filter_map(|setting| {
        let most = if setting.len().min(name.len()) <= SHORT_NAME { 1 } else { MAX_DISTANCE };
        // Two swapped letters count as one mistake.
        let distance = osa_distance(&name, setting);
        (distance <= most).then_some((distance, setting))
    });
    near.min().map(|(_, setting)| setting)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 7] = [
        "DEBUG",
        "ENVIRONMENT",
        "OTP_LENGTH",
        "OTP_CHANNELS",
        "TIME_ZONE",
        "TLS_CERT_FILE",
        "TWILIO_AUTH_TOKEN",
    ];

    #[test]
    fn what_libraries_read_is_not_taken_for_a_setting() {
        // The certificates that are trusted, not the server's own.
        assert_eq!(said("SSL_CERT_FILE", &[]), None);
        assert_eq!(said("OTEL_BSP_SCHEDULE_DELAY", &[]), None);
    }

    fn said(variable: &str, set: &[&str]) -> Option<String> {
        let found =
            unknown_names(std::iter::empty(), std::iter::once(variable), &KNOWN, &|name| set.contains(&name));
        found.into_iter().next().map(|unknown| unknown.sentence)
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
        let found = unknown_names(lines.into_iter(), std::iter::empty(), &KNOWN, &|_| true);
        assert!(found.iter().all(|unknown| unknown.is_refused(true) && !unknown.is_refused(false)));
        let said: Vec<&str> = found.iter().map(|unknown| unknown.sentence.as_str()).collect();
        assert_eq!(
            said,
            [
                ".env, line 3: OTP_LENGHT is no setting of loopin-auth: write OTP_LENGTH",
                ".env, line 4: POSTGRES_PASSWORD is no setting of loopin-auth: see .env.example, or take the line out",
                ".env, line 5: LOOPIN_SUPERUSER_PASSWORD is read from the environment only: take the line out",
            ]
        );
        let variables = ["OTP_COLOUR", "OTP_LENGHT", "ENVIROMENT"];
        let found = unknown_names(std::iter::empty(), variables.into_iter(), &KNOWN, &|_| false);
        let refused: Vec<(bool, bool)> =
            found.iter().map(|unknown| (unknown.is_refused(true), unknown.is_refused(false))).collect();
        assert_eq!(refused, [(false, false), (true, false), (true, true)]);
    }
}
