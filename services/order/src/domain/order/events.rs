//! What happens to an order, as it is stored. Each event is complete in itself: what others hear is made of
//! one event alone.
use crate::domain::{Delivery, Line, Terms};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{CartId, Location, Market, OrderId, Quantity, QuoteId, ReturnId, Sku};
use souk_kernel::{Money, Timestamp};
use std::sync::Arc;

/// Who holds and releases an order when nobody of staff does.
pub const BY_ITSELF: &str = "svc:order";

/// What happens when not everything is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartialPolicy {
    /// The order is rejected.
    #[default]
    AllOrNothing,
    /// The customer is asked whether the rest will do.
    ShipAvailable,
    /// What is missing is waited for.
    Backorder,
}

impl PartialPolicy {
    fn is_usual(&self) -> bool {
        *self == PartialPolicy::AllOrNothing
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderPlaced {
    pub order_id: OrderId,
    pub quote_id: QuoteId,
    /// Whose order it is.
    pub subject: Arc<str>,
    /// Who placed it: the same, or a member of staff.
    pub placed_by: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cart_id: Option<CartId>,
    /// Empty for a cart's order.
    pub external_ref: Arc<str>,
    pub market: Market,
    pub lines: Arc<[Line]>,
    pub total: Money,
    /// As in the quote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Arc<Terms>>,
    #[serde(default, skip_serializing_if = "PartialPolicy::is_usual")]
    pub partial_policy: PartialPolicy,
    /// The payment provider's token; opaque here.
    pub payment_method_token: Arc<str>,
    pub placed_at: Timestamp,
}

impl OrderPlaced {
    /// Whether its prices were agreed with sales, rather than made of a cart.
    pub fn is_agreed(&self) -> bool {
        !self.external_ref.is_empty()
    }

    /// How it is shipped; `None` when nothing is.
    pub fn delivery(&self) -> Option<&Delivery> {
        self.terms.as_ref().and_then(|terms| terms.delivery.as_ref())
    }

    /// The coupons that are redeemed for it.
    pub fn coupons(&self) -> &[Arc<str>] {
        self.terms.as_ref().map_or(&[], |terms| &terms.coupons)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderConfirmed {
    pub order_id: OrderId,
    pub quote_id: QuoteId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cart_id: Option<CartId>,
    pub subject: Arc<str>,
    pub total: Money,
    pub lines: Arc<[ConfirmedLine]>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfirmedLine {
    pub line: u32,
    pub sku: Sku,
    pub quantity: Quantity,
    #[serde(default)]
    pub cart_line: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderRejected {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    /// A stable code.
    pub reason: String,
    /// What the reason is about: the SKUs that are short, a decline code.
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CancelRequested {
    /// The subject of whoever asked.
    pub by: Arc<str>,
    /// Somebody of staff asked for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub by_staff: bool,
    /// Why, in the words of staff. A customer's words are not kept: they may be about a person.
    pub note: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderCancelled {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    /// A stable code.
    pub reason: String,
}

/// The customer must act, or the order comes to nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderAwaitingCustomer {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    pub awaits: Awaits,
    /// The end of the customer's time.
    pub until: Timestamp,
}

/// What the customer is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Awaits {
    /// To act at the payment provider's.
    Payment { action_url: Arc<str>, total: Money },
    /// To say whether a part of the order will do.
    Consent { remainder: Arc<Remainder> },
}

/// What there is of an order of which not all is there, priced anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remainder {
    pub lines: Arc<[Line]>,
    pub total: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Arc<Terms>>,
}

/// The customer takes what there is: from here on the order is this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemainderAccepted {
    pub remainder: Arc<Remainder>,
}

/// The time in which it could be undone at once is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderProcessingStarted {
    pub order_id: OrderId,
    pub subject: Arc<str>,
}

/// A parcel left the house.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParcelShipped {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    pub shipment_id: Arc<str>,
    pub carrier: Arc<str>,
    pub tracking_code: Arc<str>,
    pub lines: Arc<[ShippedLine]>,
    /// What is taken for it.
    pub amount: Money,
    /// Nothing is left to be shipped.
    pub is_last: bool,
    /// It carries pieces that are sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
}

/// What a parcel is sent instead of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Again {
    /// The parcel that did not arrive.
    pub instead_of: Arc<str>,
    /// The name under which its stock is reserved.
    pub resend_id: OrderId,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShippedLine {
    pub line: u32,
    pub sku: Sku,
    pub quantity: Quantity,
    pub location: Location,
}

/// A parcel is somewhere else now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParcelMoved {
    pub shipment_id: Arc<str>,
    pub to: Whereabouts,
}

/// Where a parcel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whereabouts {
    HandedOver,
    InTransit,
    DeliveryFailed,
    Delivered,
    Lost,
    ReturnedToSender,
}

impl Whereabouts {
    /// Whether a parcel that may have been lost is there again: with the customer, or in the house.
    pub fn is_found(self) -> bool {
        match self {
            Whereabouts::Delivered | Whereabouts::ReturnedToSender => true,
            Whereabouts::HandedOver
            | Whereabouts::InTransit
            | Whereabouts::DeliveryFailed
            | Whereabouts::Lost => false,
        }
    }
}

