//! A cart's rules: what is in it, how it changes, and how an order empties it. Pure.
//!
//! A cart promises nothing: prices and stock are looked at when it is read. Deliberately not here: whether a
//! SKU exists and what it costs (asked of the catalog before a command is made).
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{CartId, Market, OrderId, Sku};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Code, Money, Rejection};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

mod merge;

pub use merge::{Merge, Merging, merge};

/// The most lines in a customer's cart.
pub const LINES_MAX: usize = 100;
/// The most pieces on one line.
pub const QUANTITY_MAX: u32 = 10_000;
/// How many of a cart's last additions are remembered, so that a repeated one counts once.
pub const OPS_MAX: usize = 1_000;
/// The market of a cart whose owner has named none.
pub const USUAL_MARKET: &str = "GB";

/// Claims owner → active cart, until the cart is converted or merged.
pub const ACTIVE_SCOPE: &str = "active_cart";
/// Claims guest → the customer that the guest turned out to be, for ever: nobody else merges their carts.
pub const GUEST_SCOPE: &str = "guest_customer";

/// The catalog does not sell such a SKU.
pub const UNKNOWN_SKU: &str = "UNKNOWN_SKU";
/// The SKU has no price in the cart's market.
pub const NOT_SOLD_IN_MARKET: &str = "NOT_SOLD_IN_MARKET";
/// The cart has as many lines as it can have.
pub const CART_FULL: &str = "CART_FULL";
/// The line would have more pieces than it can have.
pub const QUANTITY_TOO_HIGH: &str = "QUANTITY_TOO_HIGH";
/// The opId was used for something else.
pub const OP_ID_REUSED: &str = "OP_ID_REUSED";
/// The caller saw an older version of the cart.
pub const VERSION_MISMATCH: &str = "VERSION_MISMATCH";
/// The cart that was looked at is no longer the one to change; look again. Callers never see it.
pub const CART_MOVED: &str = "CART_MOVED";

/// A cart came to be, perhaps with lines that another left over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CartOpened {
    /// The cart.
    pub cart_id: CartId,
    /// Whose it is.
    pub owner: Arc<str>,
    /// Where it would buy.
    pub market: Market,
    /// Lines that the cart before it left over; they keep their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// The number of the next new line.
    pub next_line: u32,
    /// The cart before it, if that left lines over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<CartId>,
}

/// So many of a SKU were added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemAdded {
    /// The line, new or known.
    pub line: u32,
    /// What.
    pub sku: Sku,
    /// How many more.
    pub quantity: u32,
    /// What one cost at that moment.
    pub unit_price: Money,
    /// The client's name for this addition.
    pub op_id: Arc<str>,
}

/// A line has this many pieces now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuantitySet {
    /// The line.
    pub line: u32,
    /// How many.
    pub quantity: u32,
}

/// A line is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemRemoved {
    /// The line.
    pub line: u32,
}

/// Every line is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CartCleared {}

/// The cart would buy elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarketChanged {
    /// Where.
    pub market: Market,
}

/// The cart became an order and is closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CartConverted {
    /// Whose it was.
    pub owner: Arc<str>,
    /// The order.
    pub order_id: OrderId,
    /// The cart that has what was left over, if anything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<CartId>,
}

/// One line of a guest's cart, in a customer's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MergedLine {
    /// The customer's line, new or known.
    pub line: u32,
    /// What.
    pub sku: Sku,
    /// How many more the customer's line has now; 0 when it was full.
    pub quantity: u32,
    /// How many of the guest's it could not take.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u32,
    /// What one cost when it was last added.
    pub unit_price: Money,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A customer's cart took in a guest's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinesMerged {
    /// The guest's cart.
    pub from: CartId,
    /// What it brought, line by line.
    pub lines: Vec<MergedLine>,
}

/// A guest's cart went into a customer's and is closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CartMerged {
    /// The guest.
    pub owner: Arc<str>,
    /// The customer.
    pub customer: Arc<str>,
    /// The customer's cart.
    pub into: CartId,
}

/// What happens to a cart.
#[derive(Debug, Clone, PartialEq)]
pub enum CartEvent {
    /// It came to be.
    CartOpened(CartOpened),
    /// Something was added.
    ItemAdded(ItemAdded),
    /// A quantity was changed.
    QuantitySet(QuantitySet),
    /// A line was taken out.
    ItemRemoved(ItemRemoved),
    /// Everything was taken out.
    CartCleared(CartCleared),
    /// The market was changed.
    MarketChanged(MarketChanged),
    /// It took in a guest's.
    LinesMerged(LinesMerged),
    /// It went into a customer's.
    CartMerged(CartMerged),
    /// It became an order.
    CartConverted(CartConverted),
}
stored_events!(CartEvent {
    CartOpened: 1,
    ItemAdded: 1,
    QuantitySet: 1,
    ItemRemoved: 1,
    CartCleared: 1,
    MarketChanged: 1,
    LinesMerged: 1,
    CartMerged: 1,
    CartConverted: 1,
});

