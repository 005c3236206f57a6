//! Calls to other services: what a saga says is outstanding, and what a quote is made of.
//!
//! A participant's recorded answer is `Done` or `Refused`. Everything else, errors of whatever code
//! included, is `Unknown`: it is asked again under the same ids and stays visible until it is answered.
mod answers;
mod errands;
mod pricing;
mod returns;

pub use errands::ErrandEffects;
pub use pricing::{Cart, Destination, Priced, Rate};
pub use returns::ReturnEffects;

use crate::domain::order::{self, Awaits, Order, OrderPlaced, PartialPolicy, Windows};
use crate::{cancel, fulfil, place};
use answers::{authorized, silent, stopped, unexpected};
use answers::{
    captured, committed, created, redeemed, refunded, released, released_coupons, reserved, voided,
};
use souk_contracts::cart::v1::CartServiceClient;
use souk_contracts::catalog::v1::{CatalogServiceClient, RedeemCouponsRequest, ReleaseCouponsRequest};
use souk_contracts::inventory::v1::{
    CommitRequest, ExtendReservationRequest, GetReservationRequest, InventoryServiceClient, ReleaseRequest,
    Reservation, ReservePolicy, ReserveRequest, StockLine,
};
use souk_contracts::payment::v1::{
    AuthorizeRequest, CaptureRequest, GetPaymentRequest, Payment, PaymentServiceClient, PaymentStatus,
    ReauthorizeRequest, RefundRequest, VoidRequest,
};
use souk_contracts::shipping::v1::{
    CancelFulfilmentRequest, CreateFulfilmentRequest, FulfilmentLine, LinePart, ShippingServiceClient,
};
use souk_contracts::terms::{OrderId, PaymentId};
use souk_host::Resources;
use souk_identity::ServiceIdentity;
use souk_kernel::{Error, Money, Timestamp, TypeId};
use souk_rpc::{BoxFuture, Cx, time};
use souk_saga::{Call, Definition, Direction, Event, Intent, Outcome, Phase, Progress, Recording, Saga};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The one capture and the one refund that an order can have which ships nothing.
const CAPTURE_ID: &str = "full";
const REFUND_ID: &str = "cancel";
/// Names the cancel of a whole order to shipping.
const CANCEL_ID: &str = "cancel";

/// The other services, called as this one.
#[derive(Clone)]
pub struct Effects {
    identity: Arc<ServiceIdentity>,
    inventory: InventoryServiceClient,
    payment: PaymentServiceClient,
    cart: CartServiceClient,
    catalog: CatalogServiceClient,
    shipping: ShippingServiceClient,
    windows: Windows,
    waiting: Waiting,
}

/// The orders whose customers must act at the provider's, as far as this process has asked. A hint: an order that
/// is missing here is looked at again all the same.
#[derive(Clone, Default)]
pub struct Waiting(Arc<Mutex<BTreeSet<OrderId>>>);

impl Waiting {
    /// Whether the payment of this order is waited for.
    pub fn has(&self, order_id: OrderId) -> bool {
        self.0.lock().expect("no holder panics").contains(&order_id)
    }

    fn note(&self, order_id: OrderId, waits: bool) {
        let mut waiting = self.0.lock().expect("no holder panics");
        if waits {
            waiting.insert(order_id);
        } else {
            waiting.remove(&order_id);
        }
    }
}

impl Effects {
    pub fn new(own: &Resources, windows: Windows) -> Self {
        Self {
            identity: own.identity.clone(),
            inventory: own.peers.get(),
            payment: own.peers.get(),
            cart: own.peers.get(),
            catalog: own.peers.get(),
            shipping: own.peers.get(),
            windows,
            waiting: Waiting::default(),
        }
    }

