//! The file's own sums beside what the shop did, row by row.
use crate::output::thousands;
use crate::retail::{Back, Outcome, Plan, Report, RetailFile, Sums};
use crate::verify::Facts;
use souk_kernel::{Currency, Money};
use souk_order::domain::order::Label;
use souk_order::domain::returns::{Begun, End, Phase};
use souk_order::invariants::{OrderFacts, facts as order_facts};
use souk_payment::domain::ledger::Account;
use std::collections::BTreeMap;

/// The reconciliation. The left column is counted straight from the file, by code of its own; the right one
/// is what the shop's logs say (and, for lines, what the replay read and handed in).
pub fn report(file: &RetailFile, plan: &Plan, sums: &Sums, facts: &Facts) -> Report {
    let prefix = format!("{}/", &file.hash[..32]);
    let ours: Vec<_> = facts
        .orders
        .values()
        .filter_map(order_facts)
        .filter(|order| order.external_ref.starts_with(&prefix))
        .collect();
    let report = lines(Report::new(), file, sums, facts, &prefix);
    let back = TakenBack::of(facts, &prefix);
    let report = returns(report, plan, &sums.back, &back);
    let report = orders(report, sums, &ours, &back, facts);
    stock(report, sums, facts)
}

/// What the shop's log says that came back of this file, all of it refunded.
#[derive(Default)]
struct TakenBack {
    pieces_by_sku: BTreeMap<String, u64>,
    /// By cancellation and invoice.
    refund_by_return: BTreeMap<String, i64>,
}

impl TakenBack {
    fn of(facts: &Facts, prefix: &str) -> TakenBack {
        let mut back = TakenBack::default();
        for one in facts.returns.values() {
            let Some(Begun::Recorded(recorded)) = one.begun() else { continue };
            let Some(name) = recorded.external_ref.strip_prefix(prefix) else { continue };
            let Phase::Resolved(End::Refunded { refund }) = one.phase() else { continue };
            back.refund_by_return.insert(name.to_owned(), refund.minor_units());
            for found in recorded.settlement.found.iter() {
                *back.pieces_by_sku.entry(found.sku.to_string()).or_default() +=
                    u64::from(found.quantity.get());
            }
        }
        back
    }

    fn refunds_minor(&self) -> i64 {
        self.refund_by_return.values().sum()
    }
}

