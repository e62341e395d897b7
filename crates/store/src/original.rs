//! The tables of the original Loopin backend, which are only read: `auth_user`, `users_userprofile`,
//! `users_userprofile_event_interests`, `users_eventinterest` and `users_phoneotp`, as Django makes them on PostgreSQL and SQLite.
//!
//! Its versions have different columns: one that is missing reads as empty. Every value is read as a text, so that both databases
//! answer alike. A page is one short transaction that PostgreSQL lets write nothing, so the original can stay in use.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};

use super::{DatabaseSettings, Store, StoreError, Unready};
use domain::{
    account::Role,
    import::{FormerInterest, FormerLead, FormerPhone, Person, is_like_a_phone, parse_time},
};

/// The tables that must be there.
const NEEDED: [&str; 2] = ["auth_user", "users_userprofile"];

/// All tables that are read.
const TABLES: [&str; 5] = [
    "auth_user",
    "users_userprofile",
    "users_userprofile_event_interests",
    "users_eventinterest",
    "users_phoneotp",
];

/// Why the original's database cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OriginalError {
    /// There is no such file.
    #[error("the SQLite file of the original does not exist")]
    Missing,
    /// A table is missing.
    #[error("the database has no table {0}: it is not the original's, or another schema")]
    NoTable(&'static str),
    /// The database cannot be opened.
    #[error("the original's database cannot be opened")]
    Unready(#[from] Unready),
    /// A statement failed.
    #[error("the original's database cannot be read")]
    Store(#[from] StoreError),
}

/// The original's database.
#[derive(Debug)]
pub struct Original {
    store: Store,
    columns: HashMap<&'static str, HashSet<String>>,
}

/// How a column is read.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Flag,
    Time,
}

impl Original {
    /// Opens the database for reading, and looks at its columns.
    pub async fn open(settings: &DatabaseSettings) -> Result<Self, OriginalError> {
        let store = Store::look(settings).await?.ok_or(OriginalError::Missing)?;
        let mut columns = HashMap::new();
        for table in TABLES {
            let found = list_columns(&store, table).await?;
            if found.is_empty() && NEEDED.contains(&table) {
                return Err(OriginalError::NoTable(table));
            }
            columns.insert(table, found);
        }
        Ok(Self { store, columns })
    }

    /// Closes the connection.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// The expression that reads a column as a text.
    fn column(&self, table: &'static str, alias: &str, name: &str, kind: Kind) -> String {
        if !self.has(table, name) {
            return format!("CAST(NULL AS text) AS {alias}_{name}");
        }
        let read = match (kind, self.store.get_database_backend()) {
            (Kind::Flag, _) => format!("CASE WHEN {alias}.{name} THEN 'true' ELSE 'false' END"),
            (Kind::Time, DbBackend::Postgres) => {
                format!("to_char({alias}.{name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")
            }
            (Kind::Text | Kind::Time, _) => format!("CAST({alias}.{name} AS text)"),
        };
        format!("{read} AS {alias}_{name}")
    }

    fn has(&self, table: &str, column: &str) -> bool {
        self.columns.get(table).is_some_and(|columns| columns.contains(column))
    }

    /// Runs a statement that reads, in a transaction that writes nothing.
    async fn page(&self, sql: String, values: &[i64]) -> Result<Vec<QueryResult>, StoreError> {
        let backend = self.store.get_database_backend();
        let statement =
            Statement::from_sql_and_values(backend, sql, values.iter().map(|value| (*value).into()));
        if backend != DbBackend::Postgres {
            // The file was opened for reading.
            return Ok(self.store.query_all_raw(statement).await?);
        }
        let txn = self.store.begin().await?;
        txn.execute_unprepared("SET TRANSACTION READ ONLY").await?;
        let rows = txn.query_all_raw(statement).await?;
        txn.commit().await?;
        Ok(rows)
    }

    /// The next users by id, at most `limit`, with their profiles and interests.
    pub async fn list_people(&self, after: i64, limit: i64) -> Result<Vec<(i64, Person)>, StoreError> {
        let user = |name, kind| self.column("auth_user", "u", name, kind);
        let profile = |name, kind| self.column("users_userprofile", "p", name, kind);
        let columns = [
            user("username", Kind::Text),
            user("email", Kind::Text),
            user("first_name", Kind::Text),
            user("last_name", Kind::Text),
            user("password", Kind::Text),
            user("is_staff", Kind::Flag),
            user("is_superuser", Kind::Flag),
            user("is_active", Kind::Flag),
            user("date_joined", Kind::Time),
            user("last_login", Kind::Time),
            profile("name", Kind::Text),
            profile("phone_number", Kind::Text),
            profile("is_verified", Kind::Flag),
            profile("is_active", Kind::Flag),
            profile("email", Kind::Text),
            profile("birth_date", Kind::Text),
            profile("gender", Kind::Text),
            profile("bio", Kind::Text),
            profile("location", Kind::Text),
            profile("profile_pictures", Kind::Text),
        ]
        .join(", ");
        let sql = format!(
            "SELECT CAST(u.id AS bigint) AS id, p.user_id IS NULL AS lacks_profile, {columns} FROM auth_user u \
             LEFT JOIN users_userprofile p ON p.user_id = u.id WHERE u.id > $1 ORDER BY u.id LIMIT $2"
        );
        let rows = self.page(sql, &[after, limit]).await?;
        let mut people = Vec::with_capacity(rows.len());
        for row in &rows {
            people.push((row.try_get("", "id")?, person(row)?));
        }
        if let Some(last) = people.last().map(|(id, _)| *id) {
            self.add_interests(&mut people, after, last).await?;
        }
        Ok(people)
    }

    async fn add_interests(
        &self,
        people: &mut [(i64, Person)],
        after: i64,
        last: i64,
    ) -> Result<(), StoreError> {
        if !self.has("users_userprofile_event_interests", "eventinterest_id")
            || !self.has("users_eventinterest", "name")
        {
            return Ok(());
        }
        let sql = "SELECT CAST(p.user_id AS bigint) AS id, CAST(i.name AS text) AS name \
                   FROM users_userprofile_event_interests m JOIN users_userprofile p ON p.id = m.userprofile_id \
                   LEFT JOIN users_eventinterest i ON i.id = m.eventinterest_id \
                   WHERE p.user_id > $1 AND p.user_id <= $2 ORDER BY p.user_id, m.id";
        for row in self.page(sql.to_owned(), &[after, last]).await? {
            let id: i64 = row.try_get("", "id")?;
            let Ok(at) = people.binary_search_by_key(&id, |(id, _)| *id) else { continue };
            let Some((_, person)) = people.get_mut(at) else { continue };
            match row.try_get::<Option<String>>("", "name")? {
                Some(name) => person.interests.push(name),
                None => person.left_out = vec!["interests"],
            }
        }
        Ok(())
    }

    /// The next rows of codes by id, at most `limit`, whose phone is no username.
    pub async fn list_leads(&self, after: i64, limit: i64) -> Result<Vec<(i64, FormerLead)>, StoreError> {
        if !self.has("users_phoneotp", "phone_number") {
            return Ok(Vec::new());
        }
        let columns = [
            self.column("users_phoneotp", "o", "phone_number", Kind::Text),
            self.column("users_phoneotp", "o", "created_at", Kind::Time),
            self.column("users_phoneotp", "o", "updated_at", Kind::Time),
        ]
        .join(", ");
        let sql = format!(
            "SELECT CAST(o.id AS bigint) AS id, {columns} FROM users_phoneotp o WHERE o.id > $1 \
             AND NOT EXISTS (SELECT 1 FROM auth_user u WHERE u.username = o.phone_number) ORDER BY o.id LIMIT $2"
        );
        let rows = self.page(sql, &[after, limit]).await?;
        let lead = |row: &QueryResult| {
            let id: i64 = row.try_get("", "id")?;
            let time = |name| Ok::<_, StoreError>(text(row, name)?.as_deref().and_then(parse_time));
            let lead = FormerLead {
                place: number(id),
                old_id: id.to_string(),
                phone: text(row, "o_phone_number")?.unwrap_or_default(),
                first_requested_at: time("o_created_at")?,
                last_requested_at: time("o_updated_at")?,
            };
            Ok((id, lead))
        };
        rows.iter().map(lead).collect()
    }

    /// All interests.
    pub async fn list_interests(&self) -> Result<Vec<FormerInterest>, StoreError> {
        if !self.has("users_eventinterest", "name") {
            return Ok(Vec::new());
        }
        let columns = [
            self.column("users_eventinterest", "i", "name", Kind::Text),
            self.column("users_eventinterest", "i", "description", Kind::Text),
            self.column("users_eventinterest", "i", "is_active", Kind::Flag),
        ]
        .join(", ");
        let sql = format!(
            "SELECT CAST(i.id AS bigint) AS id, {columns} FROM users_eventinterest i WHERE i.id > $1 ORDER BY i.id LIMIT $2"
        );
        let rows = self.page(sql, &[0, i64::from(u16::MAX)]).await?;
        let interest = |row: &QueryResult| {
            let id: i64 = row.try_get("", "id")?;
            Ok(FormerInterest {
                place: number(id),
                old_id: id.to_string(),
                name: text(row, "i_name")?.unwrap_or_default(),
                description: text(row, "i_description")?.unwrap_or_default(),
                is_active: flag(row, "i_is_active")?.unwrap_or(true),
            })
        };
        rows.iter().map(interest).collect()
    }

    /// How many rows of people and of codes there are.
    pub async fn count(&self) -> Result<u64, StoreError> {
        let mut rows = 0;
        for table in ["auth_user", "users_phoneotp"] {
            if self.has(table, "id") {
                let sql = format!("SELECT count(*) AS rows FROM {table}");
                let found = self.page(sql, &[]).await?;
                rows += found.first().map_or(Ok(0), |row| row.try_get::<i64>("", "rows"))?;
            }
        }
        Ok(number(rows))
    }
}

/// The names of the columns of a table; none if there is no such table.
async fn list_columns(store: &Store, table: &str) -> Result<HashSet<String>, StoreError> {
    let backend = store.get_database_backend();
    let sql = match backend {
        // Where the search path finds it, as the statements below do.
        DbBackend::Postgres => {
            "SELECT CAST(attname AS text) AS name FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 \
             AND NOT attisdropped"
        }
        _ => "SELECT name FROM pragma_table_info($1)",
    };
    let rows = store.query_all_raw(Statement::from_sql_and_values(backend, sql, [table.into()])).await?;
    Ok(rows.iter().map(|row| row.try_get("", "name")).collect::<Result<_, _>>()?)
}

fn number(id: i64) -> u64 {
    u64::try_from(id).unwrap_or_default()
}

fn text(row: &QueryResult, name: &str) -> Result<Option<String>, StoreError> {
    let text: Option<String> = row.try_get("", name)?;
    Ok(text.filter(|text| !text.trim().is_empty()))
}

fn flag(row: &QueryResult, name: &str) -> Result<Option<bool>, StoreError> {
    Ok(text(row, name)?.map(|text| text == "true"))
}

fn person(row: &QueryResult) -> Result<Person, StoreError> {
    let id: i64 = row.try_get("", "id")?;
    let lacks_profile: bool = row.try_get("", "lacks_profile")?;
    let is = |name| Ok::<_, StoreError>(flag(row, name)?.unwrap_or(false));
    let time = |name| Ok::<_, StoreError>(text(row, name)?.as_deref().and_then(parse_time));
    let username = text(row, "u_username")?;
    let mut phones = Vec::new();
    // The original makes a user when a code was right, with the phone as the username.
    if let Some(phone) = username.as_ref().filter(|name| is_like_a_phone(name)) {
        phones.push(FormerPhone { text: phone.clone(), is_proved: true });
    }
    if let Some(phone) = text(row, "p_phone_number")? {
        phones.push(FormerPhone { text: phone, is_proved: is("p_is_verified")? });
    }
    let role = match (is("u_is_staff")?, is("u_is_superuser")?) {
        (true, true) => Role::Admin,
        (true, false) => Role::Staff,
        (false, _) => Role::User,
    };
    let profile_is_active = lacks_profile || flag(row, "p_is_active")?.unwrap_or(true);
    Ok(Person {
        place: number(id),
        old_id: id.to_string(),
        phones,
        username,
        email: text(row, "u_email")?.or(text(row, "p_email")?),
        first_name: text(row, "u_first_name")?,
        last_name: text(row, "u_last_name")?,
        name: text(row, "p_name")?,
        birth_date: text(row, "p_birth_date")?,
        gender: text(row, "p_gender")?,
        bio: text(row, "p_bio")?,
        location: text(row, "p_location")?,
        // Users' passwords are their phones. A hash that begins with ! is Django's for no password.
        password: text(row, "u_password")?.filter(|hash| role != Role::User && !hash.starts_with('!')),
        role: Some(role),
        is_disabled: !flag(row, "u_is_active")?.unwrap_or(true) || !profile_is_active,
        pictures: pictures(text(row, "p_profile_pictures")?.as_deref()),
        created_at: time("u_date_joined")?,
        last_sign_in: time("u_last_login")?,
        ..Person::default()
    })
}

/// The URLs of a JSON list. What is no list of texts has none.
fn pictures(json: Option<&str>) -> Vec<String> {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}