    /// Whose payments are waited for.
    pub fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    async fn attempt(&self, call: &Call<Order>) -> Outcome {
        let order: &Order = &call.state;
        let Some(placed) = order.placed() else { return Outcome::unknown("there is no such order") };
        let cx = &call.cx;
        match (call.intent.step, call.intent.direction) {
            (place::REDEEM, Direction::Do) => self.redeem(cx, placed).await,
            (place::REDEEM, Direction::Undo) => self.return_coupons(cx, placed, why_back(order)).await,
            (place::RESERVE, Direction::Do) => self.reserve(cx, placed).await,
            (place::RESERVE, Direction::Undo) => self.release(cx, placed, why_back(order)).await,
            (place::AUTHORIZE, Direction::Do) => self.authorize(cx, order, placed).await,
            (place::AUTHORIZE, Direction::Undo) => self.void(cx, placed, why_back(order)).await,
            (place::COMMIT, Direction::Do) => self.commit(cx, placed).await,
            (place::CAPTURE, Direction::Do) => {
                let total = order.total().unwrap_or(placed.total);
                self.capture(cx, placed.order_id, &placed.subject, CAPTURE_ID, total, total).await
            }
            (fulfil::CREATE, Direction::Do) => self.create_fulfilment(cx, order, placed).await,
            (cancel::STOP_SHIPPING, Direction::Do) => {
                self.stop(cx, placed.order_id, &placed.subject, CANCEL_ID, Vec::new()).await
            }
            // Shipping stops all of it or nothing; where it said no, there is nothing to take back.
            (cancel::STOP_SHIPPING, Direction::Undo) => Outcome::done(),
            (cancel::RELEASE, Direction::Do) => self.release(cx, placed, order.cancel_reason()).await,
            (cancel::RETURN_MONEY, Direction::Do) => self.return_money(cx, order, placed).await,
            (cancel::RETURN_COUPONS, Direction::Do) => {
                self.return_coupons(cx, placed, order.cancel_reason()).await
            }
            (step, direction) => Outcome::unknown(format!("nothing is known of {direction} {step}")),
        }
    }

    async fn redeem(&self, cx: &Cx, placed: &OrderPlaced) -> Outcome {
        let Some(terms) = &placed.terms else { return Outcome::done() };
        let request = RedeemCouponsRequest {
            order_id: placed.order_id.to_string(),
            subject: placed.subject.to_string(),
            codes: terms.coupons.iter().map(ToString::to_string).collect(),
            priced_at: Some(time::to_proto(terms.priced_at)),
        };
        let answer = self.catalog.redeem_coupons(self.to(cx, "catalog", &placed.subject), request).await;
        redeemed(answer.map(|answer| answer.redemption))
    }

    async fn return_coupons(&self, cx: &Cx, placed: &OrderPlaced, reason: &str) -> Outcome {
        let request =
            ReleaseCouponsRequest { order_id: placed.order_id.to_string(), reason: reason.to_owned() };
        let answer = self.catalog.release_coupons(self.to(cx, "catalog", &placed.subject), request).await;
        released_coupons(answer.map(|answer| answer.redemption))
    }

    async fn reserve(&self, cx: &Cx, placed: &OrderPlaced) -> Outcome {
        let lines = placed.lines.iter().map(|line| StockLine {
            line: line.line,
            sku: line.sku.to_string(),
            quantity: line.quantity.get(),
        });
        let policy = match placed.partial_policy {
            PartialPolicy::AllOrNothing => ReservePolicy::AllOrNothing,
            PartialPolicy::ShipAvailable => ReservePolicy::Partial,
            PartialPolicy::Backorder => ReservePolicy::Backorder,
        };
        let request = ReserveRequest {
            reservation_id: placed.order_id.to_string(),
            lines: lines.collect(),
            ttl_s: whole_seconds(place::DEADLINE),
            policy: policy.into(),
        };
        let answer = self.inventory.reserve(self.to(cx, "inventory", &placed.subject), request).await;
        let answer = answer.map(|answer| answer.reservation);
        let partial = match &answer {
            Ok(Some(reservation)) if placed.partial_policy == PartialPolicy::ShipAvailable => {
                pricing::granted_less(placed, reservation)
            }
            Ok(_) | Err(_) => None,
        };
        match (reserved(answer), partial) {
            (Outcome::Done(_), Some(granted)) => match self.remainder(cx, placed, &granted).await {
                Ok(remainder) => match serde_json::to_value(&remainder) {
                    Ok(output) => Outcome::Done(output),
                    Err(error) => Outcome::unknown(error),
                },
                Err(error) => silent(&error),
            },
            (outcome, _) => outcome,
        }
    }

