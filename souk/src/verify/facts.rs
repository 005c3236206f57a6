//! What every store says, folded from its log by its service's own rules.
use super::leaks::{self, Leaks, Watch};
use super::rest::{self, Rest, unreadable};
use crate::failure::{Failure, exit};
use crate::{settings, shop};
use souk_cart::domain::{Cart, CartEvent};
use souk_catalog::domain::promotion::{Promotion, PromotionEvent};
use souk_catalog::domain::redemption::{Redemption, RedemptionEvent};
use souk_catalog::domain::{PriceEvent, PriceList, Product};
use souk_contracts::terms::{CartId, OrderId, PaymentId, QuoteId, RateId, ReturnId};
use souk_decider::{Aggregate, Record, RecordEvent};
use souk_eventstore::Recorded;
use souk_eventstore::audit::{self, Audit};
use souk_inventory::domain::{Count, Reservation, ReservationEvent, Waiting};
use souk_inventory::invariants::{Movement, StockRow};
use souk_kernel::{Currency, TypeId};
use souk_notification::domain::{Delivery, DeliveryEvent, Inbox, InboxEvent};
use souk_order::domain::errand::Errand;
use souk_order::domain::order::{Order, OrderEvent};
use souk_order::domain::quote::Quote;
use souk_order::domain::returns::Return;
use souk_payment::domain::ledger::{Account, Transaction};
use souk_payment::domain::{Payment, PaymentEvent};
use souk_payment::invariants::Theirs;
use souk_provider::truth::Books;
use souk_shipping::domain::{Fulfilment, Rate, Shipment, ShipmentEvent};
use souk_shipping::invariants::Side;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Everything that the checks look at, at about one moment.
#[derive(Default)]
pub struct Facts {
    /// Every order.
    pub orders: BTreeMap<OrderId, Order>,
    /// The orders that were ever confirmed.
    pub confirmed: BTreeSet<OrderId>,
    /// What is done beside orders, by the errand's id.
    pub errands: BTreeMap<String, Errand>,
    /// The keys of the order service's timers.
    pub order_timers: BTreeSet<String>,
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
    /// Every fulfilment by its order.
    pub fulfilments: BTreeMap<OrderId, Fulfilment>,
    /// Every parcel by its stream's id, with its history.
    pub shipments: BTreeMap<String, (Shipment, Vec<Arc<ShipmentEvent>>)>,
    /// Every rate.
    pub rates: BTreeMap<RateId, Rate>,
    /// What the carrier says of every label, by its key.
    pub carrier: BTreeMap<String, Side>,
    /// How far the published events of each stream are numbered, by service.
    pub published: BTreeMap<&'static str, Numbers>,
    /// How far each reaction has applied each stream, by its name.
    pub applied: BTreeMap<String, Numbers>,
    /// The history of every cart.
    pub carts: BTreeMap<CartId, Vec<CartEvent>>,
    /// The prices of every SKU, in order.
    pub prices: BTreeMap<String, Vec<PriceEvent>>,
    /// What happened to products, in order.
    pub products: Vec<Arc<RecordEvent<Product>>>,
    /// What happened to promotions, in order.
    pub promotions: Vec<Arc<PromotionEvent>>,
    /// What happened to every order's coupons, in order.
    pub redemptions: BTreeMap<OrderId, Vec<Arc<RedemptionEvent>>>,
    /// What everybody was told, in order, by person.
    pub inboxes: BTreeMap<String, Vec<InboxEvent>>,
    /// What was sent outside, in order, by delivery.
    pub deliveries: BTreeMap<String, Vec<DeliveryEvent>>,
    /// What is wrong within single stores.
    pub stores: Vec<(&'static str, audit::Finding)>,
    /// What is on its way.
    pub rest: Rest,
    /// What stands in clear where it must not.
    pub leaks: Leaks,
}

/// A number for each stream.
pub type Numbers = BTreeMap<String, u64>;

/// A part of the facts, from one store.
type Part = Box<dyn FnOnce(&mut Facts) + Send>;
/// Reads a part from a store as it was when it was opened.
type Reader = fn(&Audit) -> Result<Part, Failure>;

/// The stores in the order in which they are opened. Provider and carrier are the last: their books may be ahead of
/// ours for a moment, never behind.
const READERS: [(&str, Reader); 9] = [
    ("order", orders),
    ("cart", carts),
    ("catalog", catalog),
    ("inventory", inventory),
    ("payment", payments),
    ("notification", notifications),
    ("shipping", shipping),
    ("provider", provider),
    ("carrier", carrier),
];

impl Facts {
    /// Reads every store under `data`, side by side. All are opened before any is read: the moments at which
    /// they are seen lie closer together than it takes to read one.
    pub fn gather(data: &Path) -> Result<Facts, Failure> {
        Self::gather_watching(data, &Watch::default())
    }

