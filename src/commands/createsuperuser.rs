//! `loopin-auth createsuperuser`: asks who the admin is to be. What it makes of the answers is for `flows`.
//!
//! A password is never an argument: arguments stand in the list of processes, and in the shell's history.

use std::io::{self, BufRead, IsTerminal, Write};

use secrecy::{ExposeSecret, SecretString};

use crate::domain::credentials::{Email, Password, Username};

/// Where scripts put the password.
pub const PASSWORD_VARIABLE: &str = "LOOPIN_SUPERUSER_PASSWORD";

/// What was said on the command line.
#[derive(Debug)]
pub struct Said {
    /// The username.
    pub username: Option<String>,
    /// The e-mail address; an empty one is none.
    pub email: Option<String>,
    /// Whether nothing may be asked.
    pub noinput: bool,
}

/// Who the admin is to be.
#[derive(Debug)]
pub struct Wanted {
    /// What she signs in with.
    pub username: Username,
    /// Nobody proved it.
    pub email: Option<Email>,
    /// What she signs in with.
    pub password: Password,
}

/// Takes what was said, and asks for the rest where there is somebody to ask.
///
/// # Errors
/// Everything that is missing or wrong where nobody can be asked, in words for a person; and when the terminal is closed.
pub fn ask(said: &Said, password: Option<&SecretString>) -> Result<Wanted, String> {
    if said.noinput {
        return without_asking(said, password);
    }
    if !io::stdin().is_terminal() {
        return Err(format!(
            "there is no terminal to ask on: use --noinput with --username, and the password in {PASSWORD_VARIABLE}"
        ));
    }
    let mut asker = Asker {
        lines: io::stdin().lock(),
        out: io::stderr(),
        hidden: |question: &str| rpassword::prompt_password(question),
    };
    asker.ask(said).map_err(|error| format!("nothing was made: {error}"))
}

fn without_asking(said: &Said, password: Option<&SecretString>) -> Result<Wanted, String> {
    let username = match said.username.as_deref().map(Username::parse) {
        Some(read) => read.map_err(|error| vec![format!("--username: {error}")]),
        None => Err(vec!["--username is missing".to_owned()]),
    };
    let email = email(said.email.as_deref()).map_err(|error| vec![format!("--email: {error}")]);
    let names = names(username.as_ref().ok(), email.as_ref().ok().and_then(Option::as_ref));
    let password = match password.filter(|password| !password.expose_secret().is_empty()) {
        Some(password) => Password::check(password.expose_secret(), &names).map_err(|errors| {
            errors.into_iter().map(|error| format!("{PASSWORD_VARIABLE}: {error}")).collect()
        }),
        None => Err(vec![format!("{PASSWORD_VARIABLE} is not set: the password of the new admin")]),
    };
    match (username, email, password) {
        (Ok(username), Ok(email), Ok(password)) => Ok(Wanted { username, email, password }),
        (username, email, password) => {
            let errors: [Option<Vec<String>>; 3] = [username.err(), email.err(), password.err()];
            Err(errors.into_iter().flatten().flatten().collect::<Vec<_>>().join("\n"))
        }
    }
}

fn email(text: Option<&str>) -> Result<Option<Email>, String> {
    match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => Email::parse(text).map(Some).map_err(|error| error.to_string()),
    }
}

/// What a password must not be like.
fn names<'a>(username: Option<&'a Username>, email: Option<&'a Email>) -> Vec<&'a str> {
    username.map(Username::as_str).into_iter().chain(email.map(Email::as_str)).collect()
}

/// Somebody at a terminal. She is asked again until what she says is right, or until she closes it.
struct Asker<L, O, H> {
    lines: L,
    out: O,
    /// Asks this, and reads a line that is not shown.
    hidden: H,
}

impl<L: BufRead, O: Write, H: FnMut(&str) -> io::Result<String>> Asker<L, O, H> {
    fn ask(&mut self, said: &Said) -> io::Result<Wanted> {
        let username = self.until_right("Username: ", said.username.as_deref(), |text| {
            Username::parse(text).map_err(|error| error.to_string())
        })?;
        let email = self.until_right("E-mail address (may be empty): ", said.email.as_deref(), |text| {
            email(Some(text))
        })?;
        let names = names(Some(&username), email.as_ref());
        let password = loop {
            let first = SecretString::from((self.hidden)("Password (it is not shown): ")?);
            let errors = match Password::check(first.expose_secret(), &names) {
                Ok(password) => {
                    let second = SecretString::from((self.hidden)("Password (again): ")?);
                    if first.expose_secret() == second.expose_secret() {
                        break password;
                    }
                    vec!["The two are not the same".to_owned()]
                }
                Err(errors) => errors,
            };
            for error in errors {
                writeln!(self.out, "{error}")?;
            }
        };
        Ok(Wanted { username, email, password })
    }

