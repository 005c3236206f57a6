//! Inventory as its callers know it: a real store, its own guard, calls that go through bytes.
mod calls;
mod faults;
mod races;
mod random;
mod shop;
