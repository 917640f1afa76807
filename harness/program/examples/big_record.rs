//! Writes a synthetic record of 500 trials with 200 samples each into a folder, for the benchmark of `report`:
//! `cargo run --example big_record -- FOLDER [CELLS REPEATS SAMPLES]`. Prints the path of the run folder.

use std::path::PathBuf;
use std::process::ExitCode;

use wsceiling_simulate as support;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: big_record FOLDER [CELLS REPEATS SAMPLES]");
        return ExitCode::from(2);
    };
    let numbers: Result<Vec<u32>, _> = arguments.map(|text| text.parse()).collect();
    let (cells, repeats, samples) = match numbers.as_deref() {
        Ok([]) => (100, 5, 200),
        Ok([cells, repeats, samples]) => (*cells, *repeats, *samples),
        _ => {
            eprintln!("cells, repeats and samples must be three whole numbers");
            return ExitCode::from(2);
        }
    };
    let (header, trials) = support::big_run(cells, repeats, samples);
    let trials: Vec<_> = trials.collect();
    println!("{}", support::write(&folder, &header, &trials).display());
    ExitCode::SUCCESS
}
