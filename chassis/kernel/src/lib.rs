//! The words that every other crate shares: typed ids, money, time, errors, page tokens, and the two sources
//! of nondeterminism (clock and entropy) as traits that the host injects.
//!
//! There is no tokio, no SQL, no network, no real clock and no randomness in this crate: it can be used
//! inside pure rules.
//!
//! ```
//! use souk_kernel::{Money, Currency};
//! let gbp = Currency::parse("GBP").expect("a known code");
//! let price = Money::new(255, gbp);
//! assert_eq!(price.times(6).expect("fits").to_string(), "15.30 GBP");
//! ```
#![warn(missing_docs)]

mod clock;
mod error;
mod id;
mod money;
mod page;
mod sealed;
mod time;

pub use clock::{Clock, Entropy, Ids, ManualClock, SeededEntropy};
pub use error::{Code, Error, FieldViolation, Invalid, Rejection};
pub use id::{ParseIdError, TypeId, Uuid};
pub use money::{Currency, Money, MoneyError};
pub use page::PageToken;
pub use sealed::Sealed;
pub use time::{ParseTimeError, Timestamp};

#[doc(hidden)]
pub use serde as __serde;