/// The money of a parcel was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParcelPaid {
    pub shipment_id: Arc<str>,
    pub amount: Money,
}

/// Staff decided what becomes of a parcel that did not arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParcelResolved {
    pub shipment_id: Arc<str>,
    pub decision: Decision,
    pub by: Arc<str>,
    /// Why, in the words of staff.
    pub note: String,
    /// What was in it.
    pub pieces: Arc<[Pieces]>,
    /// What they are worth, before the fee.
    pub worth: Money,
    /// What is given back.
    pub refund: Money,
    /// The original shipping is in it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub with_shipping: bool,
    /// The carrier brought it back; otherwise nobody has it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub came_back: bool,
    /// Nothing of the order stays with the customer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_all: bool,
    /// Where it is sent again: the name of that, to inventory and shipping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resend_id: Option<OrderId>,
}

/// The pieces of a parcel are reserved, and shipping has them to send again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParcelResent {
    pub shipment_id: Arc<str>,
    pub resend_id: OrderId,
}

/// The pieces of a parcel cannot be sent again; what becomes of it is open once more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResendRefused {
    pub shipment_id: Arc<str>,
    pub resend_id: OrderId,
    /// A stable code.
    pub reason: String,
    /// Which SKUs are short.
    pub detail: String,
}

/// What staff does about a parcel that did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// What it is worth is given back.
    Refund,
    /// Its pieces are sent again, for nothing.
    Resend,
}

/// What was decided about a parcel is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParcelRefunded {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    pub shipment_id: Arc<str>,
    /// Nothing, where a person settled it in another way.
    pub refund: Money,
}

/// The customer's bank took the money back, or what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaymentDisputed {
    pub dispute_id: Arc<str>,
    pub dispute: Dispute,
}

/// How far a dispute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dispute {
    Opened,
    /// The money is ours again.
    Won,
    /// The money stays lost.
    Lost,
}

/// Every parcel has arrived.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderDelivered {
    pub order_id: OrderId,
    pub subject: Arc<str>,
}

/// The time for returns is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderCompleted {
    pub order_id: OrderId,
    pub subject: Arc<str>,
}

/// Shipping could no longer stop it: the order goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CancelRefused {
    /// A stable code.
    pub reason: String,
}

/// Somebody asked for pieces to be called off; until it is known whether they are, nobody else may.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinesCancelRequested {
    pub cancel_id: Arc<str>,
    pub by: Arc<str>,
    pub pieces: Arc<[Pieces]>,
}

/// So many pieces of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pieces {
    pub line: u32,
    pub sku: Sku,
    pub quantity: Quantity,
}

/// Pieces were called off, and their stock was given back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderLineCancelled {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    pub cancel_id: Arc<str>,
    pub pieces: Arc<[Pieces]>,
    /// What the order costs without them.
    pub total: Money,
}

/// Pieces could no longer be called off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinesCancelRefused {
    pub cancel_id: Arc<str>,
    /// A stable code.
    pub reason: String,
}

/// All that is sold has left and is paid for, and pieces were called off: what is promised beyond that is to be
/// given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestVoidRequested {
    /// How much less the order costs than was promised.
    pub amount: Money,
}

/// Nothing is promised any more beyond what was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestVoided {
    pub amount: Money,
}

/// It stays in the house.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderHeld {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    /// Names the hold, also to shipping.
    pub hold_id: Arc<str>,
    /// A stable code.
    pub reason: String,
    pub by: Arc<str>,
    /// Why, in the words of staff.
    pub note: String,
}

/// Nothing keeps it in the house any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderReleased {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    pub by: Arc<str>,
    pub note: String,
}

impl OrderReleased {
    /// Whether what it was held for is settled, rather than that staff lets it go.
    pub fn is_by_itself(&self) -> bool {
        *self.by == *BY_ITSELF
    }
}

/// A person must look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderNeedsAttention {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    /// A stable code.
    pub reason: String,
    /// What it is about: a parcel, a cancel, a hold.
    pub about: Arc<str>,
}

/// Pieces are to come back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnOpened {
    pub return_id: ReturnId,
    pub pieces: Arc<[Pieces]>,
}

/// Pieces came back, and what they are worth is decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GoodsReturned {
    pub return_id: ReturnId,
    pub pieces: Arc<[Pieces]>,
    /// Those of them whose stock the order no longer has: what did not leave, and can be sold again.
    #[serde(default = "no_pieces", skip_serializing_if = "is_empty")]
    pub released: Arc<[Pieces]>,
    /// What they are worth, before fees.
    pub worth: Money,
    /// The original shipping is in it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub with_shipping: bool,
    /// Everything of the order is back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_all: bool,
}

/// The money of a return was given back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnRefunded {
    pub return_id: ReturnId,
    /// Nothing, where a person settled it in another way.
    pub refund: Money,
}

/// A return came to nothing: its pieces stay with the customer, or go back there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnClosed {
    pub return_id: ReturnId,
}

fn no_pieces() -> Arc<[Pieces]> {
    Arc::from([])
}

fn is_empty(pieces: &Arc<[Pieces]>) -> bool {
    pieces.is_empty()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}
