//! What the shipped targets in Rust have in common, so that their rows in a report differ by what they do and by nothing
//! else. No WebSocket here: a target's protocol and its buffers are its own.

pub mod address;
pub mod listen;
pub mod runtime;
pub mod units;
pub mod work;
