//! The keys of people: what closes and opens their personal values.
//!
//! Every person has one key. It lies in a file of its own beside the store (`order.keys` beside `order.db`),
//! outside the log and the views, so that a copy of the log holds no keys and can be kept for years: whoever
//! destroys a person's key has erased the person from all copies at once.
use crate::options::{Location, Options};
use crate::{Fault, schema};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use souk_kernel::{Code, Entropy, Sealed};
use souk_sql::{Connection, Names, OpenFor};
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Keys that are kept in memory; beyond it the cache starts anew.
const CACHED_MAX: usize = 4_096;
/// A destroyed key is overwritten, not only forgotten.
const OVERWRITE: &str = "PRAGMA secure_delete = ON";
/// An empty secret says that the person was erased.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS keys (person TEXT PRIMARY KEY, secret TEXT NOT NULL)";
const FIND: &str = "SELECT secret FROM keys WHERE person = $1";
const MAKE: &str = "INSERT INTO keys (person, secret) VALUES ($1, $2) ON CONFLICT (person) DO NOTHING";
const DESTROY: &str = "INSERT INTO keys (person, secret) VALUES ($1, '')
     ON CONFLICT (person) DO UPDATE SET secret = ''";

/// Why a value could not be closed or opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealError {
    /// The person was erased: nothing about them is recorded any more.
    Erased,
    /// The bytes are not what was closed, or belong to another person or service.
    Tampered,
    /// The value inside is not of this type.
    Unreadable(String),
    /// The machinery failed.
    Fault(Fault),
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealError::Erased => f.write_str("the person was erased"),
            SealError::Tampered => f.write_str("a sealed value was changed, or is somebody else's"),
            SealError::Unreadable(what) => write!(f, "a sealed value is of another type: {what}"),
            SealError::Fault(fault) => write!(f, "{fault}"),
        }
    }
}

impl std::error::Error for SealError {}

impl From<Fault> for SealError {
    fn from(fault: Fault) -> Self {
        SealError::Fault(fault)
    }
}

impl From<SealError> for souk_kernel::Error {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Erased => souk_kernel::Error::new(
                Code::FailedPrecondition,
                "PERSON_ERASED",
                "the account was erased; nothing is recorded about it any more",
            ),
            SealError::Fault(fault) => fault.into(),
            SealError::Tampered | SealError::Unreadable(_) => souk_kernel::Error::internal(error),
        }
    }
}

/// Closes and opens the personal values of one service. Cheap to clone.
///
/// ```
/// # use souk_eventstore::*;
/// # use souk_kernel::{ManualClock, Timestamp};
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
/// # runtime.block_on(async {
/// # let clock = ManualClock::at(Timestamp::from_unix_s(1));
/// # let store = EventStore::open(Options::new("notes", Location::Memory(Faults::none()), clock)).expect("opens");
/// let keys = store.keys();
/// let sealed = keys.seal("cus_1", &"ada@example.com".to_owned()).await.expect("sealed");
/// assert!(!format!("{sealed:?}").contains("ada"));
/// assert_eq!(keys.open(&sealed).await.expect("opened").as_deref(), Some("ada@example.com"));
///
/// keys.destroy("cus_1").await.expect("destroyed");
/// assert_eq!(keys.open(&sealed).await, Ok(None));
/// # });
/// ```
#[derive(Clone)]
pub struct Keys {
    inner: Arc<Inner>,
}

struct Inner {
    service: String,
    place: Option<PathBuf>,
    entropy: Arc<dyn Entropy>,
    /// Jobs are done where they are asked for: the store has no threads.
    inline: bool,
    vault: Mutex<Vault>,
}

/// The thread is there from the first job on: most services have no personal values.
#[derive(Default)]
enum Vault {
    #[default]
    Unopened,
    Open(Sender<Job>, JoinHandle<()>),
    Inline(Box<Keeper>),
    Closed,
}

/// Does jobs. The file is opened for the first of them.
struct Keeper {
    place: Option<PathBuf>,
    db: Option<Connection>,
    cached: HashMap<Box<str>, Secret>,
}

type Secret = [u8; 32];
type Reply<T> = oneshot::Sender<Result<T, Fault>>;

enum Job {
    /// The person's key; made of `fresh` when there is none and the person was not erased.
    Take {
        person: Box<str>,
        fresh: Secret,
        reply: Reply<Option<Secret>>,
    },
    /// The person's key, if there is one.
    Find {
        person: Box<str>,
        reply: Reply<Option<Secret>>,
    },
    Destroy {
        person: Box<str>,
        reply: Reply<()>,
    },
}

