//! The triggers that fill `search_words`, for both databases. Like a released migration this file is never edited: a database
//! keeps the triggers that it was created with.
//!
//! Triggers, because a name is written in many places, also by the version before while two serve together: none of them can
//! forget the words, and no request needs a further statement. They only split texts. What is compared is folded by the server
//! before it is written (`…_key` columns), so the two databases agree.

use sea_orm::DbBackend;

/// What separates the words of a name. `domain/search.rs` has the same characters; a test compares them.
const SEPARATORS: &str = "-.'’_+,/()\"·・‐–—\u{a0}\u{3000}";

/// How many calls SQLite nests at most.
const NESTED: usize = 5;

/// The longest word in characters: an entry of an index has a limited size.
const LONGEST: usize = 64;

/// A table whose names are searched.
pub(crate) struct Searched {
    /// The value of `search_words.subject`.
    pub(crate) subject: &'static str,
    /// The table. Its key is `id`.
    pub(crate) table: &'static str,
    /// Folded columns that are split into words.
    pub(crate) names: &'static [&'static str],
    /// A folded column with an e-mail address: it is one word, and the part before the `@` is split too.
    pub(crate) email: Option<&'static str>,
}

impl Searched {
    /// Creates the triggers and adds the words of the rows that exist.
    pub(crate) fn creating(&self, backend: DbBackend) -> Vec<String> {
        let Self { subject, table, .. } = self;
        let mut statements = if backend == DbBackend::Postgres { self.postgres() } else { self.sqlite() };
        let words = if backend == DbBackend::Postgres {
            format!("{table}, {}", self.words(backend, table))
        } else {
            // SQLite joins a row with the rows of a function, but not with those of a query that reads it.
            let whole = self.email.map(|email| format!(" UNION ALL SELECT id, {email} FROM {table}"));
            let (split, whole) = (self.split(table), whole.unwrap_or_default());
            format!("(SELECT {table}.id, parts.value AS word FROM {table}, {split}{whole}) AS {table}")
        };
        statements.push(format!(
            "INSERT INTO search_words (subject, word, subject_id) \
             SELECT DISTINCT '{subject}', {}, {table}.id FROM {words} WHERE word <> ''",
            cut(backend)
        ));
        statements
    }

    /// Drops the triggers and removes the words.
    pub(crate) fn dropping(&self, backend: DbBackend) -> Vec<String> {
        let Self { subject, table, .. } = self;
        let on_table = if backend == DbBackend::Postgres { format!(" ON {table}") } else { String::new() };
        let mut statements: Vec<String> = ["insert", "update", "delete"]
            .map(|event| format!("DROP TRIGGER search_words_{table}_{event}{on_table}"))
            .into();
        if backend == DbBackend::Postgres {
            statements.push(format!("DROP FUNCTION search_words_of_{table}()"));
        }
        statements.push(format!("DELETE FROM search_words WHERE subject = '{subject}'"));
        statements
    }

    fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.names.iter().copied().chain(self.email)
    }

    /// A condition on a row before and after a write, true for one column at least.
    fn any(&self, condition: impl Fn(&str) -> String) -> String {
        self.columns().map(condition).collect::<Vec<_>>().join(" OR ")
    }

    /// The texts of a row that are split, as one text.
    fn text(&self, backend: DbBackend, row: &str) -> String {
        let mut texts: Vec<String> =
            self.names.iter().map(|name| format!("COALESCE({row}.{name}, '')")).collect();
        if let Some(email) = self.email {
            texts.push(if backend == DbBackend::Postgres {
                format!("COALESCE(split_part({row}.{email}, '@', 1), '')")
            } else {
                format!("COALESCE(substr({row}.{email}, 1, instr({row}.{email}, '@') - 1), '')")
            });
        }
        texts.join(" || ' ' || ")
    }

    /// The rows `parts.value` of a row, on SQLite. Its only splitter reads JSON: an array whose texts end where the spaces were.
    /// The separators are replaced a few at a time, by one row that is read from the row before: older versions of SQLite
    /// cannot read a deeply nested expression, and could then not open the database at all.
    fn split(&self, row: &str) -> String {
        let mut text = self.text(DbBackend::Sqlite, row);
        let mut steps = Vec::new();
        let separators: Vec<char> = SEPARATORS.chars().collect();
        for (step, some) in separators.chunks(NESTED).enumerate() {
            let spaced = some.iter().fold(text, |text, separator| {
                format!("replace({text}, '{}', ' ')", separator.to_string().replace('\'', "''"))
            });
            steps.push(format!("json_each(json_array({spaced})) AS step{step}"));
            text = format!("step{step}.value");
        }
        steps.push(format!("json_each('[' || replace(json_quote({text}), ' ', '\",\"') || ']') AS parts"));
        steps.join(", ")
    }

    /// The rows `word` of a row that is called by this name.
    fn words(&self, backend: DbBackend, row: &str) -> String {
        let whole = self.email.map(|email| format!(" UNION ALL SELECT {row}.{email}")).unwrap_or_default();
        if backend == DbBackend::Postgres {
            let (from, to) = (SEPARATORS.replace('\'', "''"), " ".repeat(SEPARATORS.chars().count()));
            let text = self.text(backend, row);
            format!(
                "LATERAL (SELECT unnest(string_to_array(translate({text}, '{from}', '{to}'), ' ')) AS word{whole}) AS parts"
            )
        } else {
            format!("(SELECT parts.value AS word FROM {}{whole}) AS words", self.split(row))
        }
    }

    fn postgres(&self) -> Vec<String> {
        let Self { subject, table, .. } = self;
        let (words, columns) = (self.words(DbBackend::Postgres, "NEW"), self.columns().collect::<Vec<_>>());
        let call = format!("EXECUTE FUNCTION search_words_of_{table}()");
        vec![
            format!(
                "CREATE FUNCTION search_words_of_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF TG_OP <> 'INSERT' THEN \
                 DELETE FROM search_words WHERE subject = '{subject}' AND subject_id = OLD.id; \
                 END IF; \
                 IF TG_OP <> 'DELETE' THEN \
                 INSERT INTO search_words (subject, word, subject_id) \
                 SELECT DISTINCT '{subject}', {}, NEW.id FROM {words} WHERE word <> ''; \
                 END IF; \
                 RETURN NULL; END $$",
                cut(DbBackend::Postgres)
            ),
            format!(
                "CREATE TRIGGER search_words_{table}_insert AFTER INSERT ON {table} FOR EACH ROW WHEN ({}) {call}",
                self.any(|column| format!("NEW.{column} IS NOT NULL"))
            ),
            format!(
                "CREATE TRIGGER search_words_{table}_update AFTER UPDATE OF {} ON {table} FOR EACH ROW WHEN ({}) {call}",
                columns.join(", "),
                self.any(|column| format!("OLD.{column} IS DISTINCT FROM NEW.{column}"))
            ),
            format!("CREATE TRIGGER search_words_{table}_delete AFTER DELETE ON {table} FOR EACH ROW {call}"),
        ]
    }

    fn sqlite(&self) -> Vec<String> {
        let Self { subject, table, .. } = self;
        let columns = self.columns().collect::<Vec<_>>().join(", ");
        let remove = format!("DELETE FROM search_words WHERE subject = '{subject}' AND subject_id = OLD.id;");
        // No conflict can occur: the words are distinct, and those of the row are removed before. A conflict clause of the
        // statement that fired the trigger would decide it.
        let add = format!(
            "INSERT INTO search_words (subject, word, subject_id) \
             SELECT DISTINCT '{subject}', {}, NEW.id FROM {} WHERE word <> '';",
            cut(DbBackend::Sqlite),
            self.words(DbBackend::Sqlite, "NEW")
        );
        vec![
            format!(
                "CREATE TRIGGER search_words_{table}_insert AFTER INSERT ON {table} WHEN {} BEGIN {add} END",
                self.any(|column| format!("NEW.{column} IS NOT NULL"))
            ),
            format!(
                "CREATE TRIGGER search_words_{table}_update AFTER UPDATE OF {columns} ON {table} WHEN {} \
                 BEGIN {remove} {add} END",
                self.any(|column| format!("OLD.{column} IS NOT NEW.{column}"))
            ),
            format!("CREATE TRIGGER search_words_{table}_delete AFTER DELETE ON {table} BEGIN {remove} END"),
        ]
    }
}

/// A word, cut to its greatest length.
fn cut(backend: DbBackend) -> String {
    if backend == DbBackend::Postgres {
        format!("left(word, {LONGEST})")
    } else {
        format!("substr(word, 1, {LONGEST})")
    }
}
