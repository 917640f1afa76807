//! Opens and drives WebSocket connections, up to millions of them, and measures what becomes of each.
//!
//! ```text
//! caller --step(target)--> generator --Command lines--> worker processes --WebSocket--> servers
//!        <--StepRecord---           <--Report lines---
//! ```

pub mod addresses;
pub mod client;
pub mod codec;
pub mod generator;
pub mod histogram;
pub mod load;
pub mod null;
pub mod occupied;
pub mod protocol;
pub mod step;
pub mod template;
pub mod tls;
pub mod worker;
