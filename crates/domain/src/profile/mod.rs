//! The parsed types behind `complete-profile` and `PUT profile`: one type for each field, made only by its
//! `parse`, so that what holds one need not ask again.
//!
//! `parse` answers with every fault of its field at once, as sentences for the person who filled in the form.
//! A sentence never repeats a text that was sent. Characters are Unicode scalar values everywhere here, which
//! is what `char` is and what a client counts most easily: the Devanagari name गौरव is four, and é is one or
//! two, depending on whether it was sent composed. Nothing is normalised: a name is kept as its owner typed
//! it, without the white space around it.
//!
//! A value that comes back from the database was parsed on its way in. Where a type is needed again, `stored`
//! makes it without the rules that depend on the day.
//!
//! To add a field:
//!
//! 1. Write `<field>.rs` beside this file: a type with a private inside, `parse` answering `Result<_, FieldErrors>`, and a
//!    reader (`as_str`, `as_slice`). Put the limits into constants that name their source.
//! 2. Test it with a table of inputs, each with the sentence why, and the values on both sides of every boundary.
//! 3. Make it `personal!` when it tells something about the person, and `pub use` it below.
//! 4. Use it in the request types of the front door, in the flow that writes profiles, and in the store.

/// Gives a type a `Debug` that shows nothing: `{:?}` of what holds it stays fit for a log, where no name may
/// appear.
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
pub use interests::InterestIds;
pub use name::Name;
pub use pictures::{PictureHosts, PictureUrls};
pub use text::{Bio, Location};

/// What is wrong with a field, as sentences for a person. Never empty in an `Err`.
pub type FieldErrors = Vec<String>;

/// The value, if nothing was found wrong with it.
fn unless<T>(errors: FieldErrors, value: T) -> Result<T, FieldErrors> {
    if errors.is_empty() { Ok(value) } else { Err(errors) }
}