/// One line. Its number is never given to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its number, from 1.
    pub line: u32,
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: u32,
    /// What one cost when it was last added.
    pub unit_price: Money,
}

/// A cart's state.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Cart {
    /// It was never opened.
    #[default]
    Absent,
    /// It can be changed.
    Active(Active),
    /// It became an order.
    Converted(CartConverted),
    /// It went into a customer's.
    Merged(CartMerged),
}

/// An open cart. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Active {
    /// Which cart.
    pub id: CartId,
    /// Whose.
    pub owner: Arc<str>,
    /// Where it would buy.
    pub market: Market,
    /// Its lines by number.
    pub lines: Arc<Vec<Line>>,
    next_line: u32,
    /// By line, how many a merge left out, until somebody sets or removes the line.
    left_out: Arc<BTreeMap<u32, u32>>,
    ops: Arc<VecDeque<Op>>,
}

/// A remembered addition.
#[derive(Debug, Clone, PartialEq)]
struct Op {
    id: Arc<str>,
    sku: Sku,
    quantity: u32,
}

impl Cart {
    /// The cart if it can be changed.
    pub fn active(&self) -> Option<&Active> {
        match self {
            Cart::Active(active) => Some(active),
            Cart::Absent | Cart::Converted(_) | Cart::Merged(_) => None,
        }
    }
}

impl Aggregate for Cart {
    type Event = CartEvent;
    const CATEGORY: &'static str = "cart";

    fn evolve(&mut self, event: &CartEvent) {
        match event {
            CartEvent::CartOpened(opened) => *self = Cart::Active(Active::of(opened)),
            CartEvent::CartConverted(converted) => *self = Cart::Converted(converted.clone()),
            CartEvent::CartMerged(merged) => *self = Cart::Merged(merged.clone()),
            CartEvent::ItemAdded(_)
            | CartEvent::LinesMerged(_)
            | CartEvent::QuantitySet(_)
            | CartEvent::ItemRemoved(_)
            | CartEvent::CartCleared(_)
            | CartEvent::MarketChanged(_) => {
                if let Cart::Active(active) = self {
                    active.evolve(event);
                }
            }
        }
    }
}

impl Active {
    fn of(opened: &CartOpened) -> Self {
        Self {
            id: opened.cart_id,
            owner: Arc::clone(&opened.owner),
            market: opened.market.clone(),
            lines: Arc::new(opened.lines.clone()),
            next_line: opened.next_line,
            left_out: Arc::default(),
            ops: Arc::default(),
        }
    }

    fn evolve(&mut self, event: &CartEvent) {
        match event {
            CartEvent::ItemAdded(added) => self.added(added),
            CartEvent::LinesMerged(merged) => merged.lines.iter().for_each(|line| self.merged(line)),
            CartEvent::QuantitySet(set) => {
                Arc::make_mut(&mut self.left_out).remove(&set.line);
                let lines = Arc::make_mut(&mut self.lines);
                lines.iter_mut().filter(|l| l.line == set.line).for_each(|l| l.quantity = set.quantity);
            }
            CartEvent::ItemRemoved(removed) => {
                Arc::make_mut(&mut self.left_out).remove(&removed.line);
                Arc::make_mut(&mut self.lines).retain(|l| l.line != removed.line);
            }
            CartEvent::CartCleared(_) => (self.lines, self.left_out) = Default::default(),
            CartEvent::MarketChanged(changed) => self.market = changed.market.clone(),
            CartEvent::CartOpened(_) | CartEvent::CartConverted(_) | CartEvent::CartMerged(_) => {}
        }
    }

    fn added(&mut self, added: &ItemAdded) {
        let (sku, quantity, unit_price) = (added.sku.clone(), added.quantity, added.unit_price);
        self.put(Line { line: added.line, sku, quantity, unit_price });
        let ops = Arc::make_mut(&mut self.ops);
        if ops.len() == OPS_MAX {
            ops.pop_front();
        }
        ops.push_back(Op { id: Arc::clone(&added.op_id), sku: added.sku.clone(), quantity: added.quantity });
    }

    fn merged(&mut self, merged: &MergedLine) {
        let MergedLine { line, sku, quantity, left_out, unit_price } = merged.clone();
        self.put(Line { line, sku, quantity, unit_price });
        if left_out > 0 {
            let all = Arc::make_mut(&mut self.left_out).entry(line).or_default();
            *all = all.saturating_add(left_out);
        }
    }

