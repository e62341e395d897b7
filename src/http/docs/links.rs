//! OpenAPI links: from a response to the next operation, which takes its values.
//!
//! They document the flows for readers and programs: Swagger UI shows them below a response, and fuzzers follow them.

use serde_json::{Map, Value, json};

/// The extension with the members of the next body, which `tests/schemathesis` reads. OpenAPI has `requestBody` for it,
/// but openapi-generator refuses documents in which that is an object.
const BODY: &str = "x-requestBody";

/// A link from a response to the next request.
struct Link {
    /// The operation of the response.
    from: &'static str,
    /// The next operation.
    to: &'static str,
    /// What the next request does.
    description: &'static str,
    /// Parameters of the next request, and the expressions of their values.
    parameters: &'static [(&'static str, &'static str)],
    /// Members of the next body, and the expressions of their values.
    body: &'static [(&'static str, &'static str)],
}

const PHONE: (&str, &str) = ("phone_number", "$response.body#/data/phone_number");
const DELIVERY: (&str, &str) = ("delivery_id", "$response.body#/data/delivery_id");
const REFRESH_IN_DATA: (&str, &str) = ("refresh", "$response.body#/data/refresh_token");
const REFRESH: (&str, &str) = ("refresh", "$response.body#/refresh");
const NAME: (&str, &str) = ("username", "$request.body#/username");
const NAME_AND_PASSWORD: [(&str, &str); 2] =
    [("username", "$request.body#/username"), ("password", "$request.body#/password")];
const SAME_USER: (&str, &str) = ("id", "$request.path.id");
const SAME_ID: (&str, &str) = ("id", "$response.body#/id");
const STARTED_DELIVERY: (&str, &str) = ("delivery_id", "$response.body#/delivery_id");
const FIRST_USER: (&str, &str) = ("id", "$response.body#/users/0/id");

/// A link that passes values in the next body.
const fn body_link(
    from: &'static str,
    to: &'static str,
    body: &'static [(&'static str, &'static str)],
    description: &'static str,
) -> Link {
    Link { from, to, description, parameters: &[], body }
}

/// A link that passes values in the next path, or none.
const fn path_link(
    from: &'static str,
    to: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    description: &'static str,
) -> Link {
    Link { from, to, description, parameters, body: &[] }
}

const LINKS: [Link; 42] = [
    body_link("signup", "verifyOtp", &[PHONE], "The code of the message, for this phone."),
    body_link("signup", "login", &[PHONE], "The same code again, once the account exists."),
    path_link("signup", "getDelivery", &[DELIVERY], "The delivery status of the message."),
    body_link("login", "verifyLogin", &[PHONE], "The code of the message, for this phone."),
    path_link("login", "getDelivery", &[DELIVERY], "The delivery status of the message."),
    body_link(
        "verifyOtp",
        "completeProfile",
        &[PHONE],
        "Needed if `needs_profile_completion` is true; `token` as Bearer.",
    ),
    body_link("verifyOtp", "login", &[PHONE], "The next sign-in of this account."),
    path_link("verifyOtp", "getProfile", &[], "The user's profile; `token` as Bearer."),
    path_link("verifyOtp", "listSessions", &[], "The user's sessions; `token` as Bearer."),
    path_link(
        "verifyOtp",
        "getUser",
        &[("id", "$response.body#/data/user_id")],
        "The account; `token` as Bearer.",
    ),
    body_link("verifyOtp", "refresh", &[REFRESH_IN_DATA], "The next pair, before `token` expires."),
    body_link("verifyOtp", "logout", &[REFRESH_IN_DATA], "The end of this session."),
    path_link("verifyLogin", "getProfile", &[], "The user's profile; `token` as Bearer."),
    body_link("verifyLogin", "refresh", &[REFRESH_IN_DATA], "The next pair, before `token` expires."),
    body_link("verifyLogin", "logout", &[REFRESH_IN_DATA], "The end of this session."),
    body_link("refresh", "refresh", &[REFRESH], "The next pair: each refresh token is single use."),
    body_link("refresh", "logout", &[REFRESH], "The end of this session."),
    body_link("refreshToken", "refreshToken", &[REFRESH], "The next pair: each refresh token is single use."),
    body_link("register", "obtainToken", &NAME_AND_PASSWORD, "The next sign-in of this account."),
    body_link("register", "refresh", &[REFRESH], "The next pair, before `access` expires."),
    body_link("registerAccount", "obtainToken", &NAME_AND_PASSWORD, "The first sign-in of this account."),
    body_link("registerAccount", "login", &NAME_AND_PASSWORD, "The first sign-in of this account."),
    body_link("obtainToken", "refreshToken", &[REFRESH], "The next pair, before `access` expires."),
    body_link("forgotPassword", "resetPassword", &[NAME], "The code of the message, for this name."),
    path_link("obtainToken", "getDashboard", &[], "A greeting; `access` as Bearer."),
    path_link("completeProfile", "getProfile", &[], "The profile."),
    path_link("changeProfile", "getProfile", &[], "The profile."),
    path_link(
        "listSessions",
        "endSession",
        &[("id", "$response.body#/data/0/id")],
        "The end of the first of them.",
    ),
    path_link("confirmCode", "confirm", &[], "The code of the message."),
    path_link("confirmCode", "getDelivery", &[DELIVERY], "The delivery status of the message."),
    body_link("changePhone", "verifyChangePhone", &[PHONE], "The code of the message to the new phone."),
    path_link("changePhone", "getDelivery", &[DELIVERY], "The delivery status of the message."),
    path_link("startVerification", "getVerification", &[SAME_ID], "The verification."),
    path_link("startVerification", "checkVerification", &[SAME_ID], "The code of the message."),
    path_link("startVerification", "cancelVerification", &[SAME_ID], "The end of the verification."),
    path_link("startVerification", "getDelivery", &[STARTED_DELIVERY], "The delivery status of the message."),
    path_link("listUsers", "getUser", &[FIRST_USER], "The first of them."),
    path_link("listUsers", "changeUser", &[FIRST_USER], "Change the first of them."),
    path_link("listUsers", "deactivateUser", &[FIRST_USER], "Deactivate the first of them."),
    path_link("getUser", "changeUser", &[SAME_USER], "Change the user."),
    path_link("deactivateUser", "activateUser", &[SAME_USER], "Activate the account again."),
    path_link("activateUser", "getUser", &[SAME_USER], "The account as it is now."),
];

/// Adds the links of an operation to its success response.
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
        let mut object = json!({ "operationId": self.to, "description": self.description });
        let values = |pairs: &[(&str, &str)]| -> Map<String, Value> {
            pairs.iter().map(|(name, expression)| ((*name).to_owned(), (*expression).into())).collect()
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
