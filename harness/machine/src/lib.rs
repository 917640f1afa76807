//! Reads the kernel: facts of the machine ([`environment`]), the [`cgroup`] of a process, disjoint cores
//! ([`placement`]) and samples of what every part of a trial uses ([`sample`]). Nothing here changes anything.

pub mod cgroup;
pub mod environment;
pub mod placement;
pub mod sample;
