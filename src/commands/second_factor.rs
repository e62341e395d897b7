//! `loopin-auth second-factor`: the second factor of staff, when it is lost.

use std::process::ExitCode;

use secrecy::ExposeSecret;

use super::{CommandError, Context, output::print, runtime};
use crate::{
    config::Config,
    domain::{credentials::Login, roles::AdminPermission, second_factor::EnrolmentToken},
    flows::second_factor::{self, Reset},
    store,
};

/// Removes the second factor of an account, and prints the link that sets up a new one.
///
/// # Errors
/// When the settings are wrong, the name is not that of staff, or the database is not migrated or does not answer.
pub fn reset(context: &Context, name: &str) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let login = Login::parse(name, config.region);
    let link = runtime()?.block_on(async {
        let services = context.services(&config).await?;
        let Some((account, _)) = store::accounts::find_credentials(&services.store, &login).await? else {
            return Err(CommandError::from("no account has this name"));
        };
        match second_factor::reset(&services, account.id, AdminPermission::by_command()).await? {
            Reset::Done { link, .. } => Ok(link),
            Reset::NotFound => Err("no account has this name".into()),
            Reset::NotStaff => Err("this account is not one of staff: make it staff first".into()),
            Reset::Own => Err("admins cannot reset their own second factor".into()),
        }
    })?;
    print(format_args!(
        "the second factor is removed, and the sessions of the account with rights have ended\n"
    ))?;
    print(said(&config, &link))?;
    Ok(ExitCode::SUCCESS)
}

/// The link, and what to do with it.
#[must_use]
pub fn said(config: &Config, link: &EnrolmentToken) -> String {
    let (origin, path) = (config.public_origin(), link.path());
    format!(
        "To set up the second factor, open this link within 24 hours. It works once; who has it can set up the factor.\n\
         {origin}{}\n",
        path.expose_secret()
    )
}
