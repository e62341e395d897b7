use super::*;

fn holdings(change: impl FnOnce(&mut Holdings)) -> Holdings {
    let mut holdings = Holdings::default();
    change(&mut holdings);
    holdings
}

#[expect(clippy::unnecessary_wraps, reason = "the fields are optional")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn with_fields(name: &str, filled: usize) -> Holdings {
    holdings(|it| {
        it.profile.name = text(name);
        it.profile.bio = (filled > 1).then(|| format!("bio of {name}"));
        it.profile.gender = (filled > 2).then(|| "other".to_owned());
        it.profile.pictures = if filled > 3 { vec!["https://example.com/1.jpg".to_owned()] } else { vec![] };
    })
}

#[test]
fn the_profile_is_that_of_the_account_with_more_of_it() {
    for (stays, goes, kept) in
        [(1, 2, "goes"), (2, 1, "stays"), (2, 2, "stays"), (4, 3, "stays"), (3, 4, "goes")]
    {
        let (stays, goes) = (with_fields("stays", stays), with_fields("goes", goes));
        let joined = joined(&stays, &goes, None);
        let whole = if kept == "goes" { &goes } else { &stays };
        assert!(joined.profile == whole.profile, "{kept}: the profile is taken as a whole");
    }
}

#[test]
fn interests_are_those_of_both_in_the_order_of_the_profile_that_stays() {
    for (stays, goes, goes_is_fuller, expected) in [
        (&[1, 2][..], &[2, 3][..], false, &[1, 2, 3][..]),
        (&[1, 2], &[2, 3], true, &[2, 3, 1]),
        (&[], &[3, 1], false, &[3, 1]),
        (&[1, 2, 3], &[4, 5, 6], false, &[1, 2, 3, 4, 5]),
        // More than a profile may have was allowed once: nothing is taken away.
        (&[1, 2, 3, 4, 5, 6], &[7], false, &[1, 2, 3, 4, 5, 6]),
    ] {
        let mut one = with_fields("stays", 2);
        let mut other = with_fields("goes", if goes_is_fuller { 3 } else { 1 });
        (one.interests, other.interests) = (stays.to_vec(), goes.to_vec());
        assert_eq!(joined(&one, &other, None).interests, expected, "{stays:?} and {goes:?}");
    }
}

#[test]
fn what_the_account_that_stays_lacks_comes_along() {
    let stays = holdings(|it| {
        it.username = text("asha");
        it.password_hash = text("$one");
        it.last_name = text("Rao");
    });
    let goes = holdings(|it| {
        it.username = text("asha2");
        it.email = text("asha@example.com");
        it.password_hash = text("$two");
        it.external_id = text("auth0|1");
        it.first_name = text("Aasha");
        it.last_name = text("R");
    });
    let joined = joined(&stays, &goes, None);
    assert_eq!((joined.username, joined.email), (text("asha"), text("asha@example.com")));
    assert_eq!((joined.password_hash, joined.external_id), (text("$one"), text("auth0|1")));
    assert_eq!((joined.first_name, joined.last_name), (None, text("Rao")), "names are one thing");
}

#[test]
fn the_phone_is_the_proved_one_else_the_own_one_else_that_of_the_other() {
    let proved = PhoneNumber::from_e164("+919876543210").unwrap();
    for (stays, goes, proved, expected) in [
        (None, text("+911"), Some(&proved), text("+919876543210")),
        (text("+912"), text("+911"), Some(&proved), text("+919876543210")),
        (text("+912"), text("+911"), None, text("+912")),
        (None, text("+911"), None, text("+911")),
        (None, None, None, None),
    ] {
        let mut one = holdings(|it| it.claimed_phone = text("98"));
        let mut other = Holdings::default();
        (one.phone, other.phone) = (stays, goes);
        let joined = joined(&one, &other, proved);
        assert_eq!(
            joined.claimed_phone.is_some(),
            one.phone == expected,
            "a new phone clears the claimed one"
        );
        assert_eq!(joined.phone, expected);
    }
}

#[test]
fn an_undo_brings_back_what_was_not_changed_since() {
    let before = holdings(|it| {
        it.phone = text("+912");
        it.profile.name = text("Before");
    });
    let goes = holdings(|it| {
        it.phone = text("+911");
        it.username = text("other");
        it.profile.name = text("Other");
        it.profile.bio = text("More");
        it.interests = vec![3];
    });
    let proved = PhoneNumber::from_e164("+919876543210").unwrap();
    let written = joined(&before, &goes, Some(&proved));
    assert!(undone(&written, &before, &written) == before);
    let mut now = written.clone();
    now.profile.name = text("Changed since");
    now.phone = text("+913");
    let undone = undone(&now, &before, &written);
    assert_eq!((undone.phone, undone.profile.name), (text("+913"), text("Changed since")));
    assert_eq!((undone.username, undone.interests), (None, vec![]));
}

