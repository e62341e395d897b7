//! What is measured: for each scenario the requests that are measured, and what has to happen before.

use clap::ValueEnum;

use crate::floor::Floor;

/// Something that clients do again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// GET /api/health, which does not touch the database.
    Health,
    /// GET /api/auth/event-interests, a list that everybody reads.
    EventInterests,
    /// POST /api/auth/signup, each time with a new number.
    Signup,
    /// POST /api/auth/verify-otp with the right code of a new number: makes an account and a session.
    VerifyNew,
    /// POST /api/auth/login for a number that has an account.
    Login,
    /// POST /api/auth/verify-login with the right code of a number that has an account.
    VerifyKnown,
    /// signup, verify-otp and complete-profile of one new user.
    Flow,
    /// GET /api/auth/profile of signed-in users.
    Profile,
    /// POST /api/auth/refresh, each time with the newest refresh token.
    Refresh,
    /// POST /api/auth/login with username and password.
    Password,
}

/// One request or, for [`Step::Finish`], two, of one user or one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Asks for the health.
    Health,
    /// Lists the interests.
    EventInterests,
    /// Signs up the next new number.
    SignUpNext,
    /// Signs up a user of the wave.
    SignUp,
    /// Asks for a code for a user that has an account.
    LogIn,
    /// Gives the right code of a sign-up.
    VerifyNew,
    /// Gives the right code of a login.
    VerifyKnown,
    /// Gives the right code of a sign-up, then the profile.
    Finish,
    /// Gives the profile.
    CompleteProfile,
    /// Reads the profile.
    Profile,
    /// Refreshes the session of a user.
    Refresh,
    /// Registers a user with a password.
    Register,
    /// Signs in with that password.
    SignIn,
}

/// A scenario as steps.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What is done once before, without being measured.
    pub before: &'static [Step],
    /// What is done for all users of a wave before their codes are read.
    pub asks: Option<Ask>,
    /// What is measured.
    pub step: Step,
}

/// How the codes of a wave are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// The request.
    pub step: Step,
    /// Whether it belongs to what is measured.
    pub is_measured: bool,
    /// Whether each wave has new users.
    pub of_new_users: bool,
}

/// Makes accounts, each with a session.
const ACCOUNTS: &[Step] = &[Step::SignUp, Step::VerifyNew];

/// The same with a complete profile.
const PROFILES: &[Step] = &[Step::SignUp, Step::VerifyNew, Step::CompleteProfile];

impl Scenario {
    /// Its steps.
    #[must_use]
    pub fn plan(self) -> Plan {
        let new = |is_measured| Ask { step: Step::SignUp, is_measured, of_new_users: true };
        let known = Ask { step: Step::LogIn, is_measured: false, of_new_users: false };
        let plan = |before, asks, step| Plan { before, asks, step };
        match self {
            Self::Health => plan(&[], None, Step::Health),
            Self::EventInterests => plan(&[], None, Step::EventInterests),
            Self::Signup => plan(&[], None, Step::SignUpNext),
            Self::VerifyNew => plan(&[], Some(new(false)), Step::VerifyNew),
            Self::Login => plan(ACCOUNTS, None, Step::LogIn),
            Self::VerifyKnown => plan(ACCOUNTS, Some(known), Step::VerifyKnown),
            Self::Flow => plan(&[], Some(new(true)), Step::Finish),
            Self::Profile => plan(PROFILES, None, Step::Profile),
            Self::Refresh => plan(ACCOUNTS, None, Step::Refresh),
            Self::Password => plan(&[Step::Register], None, Step::SignIn),
        }
    }

    /// The name in tables.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::EventInterests => "event-interests",
            Self::Signup => "signup",
            Self::VerifyNew => "verify, new account",
            Self::Login => "login, known account",
            Self::VerifyKnown => "verify, known account",
            Self::Flow => "whole flow",
            Self::Profile => "profile of a signed-in user",
            Self::Refresh => "refresh",
            Self::Password => "password sign-in",
        }
    }

    /// Whether it is also measured with the server's limits on.
    #[must_use]
    pub fn is_limited(self) -> bool {
        match self {
            Self::Signup | Self::VerifyNew | Self::Flow => true,
            Self::Health
            | Self::EventInterests
            | Self::Login
            | Self::VerifyKnown
            | Self::Profile
            | Self::Refresh
            | Self::Password => false,
        }
    }

    /// The bare SQL that does what the scenario does.
    #[must_use]
    pub fn floors(self) -> &'static [Floor] {
        match self {
            Self::Signup => &[Floor::Signup],
            Self::VerifyNew => &[Floor::Verify, Floor::VerifyInOneStatement],
            Self::Flow => &[Floor::Flow],
            Self::Profile => &[Floor::Profile],
            Self::Health
            | Self::EventInterests
            | Self::Login
            | Self::VerifyKnown
            | Self::Refresh
            | Self::Password => &[],
        }
    }
}
