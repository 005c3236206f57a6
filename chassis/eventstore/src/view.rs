//! Read models: tables that a pure function writes from the log, in the same commit as the events.
use crate::error::panic_text;
use crate::{Publish, Recorded, schema};
use souk_sql::{Connection, Error, Kind, Names, OpenError, Row, Statement, dialect};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A read model. Its tables can be thrown away and built again from the log at any time.
#[derive(Clone, Copy)]
pub struct View {
    /// Its name, unique within the service.
    pub name: &'static str,
    /// Raised whenever the tables or the projection change: it is then built anew at the next start.
    pub version: u32,
    /// Its tables.
    pub tables: &'static [Table],
    /// What an event does to them. Pure; statements name tables as `{table}`.
    pub project: fn(&Recorded, &mut Vec<Statement>),
}

/// A table of a view.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name, unique within the service; statements write it as `{name}`.
    pub name: &'static str,
    /// `CREATE TABLE {name} (…)`; the literal `{name}` stands for this table.
    pub ddl: &'static str,
    /// `CREATE INDEX {name}_by_… ON {name} (…)`.
    pub indexes: &'static [&'static str],
}

/// Events per transaction while a view is built anew.
pub(crate) const REBUILD_CHUNK: usize = 2_000;

/// The tables of a view as text, so that a changed definition is noticed even when nobody raised the version.
fn definition(view: &View) -> String {
    let mut text = String::new();
    for table in view.tables {
        text.push_str(table.ddl);
        table.indexes.iter().for_each(|index| text.push_str(index));
    }
    text
}

fn physical(table: &str, generation: u64) -> String {
    format!("{table}__{generation}")
}

/// Refuses views whose names collide.
pub(crate) fn check(views: &[View]) -> Result<(), OpenError> {
    let (mut names, mut tables) = (BTreeSet::new(), BTreeSet::new());
    for view in views {
        if !names.insert(view.name) {
            return Err(OpenError::View {
                view: view.name.to_owned(),
                what: "it is registered twice".to_owned(),
            });
        }
        for table in view.tables {
            if !tables.insert(table.name) {
                let what = format!("its table {} belongs to another view as well", table.name);
                return Err(OpenError::View { view: view.name.to_owned(), what });
            }
        }
    }
    Ok(())
}

/// Makes the tables of `view` in `db`.
pub(crate) fn create_tables(db: &mut Connection, view: &View, generation: u64) -> Result<(), Error> {
    for table in view.tables {
        let own = physical(table.name, generation);
        let text = |ddl: &str| dialect::table(&ddl.replace("{name}", &own));
        db.batch(&format!("DROP TABLE IF EXISTS {own}"))?;
        db.batch(&text(table.ddl))?;
        for index in table.indexes {
            db.batch(&text(index))?;
        }
    }
    Ok(())
}

/// Which table stands behind each name, given each view's generation.
pub(crate) fn names<'a>(views: impl IntoIterator<Item = (&'a View, u64)>) -> Names {
    Names::from_pairs(views.into_iter().flat_map(|(view, generation)| {
        view.tables.iter().map(move |table| (table.name, physical(table.name, generation)))
    }))
}

/// What the store remembers of a view.
struct Known {
    version: i64,
    generation: u64,
    definition: String,
    tables: Vec<String>,
}

fn known(db: &mut Connection) -> Result<BTreeMap<String, Known>, Error> {
    let row_of = |row: &Row| Known {
        version: row.get(1),
        generation: row.get(2),
        definition: row.get(3),
        tables: row.text(4).split_whitespace().map(str::to_owned).collect(),
    };
    Ok(db.rows_of(schema::VIEWS, &[])?.iter().map(|row| (row.get(0), row_of(row))).collect())
}

/// Which table stands behind each name as the file says it, without knowing the views.
pub(crate) fn stored_names(db: &mut Connection) -> Result<Names, Error> {
    let known = known(db)?;
    let logical = |table: &String| table.rsplit_once("__").map(|(name, _)| (name.to_owned(), table.clone()));
    Ok(Names::from_pairs(known.values().flat_map(|view| view.tables.iter().filter_map(logical))))
}

/// Whether the file's tables of this view are those of another definition.
pub(crate) fn outdated(db: &mut Connection, view: &View) -> Result<bool, Error> {
    Ok(!known(db)?.get(view.name).is_some_and(|known| is_current(known, view)))
}

fn is_current(known: &Known, view: &View) -> bool {
    known.version == i64::from(view.version) && known.definition == definition(view)
}

