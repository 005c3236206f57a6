//! The invariants across services, each with its number, its count and the ids that break it.
use super::Facts;
use crate::output;
use serde::Serialize;
use souk_cart::invariants as carts;
use souk_catalog::invariants as catalog;
use souk_contracts::terms::{OrderId, PaymentId, Sku};
use souk_inventory::domain::{Phase, Reservation};
use souk_inventory::invariants as stock;
use souk_kernel::TypeId;
use souk_notification::invariants as notifications;
use souk_order::domain::order::{Label, Order};
use souk_order::invariants as orders;
use souk_payment::domain::{Payment, ledger::Account};
use souk_payment::invariants as payments;
use std::collections::{BTreeMap, BTreeSet};

/// How many offending ids of a finding are shown.
pub const IDS_MAX: usize = 20;

/// One check and what breaks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its number, for example `V2`.
    pub check: &'static str,
    /// What must hold.
    pub rule: &'static str,
    /// How many things it was asked of.
    pub asked: usize,
    /// How many break it.
    pub count: usize,
    /// These, each with what is wrong. All of them: whether the same are found again is asked of each.
    pub ids: Vec<String>,
}

impl Finding {
    /// The first ids, as many as are shown.
    pub fn shown(&self) -> &[String] {
        &self.ids[..self.ids.len().min(IDS_MAX)]
    }
}

/// Every check, whether it finds something or not, in order.
pub fn check(facts: &Facts) -> Vec<Finding> {
    vec![
        finding(
            "V1",
            "the provider's books equal ours, payment by payment",
            facts.provider.len(),
            provider(facts),
        ),
        finding(
            "V2",
            "a confirmed order has one committed reservation of its lines",
            facts.orders.len(),
            confirmed(facts),
        ),
        finding(
            "V3",
            "an order that came to nothing holds no stock and no money",
            facts.orders.len(),
            came_to_nothing(facts),
        ),
        finding(
            "V4",
            "every reservation and every promise of money belongs to an order",
            facts.reservations.len() + facts.payments.len(),
            orphans(facts),
        ),
        finding("V5", "stock is never negative and equals its ledgers", facts.stock.len(), shelves(facts)),
        finding("V6", "the ledger balances and ties to the orders", facts.payments.len(), ledger(facts)),
        finding(
            "V7",
            "every store's log is whole and every read model equals its replay",
            crate::settings::ROLES.len(),
            stores(facts),
        ),
        finding(
            "V8",
            "every published event is applied once, none is parked",
            facts.orders_published.len(),
            feeds(facts),
        ),
        finding(
            "V9",
            "every saga has ended, goes on, or has called a person",
            facts.orders.len(),
            sagas(facts),
        ),
        told(facts),
        finding(
            "I-CT, I-CA",
            "a cart converts once; a SKU has one product and one price at a time",
            facts.carts.len() + facts.prices.len(),
            shelves_and_carts(facts),
        ),
        finding(
            "V13",
            "one order per quote, one quote per external reference",
            facts.quotes.len(),
            once(facts),
        ),
        finding(
            "V14",
            "every order sells what its quote promised, at its prices",
            facts.orders.len(),
            promised(facts),
        ),
    ]
}

fn finding(check: &'static str, rule: &'static str, asked: usize, broken: Vec<String>) -> Finding {
    Finding { check, rule, asked, count: broken.len(), ids: broken }
}

fn told(facts: &Facts) -> Finding {
    let inboxes = facts.inboxes.iter().flat_map(|(person, events)| {
        let checks = [notifications::gap_free(events), notifications::told_once(events)];
        checks.into_iter().filter_map(Result::err).map(move |why| format!("{person}: {why}"))
    });
    let deliveries = facts.deliveries.iter().filter_map(|(id, events)| {
        notifications::attempts_in_order(events).err().map(|why| format!("{id}: {why}"))
    });
    let rule = "everybody is told once and without gaps; every delivery is tried in order";
    let asked = facts.inboxes.len() + facts.deliveries.len();
    finding("V10", rule, asked, inboxes.chain(deliveries).collect())
}

/// The findings as a table, the offending ids below it.
pub fn render(findings: &[Finding]) -> String {
    let verdict = |finding: &Finding| {
        if finding.count == 0 { "holds".to_owned() } else { format!("{} broken", finding.count) }
    };
    let rows: Vec<_> =
        findings.iter().map(|f| vec![f.check.to_owned(), verdict(f), f.rule.to_owned()]).collect();
    let mut text = output::table(&["check", "verdict", "what must hold"], &rows);
    for finding in findings.iter().filter(|finding| finding.count > 0) {
        for id in finding.shown() {
            text.push_str(&format!("  {} {id}\n", finding.check));
        }
        if finding.count > IDS_MAX {
            text.push_str(&format!("  {} … and {} more\n", finding.check, finding.count - IDS_MAX));
        }
    }
    text
}