    async fn commit(&self, cx: &Cx, placed: &OrderPlaced) -> Outcome {
        let request = CommitRequest { reservation_id: placed.order_id.to_string() };
        let answer = self.inventory.commit(self.to(cx, "inventory", &placed.subject), request).await;
        committed(answer.map(|answer| answer.reservation))
    }

    async fn release(&self, cx: &Cx, placed: &OrderPlaced, reason: &str) -> Outcome {
        let request = ReleaseRequest {
            reservation_id: placed.order_id.to_string(),
            reason: reason.to_owned(),
            ..ReleaseRequest::default()
        };
        let answer = self.inventory.release(self.to(cx, "inventory", &placed.subject), request).await;
        released(answer.map(|answer| answer.reservation))
    }

    async fn authorize(&self, cx: &Cx, order: &Order, placed: &OrderPlaced) -> Outcome {
        let total = order.total().unwrap_or(placed.total);
        let request = AuthorizeRequest {
            payment_id: payment_id(placed.order_id),
            order_id: placed.order_id.to_string(),
            amount: Some(total.into()),
            payment_method_token: placed.payment_method_token.to_string(),
        };
        let answer = self.payment.authorize(self.to(cx, "payment", &placed.subject), request).await;
        let answer = answer.map(|answer| answer.payment);
        if let Ok(Some(payment)) = &answer
            && payment.status() == PaymentStatus::RequiresAction
        {
            self.waiting.note(placed.order_id, true);
            if order.awaits().is_none() {
                self.keep_reserved(cx, placed).await;
            }
            return answers::waits_for_customer(payment, total);
        }
        self.waiting.note(placed.order_id, false);
        authorized(answer)
    }

    /// The customer gets time. If this fails, the promise may end before the customer acts; then the commit asks
    /// whether the stock can be had again.
    async fn keep_reserved(&self, cx: &Cx, placed: &OrderPlaced) {
        let request = ExtendReservationRequest {
            reservation_id: placed.order_id.to_string(),
            ttl_s: whole_seconds(place::DEADLINE),
        };
        let _ = self.inventory.extend_reservation(self.to(cx, "inventory", &placed.subject), request).await;
    }

    /// Takes an amount under this id. Where the promise has expired, all that is left of the order's total is
    /// promised anew, and the same capture asked for again: its id takes once, whenever that is.
    async fn capture(
        &self,
        cx: &Cx,
        order_id: OrderId,
        subject: &Arc<str>,
        capture_id: &str,
        amount: Money,
        total: Money,
    ) -> Outcome {
        let ask = || async {
            let (payment_id, capture_id) = (payment_id(order_id), capture_id.to_owned());
            let request = CaptureRequest { payment_id, capture_id, amount: Some(amount.into()) };
            let answer = self.payment.capture(self.to(cx, "payment", subject), request).await;
            answer.map(|answer| answer.payment)
        };
        let first = ask().await;
        if !answers::has_expired(&first) {
            return captured(first, amount);
        }
        match self.promise_anew(cx, order_id, subject, capture_id, total).await {
            Outcome::Done(_) => captured(ask().await, amount),
            no @ (Outcome::Refused { .. } | Outcome::Waiting { .. } | Outcome::Unknown { .. }) => no,
        }
    }

