//! What the cart does when it hears of something: a confirmed order converts the cart that it was made of.
//! Order never calls the cart; a cart that hears late is merely late.
use crate::domain::{ACTIVE_SCOPE, Cart, CartEvent, Conversion, convert};
use crate::proto::{self, Confirmed};
use prost::Message;
use souk_bus::{Poison, Reactor};
use souk_contracts::order::v1::OrderConfirmed;
use souk_contracts::terms::CartId;
use souk_eventstore::{CommitId, Decision, Expected, InboxMark, Origin, StreamId, Work};
use souk_kernel::{Error, TypeId};
use souk_rpc::feed::FeedEvent;

/// The reaction's name in inbox marks, for ever.
pub const NAME: &str = "cart.orders";
const ORDER_CONFIRMED: &str = "souk.order.v1.OrderConfirmed";

/// Follows orders.
pub struct Orders;

impl Reactor for Orders {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "order"
    }

    fn wants(&self, kind: &str) -> bool {
        kind == ORDER_CONFIRMED
    }

    fn work(&self, event: &FeedEvent, mark: InboxMark) -> Result<Work, Poison> {
        let message =
            OrderConfirmed::decode(&event.data[..]).map_err(|e| Poison { reason: e.to_string() })?;
        let confirmed = proto::confirmed(message)
            .map_err(|invalid| Poison { reason: Error::from(invalid).message().to_owned() })?;
        let origin = Origin::by(NAME)
            .correlation(event.correlation_id.as_str())
            .causation(event.id.as_str())
            .trace(event.traceparent.as_str());
        let work = Work::new(CommitId::derived(&[NAME, &event.id]), origin);
        Ok(match confirmed.cart_id {
            Some(cart) => converting(work, StreamId::of::<Cart>(cart), confirmed, mark),
            // An agreed quote was made of no cart.
            None => work.decide(move |_, _| Ok(Decision::new().inbox(mark.clone()))),
        })
    }
}

/// The left-over lines go to a cart whose id is derived from the order's: the same whenever this is tried.
fn converting(work: Work, stream: StreamId, confirmed: Confirmed, mark: InboxMark) -> Work {
    let successor = CartId::from_uuid(confirmed.order_id.uuid());
    work.read::<Cart>(&stream).decide(move |facts, _| {
        let cart = facts.state::<Cart>(&stream);
        let Confirmed { order_id, owner, ordered, .. } = &confirmed;
        let decision = Decision::new().inbox(mark.clone());
        Ok(match convert(&cart, *order_id, owner, ordered, successor) {
            Some(conversion) => carried_out(decision, &stream, conversion),
            // Converted already, or not theirs: that is the outcome.
            None => decision,
        })
    })
}

fn carried_out(decision: Decision, stream: &StreamId, conversion: Conversion) -> Decision {
    let owner = conversion.converted.owner.clone();
    let decision = decision
        .append(stream, Expected::Exists, vec![CartEvent::CartConverted(conversion.converted)])
        .release(ACTIVE_SCOPE, owner.clone());
    let Some(opened) = conversion.successor else { return decision };
    let cart_id = opened.cart_id.to_string();
    decision
        .append(StreamId::of::<Cart>(&cart_id), Expected::NoStream, vec![CartEvent::CartOpened(opened)])
        .hold(ACTIVE_SCOPE, owner, cart_id)
}
