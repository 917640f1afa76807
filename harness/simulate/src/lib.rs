//! Simulated runs: the committed fixture and the large record of the benchmark are made from the same scripts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::must_use_candidate, clippy::return_self_not_must_use, reason = "a script is built in one expression")]
#![allow(missing_docs, reason = "a script reads as what it simulates")]

pub mod arms;
pub mod law;
pub mod script;
pub mod sizes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use script::{Fail, Script, cell, load, rising};
use wsceiling_model::matrix::{
    Cell, Change, Knob, Load, ProcessSpec, Protocol, RunSettings, Runtime, Size, Start, Target,
};
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{
    Cause, Component, Environment, Experiment, FailedAt, Measure, Metric, Outcome, Reason, RunHeader, Sample,
    Tolerance, TrialRecord, Wall, WallName,
};
use wsceiling_runfolder::RunWriter;

const MIB: f64 = 1024.0 * 1024.0;

/// The matrix that the fixture's header tells of.
const MATRIX: &str = r#"[run]
name = "small"
seed = 7
repeats = 2
confirm = true

[load]
step = 500
rate = "2000/s"
hold = "1s"
max = 2000
message = { bytes = 64, every = "1s" }

[targets.echo.process]
cargo = "echo"
[targets.app.process]
cargo = "app"
[targets.bun.process]
program = "bun"

[sizes.small]
cpus = 0.25
memory = "64MiB"
price = 6.0
"#;

/// A trial with its samples.
pub type Trial = (TrialRecord, Vec<Sample>);

/// Where the committed fixture is.
pub fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../program/tests/fixtures/run-small")
}

/// Six cells with two trials each: reached, two ceilings, client-limited, skipped, wrong answers; then an experiment on
/// each of the ceilings, of which one confirms its cause and one does not.
pub fn small_run() -> (RunHeader, Vec<Trial>) {
    let cells = vec![
        cell("echo-bare-x1-small", Runtime::Bare, 1),
        cell("echo-bare-x2-small", Runtime::Bare, 2),
        cell("echo-docker-x2-small", Runtime::Docker, 2),
        cell("app-docker-x1-small", Runtime::Docker, 1),
        cell("app-bare-x1-small", Runtime::Bare, 1),
        cell("bun-bare-x1-small", Runtime::Bare, 1),
    ];
    let mut trials = Vec::new();
    for repeat in [1, 2] {
        let script =
            |at: usize| Script::new(cells[at].clone(), repeat).noisy().size(|size| *size = small()).load(500, 2000);
        trials.push(script(0).good_up_to(2000).finish());
        trials.push(client_limited(script(1)));
        trials.push(skipped(&cells[2], repeat));
        trials.push(out_of_memory(script(3), repeat));
        trials.push(out_of_cpu(script(4), repeat));
        trials.push(wrong_answers(script(5)));
    }
    trials.push(more_memory(&cells[3]));
    trials.push(fewer_messages(&cells[4]));
    for (record, _) in &mut trials {
        finish(record);
    }
    // The order in which a seed shuffled them.
    let order = [3, 0, 10, 7, 5, 1, 2, 9, 4, 11, 8, 6, 12, 13];
    let trials: Vec<Trial> = order.iter().map(|at| trials[*at].clone()).collect();
    let plan = trials.iter().map(|(record, _)| record.trial.clone()).filter(|trial| !trial.confirm).collect();
    let mut header = header("small", MATRIX, cells, plan, 2);
    header.run.confirm = true;
    (header, trials)
}

/// Half as much memory again holds half as many connections again.
fn more_memory(cell: &Cell) -> Trial {
    let script = Script::new(cell.clone(), 1).noisy().size(|size| {
        *size = small();
        size.memory_bytes = Some(96 << 20);
    });
    let experiment = |load| Experiment {
        suspect: Cause::MemoryLimit,
        change: Change { knob: Knob::Memory, from: 64.0 * MIB, to: 96.0 * MIB },
        measure: Measure::Connections,
        before: 1788.0,
        predicted: 2718.0,
        tolerance: Tolerance::Exact,
        load,
    };
    let mut script = script.load(816, 3264);
    script.load.narrow = 0;
    let experiment = experiment(script.load.clone());
    into_experiment(killed(script.good_up_to(2448), 2703, 3264), experiment)
}

