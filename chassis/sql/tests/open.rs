//! What the wall promises: files that are refused with a reason, and what a connection can do.
use souk_sql::*;
use std::time::Instant;

const STORE: Store = Store { application: 0x1234_5678, schema: 3 };

fn open(path: &std::path::Path, purpose: OpenFor) -> Result<Connection, OpenError> {
    Connection::open(path, STORE, purpose, Names::from_pairs([("t", "t__1")]))
}

fn filled() -> (tempfile::TempDir, std::path::PathBuf, Connection) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.db");
    let mut db = open(&path, OpenFor::Write).expect("opens");
    db.batch("CREATE TABLE {t} (id TEXT PRIMARY KEY, n BIGINT CHECK (n < 100)); PRAGMA user_version = 3")
        .expect("made");
    (folder, path, db)
}

#[test]
fn values_survive_and_missing_ones_are_null() {
    let (_folder, _, mut db) = filled();
    let insert =
        |id: &str, n: Option<i64>| Statement::new("INSERT INTO {t} (id, n) VALUES ($1, $2)").arg(id).arg(n);
    assert_eq!(db.execute(&insert("$1 {t} 'é'", Some(7))), Ok(1));
    assert_eq!(db.execute(&insert("none", None)), Ok(1));
    let rows = db.query(&Statement::new("SELECT id, n FROM {t} ORDER BY n")).expect("read");
    assert_eq!(rows[0].get::<Option<i64>>(1), None);
    assert_eq!((rows[1].text(0), rows[1].get::<i64>(1)), ("$1 {t} 'é'", 7));
    assert_eq!(
        db.query_limited(&Statement::new("SELECT 1 FROM {t}"), 1).expect_err("two").kind(),
        Kind::Statement
    );
}

#[test]
fn failures_are_sorted_by_what_they_mean() {
    let (_folder, path, mut db) = filled();
    let kind =
        |db: &mut Connection, sql: &'static str| db.execute(&Statement::new(sql)).expect_err(sql).kind();
    assert_eq!(kind(&mut db, "INSERT INTO {t} (id, n) VALUES ('a', 100)"), Kind::Constraint);
    assert_eq!(kind(&mut db, "INSERT INTO {u} (id) VALUES ('a')"), Kind::Statement);
    assert_eq!(kind(&mut db, "INSERT INTO {t} (id) VALUES ($1)"), Kind::Statement);
    assert_eq!(db.query(&Statement::new("SELECT 1.5")).expect_err("a float").kind(), Kind::Statement);
    let mut reader = open(&path, OpenFor::Read).expect("opens");
    assert_eq!(kind(&mut reader, "INSERT INTO {t} (id) VALUES ('a')"), Kind::ReadOnly);
    let message =
        db.execute(&Statement::new("INSERT INTO {t} (id, n) VALUES ('a', 100)")).expect_err("refused");
    assert!(message.to_string().contains("in: INSERT INTO {t}"), "{message}");
}

#[test]
fn a_full_file_is_told_apart_from_other_failures() {
    let (_folder, _, mut db) = filled();
    db.batch("PRAGMA max_page_count = 8").expect("set");
    db.begin_write().expect("begun");
    let insert =
        |n: i64| Statement::new("INSERT INTO {t} (id) VALUES ($1)").arg(format!("{n}{}", "x".repeat(2_000)));
    let error = (0..100).find_map(|n| db.execute(&insert(n)).err()).expect("there is no room for all");
    assert_eq!(error.kind(), Kind::StorageFull);
    db.rollback().expect("undone");
    db.rollback().expect("nothing is open any more");
    assert_eq!(db.query(&Statement::new("SELECT 1 FROM {t}")), Ok(vec![]));
}

#[test]
fn a_reader_sees_one_moment_and_never_half_a_transaction() {
    let (_folder, path, mut db) = filled();
    let mut reader = open(&path, OpenFor::Read).expect("opens");
    let count = |db: &mut Connection| {
        db.query(&Statement::new("SELECT count(*) FROM {t}")).expect("read")[0].get::<i64>(0)
    };
    db.begin_write().expect("begun");
    db.execute(&Statement::new("INSERT INTO {t} (id) VALUES ('a')")).expect("written");
    assert_eq!((count(&mut db), count(&mut reader)), (1, 0));
    db.commit().expect("committed");
    assert!(db.log_pages() > 0);
    reader.begin_read().expect("begun");
    assert_eq!(count(&mut reader), 1);
    db.execute(&Statement::new("INSERT INTO {t} (id) VALUES ('b')")).expect("written");
    assert_eq!(count(&mut reader), 1);
    reader.rollback().expect("ended");
    assert_eq!(count(&mut reader), 2);
    let outcome = db.checkpoint().expect("moved");
    assert_eq!(outcome.log_pages, outcome.moved_pages);
}

#[test]
fn a_statement_past_its_deadline_is_ended_and_the_connection_goes_on() {
    let (_folder, _, mut db) = filled();
    db.watch_deadline().expect("set");
    let endless = Statement::new(
        "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c",
    );
    db.set_deadline(Some(Instant::now()));
    assert_eq!(db.query(&endless).expect_err("ended").kind(), Kind::TooLong);
    db.set_deadline(None);
    assert_eq!(db.query(&Statement::new("SELECT 1")).expect("read").len(), 1);
}

#[test]
fn an_owned_text_and_a_constant_give_the_same() {
    let (_folder, _, mut db) = filled();
    for n in 0..2_000 {
        let sql = format!("SELECT {n}, count(*) FROM {{t}}");
        assert_eq!(db.query(&Statement::new(sql)).expect("read")[0].get::<i64>(0), n);
    }
    db.set_names(Names::from_pairs([("t", "other")]));
    assert_eq!(
        db.query(&Statement::new("SELECT 1 FROM {t}")).expect_err("no such table").kind(),
        Kind::Statement
    );
}

#[test]
fn every_refusal_names_the_file_and_what_to_do() {
    let (_folder, path, db) = filled();
    drop(db);
    let with = |application, schema| {
        Connection::open(&path, Store { application, schema }, OpenFor::Write, Names::none())
    };
    let newer = with(STORE.application, 2).err().expect("refused");
    assert_eq!(newer, OpenError::Newer { path: path.clone(), found: 3, known: 2 });
    let foreign = with(1, 3).err().expect("refused");
    assert_eq!(foreign, OpenError::Foreign { path: path.clone() });
    let folder = path.parent().expect("it has one");
    let nowhere = open(&folder.join("no/x.db"), OpenFor::Write).err().expect("refused");
    assert!(matches!(nowhere, OpenError::NoDirectory { .. }));
    let missing = open(&folder.join("y.db"), OpenFor::Audit).err().expect("refused");
    assert!(matches!(missing, OpenError::NoSuchFile { .. }));
    for error in [newer, foreign, nowhere, missing] {
        let text = error.to_string();
        assert!(text.starts_with(folder.to_str().expect("plain")) && text.contains("; "), "{text}");
    }
}

#[test]
fn one_lock_per_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.db");
    let lock = StoreLock::take(&path).expect("free");
    let error = StoreLock::take(&path).expect_err("held");
    assert_eq!(error, OpenError::LockHeld { path: StoreLock::path_of(&path) });
    drop(lock);
    StoreLock::take(&path).expect("free again");
}
