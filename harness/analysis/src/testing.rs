//! Judging simulated trials.

use wsceiling_simulate::script as simulate;
pub(crate) use wsceiling_simulate::script::{Fail, Script, rising};

use crate::context::TrialContext;
use crate::findings::{Ceiling, CellFindings, Findings, TrialFindings};
use crate::judge::judge;
use crate::numbers::TrialNumbers;
use crate::time_series::TimeSeries;
use crate::verdict::Verdict;
use wsceiling_model::matrix::{Protocol, RemoteTarget, Runtime, Target};
use wsceiling_model::plan::TrialId;
use wsceiling_model::platforms;
use wsceiling_model::record::{Bracket, Cause, Environment, Outcome, PlatformRecord, RunHeader, TrialRecord};

/// A trial of one bare instance.
pub(crate) fn script() -> Script {
    Script::new(simulate::cell("echo-bare-x1-small", Runtime::Bare, 1), 1)
}

/// A trial of several bare instances.
pub(crate) fn instances(instances: u32) -> Script {
    Script::new(simulate::cell(&format!("echo-bare-x{instances}-small"), Runtime::Bare, instances), 1)
}

/// A trial of one instance that the harness did not start, on a platform of the catalogue.
pub(crate) fn remote(platform: &str) -> Script {
    let mut script = Script::new(simulate::cell("shop-remote-x1", Runtime::Remote, 1), 1);
    script.cell.size = None;
    script.remote = Some(platform.to_owned());
    script
}

/// The rows of a run: a platform and those that its traffic passes.
fn platforms(name: Option<&str>) -> Vec<PlatformRecord> {
    platforms::rows(name)
}

/// A target that somebody else runs.
fn remote_target(name: &str, platform: Option<&str>, front_of: Option<&str>) -> Target {
    let remote = RemoteTarget {
        platform: platform.map(str::to_owned),
        front_of: front_of.map(str::to_owned),
        ..RemoteTarget::at(Vec::new())
    };
    Target {
        name: name.to_owned(),
        protocol: Protocol::Echo,
        path: "/".into(),
        token: None,
        expect: wsceiling_model::matrix::Expect::Echo,
        process: None,
        folder: None,
        docker: None,
        confirm: wsceiling_model::matrix::ConfirmArgs::default(),
        remote: Some(remote),
    }
}

/// The header of a run of one remote target.
pub(crate) fn remote_header(name: &str, platform: Option<&str>, front_of: Option<&str>) -> RunHeader {
    let mut header = remote("render").good(500).with(|header, _| header.clone());
    header.targets = vec![remote_target(name, platform, front_of)];
    header.platforms = platforms(platform);
    header.cells[0].target = name.to_owned();
    header
}

/// A cell that stopped there, for that cause.
pub(crate) fn cell_findings(target: &str, connections: u64, cause: Cause) -> CellFindings {
    let mut cell = simulate::cell(&format!("{target}-remote-x1"), Runtime::Remote, 1);
    cell.target = target.to_owned();
    let at_least = cause == Cause::None;
    let verdict = Verdict { cause, ..script().good(500).verdict() };
    CellFindings {
        cell,
        size: None,
        price: None,
        endings: Vec::new(),
        outcome: Outcome::Ceiling,
        reason: None,
        hint: None,
        ceiling: Some(Ceiling {
            connections,
            low: connections,
            high: (!at_least).then_some(connections + 10),
            at_least,
            unmet: u32::from(at_least),
            peak: connections,
            valid: 1,
            trials: 1,
        }),
        confirmations: crate::confirm::Confirmations::default(),
        wall: None,
        verdict: Some(verdict),
        memory: None,
        cpu: None,
        connections_per_price: None,
        edge: None,
        long: None,
        trials: Vec::new(),
    }
}

/// A trial that says these numbers: where it stopped, memory, CPU, and CPU of an opening.
fn numbered_trial(cell: &str, repeat: u32, [ceiling, memory, cpu, opening]: [f64; 4]) -> TrialFindings {
    let record = TrialRecord::unmeasured(TrialId::new(cell, repeat), Outcome::Ceiling);
    TrialFindings {
        trial: record.trial.clone(),
        record,
        bracket: Some(Bracket { last_good: ceiling as u64, first_bad: Some(ceiling as u64 + 1), peak: ceiling as u64 }),
        numbers: TrialNumbers {
            ceiling: Some(ceiling),
            memory_per_connection_bytes: Some(memory),
            cpu_per_connection_us_per_s: Some(cpu),
            cpu_per_open_us: Some(opening),
            cpu_per_message_us: Some(cpu * 3.0),
            ..TrialNumbers::default()
        },
        verdict: None,
        walls: Vec::new(),
        series: Vec::new(),
    }
}

