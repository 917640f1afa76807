//! The record of a run with real visitors as load: `visitors.json` and `visitors.jsonl`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::fcntl::Flock;
use serde::Deserialize;

use super::RecordError;
use super::reader::{json_error, whole_lines};
use super::writer::{Journal, folder_name, lock, make_folder, sync_folder, write_whole};
use wsceiling_model::visitors::{VISITORS_FORMAT, VisitorsHeader, VisitorsLine};

const HEADER: &str = "visitors.json";
const LINES: &str = "visitors.jsonl";

/// Writes such a run folder. While it lives, no other process can write it.
#[derive(Debug)]
pub struct VisitorsWriter {
    path: PathBuf,
    lines: Journal,
    _lock: Flock<File>,
}

impl VisitorsWriter {
    /// Makes `<utc>-<name>/` under `reports` (with a suffix where that is taken) and writes `visitors.json` into it.
    pub fn create(reports: &Path, header: &VisitorsHeader) -> Result<Self, RecordError> {
        let path = make_folder(reports, &folder_name(&header.started, &header.name, HEADER)?)?;
        let lines = Journal::open(&path.join(LINES), true)?;
        let lock = lock(&lines.file, &path)?;
        let text = serde_json::to_vec_pretty(header)
            .map_err(|error| RecordError::Unwritable { what: HEADER.into(), why: error.to_string() })?;
        write_whole(&path, HEADER, text)?;
        sync_folder(reports)?;
        Ok(Self { path, lines, _lock: lock })
    }

    /// Appends lines; they are on the disk when it returns, or none of them is.
    pub fn append(&mut self, lines: &[VisitorsLine]) -> Result<(), RecordError> {
        let mut text = Vec::with_capacity(lines.len() * 256);
        for line in lines {
            serde_json::to_writer(&mut text, line)
                .map_err(|error| RecordError::Unwritable { what: "a line".into(), why: error.to_string() })?;
            text.push(b'\n');
        }
        if text.is_empty() { Ok(()) } else { self.lines.append(&text) }
    }

    /// The run folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Such a run folder, read.
#[derive(Debug, Clone, PartialEq)]
pub struct VisitorsRun {
    /// `visitors.json`.
    pub header: VisitorsHeader,
    /// `visitors.jsonl`. A torn last line, of a run that was killed, is not among them.
    pub lines: Vec<VisitorsLine>,
}

impl VisitorsRun {
    /// Whether a folder is one.
    pub fn is_one(folder: &Path) -> bool {
        folder.join(HEADER).is_file()
    }

    /// Reads it.
    pub fn open(folder: &Path) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Version {
            format: u64,
            wsceiling: Option<String>,
        }
        let path = folder.join(HEADER);
        let text = fs::read(&path).map_err(RecordError::io("read", &path))?;
        let version: Version = serde_json::from_slice(&text).map_err(|error| json_error(&path, 0, &error))?;
        if version.format > u64::from(VISITORS_FORMAT) {
            return Err(RecordError::Later { path, found: version.format, wsceiling: version.wsceiling });
        }
        let header = serde_json::from_slice(&text).map_err(|error| json_error(&path, 0, &error))?;
        let path = folder.join(LINES);
        let text = fs::read(&path).map_err(RecordError::io("read", &path))?;
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(whole_lines(&text)) {
            lines.push(serde_json::from_slice(line).map_err(|error| json_error(&path, number, &error))?);
        }
        Ok(Self { header, lines })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use wsceiling_model::record::{Component, FailedAt, FailureReason, FailureTally};
    use wsceiling_model::visitors::{
        BrowserCounts, BrowserFamily, Change, GeneratorSummary, GeneratorTick, Lie, Mark, MarkKind, PausedBy, Refusal,
        ServerRow, Setting, StoppedBy, Summary, Tick, VisitorMessage,
    };

    fn header() -> VisitorsHeader {
        let message = Some(VisitorMessage { bytes: 64, every_ms: 20_000 });
        VisitorsHeader {
            format: VISITORS_FORMAT,
            wsceiling: "0.1.0".into(),
            started: "2026-11-24T04:00:48Z".into(),
            name: "visitors".into(),
            target: "wss://shop.example/chat".parse().unwrap(),
            sites: vec!["https://shop.example".into()],
            setting: Setting { goal: 100, per_visitor: 5, rate_per_s: 50.0, message, generator: 0 },
            byte_budget: 5 << 20,
            poll_ms: 5_000,
            valid_ms: 14_000,
            silent_ms: 18_000,
            sources: Vec::new(),
        }
    }

