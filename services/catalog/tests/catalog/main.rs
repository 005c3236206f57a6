//! The catalog as its callers know it: a real store, its own guard, calls that go through bytes.
mod finding;
mod keeping;
mod pricing;
mod redeeming;
mod shop;
