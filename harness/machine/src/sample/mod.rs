//! Sampling: a thread of its own reads kernel files of every component at each tick.
//!
//! A component's numbers come from its own cgroup where it has one, else from `/proc`; the record says which file gave
//! which number. What cannot be read, or vanishes with its process or container, is absent from then on: it is never an
//! error.
//!
//! Another counter is a line of [`Metric`](wsceiling_model::record::Metric) and one of the reader whose file has it:
//!
//! | module | reads |
//! |---|---|
//! | `controllers` | the component's cgroup, on v1 and v2 |
//! | `processes`, `threads` | `/proc/PID` of its processes |
//! | `waits`, `user_tasks` | what its threads wait in; how many tasks its user has |
//! | `network`, `listen` | its network namespace, and accept queues |
//! | `pairs`, `haproxy` | a front's connections onwards, and haproxy's own counters |
//! | `host` | the machine |
//!
//! `component` calls the readers of one component, `sample_loop` those of all, `sampler` is the thread. `told` keeps rows
//! that others have read. `context` keeps
//! files open between two ticks, `row` collects numbers, `diag` speaks netlink.

mod component;
mod context;
mod controllers;
mod diag;
mod haproxy;
mod host;
mod listen;
mod network;
mod pairs;
mod pressure;
mod processes;
mod row;
mod sample_loop;
mod sampler;
#[cfg(test)]
mod tests;
mod threads;
mod told;
#[cfg(test)]
pub(crate) mod tree;
mod user_tasks;
mod waits;
mod watch;

pub use pairs::connections_to;
pub use sampler::{Inlet, Sampler, SamplerError};
pub use watch::{FrontWatch, Sampled, Watch};
