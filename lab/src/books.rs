//! What the shop and the payment provider say, read from their stores, as far as the customers care.
use souk::failure::Failure;
use souk::verify::Facts;
use souk_contracts::terms::{OrderId, PaymentId};
use souk_kernel::TypeId;
use souk_order::domain::order::{Label, Order, Payment};
use souk_order::invariants as orders;
use souk_payment::domain::ledger::Account;
use std::collections::BTreeMap;
use std::path::Path;

/// The shop and the outside world at one moment, at rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    pub orders: Vec<Sold>,
    pub shelves: BTreeMap<String, Shelf>,
    /// What the provider says of each order's money.
    pub money: BTreeMap<String, Taken>,
    /// By currency: the sum of all accounts, and what the clearing account says that the provider owes.
    pub ledger: BTreeMap<String, (i64, i64)>,
    /// Every mail that the mail server took, as often as it took it.
    pub mails: Vec<Mail>,
}

/// One mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// By which a receiver knows that it has it already.
    pub id: String,
    pub to: String,
    pub subject: String,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sold {
    pub order_id: String,
    pub quote_id: String,
    pub state: State,
    pub total_minor: i64,
    /// What its parcels that are paid for cost less what its returns were given back, of an order that is paid
    /// parcel by parcel.
    pub parcels_minor: Option<i64>,
    pub pieces: BTreeMap<String, u64>,
}

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has said what becomes of it.
    Open,
    /// It holds, and is not all paid.
    Holds,
    /// It holds, and all of it was taken.
    Paid,
    /// It came to nothing.
    Nothing,
}

/// All places of one SKU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shelf {
    pub on_hand: i64,
    pub reserved: i64,
}

/// One order's money at the provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Promises that are open.
    pub promised_minor: i64,
    pub captured_minor: i64,
    pub refunded_minor: i64,
    /// Authorisations that were not given up.
    pub live: u32,
}

impl Books {
    /// The books of the shop under `data`, whose mail server kept its mails in `mails`.
    pub fn of(data: &Path, mails: &Path) -> Result<(Books, Facts), Failure> {
        let facts = Facts::gather(data)?;
        let orders = facts.orders.values().filter_map(sold).collect();
        let mut books = Books { orders, mails: sent(mails), ..Books::default() };
        for row in &facts.stock {
            let shelf = books.shelves.entry(row.sku.to_string()).or_default();
            shelf.on_hand += row.on_hand;
            shelf.reserved += row.reserved;
        }
        for theirs in &facts.provider {
            let taken = books.money.entry(order_of(&theirs.authorization_key)).or_default();
            if !theirs.voided && theirs.authorized_minor > 0 {
                taken.live += 1;
                taken.promised_minor += theirs.authorized_minor - theirs.captured_minor;
            }
            taken.captured_minor += theirs.captured_minor;
            taken.refunded_minor += theirs.refunded_minor;
        }
        for ((account, currency), minor) in &facts.ledger {
            let (sum, clearing) = books.ledger.entry(currency.to_string()).or_default();
            *sum += minor;
            *clearing += if *account == Account::ProviderClearing { *minor } else { 0 };
        }
        Ok((books, facts))
    }
}

fn sent(mails: &Path) -> Vec<Mail> {
    // No file, no mails.
    let file = std::fs::read_to_string(mails).unwrap_or_default();
    let value = |mail: &str, name| souk_mail::header(mail, name).to_owned();
    let one = |mail: &String| Mail {
        id: value(mail, "Message-ID"),
        to: value(mail, "To"),
        subject: value(mail, "Subject"),
    };
    souk_mail::mails_in(&file).iter().map(one).collect()
}

fn sold(order: &Order) -> Option<Sold> {
    let facts = orders::facts(order)?;
    let came_to_nothing = matches!(facts.label, Label::Rejected | Label::Cancelled);
    let is_paid = matches!(facts.payment, Payment::Captured);
    let state = match (facts.label.is_settled(), came_to_nothing, is_paid) {
        (false, _, _) => State::Open,
        (true, true, _) => State::Nothing,
        (true, false, true) => State::Paid,
        (true, false, false) => State::Holds,
    };
    let pieces = facts.pieces.iter().map(|(sku, pieces)| (sku.to_string(), *pieces)).collect();
    Some(Sold {
        order_id: facts.order_id.to_string(),
        quote_id: facts.quote_id.to_string(),
        state,
        total_minor: facts.total.minor_units(),
        parcels_minor: facts.ships.then_some(facts.captured_minor - facts.refunded_minor),
        pieces,
    })
}

/// An authorisation's key begins with the payment's id, and that is made of the order's. Of a key that we did
/// not make, the key itself.
fn order_of(key: &str) -> String {
    let payment = key.split(':').next().and_then(|id| id.parse::<PaymentId>().ok());
    payment.map_or_else(|| key.to_owned(), |id| OrderId::from_uuid(id.uuid()).to_string())
}
