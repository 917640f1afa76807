//! Findings made by hand for the tests: a run in which every outcome appears, drawn so that the pages look like real ones.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::analyse::cause::{Evidence, Shape, Verdict};
use crate::analyse::{Ceiling, CellFindings, Cost, CostPoint, Findings, Series, SizeWords, TrialFindings};
use crate::matrix::{Broadcast, Cell, Churn, Gates, Load, Message, RunSettings, Runtime, Scenario, Size};
use crate::plan::TrialId;
use crate::record::{
    AppliedLimit, Bracket, Component, Environment, ErrorTally, Event, Exit, Gate, GeneratorRecord, InstanceRecord,
    Latency, Outcome, RunHeader, Stage, StepKind, StepRecord, TrialRecord, Wall,
};

const MIB: f64 = 1024.0 * 1024.0;

/// How a measured cell behaves.
#[derive(Clone, Copy)]
pub struct Behaviour {
    /// Connections it holds; `None`: more than the matrix asks for.
    pub ceiling: Option<u64>,
    /// Bytes of memory a connection takes.
    pub bytes: f64,
    /// Micro-cores a connection takes.
    pub microcores: f64,
    /// Cause of the ceiling.
    pub cause: &'static str,
}

/// A run with every outcome.
pub fn findings() -> Findings {
    let echo = Behaviour { ceiling: None, bytes: 7_300.0, microcores: 11.8, cause: "none" };
    let lean = Behaviour { bytes: 6_900.0, microcores: 14.2, ..echo };
    let app = Behaviour { ceiling: Some(5_750), bytes: 31_400.0, microcores: 96.0, cause: "cpu-quota" };
    let heavy = Behaviour { ceiling: Some(4_400), bytes: 58_900.0, microcores: 71.0, cause: "memory-limit" };
    let wide = Behaviour { ceiling: Some(7_500), bytes: 57_300.0, microcores: 78.0, cause: "memory-limit" };
    let cells = vec![
        measured("echo", Runtime::Bare, 1, echo, 3),
        measured("echo", Runtime::Docker, 1, lean, 3),
        measured("echo", Runtime::Bare, 2, Behaviour { bytes: 7_900.0, ..echo }, 3),
        measured("app", Runtime::Bare, 1, app, 3),
        measured("app", Runtime::Docker, 1, heavy, 3),
        measured("app", Runtime::Docker, 2, wide, 3),
        failed("bun", Outcome::Skipped, "no program `bun` on PATH", "install bun or remove it from axes.target"),
        failed(
            "python",
            Outcome::FailedToStart,
            "exited with code 1 after 0.21 s, before it listened",
            "read its log below",
        ),
        failed(
            "wrong",
            Outcome::FailedVerification,
            "a binary message came back as text",
            "echo the opcode of the message",
        ),
        failed(
            "slow",
            Outcome::TimedOut,
            "the trial took longer than 120 s",
            "raise run.trial_within or lower load.max",
        ),
        failed("late", Outcome::Killed, "stopped by Ctrl-C", "continue with --resume"),
        invalid("ports"),
    ];
    run(cells)
}

/// A run of these cells.
pub fn run(cells: Vec<CellFindings>) -> Findings {
    let header = header(&cells);
    let remarks = vec![
        "generator and servers share 2 cores, so latency and CPU include the generator's interference".to_owned(),
        "1 cell was skipped: no program `bun` on PATH".to_owned(),
    ];
    Findings { header, cells, remarks }
}

