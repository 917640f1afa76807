//! WebSocket: everything that knows the protocol of RFC 6455 or the library for it.

pub mod client;
pub mod codec;
