//! Driving: the generator, its workers and the staircase.

pub mod histogram;
pub mod protocol;
pub mod worker;
