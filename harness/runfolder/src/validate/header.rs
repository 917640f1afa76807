//! Rules of `run.json`.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::Found;
use crate::writer::is_safe_name;
use wsceiling_model::record::RunHeader;

const FILE: &str = "run.json";
const EDITED: &str = "run.json is written once, when the run starts; restore it as it was";

pub(super) fn check(header: &RunHeader, found: &mut Found) {
    let mut fault = |what: String| found.add(FILE, None, what, EDITED);
    if header.started.parse::<jiff::Timestamp>().is_err() {
        fault(format!("`started` is not a moment in RFC 3339: `{}`", header.started));
    }
    if !is_safe_name(&header.run.name) {
        fault(format!("the name of the run is not safe as a file name: `{}`", header.run.name));
    }
    let hash = hex(&Sha256::digest(header.matrix_text.as_bytes()));
    if hash != header.matrix_sha256 {
        fault(format!("matrix_sha256 is {}, the text's is {hash}", header.matrix_sha256));
    }
    for (target, hash) in &header.binaries {
        if !is_sha256(hash) {
            fault(format!("the hash of `{target}` is not a SHA-256 in hex: `{hash}`"));
        }
    }
    cells(header, &mut fault);
    plan(header, &mut fault);
}

fn cells(header: &RunHeader, fault: &mut impl FnMut(String)) {
    let mut ids = BTreeSet::new();
    for cell in &header.cells {
        if !is_safe_name(&cell.id) {
            fault(format!("the id of a cell is not safe as a file name: `{}`", cell.id));
        }
        if !ids.insert(&cell.id) {
            fault(format!("cell {} is there twice", cell.id));
        }
        if cell.instances == 0 {
            fault(format!("cell {} has no instance", cell.id));
        }
        if !header.targets.iter().any(|target| target.name == cell.target) {
            fault(format!("cell {} names the unknown target `{}`", cell.id, cell.target));
        }
        if let Some(size) = &cell.size
            && !header.sizes.iter().any(|known| &known.name == size)
        {
            fault(format!("cell {} names the unknown size `{size}`", cell.id));
        }
        if let Some(front) = &cell.front
            && !header.fronts.iter().any(|known| &known.name == front)
        {
            fault(format!("cell {} names the unknown front `{front}`", cell.id));
        }
    }
}

fn plan(header: &RunHeader, fault: &mut impl FnMut(String)) {
    let mut times = BTreeMap::new();
    for trial in &header.plan {
        *times.entry(trial).or_insert(0_u32) += 1;
        if !header.cells.iter().any(|cell| cell.id == trial.cell) {
            fault(format!("the plan names the unknown cell {}", trial.cell));
        }
        if !(1..=header.run.repeats).contains(&trial.repeat) {
            fault(format!("trial {trial} is outside of the {} repeats", header.run.repeats));
        }
    }
    for (trial, times) in times {
        if times > 1 {
            fault(format!("trial {trial} is in the plan {times} times"));
        }
    }
}

pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
