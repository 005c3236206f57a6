//! Calls to other services: what a saga says is outstanding, and what a quote is made of.
//!
//! A participant's recorded answer is `Done` or `Refused`. Everything else, errors of whatever code
//! included, is `Unknown`: it is asked again under the same ids and stays visible until it is answered.
use crate::domain::SKUS_NAMED_MAX;
use crate::domain::order::{self, Order, OrderPlaced};
use crate::domain::quote::{CartLine, Listing};
use crate::{cancel, place};
use souk_contracts::cart::v1::{CartServiceClient, ReadLinesRequest};
use souk_contracts::catalog::v1::{BatchGetVariantsRequest, CatalogServiceClient, VariantResult};
use souk_contracts::inventory::v1::{
    CommitRequest, InventoryServiceClient, ReleaseRequest, Reservation, ReservationStatus, ReserveRequest,
    StockLine,
};
use souk_contracts::payment::v1::{
    AuthorizeRequest, CaptureRequest, Payment, PaymentServiceClient, PaymentStatus, RefundRequest,
    VoidRequest,
};
use souk_contracts::terms::{CartId, Market, PaymentId, Quantity, Sku, money_from_proto};
use souk_contracts::types::v1::Money as MoneyMessage;
use souk_host::Resources;
use souk_identity::ServiceIdentity;
use souk_kernel::{Code, Error, Timestamp, TypeId};
use souk_rpc::{BoxFuture, Cx};
use souk_saga::{Call, Direction, Intent, Outcome, Phase, Recording, Saga};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// How many SKUs the catalog answers at once.
const SKUS_PER_CALL: usize = 500;

/// The one capture and the one refund that an order can have.
const CAPTURE_ID: &str = "full";
const REFUND_ID: &str = "cancel";

/// The other services, called as this one.
#[derive(Clone)]
pub struct Effects {
    identity: Arc<ServiceIdentity>,
    inventory: InventoryServiceClient,
    payment: PaymentServiceClient,
    cart: CartServiceClient,
    catalog: CatalogServiceClient,
}

/// A cart as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Cart {
    pub market: Market,
    pub version: u64,
    pub lines: Vec<CartLine>,
}

impl Effects {
    pub fn new(own: &Resources) -> Self {
        Self {
            identity: own.identity.clone(),
            inventory: own.peers.get(),
            payment: own.peers.get(),
            cart: own.peers.get(),
            catalog: own.peers.get(),
        }
    }

    /// The lines of the owner's cart.
    pub async fn read_cart(&self, cx: &Cx, owner: &str, cart_id: CartId) -> Result<Cart, Error> {
        let cx = cx.for_call(self.identity.token_for("cart", Some(owner)));
        let cart = self.cart.read_lines(cx, ReadLinesRequest { cart_id: cart_id.to_string() }).await?;
        let line = |line: &souk_contracts::cart::v1::PlainLine| {
            Ok(CartLine {
                line: line.line,
                sku: line.sku.parse::<Sku>().map_err(unreadable)?,
                quantity: Quantity::try_new(line.quantity).map_err(unreadable)?,
            })
        };
        Ok(Cart {
            market: cart.market.parse().map_err(unreadable)?,
            version: cart.version,
            lines: cart.lines.iter().map(line).collect::<Result<_, Error>>()?,
        })
    }

