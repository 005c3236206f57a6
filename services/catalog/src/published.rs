//! What others hear of the catalog: promotions that came to be and that somebody ended. One that merely runs out
//! is not told; when it does stands in the news of its beginning.
use crate::domain::promotion::{Promotion, PromotionEvent};
use crate::proto::pricing;
use prost::Message;
use souk_contracts::catalog::v1 as pb;
use souk_eventstore::{PublicEvent, Publish, Recorded};

/// The full names of the published messages.
pub const PROMOTION_PUBLISHED: &str = "souk.catalog.v1.PromotionPublished";
pub const PROMOTION_DISABLED: &str = "souk.catalog.v1.PromotionDisabled";

/// What the store asks in each commit.
pub fn publish() -> Publish {
    Publish(|recorded: &Recorded| {
        let event = recorded.of::<Promotion>()?;
        Some(match event.as_ref() {
            PromotionEvent::PromotionCreated(e) => {
                let message = pb::PromotionPublished { promotion: Some(pricing::promotion_input(&e.terms)) };
                PublicEvent { kind: PROMOTION_PUBLISHED, data: message.encode_to_vec() }
            }
            PromotionEvent::PromotionDisabled(e) => {
                let message = pb::PromotionDisabled {
                    promotion_id: recorded.stream.id().to_owned(),
                    reason: e.reason.to_string(),
                    disabled_at: Some(souk_rpc::time::to_proto(e.at)),
                };
                PublicEvent { kind: PROMOTION_DISABLED, data: message.encode_to_vec() }
            }
        })
    })
}
