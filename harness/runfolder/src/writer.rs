//! Writing a record so that a crash at any moment leaves whole lines only.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::reader::{read_header, read_trials};
use super::{FORMAT_VERSION, Outcome, RecordError, RunHeader, Sample, TrialRecord, rows};
use wsceiling_model::plan::TrialId;

/// Writes the folder of one run. While it lives it holds a lock (`flock` on `trials.jsonl`, so that nothing is left
/// behind by a killed run), and no other process can write the same run.
#[derive(Debug)]
pub struct RunWriter {
    path: PathBuf,
    trials: Journal,
    samples: Journal,
    written: BTreeSet<TrialId>,
    _lock: Flock<File>,
}

impl RunWriter {
    /// Makes `<utc>-<name>/` under `reports` (with a suffix where that is taken) and writes `run.json` into it.
    pub fn create(reports: &Path, header: &RunHeader) -> Result<Self, RecordError> {
        let path = make_folder(reports, &folder_name(&header.started, &header.run.name, "run.json")?)?;
        let trials = Journal::open(&path.join("trials.jsonl"), true)?;
        let lock = lock(&trials.file, &path)?;
        let mut samples = Journal::open(&path.join("samples.csv"), true)?;
        samples.append(rows::header().as_bytes())?;
        let logs = path.join("logs");
        fs::create_dir(&logs).map_err(RecordError::io("create", &logs))?;
        // Last, so that a folder with a run.json has everything else.
        write_header(&path, header)?;
        sync_folder(reports)?;
        Ok(Self { path, trials, samples, written: BTreeSet::new(), _lock: lock })
    }

    /// Opens a run that was stopped, to append the trials it still lacks. A torn last line is cut, and so are samples
    /// of trials that have no line.
    pub fn resume(run: &Path) -> Result<(Self, RunHeader, Vec<TrialRecord>), RecordError> {
        let header = read_header(run)?;
        if header.format < FORMAT_VERSION {
            let (found, wsceiling) = (header.format, header.wsceiling);
            return Err(RecordError::Earlier { path: run.to_path_buf(), found, wsceiling });
        }
        let mut trials = Journal::open(&run.join("trials.jsonl"), false)?;
        let lock = lock(&trials.file, run)?;
        let whole = rows::whole_len(&mut trials.file).map_err(RecordError::io("read", &trials.path))?;
        trials.cut(whole)?;
        let mut done = read_trials(run, header.format)?;
        drop_killed(&mut trials, &mut done)?;
        let written: BTreeSet<TrialId> = done.iter().map(|record| record.trial.clone()).collect();
        let mut samples = Journal::open(&run.join("samples.csv"), false)?;
        let whole = samples_of(&samples.path, &written)?;
        samples.cut(whole)?;
        let logs = run.join("logs");
        fs::create_dir_all(&logs).map_err(RecordError::io("create", &logs))?;
        Ok((Self { path: run.to_path_buf(), trials, samples, written, _lock: lock }, header, done))
    }

    /// Appends a trial: first its samples, then, once those are on the disk, its line. Where either fails, both files
    /// are cut back to what they were.
    pub fn append(&mut self, record: &TrialRecord, samples: &[Sample]) -> Result<(), RecordError> {
        let trial = &record.trial;
        let refuse = |why: String| Err(RecordError::Unwritable { what: format!("trial {trial}"), why });
        if !is_safe_name(&trial.cell) {
            return refuse("its cell's id is not safe as a file name".into());
        }
        if self.written.contains(trial) {
            return refuse("it already has a line".into());
        }
        let mut line = match record.to_json() {
            Ok(line) => line,
            Err(error) => return refuse(error.to_string()),
        };
        // JSON has no NaN and no infinity: a record that holds one would be written and then never read again.
        if let Err(error) = TrialRecord::from_json(&line) {
            return refuse(format!("a number in it is not finite ({error})"));
        }
        line.push(b'\n');
        let mut text = Vec::with_capacity(samples.len() * 256);
        rows::write(&mut text, trial, samples);
        let before = self.samples.len;
        self.samples.append(&text)?;
        if let Err(error) = self.trials.append(&line) {
            // The first fault is the one to report; a cut that fails as well leaves rows that reading passes over.
            let _ = self.samples.cut(before);
            return Err(error);
        }
        self.written.insert(trial.clone());
        Ok(())
    }

    /// The run folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Folder of the instances' logs.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }
}

/// Takes trials that were stopped half-way off the end, so that they run again.
fn drop_killed(journal: &mut Journal, done: &mut Vec<TrialRecord>) -> Result<(), RecordError> {
    let text = fs::read(&journal.path).map_err(RecordError::io("read", &journal.path))?;
    let mut lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    let mut length = text.len() as u64;
    while done.last().is_some_and(|record| record.outcome == Outcome::Killed) {
        done.pop();
        length -= lines.pop().map_or(0, |line| line.len() as u64);
    }
    journal.cut(length)
}

/// A file that only grows, by whole pieces.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) file: File,
    path: PathBuf,
    len: u64,
}

