//! `wsceiling` measures how many WebSocket connections a server holds, what each one costs and what stops it there.
//!
//! The modules are the data flow, in order: a [`matrix`] file is expanded into a [`plan`] of trials; [`run`] launches,
//! drives and samples each of them and writes the [`record`]; [`analyse`] turns a record into findings and [`render`]
//! turns findings into pages. [`load`] is the generator of [`run`] as a tool of its own, [`selftest`] runs the whole flow on
//! ceilings that are known. Imports go one way along that flow; `tests/architecture.rs` holds the rule.

pub mod cli;
mod files;
pub mod folder;
pub mod run;
pub mod selftest;
