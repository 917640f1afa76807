//! `doctor`: this machine, and what it means for a run.

use anyhow::Result;
use clap::Args;

use super::{DONE, FAILED, Format, color_stdout, runtime};
use wsceiling_launch as launch;
use wsceiling_machine::environment::{doctor, kernel::Kernel};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Format of the findings on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8> {
    let engine = runtime()?.block_on(launch::engine_status());
    let findings = doctor::diagnose(&doctor::Inputs::measure(&Kernel::real()), &for_doctor(engine));
    match arguments.format {
        Format::Text => print!("{}", doctor::render_text(&findings, color_stdout())),
        Format::Json => println!("{}", serde_json::to_string_pretty(&findings)?),
    }
    Ok(if findings.has_problem() { FAILED } else { DONE })
}

/// The engine's state in the words of the doctor, which does not know how engines are reached.
fn for_doctor(engine: launch::EngineStatus) -> doctor::EngineStatus {
    match engine {
        launch::EngineStatus::Up { version, api, .. } => {
            doctor::EngineStatus::Up { server: version, api, cgroup_driver: None }
        }
        launch::EngineStatus::Down { reason, hint } => doctor::EngineStatus::Down { reason, hint },
        launch::EngineStatus::NotNeeded => {
            doctor::EngineStatus::Down { reason: "not looked for".into(), hint: String::new() }
        }
    }
}