    /// Asks for a new promise of all that was not taken yet. Its id is made of the amount: a refusal of another
    /// amount does not stand in its way.
    async fn promise_anew(
        &self,
        cx: &Cx,
        order_id: OrderId,
        subject: &Arc<str>,
        capture_id: &str,
        total: Money,
    ) -> Outcome {
        let request = GetPaymentRequest { payment_id: payment_id(order_id) };
        let left = match self.payment.get_payment(self.to(cx, "payment", subject), request).await {
            Ok(answer) => answers::not_taken(answer.payment.as_ref(), total),
            Err(error) => return silent(&error),
        };
        let Some(left) = left else { return unexpected("a payment of another currency") };
        let request = ReauthorizeRequest {
            payment_id: payment_id(order_id),
            authorization_id: format!("again-{capture_id}-{}", left.minor_units()),
            amount: Some(left.into()),
        };
        let again = self.payment.reauthorize(self.to(cx, "payment", subject), request).await;
        answers::reauthorized(again.map(|answer| answer.payment))
    }

    async fn void(&self, cx: &Cx, placed: &OrderPlaced, reason: &str) -> Outcome {
        self.waiting.note(placed.order_id, false);
        match self.ask_void(cx, placed, reason).await {
            Ok(answer) => voided(answer),
            Err(error) => silent(&error),
        }
    }

    async fn ask_void(&self, cx: &Cx, placed: &OrderPlaced, reason: &str) -> Result<Option<Payment>, Error> {
        let request = VoidRequest { payment_id: payment_id(placed.order_id), reason: reason.to_owned() };
        Ok(self.payment.void(self.to(cx, "payment", &placed.subject), request).await?.payment)
    }

    /// Payment knows whether the capture came first; the answer to the void says so. What the customer's bank wants
    /// back is not given back beside it: that is waited for.
    async fn return_money(&self, cx: &Cx, order: &Order, placed: &OrderPlaced) -> Outcome {
        if order.worst_dispute() == Some(order::Dispute::Opened) {
            return Outcome::Waiting { on: "dispute".into() };
        }
        match self.ask_void(cx, placed, order.cancel_reason()).await {
            Ok(answer) => voided(answer),
            Err(error) if answers::is_recorded_refusal(&error, &["ALREADY_CAPTURED"]) => {
                self.refund(cx, order, placed).await
            }
            Err(error) => silent(&error),
        }
    }

    async fn refund(&self, cx: &Cx, order: &Order, placed: &OrderPlaced) -> Outcome {
        let total = order.total().unwrap_or(placed.total);
        let request = RefundRequest {
            payment_id: payment_id(placed.order_id),
            refund_id: REFUND_ID.to_owned(),
            amount: Some(total.into()),
            reason: order.cancel_reason().to_owned(),
        };
        let answer = self.payment.refund(self.to(cx, "payment", &placed.subject), request).await;
        refunded(answer.map(|answer| answer.payment), REFUND_ID, total)
    }

    /// Gives shipping what is reserved, from where it lies. What is sold in advance is waited for.
    async fn create_fulfilment(&self, cx: &Cx, order: &Order, placed: &OrderPlaced) -> Outcome {
        let Some(delivery) = order.delivery() else { return Outcome::done() };
        let request = GetReservationRequest { reservation_id: placed.order_id.to_string() };
        let answer = self.inventory.get_reservation(self.to(cx, "inventory", &placed.subject), request).await;
        let reservation = match answer.map(|answer| answer.reservation) {
            Ok(Some(reservation)) => reservation,
            Ok(None) => return unexpected("no reservation"),
            Err(error) => return silent(&error),
        };
        if !reservation.backordered.is_empty() {
            return Outcome::Waiting { on: "stock".into() };
        }
        let request = CreateFulfilmentRequest {
            order_id: placed.order_id.to_string(),
            rate_id: delivery.rate_id.to_string(),
            lines: to_ship(order, reservation),
        };
        let answer = self.shipping.create_fulfilment(self.to(cx, "shipping", &placed.subject), request).await;
        created(answer.map(|answer| answer.fulfilment), order.cancel_asked())
    }

