//! What every store says, folded from its log by its service's own rules.
use super::rest::{self, Rest, unreadable};
use crate::failure::{Failure, exit};
use crate::{settings, shop};
use souk_cart::domain::{Cart, CartEvent};
use souk_catalog::domain::{PriceEvent, PriceList, Product};
use souk_contracts::terms::{CartId, OrderId, PaymentId, QuoteId, ReturnId};
use souk_decider::{Aggregate, Record, RecordEvent};
use souk_eventstore::Recorded;
use souk_eventstore::audit::{self, Audit};
use souk_inventory::domain::{Count, Reservation, ReservationEvent, Waiting};
use souk_inventory::invariants::{Movement, StockRow};
use souk_kernel::{Currency, TypeId};
use souk_notification::domain::{Delivery, DeliveryEvent, Inbox, InboxEvent};
use souk_order::domain::order::Order;
use souk_order::domain::quote::Quote;
use souk_order::domain::returns::Return;
use souk_payment::domain::ledger::{Account, Transaction};
use souk_payment::domain::{Payment, PaymentEvent};
use souk_payment::invariants::Theirs;
use souk_provider::truth::Books;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Everything that the checks look at, at about one moment.
#[derive(Default)]
pub struct Facts {
    /// Every order.
    pub orders: BTreeMap<OrderId, Order>,
    /// Every quote.
    pub quotes: BTreeMap<QuoteId, Quote>,
    /// Every return.
    pub returns: BTreeMap<ReturnId, Return>,
    /// Every reservation by the order's id, with its history.
    pub reservations: BTreeMap<String, (Reservation, Vec<Arc<ReservationEvent>>)>,
    /// Every shelf as the view has it.
    pub stock: Vec<StockRow>,
    /// Everything that came or went.
    pub movements: Vec<Movement>,
    /// Every count of a shelf by its id.
    pub counts: BTreeMap<String, Count>,
    /// Who waits for stock.
    pub queue: Vec<Waiting>,
    /// Every payment with its history.
    pub payments: BTreeMap<PaymentId, (Payment, Vec<PaymentEvent>)>,
    /// What the events of payments post, summed by account and currency.
    pub ledger: BTreeMap<(Account, Currency), i64>,
    /// What the provider says.
    pub provider: Vec<Theirs>,
    /// How far the published events of each of the order service's streams are numbered.
    pub orders_published: BTreeMap<String, u64>,
    /// How far the cart's reaction has applied each of these streams.
    pub orders_applied: BTreeMap<String, u64>,
    /// The history of every cart.
    pub carts: BTreeMap<CartId, Vec<CartEvent>>,
    /// The prices of every SKU, in order.
    pub prices: BTreeMap<String, Vec<PriceEvent>>,
    /// What happened to products, in order.
    pub products: Vec<Arc<RecordEvent<Product>>>,
    /// What everybody was told, in order, by person.
    pub inboxes: BTreeMap<String, Vec<InboxEvent>>,
    /// What was sent outside, in order, by delivery.
    pub deliveries: BTreeMap<String, Vec<DeliveryEvent>>,
    /// What is wrong within single stores.
    pub stores: Vec<(&'static str, audit::Finding)>,
    /// What is on its way.
    pub rest: Rest,
}

/// A part of the facts, from one store.
type Part = Box<dyn FnOnce(&mut Facts) + Send>;
/// Reads a part from a store as it was when it was opened.
type Reader = fn(&Audit) -> Result<Part, Failure>;

/// The stores in the order in which they are opened. The provider is the last: its books may be ahead of ours
/// for a moment, never behind.
const READERS: [(&str, Reader); 7] = [
    ("order", orders),
    ("cart", carts),
    ("catalog", catalog),
    ("inventory", inventory),
    ("payment", payments),
    ("notification", notifications),
    ("provider", provider),
];

impl Facts {
    /// Reads every store under `data`, side by side. All are opened before any is read: the moments at which
    /// they are seen lie closer together than it takes to read one.
    pub fn gather(data: &Path) -> Result<Facts, Failure> {
        for (role, _) in settings::ROLES {
            if !rest::path(data, role).exists() {
                let message =
                    format!("{} has no store of {role}; is this a shop's data folder?", data.display());
                return Err(Failure::new(exit::UNAVAILABLE, message));
            }
        }
        let opened = READERS.iter().map(|(role, read)| Ok((rest::open(data, role)?, *read)));
        let opened = opened.collect::<Result<Vec<_>, Failure>>()?;
        let parts: Vec<Result<Part, Failure>> = std::thread::scope(|scope| {
            let stores = scope.spawn(|| stores(data));
            let reading = opened.into_iter().map(|(audit, read)| scope.spawn(move || read(&audit)));
            let reading: Vec<_> = reading.chain([stores]).collect();
            reading.into_iter().map(|one| one.join().unwrap_or_else(|_| Err(unknown_event()))).collect()
        });
        let mut facts = Facts { rest: Rest::look(data)?, ..Facts::default() };
        for part in parts {
            part?(&mut facts);
        }
        Ok(facts)
    }
}

impl Facts {
    /// The orders at whose sagas a person has settled something: where their stock and money are is for that
    /// person's books.
    pub fn settled_by_hand(&self) -> impl Iterator<Item = OrderId> {
        let known = self.orders.values().filter_map(souk_order::invariants::facts);
        known.filter(|facts| facts.by_hand).map(|facts| facts.order_id)
    }
}

/// A store written by a later release, or damaged: the message of the panic says which event.
fn unknown_event() -> Failure {
    Failure::new(exit::UNAVAILABLE, "a store holds an event that this release cannot read")
}

/// Folds an event into the state of its stream, if it is of this kind.
fn fold<A: Aggregate, K: Ord>(states: &mut BTreeMap<K, A>, key: Option<K>, recorded: &Recorded) {
    if let (Some(event), Some(key)) = (recorded.of::<A>(), key) {
        states.entry(key).or_default().evolve(&event);
    }
}

/// The typed id in a stream's name.
fn id<T: TypeId + std::str::FromStr>(recorded: &Recorded) -> Option<T> {
    recorded.stream.id().parse().ok()
}

fn orders(audit: &Audit) -> Result<Part, Failure> {
    let (mut orders, mut quotes) = (BTreeMap::<OrderId, Order>::new(), BTreeMap::<QuoteId, Quote>::new());
    let mut returns = BTreeMap::<ReturnId, Return>::new();
    let mut published = BTreeMap::new();
    let read = audit.for_each(|recorded| {
        fold(&mut orders, id(recorded), recorded);
        fold(&mut quotes, id(recorded), recorded);
        fold(&mut returns, id(recorded), recorded);
        if let Some(number) = recorded.public_seq {
            published.insert(recorded.stream.as_str().to_owned(), number);
        }
    });
    read.map_err(unreadable)?;
    Ok(Box::new(move |facts| {
        (facts.orders, facts.quotes, facts.orders_published) = (orders, quotes, published);
        facts.returns = returns;
    }))
}

fn carts(audit: &Audit) -> Result<Part, Failure> {
    let mut carts = BTreeMap::<CartId, Vec<CartEvent>>::new();
    let read = audit.for_each(|recorded| {
        if let (Some(event), Some(id)) = (recorded.of::<Cart>(), id(recorded)) {
            carts.entry(id).or_default().push(event.as_ref().clone());
        }
    });
    read.map_err(unreadable)?;
    let marks = audit.inbox().map_err(unreadable)?;
    let applied = marks.into_iter().map(|mark| (mark.stream.to_string(), mark.sequence)).collect();
    Ok(Box::new(move |facts| (facts.carts, facts.orders_applied) = (carts, applied)))
}

fn catalog(audit: &Audit) -> Result<Part, Failure> {
    let mut prices = BTreeMap::<String, Vec<PriceEvent>>::new();
    let mut products = Vec::new();
    let read = audit.for_each(|recorded| {
        products.extend(recorded.of::<Record<Product>>());
        if let Some(event) = recorded.of::<PriceList>() {
            prices.entry(recorded.stream.id().to_owned()).or_default().push(event.as_ref().clone());
        }
    });
    read.map_err(unreadable)?;
    Ok(Box::new(move |facts| (facts.prices, facts.products) = (prices, products)))
}

fn inventory(audit: &Audit) -> Result<Part, Failure> {
    let mut reservations = BTreeMap::<String, (Reservation, Vec<Arc<ReservationEvent>>)>::new();
    let (mut movements, mut counts) = (Vec::new(), BTreeMap::<String, Count>::new());
    let read = audit.for_each(|recorded| {
        fold(&mut counts, Some(recorded.stream.id().to_owned()), recorded);
        movements.extend(souk_inventory::views::movements_of(recorded));
        if let Some(event) = recorded.of::<Reservation>() {
            let (state, history) = reservations.entry(recorded.stream.id().to_owned()).or_default();
            state.evolve(&event);
            history.push(event);
        }
    });
    read.map_err(unreadable)?;
    let mut stock: Vec<StockRow> = Vec::new();
    loop {
        let rows = audit.query(&souk_inventory::views::stock_behind(stock.last())).map_err(unreadable)?;
        if rows.is_empty() {
            break;
        }
        stock.extend(rows.iter().map(souk_inventory::views::stock_row));
    }
    let mut queue: Vec<Waiting> = Vec::new();
    loop {
        let rows = audit.query(&souk_inventory::views::queue_behind(queue.last())).map_err(unreadable)?;
        if rows.is_empty() {
            break;
        }
        queue.extend(rows.iter().map(souk_inventory::views::waiting_row));
    }
    Ok(Box::new(move |facts| {
        (facts.reservations, facts.movements, facts.stock) = (reservations, movements, stock);
        (facts.counts, facts.queue) = (counts, queue);
    }))
}

fn payments(audit: &Audit) -> Result<Part, Failure> {
    let mut payments = BTreeMap::<PaymentId, (Payment, Vec<PaymentEvent>)>::new();
    let mut ledger = BTreeMap::<(Account, Currency), i64>::new();
    let read = audit.for_each(|recorded| {
        let (Some(event), Some(id)) = (recorded.of::<Payment>(), id(recorded)) else { return };
        if let Some(transaction) = Transaction::of(&event) {
            for posting in transaction.postings {
                *ledger.entry((posting.account, transaction.currency)).or_default() += posting.minor_units;
            }
        }
        let (state, history) = payments.entry(id).or_default();
        state.evolve(&event);
        history.push(event.as_ref().clone());
    });
    read.map_err(unreadable)?;
    Ok(Box::new(move |facts| (facts.payments, facts.ledger) = (payments, ledger)))
}

fn notifications(audit: &Audit) -> Result<Part, Failure> {
    let mut inboxes = BTreeMap::<String, Vec<InboxEvent>>::new();
    let mut deliveries = BTreeMap::<String, Vec<DeliveryEvent>>::new();
    let read = audit.for_each(|recorded| {
        let id = || recorded.stream.id().to_owned();
        if let Some(event) = recorded.of::<Inbox>() {
            inboxes.entry(id()).or_default().push(event.as_ref().clone());
        }
        if let Some(event) = recorded.of::<Delivery>() {
            deliveries.entry(id()).or_default().push(event.as_ref().clone());
        }
    });
    read.map_err(unreadable)?;
    Ok(Box::new(move |facts| (facts.inboxes, facts.deliveries) = (inboxes, deliveries)))
}

fn provider(audit: &Audit) -> Result<Part, Failure> {
    let mut books = Books::default();
    let mut failed = None;
    let read = audit.for_each(|recorded| failed = failed.take().or(books.take(recorded).err()));
    read.map_err(unreadable)?;
    if let Some(fault) = failed {
        return Err(unreadable(fault));
    }
    let theirs: Vec<_> = books
        .truths()
        .map(|truth| Theirs {
            authorization_key: truth.authorization_key,
            currency: truth.currency,
            authorized_minor: truth.authorized_minor,
            captured_minor: truth.captured_minor,
            refunded_minor: truth.refunded_minor,
            voided: truth.voided,
        })
        .collect();
    Ok(Box::new(move |facts| facts.provider = theirs))
}

/// Every store by itself: numbering, tables, and each view beside one that is built anew from the log.
fn stores(data: &Path) -> Result<Part, Failure> {
    let mut findings = Vec::new();
    for service in shop::services(&shop::Choices::default()) {
        let found = rest::open(data, service.name())?.findings(&service.views(), service.publish());
        findings.extend(found.map_err(unreadable)?.into_iter().map(|finding| (service.name(), finding)));
    }
    Ok(Box::new(move |facts| facts.stores = findings))
}
