//! Inventory as its callers know it: a real store, its own guard, calls that go through bytes.
mod calls;
mod faults;
mod moving;
mod races;
mod random;
mod reading;
mod shop;