    /// What the catalog says of each SKU, in the order asked.
    pub async fn listings<'a>(
        &self,
        cx: &Cx,
        skus: impl Iterator<Item = &'a Sku> + Clone,
        market: &Market,
    ) -> Result<Vec<Listing>, Error> {
        let distinct: Vec<&Sku> = skus.clone().collect::<BTreeSet<_>>().into_iter().collect();
        let calls = distinct.chunks(SKUS_PER_CALL).map(|chunk| {
            let skus = chunk.iter().map(ToString::to_string).collect();
            let cx = cx.for_call(self.identity.token_for("catalog", None));
            self.catalog.batch_get_variants(cx, BatchGetVariantsRequest { skus, market: market.to_string() })
        });
        let mut known: HashMap<String, Listing> = HashMap::with_capacity(distinct.len());
        for answer in futures_util::future::try_join_all(calls).await? {
            for result in answer.results {
                let listing = listing(&result)?;
                known.insert(result.sku, listing);
            }
        }
        Ok(skus.map(|sku| known.get(sku.as_str()).cloned().unwrap_or(Listing::Unknown)).collect())
    }

    async fn attempt(&self, call: &Call<Order>) -> Outcome {
        let Some(placed) = call.state.placed() else { return Outcome::unknown("there is no such order") };
        let (order, cx) = (&call.state, &call.cx);
        match (call.intent.step, call.intent.direction) {
            (place::RESERVE, Direction::Do) => self.reserve(cx, placed).await,
            (place::RESERVE, Direction::Undo) => self.release(cx, placed, why_back(order)).await,
            (place::AUTHORIZE, Direction::Do) => self.authorize(cx, placed).await,
            (place::AUTHORIZE, Direction::Undo) => self.void(cx, placed, why_back(order)).await,
            (place::COMMIT, Direction::Do) => self.commit(cx, placed).await,
            (place::CAPTURE, Direction::Do) => self.capture(cx, placed).await,
            (cancel::RELEASE, Direction::Do) => self.release(cx, placed, order::CANCELLED_BY_CUSTOMER).await,
            (cancel::RETURN_MONEY, Direction::Do) => self.return_money(cx, placed).await,
            (step, direction) => Outcome::unknown(format!("nothing is known of {direction} {step}")),
        }
    }

    async fn reserve(&self, cx: &Cx, placed: &OrderPlaced) -> Outcome {
        let lines = placed.lines.iter().map(|line| StockLine {
            line: line.line,
            sku: line.sku.to_string(),
            quantity: line.quantity.get(),
        });
        let request = ReserveRequest {
            reservation_id: placed.order_id.to_string(),
            lines: lines.collect(),
            ttl_s: u32::try_from(place::DEADLINE.as_secs()).expect("half an hour fits"),
        };
        let answer = self.inventory.reserve(self.to_inventory(cx, placed), request).await;
        reserved(answer.map(|answer| answer.reservation))
    }

    async fn commit(&self, cx: &Cx, placed: &OrderPlaced) -> Outcome {
        let request = CommitRequest { reservation_id: placed.order_id.to_string() };
        let answer = self.inventory.commit(self.to_inventory(cx, placed), request).await;
        committed(answer.map(|answer| answer.reservation))
    }

    async fn release(&self, cx: &Cx, placed: &OrderPlaced, reason: &str) -> Outcome {
        let request =
            ReleaseRequest { reservation_id: placed.order_id.to_string(), reason: reason.to_owned() };
        let answer = self.inventory.release(self.to_inventory(cx, placed), request).await;
        released(answer.map(|answer| answer.reservation))
    }

    async fn authorize(&self, cx: &Cx, placed: &OrderPlaced) -> Outcome {
        let request = AuthorizeRequest {
            payment_id: payment_id(placed),
            order_id: placed.order_id.to_string(),
            amount: Some(placed.total.into()),
            payment_method_token: placed.payment_method_token.to_string(),
        };
        let answer = self.payment.authorize(self.to_payment(cx, placed), request).await;
        authorized(answer.map(|answer| answer.payment))
    }

    async fn capture(&self, cx: &Cx, placed: &OrderPlaced) -> Outcome {
        let request = CaptureRequest {
            payment_id: payment_id(placed),
            capture_id: CAPTURE_ID.to_owned(),
            amount: Some(placed.total.into()),
        };
        let answer = self.payment.capture(self.to_payment(cx, placed), request).await;
        captured(answer.map(|answer| answer.payment), placed)
    }

    async fn void(&self, cx: &Cx, placed: &OrderPlaced, reason: &str) -> Outcome {
        match self.ask_void(cx, placed, reason).await {
            Ok(answer) => voided(answer),
            Err(error) => silent(&error),
        }
    }

    async fn ask_void(&self, cx: &Cx, placed: &OrderPlaced, reason: &str) -> Result<Option<Payment>, Error> {
        let request = VoidRequest { payment_id: payment_id(placed), reason: reason.to_owned() };
        Ok(self.payment.void(self.to_payment(cx, placed), request).await?.payment)
    }

    /// Payment knows whether the capture came first; the answer to the void says so.
    async fn return_money(&self, cx: &Cx, placed: &OrderPlaced) -> Outcome {
        match self.ask_void(cx, placed, order::CANCELLED_BY_CUSTOMER).await {
            Ok(answer) => voided(answer),
            Err(error) if is_recorded_refusal(&error, &["ALREADY_CAPTURED"]) => self.refund(cx, placed).await,
            Err(error) => silent(&error),
        }
    }

    async fn refund(&self, cx: &Cx, placed: &OrderPlaced) -> Outcome {
        let request = RefundRequest {
            payment_id: payment_id(placed),
            refund_id: REFUND_ID.to_owned(),
            amount: Some(placed.total.into()),
            reason: order::CANCELLED_BY_CUSTOMER.to_owned(),
        };
        let answer = self.payment.refund(self.to_payment(cx, placed), request).await;
        refunded(answer.map(|answer| answer.payment), placed)
    }

    fn to_inventory(&self, cx: &Cx, placed: &OrderPlaced) -> Cx {
        cx.for_call(self.identity.token_for("inventory", Some(&placed.subject)))
    }

    fn to_payment(&self, cx: &Cx, placed: &OrderPlaced) -> Cx {
        cx.for_call(self.identity.token_for("payment", Some(&placed.subject)))
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
        _now: Timestamp,
    ) -> Recording<order::OrderEvent> {
        let events = order::record(order, intent, outcome, attempt);
        let key = order.placed().filter(|_| place::ends_deadline(&events));
        let cancel_timers = key.map(|placed| place::deadline_key(placed.order_id)).into_iter().collect();
        Recording { events, cancel_timers, ..Recording::default() }
    }
}

