use chrono::{DateTime, Duration};
use serde_json::json;

use super::*;
use crate::{
    access::{AccessToken, Client, NewSession, OpenedBy, Session, TokenPolicy, admit},
    account::{Account, Profile},
    address::ClientAddress,
    second_factor::{FactorPolicy, Rights},
};

const ROLES: [Role; 3] = [Role::User, Role::Staff, Role::Admin];
const ME: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

fn account(role: Role) -> Account {
    let profile = Profile {
        id: Uuid::from_u128(9),
        name: None,
        birth_date: None,
        gender: None,
        bio: None,
        location: None,
        event_interests: vec![],
        profile_pictures: vec![],
    };
    Account {
        id: ME,
        phone: None,
        username: None,
        email: None,
        first_name: None,
        last_name: None,
        claimed_phone: None,
        has_password: true,
        role,
        is_active: true,
        profile,
        device_epoch: 0,
        is_review: false,
        former_phone: None,
        unlinked_at: None,
        external_id: None,
        invitation_id: None,
        terms: None,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    }
}

/// A caller whose session was opened this way with the first role, and whose account has the second role now.
fn signed_in(opened_by: OpenedBy, then: Role, now: Role) -> SignedIn {
    let policy = TokenPolicy {
        terms: None,
        access_life: Duration::minutes(30),
        refresh_life: Duration::days(7),
        session_max: Duration::days(90),
        issuer: None,
        audience: None,
        claims: Vec::new(),
        most_sessions: 20,
        discovered_at: None,
    };
    let ids = NewSession { session: Uuid::from_u128(3), refresh_jti: Uuid::from_u128(4) };
    let at = DateTime::UNIX_EPOCH;
    let mut session = Session::open(ids, account(then).id, opened_by, Client::default(), &policy, at);
    if opened_by != OpenedBy::Code {
        session = session.with_rights(Rights::of_password(FactorPolicy::Optional, then, false));
    }
    let claims = json!({
        "token_type": "access", "user_id": ME, "sid": ids.session, "jti": ME, "iat": 0, "exp": 1,
        "role": session.role.as_str(),
    });
    let token = AccessToken::from_claims(serde_json::from_value(claims).unwrap());
    admit(&token, Some((session, account(now)))).unwrap()
}

fn with_password(role: Role) -> SignedIn {
    signed_in(OpenedBy::Password, role, role)
}

fn over(permission: Result<EditPermission, Forbidden>) -> Result<Vec<Role>, Forbidden> {
    permission.map(|permission| permission.over().to_vec())
}

#[test]
fn rights_are_the_lesser_of_session_and_account() {
    for then in ROLES {
        for now in ROLES {
            assert_eq!(
                effective(&signed_in(OpenedBy::Password, then, now)),
                then.min(now),
                "{then:?}, {now:?}"
            );
            assert_eq!(effective(&signed_in(OpenedBy::Code, then, now)), Role::User, "a code gives none");
        }
    }
}

#[test]
fn who_may_do_what_to_whom() {
    let all = || Ok(Role::ALL.to_vec());
    let users = || Ok(vec![Role::Guest, Role::User]);
    // No guest gets a role: nobody could sign in to the account.
    let no_guests = || Ok(ROLES.to_vec());
    let no = || Err(Forbidden);
    // What each role may do to another account, by the roles that this account may have: list, read, edit, activate
    // or deactivate, set the role; and whether it may do the acts of staff and those of admins.
    for (role, sees, edits, switches, promotes, is_staff, is_admin) in [
        (Role::Guest, false, no(), no(), no(), false, false),
        (Role::User, false, no(), no(), no(), false, false),
        (Role::Staff, true, users(), users(), no(), true, false),
        (Role::Admin, true, all(), all(), no_guests(), true, true),
    ] {
        let who = with_password(role);
        assert_eq!(may_list(&who).is_ok(), sees, "{role:?}");
        assert_eq!(may_read(&who, OTHER).is_ok(), sees, "{role:?}");
        assert_eq!(over(may_edit(&who, OTHER)), edits, "{role:?}");
        assert_eq!(over(may_deactivate(&who, OTHER)), switches, "{role:?}");
        assert_eq!(over(may_promote(&who, OTHER)), promotes, "{role:?}");
        let from = ClientAddress::new([203, 0, 113, 7].into());
        assert_eq!(may_act_as_staff(&who, from).is_ok(), is_staff, "{role:?}");
        assert_eq!(may_act_as_admin(&who, from).is_ok(), is_admin, "{role:?}");
        let administers = may_administer(&who, OTHER, from).map(AccountPermission::target);
        assert_eq!(administers, if is_admin { Ok(OTHER) } else { Err(Forbidden) }, "{role:?}");
        assert!(may_administer(&who, ME, from).is_err(), "{role:?}");
    }
}

