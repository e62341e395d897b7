//! What comes next: OpenAPI links from an answer to the operation that its values are for.
//!
//! A reader sees the way through the flows in them, and a program can walk it: Swagger UI shows them below an answer,
//! generators and fuzzers follow them.

use serde_json::{Map, Value, json};

/// Where a link keeps the members of the next body. `requestBody` would be the word of OpenAPI, and openapi-generator
/// refuses every document in which it is an object. `tests/schemathesis` reads this one.
const BODY: &str = "x-requestBody";

/// One step from an answer to the next request.
struct Link {
    /// The operation that answers.
    from: &'static str,
    /// The operation that comes next.
    to: &'static str,
    /// What the step does, for a reader.
    sentence: &'static str,
    /// Parameters of the next request, and where in this exchange their values are.
    parameters: &'static [(&'static str, &'static str)],
    /// Members of the next body, and where their values are.
    body: &'static [(&'static str, &'static str)],
}

const PHONE: (&str, &str) = ("phone_number", "$response.body#/data/phone_number");
const DELIVERY: (&str, &str) = ("delivery_id", "$response.body#/data/delivery_id");
const REFRESH_IN_DATA: (&str, &str) = ("refresh", "$response.body#/data/refresh_token");
const REFRESH: (&str, &str) = ("refresh", "$response.body#/refresh");
const NAME_AND_PASSWORD: [(&str, &str); 2] =
    [("username", "$request.body#/username"), ("password", "$request.body#/password")];
const SAME_USER: (&str, &str) = ("id", "$request.path.id");
const FIRST_USER: (&str, &str) = ("id", "$response.body#/users/0/id");

/// A step that takes values into the next body.
const fn send(
    from: &'static str,
    to: &'static str,
    body: &'static [(&'static str, &'static str)],
    sentence: &'static str,
) -> Link {
    Link { from, to, sentence, parameters: &[], body }
}

/// A step that takes values into the next path, or none.
const fn visit(
    from: &'static str,
    to: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    sentence: &'static str,
) -> Link {
    Link { from, to, sentence, parameters, body: &[] }
}

const LINKS: [Link; 37] = [
    send("signup", "verifyOtp", &[PHONE], "The code of the message, for this phone."),
    send("signup", "login", &[PHONE], "The same code again, once the account exists."),
    visit("signup", "getDelivery", &[DELIVERY], "The delivery status of the message."),
    send("login", "verifyLogin", &[PHONE], "The code of the message, for this phone."),
    visit("login", "getDelivery", &[DELIVERY], "The delivery status of the message."),
    send(
        "verifyOtp",
        "completeProfile",
        &[PHONE],
        "What `needs_profile_completion` asks for; `token` as Bearer.",
    ),
    send("verifyOtp", "login", &[PHONE], "The next sign-in of this account."),
    visit("verifyOtp", "getProfile", &[], "The user's profile; `token` as Bearer."),
    visit("verifyOtp", "listSessions", &[], "The user's sessions; `token` as Bearer."),
    visit(
        "verifyOtp",
        "getUser",
        &[("id", "$response.body#/data/user_id")],
        "The account; `token` as Bearer.",
    ),
    send("verifyOtp", "refresh", &[REFRESH_IN_DATA], "The next pair, before `token` ends."),
    send("verifyOtp", "logout", &[REFRESH_IN_DATA], "The end of this session."),
    visit("verifyLogin", "getProfile", &[], "The user's profile; `token` as Bearer."),
    send("verifyLogin", "refresh", &[REFRESH_IN_DATA], "The next pair, before `token` ends."),
    send("verifyLogin", "logout", &[REFRESH_IN_DATA], "The end of this session."),
    send("refresh", "refresh", &[REFRESH], "The next pair: each refresh token is single use."),
    send("refresh", "logout", &[REFRESH], "The end of this session."),
    send("refreshToken", "refreshToken", &[REFRESH], "The next pair: each refresh token is single use."),
    send("register", "obtainToken", &NAME_AND_PASSWORD, "The next sign-in of this account."),
    send("register", "refresh", &[REFRESH], "The next pair, before `access` ends."),
    send("registerAccount", "obtainToken", &NAME_AND_PASSWORD, "The first sign-in of this account."),
    send("registerAccount", "login", &NAME_AND_PASSWORD, "The first sign-in of this account."),
    send("obtainToken", "refreshToken", &[REFRESH], "The next pair, before `access` ends."),
    visit("obtainToken", "getDashboard", &[], "A greeting; `access` as Bearer."),
    visit("completeProfile", "getProfile", &[], "The profile."),
    visit("changeProfile", "getProfile", &[], "The profile."),
    visit(
        "listSessions",
        "endSession",
        &[("id", "$response.body#/data/0/id")],
        "The end of the first of them.",
    ),
    visit("confirmCode", "confirm", &[], "The code of the message."),
    visit("confirmCode", "getDelivery", &[DELIVERY], "The delivery status of the message."),
    send("changePhone", "verifyChangePhone", &[PHONE], "The code of the message to the new phone."),
    visit("changePhone", "getDelivery", &[DELIVERY], "The delivery status of the message."),
    visit("listUsers", "getUser", &[FIRST_USER], "The first of them."),
    visit("listUsers", "changeUser", &[FIRST_USER], "Change the first of them."),
    visit("listUsers", "deactivateUser", &[FIRST_USER], "Deactivate the first of them."),
    visit("getUser", "changeUser", &[SAME_USER], "Change the user."),
    visit("deactivateUser", "activateUser", &[SAME_USER], "Activate the account again."),
    visit("activateUser", "getUser", &[SAME_USER], "The account as it is now."),
];

/// Adds its links to what an operation answers when all is well.
pub fn add(operation: &mut Value) {
    let Some(id) = operation.get("operationId").and_then(Value::as_str) else {
        return;
    };
    let links: Map<String, Value> =
        LINKS.iter().filter(|link| link.from == id).map(|link| (link.to.to_owned(), link.object())).collect();
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    let success = responses.into_iter().flatten().find(|(status, _)| status.starts_with('2'));
    if let Some(response) = success.and_then(|(_, response)| response.as_object_mut())
        && !links.is_empty()
    {
        response.insert("links".to_owned(), links.into());
    }
}

impl Link {
    fn object(&self) -> Value {
        let mut object = json!({ "operationId": self.to, "description": self.sentence });
        let values = |pairs: &[(&str, &str)]| -> Map<String, Value> {
            pairs.iter().map(|(name, place)| ((*name).to_owned(), (*place).into())).collect()
        };
        if let Some(object) = object.as_object_mut() {
            if !self.parameters.is_empty() {
                object.insert("parameters".to_owned(), values(self.parameters).into());
            }
            if !self.body.is_empty() {
                object.insert(BODY.to_owned(), values(self.body).into());
            }
        }
        object
    }
}
