//! The settings of trusted proxies, of the console's networks, and of flood control.

use super::*;

#[test]
fn nobody_is_trusted_and_the_guard_is_on_unless_told_otherwise() {
    for config in [dev(&[]), dev(&[("TRUSTED_PROXIES", "")]), prod(&[]).unwrap()] {
        assert!(config.edge.proxies.is_empty());
        let guard = config.edge.guard.unwrap();
        assert_eq!((guard.per_second.get(), guard.burst.get()), (100, 500));
    }
}

#[test]
fn proxies_are_addresses_and_networks() {
    let config = dev(&[("TRUSTED_PROXIES", " 10.0.0.5, 10.1.0.0/16 ,2001:db8::/32")]);
    assert_eq!(config.edge.proxies.to_string(), "10.0.0.5/32, 10.1.0.0/16, 2001:db8::/32");
    assert_eq!(
        problem(&[("TRUSTED_PROXIES", "10.0.0.5, proxy.example.com, 10.0.0.0/99")]),
        "TRUSTED_PROXIES: proxy.example.com, 10.0.0.0/99 must be addresses or networks, such as 10.0.0.5 or 10.0.0.0/8, \
         separated by commas"
    );
    assert!(
        problem(&[("TRUSTED_PROXIES", "10.0.0.5,::/0")])
            .starts_with("TRUSTED_PROXIES: ::/0 contains every address")
    );
}

#[test]
fn the_console_is_reached_from_everywhere_or_from_these_networks() {
    for config in [dev(&[]), dev(&[("ADMIN_ALLOWED_NETWORKS", " ")]), prod(&[]).unwrap()] {
        assert!(config.admin.allowed_networks.is_empty());
    }
    let config = dev(&[("ADMIN_ALLOWED_NETWORKS", "203.0.113.7, 10.0.0.0/8")]);
    assert_eq!(config.admin.allowed_networks.to_string(), "203.0.113.7/32, 10.0.0.0/8");
    assert!(dev(&[("ADMIN_ALLOWED_NETWORKS", "0.0.0.0/0")]).admin.allowed_networks.contains_everything());
    assert_eq!(
        problem(&[("ADMIN_ALLOWED_NETWORKS", "10.0.0.5, office")]),
        "ADMIN_ALLOWED_NETWORKS: office must be addresses or networks, such as 10.0.0.5 or 10.0.0.0/8, separated by commas"
    );
}

#[test]
fn the_guard_has_a_rate_and_a_burst_and_can_be_switched_off() {
    let guard = |settings: &[(&str, &str)]| {
        dev(settings).edge.guard.map(|guard| (guard.per_second.get(), guard.burst.get()))
    };
    assert_eq!(guard(&[("GUARD_REQUESTS_PER_SECOND", "1"), ("GUARD_BURST", "1")]), Some((1, 1)));
    let greatest = [("GUARD_REQUESTS_PER_SECOND", "100000"), ("GUARD_BURST", "1000000")];
    assert_eq!(guard(&greatest), Some((100_000, 1_000_000)));
    assert_eq!(guard(&[("GUARD_REQUESTS_PER_SECOND", "0")]), None);
    assert_eq!(guard(&[("RATE_LIMITS_ENABLED", "false")]), None);
    for (name, bad) in [
        ("GUARD_REQUESTS_PER_SECOND", "-1"),
        ("GUARD_REQUESTS_PER_SECOND", "100001"),
        ("GUARD_REQUESTS_PER_SECOND", "many"),
        ("GUARD_BURST", "0"),
        ("GUARD_BURST", "1000001"),
    ] {
        assert!(
            problem(&[(name, bad)]).starts_with(&format!("{name} must be a whole number")),
            "{name}={bad}"
        );
    }
}