/// A quarter of the messages, and the step of 2,000 fails as before.
fn fewer_messages(cell: &Cell) -> Trial {
    let mut script = Script::new(cell.clone(), 1).noisy().size(|size| *size = small()).load(500, 2000);
    script.load.message.every = Duration::from_secs(4);
    let experiment = Experiment {
        suspect: Cause::CpuQuota,
        change: Change { knob: Knob::MessageEvery, from: 1.0, to: 4.0 },
        measure: Measure::Passed,
        before: 1500.0,
        predicted: 2000.0,
        tolerance: Tolerance::Exact,
        load: script.load.clone(),
    };
    into_experiment(out_of_cpu(script, 1), experiment)
}

fn into_experiment((mut record, samples): Trial, experiment: Experiment) -> Trial {
    record.trial = TrialId::confirm(&record.trial.cell, 1);
    record.started = Some("2026-11-24T03:20:00Z".into());
    record.experiment = Some(experiment);
    for instance in &mut record.instances {
        instance.log = Some(format!("logs/{}.0-{}.log", record.trial, instance.index));
    }
    (record, samples)
}

fn small() -> Size {
    Size { cpus: Some(0.25), memory_bytes: Some(64 << 20), price_per_month: Some(6.0), ..Size::unlimited("small") }
}

/// The bracket in step with the record's words, and the estimated walls.
fn finish(record: &mut TrialRecord) {
    if record.outcome == Outcome::Skipped {
        return;
    }
    record.walls.push(Wall {
        name: WallName::Descriptors,
        component: Component::Instance(0),
        connections: 19_991,
        why: "limit of 20,000 less 9 in use".into(),
    });
    record.warnings.push("client and server share their cores: the machine has 2".into());
}

fn client_limited(script: Script) -> Trial {
    let fail = Fail::plateau(1500).error(FailedAt::Connect, "errno EADDRNOTAVAIL", 500);
    let (mut record, samples) = script
        .generator(|generator| {
            generator.ports_per_pair = 750;
            generator.limited_by = vec!["source ports: 1,500 of 1,500 in use".into()];
        })
        .good_up_to(1500)
        .fail(fail)
        .finish();
    record.outcome = Outcome::Invalid;
    let hint = "add source addresses, or widen net.ipv4.ip_local_port_range";
    record.reason = Some(Reason::words("the client ran out of source ports", Some(hint)));
    (record, samples)
}

fn skipped(cell: &Cell, repeat: u32) -> Trial {
    let hint = "start the engine, or leave `docker` out of the axis `runtime`";
    let reason = Reason::words("no Docker engine at unix:///var/run/docker.sock", Some(hint));
    let skipped = TrialRecord::unmeasured(TrialId::new(&cell.id, repeat), Outcome::Skipped);
    (TrialRecord { reason: Some(reason), ..skipped }, Vec::new())
}

/// 36.7 kB a connection under 64 MiB, killed by the kernel.
fn out_of_memory(script: Script, repeat: u32) -> Trial {
    killed(script.good_up_to(1500), 1780 + repeat * 4, 2000)
}

fn killed(script: Script, peak: u32, asked: u32) -> Trial {
    let fail = Fail::collapse(peak)
        .error(FailedAt::Open, "eof", peak.into())
        .error(FailedAt::Handshake, "reset", 31)
        .error(FailedAt::Connect, "errno ECONNREFUSED", u64::from(asked - peak - 31));
    let anon = |m: &script::Moment| 2.1 * MIB + m.open * 34_800.0;
    script
        .fail(fail)
        .exit(|exit| (exit.signal, exit.oom_killed) = (Some(9), Some(true)))
        .log("listening on 0.0.0.0:9000")
        .set(Component::Instance(0), Metric::MemoryAnon, move |m| Some(anon(m).round()))
        .set(Component::Instance(0), Metric::MemoryCurrent, move |m| {
            Some((anon(m) + 420_000.0 + 1_228_800.0 + m.open * 1600.0).round())
        })
        .finish()
}

