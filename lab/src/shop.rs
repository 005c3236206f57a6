//! One shop in a folder, with the customers' journal beside it, over all the lives of its process.
use crate::books::Books;
use crate::buyers;
use crate::checks::{self, Violation};
use crate::journal::{self, Entry, Journal};
use crate::matrix::CELLS_PER_SHOP;
use crate::notes::Notes;
use serde_json::{Value, json};
use souk::child::{self, Program, Start};
use souk::commands::token;
use souk::failure::{Failure, exit};
use souk::rest::Rest;
use souk::verify;
use souk_telemetry::crash;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::Child;

/// How long a shop may take to come to rest.
const REST_WITHIN: Duration = Duration::from_secs(120);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often a process is started that ends by itself, and the wait before the next.
const STARTS_MAX: u32 = 5;
const PAUSE: Duration = Duration::from_millis(300);
/// How long the first answer after a start may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// No run takes longer.
const TOKEN_TTL: Duration = Duration::from_secs(7 * 86_400);
/// What the shop sells plenty of, and the price of everything.
pub const PLENTY: &str = "LAMP";
const PENCE: i64 = 1_250;
/// How many SKUs there are of which there is one piece.
const LASTS: usize = CELLS_PER_SHOP + 15;
/// A coupon that takes something off, as often as anybody wants.
pub const COUPON: &str = "LAB10";
/// What is shortened, so that a whole life of an order fits into a cell.
const SETTINGS: [(&str, &str); 2] = [("SOUK_ORDER__UNDO_WINDOW", "200ms"), ("SOUK_CARRIER__PACE", "50ms")];
/// Where the shop's mail goes.
const MAILS: &str = "mails";
const RELAY: &str = "SOUK_NOTIFICATION__SMTP";
/// How much of it there is.
const PLENTY_PIECES: u64 = 100_000;

/// A shop and what is known of it.
pub struct Shop {
    pub program: Program,
    data: PathBuf,
    folder: PathBuf,
    /// What the customers know.
    pub journal: Arc<Journal>,
    sales: String,
    admin: String,
    /// Where mail goes; it lives as long as the shop, and does not die with its processes.
    relay: String,
}

/// How a life of the process begins.
pub enum Life<'a> {
    /// Nothing is done to it.
    Quiet,
    /// It aborts at the passage that this names.
    Armed(&'a str),
}

impl Shop {
    /// Opens a shop in `folder`, which must be empty, and fills its shelves.
    pub async fn open(binary: &Path, folder: &Path) -> Result<Shop, Failure> {
        let (data, notes) = (folder.join("data"), folder.join("notes"));
        for new in [&data, &notes] {
            std::fs::create_dir_all(new).map_err(|e| Failure::io(new.display(), e))?;
        }
        let program = Program::at(binary, &data)?;
        let path = folder.join("journal.jsonl");
        let journal = Journal::open(&path).map_err(|e| Failure::io(path.display(), e))?;
        let journal = Arc::new(journal);
        let relay = format!("smtp://{}", souk_mail::Sink::open(folder.join(MAILS)).await.address);
        let folder = folder.to_owned();
        let (sales, admin) = (String::new(), String::new());
        let mut shop = Shop { program, data, folder, journal, sales, admin, relay };
        let (mut child, _) = shop.comes_up().await?;
        let token = |role| token::staff(&shop.data, role, TOKEN_TTL);
        (shop.sales, shop.admin) = (token(souk_user::Role::Sales)?, token(souk_user::Role::Admin)?);
        shop.fill().await?;
        shop.end(&mut child).await?;
        Ok(shop)
    }

    /// Starts a life of the process.
    pub fn start(&self, life: &Life<'_>) -> Result<Child, Failure> {
        let notes = self.folder.join("notes").display().to_string();
        let mut environment = self.settings();
        environment.push((crash::LOG, notes.as_str()));
        match life {
            Life::Quiet => {}
            Life::Armed(point) => environment.push((crash::CRASH, point)),
        }
        self.program.spawn(&environment)
    }

    /// Starts a life of the process under another program, which kills it.
    pub fn start_under(&self, killer: Vec<String>) -> Result<Child, Failure> {
        self.program.clone().under(killer).spawn(&self.settings())
    }

    fn settings(&self) -> Vec<(&str, &str)> {
        SETTINGS.into_iter().chain([(RELAY, self.relay.as_str())]).collect()
    }

    /// A caller without a token.
    pub fn nobody(&self) -> Rest {
        Rest::new(&self.program.url(), None)
    }

    /// Somebody from sales.
    pub fn sales(&self) -> Rest {
        self.nobody().with_token(&self.sales)
    }

    /// Somebody from staff who may do everything.
    pub fn admin(&self) -> Rest {
        self.nobody().with_token(&self.admin)
    }

    /// Starts a life in which nothing is done to it, and waits until it has answered a request; how long that
    /// took. One that ends by itself is started again a few times: its port may be somebody else's for a moment.
    pub async fn comes_up(&self) -> Result<(Child, Duration), Failure> {
        for _ in 0..STARTS_MAX {
            let begun = Instant::now();
            let mut child = self.start(&Life::Quiet)?;
            if self.answers(&mut child, begun).await? {
                return Ok((child, begun.elapsed()));
            }
            tokio::time::sleep(PAUSE).await;
        }
        let message = format!("the shop ends at its start; see server.log in {}", self.data.display());
        Err(Failure::new(exit::UNAVAILABLE, message))
    }

