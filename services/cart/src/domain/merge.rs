//! How a guest's cart goes into a customer's: quantities of one SKU are added up to what a line may hold
//! (`sum_capped`); what is beyond is left out and said. Too many lines refuse the whole: nothing is lost.
use super::{Active, CART_FULL, Cart, CartEvent, CartMerged, CartOpened, Line, LinesMerged, MergedLine};
use super::{LINES_MAX, QUANTITY_MAX, changeable, moved};
use souk_contracts::terms::CartId;
use souk_kernel::Rejection;
use std::sync::Arc;

/// Take this guest's cart into the customer's; opens the customer's if there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Merge {
    /// The guest's cart.
    pub guest_cart: CartId,
    /// Whose it is.
    pub guest: Arc<str>,
    /// The customer's cart, or its id to be.
    pub cart_id: CartId,
    /// Who takes it.
    pub customer: Arc<str>,
}

/// What a merge makes of the two carts.
#[derive(Debug, Clone, PartialEq)]
pub struct Merging {
    /// How the guest's cart ends.
    pub merged: CartMerged,
    /// What happens to the customer's.
    pub events: Vec<CartEvent>,
}

/// Merges. The customer's cart keeps its market, its line numbers and the prices it knows; a new one takes the
/// guest's market.
///
/// # Errors
/// `CART_FULL`, or `CART_MOVED` to the one who must look again.
pub fn merge(guest: &Cart, customer: &Cart, merge: &Merge) -> Result<Merging, Rejection> {
    let from = changeable(guest)?;
    if *from.owner != *merge.guest {
        return Err(moved());
    }
    let mut events = Vec::new();
    let (known, next_line): (&[Line], u32) = match customer {
        Cart::Converted(_) | Cart::Merged(_) => return Err(moved()),
        Cart::Active(active) if *active.owner != *merge.customer => return Err(moved()),
        Cart::Active(active) => (&active.lines, active.next_line),
        Cart::Absent => {
            events.push(CartEvent::CartOpened(opened(from, merge)));
            (&[], 1)
        }
    };
    let lines = lines(from, known, next_line)?;
    events.push(CartEvent::LinesMerged(LinesMerged { from: from.id, lines }));
    let (owner, customer) = (Arc::clone(&merge.guest), Arc::clone(&merge.customer));
    Ok(Merging { merged: CartMerged { owner, customer, into: merge.cart_id }, events })
}

fn opened(from: &Active, merge: &Merge) -> CartOpened {
    CartOpened {
        cart_id: merge.cart_id,
        owner: Arc::clone(&merge.customer),
        market: from.market.clone(),
        lines: Vec::new(),
        next_line: 1,
        continues: None,
    }
}

/// Where each of the guest's lines goes.
fn lines(from: &Active, known: &[Line], next_line: u32) -> Result<Vec<MergedLine>, Rejection> {
    let is_new = |own: &&Line| known.iter().all(|line| line.sku != own.sku);
    let total = known.len() + from.lines.iter().filter(is_new).count();
    if total > LINES_MAX {
        let message = format!(
            "together the carts have {total} lines, and a cart can have {LINES_MAX}; \
             take some out of either and merge again"
        );
        return Err(Rejection::new(CART_FULL, message).with("lines_max", LINES_MAX).with("lines", total));
    }
    let mut numbers = next_line..;
    let merged = |own: &Line| {
        let same = known.iter().find(|line| line.sku == own.sku);
        let line = same.map(|line| line.line).or_else(|| numbers.next()).unwrap_or(u32::MAX);
        let room = QUANTITY_MAX.saturating_sub(same.map_or(0, |line| line.quantity));
        let quantity = own.quantity.min(room);
        let unit_price = same.map_or(own.unit_price, |line| line.unit_price);
        MergedLine { line, sku: own.sku.clone(), quantity, left_out: own.quantity - quantity, unit_price }
    };
    Ok(from.lines.iter().map(merged).collect())
}

#[cfg(test)]
mod tests {
    use super::super::{MarketChanged, QuantitySet, remove, set_quantity};
    use super::*;
    use crate::domain::{CART_MOVED, CartConverted};
    use crate::invariants;
    use souk_contracts::terms::{Market, OrderId, Sku};
    use souk_decider::{Aggregate, fold};
    use souk_kernel::{Currency, Money, TypeId, Uuid};

