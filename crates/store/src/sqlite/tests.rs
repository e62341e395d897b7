//! Tests of the connections: the queue before the writer, and what works beside it.

use std::{fs, path::Path};

use sea_orm::DbBackend;
use tokio::task::yield_now;

use super::*;

/// A database in a folder of its own, with the table `t`. Nothing waits for a lock: the first one that is met is an error.
async fn new_database(commits_per_checkpoint: u32) -> (Arc<Sqlite>, Folder) {
    let folder = Folder::new();
    let settings = DatabaseSettings {
        url: format!("sqlite://{}", folder.file().display()).into(),
        max_connections: 4,
        acquire_timeout: Duration::from_secs(30),
        pooler: None,
    };
    make_file(settings.url.expose_secret()).unwrap();
    let sqlite = Sqlite::new(&settings, Duration::ZERO, commits_per_checkpoint).unwrap();
    sqlite.execute_text("CREATE TABLE t (n INTEGER NOT NULL, text BLOB)").await.unwrap();
    (Arc::new(sqlite), folder)
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("loopin-auth-store-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("test.sqlite3")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(Path::new(&self.0));
    }
}

fn statement(sql: &str) -> Statement {
    Statement::from_string(DbBackend::Sqlite, sql)
}

async fn insert(sqlite: &Arc<Sqlite>, n: i64) -> Result<(), DbErr> {
    let txn = sqlite.begin().await?;
    txn.run(&statement(&format!("INSERT INTO t VALUES ({n}, zeroblob(8000))"))).await?;
    txn.commit().await
}

async fn numbers(sqlite: &Sqlite) -> Vec<i64> {
    let answer = sqlite.run(&statement("SELECT n FROM t ORDER BY rowid")).await.unwrap();
    answer.all_rows().iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

#[tokio::test]
async fn writers_come_in_the_order_of_their_arrival_and_meet_no_lock() {
    let (sqlite, _folder) = new_database(1000).await;
    let first = sqlite.begin().await.unwrap();
    let mut writers = Vec::new();
    for n in 0..32 {
        let sqlite = Arc::clone(&sqlite);
        writers.push(tokio::spawn(async move { insert(&sqlite, n).await }));
        // It runs until it waits.
        yield_now().await;
    }
    first.rollback().await.unwrap();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(numbers(&sqlite).await, (0..32).collect::<Vec<i64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_and_readers_at_once_meet_no_lock() {
    let (sqlite, folder) = new_database(5).await;
    for round in 0..20 {
        let tasks = (0..10).map(|n| {
            let (sqlite, n) = (Arc::clone(&sqlite), 10 * round + n);
            tokio::spawn(async move {
                insert(&sqlite, n).await.unwrap();
                assert!(numbers(&sqlite).await.contains(&n), "a reader sees what was committed before");
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    }
    // In all 4 pages were written 200 times, so the log began anew a few times.
    let log = fs::metadata(folder.file().with_extension("sqlite3-wal")).unwrap().len();
    assert!(log < 1_600_000, "{log} bytes");
    sqlite.close().await;
    assert!(sqlite.begin().await.is_err_and(|error| matches!(error, DbErr::ConnectionAcquire(_))));
}

#[tokio::test]
async fn readers_see_the_last_commit_and_wait_for_no_writer() {
    let (sqlite, _folder) = new_database(1000).await;
    insert(&sqlite, 1).await.unwrap();
    let writing = sqlite.begin().await.unwrap();
    writing.run(&statement("INSERT INTO t VALUES (2, NULL)")).await.unwrap();
    assert_eq!(numbers(&sqlite).await, [1]);
    sqlite.ping().await.unwrap();
    writing.commit().await.unwrap();
    assert_eq!(numbers(&sqlite).await, [1, 2]);
}

#[tokio::test]
async fn what_is_no_select_goes_to_the_writer() {
    let (sqlite, _folder) = new_database(1000).await;
    for sql in [
        "INSERT INTO t VALUES (1, NULL) RETURNING n",
        "WITH new(n) AS (SELECT 1) INSERT INTO t SELECT n, NULL FROM new RETURNING n",
        "UPDATE t SET n = 1 RETURNING n",
        "WITH one AS (SELECT 1 AS n) SELECT n FROM one",
    ] {
        let row = sqlite.run(&statement(sql)).await.unwrap().first_row();
        assert_eq!(row.map(|row| row.try_get_by_index::<i64>(0).unwrap()), Some(1), "{sql}");
    }
    assert_eq!(numbers(&sqlite).await, [1, 1]);
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_nothing() {
    let (sqlite, _folder) = new_database(1000).await;
    let writing = sqlite.begin().await.unwrap();
    writing.run(&statement("INSERT INTO t VALUES (1, NULL)")).await.unwrap();
    drop(writing);
    insert(&sqlite, 2).await.unwrap();
    assert_eq!(numbers(&sqlite).await, [2]);
}

/// SQLite rolls back by itself when the disk is full. A connection that counts its transaction as open would refuse every other.
#[tokio::test]
async fn a_full_disk_leaves_a_writer_that_works() {
    let (sqlite, _folder) = new_database(1000).await;
    insert(&sqlite, 1).await.unwrap();
    sqlite.execute_text("PRAGMA max_page_count = 10").await.unwrap();
    let writing = sqlite.begin().await.unwrap();
    let large = statement("INSERT INTO t VALUES (2, zeroblob(1000000))");
    let error = StoreError::from(writing.run(&large).await.err().expect("the disk is full"));
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    drop(writing);
    insert(&sqlite, 3).await.unwrap();
    assert_eq!(numbers(&sqlite).await, [1, 3]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_reads_a_new_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let (sqlite, folder) = new_database(8).await;
    sqlite.execute_text("INSERT INTO t (n) VALUES (1)").await.unwrap();
    let files: Vec<PathBuf> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 1, "the log lies beside it: {files:?}");
    for file in files {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}
