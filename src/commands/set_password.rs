//! `loopin-auth set-password`: a new password for an account, for its owner who cannot set one alone. Staff and admins get no code.
//!
//! The password is never an argument: arguments appear in the list of processes and in the shell's history.

use std::{
    io::{self, BufRead, IsTerminal},
    process::ExitCode,
};

use secrecy::{ExposeSecret, SecretString};

use super::{CommandError, Context, output::print, runtime};
use crate::{
    domain::{
        credentials::{Login, Password},
        roles::AdminPermission,
    },
    flows::set_password::{self, PasswordSet},
    store,
};

const NO_ACCOUNT: &str = "no account has this name";

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The username, the e-mail address, or the verified phone
    name: String,
    /// Read the password from the first line of the standard input; never ask
    #[arg(long)]
    stdin: bool,
}

/// Sets the password and ends all sessions of the account. The password is asked for twice, before anything is changed.
///
/// # Errors
/// When the settings, the name or the password are wrong, or the database is not migrated or does not answer.
pub fn run(context: &Context, options: &Options) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let login = Login::parse(&options.name, config.region);
    let typed = if options.stdin { read_line(&mut io::stdin().lock())? } else { ask()? };
    let ended = runtime()?.block_on(async {
        let services = context.services(&config).await?;
        let Some((account, _)) = store::accounts::find_credentials(&services.store, &login).await? else {
            return Err(CommandError::from(NO_ACCOUNT));
        };
        let new = Password::check(typed.expose_secret(), &account.names())
            .map_err(|errors| CommandError::from(errors.join("\n")))?;
        let set = set_password::set(&services, account.id, new, AdminPermission::by_command()).await?;
        // The notice to the user, and what became of it.
        services.lifecycle.all_done().await;
        services.receipts.settle().await;
        match set {
            PasswordSet::Done { ended } => Ok(ended),
            PasswordSet::NotFound => Err(NO_ACCOUNT.into()),
            PasswordSet::LikeAName(errors) => Err(errors.join("\n").into()),
            PasswordSet::Own => Err("admins change their own password with the old one".into()),
        }
    })?;
    print(format_args!("the password is set; {ended} sessions of the account have ended\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// The first line, without its end.
fn read_line(input: &mut impl BufRead) -> Result<SecretString, String> {
    let mut line = String::new();
    input.read_line(&mut line).map_err(|error| format!("the password could not be read: {error}"))?;
    let text = line.strip_suffix('\n').map_or(line.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() { Err("the standard input has no password".to_owned()) } else { Ok(text.into()) }
}

/// Asks twice on the terminal, without an echo.
fn ask() -> Result<SecretString, String> {
    if !io::stdin().is_terminal() {
        return Err("there is no terminal to ask on: use --stdin".to_owned());
    }
    let hidden = |question: &str| {
        let typed = rpassword::prompt_password(question).map(SecretString::from);
        typed.map_err(|error| format!("nothing was changed: {error}"))
    };
    let (first, second) = (hidden("New password (it is not shown): ")?, hidden("New password (again): ")?);
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err("nothing was changed: the two are not the same".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_first_line_without_its_end() {
        for (text, password) in [("secret", "secret"), ("a b \n", "a b "), ("x\r\ny", "x"), ("\r\r\n", "\r")]
        {
            assert_eq!(read_line(&mut text.as_bytes()).unwrap().expose_secret(), password);
        }
        for text in ["", "\n", "\r\n"] {
            assert!(read_line(&mut text.as_bytes()).is_err());
        }
    }
}
