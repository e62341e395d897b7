//! The API over HTTP: one file per route or subject, on SQLite and on PostgreSQL.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

#[path = "../support/mod.rs"]
mod support;

mod abuse;
mod adaptive;
mod admin_blocks;
mod admin_leads;
mod admin_phones;
mod again;
mod api_keys;
mod audit;
mod audit_entries;
mod auth_change_phone;
mod auth_complete_profile;
mod auth_confirm;
mod auth_delete_account;
mod auth_deliveries;
mod auth_event_interests;
mod auth_export;
mod auth_forgot_password;
mod auth_login;
mod auth_logout;
mod auth_logout_all;
mod auth_merge_accounts;
mod auth_password;
mod auth_profile;
mod auth_refresh;
mod auth_register;
mod auth_reset_password;
mod auth_sessions;
mod auth_signup;
mod auth_verify_login;
mod auth_verify_otp;
mod before_send;
mod blocks;
mod bot_check;
mod bot_check_challenges;
mod budgets;
mod budgets_address;
mod budgets_back;
mod budgets_bounds;
mod budgets_password;
mod budgets_races;
mod caps;
mod channels;
mod client_address;
mod codes;
mod create_user;
mod dashboard;
mod destinations;
mod dev_inbox;
mod device_token;
mod discovery;
mod edge;
mod envelope;
mod errors;
mod events;
mod events_sender;
mod events_sessions;
mod exchange;
mod exchange_accounts;
mod exchange_keys;
mod exchange_settings;
mod failover;
mod failover_reports;
mod failover_three;
mod fleet;
mod forge;
mod gate;
mod guard;
mod guests;
mod guests_gate;
mod guests_gone;
mod hidden_accounts;
mod introspect;
mod invitations;
mod invitations_by_staff;
mod jwks;
mod jws;
mod leads;
mod lengths;
mod merged_accounts;
mod migrated_budgets;
mod moved_clock;
mod own_account;
mod password_login;
mod phones;
mod phones_shown;
mod prefixes;
mod provider_status;
mod receipts;
mod recycled;
mod register;
mod retention;
mod review_numbers;
mod roles;
mod schema;
mod search_words;
mod second_factor;
mod second_factor_lock;
mod seeds;
mod service;
mod sessions_per_user;
mod signups;
mod sms;
mod statistics;
mod terms;
mod token;
mod token_claims;
mod tokens;
mod twilio_status;
mod twilio_status_fallback;
mod twilio_status_matching;
mod two_versions;
mod users;
mod verifications;
mod verifications_budgets;
mod verifications_races;
