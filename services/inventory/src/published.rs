//! What others hear of stock: nothing yet. Order asks and is answered, and availability is read when it is
//! needed; an event that nobody consumes would be a promise without a reason. The first consumer brings it.
use souk_eventstore::Publish;

/// No event of this service is public.
pub const PUBLISH: Option<Publish> = None;
