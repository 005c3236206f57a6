//! The checks across services: what each store says must fit what the others say, and what the payment
//! provider says. Read-only; the shop may run meanwhile.
//!
//! Nothing here decides anything. Facts are folded from the logs by the services' own `evolve`, and judged by
//! the predicates in their `invariants`.
mod checks;
mod facts;
pub mod rest;

pub use checks::{Finding, IDS_MAX, check, render};
pub use facts::Facts;
pub use rest::Rest;
