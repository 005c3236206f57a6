//! Carts as their callers know them: a real store, their own guard, calls that go through bytes.
mod changing;
mod converting;
mod losing;
mod merging;
mod others;
mod shop;