    fn until_right<T>(
        &mut self,
        question: &str,
        said: Option<&str>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> io::Result<T> {
        let mut answer = said.map(str::to_owned);
        loop {
            let text = match answer.take() {
                Some(text) => text,
                None => self.line(question)?,
            };
            match read(&text) {
                Ok(value) => return Ok(value),
                Err(error) => writeln!(self.out, "{error}")?,
            }
        }
    }

    fn line(&mut self, question: &str) -> io::Result<String> {
        write!(self.out, "{question}")?;
        self.out.flush()?;
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal was closed"));
        }
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "wistful-otter-71";

    fn said(username: Option<&str>, email: Option<&str>) -> Said {
        Said { username: username.map(str::to_owned), email: email.map(str::to_owned), noinput: true }
    }

    /// What somebody answers, line by line, and what she types unseen; and what she is told.
    fn asked(said: &Said, lines: &str, hidden: &[&str]) -> (io::Result<Wanted>, String) {
        let mut hidden = hidden.iter();
        let mut out = Vec::new();
        let mut asker = Asker {
            lines: lines.as_bytes(),
            out: &mut out,
            hidden: |_: &str| {
                let next = hidden.next().map(|text| (*text).to_owned());
                next.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "closed"))
            },
        };
        let wanted = asker.ask(said);
        (wanted, String::from_utf8(out).unwrap())
    }

    #[test]
    fn whoever_is_asked_may_err() {
        let lines = "no spaces please\nada\nnonsense\nada@example.com\n";
        let hidden = ["short", "ada@example.com", GOOD, "something-else-9", GOOD, GOOD];
        let (wanted, told) = asked(&said(None, None), lines, &hidden);
        let wanted = wanted.unwrap();
        assert_eq!(wanted.username.as_str(), "ada");
        assert_eq!(wanted.email.as_ref().map(Email::as_str), Some("ada@example.com"));
        for sentence in
            ["Username may hold only", "Enter a valid e-mail", "at least 8", "too much like", "not the same"]
        {
            assert!(told.contains(sentence), "{sentence} is not in {told}");
        }
        assert!(!told.contains(GOOD) && !format!("{wanted:?}").contains(GOOD));
    }

    #[test]
    fn what_was_said_is_not_asked_for() {
        let (wanted, told) = asked(&said(Some("ada"), Some("")), "", &[GOOD, GOOD]);
        assert_eq!(wanted.unwrap().email.as_ref().map(Email::as_str), None);
        assert_eq!(told, "");
    }

    #[test]
    fn a_closed_terminal_makes_nobody() {
        for (lines, hidden) in
            [("", vec![]), ("ada\n\n", vec![]), ("ada\n\n", vec![GOOD]), ("1\n2\n", vec![])]
        {
            let (wanted, _) = asked(&said(None, None), lines, &hidden);
            assert_eq!(wanted.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{lines:?}");
        }
    }

    #[test]
    fn a_script_hears_of_everything_at_once() {
        let fails = |said: &Said, password: Option<&str>| {
            ask(said, password.map(SecretString::from).as_ref()).unwrap_err()
        };
        let all = fails(&said(None, Some("nonsense")), None);
        assert_eq!(all.lines().count(), 3, "{all}");
        let all = fails(&said(Some("+919876543210"), None), Some("12345678"));
        for sentence in ["--username: ", "LOOPIN_SUPERUSER_PASSWORD: ", "only digits"] {
            assert!(all.contains(sentence), "{sentence} is not in {all}");
        }
        assert!(!all.contains("12345678"), "{all}");
        assert!(fails(&said(Some("ada"), None), Some("")).contains("is not set"));
        let wanted = ask(&said(Some("ada"), None), Some(&GOOD.into())).unwrap();
        assert_eq!((wanted.username.as_str(), wanted.email.is_none()), ("ada", true));
    }
}