#[test]
fn all_users_may_read_their_own_account_and_none_may_switch_or_promote_it() {
    for then in ROLES {
        for now in ROLES {
            for opened_by in [OpenedBy::Code, OpenedBy::Password] {
                let who = signed_in(opened_by, then, now);
                assert_eq!(may_read(&who, ME).map(ReadPermission::target), Ok(ME));
                assert_eq!(over(may_deactivate(&who, ME)), Err(Forbidden), "{then:?} {now:?}");
                assert_eq!(over(may_promote(&who, ME)), Err(Forbidden), "{then:?} {now:?}");
            }
        }
    }
}

#[test]
fn a_session_below_the_role_of_its_account_does_not_control_it() {
    let up_to = |role| Ok(Role::ALL.into_iter().filter(|other| *other <= role).collect::<Vec<Role>>());
    for then in ROLES {
        for now in ROLES {
            for opened_by in [OpenedBy::Code, OpenedBy::Password] {
                let who = signed_in(opened_by, then, now);
                let has_all = match opened_by {
                    OpenedBy::Code => now == Role::User,
                    OpenedBy::Password | OpenedBy::Console | OpenedBy::Exchange | OpenedBy::Guest => {
                        now <= then
                    }
                };
                let (control, edit) =
                    if has_all { (Ok(()), up_to(now)) } else { (Err(Forbidden), Err(Forbidden)) };
                assert_eq!(
                    may_control_own(who.session(), who.account()),
                    control,
                    "{opened_by:?} {then:?} {now:?}"
                );
                assert_eq!(over(may_edit(&who, ME)), edit, "{opened_by:?} {then:?} {now:?}");
            }
        }
    }
}

#[test]
fn a_guest_does_nothing_that_users_do() {
    let guest = with_password(Role::Guest);
    assert_eq!(may_act_as_user(&guest), Err(Forbidden));
    assert_eq!(may_control_own(guest.session(), guest.account()), Ok(()));
    for now in ROLES {
        assert_eq!(may_act_as_user(&signed_in(OpenedBy::Guest, Role::Guest, now)), Err(Forbidden), "{now:?}");
        assert_eq!(may_act_as_user(&with_password(now)), Ok(()), "{now:?}");
        // The account counts too: there is no other way up.
        assert_eq!(
            may_act_as_user(&signed_in(OpenedBy::Password, now, Role::Guest)),
            Err(Forbidden),
            "{now:?}"
        );
    }
    // A guest has nothing to prove anything with, and everybody else has.
    let long_ago = Session { recent_auth_at: None, ..guest.session().clone() };
    let at = DateTime::UNIX_EPOCH;
    assert!(has_recent_proof(&long_ago, guest.account(), at));
    assert!(!has_recent_proof(&long_ago, &account(Role::User), at));
    assert!(has_recent_proof(guest.session(), &account(Role::User), at));
}

#[test]
fn a_leave_says_who_acts_on_whom() {
    let permission = may_deactivate(&with_password(Role::Admin), OTHER).unwrap();
    assert_eq!(
        (permission.by(), permission.target(), permission.read_permission().target()),
        (ME, OTHER, OTHER)
    );
}