    /// Whether the process answers before it ends.
    async fn answers(&self, child: &mut Child, begun: Instant) -> Result<bool, Failure> {
        if let Start::Ended(_) = self.program.ready(child).await? {
            return Ok(false);
        }
        while begun.elapsed() < ANSWER_WITHIN {
            if self.nobody().get("/api/v1/products?pageSize=1").await.is_ok() {
                return Ok(true);
            }
            if child.try_wait().map_err(|e| Failure::io("the shop cannot be waited for", e))?.is_some() {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(Failure::new(exit::UNAVAILABLE, "the shop does not answer"))
    }

    /// What is for sale: plenty of one SKU, and one piece each of many.
    async fn fill(&self) -> Result<(), Failure> {
        let skus: Vec<_> = (0..LASTS).map(last).chain([PLENTY.to_owned()]).collect();
        let price = json!([{"market": "GB", "amount": pounds(PENCE)}]);
        let variants: Vec<_> =
            skus.iter().map(|sku| json!({"sku": sku, "optionValues": [sku], "prices": price})).collect();
        let product =
            json!({"title": "Everything", "published": true, "options": ["Which"], "variants": variants});
        let pieces = |sku: &str| if sku == PLENTY { PLENTY_PIECES } else { 1 };
        let mut lines = Vec::new();
        for sku in &skus {
            self.note(&Entry::Supplied { sku: sku.clone(), quantity: pieces(sku) })?;
            lines.push(json!({"sku": sku, "quantity": pieces(sku).to_string()}));
        }
        let receipt = json!({"receiptId": "opening", "location": "main", "lines": lines});
        let sales = self.sales();
        souk::rest::patiently(|| sales.put("/api/v1/products/everything", &product)).await?;
        souk::rest::patiently(|| sales.post("/api/v1/stock:receive", &receipt)).await?;
        let coupon = json!({
            "promotionId": "lab", "name": "For the laboratory", "code": COUPON,
            "benefit": {"percentageBp": 1_000}, "limitTotal": 1_000_000,
        });
        souk::rest::patiently(|| sales.post("/api/v1/promotions", &coupon)).await?;
        Ok(())
    }

    /// Notes what customers know.
    pub fn note(&self, entry: &Entry) -> Result<(), Failure> {
        self.journal.note(entry).map_err(|e| Failure::io("the journal", e))
    }

    /// Notes that a quote for one piece is about to be accepted.
    pub fn note_place(&self, key: &str, quote: &Value) -> Result<(), Failure> {
        self.note(&Entry::Sent { key: key.to_owned(), act: buyers::accepting(quote, PLENTY, 1) })
    }

    /// Notes that it was.
    pub fn note_done(&self, key: &str, order: &Value) -> Result<(), Failure> {
        self.note(&buyers::done(key.to_owned(), order))
    }

    /// The folder of the stores.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Waits until nothing is on its way; how long that took.
    pub async fn rests(&self) -> Result<Duration, Failure> {
        let begun = Instant::now();
        loop {
            let rest = verify::Rest::look(&self.data)?;
            if rest.is_quiet() {
                return Ok(begun.elapsed());
            }
            if begun.elapsed() > REST_WITHIN || rest.is_for_a_person() {
                let message = format!("the shop does not come to rest: {rest}");
                return Err(Failure::new(exit::DIFFERENCES, message));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Everything that is wrong with the shop, which is at rest: what `souk verify` finds, and what the
    /// customers' journal disagrees with.
    pub fn violations(&self) -> Result<Vec<Violation>, Failure> {
        let path = self.folder.join("journal.jsonl");
        let journal = journal::read(&path).map_err(|e| Failure::io(path.display(), e))?;
        let (books, facts) = Books::of(&self.data, &self.folder.join(MAILS))?;
        let mut violations = checks::check(&journal, &books);
        for finding in verify::check(&facts) {
            let check = finding.check;
            violations.extend(finding.ids.into_iter().map(|what| Violation { invariant: check, what }));
        }
        Ok(violations)
    }

    /// What its processes have noted so far.
    pub fn notes(&self) -> Result<Notes, Failure> {
        Notes::read(&self.folder.join("notes")).map_err(|e| Failure::io("the notes", e))
    }

    /// What this process has noted so far.
    pub fn notes_of(&self, child: &Child) -> Result<Notes, Failure> {
        let id = child.id().unwrap_or_default();
        Notes::of_process(&self.folder.join("notes"), id).map_err(|e| Failure::io("the notes", e))
    }

    /// Kills the process. There is no other end here: a clean one is tried elsewhere.
    pub async fn end(&self, child: &mut Child) -> Result<(), Failure> {
        child::kill(&self.program, child).await
    }
}

/// The SKU of a last piece.
pub fn last(number: usize) -> String {
    format!("LAST-{number}")
}

/// An amount as the API writes it.
pub fn pounds(minor: i64) -> Value {
    json!({"minorUnits": minor.to_string(), "currency": "GBP"})
}

/// A delivery under an id of its own, so that saying it twice is fine.
pub fn delivery(sku: &str, quantity: u64) -> Value {
    json!({
        "receiptId": format!("opening-{}", sku.to_lowercase()), "location": "main",
        "lines": [{"sku": sku, "quantity": quantity.to_string()}],
    })
}
