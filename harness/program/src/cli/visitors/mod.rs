//! `visitors`: real visitors of a site as load, and the operator's commands to a run of it.

mod arguments;
mod generator;
pub(super) mod record;
mod serve;
mod target;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};

use super::signals::on_signals;
use super::{DONE, Format, STOPPED, USAGE, runtime, say};
use arguments::{ChangeArguments, Serve};
use wsceiling_model::format;
use wsceiling_visitors::control::{self, Command, Status};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Exit codes: 0 done, 1 it failed, 2 bad usage, 130 stopped by Ctrl-C, with a report.\n\n\
                  Examples:\n  \
                  wsceiling visitors --target wss://shop.example/ws --goal 20000 --per-visitor 5 --site https://shop.example\n  \
                  wsceiling visitors set --goal 35000\n  \
                  wsceiling visitors set --generator 5000\n  \
                  wsceiling visitors note 'a second instance is up'\n  \
                  wsceiling visitors stop"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    serve: Option<Serve>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Change the goal, the number per visitor, the rate, the message or the generator of a run, while it lasts
    Set {
        #[command(flatten)]
        change: ChangeArguments,
        #[command(flatten)]
        operator: OperatorAddress,
    },
    /// All visitors and the generator close everything, until it is resumed
    Pause(OperatorAddress),
    /// The goal and the generator count again
    Resume(OperatorAddress),
    /// End the run: all visitors and the generator close everything, and the report is rendered
    Stop(OperatorAddress),
    /// Put a mark with words on the plots
    Note {
        /// The words
        text: String,
        #[command(flatten)]
        operator: OperatorAddress,
    },
    /// Say how the run is
    Status {
        /// Say it again every 2 s, until it ends; who watches is there for `--attended`
        #[arg(long)]
        watch: bool,
        /// Form on standard output
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        operator: OperatorAddress,
    },
}

/// Where a run listens for its operator.
#[derive(Debug, Args)]
struct OperatorAddress {
    /// Address of the run's operator side
    #[arg(long, value_name = "IP:PORT", default_value = arguments::OPERATOR)]
    operator: SocketAddr,
}

pub(super) fn run(arguments: Arguments) -> Result<u8> {
    let (command, at) = match (arguments.verb, arguments.serve) {
        (None, Some(serve)) => return serve::run(&serve),
        (None, None) => {
            eprintln!(
                "error: nothing to do\nhint: --target wss://HOST --goal N starts a run; `visitors --help` says more"
            );
            return Ok(USAGE);
        }
        (Some(Verb::Status { watch, format, operator }), _) => return status(operator.operator, watch, format),
        (Some(Verb::Set { change, operator }), _) => match change.into_change() {
            Ok(change) => (Command::Set(change), operator),
            Err(why) => {
                eprintln!("error: {why}");
                return Ok(USAGE);
            }
        },
        (Some(Verb::Pause(operator)), _) => (Command::Pause, operator),
        (Some(Verb::Resume(operator)), _) => (Command::Resume, operator),
        (Some(Verb::Stop(operator)), _) => (Command::Stop, operator),
        (Some(Verb::Note { text, operator }), _) => (Command::Note { text }, operator),
    };
    let said = runtime()?.block_on(control::send(at.operator, &command))?;
    say(&format!("{said}\n"))?;
    Ok(DONE)
}

fn status(at: SocketAddr, watch: bool, form: Format) -> Result<u8> {
    runtime()?.block_on(async {
        loop {
            let status = control::status(at).await?;
            match form {
                Format::Text => say(&format!("{}\n", line(&status)))?,
                Format::Json => say(&format!("{}\n", serde_json::to_string(&status)?))?,
            }
            if !watch || status.stopped.is_some() {
                return Ok(DONE);
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    })
}

/// A run in a line.
fn line(status: &Status) -> String {
    let tick = &status.tick;
    let state = match (status.stopped, status.paused) {
        (Some(_), _) => "stopped",
        (None, Some(_)) => "paused",
        (None, None) => "runs",
    };
    let count = |value: u32| format::count(u64::from(value));
    let generator = tick.generator.map_or_else(String::new, |generator| {
        format!(
            "; generator: {} open of {}, {} failed, {} lost",
            count(generator.open),
            count(generator.goal),
            format::count(generator.failed),
            format::count(generator.lost)
        )
    });
    format!(
        "{state}: {} open of {} granted (goal {}), {} visitors, {} hidden, {} silent; {} failed, {} given up, {} lost{generator}",
        count(tick.open),
        count(tick.granted),
        count(tick.goal),
        count(tick.visitors),
        count(tick.hidden),
        count(tick.silent),
        format::count(tick.failed),
        format::count(tick.stuck),
        format::count(tick.lost),
    )
}
