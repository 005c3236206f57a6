//! What the customers know: each call is noted before it is sent and after it was answered, and every note is
//! on the disk before anything else happens. The checkers read nothing else of the customers.
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// One note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Entry {
    /// So many of this SKU were handed to the shop, at most: an unanswered delivery counts.
    Supplied { sku: String, quantity: u64 },
    /// A keyed call is about to be sent. The same key is sent again after a call that had no answer.
    Sent { key: String, act: Act },
    /// It was done.
    Done { key: String, order_id: String, quote_id: String, total_minor: i64 },
    /// It was refused for good.
    Failed { key: String, status: u16, reason: String },
    /// Nobody knows: the connection broke, or the shop said that it cannot say. It counts as neither.
    Unknown { key: String, why: String },
    /// Whoever buys under this key has said where mail is to go.
    Reachable { key: String, email: String },
    /// A customer was told that so much of what an order cost is given back.
    Refunded { order_id: String, minor: i64 },
    /// Another body was sent under this key, and this was the status of the answer.
    OtherBody { key: String, status: u16 },
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Accepting a quote.
    Place { quote_id: String, sku: String, quantity: u64, total_minor: i64 },
    /// Calling an order off.
    Cancel { order_id: String },
    /// Calling pieces of it off, which changes what it costs.
    CancelPieces { order_id: String },
}

/// The file of the notes.
pub struct Journal(Mutex<File>);

impl Journal {
    /// Opens the journal at `path`, or goes on with it.
    pub fn open(path: &Path) -> io::Result<Journal> {
        Ok(Journal(Mutex::new(OpenOptions::new().create(true).append(true).open(path)?)))
    }

    /// Notes something; it is on the disk when this returns.
    pub fn note(&self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line)?;
        file.sync_data()
    }
}

/// Every note at `path`, in order.
pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let lines = BufReader::new(File::open(path)?).lines();
    lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}
