//! `validate RUN`: is the record what it says it is.

use std::path::PathBuf;

use clap::Args;

use super::{DONE, FAILED};
use wsceiling_runfolder as record;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run folder
    run: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    let problems = record::validate(&arguments.run);
    for problem in &problems {
        println!("{problem}");
    }
    if problems.is_empty() {
        println!("{}: the record is valid", arguments.run.display());
        return DONE;
    }
    println!("{}: {} problems", arguments.run.display(), problems.len());
    FAILED
}
