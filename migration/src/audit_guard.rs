//! What keeps the audit log as it was written: the triggers of both databases. The migration puts them there, and the
//! retention takes them away and puts them back inside of one transaction, so both have their text from here. Like a
//! step that was released it is never edited: a database that has a trigger keeps the text that it was made with.

use sea_orm_migration::sea_orm::DbBackend;

/// The same act, as each database wants to be told.
#[derive(Debug, Clone, Copy)]
pub struct Statements {
    sqlite: &'static [&'static str],
    postgres: &'static [&'static str],
}

impl Statements {
    /// One after the other, for this database.
    #[must_use]
    pub fn of(self, backend: DbBackend) -> &'static [&'static str] {
        if backend == DbBackend::Postgres { self.postgres } else { self.sqlite }
    }
}

/// Makes what the triggers are made of.
pub(crate) const MAKING: Statements = Statements {
    sqlite: &[],
    postgres: &["CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP \
         USING HINT = 'Whole months are dropped by: loopin-auth audit drop --before YYYY-MM'; \
         END $$"],
};

/// Takes that away again.
pub(crate) const UNMAKING: Statements =
    Statements { sqlite: &[], postgres: &["DROP FUNCTION audit_append_only()"] };

/// From here on rows can only be added.
///
/// On SQLite `INSERT OR REPLACE` removes the row that is in its way without asking the triggers of DELETE, so the third
/// one passes over a row that is there already. On PostgreSQL the trigger fires for replicated sessions too, which
/// otherwise skip triggers, and `ON CONFLICT DO UPDATE` is an update.
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

/// Undoes [`CLOSING`]: until they are closed again, which has to be in the same transaction, rows can be removed.
pub const OPENING: Statements = Statements {
    sqlite: &[
        "DROP TRIGGER audit_no_update",
        "DROP TRIGGER audit_no_delete",
        "DROP TRIGGER audit_no_replace",
    ],
    postgres: &["DROP TRIGGER audit_append_only ON audit"],
};
