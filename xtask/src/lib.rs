//! The chores of this repository: checking that the house is tidy, and making files to try the shop with.
//!
//! Run as `cargo xtask <chore>`. Nothing here ships with the shop.

pub mod sample;
pub mod tidy;