/// The payment is made of the order's id, so it is the same for every attempt.
fn payment_id(placed: &OrderPlaced) -> String {
    PaymentId::from_uuid(placed.order_id.uuid()).to_string()
}

fn why_back(order: &Order) -> &str {
    match order.place().phase() {
        Phase::Undoing(reason) | Phase::Undone(reason) | Phase::Abandoned(reason) => reason,
        Phase::NotStarted | Phase::Forward | Phase::Completed => "",
    }
}

/// A peer answered what its own contract forbids.
fn unreadable(why: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal(why)
}

fn listing(result: &VariantResult) -> Result<Listing, Error> {
    let Some(variant) = &result.variant else { return Ok(Listing::Unknown) };
    let title: Arc<str> = variant.title.as_str().into();
    let Some(price) = &variant.price else { return Ok(Listing::Unpriced { title }) };
    let Some(amount) = &price.amount else { return Ok(Listing::Unpriced { title }) };
    let price_version = price.price_version;
    Ok(Listing::Priced { title, price: money_from_proto(amount).map_err(unreadable)?, price_version })
}

fn silent(error: &Error) -> Outcome {
    Outcome::unknown(format!("{}: {}", error.reason(), error.message()))
}

fn unexpected(what: impl std::fmt::Debug) -> Outcome {
    Outcome::unknown(format!("an answer that fits no step: {what:?}"))
}

type Answer<T> = Result<Option<T>, Error>;

/// What an answer to Reserve means.
fn reserved(answer: Answer<Reservation>) -> Outcome {
    match answer {
        Err(error) => silent(&error),
        Ok(None) => unexpected("no reservation"),
        Ok(Some(reservation)) => match reservation.status() {
            // An expired promise was still given; the commit asks whether it can be given again.
            ReservationStatus::Held | ReservationStatus::Committed | ReservationStatus::Expired => {
                Outcome::done()
            }
            ReservationStatus::Refused | ReservationStatus::Released => no_stock(&reservation),
            ReservationStatus::Unspecified => unexpected(reservation.status),
        },
    }
}

/// What an answer to Commit means.
fn committed(answer: Answer<Reservation>) -> Outcome {
    match answer {
        Err(error) => silent(&error),
        Ok(None) => unexpected("no reservation"),
        Ok(Some(reservation)) => match reservation.status() {
            ReservationStatus::Committed => Outcome::done(),
            ReservationStatus::Refused | ReservationStatus::Released | ReservationStatus::Expired => {
                no_stock(&reservation)
            }
            ReservationStatus::Held | ReservationStatus::Unspecified => unexpected(reservation.status),
        },
    }
}

/// What an answer to Release means.
fn released(answer: Answer<Reservation>) -> Outcome {
    match answer {
        Err(error) => silent(&error),
        Ok(None) => unexpected("no reservation"),
        Ok(Some(reservation)) => match reservation.status() {
            ReservationStatus::Released | ReservationStatus::Refused | ReservationStatus::Expired => {
                Outcome::done()
            }
            ReservationStatus::Held | ReservationStatus::Committed | ReservationStatus::Unspecified => {
                unexpected(reservation.status)
            }
        },
    }
}