fn header(cells: &[CellFindings]) -> RunHeader {
    let facts = [
        ("cpu.model", "AMD EPYC 7B13"),
        ("cpu.cores", "2"),
        ("memory.total_bytes", "25281101824"),
        ("kernel.release", "6.18.0"),
        ("cgroup.version", "1 (hybrid)"),
        ("engine.version", "20.10.24"),
        ("limits.nofile_hard", "20000"),
        ("sysctl.net.ipv4.ip_local_port_range", "32768 60999"),
        ("sysctl.net.core.somaxconn", "4096"),
        ("source.revision", "9a35806"),
        ("toolchain.rustc", "1.95.0"),
    ];
    RunHeader {
        format: 1,
        wsceiling: "0.1.0".into(),
        started: "2026-11-24T03:17:05Z".into(),
        matrix_path: "matrix.toml".into(),
        matrix_text: "[run]\nname = \"default\"\nseed = 1\nrepeats = 3\n\n[axes]\ntarget = [\"echo\", \"app\"]\n"
            .into(),
        matrix_sha256: "5f".repeat(32),
        run: RunSettings {
            name: "default".into(),
            seed: 1,
            repeats: 3,
            sample_every: Duration::from_millis(250),
            ready_within: Duration::from_secs(10),
            trial_within: Duration::from_secs(120),
        },
        load: load(),
        targets: Vec::new(),
        sizes: vec![Size {
            name: "small".into(),
            cpus: Some(1.0),
            memory_bytes: Some(268_435_456),
            nofile: None,
            pids: None,
            price_per_month: Some(6.0),
        }],
        cells: cells.iter().map(|cell| cell.cell.clone()).collect(),
        plan: cells.iter().flat_map(|cell| cell.trials.iter().map(|trial| trial.trial.clone())).collect(),
        environment: Environment {
            facts: facts.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect(),
        },
        binaries: [("echo".to_owned(), "ab".repeat(32)), ("app".to_owned(), "0c".repeat(32))].into_iter().collect(),
    }
}

fn load() -> Load {
    Load {
        step: 2_000,
        rate: 4_000.0,
        hold: Duration::from_secs(1),
        max: 8_000,
        message: Message { bytes: 64, every: Duration::from_secs(5) },
        gates: Gates { connected: 0.999, echoed: 0.999, p99: Duration::from_millis(500) },
        resolution: 0.05,
        narrow: 4,
        connect_timeout: Duration::from_secs(5),
        handshake_timeout: Duration::from_secs(5),
        workers: None,
        broadcast: Broadcast { room: 50, every: Duration::from_secs(1), bytes: 128 },
        churn: Churn { lifetime: Duration::from_secs(10) },
    }
}

fn cell(target: &str, runtime: Runtime, instances: u32) -> Cell {
    Cell {
        id: format!("{target}-{runtime}-x{instances}-small"),
        target: target.to_owned(),
        runtime,
        instances,
        size: Some("small".into()),
        scenario: Scenario::Idle,
    }
}

/// A cell whose trials all ended with this outcome before anything was measured.
pub fn failed(target: &str, outcome: Outcome, reason: &str, hint: &str) -> CellFindings {
    let cell = cell(target, Runtime::Bare, 1);
    let mut record = empty(TrialId { cell: cell.id.clone(), repeat: 1 }, outcome);
    record.reason = Some(reason.to_owned());
    record.hint = Some(hint.to_owned());
    if outcome == Outcome::FailedToStart {
        let mut instance = instance(0, &record.trial, Runtime::Bare);
        instance.exit =
            Some(Exit { code: Some(1), signal: None, oom_killed: Some(false), requested: false, t_ms: 210.0 });
        instance.log_tail = vec![
            "Traceback (most recent call last):".into(),
            "ModuleNotFoundError: No module named 'websockets'".into(),
        ];
        record.instances = vec![instance];
    }
    let trial = TrialFindings {
        trial: record.trial.clone(),
        record,
        bracket: None,
        verdict: None,
        walls: Vec::new(),
        series: Vec::new(),
    };
    CellFindings {
        cell,
        size: None,
        outcome,
        reason: Some(reason.to_owned()),
        hint: Some(hint.to_owned()),
        ceiling: None,
        verdict: None,
        memory_per_connection: None,
        cpu_per_connection: None,
        cpu_per_open: None,
        connections_per_price: None,
        trials: vec![trial],
    }
}

/// A cell that the client limited.
fn invalid(target: &str) -> CellFindings {
    let limited = Behaviour { ceiling: Some(4_000), bytes: 7_300.0, microcores: 12.0, cause: "client-limited" };
    let mut found = measured(target, Runtime::Bare, 1, limited, 1);
    found.outcome = Outcome::Invalid;
    found.reason = Some("the generator ran out of local ports to 127.0.0.1:9001 at 4,000".into());
    found.hint = Some("widen net.ipv4.ip_local_port_range or add source addresses".into());
    found.ceiling = None;
    found.memory_per_connection = None;
    found.cpu_per_connection = None;
    found.cpu_per_open = None;
    found.connections_per_price = None;
    for trial in &mut found.trials {
        trial.record.outcome = Outcome::Invalid;
    }
    found
}