impl Keys {
    /// The keys of a store with these options.
    pub(crate) fn new(options: &Options) -> Self {
        let place = match &options.location {
            Location::Sqlite(path) => Some(path.with_extension("keys")),
            Location::Memory(_) => None,
        };
        let (service, entropy) = (options.name.clone(), options.entropy.clone());
        let inner = Inner { service, place, entropy, inline: options.inline, vault: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Closes `value` with the key of `person`, an opaque subject. The key is durable before this answers, so
    /// an event that holds the sealed value never outlives it by accident.
    ///
    /// # Errors
    /// [`SealError::Erased`] when the person's key was destroyed, and faults of the machinery.
    pub async fn seal<T: Serialize>(&self, person: &str, value: &T) -> Result<Sealed<T>, SealError> {
        let mut bytes = serde_json::to_vec(value).map_err(|e| SealError::Unreadable(e.to_string()))?;
        let (mut fresh, mut nonce) = ([0; 32], [0; 12]);
        self.inner.entropy.fill(&mut fresh);
        self.inner.entropy.fill(&mut nonce);
        let person: Box<str> = person.into();
        let take = |reply| Job::Take { person: person.clone(), fresh, reply };
        let secret = self.ask(take).await?.ok_or(SealError::Erased)?;
        let aad = Aad::from(self.context(&person));
        let sealing =
            cipher(&secret).seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes);
        sealing.map_err(|_| SealError::Unreadable("it is too long".to_owned()))?;
        Ok(Sealed::from_parts(&person, nonce, bytes))
    }

    /// Opens a value; `None` when its person was erased.
    ///
    /// # Errors
    /// [`SealError::Tampered`] when it is not what was closed here for this person, and faults.
    pub async fn open<T: DeserializeOwned>(&self, sealed: &Sealed<T>) -> Result<Option<T>, SealError> {
        let person: Box<str> = sealed.person().into();
        let (nonce, mut bytes) = (sealed.nonce(), sealed.ciphertext().to_vec());
        let find = |reply| Job::Find { person: person.clone(), reply };
        let Some(secret) = self.ask(find).await? else { return Ok(None) };
        let aad = Aad::from(self.context(&person));
        let opened = cipher(&secret).open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut bytes);
        let plain = opened.map_err(|_| SealError::Tampered)?;
        let value = serde_json::from_slice(plain);
        // Where the mistake stands is told; what stands there is not.
        let place = |e: serde_json::Error| SealError::Unreadable(format!("column {}", e.column()));
        value.map(Some).map_err(place)
    }

    /// Destroys the key of `person`: what was closed with it stays closed for ever, here and in every copy, and
    /// nothing more is closed for them. Saying it twice is fine, and so is an unknown person.
    ///
    /// # Errors
    /// Faults of the machinery; then say it again.
    pub async fn destroy(&self, person: &str) -> Result<(), SealError> {
        let person: Box<str> = person.into();
        Ok(self.ask(|reply| Job::Destroy { person, reply }).await?)
    }

    /// Ends the thread and lets go of the file.
    pub(crate) fn close(&self) {
        let vault = std::mem::replace(&mut *self.inner.vault(), Vault::Closed);
        match vault {
            Vault::Open(jobs, thread) => {
                drop(jobs);
                let _ = thread.join();
            }
            Vault::Unopened | Vault::Inline(_) | Vault::Closed => {}
        }
    }

    /// What a value is bound to, besides its key: it cannot be moved to another service or person.
    fn context(&self, person: &str) -> String {
        format!("{}\0{person}", self.inner.service)
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        self.inner.send(job(reply))?;
        answer.await.unwrap_or(Err(Fault::Closed))
    }
}

