//! The cases that something other than a message or a limit decides, and those of a phone to which nothing happened.

use super::*;

const STALE: &str =
    "The account of this number was unused for so long that the number may belong to another person now.";

#[test]
fn other_things_that_happened_last() {
    let deleted = PhoneFacts { deleted_until: Some(time("04:45:09.5")), ..happened(What::AccountDeleted) };
    let unlinked = PhoneFacts { unlinked_at: Some(time("04:40:00")), ..happened(What::SignedIn) };
    let account = |facts: PhoneFacts| PhoneFacts { account: with_account().account, ..facts };
    check(vec![
        (
            happened(What::BotCheckMissing),
            "bot_check_missing",
            "The app was asked at 10:10:00 to prove that it is no bot, and has not done so.",
        ),
        (
            happened(What::BotCheckFailed),
            "bot_check_failed",
            "The bot check failed at 10:10:00, so no code was sent.",
        ),
        (
            happened(What::BotCheckUnavailable),
            "bot_check_unavailable",
            "The provider of the bot check did not answer at 10:10:00, so no code was sent.",
        ),
        (
            happened(What::HookDenied),
            "hook_denied",
            "The operator's check before sending denied the code at 10:10:00, so it was not sent.",
        ),
        (
            happened(What::HookFailed),
            "hook_failed",
            "The operator's check before sending did not answer at 10:10:00, so no code was sent.",
        ),
        (
            happened(What::HookChallenged),
            "hook_challenged",
            "The operator's check before sending wanted the app to prove at 10:10:00 that it is no bot, and it has not done \
             so.",
        ),
        (
            happened(What::NoAccount),
            "no_account",
            "The app tried to log in at 10:10:00, and this number has no account.",
        ),
        (
            PhoneFacts {
                account: Some(AccountFacts { is_active: true, is_stale: true }),
                ..happened(What::NoAccount)
            },
            "number_stale",
            STALE,
        ),
        (
            account(happened(What::AlreadyRegistered)),
            "already_registered",
            "The app tried to sign up at 10:10:00, and this number has an account already.",
        ),
        (
            happened(What::RightCodeNoAccount),
            "right_code_no_account",
            "The right code was entered at 10:10:00 to log in, and this number has no account.",
        ),
        (
            account(happened(What::WrongPassword)),
            "wrong_password",
            "A wrong password was entered at 10:10:00.",
        ),
        (
            account(unlinked),
            "unlinked",
            "The number was taken at 10:10:00 from an account that was unused for too long.",
        ),
        (account(happened(What::SignedIn)), "verified", "The right code was entered at 10:10:00."),
        (
            account(happened(What::SignedInByPassword)),
            "signed_in_by_password",
            "The user signed in with a password at 10:10:00.",
        ),
        (
            account(happened(What::VerifiedByHand)),
            "verified_by_hand",
            "Staff verified this number by hand at 10:10:00.",
        ),
        (
            account(happened(What::SignedOut)),
            "signed_out",
            "The user was signed out at 10:10:00: an old token of the app came back.",
        ),
        (
            account(happened(What::MovedHere)),
            "moved_here",
            "Staff moved an account to this number at 10:10:00, which ended all of its sessions.",
        ),
        (deleted, "recently_deleted", "The account was just deleted, so no new code is sent until 10:15:10."),
        (happened(What::AccountDeleted), "account_deleted", "The user deleted the account at 10:10:00."),
    ]);
}

#[test]
fn a_sign_up_that_was_refused_is_told_until_there_is_an_account() {
    let stale = Some(AccountFacts { is_active: true, is_stale: true });
    check(vec![
        (
            happened(What::SignupClosed),
            "signup_closed",
            "The app tried to sign up at 10:10:00, and was refused: sign-ups are closed, or the user had no valid invitation.",
        ),
        (
            happened(What::RightCodeSignupClosed),
            "right_code_signup_closed",
            "The right code was entered at 10:10:00, but no account was made: sign-ups are closed, or the user had no valid \
             invitation.",
        ),
        (
            PhoneFacts { account: stale, ..happened(What::SignupClosed) },
            "signup_closed",
            "The app tried to sign up at 10:10:00, and was refused: sign-ups are closed, or the user had no valid invitation.",
        ),
    ]);
}

