//! The triggers that keep the audit log append-only, for both databases. The migration creates them, and the retention drops
//! and creates them again inside of one transaction, so both take their text from here. Like a released migration it is never
//! edited: a database keeps the trigger text that it was created with.

use sea_orm::DbBackend;

/// The same change, in the SQL of each database.
#[derive(Debug, Clone, Copy)]
pub struct Statements {
    sqlite: &'static [&'static str],
    postgres: &'static [&'static str],
}

impl Statements {
    /// The statements for this database, in their order.
    #[must_use]
    pub fn of(self, backend: DbBackend) -> &'static [&'static str] {
        if backend == DbBackend::Postgres { self.postgres } else { self.sqlite }
    }
}

/// Creates the function that the triggers call.
pub(crate) const MAKING: Statements = Statements {
    sqlite: &[],
    postgres: &["CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP \
         USING HINT = 'Whole months are dropped by: loopin-auth audit drop --before YYYY-MM'; \
         END $$"],
};

/// Drops that function.
pub(crate) const UNMAKING: Statements =
    Statements { sqlite: &[], postgres: &["DROP FUNCTION audit_append_only()"] };

/// Creates the triggers: from then on rows can only be added.
///
/// On SQLite `INSERT OR REPLACE` removes a conflicting row without firing the DELETE triggers, so the third trigger skips a row
/// that exists already. On PostgreSQL the trigger also fires in replication sessions, which otherwise skip triggers, and `ON
/// CONFLICT DO UPDATE` counts as an update.
pub const CLOSING: Statements = Statements {
    sqlite: &[
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN \
         SELECT RAISE(ABORT, 'the audit log is append-only: UPDATE is refused'); END",
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN \
         SELECT RAISE(ABORT, 'the audit log is append-only: DELETE is refused'); END",
        "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit \
         WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id OR rowid = NEW.rowid) BEGIN \
         SELECT RAISE(IGNORE); END",
    ],
    postgres: &[
        "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit \
         FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()",
        "ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_append_only",
    ],
};

/// Drops the triggers of [`CLOSING`], so that rows can be removed. The same transaction has to create them again.
pub const OPENING: Statements = Statements {
    sqlite: &[
        "DROP TRIGGER audit_no_update",
        "DROP TRIGGER audit_no_delete",
        "DROP TRIGGER audit_no_replace",
    ],
    postgres: &["DROP TRIGGER audit_append_only ON audit"],
};
