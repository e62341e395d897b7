//! The responses of operations that list something for staff. A page, a missing right and a wrong parameter are answered alike
//! by all of them.

/// Makes the type of the responses: `list_response!(/// … Name: PageOfIt, "The page, newest first.", for staff)`, or `for admins`.
/// A macro and not a generic type, because the OpenAPI document describes the order of each list in its own words.
macro_rules! list_response {
    ($(#[$doc:meta])* $name:ident: $page:ident, $order:tt, for staff) => {
        list_response!(
            @ ($(#[$doc])*) $name, $page, $order,
            "`forbidden`: only for staff and admins, in a session opened with the password."
        );
    };
    ($(#[$doc:meta])* $name:ident: $page:ident, $order:tt, for admins) => {
        list_response!(
            @ ($(#[$doc])*) $name, $page, $order,
            "`forbidden`: only for admins, in a session opened with the password."
        );
    };
    (@ ($(#[$doc:meta])*) $name:ident, $page:ident, $order:tt, $forbidden:tt) => {
        $(#[$doc])*
        #[derive(poem_openapi::ApiResponse)]
        pub enum $name {
            #[doc = $order]
            #[oai(status = 200)]
            List($crate::http::json::Json<$page>),
            #[doc = $forbidden]
            #[oai(status = 403)]
            Forbidden($crate::http::envelope::ErrorResponse),
            /// `validation_failed`: `error.fields` names the parameters that are wrong.
            #[oai(status = 422)]
            Invalid($crate::http::envelope::ErrorResponse),
        }
    };
}

pub(in crate::http) use list_response;
