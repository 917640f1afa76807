//! The record survives a crash at any byte, refuses what it cannot hold, and reading garbage never panics.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use wsceiling::folder;
use wsceiling_model::record;

use wsceiling_simulate as support;

use wsceiling_runfolder::{RecordError, Run, RunWriter, validate};

fn bytes(run: &Path, name: &str) -> Vec<u8> {
    fs::read(run.join(name)).unwrap()
}

/// A copy of the fixture that may be changed.
fn copy() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    fs::create_dir_all(run.join("logs")).unwrap();
    for part in ["", "logs"] {
        for entry in fs::read_dir(support::fixture().join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, run.join(part).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    (folder, run)
}

#[test]
fn a_run_folder_is_named_by_its_moment_and_never_shared() {
    let (header, _) = support::small_run();
    let reports = tempfile::tempdir().unwrap();
    let one = RunWriter::create(reports.path(), &header).unwrap();
    let two = RunWriter::create(reports.path(), &header).unwrap();
    assert_eq!(one.path(), reports.path().join("2026-11-24T03-14-41Z-small"));
    assert_eq!(two.path(), reports.path().join("2026-11-24T03-14-41Z-small-2"));
    let mut evil = header;
    evil.run.name = "../../etc".into();
    let error = RunWriter::create(reports.path(), &evil).unwrap_err().to_string();
    assert!(error.contains("not safe as a file name"), "{error}");
    assert_eq!(fs::read_dir(reports.path()).unwrap().count(), 2);
}

#[test]
fn two_processes_cannot_write_one_run() {
    let (header, _) = support::small_run();
    let reports = tempfile::tempdir().unwrap();
    let writer = RunWriter::create(reports.path(), &header).unwrap();
    let path = writer.path().to_path_buf();
    assert!(matches!(RunWriter::resume(&path), Err(RecordError::Locked { .. })));
    drop(writer);
    RunWriter::resume(&path).unwrap();
}

#[test]
fn what_the_record_cannot_hold_is_refused_and_leaves_no_trace() {
    let (header, trials) = support::small_run();
    let reports = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(reports.path(), &header).unwrap();
    let run = writer.path().to_path_buf();
    writer.append(&trials[0].0, &trials[0].1).unwrap();
    let before = (bytes(&run, "trials.jsonl"), bytes(&run, "samples.csv"));
    let mut refused = |record: &record::TrialRecord, why: &str| {
        let error = writer.append(record, &trials[1].1).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert!(before == (bytes(&run, "trials.jsonl"), bytes(&run, "samples.csv")));
    };
    refused(&trials[0].0, "already has a line");
    refused(&record::TrialRecord { duration_ms: f64::NAN, ..trials[1].0.clone() }, "not finite");
    let mut evil = trials[1].0.clone();
    evil.trial.cell = "a,b\n".into();
    refused(&evil, "not safe as a file name");
    writer.append(&trials[1].0, &trials[1].1).unwrap();
    assert_eq!(Run::open(&run).unwrap().trials.len(), 2);
}

/// Run by [`a_full_disk_is_an_error_that_names_the_file`] under a limit of the file size, which stands for a full disk.
#[test]
#[ignore = "a part of another test"]
fn append_until_the_disk_is_full() {
    let Some(reports) = std::env::var_os("WSCEILING_TEST_REPORTS") else { return };
    let (header, trials) = support::small_run();
    let mut writer = RunWriter::create(Path::new(&reports), &header).unwrap();
    let error = trials.iter().find_map(|(record, samples)| writer.append(record, samples).err()).unwrap();
    assert!(error.to_string().contains("failed to write"), "{error}");
    assert!(error.to_string().contains("samples.csv") || error.to_string().contains("trials.jsonl"), "{error}");
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    // In blocks of 512 bytes: one limit meets the samples first, others a line.
    for blocks in [16, 48, 80] {
        let reports = tempfile::tempdir().unwrap();
        let status = Command::new("sh")
            .arg("-c")
            .arg(format!(
                "trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" --exact append_until_the_disk_is_full --ignored"
            ))
            .arg(std::env::current_exe().unwrap())
            .env("WSCEILING_TEST_REPORTS", reports.path())
            .output()
            .unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
        let run = fs::read_dir(reports.path()).unwrap().next().unwrap().unwrap().path();
        // Nothing half-written is left, so nothing has to be cut.
        let problems = validate(&run);
        let torn = problems.iter().find(|p| p.what.contains("torn") || p.what.contains("has no line"));
        assert!(torn.is_none(), "{torn:?}");
        let lines = bytes(&run, "trials.jsonl");
        assert!(lines.is_empty() || lines.ends_with(b"\n"));
    }
}

/// Bytes in the order in which a run writes them: samples of a trial, its line, samples of the next.
struct Crash {
    samples: usize,
    lines: usize,
}

/// What is on the disk when the run dies after `at` bytes of the appends.
fn crash(pieces: &[(usize, usize)], header: usize, mut at: usize) -> Crash {
    let mut crash = Crash { samples: header, lines: 0 };
    for (samples, line) in pieces {
        crash.samples += at.min(*samples);
        at = at.saturating_sub(*samples);
        crash.lines += at.min(*line);
        at = at.saturating_sub(*line);
    }
    crash
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_run_that_died_at_any_byte_is_resumed_to_the_same_record(share in 0.0..1.0_f64) {
        let (_, trials) = support::small_run();
        let (_folder, run) = copy();
        let (whole_lines, whole_samples) = (bytes(&run, "trials.jsonl"), bytes(&run, "samples.csv"));
        let rows = |name: &str| {
            let prefix = format!("{name},");
            whole_samples.split_inclusive(|b| *b == b'\n').filter(|row| row.starts_with(prefix.as_bytes())).map(<[u8]>::len).sum::<usize>()
        };
        let pieces: Vec<(usize, usize)> = trials.iter().zip(whole_lines.split_inclusive(|b| *b == b'\n'))
            .map(|((record, _), line)| (rows(&record.trial.to_string()), line.len())).collect();
        let head = whole_samples.iter().position(|b| *b == b'\n').unwrap() + 1;
        let all: usize = pieces.iter().map(|(a, b)| a + b).sum();
        prop_assert_eq!(all + head, whole_lines.len() + whole_samples.len());
        let died = crash(&pieces, head, (all as f64 * share) as usize);
        fs::write(run.join("trials.jsonl"), &whole_lines[..died.lines]).unwrap();
        fs::write(run.join("samples.csv"), &whole_samples[..died.samples]).unwrap();

        // Reading alone gives what is whole, and changes nothing.
        let read = Run::open(&run).unwrap();
        let mut streamed = 0;
        read.samples(|_, _| streamed += 1).unwrap();
        prop_assert!(streamed <= read.trials.len());
        folder::findings(&read).unwrap();

        let (mut writer, _, done) = RunWriter::resume(&run).unwrap();
        prop_assert_eq!(done.len(), read.trials.len());
        for (record, samples) in &trials[done.len()..] {
            writer.append(record, samples).unwrap();
        }
        drop(writer);
        prop_assert!(bytes(&run, "trials.jsonl") == whole_lines);
        prop_assert!(bytes(&run, "samples.csv") == whole_samples);
        prop_assert_eq!(validate(&run), vec![]);
    }

    #[test]
    fn a_damaged_record_is_an_error_or_a_problem_and_never_a_panic(
        file in 0..3_usize,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let (_folder, run) = copy();
        let path = run.join(["run.json", "trials.jsonl", "samples.csv"][file]);
        let mut content = fs::read(&path).unwrap();
        for (at, byte) in damage {
            let at = at.index(content.len());
            content[at] = byte;
        }
        if let Some(at) = cut {
            content.truncate(at.index(content.len()));
        }
        fs::write(&path, content).unwrap();
        for problem in validate(&run) {
            prop_assert!(!problem.what.is_empty() && !problem.fix.is_empty());
        }
        if let Ok(read) = Run::open(&run) {
            let _ = folder::findings(&read);
        }
    }
}

#[test]
fn numbers_in_trials_may_be_anything() {
    // A record by another hand: every number of a line is replaced, one at a time, by an extreme one.
    let (_folder, run) = copy();
    let text = String::from_utf8(bytes(&run, "trials.jsonl")).unwrap();
    let line = text.lines().find(|line| line.contains("app-docker-x1-small")).unwrap();
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let mut paths = Vec::new();
    collect(&value, String::new(), &mut paths);
    for path in paths {
        for extreme in ["0", "-1", "18446744073709551615", "1e300", "4294967295"] {
            let mut changed = value.clone();
            *changed.pointer_mut(&path).unwrap() = serde_json::from_str(extreme).unwrap();
            fs::write(run.join("trials.jsonl"), format!("{changed}\n")).unwrap();
            validate(&run);
            if let Ok(read) = Run::open(&run) {
                let _ = folder::findings(&read);
            }
        }
    }
}

/// Pointers of all numbers.
fn collect(value: &serde_json::Value, at: String, paths: &mut Vec<String>) {
    match value {
        serde_json::Value::Number(_) => paths.push(at),
        serde_json::Value::Array(all) => {
            for (index, part) in all.iter().enumerate() {
                collect(part, format!("{at}/{index}"), paths);
            }
        }
        serde_json::Value::Object(all) => {
            for (name, part) in all {
                collect(part, format!("{at}/{name}"), paths);
            }
        }
        _ => {}
    }
}

#[test]
fn what_is_not_a_run_is_said_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let error = Run::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is not a run folder") && error.contains("hint:"), "{error}");
    let (_folder, run) = copy();
    let header = String::from_utf8(bytes(&run, "run.json")).unwrap();
    let other = format!("\"format\": {}", record::FORMAT_VERSION + 1);
    fs::write(run.join("run.json"), header.replace(&format!("\"format\": {}", record::FORMAT_VERSION), &other))
        .unwrap();
    assert!(matches!(Run::open(&run), Err(RecordError::Later { .. })));
    let error = RunWriter::resume(&run).unwrap_err();
    assert!(matches!(error, RecordError::Later { .. }));
    assert_eq!(error.hint().unwrap(), "wsceiling 0.1.0 wrote it: use that version or a later one");
    assert_eq!(validate(&run).len(), 1);
}
