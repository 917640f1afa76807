//! Reading a matrix file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use wsceiling_model::matrix::{Faults, Loaded, parse_with};

use crate::prices;

/// Largest file, in bytes; a matrix has a few hundred lines.
const LARGEST: u64 = 1 << 20;

/// Reads and validates a matrix file. Its plans are looked up in the lists of prices that there are today.
///
/// # Errors
/// All faults of the file at once; a file that cannot be read is one fault.
pub fn load(path: &Path) -> Result<Loaded, Faults> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let hint = "give the path of a TOML file, like `matrix.toml`";
        return Err(Faults::unreadable(path, &error.to_string(), hint));
    }
    if bytes.len() as u64 > LARGEST {
        return Err(Faults::unreadable(path, "it is larger than 1 MiB", "is this a matrix file?"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => parse_with(&text, path, &prices::catalogue(Some(path))),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Err(Faults::unreadable(path, &format!("byte {at} is not UTF-8"), "save the file as UTF-8"))
        }
    }
}
