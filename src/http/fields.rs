//! Fields of request bodies, and query parameters. Reading them never fails: a field keeps the value that was sent, and
//! a handler checks all of its fields before it answers, so that one answer names every error.

mod schemas;

use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use secrecy::SecretString;
use serde_json::Value;

pub(super) use self::schemas::describe;
pub use self::schemas::{
    Bio, BirthDate, ChallengeResponse, Channel, Code, DeviceToken, ForeignToken, Gender, Interests,
    Invitation, Location, LoginPhone, MaybeCode, MaybeRefresh, Name, NewBirthDate, NewGender, NewInterests,
    NewName, NewPictures, OwnPassword, OwnPhone, Phone, Pictures, Platform, Refresh, schema,
};

use super::envelope::{ErrorCode, ErrorResponse};
use crate::domain::{
    bot_check,
    delivery::{self, ChannelPolicy, UnknownChannel, UnknownPlatform},
    invitation::InvitationCode,
    otp::{CodeLength, OtpCode},
    phone::{PhoneNumber, Region},
};

/// The error messages of one field, for the user.
pub type ErrorMessages = Vec<String>;

/// How a field is described in the OpenAPI document.
pub trait Describe: Send + Sync + 'static {
    /// Whether it is required.
    const REQUIRED: bool;
    /// The name of the type.
    const NAME: &'static str;
    /// Its schema.
    fn schema() -> MetaSchema;
}

/// The value of a field as it was sent: any JSON, or nothing. The text of a query parameter is a JSON string here.
pub struct Field<D> {
    value: Option<Value>,
    description: PhantomData<D>,
}

impl<D> Default for Field<D> {
    /// An absent field.
    fn default() -> Self {
        Self { value: None, description: PhantomData }
    }
}

// Not derived: a field may hold a code or a token.
impl<D: Describe> fmt::Debug for Field<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field<{}>(..)", D::NAME)
    }
}

impl<D> Field<D> {
    /// A field with this value.
    pub fn from_value(value: impl Into<Value>) -> Self {
        Self { value: Some(value.into()), description: PhantomData }
    }

    /// Whether the field was sent, including as null.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.value.is_some()
    }

    /// Whether the field was sent as null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.value, Some(Value::Null))
    }

    fn value(&self) -> Result<&Value, ErrorMessages> {
        match &self.value {
            None => Err(vec!["This field is required".to_owned()]),
            Some(Value::Null) => Err(vec!["This field may not be null".to_owned()]),
            Some(value) => Ok(value),
        }
    }

    /// The text as it was sent; none if the field is absent or not a text.
    #[must_use]
    pub fn raw_text(&self) -> Option<&str> {
        self.value.as_ref().and_then(Value::as_str)
    }

    /// The text, which is required. Control characters are refused: no text needs them, and PostgreSQL stores no NUL.
    pub fn text(&self) -> Result<&str, ErrorMessages> {
        text_of(self.value()?)
    }

    /// The boolean, which is required.
    pub fn boolean(&self) -> Result<bool, ErrorMessages> {
        self.value()?.as_bool().ok_or_else(|| vec!["Must be true or false".to_owned()])
    }

    /// The whole number, which is required.
    pub fn integer(&self) -> Result<i64, ErrorMessages> {
        self.value()?.as_i64().ok_or_else(|| vec!["Must be a whole number".to_owned()])
    }

    /// The list of whole numbers, which is required.
    pub fn integers(&self) -> Result<Vec<i64>, ErrorMessages> {
        self.items("Must be a list of whole numbers", |item| {
            item.as_i64().ok_or_else(|| vec!["Must be a list of whole numbers".to_owned()])
        })
    }

    /// The list of texts, which is required.
    pub fn texts(&self) -> Result<Vec<String>, ErrorMessages> {
        self.items("Must be a list of texts", |item| text_of(item).map(str::to_owned))
    }

    fn items<T>(
        &self,
        message: &'static str,
        read: impl Fn(&Value) -> Result<T, ErrorMessages>,
    ) -> Result<Vec<T>, ErrorMessages> {
        match self.value()? {
            Value::Array(items) => items.iter().map(read).collect(),
            _ => Err(vec![message.to_owned()]),
        }
    }

    /// The field, if it was sent and is not null.
    #[must_use]
    pub fn given(&self) -> Option<&Self> {
        (self.is_given() && !self.is_null()).then_some(self)
    }
}

fn text_of(value: &Value) -> Result<&str, ErrorMessages> {
    match value {
        Value::String(text) if text.contains(char::is_control) => {
            Err(vec!["Control characters are not allowed".to_owned()])
        }
        Value::String(text) => Ok(text),
        _ => Err(vec!["Must be a text".to_owned()]),
    }
}