    fn lines() -> Vec<VisitorsLine> {
        let mark = |what| VisitorsLine::Mark(Mark { t_ms: 1, what });
        let from = header().setting;
        let to = from.with(Change { goal: Some(7), ..Change::default() }).unwrap();
        let generator = GeneratorTick { goal: 9, granted: 8, open: 7, failed: 6, lost: 5 };
        let failure = FailureTally { at: FailedAt::Handshake, reason: FailureReason::Http(503), count: 6, first_ms: 1 };
        let values = BTreeMap::from([("descriptors_count".to_owned(), 1024.0)]);
        vec![
            mark(MarkKind::Started),
            mark(MarkKind::Changed { from, to }),
            mark(MarkKind::Paused { by: PausedBy::Absence }),
            mark(MarkKind::Resumed),
            mark(MarkKind::Note { text: "a \"note\"".into() }),
            VisitorsLine::Tick(Tick { t_ms: 2, open: 3, generator: Some(generator), ..Tick::default() }),
            VisitorsLine::Server(ServerRow { t_ms: 2.5, component: Component::Instance(0), values }),
            VisitorsLine::Summary(Summary {
                closes: BTreeMap::from([(1006, 4)]),
                browsers: BTreeMap::from([(BrowserFamily::Firefox, BrowserCounts::default())]),
                refused: BTreeMap::from([(Refusal::TooFast, 1)]),
                lies: BTreeMap::from([(Lie::Open, 1)]),
                generator: GeneratorSummary { failures: vec![failure], notes: vec!["a note".into()] },
                ..Summary::default()
            }),
            mark(MarkKind::Stopped { by: StoppedBy::Signal }),
        ]
    }

    #[test]
    fn what_is_written_is_read_again() {
        let reports = tempfile::tempdir().unwrap();
        let mut writer = VisitorsWriter::create(reports.path(), &header()).unwrap();
        let lines = lines();
        let (first, second) = lines.split_at(4);
        writer.append(first).unwrap();
        writer.append(second).unwrap();
        let folder = writer.path().to_owned();
        assert!(folder.ends_with("2026-11-24T04-00-48Z-visitors") && VisitorsRun::is_one(&folder));
        assert_eq!(VisitorsRun::open(&folder).unwrap(), VisitorsRun { header: header(), lines });
    }

    /// What was written before there was a generator.
    #[test]
    fn a_record_without_a_generator_is_read() {
        let reports = tempfile::tempdir().unwrap();
        let mut writer = VisitorsWriter::create(reports.path(), &header()).unwrap();
        let tick = Tick { t_ms: 1, open: 3, ..Tick::default() };
        let lines = [VisitorsLine::Tick(tick), VisitorsLine::Summary(Summary::default())];
        writer.append(&lines).unwrap();
        let folder = writer.path().to_owned();
        let text = fs::read_to_string(folder.join(LINES)).unwrap();
        assert!(!text.contains("generator"), "nothing is written of it where it was not asked for: {text}");
        let file = folder.join(HEADER);
        let old = fs::read_to_string(&file).unwrap().replace(",\n    \"generator\": 0", "");
        assert!(!old.contains("generator"), "{old}");
        fs::write(&file, old).unwrap();
        assert_eq!(VisitorsRun::open(&folder).unwrap(), VisitorsRun { header: header(), lines: lines.to_vec() });
    }

    #[test]
    fn a_record_that_contradicts_itself_is_not_valid() {
        let reports = tempfile::tempdir().unwrap();
        let mut writer = VisitorsWriter::create(reports.path(), &header()).unwrap();
        let tick = |t_ms, opened, lost| VisitorsLine::Tick(Tick { t_ms, opened, lost, ..Tick::default() });
        writer.append(&[tick(1, 5, 0), tick(2, 5, 5)]).unwrap();
        let folder = writer.path().to_owned();
        assert_eq!(crate::validate(&folder), []);
        writer.append(&[tick(1, 5, 5), tick(2, 4, 5)]).unwrap();
        let generator = |goal, failed| {
            let generator = Some(GeneratorTick { goal, granted: 5, failed, ..GeneratorTick::default() });
            VisitorsLine::Tick(Tick { t_ms: 3, opened: 5, lost: 5, generator, ..Tick::default() })
        };
        writer.append(&[generator(5, 9), generator(4, 8)]).unwrap();
        let said: Vec<String> = crate::validate(&folder).iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 5, "{said:?}");
        assert!(said[3].contains("`generator.failed` fell from 9 to 8"), "{said:?}");
        assert!(said[4].contains("granted more than its goal"), "{said:?}");
        assert!(said[0].starts_with("visitors.jsonl:3: 1 ms comes after 2 ms"), "{said:?}");
        assert!(said[1].contains("`opened` fell from 5 to 4"), "{said:?}");
    }

    #[test]
    fn a_torn_line_is_left_out_and_a_damaged_one_named() {
        let reports = tempfile::tempdir().unwrap();
        let mut writer = VisitorsWriter::create(reports.path(), &header()).unwrap();
        writer.append(&lines()).unwrap();
        let folder = writer.path().to_owned();
        let file = folder.join(LINES);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, &text[..text.len() - 9]).unwrap();
        assert_eq!(VisitorsRun::open(&folder).unwrap().lines.len(), lines().len() - 1);
        fs::write(&file, text.replacen("resumed", "presumed", 1)).unwrap();
        let said = VisitorsRun::open(&folder).unwrap_err().to_string();
        assert!(said.contains("visitors.jsonl:4: unknown variant `presumed`"), "{said}");
        let later = fs::read_to_string(folder.join(HEADER)).unwrap().replacen("\"format\": 1", "\"format\": 2", 1);
        fs::write(folder.join(HEADER), later).unwrap();
        assert!(VisitorsRun::open(&folder).unwrap_err().to_string().contains("use that version or a later one"));
    }
}