/// A cell that was measured `repeats` times.
pub fn measured(target: &str, runtime: Runtime, instances: u32, behaviour: Behaviour, repeats: u32) -> CellFindings {
    let cell = cell(target, runtime, instances);
    let trials: Vec<TrialFindings> = (1..=repeats).map(|repeat| trial(&cell, behaviour, repeat)).collect();
    let held = |trial: &TrialFindings| trial.bracket.map_or(0, |bracket| bracket.last_good);
    let ceiling = Ceiling {
        connections: held(&trials[trials.len() / 2]),
        low: trials.iter().map(held).min().unwrap_or(0),
        high: trials.iter().filter_map(|trial| trial.bracket?.first_bad).max(),
        at_least: behaviour.ceiling.is_none(),
        peak: trials.iter().map(held).max().unwrap_or(0),
        valid: repeats,
        trials: repeats,
    };
    let baseline = 3.2 * MIB * f64::from(instances);
    let connections = ceiling.connections;
    CellFindings {
        cell,
        size: Some(SizeWords { text: "1 cpu, 256 MiB".into(), price_per_month: Some(6.0) }),
        outcome: if behaviour.ceiling.is_some() { Outcome::Ceiling } else { Outcome::Ok },
        reason: None,
        hint: None,
        connections_per_price: Some(connections as f64 / (6.0 * f64::from(instances))),
        ceiling: Some(ceiling),
        verdict: trials[0].verdict.clone(),
        memory_per_connection: Some(cost(&trials, behaviour.bytes, baseline, true)),
        cpu_per_connection: Some(cost(&trials, behaviour.microcores, 1_500.0, false)),
        cpu_per_open: Some(cost(&trials, 118.0, 0.0, false)),
        trials,
    }
}

fn cost(trials: &[TrialFindings], slope: f64, baseline: f64, with_parts: bool) -> Cost {
    let points: Vec<CostPoint> = trials
        .iter()
        .flat_map(|trial| trial.record.steps.iter().filter(|step| step.open > 0).map(move |step| (trial, step)))
        .enumerate()
        .map(|(at, (trial, step))| CostPoint {
            connections: step.open as f64,
            value: baseline + slope * step.open as f64 * (1.0 + 0.03 * wobble(at)),
            repeat: trial.trial.repeat,
        })
        .collect();
    let parts = if with_parts {
        vec![("anonymous".to_owned(), slope * 0.74), ("kernel".to_owned(), slope * 0.26)]
    } else {
        Vec::new()
    };
    Cost {
        per_connection: slope,
        interval: (points.len() >= 3).then_some((slope * 0.982, slope * 1.019)),
        baseline,
        points,
        parts,
        source: if with_parts { "cgroup1 memory.usage_in_bytes".into() } else { "cgroup1 cpuacct.usage".into() },
    }
}

/// A repeatable number between -1 and 1.
fn wobble(at: usize) -> f64 {
    (at as f64 * 12.989_8).sin()
}

fn trial(cell: &Cell, behaviour: Behaviour, repeat: u32) -> TrialFindings {
    let drift = 1.0 + 0.012 * f64::from(repeat.min(3) as i32 - 2);
    let ceiling = behaviour.ceiling.map(|ceiling| (ceiling as f64 * drift) as u64);
    let steps = steps(cell, ceiling);
    let end = steps.last().map_or(0.0, |step: &StepRecord| step.ended_ms);
    let id = TrialId { cell: cell.id.clone(), repeat };
    let onset = steps.iter().find(|step| !step.passed).map(|step| step.opened_ms - 120.0);
    let bracket = bracket(&steps);
    let mut record = empty(id.clone(), if ceiling.is_some() { Outcome::Ceiling } else { Outcome::Ok });
    record.instances = (0..cell.instances).map(|index| instance(index, &id, cell.runtime)).collect();
    if behaviour.cause == "memory-limit" {
        let exit =
            Exit { code: None, signal: Some(9), oom_killed: Some(true), requested: false, t_ms: onset.unwrap_or(0.0) };
        record.instances[0].exit = Some(exit);
        record.instances[0].log_tail = vec!["listening on 172.19.0.2:9001".into()];
    }
    record.events = onset
        .map(|t_ms| Event {
            t_ms,
            component: Some(Component::Instance(0)),
            what: format!("first failure: {}", behaviour.cause),
        })
        .into_iter()
        .chain([Event { t_ms: 210.0, component: None, what: "verified".into() }])
        .collect();
    record.steps = steps;
    record.ceiling = Some(bracket);
    record.warnings = vec!["cores are shared: generator and servers run on the same 2 cores".into()];
    TrialFindings {
        trial: id,
        bracket: Some(bracket),
        verdict: Some(verdict(behaviour, bracket, onset)),
        walls: walls(behaviour, cell.instances),
        series: series(cell, behaviour, &record.steps, end),
        record,
    }
}