    /// Asks shipping to stop pieces, or all of it.
    async fn stop(
        &self,
        cx: &Cx,
        order_id: OrderId,
        subject: &Arc<str>,
        cancel_id: &str,
        lines: Vec<LinePart>,
    ) -> Outcome {
        let request = CancelFulfilmentRequest {
            order_id: order_id.to_string(),
            cancel_id: cancel_id.to_owned(),
            reason: order::CANCELLED_BY_CUSTOMER.to_owned(),
            lines,
        };
        stopped(self.shipping.cancel_fulfilment(self.to(cx, "shipping", subject), request).await)
    }

    /// A call to a service on behalf of whose order it is.
    fn to(&self, cx: &Cx, service: &'static str, subject: &Arc<str>) -> Cx {
        cx.for_call(self.identity.token_for(service, Some(subject)))
    }
}

impl Saga for Effects {
    type State = Order;

    fn outstanding(&self, order: &Order) -> Vec<Intent> {
        order::outstanding(order)
    }

    fn perform(&self, call: Call<Order>) -> BoxFuture<'_, Outcome> {
        Box::pin(async move { self.attempt(&call).await })
    }

    fn record(
        &self,
        order: &Order,
        intent: &Intent,
        outcome: &Outcome,
        attempt: u32,
        now: Timestamp,
    ) -> Recording<order::OrderEvent> {
        self.recording(order, order::record(order, intent, outcome, attempt, now), now)
    }

    fn sagas<'a>(&'a self, order: &'a Order) -> Vec<(&'a Definition, &'a Progress)> {
        vec![
            (place::definition(order.place().version()), order.place()),
            (fulfil::definition(), order.fulfil()),
            (cancel::definition(order.cancel().version()), order.cancel()),
        ]
    }

    fn moved(&self, order: &Order, moves: Vec<Event>, now: Timestamp) -> Recording<order::OrderEvent> {
        self.recording(order, order::moved_by_hand(order, moves), now)
    }
}

impl Effects {
    fn recording(
        &self,
        order: &Order,
        events: Vec<order::OrderEvent>,
        now: Timestamp,
    ) -> Recording<order::OrderEvent> {
        let timers = order::timers(order, &events, now, &self.windows);
        Recording { events, set_timers: timers.set, cancel_timers: timers.cancel, ..Recording::default() }
    }
}

/// The payment is made of the order's id, so it is the same for every attempt.
fn payment_id(order_id: OrderId) -> String {
    PaymentId::from_uuid(order_id.uuid()).to_string()
}

fn whole_seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs()).expect("half an hour fits")
}

fn why_back(order: &Order) -> &str {
    match order.place().phase() {
        Phase::Undoing(reason) | Phase::Undone(reason) | Phase::Abandoned(reason) => reason,
        Phase::NotStarted | Phase::Forward | Phase::Completed => "",
    }
}

/// The reserved pieces with the titles that the customer saw.
fn to_ship(order: &Order, reservation: Reservation) -> Vec<FulfilmentLine> {
    let title = |line: u32| order.lines().iter().find(|known| known.line == line).map(|known| &known.title);
    let to_ship = |line: souk_contracts::inventory::v1::AllocatedLine| FulfilmentLine {
        line: line.line,
        title: title(line.line).map(ToString::to_string).unwrap_or_default(),
        sku: line.sku,
        quantity: line.quantity,
        location: line.location,
    };
    reservation.lines.into_iter().map(to_ship).collect()
}

/// What the customer is asked for, as the saga records it.
fn asks(awaits: &Awaits) -> Outcome {
    match serde_json::to_value(awaits) {
        Ok(on) => Outcome::Waiting { on },
        Err(error) => Outcome::unknown(error),
    }
}