#[test]
fn a_snapshot_is_read_as_it_was_written_and_shows_no_hash() {
    let held = holdings(|it| {
        it.password_hash = text("$argon2id$secret");
        it.profile.name = text("Asha");
    });
    let gone = Kept {
        id: Uuid::from_u128(1),
        profile_id: Uuid::from_u128(2),
        created_at: 3,
        invitation_id: None,
        holdings: held.clone(),
    };
    let snapshot = Snapshot { gone, before: Holdings::default(), written: held, earlier: vec![] };
    assert!(Snapshot::read(&snapshot.to_text()).as_ref() == Some(&snapshot));
    assert!(
        !snapshot.shown().to_string().contains("argon2") && snapshot.shown().to_string().contains("Asha")
    );
    assert_eq!(
        format!("{snapshot:?}{:?}{:?}", snapshot.gone, snapshot.before),
        "Snapshot(..)Kept(..)Holdings(..)"
    );
    // A field of a later version is passed over, and one that is missing is empty.
    let later = snapshot.to_text().replacen("\"phone\":null", "\"colour\":\"red\"", 1);
    assert!(Snapshot::read(&later).as_ref() == Some(&snapshot));
}

fn account(id: u128) -> Account {
    let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let profile = crate::account::Profile {
        id: Uuid::from_u128(id + 100),
        name: None,
        birth_date: None,
        gender: None,
        bio: None,
        location: None,
        event_interests: vec![],
        profile_pictures: vec![],
    };
    Account {
        id: Uuid::from_u128(id),
        phone: None,
        username: None,
        email: None,
        first_name: None,
        last_name: None,
        claimed_phone: None,
        has_password: false,
        role: Role::User,
        is_active: true,
        profile,
        device_epoch: 0,
        is_review: false,
        former_phone: None,
        unlinked_at: None,
        external_id: None,
        invitation_id: None,
        terms: None,
        created_at: at,
        updated_at: at,
    }
}

#[test]
fn only_two_accounts_of_users_that_may_sign_in_are_joined() {
    let whole = account(1);
    let party = |account| Party { account, is_blocked: false, is_stale: false };
    let judge = |changed: &dyn Fn(&mut Account), is_blocked, is_stale| {
        let mut other = account(2);
        changed(&mut other);
        let other = Party { account: &other, is_blocked, is_stale };
        let both = [may_merge(party(&whole), other), may_merge(other, party(&whole))];
        both.map(|result| result.map(|proof| (proof.stays(), proof.goes())).err())
    };
    for (changed, is_blocked, is_stale, expected) in [
        ((&|_: &mut Account| ()) as &dyn Fn(&mut Account), false, false, None),
        (&|it| it.role = Role::Staff, false, false, Some(Unfit::Staff)),
        (&|it| it.role = Role::Admin, false, false, Some(Unfit::Staff)),
        (&|it| it.is_review = true, false, false, Some(Unfit::Staff)),
        (&|it| it.is_active = false, false, false, Some(Unfit::Disabled)),
        (&|_| (), true, false, Some(Unfit::Blocked)),
        (&|it| it.is_active = false, true, false, Some(Unfit::Blocked)),
        (&|_| (), false, true, Some(Unfit::Stale)),
        (&|it| it.id = Uuid::from_u128(1), false, false, Some(Unfit::Same)),
    ] {
        assert_eq!(judge(changed, is_blocked, is_stale), [expected; 2]);
    }
    let other = account(2);
    let proof = may_merge(party(&whole), party(&other)).unwrap();
    assert_eq!((proof.stays(), proof.goes()), (whole.id, other.id));
}

#[test]
fn a_merge_can_be_undone_for_thirty_days() {
    let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let gone = Kept {
        id: Uuid::from_u128(1),
        profile_id: Uuid::from_u128(2),
        created_at: 3,
        invitation_id: None,
        holdings: Holdings::default(),
    };
    let snapshot =
        Snapshot { gone, before: Holdings::default(), written: Holdings::default(), earlier: vec![] };
    let merge =
        Merge { id: Uuid::from_u128(1), into: Uuid::from_u128(2), at, by: None, snapshot: Some(snapshot) };
    assert!(merge.undoable(at + UNDO_FOR - Duration::microseconds(1)).is_some());
    assert!(merge.undoable(at + UNDO_FOR).is_none());
    assert!(Merge { snapshot: None, ..merge }.undoable(at).is_none());
}

#[test]
fn every_reason_is_read_by_its_name() {
    for reason in MergeReason::ALL {
        assert_eq!(MergeReason::parse(reason.as_str()), Some(reason));
    }
    assert_eq!(MergeReason::parse("because"), None);
}
