//! The shipping service as its callers see it, on a real store, with the real carrier simulator beside it.
mod calls;
mod carrying;
mod notices;
mod shop;