/// Builds what is new or changed (or listed in `again`) from the log, drops what is no longer registered, and
/// tells which table stands behind each name from now on.
pub(crate) fn prepare(db: &mut Connection, views: &[View], again: &[String]) -> Result<Names, OpenError> {
    let sql = |e: Error| OpenError::View { view: "(all)".to_owned(), what: e.to_string() };
    let known = known(db).map_err(sql)?;
    let mut generations: Vec<(&View, u64)> = Vec::new();
    let mut fresh: Vec<(&View, u64)> = Vec::new();
    for view in views {
        match known.get(view.name) {
            Some(k) if is_current(k, view) && !again.iter().any(|name| name == view.name) => {
                generations.push((view, k.generation));
            }
            before => {
                let generation = before.map_or(1, |k| k.generation + 1);
                generations.push((view, generation));
                fresh.push((view, generation));
            }
        }
    }
    let names = names(generations);
    if !fresh.is_empty() {
        build(db, &fresh, &known, &names)?;
    }
    for (name, gone) in known.iter().filter(|(name, _)| !views.iter().any(|view| view.name == **name)) {
        forget(db, name, gone).map_err(sql)?;
    }
    Ok(names)
}

fn forget(db: &mut Connection, name: &str, gone: &Known) -> Result<(), Error> {
    db.begin_write()?;
    drop_tables(db, gone)?;
    db.run_constant(schema::FORGET_VIEW, &[name.into()])?;
    db.commit()
}

fn drop_tables(db: &mut Connection, gone: &Known) -> Result<(), Error> {
    gone.tables.iter().try_for_each(|table| db.batch(&format!("DROP TABLE IF EXISTS {table}")))
}

/// Fills new tables in chunks. The last chunk and the switch to the new tables are one transaction, so that a
/// crash leaves either the old view or the new one.
fn build(
    db: &mut Connection,
    fresh: &[(&View, u64)],
    known: &BTreeMap<String, Known>,
    names: &Names,
) -> Result<(), OpenError> {
    let wrong = |view: &View, e: &dyn std::fmt::Display| OpenError::View {
        view: view.name.to_owned(),
        what: e.to_string(),
    };
    let first = fresh[0].0;
    let sql = |e: Error| wrong(first, &e);
    let before = db.names().clone();
    db.set_names(names.clone());
    db.begin_write().map_err(sql)?;
    for (view, generation) in fresh {
        create_tables(db, view, *generation).map_err(|e| wrong(view, &e))?;
    }
    let mut after = 0;
    loop {
        let chunk = schema::read_log(db, after, REBUILD_CHUNK).map_err(|e| wrong(first, &e))?;
        for recorded in &chunk {
            for (view, _) in fresh {
                project_onto(db, view, recorded).map_err(|e| wrong(view, &e))?;
            }
        }
        after += chunk.len() as u64;
        if chunk.len() < REBUILD_CHUNK {
            break;
        }
        db.commit().and_then(|()| db.begin_write()).map_err(sql)?;
    }
    for (view, generation) in fresh {
        switch(db, view, *generation, known.get(view.name)).map_err(|e| wrong(view, &e))?;
    }
    db.commit().map_err(sql)?;
    db.set_names(before);
    Ok(())
}

fn switch(db: &mut Connection, view: &View, generation: u64, before: Option<&Known>) -> Result<(), Error> {
    if let Some(before) = before {
        drop_tables(db, before)?;
    }
    let tables: Vec<String> = view.tables.iter().map(|table| physical(table.name, generation)).collect();
    let args = [
        view.name.into(),
        view.version.into(),
        generation.into(),
        definition(view).into(),
        tables.join(" ").into(),
    ];
    db.run_constant(schema::SET_VIEW, &args).map(drop)
}

/// Runs what `view` makes of one event. A panic in the projection is an error here: it must not end whoever
/// builds the view.
pub(crate) fn project_onto(db: &mut Connection, view: &View, recorded: &Recorded) -> Result<(), Error> {
    let mut statements = Vec::new();
    let projected = catch_unwind(AssertUnwindSafe(|| (view.project)(recorded, &mut statements)));
    projected.map_err(|panic| Error::new(Kind::Statement, panic_text(&*panic)))?;
    statements.iter().try_for_each(|statement| db.execute(statement).map(drop))
}

/// What is published of an event, if anything.
pub(crate) fn published(publish: Option<Publish>, recorded: &Recorded) -> Option<crate::PublicEvent> {
    publish.and_then(|Publish(publish)| publish(recorded))
}