fn provider(facts: &Facts) -> Vec<String> {
    let ours: Vec<_> =
        facts.payments.iter().filter_map(|(id, (payment, _))| payments::Ours::of(*id, payment)).collect();
    payments::differences(&ours, &facts.provider).into_iter().map(|broken| broken.what).collect()
}

/// The reservation of an order.
fn reservation(facts: &Facts, order: OrderId) -> Option<&Reservation> {
    facts.reservations.get(&order.to_string()).map(|(reservation, _)| reservation)
}

/// The payment of an order: its id is made of the order's.
fn payment(facts: &Facts, order: OrderId) -> Option<&Payment> {
    facts.payments.get(&PaymentId::from_uuid(order.uuid())).map(|(payment, _)| payment)
}

fn pieces(reservation: &Reservation) -> BTreeMap<Sku, u64> {
    let mut pieces = BTreeMap::new();
    for line in reservation.open_lines() {
        *pieces.entry(line.sku.clone()).or_insert(0) += u64::from(line.quantity.get());
    }
    pieces
}

fn with_label<'a>(facts: &'a Facts, wanted: &'a [Label]) -> impl Iterator<Item = (OrderId, &'a Order)> {
    facts.orders.iter().filter(|(_, order)| wanted.contains(&order.label())).map(|(id, order)| (*id, order))
}

fn confirmed(facts: &Facts) -> Vec<String> {
    let confirmed = with_label(facts, &[Label::Confirmed]);
    let wrong = confirmed.filter_map(|(id, order)| {
        let Some(reservation) = reservation(facts, id) else {
            return Some(format!("{id} has no reservation"));
        };
        let known = orders::facts(order)?;
        // While a return is being booked, its pieces are still there or not any more.
        let (wanted, is_moving) = (known.pieces, known.return_open);
        // An order that came back as a whole has given back all it had.
        let is_as_it_must_be = match reservation.phase() {
            Phase::Committed(_) => true,
            Phase::Released(_) => is_moving || wanted.is_empty(),
            Phase::Unknown
            | Phase::Held(_)
            | Phase::Expired(_)
            | Phase::Lapsed { .. }
            | Phase::Refused { .. } => false,
        };
        let promised = payment(facts, id).map_or(0, |payment| payment.authorized_minor());
        let total = orders::facts(order)?.total.minor_units();
        match (is_as_it_must_be, is_moving || pieces(reservation) == wanted, promised >= total) {
            (false, _, _) => Some(format!("{id}: its reservation is {:?}", reservation.phase())),
            (true, false, _) => Some(format!("{id}: its reservation holds other lines")),
            (true, true, false) => Some(format!("{id}: {promised} promised of {total}")),
            (true, true, true) => None,
        }
    });
    wrong.collect()
}

fn came_to_nothing(facts: &Facts) -> Vec<String> {
    let ended = with_label(facts, &[Label::Rejected, Label::Cancelled]);
    let by_hand: BTreeSet<OrderId> = facts.settled_by_hand().collect();
    let wrong = ended.filter(|(id, _)| !by_hand.contains(id)).filter_map(|(id, _)| {
        let held: u64 = reservation(facts, id).map_or(0, |reservation| pieces(reservation).values().sum());
        let kept = payment(facts, id).map_or(0, kept);
        (held > 0 || kept != 0).then(|| format!("{id}: {held} pieces and {kept} minor units are still held"))
    });
    wrong.collect()
}

/// What is promised or taken and not given back.
fn kept(payment: &Payment) -> i64 {
    payment.captured_minor() - payment.refunded_minor() + payment.left_minor()
}

fn orphans(facts: &Facts) -> Vec<String> {
    let holds = |reservation: &Reservation| !reservation.open_lines().is_empty();
    let stock = facts.reservations.iter().filter(|(id, (reservation, _))| {
        holds(reservation) && id.parse().map_or(true, |id: OrderId| !facts.orders.contains_key(&id))
    });
    let money = facts.payments.iter().filter(|(id, (payment, _))| {
        kept(payment) != 0 && !facts.orders.contains_key(&OrderId::from_uuid(id.uuid()))
    });
    let stock = stock.map(|(id, _)| format!("reservation {id} has no order"));
    stock.chain(money.map(|(id, _)| format!("{id} has no order"))).collect()
}

fn shelves(facts: &Facts) -> Vec<String> {
    let mut broken = stock::within_bounds(&facts.stock);
    broken.extend(stock::on_hand_is_moved(&facts.stock, &facts.movements));
    let reservations = || facts.reservations.values().map(|(reservation, _)| reservation);
    let named = || facts.reservations.keys().map(String::as_str).zip(reservations());
    broken.extend(stock::reserved_is_held(&facts.stock, reservations()));
    broken.extend(stock::missing_is_open(&facts.stock, facts.counts.values()));
    broken.extend(stock::quarantined_is_moved(&facts.stock, &facts.movements));
    broken.extend(stock::queue_is_waiting(&facts.queue, named()));
    broken.extend(stock::back_is_shipped(named()));
    for (id, (_, history)) in &facts.reservations {
        broken.extend(stock::is_legal(id, history.iter().map(AsRef::as_ref)));
    }
    broken.iter().map(ToString::to_string).collect()
}