    /// Adds to the line of that number, or puts it in.
    fn put(&mut self, more: Line) {
        let lines = Arc::make_mut(&mut self.lines);
        match lines.iter_mut().find(|line| line.line == more.line) {
            Some(line) => {
                line.quantity = line.quantity.saturating_add(more.quantity);
                line.unit_price = more.unit_price;
            }
            None => {
                self.next_line = self.next_line.max(more.line + 1);
                lines.push(more);
            }
        }
    }

    /// How many of a line were left out by merges, as far as nobody has looked at it since.
    pub fn left_out(&self, line: u32) -> u32 {
        self.left_out.get(&line).copied().unwrap_or(0)
    }

    fn line(&self, line: u32) -> Option<&Line> {
        self.lines.iter().find(|own| own.line == line)
    }

    /// Whether this very addition was made before.
    ///
    /// # Errors
    /// `OP_ID_REUSED` when another one was made under the same opId.
    pub fn repeats(&self, op_id: &str, sku: &Sku, quantity: u32) -> Result<bool, Rejection> {
        match self.ops.iter().rev().find(|op| *op.id == *op_id) {
            None => Ok(false),
            Some(op) if op.sku == *sku && op.quantity == quantity => Ok(true),
            Some(_) => {
                Err(Rejection::new(OP_ID_REUSED, "this opId was used to add something else; take a new one")
                    .with("opId", op_id))
            }
        }
    }
}

/// Add so many of a SKU to the owner's cart; opens the cart if there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Add {
    /// The cart, or its id to be.
    pub cart_id: CartId,
    /// Whose.
    pub owner: Arc<str>,
    /// What.
    pub sku: Sku,
    /// How many more; at least 1.
    pub quantity: u32,
    /// The client's name for this addition.
    pub op_id: Arc<str>,
    /// The market in which the price was asked for.
    pub market: Market,
    /// Whether the cart shall move to that market; else it must be there.
    pub switch: bool,
    /// What one costs there now.
    pub unit_price: Money,
}

/// Adds to a cart. The same op_id counts once.
///
/// # Errors
/// `OP_ID_REUSED`, `QUANTITY_TOO_HIGH`, `CART_FULL`, or `CART_MOVED` to the one who must look again.
pub fn add(cart: &Cart, add: &Add) -> Result<Vec<CartEvent>, Rejection> {
    let mut events = Vec::new();
    let line = match cart {
        Cart::Converted(_) | Cart::Merged(_) => return Err(moved()),
        Cart::Absent => {
            let (owner, market) = (Arc::clone(&add.owner), add.market.clone());
            let opened = CartOpened {
                cart_id: add.cart_id,
                owner,
                market,
                lines: vec![],
                next_line: 1,
                continues: None,
            };
            events.push(CartEvent::CartOpened(opened));
            within_bounds(0, add.quantity, &add.sku)?;
            1
        }
        Cart::Active(active) if *active.owner != *add.owner => return Err(moved()),
        Cart::Active(active) if active.repeats(&add.op_id, &add.sku, add.quantity)? => return Ok(Vec::new()),
        Cart::Active(active) => {
            if active.market != add.market {
                let changed = MarketChanged { market: add.market.clone() };
                add.switch.then(|| events.push(CartEvent::MarketChanged(changed))).ok_or_else(moved)?;
            }
            line_for(active, add)?
        }
    };
    let (sku, op_id) = (add.sku.clone(), Arc::clone(&add.op_id));
    let added = ItemAdded { line, sku, quantity: add.quantity, unit_price: add.unit_price, op_id };
    events.push(CartEvent::ItemAdded(added));
    Ok(events)
}

/// The number of the line that takes the addition.
fn line_for(active: &Active, add: &Add) -> Result<u32, Rejection> {
    if let Some(line) = active.lines.iter().find(|line| line.sku == add.sku) {
        return within_bounds(line.quantity, add.quantity, &add.sku).map(|()| line.line);
    }
    if active.lines.len() >= LINES_MAX {
        let message = format!("the cart has {LINES_MAX} lines, which is the most it can have");
        return Err(Rejection::new(CART_FULL, message).with("lines_max", LINES_MAX));
    }
    within_bounds(0, add.quantity, &add.sku).map(|()| active.next_line)
}

fn within_bounds(has: u32, more: u32, sku: &Sku) -> Result<(), Rejection> {
    if has.checked_add(more).is_some_and(|sum| sum <= QUANTITY_MAX) {
        return Ok(());
    }
    let already = if has == 0 { String::new() } else { format!("; this one has {has} already") };
    let message = format!("a line can have at most {QUANTITY_MAX} pieces of {sku}{already}");
    Err(Rejection::new(QUANTITY_TOO_HIGH, message)
        .with("sku", sku)
        .with("quantity_max", QUANTITY_MAX)
        .with("quantity", more))
}

