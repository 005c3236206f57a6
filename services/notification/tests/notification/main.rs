//! The service as the host runs it, called as others call it, with real receivers: a mail server and an HTTP
//! server on loopback, and a feed that says what order would say.
mod calling;
mod house;
mod mailing;
mod receiver;
mod telling;
