//! The ids under which an operator registered its texts in India (DLT).
//!
//! Carriers in India deliver an SMS on a domestic route only if it matches a registered template but for its variables. Each
//! ending of a text is a template of its own.

use serde::Deserialize;

use super::{LastLine, Notice};

/// The country's two-letter code.
pub const INDIA: &str = "IN";

/// How many digits the registry's ids have.
const ID_DIGITS: usize = 19;

/// The registration of a text, for providers that pass it on to carriers in India.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dlt {
    /// The registered operator (`SMS_DLT_ENTITY_ID`).
    pub entity_id: String,
    /// The registered text.
    pub template_id: String,
}

/// The template ids of a language's texts. The names are the keys of its file: `sms_webotp` is the text `sms` with the line that
/// web pages read, and `sms_android` with the hash of the app.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TemplateIds {
    sms: Option<String>,
    sms_webotp: Option<String>,
    sms_android: Option<String>,
    sms_one: Option<String>,
    sms_one_webotp: Option<String>,
    sms_one_android: Option<String>,
    phone_changed: Option<String>,
    password_changed: Option<String>,
    accounts_merged: Option<String>,
}

impl TemplateIds {
    /// The id of an SMS with a code.
    pub(super) fn of_code(&self, line: LastLine<'_>, is_for_one_minute: bool) -> Option<&str> {
        let id = match (line, is_for_one_minute) {
            (LastLine::None, false) => &self.sms,
            (LastLine::WebOtp(_), false) => &self.sms_webotp,
            (LastLine::Android(_), false) => &self.sms_android,
            (LastLine::None, true) => &self.sms_one,
            (LastLine::WebOtp(_), true) => &self.sms_one_webotp,
            (LastLine::Android(_), true) => &self.sms_one_android,
        };
        id.as_deref()
    }

    /// The id of a notice.
    pub(super) fn of_notice(&self, notice: Notice) -> Option<&str> {
        match notice {
            Notice::PhoneChanged => self.phone_changed.as_deref(),
            Notice::PasswordChanged => self.password_changed.as_deref(),
            Notice::AccountsMerged => self.accounts_merged.as_deref(),
        }
    }

    /// The ids that the registry cannot have given.
    pub(super) fn errors(&self) -> Vec<String> {
        let ids = [
            ("sms", &self.sms),
            ("sms_webotp", &self.sms_webotp),
            ("sms_android", &self.sms_android),
            ("sms_one", &self.sms_one),
            ("sms_one_webotp", &self.sms_one_webotp),
            ("sms_one_android", &self.sms_one_android),
            ("phone_changed", &self.phone_changed),
            ("password_changed", &self.password_changed),
            ("accounts_merged", &self.accounts_merged),
        ];
        let is_wrong = |id: &Option<String>| id.as_deref().is_some_and(|id| !is_dlt_id(id));
        let wrong = ids.into_iter().filter(|(_, id)| is_wrong(id));
        wrong.map(|(key, _)| format!("dlt.{key} must have {ID_DIGITS} digits")).collect()
    }
}

/// Whether a text has the form of an id of the registry, of an entity or a template.
#[must_use]
pub fn is_dlt_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}
