//! The client's side of RFC 6455 without sockets: bytes in, steps and bytes out. The generator's engine and the fuzz
//! targets run the same code.
//!
//! - [`frame`]: headers, masks, what is forbidden in them;
//! - [`receiver`]: frames become messages, however the bytes are cut;
//! - [`handshake`]: the upgrade's request and the check of its response;
//! - [`session`]: one connection from the request to the close handshake.

pub mod frame;
pub mod handshake;
pub mod receiver;
pub mod session;