    fn cart_id(n: u8) -> CartId {
        CartId::from_uuid(Uuid::v7(1_800_000_000_000, [n; 10]))
    }

    fn pence(minor: i64) -> Money {
        Money::new(minor, Currency::parse("GBP").expect("known"))
    }

    fn sku(text: &str) -> Sku {
        Sku::try_new(text).expect("valid")
    }

    /// The events of a cart with these pieces, each at so many pence.
    fn with(n: u8, owner: &str, lines: &[(&str, u32, i64)]) -> Vec<CartEvent> {
        let line = |(number, (text, quantity, pennies)): (u32, &(&str, u32, i64))| Line {
            line: number,
            sku: sku(text),
            quantity: *quantity,
            unit_price: pence(*pennies),
        };
        vec![CartEvent::CartOpened(CartOpened {
            cart_id: cart_id(n),
            owner: owner.into(),
            market: Market::try_new("GB").expect("valid"),
            lines: (1..).zip(lines).map(line).collect(),
            next_line: u32::try_from(lines.len()).expect("few") + 1,
            continues: None,
        })]
    }

    fn wanted() -> Merge {
        Merge { guest_cart: cart_id(1), guest: "gst_1".into(), cart_id: cart_id(2), customer: "usr_1".into() }
    }

    /// Merges both histories, checks them, and gives the customer's.
    fn merged(mut guest: Vec<CartEvent>, mut customer: Vec<CartEvent>) -> (Vec<CartEvent>, Active) {
        let merging = merge(&fold(&guest), &fold(&customer), &wanted()).expect("they merge");
        guest.push(CartEvent::CartMerged(merging.merged));
        customer.extend(merging.events);
        assert_eq!(invariants::merged_once([&guest[..], &customer[..]]), Ok(()));
        let cart: Cart = fold(&customer);
        assert_eq!(invariants::quantities_are_sums(&customer, &cart), Ok(()));
        let active = cart.active().expect("open").clone();
        assert_eq!(invariants::within_bounds(&active), Ok(()));
        (customer, active)
    }

    fn shown(active: &Active) -> Vec<(u32, &str, u32, i64, u32)> {
        let line = |own: &Line| active.left_out(own.line);
        let lines = active.lines.iter();
        lines
            .map(|l| (l.line, l.sku.as_str(), l.quantity, l.unit_price.minor_units(), line(l)))
            .collect::<Vec<_>>()
    }

    #[test]
    fn same_skus_are_added_up_and_others_get_the_next_numbers() {
        let guest = with(1, "gst_1", &[("B", 2, 110), ("C", 1, 120), ("A", 4, 130), ("D", 5, 140)]);
        let customer = with(2, "usr_1", &[("A", 1, 100), ("B", 3, 200)]);
        let (_, active) = merged(guest, customer);
        let lines = [(1, "A", 5, 100, 0), (2, "B", 5, 200, 0), (3, "C", 1, 120, 0), (4, "D", 5, 140, 0)];
        assert_eq!(shown(&active), lines);
    }

    #[test]
    fn a_customer_without_a_cart_gets_one_where_the_guest_was() {
        let mut guest = with(1, "gst_1", &[("A", 2, 100)]);
        let market = Market::try_new("DE").expect("valid");
        guest.push(CartEvent::MarketChanged(MarketChanged { market: market.clone() }));
        let (_, active) = merged(guest, vec![]);
        assert_eq!(shown(&active), [(1, "A", 2, 100, 0)]);
        assert_eq!((active.id, &*active.owner, active.market), (cart_id(2), "usr_1", market));
        let (_, empty) = merged(with(1, "gst_1", &[]), vec![]);
        assert!(empty.lines.is_empty(), "an empty cart is merged too");
    }

