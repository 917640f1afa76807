//! What the shipped targets in Rust have in common, so that their rows in a report differ only by what they do. There is no
//! WebSocket here: each target has its own protocol and buffers.

pub mod address;
pub mod listen;
pub mod rate;
pub mod runtime;
pub mod serve;
pub mod units;
pub mod work;
