//! Driving: the generator, its workers and the staircase.

pub mod protocol;