fn bracket(steps: &[StepRecord]) -> Bracket {
    let good = steps.iter().filter(|step| step.passed).map(|step| u64::from(step.target)).max().unwrap_or(0);
    let bad = steps.iter().filter(|step| !step.passed).map(|step| u64::from(step.target)).min();
    Bracket { last_good: good, first_bad: bad, peak: steps.iter().map(|step| step.held).max().unwrap_or(0).max(good) }
}

fn steps(cell: &Cell, ceiling: Option<u64>) -> Vec<StepRecord> {
    let mut targets: Vec<(u32, StepKind)> = Vec::new();
    for target in [2_000, 4_000, 6_000, 8_000] {
        targets.push((target, StepKind::Staircase));
        if ceiling.is_some_and(|ceiling| u64::from(target) > ceiling) {
            break;
        }
    }
    if let Some(ceiling) = ceiling {
        targets.push((ceiling as u32, StepKind::Narrow));
    }
    let mut start = 320.0;
    targets
        .into_iter()
        .map(|(target, kind)| {
            let good = ceiling.is_none_or(|ceiling| u64::from(target) <= ceiling);
            let step = step(cell, target, kind, start, good);
            start = step.ended_ms + 40.0;
            step
        })
        .collect()
}

fn step(cell: &Cell, target: u32, kind: StepKind, start: f64, good: bool) -> StepRecord {
    let open = if good { u64::from(target) } else { u64::from(target) * 7 / 10 };
    let slow = if good { 1.0 + f64::from(target) / 4_000.0 } else { 60.0 };
    let latency = |base: f64| Latency {
        count: open,
        p50_us: Some((base * slow.sqrt()) as u64),
        p90_us: Some((base * slow * 2.0) as u64),
        p99_us: Some((base * slow * 8.0) as u64),
        p999_us: Some((base * slow * 14.0) as u64),
        max_us: Some((base * slow * 20.0) as u64),
        histogram: None,
    };
    let reply = latency(420.0);
    let p99 = reply.p99_us.map(|us| us as f64);
    let lost = u64::from(target) - open;
    let error =
        ErrorTally { stage: Stage::Handshake, cause: "timeout".into(), count: lost, first_ms: start as u64 + 400 };
    StepRecord {
        kind,
        launch: 0,
        target,
        started_ms: start,
        opened_ms: start + 520.0,
        ended_ms: start + 1_540.0,
        due: 2_000,
        issued: 2_000,
        opened: 2_000 - lost.min(2_000),
        open,
        held: open,
        lost,
        requested_per_s: 4_000.0,
        achieved_per_s: if good { 3_921.0 } else { 1_730.0 },
        messages_due: open / 5,
        messages_sent: open / 5,
        messages_answered: open / 5,
        connect: latency(60.0),
        handshake: latency(310.0),
        gates: vec![
            Gate { name: "connected".into(), value: Some(open as f64 / f64::from(target)), limit: 0.999, passed: good },
            Gate { name: "echoed".into(), value: Some(1.0), limit: 0.999, passed: true },
            Gate { name: "p99_us".into(), value: p99, limit: 500_000.0, passed: true },
        ],
        reply,
        passed: good,
        spread: (0..cell.instances).map(|_| open / u64::from(cell.instances)).collect(),
        errors: if good { Vec::new() } else { vec![error] },
        lag_us_max: 1_900,
        lag_us_p99: 420,
    }
}

