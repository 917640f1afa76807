//! Reading a record. Trials are held in memory, samples are streamed trial by trial.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::rows::{Columns, lossy, whole_len};
use super::{Component, FORMAT_VERSION, RecordError, RunHeader, Sample, TrialRecord, format1};
use wsceiling_model::plan::TrialId;

/// A run folder that was opened for reading.
#[derive(Debug)]
pub struct Run {
    /// The folder.
    pub path: PathBuf,
    /// `run.json`.
    pub header: RunHeader,
    /// `trials.jsonl`, in the order the trials ended. A torn last line, of a run that was killed, is not among them.
    pub trials: Vec<TrialRecord>,
}

impl Run {
    /// Opens a run folder: reads `run.json` and `trials.jsonl`.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let header = read_header(path)?;
        let trials = read_trials(path, header.format)?;
        Ok(Self { path: path.to_path_buf(), header, trials })
    }

    /// Reads `samples.csv` once, calling `each` for every trial that has samples, in the order of the file. Rows of
    /// trials without a line (of a run that was killed) are passed over.
    pub fn samples(&self, mut each: impl FnMut(&TrialId, &[Sample])) -> Result<(), RecordError> {
        let path = self.path.join("samples.csv");
        let mut file = File::open(&path).map_err(RecordError::io("open", &path))?;
        let whole = whole_len(&mut file).map_err(RecordError::io("read", &path))?;
        std::io::Seek::rewind(&mut file).map_err(RecordError::io("read", &path))?;
        let mut reader = csv::ReaderBuilder::new()
            .quoting(false)
            .flexible(true)
            .buffer_capacity(1 << 20)
            .from_reader(file.take(whole));
        let columns = Columns::parse(reader.byte_headers().map_err(|error| csv_error(&path, error))?.iter())
            .map_err(|what| RecordError::malformed(&path, Some(1), what))?;
        let ids: HashMap<Vec<u8>, &TrialId> =
            self.trials.iter().map(|record| (record.trial.to_string().into_bytes(), &record.trial)).collect();

        let mut row = csv::ByteRecord::new();
        let mut group = Group::default();
        while reader.read_byte_record(&mut row).map_err(|error| csv_error(&path, error))? {
            let line = row.position().map(csv::Position::line);
            let malformed = |what| RecordError::malformed(&path, line, what);
            let Some(trial) = row.get(0) else { continue };
            if group.name != trial {
                group.flush(&mut each);
                if !group.begin(trial, ids.get(trial).copied()) {
                    return Err(malformed(format!("samples of {} are in two places", lossy(trial))));
                }
            }
            if group.trial.is_some() {
                columns.read(&row, group.next()).map_err(malformed)?;
            }
        }
        group.flush(&mut each);
        Ok(())
    }
}

/// Rows of one trial; its samples' memory is used again for the next trial.
#[derive(Default)]
struct Group<'a> {
    name: Vec<u8>,
    trial: Option<&'a TrialId>,
    samples: Vec<Sample>,
    used: usize,
    seen: HashSet<Vec<u8>>,
}

impl<'a> Group<'a> {
    fn begin(&mut self, name: &[u8], trial: Option<&'a TrialId>) -> bool {
        self.name = name.to_vec();
        self.trial = trial;
        self.used = 0;
        self.seen.insert(self.name.clone())
    }

    fn next(&mut self) -> &mut Sample {
        if self.used == self.samples.len() {
            self.samples.push(Sample { t_ms: 0.0, component: Component::Host, values: Vec::new() });
        }
        self.used += 1;
        &mut self.samples[self.used - 1]
    }

    fn flush(&mut self, each: &mut impl FnMut(&TrialId, &[Sample])) {
        if let (Some(trial), true) = (self.trial, self.used > 0) {
            each(trial, &self.samples[..self.used]);
        }
        self.used = 0;
    }
}

fn csv_error(path: &Path, error: csv::Error) -> RecordError {
    let line = error.position().map(csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(source) => RecordError::io("read", path)(source),
        other => RecordError::malformed(path, line, format!("{other:?}")),
    }
}

/// Reads `run.json`, its version first, so that a later one is named as such and not as a missing field.
pub(super) fn read_header(run: &Path) -> Result<RunHeader, RecordError> {
    #[derive(Deserialize)]
    struct Version {
        format: u64,
        wsceiling: Option<String>,
    }
    let path = run.join("run.json");
    let text = fs::read(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
            RecordError::NotARun { path: run.to_path_buf() }
        }
        _ => RecordError::io("read", &path)(source),
    })?;
    let version: Version = serde_json::from_slice(&text).map_err(|error| json_error(&path, 0, &error))?;
    if version.format > u64::from(FORMAT_VERSION) {
        return Err(RecordError::Later { path, found: version.format, wsceiling: version.wsceiling });
    }
    RunHeader::from_json(&text).map_err(|error| json_error(&path, 0, &error))
}

/// Reads `trials.jsonl`, of a run of `format`, up to its last newline.
pub(super) fn read_trials(run: &Path, format: u32) -> Result<Vec<TrialRecord>, RecordError> {
    let path = run.join("trials.jsonl");
    let text = fs::read(&path).map_err(RecordError::io("read", &path))?;
    let mut seen = HashSet::new();
    let mut trials = Vec::new();
    for (number, line) in (1..).zip(whole_lines(&text)) {
        let record = format1::trial(line, format).map_err(|error| json_error(&path, number, &error))?;
        if !seen.insert(record.trial.clone()) {
            return Err(RecordError::malformed(&path, Some(number), format!("trial {} has two lines", record.trial)));
        }
        trials.push(record);
    }
    Ok(trials)
}

/// Lines that end in a newline, without it.
pub(super) fn whole_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"))
}

pub(super) fn json_error(path: &Path, line: u64, error: &serde_json::Error) -> RecordError {
    let line = if line == 0 { error.line() as u64 } else { line };
    // serde_json ends its message with its own line and column; a line of trials.jsonl is always its line 1.
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    RecordError::malformed(path, Some(line), format!("{text} (column {})", error.column()))
}