fn ledger(facts: &Facts) -> Vec<String> {
    let mut broken = Vec::new();
    for (id, (payment, history)) in &facts.payments {
        broken.extend(
            payments::check(payment, history).err().map(|b| format!("{id}: {} {}", b.invariant, b.what)),
        );
    }
    let mut by_currency = BTreeMap::new();
    for ((account, currency), minor) in &facts.ledger {
        let (sum, clearing) = by_currency.entry(*currency).or_insert((0, 0));
        *sum += minor;
        *clearing += if *account == Account::ProviderClearing { *minor } else { 0 };
    }
    for (currency, (sum, clearing)) in by_currency {
        let of_payments = facts
            .payments
            .values()
            .filter(|(payment, _)| payment.request().is_some_and(|r| r.amount.currency() == currency));
        let owed = |payment: &Payment| {
            payment.captured_minor() - payment.refunded_minor() - payment.disputed_minor()
        };
        let net: i64 = of_payments.map(|(payment, _)| owed(payment)).sum();
        if sum != 0 || clearing != net {
            broken.push(format!(
                "{currency}: the accounts add up to {sum}, clearing is {clearing}, payments say {net}"
            ));
        }
    }
    broken
}

fn stores(facts: &Facts) -> Vec<String> {
    let in_stores = facts
        .stores
        .iter()
        .map(|(service, finding)| format!("{service} {} {}: {}", finding.check, finding.id, finding.what));
    let totals = facts.orders.iter().filter(|(_, order)| !orders::total_is_sum_of_lines(order));
    in_stores.chain(totals.map(|(id, _)| format!("{id}: its total is not the sum of its lines"))).collect()
}

/// Waiting is no violation while the shop runs; being parked is, and so is a mark that says more than was
/// published, or less when nothing waits.
fn feeds(facts: &Facts) -> Vec<String> {
    let mut broken = Vec::new();
    if facts.rest.parked > 0 {
        broken.push(format!("{} events are parked (see them with: souk parked)", facts.rest.parked));
    }
    let all_applied = facts.rest.feed_behind == 0 && facts.rest.parked == 0;
    for (stream, applied) in &facts.orders_applied {
        let published = facts.orders_published.get(stream).copied().unwrap_or(0);
        if *applied > published {
            broken.push(format!("{stream}: {applied} events applied of {published} published"));
        }
    }
    let missing = facts.orders_published.keys().filter(|stream| !facts.orders_applied.contains_key(*stream));
    if all_applied {
        broken.extend(missing.map(|stream| format!("{stream}: published and never applied")));
    }
    broken
}

/// What carts and catalog say of themselves.
fn shelves_and_carts(facts: &Facts) -> Vec<String> {
    let mut broken = Vec::new();
    broken.extend(carts::converted_once(facts.carts.values().map(Vec::as_slice)).err());
    broken.extend(facts.carts.iter().filter_map(|(id, events)| {
        carts::no_addition_twice(events).err().map(|what| format!("{id}: {what}"))
    }));
    broken.extend(facts.prices.values().filter_map(|events| catalog::one_price_at_a_time(events).err()));
    broken.extend(facts.prices.values().filter_map(|events| catalog::no_negative_price(events).err()));
    broken.extend(catalog::skus_are_never_reused(facts.products.iter().map(AsRef::as_ref)).err());
    broken
}

fn sagas(facts: &Facts) -> Vec<String> {
    let all = facts.orders.iter().filter_map(|(id, order)| Some((id, orders::facts(order)?)));
    all.filter(|(_, facts)| !orders::saga_fits_status(facts))
        .map(|(id, facts)| format!("{id} is {:?}", facts.label))
        .collect()
}

fn once(facts: &Facts) -> Vec<String> {
    let known: Vec<_> = facts.orders.values().filter_map(orders::facts).collect();
    let quotes =
        orders::quotes_with_two_orders(known.iter()).into_iter().map(|id| format!("{id} has two orders"));
    let mut refs: BTreeMap<&str, usize> = BTreeMap::new();
    for order in known.iter().filter(|order| !order.external_ref.is_empty()) {
        *refs.entry(&order.external_ref).or_default() += 1;
    }
    let refs = refs
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(name, count)| format!("{name} has {count} orders"));
    quotes.chain(refs).collect()
}

fn promised(facts: &Facts) -> Vec<String> {
    let placed = facts.orders.iter().filter_map(|(id, order)| Some((id, order.placed()?)));
    let wrong = placed.filter(|(_, placed)| {
        let quote = facts.quotes.get(&placed.quote_id).and_then(|quote| quote.offer());
        quote.is_none_or(|quote| quote.lines != placed.lines || quote.total != placed.total)
    });
    wrong.map(|(id, _)| format!("{id} sells something else than its quote")).collect()
}
