//! The gender.

use super::FieldErrors;

/// One of the three genders of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gender {
    /// `male`
    Male,
    /// `female`
    Female,
    /// `other`
    Other,
}

/// The stored text is not a gender, so this program did not write the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored gender is none of male, female, other")]
pub struct UnknownGender;

impl Gender {
    /// Every gender, in the order of the contract.
    pub const ALL: [Self; 3] = [Self::Male, Self::Female, Self::Other];

    /// Reads male, female or other, in any ASCII letter case and without white space around it.
    ///
    /// # Errors
    ///
    /// One sentence that names the three genders.
    pub fn parse(raw: &str) -> Result<Self, FieldErrors> {
        Self::ALL
            .into_iter()
            .find(|gender| raw.eq_ignore_ascii_case(gender.as_str()))
            .ok_or_else(|| vec!["Gender must be male, female or other".into()])
    }

    /// Reads what [`Gender::as_str`] wrote into the database.
    ///
    /// # Errors
    ///
    /// [`UnknownGender`] for any other text, including other letter cases.
    pub fn stored(text: &str) -> Result<Self, UnknownGender> {
        Self::ALL.into_iter().find(|gender| text == gender.as_str()).ok_or(UnknownGender)
    }

    /// The lower-case word of the contract, also in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Male => "male",
            Self::Female => "female",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_letter_case() {
        for (input, expected) in [
            ("male", Gender::Male),
            ("MALE", Gender::Male),
            ("Female", Gender::Female),
            ("fEmAlE", Gender::Female),
            ("Other", Gender::Other),
        ] {
            assert_eq!(Gender::parse(input), Ok(expected));
        }
    }

    #[test]
    fn nothing_else() {
        for input in [
            "",
            "m",
            "males",
            "male ",
            "male\n",
            "male\0",
            "mаle", /* Cyrillic а */
            "ｍａｌｅ",
            "unknown",
        ] {
            let why = vec!["Gender must be male, female or other".to_owned()];
            assert_eq!(Gender::parse(input), Err(why), "{input:?}");
        }
    }

    #[test]
    fn what_is_stored_comes_back() {
        for gender in Gender::ALL {
            assert_eq!(Gender::stored(gender.as_str()), Ok(gender));
        }
        assert_eq!(Gender::stored("Male"), Err(UnknownGender));
        assert_eq!(Gender::stored(""), Err(UnknownGender));
    }
}
