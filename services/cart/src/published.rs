//! What others hear of carts: that a guest's went into a customer's. Whoever remembers something under the guest
//! can move it.
use crate::domain::{Cart, CartEvent};
use prost::Message;
use souk_contracts::cart::v1 as pb;
use souk_eventstore::{PublicEvent, Publish, Recorded};

/// The full name of the published message.
pub const CART_MERGED: &str = "souk.cart.v1.CartMerged";

/// What the store asks in each commit.
pub fn publish() -> Publish {
    Publish(|recorded: &Recorded| {
        let event = recorded.of::<Cart>()?;
        match event.as_ref() {
            CartEvent::CartMerged(merged) => {
                let message = pb::CartMerged {
                    guest_cart_id: recorded.stream.id().to_owned(),
                    guest: merged.owner.to_string(),
                    cart_id: merged.into.to_string(),
                    customer: merged.customer.to_string(),
                };
                Some(PublicEvent { kind: CART_MERGED, data: message.encode_to_vec() })
            }
            CartEvent::CartOpened(_)
            | CartEvent::ItemAdded(_)
            | CartEvent::QuantitySet(_)
            | CartEvent::ItemRemoved(_)
            | CartEvent::CartCleared(_)
            | CartEvent::MarketChanged(_)
            | CartEvent::LinesMerged(_)
            | CartEvent::CartConverted(_) => None,
        }
    })
}
