//! A carrier, played: a company of its own with its own books, that knows nothing of the shop. What happens to a
//! parcel is decided by its [scenario](scenarios::Scenario), so that every way in which a parcel can travel, and
//! every way in which a carrier can tell of it, can be asked for by name.
//!
//! [`Carrier`] answers calls and, by its timers, moves parcels and sends notices through a [`Messenger`];
//! [`truth`] reads its books, for whoever compares them with a shop's.
pub mod domain;
mod post;
mod proto;
pub mod scenarios;
mod simulator;
pub mod truth;
mod views;

pub use post::Post;
pub use simulator::{Carrier, Messenger, Notice, Options};
pub use views::views;

/// The name of the carrier's role and store.
pub const NAME: &str = "carrier";

/// The secret that it shares with a shop that runs under the same key.
pub fn secret(signer: &souk_identity::Signer) -> souk_identity::WebhookSecret {
    souk_identity::WebhookSecret::derived(signer, &format!("carrier {CALLED}"))
}

/// What the carrier calls itself in its notices' path.
pub const CALLED: &str = "sim";