fn verdict(behaviour: Behaviour, bracket: Bracket, onset_ms: Option<f64>) -> Verdict {
    let (shape, sentence, fix, confidence) = match behaviour.cause {
        "memory-limit" => (
            Shape::Collapse,
            format!("At {} connections the kernel killed the server (256 MiB limit, 57.5 KiB per connection); all of its connections were lost at once.", bracket.last_good),
            Some("raise the memory of the size, or lower the buffers of each connection"),
            0.85,
        ),
        "cpu-quota" => (
            Shape::Slope,
            "The server used its whole quota of 1 cpu and was throttled in 84 % of the periods; upgrades took longer than 5 s.".to_owned(),
            Some("raise cpus, or open connections more slowly: ramp at 1,000/s to see whether it was the rate"),
            0.6,
        ),
        "client-limited" => (
            Shape::Plateau,
            "The load generator ran out of local ports at 4,000. This says nothing about the server.".to_owned(),
            Some("add source addresses"),
            0.85,
        ),
        _ => (Shape::Reached, format!("No ceiling was met: all {} connections were held.", bracket.last_good), None, 0.97),
    };
    let evidence = |name: &str, before: Option<&str>, after: &str, source: &str| Evidence {
        component: Component::Instance(0),
        name: name.into(),
        before: before.map(str::to_owned),
        after: Some(after.to_owned()),
        source: source.into(),
    };
    Verdict {
        shape,
        cause: behaviour.cause.into(),
        sentence,
        fix: fix.map(str::to_owned),
        confidence,
        evidence: if behaviour.cause == "none" {
            Vec::new()
        } else {
            vec![
                evidence("OOM kills", Some("0"), "1", "cgroup1 memory.oom_control oom_kill"),
                evidence("memory of the cgroup", None, "255 MiB of 256 MiB", "cgroup1 memory.usage_in_bytes"),
                evidence("periods throttled", Some("3 of 118"), "402 of 521", "cgroup1 cpu.stat nr_throttled"),
            ]
        },
        onset_ms,
        runner_up: onset_ms.map(|_| ("accept-queue".to_owned(), 0.3)),
    }
}

fn walls(behaviour: Behaviour, instances: u32) -> Vec<Wall> {
    let memory = ((256.0 * MIB / behaviour.bytes) as u64).saturating_mul(u64::from(instances));
    let wall = |name: &str, connections: u64, why: &str| Wall {
        name: name.into(),
        component: Component::Instance(0),
        connections,
        why: why.into(),
    };
    vec![
        wall("descriptors", 19_990 * u64::from(instances), "20,000 descriptors less 10 of its own"),
        wall("memory", memory, "256 MiB less the baseline, by the fitted cost of a connection"),
        wall("ports", 28_232, "ip_local_port_range 32768 to 60999, one pair of addresses"),
    ]
}

fn series(cell: &Cell, behaviour: Behaviour, steps: &[StepRecord], end: f64) -> Vec<Series> {
    let times: Vec<f64> = (0..).map(|at| f64::from(at) * 100.0).take_while(|t_ms| *t_ms <= end).take(400).collect();
    let open_at = |t_ms: f64| {
        let mut open = 0.0;
        for step in steps.iter().take_while(|step| step.started_ms <= t_ms) {
            let share = ((t_ms - step.started_ms) / (step.opened_ms - step.started_ms)).clamp(0.0, 1.0);
            open += (step.open as f64 - open) * share;
        }
        open
    };
    let make = |name: &str, component: Component, unit: &str, value: &dyn Fn(f64) -> Option<f64>| Series {
        name: name.into(),
        component,
        unit: unit.into(),
        points: times.iter().map(|t_ms| (*t_ms, value(*t_ms))).collect(),
    };
    let share = 1.0 / f64::from(cell.instances);
    let mut all = vec![
        make("open", Component::Generator, "connections", &|t_ms| Some(open_at(t_ms))),
        make("held", Component::Generator, "connections", &|t_ms| Some(open_at((t_ms - 180.0).max(0.0)))),
        make("cpu", Component::Generator, "cores", &|t_ms| Some(0.22 + 0.05 * wobble(t_ms as usize))),
        make("lag", Component::Generator, "us", &|t_ms| Some(300.0 + 200.0 * wobble(t_ms as usize))),
    ];
    for index in 0..cell.instances {
        let component = Component::Instance(index);
        let skew = 1.0 + 0.02 * f64::from(index);
        all.push(make("memory", component, "bytes", &|t_ms| {
            let gap = (1_600.0..1_900.0).contains(&t_ms);
            (!gap).then(|| 3.2 * MIB + behaviour.bytes * open_at(t_ms) * share * skew)
        }));
        all.push(make("cpu", component, "cores", &|t_ms| {
            Some(
                (0.04 + behaviour.microcores * 1e-6 * open_at(t_ms) * share + 0.08 * (1.0 + wobble(t_ms as usize)))
                    .min(1.0),
            )
        }));
        all.push(make("busiest-thread", component, "cores", &|t_ms| Some(0.3 + 0.1 * wobble(t_ms as usize))));
        all.push(make("descriptors", component, "count", &|t_ms| Some(9.0 + open_at(t_ms) * share)));
    }
    all
}

