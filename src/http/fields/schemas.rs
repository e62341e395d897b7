//! The descriptions of the fields that several requests share.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use serde_json::Value;

use super::Describe;
use crate::domain::{bot_check::MAX_RESPONSE_CHARS, phone::LONGEST_TEXT};

/// The schema of a JSON type, with an example.
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

pub(in crate::http) use describe;

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
        // `minLength` depends on a setting: `http/docs/requests.rs` adds it.
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

describe!(/// `phone_number` where it is required.
    Phone, required: true, phone_schema());
describe!(/// `phone_number` of `complete-profile`, which is optional: the token names the phone.
OwnPhone, required: false, clearable(MetaSchema {
    description: Some("Optional. If given, it must be the phone of the access token."),
    ..phone_schema()
}));
describe!(/// `phone_number` of `login`, which also takes a username.
LoginPhone, required: false, phone_schema());
describe!(/// `channel`: null and absent mean the default.
Channel, required: false, MetaSchema {
    ..clearable(schema("string", "The channel of the code: `sms`, `whatsapp` or `call`, if it is enabled (`OTP_CHANNELS`). Default: the one of the country (`OTP_CHANNEL_ORDER`), else `sms`, or the first enabled channel.", "sms".into()))
});
describe!(/// `platform`: null and absent mean none.
Platform, required: false, MetaSchema {
    ..clearable(schema("string", "The platform of the app. An SMS for `android` ends with the hash of the SMS Retriever, if the server has one.", "android".into()))
});
describe!(/// `challenge_response`: null and absent mean none.
ChallengeResponse, required: false, MetaSchema {
    min_length: Some(1),
    max_length: Some(MAX_RESPONSE_CHARS),
    ..clearable(schema("string", "The solution of the challenge of a 403 `challenge_required`: the widget's token, \
         or the answer to the proof of work. Ignored if none is required.", Value::Null))
});
describe!(/// `device_token`: null and absent mean none.
DeviceToken, required: false, clearable(schema("string", "The `device_token` of the last sign-in on this device. \
     Send it to both routes of a sign-in or to neither. An invalid one is ignored.", Value::Null)));
describe!(/// `invitation`: null and absent mean none.
Invitation, required: false, clearable(schema("string", "The invitation of a user without an account, where `SIGNUPS=invited`; letter case, \
     spaces and hyphens do not matter. Ignored if none is required.", Value::Null)));
describe!(/// `otp_code`.
Code, required: true, MetaSchema {
    pattern: Some("^[0-9]{4,8}$".to_owned()),
    ..schema("string", "The code of the message: `OTP_LENGTH` digits, 4 by default. A string, not a number: leading \
         zeros count.", "1097".into())
});
describe!(/// `otp_code` of `confirm`, which also takes a password.
MaybeCode, required: false, MetaSchema {
    pattern: Some("^[0-9]{4,8}$".to_owned()),
    ..clearable(schema("string", "The code of the message that `confirm-code` sent. Not together with `password`.", "1097".into()))
});
describe!(/// `password` of `confirm`, which also takes a code.
OwnPassword, required: false, MetaSchema {
    format: Some("password"),
    ..clearable(schema("string", "The password. Not together with `otp_code`.", Value::Null))
});
describe!(/// `token` of `exchange`.
    ForeignToken, required: true, schema("string", "A JWT of a trusted issuer, of at most 8,192 characters. It opens a session once.",
        "eyJhbGciOiJFUzI1NiJ9.e30.issuer".into()));
describe!(/// `refresh`.
    Refresh, required: true, schema("string", "The refresh token.", "eyJhbGciOiJIUzI1NiJ9.e30.refresh".into()));
describe!(/// `refresh` of `logout`, which is optional.
    MaybeRefresh, required: false,
    clearable(schema("string", "The refresh token.", "eyJhbGciOiJIUzI1NiJ9.e30.refresh".into())));
describe!(/// `name` where it is required.
    Name, required: true, name_schema());
describe!(/// `birth_date` where it is required.
    BirthDate, required: true, birth_date_schema());
describe!(/// `gender` where it is required.
    Gender, required: true, gender_schema());
describe!(/// `event_interests` where it is required.
    Interests, required: true, interests_schema());
describe!(/// `profile_pictures` where it is required.
    Pictures, required: true, pictures_schema());
describe!(/// `name` where it is optional.
    NewName, required: false, name_schema());
describe!(/// `birth_date` where it is optional.
    NewBirthDate, required: false, birth_date_schema());
describe!(/// `gender` where it is optional.
    NewGender, required: false, gender_schema());
describe!(/// `event_interests` where it is optional.
    NewInterests, required: false, interests_schema());
describe!(/// `profile_pictures` where it is optional.
    NewPictures, required: false, pictures_schema());
describe!(/// `bio`: optional, and null clears it.
    Bio, required: false, clearable(bio_schema()));
describe!(/// `location`: optional, and null clears it.
    Location, required: false, clearable(location_schema()));
