//! The command line: one file a verb. Progress goes to standard error, results to standard output.
//!
//! Exit codes: 0 done; 1 something failed; 2 bad usage or a faulty matrix; 130 stopped by Ctrl-C, with a valid report.

mod capacity;
mod clean;
mod compare;
mod doctor;
mod experiment;
mod history;
mod init;
mod load;
mod matrix;
mod outputs;
mod plan;
mod prices;
mod relay;
mod report;
mod selftest;
mod signals;
mod sink;
mod site;
mod source;
mod validate;
mod verdict;
mod visitors;
mod worker;

use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Done.
pub const DONE: u8 = 0;
/// Something failed.
pub const FAILED: u8 = 1;
/// Bad usage or a faulty matrix.
pub const USAGE: u8 = 2;
/// Stopped by Ctrl-C.
pub const STOPPED: u8 = 130;

/// Finds how many WebSocket connections a server holds, what each one costs, and what stops it there.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 something failed, 2 bad usage or a faulty matrix, 130 stopped by Ctrl-C.\n\
                  Start with: wsceiling init, in the folder of your server, or: wsceiling matrix --url ws://localhost:PORT"
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a matrix for the server that is in a folder
    Init(init::Arguments),
    /// Run every cell of a matrix, write the run folder, render the report and print the verdicts
    Matrix(Box<matrix::Arguments>),
    /// Show the cells, order, time, walls and faults of a matrix, without running it
    Plan(plan::Arguments),
    /// List the plans that a size can name, with their prices; import more of them
    Prices(prices::Arguments),
    /// Check this machine: what it allows and what to change before a run
    Doctor(doctor::Arguments),
    /// Load any WebSocket server: connections, rate, messages, thresholds
    Load(Box<load::Arguments>),
    /// Let real visitors of a site be the load: their consent, a snippet, live control, a report
    Visitors(Box<visitors::Arguments>),
    /// Render the report of a run folder again, from its record alone
    Report(report::Arguments),
    /// Put two runs side by side; exit code 1 if a number is confirmed worse or a cell can no longer be measured
    Compare(compare::Arguments),
    /// Judge two targets of one shuffled run; exit code 1 if a number is confirmed worse
    Verdict(verdict::Arguments),
    /// Predict what other sizes would hold, what stops them there, and the cheapest that holds a goal
    Capacity(Box<capacity::Arguments>),
    /// Keep nights in small files, merge them, judge the last one
    History(history::Arguments),
    /// Make a static site of all runs in a folder
    Site(site::Arguments),
    /// Inject limits on purpose and check that each is found: how far the verdicts can be trusted
    Selftest(selftest::Arguments),
    /// Check the record of a run folder
    Validate(validate::Arguments),
    /// Remove what a killed run left behind: services, containers, networks, images, cgroups, processes
    Clean(clean::Arguments),
    /// A sink server: it upgrades and discards, to measure what the client had left
    #[command(hide = true)]
    Sink,
    /// A worker of the generator, commanded over standard input or by the coordinator that it dials
    #[command(hide = true)]
    Worker(worker::Arguments),
    /// A front that relays TCP streams
    #[command(hide = true)]
    Relay(relay::Arguments),
}

/// Format of the results on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For a person.
    #[default]
    Text,
    /// For a script.
    Json,
}

impl Cli {
    /// Runs the verb; faults are printed to standard error.
    pub fn run(self) -> ExitCode {
        let result = match self.verb {
            Verb::Init(arguments) => init::run(&arguments),
            Verb::Matrix(arguments) => matrix::run(*arguments),
            Verb::Plan(arguments) => plan::run(&arguments),
            Verb::Prices(arguments) => prices::run(arguments),
            Verb::Doctor(arguments) => doctor::run(&arguments),
            Verb::Load(arguments) => load::run(*arguments),
            Verb::Visitors(arguments) => visitors::run(*arguments),
            Verb::Report(arguments) => report::run(&arguments),
            Verb::Compare(arguments) => compare::run(&arguments),
            Verb::Verdict(arguments) => Ok(verdict::run(arguments)),
            Verb::Capacity(arguments) => capacity::run(&arguments),
            Verb::History(arguments) => history::run(&arguments),
            Verb::Site(arguments) => site::run(&arguments),
            Verb::Selftest(arguments) => selftest::run(arguments),
            Verb::Validate(arguments) => Ok(validate::run(&arguments)),
            Verb::Clean(arguments) => clean::run(&arguments),
            Verb::Sink => sink::run(),
            Verb::Worker(arguments) => worker::run(arguments),
            Verb::Relay(arguments) => relay::run(arguments),
        };
        match result {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::from(FAILED)
            }
        }
    }
}

/// Writes results to standard output. A reader that has seen enough (`| head`) is no fault of ours.
fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Whether standard error takes colours.
fn color_stderr() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Whether standard output takes colours.
fn color_stdout() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Loads a matrix or prints every fault of it.
fn load_matrix(path: &std::path::Path) -> Result<wsceiling_model::matrix::Matrix, u8> {
    let loaded = crate::matrix_file::load(path).map_err(|faults| {
        eprintln!("{}", faults.render(color_stderr()));
        USAGE
    })?;
    if !loaded.warnings.is_empty() {
        eprintln!("{}", loaded.warnings.render(color_stderr()));
    }
    Ok(loaded.matrix)
}

/// A plan of all cells of the matrix, or of those that `only` names.
fn make_plan(matrix: &wsceiling_model::matrix::Matrix, only: &[String]) -> Result<wsceiling_model::plan::Plan, u8> {
    let plan = wsceiling_model::plan::Plan::new(matrix);
    if only.is_empty() {
        return Ok(plan);
    }
    plan.only(only).map_err(|unknown| {
        eprintln!("error: {unknown}");
        USAGE
    })
}

/// The runtime that the asynchronous verbs run in.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
