//! Reads and analyses a run folder and prints how long it took and how much memory it needed, for the benchmark:
//! `cargo run --example analyse_run -- RUN`.

use std::process::ExitCode;
use std::time::Instant;

use wsceiling::folder::findings;
use wsceiling_runfolder::{Run, validate};

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: analyse_run RUN");
        return ExitCode::from(2);
    };
    let started = Instant::now();
    let found = match Run::open(path.as_ref()).and_then(|run| findings(&run)) {
        Ok(found) => found,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let analysed = started.elapsed();
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).map_or("unknown", str::trim);
    let trials: usize = found.cells.iter().map(|cell| cell.trials.len()).sum();
    println!("read and analysed {trials} trials in {:.3} s, peak memory {peak}", analysed.as_secs_f64());
    let started = Instant::now();
    let problems = validate(path.as_ref());
    println!("validated in {:.3} s, {} problems", started.elapsed().as_secs_f64(), problems.len());
    for problem in problems.iter().take(5) {
        println!("{problem}");
    }
    ExitCode::SUCCESS
}