/// A quarter of a core is not enough for the messages of 2,000 connections.
fn out_of_cpu(script: Script, repeat: u32) -> Trial {
    let periods = |m: &script::Moment| (m.t_ms / 100.0).floor();
    let p99 = 1_900_000 + u64::from(repeat) * 40_000;
    script
        .good_up_to(1500)
        .fail(Fail::late(p99).held(0.93))
        .set(Component::Instance(0), Metric::CpuPeriods, move |m| Some(periods(m)))
        .set(Component::Instance(0), Metric::CpuThrottledPeriods, |m| Some((m.since_failed_s.max(0.0) * 9.4).floor()))
        .set(Component::Instance(0), Metric::CpuThrottled, |m| Some((m.since_failed_s.max(0.0) * 610_000.0).floor()))
        .set(Component::Instance(0), Metric::CpuUsage, |m| {
            let before = (m.t_ms.min(m.t_ms - m.since_failed_s.max(0.0) * 1e3) * 110.0).max(0.0);
            Some((5000.0 + before + m.since_failed_s.max(0.0) * 249_000.0).round())
        })
        .set(Component::Instance(0), Metric::BusiestThread, |m| Some(if m.failing { 0.25 } else { 0.11 }))
        .set(Component::Instance(0), Metric::ListenOverflows, rising(0.0))
        .finish()
}

fn wrong_answers(script: Script) -> Trial {
    let (mut record, samples) = script.good(500).finish();
    record.outcome = Outcome::FailedVerification;
    let hint = "see `frames` in docs/targets.md";
    record.reason = Some(Reason::words("a text of 126 bytes came back as binary", Some(hint)));
    record.steps.clear();
    record.ceiling = None;
    record.generator = None;
    record.to_first_connect_ms = None;
    record.last_close_ms = None;
    record.duration_ms = 1900.0;
    record.sources.remove(&Component::Generator);
    record.instances[0].log_tail = vec!["bun 1.2.0".into(), "listening".into()];
    if let Some(exit) = &mut record.instances[0].exit {
        exit.t_ms = 1700.0;
    }
    let kept = |sample: &Sample| sample.t_ms < 1000.0 && sample.component != Component::Generator;
    (record, samples.into_iter().filter(kept).collect())
}

