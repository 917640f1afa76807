//! Opens and drives WebSocket connections, up to millions of them, and measures what becomes of each.
//!
//! ```text
//! caller --step(target)--> generator --Command lines--> worker processes --WebSocket--> servers
//!        <--StepRecord---           <--Report lines---
//! ```

pub mod addresses;
pub mod client;
pub mod codec;
pub mod coordinator;
pub mod histogram;
pub mod ipc;
pub mod load;
pub mod probe_client;
pub mod sink;
pub mod step;
pub mod template;
pub mod tls;
pub mod used_ports;
pub mod worker;