/// Sets a line's quantity; 0 takes it out. Whoever sets a line that a merge cut short has seen that it did.
///
/// # Errors
/// `NOT_FOUND`, `QUANTITY_TOO_HIGH`, or `CART_MOVED` to the one who must look again.
pub fn set_quantity(cart: &Cart, line: u32, quantity: u32) -> Result<Vec<CartEvent>, Rejection> {
    if quantity == 0 {
        return remove(cart, line);
    }
    let active = changeable(cart)?;
    let Some(own) = active.line(line) else { return Err(no_line()) };
    within_bounds(0, quantity, &own.sku)?;
    if own.quantity == quantity && active.left_out(line) == 0 {
        return Ok(Vec::new());
    }
    Ok(vec![CartEvent::QuantitySet(QuantitySet { line, quantity })])
}

/// Takes a line out. Saying it again is fine, since its number is never given to another.
///
/// # Errors
/// `NOT_FOUND` when the cart never had it, or `CART_MOVED` to the one who must look again.
pub fn remove(cart: &Cart, line: u32) -> Result<Vec<CartEvent>, Rejection> {
    let active = changeable(cart)?;
    if active.line(line).is_some() {
        Ok(vec![CartEvent::ItemRemoved(ItemRemoved { line })])
    } else if (1..active.next_line).contains(&line) {
        Ok(Vec::new())
    } else {
        Err(no_line())
    }
}

/// Takes every line out.
///
/// # Errors
/// `CART_MOVED` to the one who must look again.
pub fn clear(cart: &Cart) -> Result<Vec<CartEvent>, Rejection> {
    let active = changeable(cart)?;
    if active.lines.is_empty() { Ok(Vec::new()) } else { Ok(vec![CartEvent::CartCleared(CartCleared {})]) }
}

/// Refuses a change by someone who saw another version.
///
/// # Errors
/// `VERSION_MISMATCH`.
pub fn check_version(version: u64, expected: Option<u64>) -> Result<(), Rejection> {
    if expected.is_none_or(|expected| expected == version) {
        return Ok(());
    }
    let message = format!("the cart has changed since you read it: it is at version {version}");
    Err(Rejection::new(VERSION_MISMATCH, message).code(Code::Aborted).with("version", version))
}

fn changeable(cart: &Cart) -> Result<&Active, Rejection> {
    cart.active().ok_or_else(moved)
}

fn moved() -> Rejection {
    Rejection::new(CART_MOVED, "the cart has changed in the meantime; try again").code(Code::Aborted)
}

fn no_line() -> Rejection {
    Rejection::new("NOT_FOUND", "the cart line was not found").code(Code::NotFound)
}

/// What an order took of a cart's line.
#[derive(Debug, Clone, PartialEq)]
pub struct Ordered {
    /// The cart's line.
    pub line: u32,
    /// How many.
    pub quantity: u32,
}

/// What an order makes of a cart.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversion {
    /// How the cart ends.
    pub converted: CartConverted,
    /// What the cart with the left-over lines begins with.
    pub successor: Option<CartOpened>,
}

/// Converts a cart into an order of its owner. What was added after the order's quote was made is left over
/// and goes to `successor`, with the same line numbers. `None` when this is no active cart of the owner's: it
/// was converted before, or the event is about somebody else's.
pub fn convert(
    cart: &Cart,
    order_id: OrderId,
    owner: &str,
    ordered: &[Ordered],
    successor: CartId,
) -> Option<Conversion> {
    let active = cart.active().filter(|active| *active.owner == *owner)?;
    let taken = |line: u32| {
        let own = ordered.iter().filter(|ordered| ordered.line == line);
        own.fold(0_u32, |sum, ordered| sum.saturating_add(ordered.quantity))
    };
    let rest = |line: &Line| {
        let quantity = line.quantity.saturating_sub(taken(line.line));
        (quantity > 0).then(|| Line { quantity, ..line.clone() })
    };
    let left: Vec<Line> = active.lines.iter().filter_map(rest).collect();
    let successor = (!left.is_empty()).then(|| CartOpened {
        cart_id: successor,
        owner: Arc::clone(&active.owner),
        market: active.market.clone(),
        lines: left,
        next_line: active.next_line,
        continues: Some(active.id),
    });
    let next = successor.as_ref().map(|successor| successor.cart_id);
    Some(Conversion {
        converted: CartConverted { owner: Arc::clone(&active.owner), order_id, successor: next },
        successor,
    })
}

#[cfg(test)]
mod tests;
