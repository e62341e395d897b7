//! Checks the credentials for the operator's command:
//! <https://www.twilio.com/docs/iam/api/account#fetch-an-account-resource>.

use reqwest::Method;

use super::{ERRORS, Twilio};
use crate::{ProviderText, Unsent, client, client::Api as _};

/// What Twilio reports about the account. Both are unknown with an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountCheck {
    /// Whether it may be used.
    pub status: Option<AccountStatus>,
    /// Whether it is paid for.
    pub kind: Option<AccountKind>,
}

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    /// It may be used.
    Active,
    /// Twilio has suspended it, most likely for lack of money.
    Suspended,
    /// It is closed permanently.
    Closed,
}

/// Whether an account is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// It can only send to numbers that were verified with Twilio.
    Trial,
    /// It can send to all numbers.
    Full,
}

impl Twilio {
    /// Asks Twilio once whether the credentials are valid. It sends no message and logs nothing.
    ///
    /// # Errors
    /// [`Unsent`]; [`crate::explain_with_text`] turns it into a sentence.
    pub async fn check_account(&self) -> Result<AccountCheck, Unsent> {
        // A standard API key cannot read the account, so it reads one message.
        let is_key = self.api.settings.credentials.user.starts_with("SK");
        let mut url = if is_key { self.api.messages.clone() } else { self.api.account.clone() };
        if is_key {
            url.set_query(Some("PageSize=1"));
        }
        let request = self.api.authorized_request(Method::GET, url);
        let answer = client::post(request, self.api.settings.timeout, self.clock.now())
            .await
            .map_err(|no_answer| ERRORS.of_no_answer(no_answer.outcome()).error)?;
        if !answer.status.is_success() {
            let text = self.api.error_text(&answer).and_then(ProviderText::read);
            let error = answer.provider_error(&ERRORS, answer.code("code")).error;
            return Err(Unsent { text, ..error.into() });
        }
        let sid = answer.text("sid");
        if !is_key && sid != Some(&self.api.settings.account_sid) {
            // A success response from something that is not Twilio.
            return Err(ERRORS.of_answer(answer.status.as_u16(), None, None).error.into());
        }
        Ok(AccountCheck {
            status: match answer.text("status") {
                Some("active") => Some(AccountStatus::Active),
                Some("suspended") => Some(AccountStatus::Suspended),
                Some("closed") => Some(AccountStatus::Closed),
                Some(_) | None => None,
            },
            kind: match answer.text("type") {
                Some("Trial") => Some(AccountKind::Trial),
                Some("Full") => Some(AccountKind::Full),
                Some(_) | None => None,
            },
        })
    }
}