/// The order's reason for a refusal is inventory's own word, whatever that is: a word that is new there must
/// not become a wrong one here.
fn no_stock(reservation: &Reservation) -> Outcome {
    let short = reservation.shortages.iter().take(SKUS_NAMED_MAX);
    let detail: Vec<String> =
        short.map(|s| format!("{}: {} of {}", s.sku, s.available.max(0), s.wanted)).collect();
    match reservation.refusal_reason.as_str() {
        "" => Outcome::refused("RESERVATION_EXPIRED", detail.join(", ")),
        reason => Outcome::refused(reason, detail.join(", ")),
    }
}

/// What an answer to Authorize means.
fn authorized(answer: Answer<Payment>) -> Outcome {
    match answer {
        Err(error) => silent(&error),
        Ok(None) => unexpected("no payment"),
        Ok(Some(payment)) => match payment.status() {
            PaymentStatus::Authorized | PaymentStatus::PartiallyCaptured | PaymentStatus::Captured => {
                Outcome::done()
            }
            PaymentStatus::Declined => Outcome::refused("PAYMENT_DECLINED", payment.decline_code),
            PaymentStatus::Voided => Outcome::refused("PAYMENT_DECLINED", "voided"),
            PaymentStatus::Authorizing | PaymentStatus::Unknown => Outcome::unknown("the provider is silent"),
            PaymentStatus::RequiresAction => Outcome::unknown("the customer has not acted yet"),
            PaymentStatus::AuthExpired => Outcome::unknown("the promise has expired"),
            PaymentStatus::PartiallyRefunded | PaymentStatus::Refunded | PaymentStatus::Unspecified => {
                unexpected(payment.status)
            }
        },
    }
}

/// What an answer to Capture means. A refusal is final only where payment records it.
fn captured(answer: Answer<Payment>, placed: &OrderPlaced) -> Outcome {
    match answer {
        Err(error) if is_recorded_refusal(&error, &["CAPTURE_REFUSED", "PAYMENT_VOIDED"]) => {
            Outcome::refused(error.reason(), error.message())
        }
        Err(error) => silent(&error),
        Ok(None) => unexpected("no payment"),
        Ok(Some(payment)) if is_total(payment.captured.as_ref(), placed) => Outcome::done(),
        Ok(Some(payment)) => unexpected(payment.status),
    }
}

/// What an answer to Void means.
fn voided(payment: Option<Payment>) -> Outcome {
    match payment.as_ref().map(Payment::status) {
        // Nothing was promised, or the promise is given up: either way nothing is held.
        Some(PaymentStatus::Voided | PaymentStatus::Declined) => Outcome::Done(cancel::VOIDED.into()),
        other => unexpected(other),
    }
}

/// What an answer to Refund means.
fn refunded(answer: Answer<Payment>, placed: &OrderPlaced) -> Outcome {
    match answer {
        Err(error) if is_recorded_refusal(&error, &["REFUND_REFUSED"]) => {
            Outcome::refused(error.reason(), error.message())
        }
        Err(error) => silent(&error),
        Ok(None) => unexpected("no payment"),
        Ok(Some(payment)) if is_total(payment.refunded.as_ref(), placed) => {
            Outcome::Done(cancel::REFUNDED.into())
        }
        Ok(Some(payment)) => unexpected(payment.status),
    }
}

/// Whether all of the order's money moved; the amount says so more plainly than a status, also when it is 0.
fn is_total(moved: Option<&MoneyMessage>, placed: &OrderPlaced) -> bool {
    moved.and_then(|money| money_from_proto(money).ok()) == Some(placed.total)
}

