//! The checks across services: what each store says must fit what the others say, and what the payment
//! provider says. Read-only; the shop may run meanwhile.
//!
//! Nothing here decides anything. Facts are folded from the logs by the services' own `evolve`, and judged by
//! the predicates in their `invariants`.
mod checks;
mod facts;
pub mod leaks;
mod money;
mod parcels;
pub mod rest;
mod returns;
mod sales;

pub use checks::{Finding, IDS_MAX, check, render};
pub use facts::{Facts, Numbers};
pub use rest::Rest;