fn instance(index: u32, trial: &TrialId, runtime: Runtime) -> InstanceRecord {
    let docker = runtime == Runtime::Docker;
    let limit = |name: &str, value: f64, enforced_by: Option<&str>, reason: Option<&str>| AppliedLimit {
        name: name.into(),
        value,
        enforced_by: enforced_by.map(str::to_owned),
        reason: reason.map(str::to_owned),
    };
    InstanceRecord {
        index,
        launch: 0,
        address: if docker { format!("172.19.0.{}:9001", index + 2) } else { format!("127.0.0.1:{}", 9_001 + index) },
        pid: Some(4_711 + index),
        container: docker.then(|| "c0ffee".repeat(10)),
        image: docker.then(|| format!("sha256:{}", "1d".repeat(32))),
        command: vec!["echo".into(), "--listen".into(), "0.0.0.0:9001".into()],
        binary_sha256: Some("ab".repeat(32)),
        limits: vec![
            limit("cpus", 1.0, Some("cgroup1 cpu.cfs_quota_us"), None),
            limit("memory_bytes", 256.0 * MIB, Some("cgroup1 memory.limit_in_bytes"), None),
            limit("pids", 512.0, None, Some("no writable pids hierarchy")),
        ],
        exit: Some(Exit { code: Some(0), signal: None, oom_killed: Some(false), requested: true, t_ms: 9_000.0 }),
        log: Some(format!("logs/{trial}/instance-{index}.log")),
        log_tail: Vec::new(),
    }
}

/// The record of a trial in which nothing happened.
pub fn empty(trial: TrialId, outcome: Outcome) -> TrialRecord {
    let started = outcome != Outcome::Skipped;
    let source = |metric: &str, source: &str| (metric.to_owned(), source.to_owned());
    TrialRecord {
        trial,
        started: started.then(|| "2026-11-24T03:18:40Z".into()),
        outcome,
        reason: None,
        hint: None,
        duration_ms: if started { 9_240.0 } else { 0.0 },
        to_first_connect_ms: started.then_some(320.0),
        last_close_ms: started.then_some(8_700.0),
        instances: Vec::new(),
        steps: Vec::new(),
        ceiling: None,
        generator: started.then(|| GeneratorRecord {
            workers: 2,
            descriptor_limit: 20_000,
            sources: vec!["127.0.0.2".into(), "127.0.0.3".into()],
            ports_per_pair: 28_232,
            cpu_us: Some(2_310_000),
            busiest_worker_ratio: Some(0.41),
            cpus: Vec::new(),
            server_cpus: vec![1],
            limited_by: Vec::new(),
        }),
        walls: Vec::new(),
        events: Vec::new(),
        sources: BTreeMap::from([(
            Component::Instance(0),
            BTreeMap::from([
                source("cpu_usage_us_total", "cgroup1 cpuacct.usage"),
                source("memory_current_bytes", "cgroup1 memory.usage_in_bytes"),
            ]),
        )]),
        warnings: Vec::new(),
    }
}