/// A header around cells and a plan.
pub fn header(name: &str, matrix: &str, cells: Vec<Cell>, plan: Vec<TrialId>, repeats: u32) -> RunHeader {
    let mut targets: Vec<Target> = Vec::new();
    for cell in &cells {
        if targets.iter().all(|target| target.name != cell.target) {
            targets.push(target(&cell.target));
        }
    }
    let hash: Vec<String> = Sha256::digest(matrix.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    RunHeader {
        format: wsceiling_model::record::FORMAT_VERSION,
        wsceiling: "0.1.0".into(),
        started: "2026-11-24T03:14:41Z".into(),
        matrix_path: "matrix.toml".into(),
        matrix_text: matrix.into(),
        matrix_sha256: hash.concat(),
        run: RunSettings { name: name.into(), seed: 7, repeats, ..RunSettings::default() },
        load: Load { max: 2000, ..load() },
        binaries: targets.iter().map(|target| (target.name.clone(), format!("{:064x}", 0xec_u64))).collect(),
        platforms: Vec::new(),
        prices: Vec::new(),
        targets,
        sizes: vec![small()],
        fronts: Vec::new(),
        cells,
        plan,
        environment: Environment { facts: facts() },
    }
}

fn target(name: &str) -> Target {
    let start = if name == "bun" { Start::Program(name.into()) } else { Start::Cargo(name.into()) };
    Target {
        name: name.into(),
        protocol: if name == "app" { Protocol::App } else { Protocol::Echo },
        path: "/".into(),
        token: (name == "app").then(|| "secret".into()),
        expect: wsceiling_model::matrix::Expect::Echo,
        process: Some(ProcessSpec {
            start,
            args: vec!["--address".into(), "{address}".into()],
            env: BTreeMap::new(),
            files: Vec::new(),
            user: None,
            port: None,
            build: Vec::new(),
        }),
        folder: None,
        docker: None,
        confirm: wsceiling_model::matrix::ConfirmArgs::default(),
        remote: None,
    }
}

fn facts() -> BTreeMap<String, String> {
    [
        ("kernel.release", "6.18.0"),
        ("cpu.model", "Example CPU @ 2.00GHz"),
        ("cpu.count", "4"),
        ("memory.total_bytes", "16777216000"),
        ("limits.nofile_hard", "20000"),
        ("cgroup.version", "1"),
        ("sysctl.net.core.somaxconn", "4096"),
        ("sysctl.net.ipv4.ip_local_port_range", "32768 60999"),
        ("sysctl.net.ipv4.tcp_mem", "187000 249000 374000"),
        ("toolchain.rustc", "1.95.0"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// Writes a run with the tool's own writer, and a short log for each instance.
pub fn write(reports: &Path, header: &RunHeader, trials: &[Trial]) -> PathBuf {
    let mut writer = RunWriter::create(reports, header).unwrap();
    for (record, samples) in trials {
        for instance in &record.instances {
            let lines = instance.log_tail.join("\n") + "\n";
            let text = if instance.log_tail.is_empty() { "listening\n".to_owned() } else { lines };
            std::fs::write(writer.path().join(instance.log.as_ref().unwrap()), text).unwrap();
        }
        writer.append(record, samples).unwrap();
    }
    writer.path().to_path_buf()
}

/// A run of `cells` cells with `repeats` trials of `samples` moments each.
pub fn big_run(cells: u32, repeats: u32, samples: u32) -> (RunHeader, impl Iterator<Item = Trial>) {
    let cells: Vec<Cell> =
        (0..cells).map(|number| cell(&format!("echo-bare-x1-small-{number:03}"), Runtime::Bare, 1)).collect();
    let plan =
        cells.iter().flat_map(|cell| (1..=repeats).map(|repeat| TrialId::new(&cell.id, repeat))).collect::<Vec<_>>();
    let header = header("big", MATRIX, cells.clone(), plan, repeats);
    let trials = cells.into_iter().flat_map(move |cell| {
        (1..=repeats).map(move |repeat| {
            let script = Script::new(cell.clone(), repeat).noisy().size(|size| *size = small()).load(500, 2000);
            long_trial(script, samples)
        })
    });
    (header, trials)
}

/// Steps of 500 up to 2,000, the last of which fails late, with as many samples as asked for: the trial is cut or its
/// last moment goes on.
fn long_trial(script: Script, samples: u32) -> Trial {
    let (mut record, mut all) = script.good_up_to(1500).fail(Fail::late(700_000).held(0.98)).finish();
    let mut t_ms = all.last().map_or(0.0, |sample| sample.t_ms);
    let last: Vec<Sample> = all.iter().filter(|sample| sample.t_ms >= t_ms).cloned().collect();
    let moments = all.iter().filter(|sample| sample.component == Component::Host).count() as u32;
    for _ in moments..samples {
        t_ms += 250.0;
        all.extend(last.iter().cloned().map(|sample| Sample { t_ms, ..sample }));
    }
    if let Some(step) = record.steps.last_mut() {
        step.ended_ms = step.ended_ms.max(t_ms - 500.0);
    }
    record.duration_ms = record.duration_ms.max(t_ms + 500.0);
    (record, all)
}
