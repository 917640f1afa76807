//! The committed fixture `tests/fixtures/run-small`: made by the tool's own writer from simulated trials, checked by the
//! tool's own validator. `UPDATE_FIXTURES=1 cargo test --test fixture` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use wsceiling::folder;
use wsceiling_analysis as analyse;
use wsceiling_model::record::{Cause, FORMAT_VERSION, Outcome, TrialRecord, WallName};
use wsceiling_runfolder::{RecordError, Run, RunWriter, validate};
use wsceiling_simulate as support;

/// Every file of a folder with its content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                all.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    all
}

#[test]
fn the_fixture_is_what_the_scripts_write() {
    let (header, trials) = support::small_run();
    let folder = tempfile::tempdir().unwrap();
    let written = support::write(folder.path(), &header, &trials);
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        let _ = fs::remove_dir_all(support::fixture());
        for (name, content) in files(&written) {
            let path = support::fixture().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }
    let (expected, found) = (files(&written), files(&support::fixture()));
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    for (name, content) in expected {
        assert!(content == found[&name], "{name} differs; UPDATE_FIXTURES=1 cargo test --test fixture writes it anew");
    }
}

#[test]
fn the_fixture_is_valid() {
    let problems = validate(&support::fixture());
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn the_fixture_reads_back_as_it_was_written() {
    let (header, trials) = support::small_run();
    let run = Run::open(&support::fixture()).unwrap();
    assert!(run.header == header);
    assert!(run.trials.iter().eq(trials.iter().map(|(record, _)| record)));
    let mut read = Vec::new();
    run.samples(|trial, samples| read.push((trial.clone(), samples.to_vec()))).unwrap();
    let expected: Vec<_> = trials
        .iter()
        .filter(|(_, samples)| !samples.is_empty())
        .map(|(record, samples)| (record.trial.clone(), samples.clone()))
        .collect();
    assert!(read == expected);
}

#[test]
fn the_findings_of_the_fixture_are_those_of_its_scripts() {
    let run = Run::open(&support::fixture()).unwrap();
    let found = folder::findings(&run).unwrap();
    let cell = |id: &str| found.cells.iter().find(|cell| cell.cell.id == id).unwrap();
    let cause = |id: &str| cell(id).verdict.as_ref().map(|verdict| (verdict.cause, verdict.confidence));

    let reached = cell("echo-bare-x1-small");
    assert_eq!((reached.outcome, cause("echo-bare-x1-small")), (Outcome::Ok, Some((Cause::None, 0.85))));
    let ceiling = reached.ceiling.as_ref().unwrap();
    assert_eq!((ceiling.connections, ceiling.at_least, ceiling.valid), (2000, true, 2));
    // The script's server: 6,200 bytes anonymous and 1,600 kernel a connection, the page cache not billed.
    let memory = reached.memory.as_ref().unwrap();
    assert!((memory.per_connection.value - 7800.0).abs() < 40.0, "{memory:?}");
    let (low, high) = memory.per_connection.interval.unwrap();
    assert!(low < 7800.0 && 7800.0 < high && high - low < 200.0, "{low} {high}");
    let parts: BTreeMap<&str, f64> =
        memory.parts.iter().map(|part| (part.name.as_str(), part.per_connection)).collect();
    assert!((parts["kernel"] - 1600.0).abs() < 1.0 && parts["page cache"].abs() < 1.0, "{parts:?}");
    // 12 micro-cores to hold one, 120 us to open one.
    let cpu = reached.cpu.as_ref().unwrap();
    assert!((cpu.per_connection.unwrap().value - 12.0).abs() < 1.0, "{cpu:?}");
    assert!((cpu.opening.unwrap().value - 120.0).abs() < 6.0, "{cpu:?}");
    assert_eq!(reached.connections_per_price, Some(2000.0 / 6.0));
    let wall = reached.trials[0].walls.iter().find(|wall| wall.name == WallName::Memory).unwrap();
    assert!((8000..8400).contains(&wall.connections), "{wall:?}");

    let tried = |id: &str| {
        let tried = &cell(id).confirmations.tried;
        (tried.len(), tried.first().map(|one| one.sentence.clone()).unwrap_or_default())
    };
    let moved = "ceiling moved 1,788 -> 2,703, predicted 2,718: confirmed";
    assert_eq!(tried("app-docker-x1-small"), (1, moved.into()));
    let stood = "largest step that passed did not move 1,500 -> 1,500, predicted 2,000: rejected";
    assert_eq!(tried("app-bare-x1-small"), (1, stood.into()));
    assert_eq!(cell("app-docker-x1-small").trials.len(), 2, "an experiment is no trial of the cell");
    assert_eq!(cause("app-docker-x1-small"), Some((Cause::MemoryLimit, 0.97)));
    let ceiling = cell("app-docker-x1-small").ceiling.as_ref().unwrap();
    assert_eq!((ceiling.connections, ceiling.high, ceiling.peak), (1500, Some(2000), 1788));
    assert_eq!(cause("app-bare-x1-small"), Some((Cause::CpuQuota, 0.20)));

    let client = cell("echo-bare-x2-small");
    assert_eq!((client.outcome, client.ceiling.is_none()), (Outcome::Invalid, true));
    assert_eq!(cause("echo-bare-x2-small"), Some((Cause::ClientLimited, 0.85)));
    assert!(client.trials.iter().all(|trial| trial.bracket.is_none()));

    let skipped = cell("echo-docker-x2-small");
    assert_eq!((skipped.outcome, skipped.verdict.is_none()), (Outcome::Skipped, true));
    assert!(skipped.hint.is_some());
    assert_eq!(cell("bun-bare-x1-small").outcome, Outcome::FailedVerification);
    assert_eq!(found.remarks, ["client and server share their cores: the machine has 2 (10 of 12 trials)"]);
}

/// A line as a program wrote it that knew nothing of what format 3 added.
fn without_what_came_later(mut record: TrialRecord) -> TrialRecord {
    for step in &mut record.steps {
        (step.opened_after_failure, step.last_opened_ms, step.slowest_reply_us) = (None, None, None);
    }
    record.instances.iter_mut().for_each(|instance| instance.log_signs.clear());
    record
}

#[test]
fn records_of_earlier_formats_say_the_same() {
    let new = Run::open(&support::fixture()).unwrap();
    assert_eq!(new.header.format, FORMAT_VERSION);
    for format in 1..FORMAT_VERSION {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/run-format-{format}"));
        let old = Run::open(&path).unwrap();
        assert_eq!(old.header.format, format);
        assert!(validate(&old.path).is_empty(), "{:#?}", validate(&old.path));
        assert!(old.trials.iter().flat_map(|trial| &trial.steps).all(|step| step.probe_from_ms.is_none()));
        for (old, new) in old.trials.iter().zip(&new.trials) {
            assert_eq!(*old, without_what_came_later(new.clone()));
        }
        let cells = |run: &Run| {
            let findings = folder::findings(run).unwrap();
            let told = |cell: &analyse::CellFindings| {
                let verdict = cell.verdict.as_ref().map(|verdict| (verdict.cause, verdict.confidence));
                let memory = cell.memory.as_ref().map(|memory| memory.per_connection.value);
                (cell.cell.id.clone(), cell.outcome, cell.ceiling.as_ref().map(|it| it.connections), verdict, memory)
            };
            findings.cells.iter().map(told).collect::<Vec<_>>()
        };
        assert_eq!(cells(&old), cells(&new));
        assert!(matches!(RunWriter::resume(&old.path), Err(RecordError::Earlier { .. })));
    }
}

#[test]
fn findings_and_comparison_are_the_same_each_time() {
    let run = Run::open(&support::fixture()).unwrap();
    let (one, two) = (folder::findings(&run).unwrap(), folder::findings(&run).unwrap());
    assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&two).unwrap());
    let same = analyse::compare(&one, &two);
    assert_eq!((same.worse, same.better, same.cells.len()), (0, 0, 6));
    assert!(same.environment.is_empty() && same.load.is_empty());
}

#[test]
fn the_documentation_names_every_field_of_the_record() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/record-format.md");
    let text = fs::read_to_string(path).unwrap();
    let read = |name: &str| fs::read_to_string(support::fixture().join(name)).unwrap();
    let mut documents = vec![serde_json::from_str::<serde_json::Value>(&read("run.json")).unwrap()];
    documents.extend(read("trials.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()));
    let mut names = std::collections::BTreeSet::new();
    while let Some(value) = documents.pop() {
        match value {
            serde_json::Value::Array(all) => documents.extend(all),
            serde_json::Value::Object(all) => {
                for (name, value) in all {
                    // Keys of maps are data: facts, hashes, variables, sources.
                    let is_map = matches!(name.as_str(), "facts" | "binaries" | "env" | "sources");
                    names.insert(name);
                    if !is_map {
                        documents.push(value);
                    }
                }
            }
            _ => {}
        }
    }
    let missing: Vec<_> = names.iter().filter(|name| !text.contains(&format!("`{name}`"))).collect();
    assert!(
        missing.iter().all(|name| matches!(name.as_str(), "secs" | "nanos")),
        "not in docs/record-format.md: {missing:?}"
    );
}