impl Inner {
    fn vault(&self) -> MutexGuard<'_, Vault> {
        self.vault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, job: Job) -> Result<(), Fault> {
        let mut vault = self.vault();
        match &mut *vault {
            Vault::Open(jobs, _) => jobs.send(job).map_err(|_| Fault::Closed),
            Vault::Inline(keeper) => {
                keeper.does(job);
                Ok(())
            }
            Vault::Closed => Err(Fault::Closed),
            Vault::Unopened if self.inline => {
                let mut keeper = Box::new(Keeper::of(self.place.clone()));
                keeper.does(job);
                *vault = Vault::Inline(keeper);
                Ok(())
            }
            Vault::Unopened => {
                let (jobs, receiver) = channel();
                let keeper = Keeper::of(self.place.clone());
                let thread = std::thread::Builder::new().name(format!("keys-{}", self.service));
                let thread = thread.spawn(move || keeper.work(&receiver));
                let thread = thread.map_err(|e| Fault::Storage(e.to_string()))?;
                let sent = jobs.send(job).map_err(|_| Fault::Closed);
                *vault = Vault::Open(jobs, thread);
                sent
            }
        }
    }
}

fn cipher(secret: &Secret) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret).expect("a key has 32 bytes"))
}

impl Keeper {
    fn of(place: Option<PathBuf>) -> Self {
        Self { place, db: None, cached: HashMap::new() }
    }

    /// Answers jobs until nobody is left who could ask.
    fn work(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            self.does(job);
        }
    }

    /// Answers a job. A vault that cannot be opened is tried anew for the next.
    fn does(&mut self, job: Job) {
        if self.db.is_none() {
            match open(self.place.as_ref()) {
                Ok(db) => self.db = Some(db),
                Err(fault) => return job.fail(fault),
            }
        }
        if let Some(db) = &mut self.db {
            job.run(db, &mut self.cached);
        }
    }
}

fn open(place: Option<&PathBuf>) -> Result<Connection, Fault> {
    let mut db = match place {
        Some(path) => Connection::open(path, schema::STORE, OpenFor::Write, Names::none())
            .map_err(|e| Fault::Storage(e.to_string()))?,
        None => Connection::memory(Names::none())?,
    };
    db.batch(OVERWRITE)?;
    db.batch(TABLE)?;
    if let Some(path) = place {
        only_for_us(path).map_err(|e| Fault::Storage(e.to_string()))?;
    }
    Ok(db)
}

#[cfg(unix)]
fn only_for_us(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn only_for_us(_: &std::path::Path) -> std::io::Result<()> {
    Ok(())
}

impl Job {
    fn fail(self, fault: Fault) {
        match self {
            Job::Take { reply, .. } | Job::Find { reply, .. } => drop(reply.send(Err(fault))),
            Job::Destroy { reply, .. } => drop(reply.send(Err(fault))),
        }
    }

    fn run(self, db: &mut Connection, cached: &mut HashMap<Box<str>, Secret>) {
        match self {
            Job::Take { person, fresh, reply } => {
                let _ = reply.send(take(db, cached, person, &fresh));
            }
            Job::Find { person, reply } => {
                let _ = reply.send(find(db, cached, &person));
            }
            Job::Destroy { person, reply } => {
                cached.remove(&person);
                let _ = reply.send(destroy(db, &person));
            }
        }
    }
}

fn take(
    db: &mut Connection,
    cached: &mut HashMap<Box<str>, Secret>,
    person: Box<str>,
    fresh: &Secret,
) -> Result<Option<Secret>, Fault> {
    if let Some(secret) = cached.get(&person) {
        return Ok(Some(*secret));
    }
    db.run_constant(MAKE, &[person.as_ref().into(), text(fresh).into()])?;
    find(db, cached, &person)
}

fn find(
    db: &mut Connection,
    cached: &mut HashMap<Box<str>, Secret>,
    person: &str,
) -> Result<Option<Secret>, Fault> {
    if let Some(secret) = cached.get(person) {
        return Ok(Some(*secret));
    }
    let rows = db.rows_of(FIND, &[person.into()])?;
    let Some(stored) = rows.first().map(|row| row.text(0)).filter(|stored| !stored.is_empty()) else {
        return Ok(None);
    };
    let secret = secret(stored).ok_or_else(|| Fault::Broken("a key cannot be read".to_owned()))?;
    if cached.len() >= CACHED_MAX {
        cached.clear();
    }
    cached.insert(person.into(), secret);
    Ok(Some(secret))
}

/// What the write-ahead log still held of the key goes with it.
fn destroy(db: &mut Connection, person: &str) -> Result<(), Fault> {
    db.run_constant(DESTROY, &[person.into()])?;
    db.checkpoint_all()?;
    Ok(())
}

/// Keys are hexadecimal in the table: its columns are text.
fn text(secret: &Secret) -> String {
    secret.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn secret(text: &str) -> Option<Secret> {
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes?.try_into().ok()
}
