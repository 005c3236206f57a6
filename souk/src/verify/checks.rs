//! The invariants across services, each with its number, its count and the ids that break it.
use super::rest::REACTIONS;
use super::{Facts, money, parcels, returns, sales};
use crate::output;
use serde::Serialize;
use souk_cart::invariants as carts;
use souk_catalog::invariants as catalog;
use souk_contracts::terms::OrderId;
use souk_inventory::invariants as stock;
use souk_notification::invariants as notifications;
use souk_order::domain::order::Label;
use souk_order::invariants as orders;
use std::collections::BTreeSet;

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
    [sides(facts), machinery(facts), sale(facts)].concat()
}

/// What an order's participants say of each other: stock, money, parcels.
fn sides(facts: &Facts) -> Vec<Finding> {
    let (orders, payments) = (facts.orders.len(), facts.payments.len());
    let both = |first: Vec<String>, second: Vec<String>| first.into_iter().chain(second).collect();
    vec![
        finding(
            "V1",
            "the provider's and the carrier's books equal ours, payment by payment and label by label",
            facts.provider.len() + facts.carrier.len(),
            both(money::provider(facts), parcels::carrier(facts)),
        ),
        finding(
            "V2",
            "what is sold has one committed reservation of its lines, and its money is promised",
            orders,
            both(sales::confirmed(facts), money::promised(facts)),
        ),
        finding(
            "V3",
            "what came to nothing, or is paid for, holds no stock, no money and no parcels beyond that",
            orders,
            came_to_nothing(facts),
        ),
        finding(
            "V4",
            "every reservation, promise of money and fulfilment belongs to an order",
            facts.reservations.len() + payments + facts.fulfilments.len(),
            orphans(facts),
        ),
        finding("V5", "stock is never negative and equals its ledgers", facts.stock.len(), shelves(facts)),
        finding("V6", "the ledger balances and ties to the orders", payments, money::ledger(facts)),
    ]
}

/// Whether stores, feeds and sagas do what they are there for.
fn machinery(facts: &Facts) -> Vec<Finding> {
    vec![
        finding(
            "V7",
            "every store's log is whole and every read model equals its replay",
            crate::settings::ROLES.len(),
            stores(facts),
        ),
        finding(
            "V8",
            "every published event is applied once by everybody who follows, none is parked",
            facts.published.values().map(std::collections::BTreeMap::len).sum(),
            feeds(facts),
        ),
        finding(
            "V9",
            "every saga has ended, goes on, waits for a time, or has called a person",
            facts.orders.len() + facts.errands.len(),
            sales::sagas(facts),
        ),
        told(facts),
    ]
}

/// What a customer was promised, and what services say of their own things.
fn sale(facts: &Facts) -> Vec<Finding> {
    let orders = facts.orders.len();
    vec![
        finding(
            "V11",
            "a coupon counts while a live order uses it, and never beyond its limits",
            facts.redemptions.len() + orders,
            sales::coupons(facts),
        ),
        finding(
            "V12",
            "no e-mail address and no canary stands in clear in a store or log",
            facts.leaks.files,
            facts.leaks.found.iter().cloned().collect(),
        ),
        finding(
            "V13",
            "one order per quote and external reference, one payment per order",
            facts.quotes.len(),
            sales::once(facts),
        ),
        finding(
            "V14",
            "every order sells what its quote promised, at the catalog's prices less promised discounts",
            orders + facts.quotes.len(),
            sales::priced(facts),
        ),
        finding(
            "I-SH",
            "parcels go their way once, with what was ordered, where it was quoted, and orders know",
            facts.shipments.len(),
            parcels::sound(facts),
        ),
        finding(
            "I-RT",
            "no more comes back than arrived, nor goes back than was taken; an exchange is worth what it replaces",
            facts.returns.len(),
            returns::fit(facts),
        ),
        finding(
            "I-CT, I-CA",
            "a cart converts or merges once, with all it has; a SKU has one product and one price at a time",
            facts.carts.len() + facts.prices.len(),
            shelves_and_carts(facts),
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

fn came_to_nothing(facts: &Facts) -> Vec<String> {
    let ended = sales::with_label(facts, &[Label::Rejected, Label::Cancelled]);
    let by_hand: BTreeSet<OrderId> = facts.settled_by_hand().collect();
    let wrong = ended.filter(|(id, _)| !by_hand.contains(id)).filter_map(|(id, _)| {
        let (held, kept) = (sales::still_held(facts, id), money::kept_of(facts, id));
        let parcels = parcels::still_in_house(facts, id);
        let is_over = held == 0 && kept == 0 && parcels == 0;
        (!is_over)
            .then(|| format!("{id}: {held} pieces, {kept} minor units and {parcels} parcels are still held"))
    });
    wrong.chain(money::rest_promised(facts)).collect()
}

fn orphans(facts: &Facts) -> Vec<String> {
    let sent_again = sales::sent_again(facts);
    let stock = facts.reservations.iter().filter(|(id, (reservation, _))| {
        let has_order =
            id.parse().is_ok_and(|id: OrderId| facts.orders.contains_key(&id) || sent_again.contains(&id));
        sales::held(reservation) > 0 && !has_order
    });
    let stock = stock.map(|(id, _)| format!("reservation {id} has no order"));
    stock.chain(money::orphans(facts)).chain(parcels::orphans(facts)).collect()
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
    let is_known = |name: &&String| REACTIONS.iter().any(|known| known.reaction == name.as_str());
    let unknown = facts.applied.keys().filter(|name| !is_known(name));
    broken.extend(unknown.map(|name| format!("{name}: a reaction that these checks do not know")));
    let all_applied = facts.rest.feed_behind == 0 && facts.rest.parked == 0;
    let nothing = super::facts::Numbers::new();
    for follows in REACTIONS {
        let published = facts.published.get(follows.source).unwrap_or(&nothing);
        let applied = facts.applied.get(follows.reaction).unwrap_or(&nothing);
        for (stream, number) in applied {
            let there = published.get(stream).copied().unwrap_or(0);
            if *number > there {
                let reaction = follows.reaction;
                broken.push(format!("{stream}: {reaction} applied {number} events of {there} published"));
            }
        }
        let missing = published.iter().filter(|(stream, number)| applied.get(*stream) < Some(*number));
        if all_applied {
            let told = |(stream, number): (&String, &u64)| {
                format!("{stream}: {} has not applied all {number} published events", follows.reaction)
            };
            broken.extend(missing.map(told));
        }
    }
    broken
}

/// What carts and catalog say of themselves.
fn shelves_and_carts(facts: &Facts) -> Vec<String> {
    let mut broken = Vec::new();
    broken.extend(carts::converted_once(facts.carts.values().map(Vec::as_slice)).err());
    broken.extend(carts::merged_once(facts.carts.values().map(Vec::as_slice)).err());
    broken.extend(facts.carts.iter().filter_map(|(id, events)| {
        carts::no_addition_twice(events).err().map(|what| format!("{id}: {what}"))
    }));
    broken.extend(facts.prices.values().filter_map(|events| catalog::one_price_at_a_time(events).err()));
    broken.extend(facts.prices.values().filter_map(|events| catalog::no_negative_price(events).err()));
    broken.extend(catalog::skus_are_never_reused(facts.products.iter().map(AsRef::as_ref)).err());
    broken
}
