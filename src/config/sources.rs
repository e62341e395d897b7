//! Where settings come from: the lines of `.env`, and the environment, which takes precedence.

use std::{collections::BTreeMap, ffi::OsString, io};

use secrecy::SecretString;

use super::{
    Config, Environment, Problems,
    env_file::{self, Line},
    names, secret_files,
};
use crate::random::Random;

/// All lines and variables, whether they are settings or not. It has no `Debug`, because it contains secrets.
#[derive(Default)]
pub struct Sources {
    file: Vec<Line>,
    /// The value is `None` if it is not UTF-8.
    environment: BTreeMap<String, Option<String>>,
    problems: Vec<String>,
}

impl Sources {
    /// Takes the result of reading `.env`, and the environment.
    #[must_use]
    pub fn new(
        file: io::Result<Vec<u8>>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let (file, problems) = match file {
            Ok(bytes) => env_file::parse(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), Vec::new()),
            Err(error) => (Vec::new(), vec![format!(".env cannot be read: {error}")]),
        };
        let environment = environment
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok())))
            .collect();
        Self { file, environment, problems }
    }

    /// The value of a setting. If `.env` has several lines for it, the last one counts.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        match self.environment.get(name) {
            Some(value) => value.clone(),
            None => self.file.iter().rev().find(|line| line.name == name).map(|line| line.value.clone()),
        }
    }

    /// Whether the value of a setting comes from `.env`.
    fn is_in_file(&self, name: &str) -> bool {
        !self.environment.contains_key(name) && self.file.iter().any(|line| line.name == name)
    }

    /// A variable from the environment only.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned().flatten()
    }

    /// A secret that is no setting, from the environment only: the variable, or the file that the variable with `_FILE` behind
    /// its name names.
    ///
    /// # Errors
    /// When both are set, or the file cannot be used.
    pub fn secret_variable(&self, name: &str) -> Result<Option<SecretString>, String> {
        let file = format!("{name}_FILE");
        let set = |name: &str| self.variable(name).filter(|value| !value.trim().is_empty());
        match (set(name), set(&file)) {
            (value, None) => Ok(value.map(SecretString::from)),
            (None, Some(path)) => {
                let secret = secret_files::read_some(path.trim());
                secret.map(|secret| Some(secret.into())).map_err(|problem| format!("{file}: {problem}"))
            }
            (Some(_), Some(_)) => Err(format!("{name} and {file} are both set: remove one")),
        }
    }

    fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !value.trim().is_empty())
    }
}

impl Config {
    /// Reads all settings, and finds misspelt names.
    ///
    /// # Errors
    /// All problems.
    pub fn load(sources: &Sources, random: &Random) -> Result<Self, Problems> {
        let (config, problems) = Self::inspect(sources, random);
        if problems.0.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// As [`Config::load`], but returns the settings together with their problems; see [`Config::examine`].
    pub fn inspect(sources: &Sources, random: &Random) -> (Self, Problems) {
        let (mut config, Problems(found)) = Self::examine(&|name| sources.get(name), random);
        let mut problems = sources.problems.clone();
        problems.extend(found);
        let known = Self::names();
        config.from_file = known.iter().copied().filter(|name| sources.is_in_file(name)).collect();
        let unreadable = sources
            .environment
            .iter()
            .filter(|(name, value)| value.is_none() && known.contains(&name.as_str()));
        problems.extend(unreadable.map(|(name, _)| format!("{name} is not written in UTF-8")));
        for (name, lines) in repeated(&sources.file) {
            config
                .warnings
                .push(format!(".env has {name} more than once, in the lines {lines}: the last one counts"));
        }
        let lines = sources.file.iter().map(|line| (line.number, line.name.as_str()));
        let variables = sources.environment.keys().map(String::as_str);
        let unknown_names = names::unknown_names(lines, variables, &known, &|name| sources.is_set(name));
        for unknown in unknown_names {
            if unknown.is_refused(config.environment == Environment::Prod) {
                problems.push(unknown.sentence);
            } else {
                config.warnings.push(unknown.sentence);
            }
        }
        (config, Problems(problems))
    }
}

/// Names that are in several lines, with the numbers of these lines.
fn repeated(file: &[Line]) -> Vec<(&str, String)> {
    let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in file {
        lines.entry(&line.name).or_default().push(line.number.to_string());
    }
    lines
        .into_iter()
        .filter(|(_, lines)| lines.len() > 1)
        .map(|(name, lines)| (name, lines.join(", ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn sources(file: &str, environment: &[(&str, &str)]) -> Sources {
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
        Sources::new(Ok(file.as_bytes().to_vec()), environment)
    }

    #[test]
    fn the_environment_wins_and_the_last_line_counts() {
        let sources = sources("OTP_LENGTH=5\nOTP_LENGTH=6\nDEBUG=yes\n", &[("DEBUG", "no")]);
        assert_eq!(sources.get("OTP_LENGTH").as_deref(), Some("6"));
        assert_eq!(sources.get("DEBUG").as_deref(), Some("no"));
        assert_eq!((sources.get("TIME_ZONE"), sources.variable("OTP_LENGTH")), (None, None));
        let (config, problems) = Config::inspect(&sources, &Random::seeded(1));
        assert!(problems.0.is_empty(), "{problems}");
        assert!(config.warnings.contains(
            &".env has OTP_LENGTH more than once, in the lines 1, 2: the last one counts".to_owned()
        ));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_problem_and_one_that_is_not_there_is_none() {
        let read = |kind: io::ErrorKind| {
            Config::inspect(&Sources::new(Err(kind.into()), []), &Random::seeded(1)).1.0
        };
        assert!(read(io::ErrorKind::NotFound).is_empty());
        assert!(read(io::ErrorKind::PermissionDenied)[0].starts_with(".env cannot be read"));
    }

    #[test]
    fn a_secret_that_is_no_setting_comes_from_a_variable_or_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "violet canoe\n").unwrap();
        let file = file.to_str().unwrap();
        let read = |variables: &[(&str, &str)]| {
            let found = sources("PASSWORD='of .env'\n", variables).secret_variable("PASSWORD");
            found.map(|secret| secret.map(|secret| secret.expose_secret().to_owned()))
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("PASSWORD", "violet canoe")]), Ok(Some("violet canoe".to_owned())));
        assert_eq!(read(&[("PASSWORD_FILE", file), ("PASSWORD", "")]), Ok(Some("violet canoe".to_owned())));
        let both = "PASSWORD and PASSWORD_FILE are both set: remove one";
        assert_eq!(read(&[("PASSWORD", "a"), ("PASSWORD_FILE", file)]), Err(both.to_owned()));
        assert!(
            read(&[("PASSWORD_FILE", "/nowhere")]).unwrap_err().starts_with("PASSWORD_FILE: /nowhere cannot")
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_setting_that_is_no_unicode_is_not_taken_for_one_that_is_missing() {
        use std::os::unix::ffi::OsStringExt;
        let environment = [("SECRET_KEY".into(), OsString::from_vec(vec![0xff]))];
        let sources = Sources::new(Ok(Vec::new()), environment);
        let (_, problems) = Config::inspect(&sources, &Random::seeded(1));
        assert_eq!(problems.0, ["SECRET_KEY is not written in UTF-8"]);
    }
}