    /// The same, and looks for what must not stand anywhere.
    pub fn gather_watching(data: &Path, watch: &Watch) -> Result<Facts, Failure> {
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
        let (rest, leaks) = (Rest::look(data)?, leaks::look(data, watch)?);
        let mut facts = Facts { rest, leaks, ..Facts::default() };
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
        let orders = known.filter(|facts| facts.by_hand).map(|facts| facts.order_id);
        let errands = self.errands.values().filter(|errand| errand.saga().was_settled_by_hand());
        let errands = errands.filter_map(|errand| errand.opened().map(|opened| opened.order_id));
        orders.chain(errands).collect::<BTreeSet<_>>().into_iter()
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

/// Notes the number of a published event.
fn number(numbers: &mut Numbers, recorded: &Recorded) {
    if let Some(number) = recorded.public_seq {
        numbers.insert(recorded.stream.as_str().to_owned(), number);
    }
}

/// How far the reactions of this store have applied what they follow.
fn applied(audit: &Audit) -> Result<BTreeMap<String, Numbers>, Failure> {
    let mut applied = BTreeMap::<String, Numbers>::new();
    for mark in audit.inbox().map_err(unreadable)? {
        let numbers = applied.entry(mark.reaction.to_string()).or_default();
        numbers.insert(mark.stream.to_string(), mark.sequence);
    }
    Ok(applied)
}

fn orders(audit: &Audit) -> Result<Part, Failure> {
    let (mut orders, mut quotes) = (BTreeMap::<OrderId, Order>::new(), BTreeMap::<QuoteId, Quote>::new());
    let mut returns = BTreeMap::<ReturnId, Return>::new();
    let (mut errands, mut confirmed) = (BTreeMap::<String, Errand>::new(), BTreeSet::new());
    let mut published = Numbers::new();
    let read = audit.for_each(|recorded| {
        fold(&mut orders, id(recorded), recorded);
        fold(&mut quotes, id(recorded), recorded);
        fold(&mut returns, id(recorded), recorded);
        fold(&mut errands, Some(recorded.stream.id().to_owned()), recorded);
        if let Some(OrderEvent::OrderConfirmed(event)) = recorded.of::<Order>().as_deref() {
            confirmed.insert(event.order_id);
        }
        number(&mut published, recorded);
    });
    read.map_err(unreadable)?;
    let applied = applied(audit)?;
    let timers = audit.timers().map_err(unreadable)?.into_iter().map(|timer| timer.key.to_string()).collect();
    Ok(Box::new(move |facts| {
        (facts.orders, facts.quotes, facts.errands) = (orders, quotes, errands);
        (facts.confirmed, facts.order_timers) = (confirmed, timers);
        facts.published.insert(souk_order::NAME, published);
        facts.applied.extend(applied);
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
    let applied = applied(audit)?;
    Ok(Box::new(move |facts| {
        facts.carts = carts;
        facts.applied.extend(applied);
    }))
}

fn catalog(audit: &Audit) -> Result<Part, Failure> {
    let mut prices = BTreeMap::<String, Vec<PriceEvent>>::new();
    let mut redemptions = BTreeMap::<OrderId, Vec<Arc<RedemptionEvent>>>::new();
    let (mut products, mut promotions) = (Vec::new(), Vec::new());
    let read = audit.for_each(|recorded| {
        products.extend(recorded.of::<Record<Product>>());
        promotions.extend(recorded.of::<Promotion>());
        if let Some(event) = recorded.of::<PriceList>() {
            prices.entry(recorded.stream.id().to_owned()).or_default().push(event.as_ref().clone());
        }
        if let (Some(event), Some(order)) = (recorded.of::<Redemption>(), id(recorded)) {
            redemptions.entry(order).or_default().push(event);
        }
    });
    read.map_err(unreadable)?;
    Ok(Box::new(move |facts| {
        (facts.prices, facts.products) = (prices, products);
        (facts.promotions, facts.redemptions) = (promotions, redemptions);
    }))
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
    let mut published = Numbers::new();
    let read = audit.for_each(|recorded| {
        number(&mut published, recorded);
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
    Ok(Box::new(move |facts| {
        (facts.payments, facts.ledger) = (payments, ledger);
        facts.published.insert(souk_payment::NAME, published);
    }))
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
    let applied = applied(audit)?;
    Ok(Box::new(move |facts| {
        (facts.inboxes, facts.deliveries) = (inboxes, deliveries);
        facts.applied.extend(applied);
    }))
}

fn shipping(audit: &Audit) -> Result<Part, Failure> {
    let (mut fulfilments, mut rates) =
        (BTreeMap::<OrderId, Fulfilment>::new(), BTreeMap::<RateId, Rate>::new());
    let mut shipments = BTreeMap::<String, (Shipment, Vec<Arc<ShipmentEvent>>)>::new();
    let mut published = Numbers::new();
    let read = audit.for_each(|recorded| {
        fold(&mut fulfilments, id(recorded), recorded);
        fold(&mut rates, id(recorded), recorded);
        if let Some(event) = recorded.of::<Shipment>() {
            let (state, history) = shipments.entry(recorded.stream.id().to_owned()).or_default();
            state.evolve(&event);
            history.push(event);
        }
        number(&mut published, recorded);
    });
    read.map_err(unreadable)?;
    Ok(Box::new(move |facts| {
        (facts.fulfilments, facts.shipments, facts.rates) = (fulfilments, shipments, rates);
        facts.published.insert(souk_shipping::NAME, published);
    }))
}

fn carrier(audit: &Audit) -> Result<Part, Failure> {
    let books = souk_carrier::truth::Books::of_audit(audit).map_err(unreadable)?;
    let side = |truth: souk_carrier::truth::Truth| {
        let side = Side {
            tracking_code: truth.tracking_code,
            is_void: truth.is_void,
            is_collected: truth.is_collected,
        };
        (truth.key, side)
    };
    let carrier = books.truths().map(side).collect();
    Ok(Box::new(move |facts| facts.carrier = carrier))
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