fn returns(report: Report, plan: &Plan, sums: &Back, back: &TakenBack) -> Report {
    let pieces = |by_sku: &BTreeMap<String, u64>| thousands(by_sku.values().sum::<u64>());
    let count = |refunds: &BTreeMap<String, i64>| thousands(refunds.len() as u64);
    report
        .section("cancellations")
        .row("lines matched", thousands(sums.matched), thousands(plan.matched))
        .row("lines partly matched", thousands(sums.partly), thousands(plan.partly))
        .row("lines unmatched", thousands(sums.unmatched), thousands(plan.unmatched))
        .row("lines at another price than paid", thousands(sums.price_differs), thousands(plan.price_differs))
        .row("pieces unmatched", thousands(sums.pieces_unmatched), thousands(plan.pieces_unmatched))
        .row("pieces returned", pieces(&sums.pieces_by_sku), pieces(&back.pieces_by_sku))
        .row("returns refunded", count(&sums.refund_by_return), count(&back.refund_by_return))
        .map("returned", &sums.pieces_by_sku, &back.pieces_by_sku)
        .map("pennies refunded", &sums.refund_by_return, &back.refund_by_return)
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

fn orders(report: Report, sums: &Sums, ours: &[OrderFacts], back: &TakenBack, facts: &Facts) -> Report {
    let confirmed: Vec<_> = ours.iter().filter(|order| order.label == Label::Confirmed).collect();
    let revenue: i64 = confirmed.iter().map(|order| order.total.minor_units()).sum();
    let gbp = Currency::parse("GBP").expect("a known code");
    let account = |account| facts.ledger.get(&(account, gbp)).copied().unwrap_or(0);
    let pounds = |minor: i64| Money::new(minor, gbp).to_string();
    let refunds = sums.back.refunds_minor();
    let net = sums.revenue_minor - refunds;
    let ledger_net = -account(Account::Revenue) - account(Account::Refunds);
    report
        .section("orders and money")
        .row("orders confirmed", thousands(sums.orders), thousands(confirmed.len() as u64))
        .row("orders that ended otherwise", "0".to_owned(), (ours.len() - confirmed.len()).to_string())
        .row("revenue of the orders", pounds(sums.revenue_minor), pounds(revenue))
        .row("refunds of the returns", pounds(refunds), pounds(back.refunds_minor()))
        .row("net revenue", pounds(net), pounds(revenue - back.refunds_minor()))
        .row("ledger: revenue credited", pounds(sums.revenue_minor), pounds(-account(Account::Revenue)))
        .row("ledger: refunds", pounds(refunds), pounds(account(Account::Refunds)))
        .row("ledger: net revenue", pounds(net), pounds(ledger_net))
        .row("ledger: owed by the provider", pounds(net), pounds(account(Account::ProviderClearing)))
        .row(
            "provider: captured",
            pounds(sums.revenue_minor),
            pounds(facts.provider.iter().map(|their| their.captured_minor).sum()),
        )
        .row(
            "provider: refunded",
            pounds(refunds),
            pounds(facts.provider.iter().map(|their| their.refunded_minor).sum()),
        )
}

/// What came back never left the house: it is on hand as before, and no longer reserved.
fn stock(report: Report, sums: &Sums, facts: &Facts) -> Report {
    let mut on_hand: BTreeMap<String, u64> = BTreeMap::new();
    let mut reserved: BTreeMap<String, u64> = BTreeMap::new();
    for row in &facts.stock {
        *on_hand.entry(row.sku.to_string()).or_default() += row.on_hand.unsigned_abs();
        *reserved.entry(row.sku.to_string()).or_default() += row.reserved.unsigned_abs();
    }
    let kept = sums.quantity_by_sku.iter().map(|(sku, sold)| {
        let returned = sums.back.pieces_by_sku.get(sku).copied().unwrap_or(0);
        (sku.clone(), sold.saturating_sub(returned))
    });
    let kept: BTreeMap<String, u64> = kept.collect();
    let total = |by_sku: &BTreeMap<String, u64>| thousands(by_sku.values().sum::<u64>());
    report
        .section("stock, SKU by SKU")
        .row("pieces on hand", total(&sums.quantity_by_sku), total(&on_hand))
        .row("pieces reserved", total(&kept), total(&reserved))
        .map("on hand", &sums.quantity_by_sku, &on_hand)
        .map("reserved", &kept, &reserved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retail;

    #[test]
    fn what_did_not_come_back_is_a_difference_in_pieces_and_in_pennies() {
        let text = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
             1,A,A,5,2010-12-01 08:00:00,1.10,7.0,X\nC2,A,A,-3,2010-12-02 08:00:00,1.20,7.0,X\n";
        let path = std::path::Path::new("inline.csv");
        let file = retail::read_from(text.as_bytes(), path).expect("is fine");
        let sums = retail::sum_from(text.as_bytes(), path).expect("sums up");
        let plan = Plan::of(&file);
        let differing = |back: &TakenBack| -> Vec<String> {
            let report = returns(Report::new(), &plan, &sums.back, back);
            let rows = report.differences().into_iter();
            rows.map(|(_, row)| format!("{}: {}/{}", row.what, row.from_file, row.from_shop)).collect()
        };
        assert_eq!(
            differing(&TakenBack::default()),
            [
                "pieces returned: 3/0",
                "returns refunded: 1/0",
                "returned, kinds: 1/0",
                "returned of A: 3/none",
                "pennies refunded, kinds: 1/0",
                "pennies refunded of C2/1: 330/none",
            ]
        );
        let mut back = TakenBack::default();
        back.pieces_by_sku.insert("A".to_owned(), 3);
        back.refund_by_return.insert("C2/1".to_owned(), 330);
        assert_eq!(differing(&back), Vec::<String>::new(), "at the price that was paid, not the one stated");
        back.refund_by_return.insert("C2/1".to_owned(), 360);
        assert_eq!(differing(&back).len(), 2);
    }
}
