//! What the messages say.

use secrecy::{ExposeSecret, SecretString};

/// The name of [`otp`] in the rows of messages.
pub const OTP_TEMPLATE: &str = "otp";

/// Loopin's message. `minutes` is what remains of the code, in whole minutes.
#[must_use]
pub fn otp(product: &str, code: &SecretString, minutes: i64) -> SecretString {
    let plural = if minutes == 1 { "" } else { "s" };
    let code = code.expose_secret();
    format!("Your {product} verification code is: {code}. This code expires in {minutes} minute{plural}.")
        .into()
}
