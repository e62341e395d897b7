//! Fields of request bodies. Parsing a body never fails on a field: a field keeps what came, and a handler asks all of
//! its fields before it answers, so that one answer names every fault.

use std::{borrow::Cow, collections::BTreeMap, marker::PhantomData};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseFromJSON, ParseResult, ToJSON, Type},
};
use secrecy::SecretString;
use serde_json::Value;

use super::envelope::{ErrorCode, ErrorResponse, Failure};
use crate::domain::{
    bot_check::{self, MAX_RESPONSE_CHARS},
    delivery::{self, ChannelPolicy, UnknownChannel, UnknownPlatform},
    otp::{CodeLength, OtpCode},
    phone::{LONGEST_TEXT, PhoneNumber, Region},
};

/// What is wrong with one field, as sentences for a person.
pub type Messages = Vec<String>;

/// How a field is described to clients.
pub trait Describe: Send + Sync + 'static {
    /// Whether it must be there.
    const REQUIRED: bool;
    /// A name for the type.
    const NAME: &'static str;
    /// Its schema.
    fn schema() -> MetaSchema;
}

/// A field as it came: nothing, or some JSON.
pub struct Field<D> {
    value: Option<Value>,
    description: PhantomData<D>,
}

// By hand: a field may hold a code or a token.
impl<D: Describe> std::fmt::Debug for Field<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Field<{}>(..)", D::NAME)
    }
}

impl<D> Field<D> {
    /// A field that holds this, for examples.
    pub fn example_of(value: impl Into<Value>) -> Self {
        Self { value: Some(value.into()), description: PhantomData }
    }

    /// A field that is not there, for examples.
    pub fn absent() -> Self {
        Self { value: None, description: PhantomData }
    }

    /// Whether the field is there, be it as null.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.value.is_some()
    }

    /// Whether the field is there and null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.value, Some(Value::Null))
    }

    fn value(&self) -> Result<&Value, Messages> {
        match &self.value {
            None => Err(vec!["This field is required".to_owned()]),
            Some(Value::Null) => Err(vec!["This field may not be null".to_owned()]),
            Some(value) => Ok(value),
        }
    }

    /// The text that must be there. Control characters are in no text of ours, and NUL is in no PostgreSQL text.
    pub fn text(&self) -> Result<&str, Messages> {
        text_of(self.value()?)
    }

    /// The truth that must be there.
    pub fn boolean(&self) -> Result<bool, Messages> {
        self.value()?.as_bool().ok_or_else(|| vec!["Must be true or false".to_owned()])
    }

    /// The whole number that must be there.
    pub fn integer(&self) -> Result<i64, Messages> {
        self.value()?.as_i64().ok_or_else(|| vec!["Must be a whole number".to_owned()])
    }

    /// The whole numbers that must be there.
    pub fn integers(&self) -> Result<Vec<i64>, Messages> {
        self.items("Must be a list of whole numbers", |item| {
            item.as_i64().ok_or_else(|| vec!["Must be a list of whole numbers".to_owned()])
        })
    }

    /// The texts that must be there.
    pub fn texts(&self) -> Result<Vec<String>, Messages> {
        self.items("Must be a list of texts", |item| text_of(item).map(str::to_owned))
    }

    fn items<T>(
        &self,
        sentence: &'static str,
        read: impl Fn(&Value) -> Result<T, Messages>,
    ) -> Result<Vec<T>, Messages> {
        match self.value()? {
            Value::Array(items) => items.iter().map(read).collect(),
            _ => Err(vec![sentence.to_owned()]),
        }
    }

    /// The field, if it is there and not null.
    #[must_use]
    pub fn given(&self) -> Option<&Self> {
        (self.is_given() && !self.is_null()).then_some(self)
    }
}

