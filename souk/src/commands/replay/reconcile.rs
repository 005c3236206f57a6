//! The file's own sums beside what the shop did, row by row.
use crate::output::thousands;
use crate::retail::{Outcome, Report, RetailFile, Sums};
use crate::verify::Facts;
use souk_kernel::{Currency, Money};
use souk_order::domain::order::Label;
use souk_order::invariants::{OrderFacts, facts as order_facts};
use souk_payment::domain::ledger::Account;
use std::collections::BTreeMap;

/// The reconciliation. The left column is counted straight from the file, by code of its own; the right one
/// is what the shop's logs say (and, for lines, what the replay read and handed in).
pub fn report(file: &RetailFile, sums: &Sums, facts: &Facts) -> Report {
    let prefix = format!("{}/", &file.hash[..32]);
    let ours: Vec<_> = facts
        .orders
        .values()
        .filter_map(order_facts)
        .filter(|order| order.external_ref.starts_with(&prefix))
        .collect();
    let report = lines(Report::new(), file, sums, facts, &prefix);
    let report = orders(report, sums, &ours, facts);
    stock(report, sums, facts)
}

fn lines(report: Report, file: &RetailFile, sums: &Sums, facts: &Facts, prefix: &str) -> Report {
    let of = |outcome| thousands(file.outcomes.of(outcome));
    let ordered: usize = facts
        .orders
        .values()
        .filter_map(|order| order.placed())
        .filter(|placed| placed.external_ref.starts_with(prefix))
        .map(|placed| placed.lines.len())
        .sum();
    report
        .section("lines of the file")
        .row("read", thousands(sums.lines), thousands(file.lines_read))
        .row("sold", thousands(sums.sold), thousands(ordered as u64))
        .row("cancellations", thousands(sums.cancellations), of(Outcome::Cancellation))
        .row("adjustments", thousands(sums.adjustments), of(Outcome::Adjustment))
        .row("quantity not positive", thousands(sums.quantity_not_positive), of(Outcome::QuantityNotPositive))
        .row("price zero", thousands(sums.price_zero), of(Outcome::PriceZero))
        .row("fraction of a penny", thousands(sums.fraction_of_a_penny), of(Outcome::FractionOfAPenny))
}

fn orders(report: Report, sums: &Sums, ours: &[OrderFacts], facts: &Facts) -> Report {
    let confirmed: Vec<_> = ours.iter().filter(|order| order.label == Label::Confirmed).collect();
    let revenue: i64 = confirmed.iter().map(|order| order.total.minor_units()).sum();
    let gbp = Currency::parse("GBP").expect("a known code");
    let account = |account| facts.ledger.get(&(account, gbp)).copied().unwrap_or(0);
    let pounds = |minor: i64| Money::new(minor, gbp).to_string();
    report
        .section("orders and money")
        .row("orders confirmed", thousands(sums.orders), thousands(confirmed.len() as u64))
        .row("orders that ended otherwise", "0".to_owned(), (ours.len() - confirmed.len()).to_string())
        .row("revenue of the orders", pounds(sums.revenue_minor), pounds(revenue))
        .row("ledger: revenue credited", pounds(sums.revenue_minor), pounds(-account(Account::Revenue)))
        .row(
            "ledger: owed by the provider",
            pounds(sums.revenue_minor),
            pounds(account(Account::ProviderClearing)),
        )
        .row("ledger: refunds", pounds(0), pounds(account(Account::Refunds)))
        .row(
            "provider: captured",
            pounds(sums.revenue_minor),
            pounds(facts.provider.iter().map(|their| their.captured_minor).sum()),
        )
}

fn stock(report: Report, sums: &Sums, facts: &Facts) -> Report {
    let mut on_hand: BTreeMap<String, u64> = BTreeMap::new();
    let mut reserved: BTreeMap<String, u64> = BTreeMap::new();
    for row in &facts.stock {
        *on_hand.entry(row.sku.to_string()).or_default() += row.on_hand.unsigned_abs();
        *reserved.entry(row.sku.to_string()).or_default() += row.reserved.unsigned_abs();
    }
    let total = |by_sku: &BTreeMap<String, u64>| thousands(by_sku.values().sum::<u64>());
    report
        .section("stock, SKU by SKU")
        .row("pieces on hand", total(&sums.quantity_by_sku), total(&on_hand))
        .row("pieces reserved", total(&sums.quantity_by_sku), total(&reserved))
        .map("on hand", &sums.quantity_by_sku, &on_hand)
        .map("reserved", &sums.quantity_by_sku, &reserved)
}