/// A run of a cell each of these targets, with trials of these numbers.
pub(crate) fn run_of(cells: &[(&str, Vec<[f64; 4]>)]) -> Findings {
    let mut header = remote_header("shop", None, None);
    header.environment.facts = [("cpu.model", "Example"), ("cpu.cores", "2"), ("kernel.release", "6.18")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    let cell = |(name, trials): &(&str, Vec<[f64; 4]>)| {
        let mut found = cell_findings(name, trials[0][0] as u64, Cause::MemoryLimit);
        found.cell.runtime = Runtime::Docker;
        let id = found.cell.id.clone();
        found.trials = (1..).zip(trials).map(|(repeat, numbers)| numbered_trial(&id, repeat, *numbers)).collect();
        found
    };
    Findings { header, cells: cells.iter().map(cell).collect(), scaling: Vec::new(), remarks: Vec::new() }
}

/// The cause that a trial is judged to have.
pub(crate) fn cause(script: Script) -> Cause {
    script.verdict().cause
}

/// A simulated trial, looked at as an analysis does.
pub(crate) trait Judged: Sized {
    /// Hands what is known of the trial to `look`.
    fn with<T>(self, look: impl FnOnce(&RunHeader, &TrialContext<'_>) -> T) -> T;

    /// What the trial is judged to have met.
    fn verdict(self) -> Verdict {
        self.with(|_, trial| judge(trial).unwrap())
    }
}

impl Judged for Script {
    fn with<T>(self, look: impl FnOnce(&RunHeader, &TrialContext<'_>) -> T) -> T {
        let header = header(&self);
        let cell = self.cell.clone();
        let (record, samples) = self.finish();
        let series = TimeSeries::new(&samples);
        look(&header, &TrialContext::new(&header, &cell, &record, &series).unwrap())
    }
}

/// The header of a run of this trial.
pub(crate) fn header(script: &Script) -> RunHeader {
    RunHeader {
        format: wsceiling_model::record::FORMAT_VERSION,
        wsceiling: "0.1.0".into(),
        started: "2026-11-24T03:14:41Z".into(),
        matrix_path: "matrix.toml".into(),
        matrix_text: String::new(),
        matrix_sha256: String::new(),
        run: wsceiling_model::matrix::RunSettings {
            name: "test".into(),
            repeats: 1,
            ..wsceiling_model::matrix::RunSettings::default()
        },
        load: script.load.clone(),
        targets: vec![target(script)],
        sizes: vec![script.size.clone()],
        fronts: script.front.clone().into_iter().collect(),
        cells: vec![script.cell.clone()],
        plan: Vec::new(),
        environment: Environment { facts: script.facts.clone() },
        binaries: std::collections::BTreeMap::new(),
        platforms: platforms(script.remote.as_deref()),
        prices: Vec::new(),
    }
}

/// A server that says how its backlog, its threads and its heap are set.
fn target(script: &Script) -> Target {
    if let Some(platform) = &script.remote {
        return remote_target(&script.cell.target, Some(platform), None);
    }
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    Target {
        name: script.cell.target.clone(),
        protocol: Protocol::Echo,
        path: "/".into(),
        token: None,
        expect: wsceiling_model::matrix::Expect::Echo,
        process: Some(wsceiling_model::matrix::ProcessSpec {
            start: wsceiling_model::matrix::Start::Program("server".into()),
            args: script.args.clone(),
            env: std::collections::BTreeMap::new(),
            files: Vec::new(),
            user: None,
            port: None,
            build: Vec::new(),
        }),
        folder: None,
        docker: None,
        remote: None,
        confirm: wsceiling_model::matrix::ConfirmArgs {
            backlog: words(&["--backlog", "{value}"]),
            threads: words(&["--threads", "{value}"]),
            heap: words(&["--heap={value}"]),
        },
    }
}