fn text_of(value: &Value) -> Result<&str, Messages> {
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

impl<D: Describe> ToJSON for Field<D> {
    fn to_json(&self) -> Option<Value> {
        self.value.clone()
    }
}

/// The faults of a whole body, gathered field by field.
#[derive(Debug, Default)]
pub struct FieldErrors(BTreeMap<String, Messages>);

impl FieldErrors {
    /// Keeps the faults of a field, or hands its value on.
    pub fn check<T>(&mut self, field: &str, result: Result<T, Messages>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(errors) => {
                self.0.insert(field.to_owned(), errors);
                None
            }
        }
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The answer that names them all.
    #[must_use]
    pub fn into_error_response(self) -> ErrorResponse {
        let mut failure = Failure::from_code(ErrorCode::ValidationFailed);
        failure.error.fields = Some(self.0);
        ErrorResponse(failure)
    }
}

/// What is in a field that may be left out.
pub fn optional<D, T>(
    errors: &mut FieldErrors,
    name: &str,
    field: &Field<D>,
    read: impl FnOnce(&Field<D>) -> Result<T, Messages>,
) -> Option<T> {
    field.is_given().then(|| errors.check(name, read(field))).flatten()
}

/// A phone number, in any spelling that the contract takes.
pub fn phone(field: &Field<impl Describe>, region: Region) -> Result<PhoneNumber, Messages> {
    PhoneNumber::parse(field.text()?, region).map_err(|error| vec![error.to_string()])
}

/// A channel that is on, if one is named.
pub fn channel(
    field: &Field<impl Describe>,
    channels: &ChannelPolicy,
) -> Result<Option<delivery::Channel>, Messages> {
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

/// What the app runs on, if it says so.
pub fn platform(field: &Field<impl Describe>) -> Result<Option<delivery::Platform>, Messages> {
    let Some(field) = field.given() else {
        return Ok(None);
    };
    let platform =
        field.text()?.parse().map_err(|error: UnknownPlatform| vec![format!("Platform {error}")])?;
    Ok(Some(platform))
}

/// A code.
pub fn otp_code(field: &Field<impl Describe>, length: CodeLength) -> Result<OtpCode, Messages> {
    OtpCode::parse(field.text()?, length).map_err(|error| vec![error.to_string()])
}

/// The answer to a challenge, if there is one.
pub fn challenge_response(
    field: &Field<impl Describe>,
) -> Result<Option<bot_check::ChallengeResponse>, Messages> {
    let Some(field) = field.given() else {
        return Ok(None);
    };
    let response =
        bot_check::ChallengeResponse::parse(field.text()?).map_err(|error| vec![error.to_string()])?;
    Ok(Some(response))
}

/// What a device was given when somebody signed in on it. Any text is taken: one that is no good is as none.
pub fn device_token(field: &Field<impl Describe>) -> Result<Option<SecretString>, Messages> {
    field.given().map(|field| Ok(field.text()?.into())).transpose()
}

/// A schema of a JSON type with an example.
pub fn schema(ty: &'static str, description: &'static str, example: Value) -> MetaSchema {
    MetaSchema { description: Some(description), example: Some(example), ..MetaSchema::new(ty) }
}

macro_rules! describe {
    ($(#[$doc:meta])* $name:ident, required: $required:expr, $schema:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl Describe for $name {
            const REQUIRED: bool = $required;
            const NAME: &'static str = stringify!($name);

            fn schema() -> MetaSchema {
                $schema
            }
        }
    };
}

pub(super) use describe;

fn phone_schema() -> MetaSchema {
    MetaSchema {
        max_length: Some(LONGEST_TEXT),
        ..schema(
            "string",
            "A mobile number, best in E.164 (`+916205829376`); spaces, dashes, dots and parentheses are ignored. Without \
             a plus it is a national number of `PHONE_DEFAULT_REGION`, or begins with that region's country code. `00` \
             is a plus if that region dials abroad by `00`.",
            "+916205829376".into(),
        )
    }
}

fn birth_date_schema() -> MetaSchema {
    MetaSchema {
        format: Some("date"),
        ..schema(
            "string",
            "`YYYY-MM-DD`. 18 or older today in `TIME_ZONE`, and at most 120 years old.",
            "1995-01-01".into(),
        )
    }
}

fn name_schema() -> MetaSchema {
    MetaSchema {
        // `minLength` is a setting's: `docs/requests.rs` puts it in.
        max_length: Some(100),
        ..schema(
            "string",
            "Letters of any script, spaces, hyphens, full stops, middle dots and apostrophes; at least \
             `NAME_MIN_CHARACTERS` (3) characters; trimmed.",
            "Gaurav Kumar".into(),
        )
    }
}

fn gender_schema() -> MetaSchema {
    schema("string", "`male`, `female` or `other`, in any letter case.", "male".into())
}

fn interests_schema() -> MetaSchema {
    MetaSchema {
        items: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format(
            "integer", "int64",
        ))))),
        min_items: Some(1),
        max_items: Some(5),
        unique_items: Some(true),
        ..schema("array", "Ids from `GET /api/auth/event-interests`.", serde_json::json!([1, 2, 3]))
    }
}

fn pictures_schema() -> MetaSchema {
    let url = MetaSchema { max_length: Some(2048), ..MetaSchema::new_with_format("string", "uri") };
    MetaSchema {
        items: Some(Box::new(MetaSchemaRef::Inline(Box::new(url)))),
        min_items: Some(1),
        max_items: Some(6),
        unique_items: Some(true),
        ..schema(
            "array",
            "`http` or `https` URLs; in production their hosts must be public.",
            serde_json::json!(["https://example.com/pic1.jpg", "https://example.com/pic2.jpg"]),
        )
    }
}