fn is_recorded_refusal(error: &Error, reasons: &[&str]) -> bool {
    error.code() == Code::FailedPrecondition && reasons.contains(&error.reason())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::order::{OrderEvent, Place, place};
    use crate::domain::samples::{at, gbp, of_cart, offer, order_id};
    use souk_kernel::Money;

    fn placed() -> Arc<OrderPlaced> {
        let placing =
            Place { order_id: order_id(), placed_by: "gst_1".into(), payment_method_token: "ok".into() };
        let events = place(&Order::default(), &offer(of_cart()), &placing, at(0));
        let OrderEvent::OrderPlaced(placed) = &events[0] else { panic!("{events:?}") };
        placed.clone()
    }

    /// `done`, a refusal's reason, or `unknown`.
    fn word(outcome: Outcome) -> String {
        match outcome {
            Outcome::Done(_) => "done".to_owned(),
            Outcome::Refused { reason, .. } => reason,
            Outcome::Unknown { .. } => "unknown".to_owned(),
        }
    }

    #[test]
    fn only_a_recorded_answer_of_inventory_counts() {
        use ReservationStatus as Status;
        let words = |status: Status, refusal_reason: &str| {
            let answer = || {
                let refusal_reason = refusal_reason.to_owned();
                Ok(Some(Reservation { status: status.into(), refusal_reason, ..Reservation::default() }))
            };
            [reserved(answer()), committed(answer()), released(answer())].map(word)
        };
        let expired = "RESERVATION_EXPIRED";
        assert_eq!(words(Status::Held, ""), ["done", "unknown", "unknown"]);
        assert_eq!(words(Status::Committed, ""), ["done", "done", "unknown"]);
        assert_eq!(words(Status::Expired, ""), ["done", expired, "done"]);
        let released_word = "RESERVATION_RELEASED";
        assert_eq!(words(Status::Released, released_word), [released_word, released_word, "done"]);
        assert_eq!(
            words(Status::Refused, "A_NEW_WORD")[0],
            "A_NEW_WORD",
            "what is new there is not wrong here"
        );
        assert_eq!(words(Status::Refused, "UNKNOWN_SKU"), ["UNKNOWN_SKU", "UNKNOWN_SKU", "done"]);
        assert_eq!(words(Status::Unspecified, ""), ["unknown"; 3]);
        assert_eq!([reserved(Ok(None)), committed(Ok(None)), released(Ok(None))].map(word), ["unknown"; 3]);
    }

    #[test]
    fn only_a_recorded_answer_of_payment_counts() {
        use PaymentStatus as Status;
        let payment = |status: Status| Payment { status: status.into(), ..Payment::default() };
        let authorize = |status| word(authorized(Ok(Some(payment(status)))));
        assert_eq!(authorize(Status::Authorized), "done");
        assert_eq!(authorize(Status::Declined), "PAYMENT_DECLINED");
        assert_eq!(authorize(Status::Voided), "PAYMENT_DECLINED");
        for silent in [Status::Authorizing, Status::Unknown, Status::Unspecified, Status::Refunded] {
            assert_eq!(authorize(silent), "unknown", "{silent:?}");
        }
        let void = |status| word(voided(Some(payment(status))));
        assert_eq!((void(Status::Voided).as_str(), void(Status::Declined).as_str()), ("done", "done"));
        assert_eq!(
            (void(Status::Authorized).as_str(), void(Status::Unknown).as_str()),
            ("unknown", "unknown")
        );
    }

    #[test]
    fn money_has_moved_when_all_of_it_has() {
        let placed = placed();
        let moved = |minor| {
            let money = Some(Money::new(minor, gbp()).into());
            Payment { captured: money.clone(), refunded: money, ..Payment::default() }
        };
        let all = placed.total.minor_units();
        for (minor, expected) in [(all, "done"), (all - 1, "unknown"), (0, "unknown")] {
            assert_eq!(word(captured(Ok(Some(moved(minor))), &placed)), expected);
            assert_eq!(word(refunded(Ok(Some(moved(minor))), &placed)), expected);
        }
        assert_eq!(word(captured(Ok(Some(Payment::default())), &placed)), "unknown");
    }

    #[test]
    fn an_error_is_never_a_refusal_unless_payment_records_it() {
        let codes = [Code::PermissionDenied, Code::InvalidArgument, Code::NotFound, Code::Unavailable];
        let placed = placed();
        for code in codes {
            let error = || Error::new(code, "CAPTURE_REFUSED", "no");
            assert_eq!(word(reserved(Err(error()))), "unknown");
            assert_eq!(word(authorized(Err(error()))), "unknown");
            assert_eq!(word(captured(Err(error()), &placed)), "unknown");
        }
        let error = |reason| Error::new(Code::FailedPrecondition, reason, "no");
        assert_eq!(word(authorized(Err(error("PAYMENT_CONFLICT")))), "unknown");
        assert_eq!(word(captured(Err(error("CAPTURE_REFUSED")), &placed)), "CAPTURE_REFUSED");
        assert_eq!(word(captured(Err(error("PAYMENT_CONFLICT")), &placed)), "unknown");
        assert_eq!(word(refunded(Err(error("REFUND_REFUSED")), &placed)), "REFUND_REFUSED");
        assert_eq!(word(refunded(Err(error("CAPTURE_REFUSED")), &placed)), "unknown");
    }
}