    #[test]
    fn what_a_line_cannot_hold_is_left_out_and_remembered_until_it_is_looked_at() {
        let customer = with(2, "usr_1", &[("A", 9_000, 100), ("B", QUANTITY_MAX, 100)]);
        let (mut events, active) = merged(with(1, "gst_1", &[("A", 1_500, 100), ("B", 7, 100)]), customer);
        assert_eq!(shown(&active), [(1, "A", 10_000, 100, 500), (2, "B", 10_000, 100, 7)]);
        let cart: Cart = fold(&events);
        let seen = set_quantity(&cart, 1, QUANTITY_MAX).expect("the same again");
        assert_eq!(seen, [CartEvent::QuantitySet(QuantitySet { line: 1, quantity: QUANTITY_MAX })]);
        events.extend(seen);
        events.extend(remove(&cart, 2).expect("taken out"));
        let cart: Cart = fold(&events);
        assert_eq!(shown(cart.active().expect("open")), [(1, "A", 10_000, 100, 0)]);
        assert_eq!(set_quantity(&cart, 1, QUANTITY_MAX), Ok(vec![]), "it was looked at");
    }

    #[test]
    fn too_many_lines_refuse_the_whole() {
        let skus: Vec<String> = (0..150).map(|n| format!("S{n}")).collect();
        let lines = |from: usize, to: usize| -> Vec<(&str, u32, i64)> {
            skus[from..to].iter().map(|sku| (sku.as_str(), 1, 1)).collect()
        };
        let (_, active) = merged(with(1, "gst_1", &lines(40, 100)), with(2, "usr_1", &lines(0, 60)));
        assert_eq!(active.lines.len(), LINES_MAX, "20 of them were there already");
        let guest: Cart = fold(&with(1, "gst_1", &lines(40, 101)));
        let customer: Cart = fold(&with(2, "usr_1", &lines(0, 60)));
        let refused = merge(&guest, &customer, &wanted()).expect_err("one too many");
        assert_eq!((refused.reason, refused.metadata["lines"].as_str()), (CART_FULL, "101"));
    }

    #[test]
    fn only_open_carts_of_those_two_are_merged() {
        let guest: Cart = fold(&with(1, "gst_1", &[("A", 1, 1)]));
        let customer: Cart = fold(&with(2, "usr_1", &[("A", 1, 1)]));
        let mut gone = guest.clone();
        gone.evolve(&CartEvent::CartMerged(merge(&guest, &customer, &wanted()).expect("merged").merged));
        let owner: Arc<str> = "usr_1".into();
        let order_id = OrderId::from_uuid(Uuid::v7(1, [9; 10]));
        let sold = Cart::Converted(CartConverted { owner, order_id, successor: None });
        for (guest, customer) in [
            (&gone, &customer),
            (&Cart::Absent, &customer),
            (&customer, &customer),
            (&sold, &customer),
            (&guest, &gone),
            (&guest, &guest),
            (&guest, &sold),
        ] {
            let refused = merge(guest, customer, &wanted()).expect_err("not these");
            assert_eq!(refused.reason, CART_MOVED);
        }
    }

    #[test]
    fn the_invariant_notices_what_was_lost_doubled_or_made_up() {
        let (mut guest, mut customer) = (with(1, "gst_1", &[("A", 2, 1)]), with(2, "usr_1", &[]));
        let merging = merge(&fold(&guest), &fold(&customer), &wanted()).expect("they merge");
        guest.push(CartEvent::CartMerged(merging.merged));
        let check = |guest: &[CartEvent], customer: &[CartEvent]| invariants::merged_once([guest, customer]);
        assert!(check(&guest, &customer).is_err(), "lost");
        customer.extend(merging.events.clone());
        assert_eq!(check(&guest, &customer), Ok(()));
        assert!(check(&guest[..1], &customer).is_err(), "made up");
        let doubled = [customer.clone(), merging.events.clone()].concat();
        assert!(check(&guest, &doubled).is_err(), "doubled");
        let mut short = merging.events;
        if let CartEvent::LinesMerged(lines) = &mut short[0] {
            lines.lines[0].quantity = 1;
        }
        assert!(check(&guest, &[with(2, "usr_1", &[]), short].concat()).is_err(), "half of it");
        guest.extend(with(1, "gst_1", &[]));
        assert!(check(&guest, &customer).is_err(), "something happened afterwards");
    }
}
