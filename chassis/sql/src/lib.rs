//! SQL behind a small wall: values, statements, rows and connections, with every difference between
//! databases on this side of it. No other crate names a database library.
//!
//! Statements are written in a portable subset (`TEXT`, `BIGINT`, `$1`, `ON CONFLICT`, `RETURNING`).
//! A text is prepared once per connection; `{name}` stands for a table whose real name is known only at run
//! time, and is replaced once per text as well.
//!
//! ```
//! use souk_sql::{Connection, Names, Statement};
//! let mut db = Connection::memory(Names::from_pairs([("stock", "stock__1")])).expect("memory is there");
//! db.batch("CREATE TABLE {stock} (sku TEXT PRIMARY KEY, n BIGINT NOT NULL)").expect("valid SQL");
//! db.execute(&Statement::new("INSERT INTO {stock} (sku, n) VALUES ($1, $2)").arg("A").arg(7)).expect("written");
//! let rows = db.query(&Statement::new("SELECT n FROM {stock} WHERE sku = $1").arg("A")).expect("read");
//! assert_eq!(rows[0].get::<i64>(0), 7);
//! ```
#![warn(missing_docs)]

mod connection;
pub mod dialect;
mod error;
mod lock;
mod open;
mod text;
mod value;

pub use connection::{CheckpointOutcome, Connection};
pub use error::{Error, Kind};
pub use lock::StoreLock;
pub use open::{OpenError, OpenFor, Store};
pub use text::Names;
pub use value::{FromValue, Row, Statement, Value};