impl<D: Describe> Type for Field<D> {
    const IS_REQUIRED: bool = D::REQUIRED;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        D::NAME.into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(D::schema()))
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(std::iter::once(self))
    }

    fn is_none(&self) -> bool {
        self.value.is_none()
    }
}

impl<D: Describe> ParseFromJSON for Field<D> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Ok(Self { value, description: PhantomData })
    }
}

impl<D: Describe> ParseFromParameter for Field<D> {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Ok(Self::from_value(text))
    }

    fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(texts: I) -> ParseResult<Self> {
        Ok(texts.into_iter().next().map(|text| Self::from_value(text.as_ref())).unwrap_or_default())
    }
}

impl<D: Describe> ToJSON for Field<D> {
    fn to_json(&self) -> Option<Value> {
        self.value.clone()
    }
}

/// The errors of a whole request, by field.
#[derive(Debug, Default)]
pub struct FieldErrors(BTreeMap<String, ErrorMessages>);

impl FieldErrors {
    /// One error of one field.
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self(BTreeMap::from([(field.to_owned(), vec![message.into()])]))
    }

    /// Returns the value of a field, or keeps its errors.
    pub fn check<T>(&mut self, field: &str, result: Result<T, ErrorMessages>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(errors) => {
                self.0.insert(field.to_owned(), errors);
                None
            }
        }
    }

    /// Whether there is no error so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The 422 body that names all of them.
    #[must_use]
    pub fn into_error_response(self) -> ErrorResponse {
        let mut failure = ErrorResponse::from_code(ErrorCode::ValidationFailed);
        failure.error.fields = Some(self.0);
        failure
    }
}

/// Reads a field that may be left out.
pub fn optional<D, T>(
    errors: &mut FieldErrors,
    name: &str,
    field: &Field<D>,
    read: impl FnOnce(&Field<D>) -> Result<T, ErrorMessages>,
) -> Option<T> {
    field.is_given().then(|| errors.check(name, read(field))).flatten()
}

/// The result of a parser, as the result of a field.
pub fn parsed<T>(result: Result<T, impl fmt::Display>) -> Result<T, ErrorMessages> {
    result.map_err(|error| vec![error.to_string()])
}

/// Reads a phone number in any accepted spelling.
pub fn phone(field: &Field<impl Describe>, region: Region) -> Result<PhoneNumber, ErrorMessages> {
    parsed(PhoneNumber::parse(field.text()?, region))
}

/// Reads a channel, which must be enabled.
pub fn channel(
    field: &Field<impl Describe>,
    channels: &ChannelPolicy,
) -> Result<Option<delivery::Channel>, ErrorMessages> {
    let Some(field) = field.given() else {
        return Ok(None);
    };
    let channel = field.text()?.parse().map_err(|error: UnknownChannel| vec![format!("Channel {error}")])?;
    if channels.is_on(channel) {
        Ok(Some(channel))
    } else {
        Err(vec![format!("Channel {} is not switched on", channel.as_str())])
    }
}

/// Reads the platform of the app.
pub fn platform(field: &Field<impl Describe>) -> Result<Option<delivery::Platform>, ErrorMessages> {
    let Some(field) = field.given() else {
        return Ok(None);
    };
    let platform =
        field.text()?.parse().map_err(|error: UnknownPlatform| vec![format!("Platform {error}")])?;
    Ok(Some(platform))
}

/// Reads a code.
pub fn otp_code(field: &Field<impl Describe>, length: CodeLength) -> Result<OtpCode, ErrorMessages> {
    parsed(OtpCode::parse(field.text()?, length))
}

/// Reads the solution of a bot challenge.
pub fn challenge_response(
    field: &Field<impl Describe>,
) -> Result<Option<bot_check::ChallengeResponse>, ErrorMessages> {
    let Some(field) = field.given() else {
        return Ok(None);
    };
    parsed(bot_check::ChallengeResponse::parse(field.text()?)).map(Some)
}

/// Reads an invitation. Any text is accepted: what no invitation looks like counts as none.
pub fn invitation(field: &Field<impl Describe>) -> Result<Option<InvitationCode>, ErrorMessages> {
    Ok(field.given().map(Field::text).transpose()?.and_then(InvitationCode::parse))
}

/// Reads the token of a known device. Any text is accepted: an invalid token counts as none.
pub fn device_token(field: &Field<impl Describe>) -> Result<Option<SecretString>, ErrorMessages> {
    field.given().map(|field| Ok(field.text()?.into())).transpose()
}
