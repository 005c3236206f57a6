//! The chores of this repository: checking that the house is tidy, making files to try the shop with, and
//! starting the crash laboratory.
//!
//! Run as `cargo xtask <chore>`. Nothing here ships with the shop.

pub mod crashlab;
pub mod sample;
pub mod tidy;
