//! Running: launch -> ready -> verify -> drive + sample -> stop, for every trial of the plan.

pub mod drive;
pub mod launch;
pub mod sample;
pub mod websocket;