#[test]
fn blocks_that_are_over() {
    let over = |part| Some(PastBlock { part, ended_at: time("04:44:00") });
    let id = Some(uuid::Uuid::nil());
    check(vec![
        (
            PhoneFacts { past_block: over(BlockedPart::Number), ..happened(What::Blocked(id)) },
            "block_over",
            "Staff blocked this number at 10:10:00, which ended its codes and sessions. The block ended at 10:14:00.",
        ),
        (
            happened(What::Blocked(id)),
            "block_over",
            "Staff blocked this number at 10:10:00, which ended its codes and sessions. The block is over.",
        ),
        (
            PhoneFacts { past_block: over(BlockedPart::Prefix), ..happened(What::RefusedByBlock(id)) },
            "refused_by_block",
            "The last request was refused at 10:10:00, because staff had blocked all numbers that begin like this \
             one. The block ended at 10:14:00.",
        ),
        (
            happened(What::RefusedByBlock(None)),
            "refused_by_block",
            "The last request was refused at 10:10:00, because staff had blocked the number or the network. The \
             block is over.",
        ),
    ]);
}

#[test]
fn an_account_that_moved_to_another_number() {
    let moved = |is_by_staff, is_deleted| MovedAway { at: time("04:40:00"), is_by_staff, is_deleted };
    let left = |what, moved| PhoneFacts { moved_away: Some(moved), ..happened(what) };
    let staff = "Staff moved the account of this number to another number at 10:10:00.";
    let user = "The user moved the account of this number to another number at 10:10:00.";
    check(vec![
        (left(What::MovedAway, moved(true, false)), "moved_away", staff),
        (left(What::MovedAway, moved(false, false)), "moved_away", user),
        // The app tries the old number: signing up there would open a second account.
        (left(What::NoAccount, moved(true, false)), "moved_away", staff),
        (left(What::RightCodeNoAccount, moved(true, false)), "moved_away", staff),
        (PhoneFacts { last: None, ..left(What::NoAccount, moved(true, false)) }, "moved_away", staff),
        (
            left(What::MovedAway, moved(false, true)),
            "moved_away",
            "The user moved the account of this number to another number at 10:10:00, and it was deleted since.",
        ),
        // Another account has the number since.
        (
            PhoneFacts { account: with_account().account, ..left(What::SignedIn, moved(true, false)) },
            "verified",
            "The right code was entered at 10:10:00.",
        ),
    ]);
    for (is_deleted, may) in [(false, false), (true, true)] {
        let case = judge(&left(What::MovedAway, moved(true, is_deleted))).case;
        assert_eq!((case.may_send(), case.may_verify()), (may, may), "{is_deleted}");
    }
}

#[test]
fn nothing_happened_lately() {
    let at = Some(now() - Duration::days(400));
    check(vec![
        (unknown(), "never_asked", "No code was ever requested for this number."),
        (
            PhoneFacts { last_asked_at: at, ..unknown() },
            "asked_long_ago",
            "The last code was requested on 7 February 2025 at 10:15:00. Its messages are no longer stored.",
        ),
        (with_account(), "account_ready", "This number has an account, and no code was requested lately."),
        (
            PhoneFacts { unlinked_at: at, ..unknown() },
            "unlinked",
            "The number was taken on 7 February 2025 at 10:15:00 from an account that was unused for too long.",
        ),
        (
            PhoneFacts { account: Some(AccountFacts { is_active: true, is_stale: true }), ..unknown() },
            "number_stale",
            STALE,
        ),
    ]);
}
