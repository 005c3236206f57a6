//! The order service as its callers see it: its own store and sagas, and doubles for the services it calls.
mod agreed;
mod desk;
mod doubles;
mod exchanges;
mod life;
mod messages;
mod orders;
mod parcels;
mod returns;
mod sagas;
mod shop;
