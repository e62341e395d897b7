//! `loopin-auth createsuperuser`: creates an admin, and asks for what the arguments do not say.
//!
//! The password is never an argument: arguments appear in the list of processes and in the shell's history.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    process::ExitCode,
};

use secrecy::{ExposeSecret, SecretString};

use super::{CommandError, Context, NOT_MIGRATED, output::print, runtime, second_factor::said};
use crate::{
    domain::credentials::{Email, Password, Username},
    flows::users::{self, AdminMade},
};

/// The environment variable in which scripts pass the password.
const PASSWORD_VARIABLE: &str = "LOOPIN_SUPERUSER_PASSWORD";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The username of the new admin
    #[arg(long)]
    pub username: Option<String>,
    /// The e-mail address of the new admin
    #[arg(long)]
    pub email: Option<String>,
    /// Never ask; fail if something is missing
    #[arg(long)]
    pub noinput: bool,
}

/// The admin to create.
#[derive(Debug)]
struct NewAdmin {
    username: Username,
    /// It is not verified.
    email: Option<Email>,
    password: Password,
}

/// Creates an admin, and prints the link that sets up the second factor. All questions come first, so that a cancelled command changes nothing.
///
/// # Errors
/// When the settings or the answers are wrong, a name is taken, or the database is not migrated or does not answer.
pub fn run(context: &Context, options: &Options) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    // Only from the environment: a password must not stay in `.env`.
    let password = context.sources.secret_variable(PASSWORD_VARIABLE)?;
    let admin = ask(options, password.as_ref())?;
    let made = runtime()?.block_on(async {
        let services = context.services(&config).await?;
        let made = users::create_admin(&services, &admin.username, admin.email.as_ref(), &admin.password);
        Ok::<_, CommandError>(made.await?)
    })?;
    let name = admin.username.as_str();
    match made {
        AdminMade::Made { id, link } => {
            print(format_args!("{name} is an admin now, with the id {id}\n{}", said(&config, &link)))?;
            Ok(ExitCode::SUCCESS)
        }
        AdminMade::UsernameTaken => Err(format!("the username {name} is taken").into()),
        AdminMade::EmailTaken => Err("the e-mail address is taken".into()),
        AdminMade::NoSchema => Err(NOT_MIGRATED.into()),
    }
}

