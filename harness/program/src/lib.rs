//! `wsceiling` measures how many WebSocket connections a server holds, what each one costs and what stops it there.
//!
//! The modules are the data flow, in order: [`matrix_file`] reads a matrix with the lists of `prices`, [`run`] launches,
//! drives and samples each trial of its plan, [`folder`] analyses the run folder, `files` writes the report. [`history`]
//! keeps nights for those to come. `capacity` reads what a plan is asked for. [`selftest`] sends limits that are known through the whole flow.

mod capacity;
pub mod cli;
mod files;
pub mod folder;
pub mod history;
pub mod matrix_file;
mod prices;
pub mod run;
pub mod selftest;