fn clearable(schema: MetaSchema) -> MetaSchema {
    MetaSchema { nullable: true, ..schema }
}

fn bio_schema() -> MetaSchema {
    MetaSchema {
        max_length: Some(500),
        ..schema("string", "A text about the user; trimmed.", "I like live music.".into())
    }
}

fn location_schema() -> MetaSchema {
    MetaSchema { max_length: Some(100), ..schema("string", "The user's location; trimmed.", "Patna".into()) }
}

describe!(/// `phone_number` where it must be there.
    Phone, required: true, phone_schema());
describe!(/// `phone_number` of `complete-profile`, which needs none: the token names the phone.
OwnPhone, required: false, clearable(MetaSchema {
    description: Some("Optional. If given, it must be the phone of the access token."),
    ..phone_schema()
}));
describe!(/// `phone_number` of `login`, which takes a username as well.
LoginPhone, required: false, phone_schema());
describe!(/// `channel`: null and absent are the usual one.
Channel, required: false, MetaSchema {
    ..clearable(schema("string", "The channel of the code: `sms`, `whatsapp` or `call`, if it is enabled (`OTP_CHANNELS`). Default: `sms`, or the first enabled channel.", "sms".into()))
});
describe!(/// `platform`: null and absent are none.
Platform, required: false, MetaSchema {
    ..clearable(schema("string", "The platform of the app. An SMS for `android` ends with the hash of the SMS Retriever, if the server has one.", "android".into()))
});
describe!(/// `challenge_response`: null and absent are none.
ChallengeResponse, required: false, MetaSchema {
    min_length: Some(1),
    max_length: Some(MAX_RESPONSE_CHARS),
    ..clearable(schema("string", "The solution of the challenge of a 403 `challenge_required`: the widget's token, \
         or the answer to the proof of work. Ignored if none is required.", Value::Null))
});
describe!(/// `device_token`: null and absent are none.
DeviceToken, required: false, clearable(schema("string", "The `device_token` of the last sign-in on this device. \
     Send it to both routes of a sign-in or to neither. An invalid one is ignored.", Value::Null)));
describe!(/// `otp_code`.
Code, required: true, MetaSchema {
    pattern: Some("^[0-9]{4,8}$".to_owned()),
    ..schema("string", "The code of the message: `OTP_LENGTH` digits, 4 by default. A string, not a number: leading \
         zeros count.", "1097".into())
});
describe!(/// `otp_code` of `confirm`, where a password may stand in its place.
MaybeCode, required: false, MetaSchema {
    pattern: Some("^[0-9]{4,8}$".to_owned()),
    ..clearable(schema("string", "The code of the message that `confirm-code` sent. Not together with `password`.", "1097".into()))
});
describe!(/// `password` of `confirm`, where a code may stand in its place.
OwnPassword, required: false, MetaSchema {
    format: Some("password"),
    ..clearable(schema("string", "The password. Not together with `otp_code`.", Value::Null))
});
describe!(/// `refresh`.
    Refresh, required: true, schema("string", "The refresh token.", "eyJhbGciOiJIUzI1NiJ9.e30.refresh".into()));
describe!(/// `refresh` of `logout`, which may be left out.
    MaybeRefresh, required: false,
    clearable(schema("string", "The refresh token.", "eyJhbGciOiJIUzI1NiJ9.e30.refresh".into())));
describe!(/// `name` where it must be there.
    Name, required: true, name_schema());
describe!(/// `birth_date` where it must be there.
    BirthDate, required: true, birth_date_schema());
describe!(/// `gender` where it must be there.
    Gender, required: true, gender_schema());
describe!(/// `event_interests` where it must be there.
    Interests, required: true, interests_schema());
describe!(/// `profile_pictures` where it must be there.
    Pictures, required: true, pictures_schema());
describe!(/// `name` where it may be left out.
    NewName, required: false, name_schema());
describe!(/// `birth_date` where it may be left out.
    NewBirthDate, required: false, birth_date_schema());
describe!(/// `gender` where it may be left out.
    NewGender, required: false, gender_schema());
describe!(/// `event_interests` where it may be left out.
    NewInterests, required: false, interests_schema());
describe!(/// `profile_pictures` where it may be left out.
    NewPictures, required: false, pictures_schema());
describe!(/// `bio`: optional, and null clears it.
    Bio, required: false, clearable(bio_schema()));
describe!(/// `location`: optional, and null clears it.
    Location, required: false, clearable(location_schema()));