/// Checks the arguments, and asks on the terminal for what is missing or wrong.
///
/// # Errors
/// With `--noinput`, a line for each missing or wrong argument. Else, when there is no terminal or it is closed.
fn ask(options: &Options, password: Option<&SecretString>) -> Result<NewAdmin, String> {
    if options.noinput {
        return check_arguments(options, password);
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
    asker.ask(options).map_err(|error| format!("nothing was created: {error}"))
}

/// Checks the arguments and the variable, and collects all errors.
fn check_arguments(options: &Options, password: Option<&SecretString>) -> Result<NewAdmin, String> {
    let username = match options.username.as_deref().map(Username::parse) {
        Some(read) => read.map_err(|error| vec![format!("--username: {error}")]),
        None => Err(vec!["--username is missing".to_owned()]),
    };
    let email = email(options.email.as_deref()).map_err(|error| vec![format!("--email: {error}")]);
    let names = names(username.as_ref().ok(), email.as_ref().ok().and_then(Option::as_ref));
    let password = match password.filter(|password| !password.expose_secret().is_empty()) {
        Some(password) => Password::check(password.expose_secret(), &names).map_err(|errors| {
            errors.into_iter().map(|error| format!("{PASSWORD_VARIABLE}: {error}")).collect()
        }),
        None => Err(vec![format!("{PASSWORD_VARIABLE} is not set: the password of the new admin")]),
    };
    match (username, email, password) {
        (Ok(username), Ok(email), Ok(password)) => Ok(NewAdmin { username, email, password }),
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

/// The names that the password must not resemble.
fn names<'a>(username: Option<&'a Username>, email: Option<&'a Email>) -> Vec<&'a str> {
    username.map(Username::as_str).into_iter().chain(email.map(Email::as_str)).collect()
}

/// Asks on a terminal, and repeats a question until the answer is valid or the terminal is closed.
struct Asker<L, O, H> {
    lines: L,
    out: O,
    /// Prints a prompt and reads a line without echo.
    hidden: H,
}

impl<L: BufRead, O: Write, H: FnMut(&str) -> io::Result<String>> Asker<L, O, H> {
    fn ask(&mut self, options: &Options) -> io::Result<NewAdmin> {
        let username = self.ask_until_valid("Username: ", options.username.as_deref(), |text| {
            Username::parse(text).map_err(|error| error.to_string())
        })?;
        let email =
            self.ask_until_valid("E-mail address (may be empty): ", options.email.as_deref(), |text| {
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
        Ok(NewAdmin { username, email, password })
    }

    fn ask_until_valid<T>(
        &mut self,
        question: &str,
        given: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> io::Result<T> {
        let mut answer = given.map(str::to_owned);
        loop {
            let text = match answer.take() {
                Some(text) => text,
                None => self.read_line(question)?,
            };
            match parse(&text) {
                Ok(value) => return Ok(value),
                Err(error) => writeln!(self.out, "{error}")?,
            }
        }
    }

    fn read_line(&mut self, question: &str) -> io::Result<String> {
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

    fn options(username: Option<&str>, email: Option<&str>) -> Options {
        Options { username: username.map(str::to_owned), email: email.map(str::to_owned), noinput: true }
    }

    /// Answers the questions with these lines and these hidden lines; returns the result and what was printed.
    fn answer(options: &Options, lines: &str, hidden: &[&str]) -> (io::Result<NewAdmin>, String) {
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
        let admin = asker.ask(options);
        (admin, String::from_utf8(out).unwrap())
    }

    #[test]
    fn whoever_is_asked_may_err() {
        let lines = "no spaces please\nada\nnonsense\nada@example.com\n";
        let hidden = ["short", "ada@example.com", GOOD, "something-else-9", GOOD, GOOD];
        let (admin, printed) = answer(&options(None, None), lines, &hidden);
        let admin = admin.unwrap();
        assert_eq!(admin.username.as_str(), "ada");
        assert_eq!(admin.email.as_ref().map(Email::as_str), Some("ada@example.com"));
        for sentence in
            ["Username may hold only", "Enter a valid e-mail", "at least 8", "too much like", "not the same"]
        {
            assert!(printed.contains(sentence), "{sentence} is not in {printed}");
        }
        assert!(!printed.contains(GOOD) && !format!("{admin:?}").contains(GOOD));
    }

    #[test]
    fn what_was_said_is_not_asked_for() {
        let (admin, printed) = answer(&options(Some("ada"), Some("")), "", &[GOOD, GOOD]);
        assert_eq!(admin.unwrap().email.as_ref().map(Email::as_str), None);
        assert_eq!(printed, "");
    }

    #[test]
    fn a_closed_terminal_makes_nobody() {
        for (lines, hidden) in
            [("", vec![]), ("ada\n\n", vec![]), ("ada\n\n", vec![GOOD]), ("1\n2\n", vec![])]
        {
            let (admin, _) = answer(&options(None, None), lines, &hidden);
            assert_eq!(admin.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{lines:?}");
        }
    }

    #[test]
    fn a_script_hears_of_everything_at_once() {
        let fails = |options: &Options, password: Option<&str>| {
            ask(options, password.map(SecretString::from).as_ref()).unwrap_err()
        };
        let all = fails(&options(None, Some("nonsense")), None);
        assert_eq!(all.lines().count(), 3, "{all}");
        let all = fails(&options(Some("+919876543210"), None), Some("12345678"));
        for sentence in ["--username: ", "LOOPIN_SUPERUSER_PASSWORD: ", "only digits"] {
            assert!(all.contains(sentence), "{sentence} is not in {all}");
        }
        assert!(!all.contains("12345678"), "{all}");
        assert!(fails(&options(Some("ada"), None), Some("")).contains("is not set"));
        let admin = ask(&options(Some("ada"), None), Some(&GOOD.into())).unwrap();
        assert_eq!((admin.username.as_str(), admin.email.is_none()), ("ada", true));
    }
}
