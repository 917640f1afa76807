//! Driving: the generator's workers, the coordinator that commands them, and the staircase that looks for the ceiling.
//!
//! ```text
//! staircase --step(target)--> generator --Command lines--> worker processes --WebSocket--> instances
//!           <--StepRecord---           <--Report lines---
//! ```

pub mod addresses;
pub mod client;
pub mod generator;
pub mod histogram;
pub mod occupied;
pub mod protocol;
pub mod staircase;
pub mod step;
pub mod template;
pub mod worker;
