//! Where databases differ, one function each.

/// The type of a key that is a counter of ours. SQLite makes `INTEGER PRIMARY KEY` the place of the row
/// itself, so that the log needs no second tree to find a position; `BIGINT` would build one.
pub const COUNTER_KEY: &str = "INTEGER PRIMARY KEY";

/// The end of a table whose key is not a counter. SQLite then keeps the rows in the key's own tree: one
/// insert instead of two.
pub const KEYED: &str = " WITHOUT ROWID";

/// The portable column definition `BIGINT PRIMARY KEY` as this database wants it (see [`COUNTER_KEY`]).
pub fn table(ddl: &str) -> String {
    ddl.replace("BIGINT PRIMARY KEY", COUNTER_KEY)
}

/// All tables of the file; for tools that compare or list. Internal ones are left out.
pub const TABLES: &str =
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";

/// The columns of the table `$1`, in order.
pub const COLUMNS: &str = "SELECT name FROM pragma_table_info($1) ORDER BY cid";

/// A complete check of the file; one row `ok` when nothing is wrong.
pub const INTEGRITY: &str = "PRAGMA integrity_check(20)";