impl Journal {
    pub(super) fn open(path: &Path, new: bool) -> Result<Self, RecordError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(new);
        let file = options.open(path).map_err(RecordError::io("open", path))?;
        let len = file.metadata().map_err(RecordError::io("read", path))?.len();
        Ok(Self { file, path: path.to_path_buf(), len })
    }

    /// Appends and syncs; on a fault nothing of the piece stays.
    pub(super) fn append(&mut self, piece: &[u8]) -> Result<(), RecordError> {
        let written = self
            .file
            .seek(SeekFrom::Start(self.len))
            .and_then(|_| self.file.write_all(piece))
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.len += piece.len() as u64;
                Ok(())
            }
            Err(source) => {
                let _ = self.file.set_len(self.len).and_then(|()| self.file.sync_data());
                Err(RecordError::io("write", &self.path)(source))
            }
        }
    }

    fn cut(&mut self, len: u64) -> Result<(), RecordError> {
        if len < self.len {
            self.file
                .set_len(len)
                .and_then(|()| self.file.sync_data())
                .map_err(RecordError::io("cut back", &self.path))?;
            self.len = len;
        }
        Ok(())
    }
}

/// Takes the lock; dropping it gives it back, and so does the end of the process, however it ends.
pub(super) fn lock(file: &File, run: &Path) -> Result<Flock<File>, RecordError> {
    let file = file.try_clone().map_err(RecordError::io("lock", run))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        nix::errno::Errno::EWOULDBLOCK => RecordError::Locked { path: run.to_path_buf() },
        other => RecordError::io("lock", run)(io::Error::from(other)),
    })
}

/// Bytes of `samples.csv` that belong to trials with a line.
fn samples_of(path: &Path, written: &BTreeSet<TrialId>) -> Result<u64, RecordError> {
    let known: BTreeSet<String> = written.iter().map(ToString::to_string).collect();
    let file = File::open(path).map_err(RecordError::io("open", path))?;
    let mut lines = BufReader::with_capacity(1 << 20, file);
    let mut line = Vec::new();
    let (mut keep, mut at, mut number) = (0, 0, 0);
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line).map_err(RecordError::io("read", path))?;
        if read == 0 {
            return Ok(keep);
        }
        number += 1;
        if number == 1 {
            if line != rows::header().as_bytes() {
                return Err(RecordError::malformed(path, Some(1), "the header is not that of this format"));
            }
        } else if !trial_of(&line).is_some_and(|trial| known.contains(trial)) {
            at += read as u64;
            continue;
        } else if keep != at {
            let what = "samples of a recorded trial come after samples of one that has no line";
            return Err(RecordError::malformed(path, Some(number), what));
        }
        at += read as u64;
        keep = at;
    }
}

/// The trial of a row that is whole.
fn trial_of(line: &[u8]) -> Option<&str> {
    let row = line.strip_suffix(b"\n")?;
    std::str::from_utf8(row.split(|byte| *byte == b',').next()?).ok()
}

fn write_header(run: &Path, header: &RunHeader) -> Result<(), RecordError> {
    let text = header
        .to_json()
        .map_err(|error| RecordError::Unwritable { what: "run.json".into(), why: error.to_string() })?;
    write_whole(run, "run.json", text)
}

/// Writes a file of a run folder so that it is there whole or not at all.
pub(super) fn write_whole(run: &Path, name: &str, mut text: Vec<u8>) -> Result<(), RecordError> {
    let path = run.join(name);
    text.push(b'\n');
    let half = run.join(format!("{name}.tmp"));
    let write = || -> io::Result<()> {
        let mut file = File::create(&half)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&half, &path)
    };
    if let Err(source) = write() {
        let _ = fs::remove_file(&half);
        return Err(RecordError::io("write", &path)(source));
    }
    sync_folder(run)
}

pub(super) fn sync_folder(path: &Path) -> Result<(), RecordError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(RecordError::io("sync", path))
}

/// `<utc>-<name>`, of what the header in `file` says.
pub(super) fn folder_name(started: &str, name: &str, file: &str) -> Result<String, RecordError> {
    let refuse = |why: String| RecordError::Unwritable { what: file.to_owned(), why };
    let at: jiff::Timestamp = started.parse().map_err(|error| refuse(format!("start `{started}`: {error}")))?;
    if !is_safe_name(name) {
        return Err(refuse(format!("the run's name `{name}` is not safe as a file name")));
    }
    Ok(format!("{}-{name}", at.strftime("%Y-%m-%dT%H-%M-%SZ")))
}

pub(super) fn make_folder(reports: &Path, name: &str) -> Result<PathBuf, RecordError> {
    fs::create_dir_all(reports).map_err(RecordError::io("create", reports))?;
    let mut path = reports.join(name);
    for suffix in 2..1000 {
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = reports.join(format!("{name}-{suffix}"));
            }
            other => return other.map(|()| path.clone()).map_err(RecordError::io("create", &path)),
        }
    }
    Err(RecordError::io("create", &path)(io::ErrorKind::AlreadyExists.into()))
}

/// Letters, digits, `.`, `_` and `-`, not starting with a dot: can be a name in a folder and nothing else.
pub(super) fn is_safe_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
