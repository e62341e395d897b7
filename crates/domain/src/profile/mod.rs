//! The parsed types behind `complete-profile` and `PUT profile`: one type per field. Only `parse` creates a value, so
//! code that has one need not check it again.
//!
//! `parse` returns all errors of its field at once, as sentences for the user. A sentence never repeats the text that
//! was sent. Characters are Unicode scalar values everywhere here, because that is what `char` is and what a client
//! can count most easily: the Devanagari name गौरव is four, and é is one or two, depending on whether it was sent
//! composed. Nothing is normalised: a name is stored as the user typed it, without the white space around it.
//!
//! A value from the database was parsed before it was stored. Where the type is needed again, `stored` creates it
//! without the rules that depend on the current day.
//!
//! To add a field:
//!
//! 1. Write `<field>.rs` beside this file: a type with a private field, `parse` returning `Result<_,
//!    FieldErrors>`, and a getter (`as_str`, `as_slice`). Put the limits into constants that name their source.
//! 2. Test it with a table of inputs, each with its reason, and the values on both sides of every boundary.
//! 3. Make it `personal!` if it contains personal data, and `pub use` it below.
//! 4. Use it in the request types of `http`, in the use case that writes profiles, and in the store.

/// Gives a type a `Debug` that shows nothing, so that no name gets into a log with the value around it.
macro_rules! personal {
    ($type:ident) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($type), "(..)"))
            }
        }
    };
}

mod birth_date;
mod gender;
mod interests;
mod name;
mod pictures;
mod public_host;
mod text;

pub use birth_date::{BirthDate, today_in};
pub use gender::{Gender, UnknownGender};
pub use interests::{InterestIds, MOST_INTERESTS};
pub use name::Name;
pub use pictures::{PictureHosts, PictureUrls};
pub use text::{Bio, Location};
pub(crate) use text::{is_deceptive, one_line};

/// The errors of a field, as sentences for the user. Never empty in an `Err`.
pub type FieldErrors = Vec<String>;

/// The value if there are no errors.
fn ok_unless<T>(errors: FieldErrors, value: T) -> Result<T, FieldErrors> {
    if errors.is_empty() { Ok(value) } else { Err(errors) }
}
