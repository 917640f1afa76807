//! The diagnoser's own test: limits are injected on purpose, each a real one on a real server, and run through the
//! ordinary matrix machinery (matrix text -> run folder -> analysis). What comes back is compared with what was injected.
//!
//! `limits/` is the list; `score.rs` the arithmetic; `text.rs` and `page.rs` what a person reads. Files of a selftest:
//! `runs/` (an ordinary run folder for each limit), `selftest.json`, `selftest.md`, `index.html`.

mod confirm;
pub mod limits;
mod page;
pub mod score;
mod text;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use tokio::sync::watch;

use crate::folder;
use crate::run::{
    self, Request,
    progress::{Progress, ProgressEvent},
};
use limits::{InjectedLimit, Need, limits};
use score::{About, Found, NotInjected, Row, Score};
use wsceiling_analysis::confirm::has_experiment;
use wsceiling_analysis::{self, Findings, PlotSeries, SeriesName};
use wsceiling_launch::{EngineStatus, engine_status};
use wsceiling_model::matrix;
use wsceiling_model::plan::Plan;
use wsceiling_model::record::{Component, Outcome};
use wsceiling_report as render;
use wsceiling_runfolder::Run;

pub use confirm::{Confirmed, text as confirmations};
pub use page::html;
pub use text::{markdown, terminal};

/// Trials of each limit, and in the short form.
const REPEATS: u32 = 3;
/// See [`REPEATS`].
const QUICK_REPEATS: u32 = 1;

/// What a selftest is asked to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The short form: the limits marked for it, once.
    pub quick: bool,
    /// With experiments: each limit once, and only those whose cause has one.
    pub confirm: bool,
    /// Names of limits to run; empty: all.
    pub only: Vec<String>,
    /// Draws other numbers than the usual ones.
    pub seed: Option<u64>,
    /// Folder that the selftest's folder is made in.
    pub reports: PathBuf,
    /// Folder of the workspace that has `targets/`.
    pub workspace: PathBuf,
}

/// What a selftest did.
#[derive(Debug)]
pub struct Done {
    /// Its folder.
    pub folder: PathBuf,
    /// How good the diagnosis is.
    pub score: Score,
    /// What the experiments found, where they were asked for.
    pub confirmed: Vec<Confirmed>,
    /// The user stopped it.
    pub stopped: bool,
}

/// Names of limits that are not there.
pub fn unknown(only: &[String]) -> Vec<String> {
    let limits = limits(None);
    only.iter().filter(|name| !limits.iter().any(|limit| matches(limit, name))).cloned().collect()
}

fn matches(limit: &InjectedLimit, name: &str) -> bool {
    limit.name == name || name.strip_suffix('*').is_some_and(|start| limit.name.starts_with(start))
}

/// Injects every limit that this machine can, and scores the verdicts.
///
/// # Errors
/// When a record or the selftest's own files cannot be written.
pub async fn run(options: &Options, progress: &Progress, cancel: watch::Receiver<bool>) -> Result<Done> {
    let (began, now) = (Instant::now(), jiff::Timestamp::now());
    let folder = options.reports.join(now.strftime("%Y-%m-%dT%H-%M-%SZ-selftest").to_string());
    let runs = folder.join("runs");
    std::fs::create_dir_all(&runs).with_context(|| format!("failed to make {}", runs.display()))?;
    let engine = engine_status().await;
    let mut about = About { seed: options.seed, started: now.strftime("%Y-%m-%d").to_string(), ..About::default() };
    let mut rows = Vec::new();
    let mut not_injected: Vec<NotInjected> = Vec::new();
    let mut confirmed: Vec<Confirmed> = Vec::new();
    let wanted = |limit: &InjectedLimit| {
        if options.only.is_empty() {
            limit.quick || !options.quick
        } else {
            options.only.iter().any(|name| matches(limit, name))
        }
    };
    let wanted = |limit: &InjectedLimit| wanted(limit) && (!options.confirm || has_experiment(limit.expected));
    for limit in limits(options.seed).into_iter().filter(wanted) {
        if *cancel.borrow() {
            break;
        }
        if let Some(reason) = limit.needs.iter().find_map(|need| missing(*need, &engine)) {
            not_injected.push(NotInjected { name: limit.name.into(), reason });
            continue;
        }
        progress.tell(ProgressEvent::Injecting(limit.name, &limit.what));
        match Box::pin(trials(&limit, options, &runs, progress, cancel.clone())).await? {
            Ok(found) => {
                rows.extend(found.rows);
                about.machine = found.machine;
                confirmed.extend(found.confirmed.filter(|_| options.confirm));
            }
            Err(reason) => not_injected.push(NotInjected { name: limit.name.into(), reason }),
        }
        // Kept up to date, so that a selftest that is stopped has its results.
        about.took_s = began.elapsed().as_secs_f64();
        let score = Score::new(about.clone(), rows.clone(), not_injected.clone());
        write(&folder, &score)?;
        if options.confirm {
            put(&folder, "confirmed.json", &serde_json::to_string_pretty(&confirmed)?)?;
        }
    }
    let causes = limits::not_injected().into_iter();
    not_injected.extend(causes.map(|(cause, reason)| NotInjected { name: cause.to_string(), reason: reason.into() }));
    let score = Score::new(about, rows, not_injected);
    write(&folder, &score)?;
    let stopped = *cancel.borrow();
    Ok(Done { folder, score, confirmed, stopped })
}

/// What is missing on this machine, if it is.
fn missing(need: Need, engine: &EngineStatus) -> Option<String> {
    match need {
        Need::Docker => match engine {
            EngineStatus::Up { .. } => None,
            EngineStatus::Down { reason, .. } => Some(reason.clone()),
            EngineStatus::NotNeeded => Some("no Docker engine was looked for".into()),
        },
        Need::Program(program) => which::which(program).is_err().then(|| format!("program `{program}` is not on PATH")),
        Need::Node => node(),
        Need::Cores(least) => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from) as u32;
            (cores < least).then(|| format!("needs {least} cores, this machine has {cores}"))
        }
        // Known only once it was tried: the record says which limits were enforced.
        Need::Cgroups => None,
    }
}

/// What is missing for `targets/node/server.js`, which looks for its package in the same places.
fn node() -> Option<String> {
    let script = "try { require('ws') } catch { require('/usr/share/nodejs/ws') }";
    let ran = std::process::Command::new("node").args(["-e", script]).output();
    match ran {
        Ok(output) if output.status.success() => None,
        Ok(_) => Some("Node.js has no package `ws`".into()),
        Err(_) => Some("program `node` is not on PATH".into()),
    }
}

/// What the trials of a limit gave.
struct Trials {
    rows: Vec<Row>,
    /// See [`About::machine`].
    machine: Vec<String>,
    /// What the experiments found.
    confirmed: Option<Confirmed>,
}

/// Runs a limit as an ordinary matrix. The inner error is why it could not be injected.
async fn trials(
    limit: &InjectedLimit,
    options: &Options,
    runs: &Path,
    progress: &Progress,
    cancel: watch::Receiver<bool>,
) -> Result<Result<Trials, String>> {
    let repeats = if options.quick || options.confirm { QUICK_REPEATS } else { REPEATS };
    // Targets are looked for in the folder of the matrix file, so its text is read as if it were there.
    let path = options.workspace.join(format!("{}.toml", limit.name));
    let mut loaded = matrix::parse(&limit.matrix(repeats), &path)
        .map_err(|faults| anyhow::anyhow!("limit {} is no valid matrix: {}", limit.name, faults.render(false)))?;
    if options.confirm {
        confirm::switch_on(&mut loaded.matrix);
    }
    let plan = Plan::new(&loaded.matrix);
    let request = Request { matrix: loaded.matrix, matrix_path: path, plan, reports: runs.to_owned(), resume: None };
    let most = request.matrix.run.experiments();
    let mut next = |run: &Path| folder::next_experiment(run, most);
    let done = run::run(request, progress, cancel, &mut next).await?;
    let findings = folder::findings(&Run::open(&done.folder)?)?;
    render::render(&findings, &mut crate::files::below(&done.folder))
        .with_context(|| format!("failed to render {}", done.folder.display()))?;
    let experiments = confirm::confirmed(limit, &findings);
    let all = |rows| Trials { rows, machine: machine(&findings), confirmed: experiments };
    Ok(rows(limit, &findings, &done.folder).map(all))
}

fn rows(limit: &InjectedLimit, findings: &Findings, folder: &Path) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for trial in findings.cells.iter().flat_map(|cell| &cell.trials) {
        let record = &trial.record;
        let reason = || record.reason.as_ref().map(ToString::to_string).unwrap_or_default();
        match record.outcome {
            Outcome::Skipped => return Err(reason()),
            Outcome::Killed => continue,
            // The machine could not be set up for it.
            Outcome::Invalid if record.steps.is_empty() => return Err(reason()),
            _ => {}
        }
        let mut limits = record.instances.iter().flat_map(|instance| &instance.limits);
        if let Some(unset) = limits.find(|applied| applied.enforced_by.is_none()) {
            let why = unset.reason.clone().unwrap_or_default();
            return Err(format!("the limit `{}` cannot be set here: {why}", unset.name));
        }
        let verdict = trial.verdict.as_ref();
        rows.push(Row {
            limit: limit.name.into(),
            what: limit.what.clone(),
            repeat: trial.trial.repeat,
            expected: limit.expected,
            found: verdict.map_or(Found::NotJudged(record.outcome), |verdict| Found::Cause(verdict.cause)),
            confidence: verdict.map(|verdict| verdict.confidence),
            sentence: verdict.map_or_else(reason, |verdict| verdict.sentence.clone()),
            others_cores: others(&trial.series),
            run: folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        });
    }
    Ok(rows)
}

/// What matters of the machine, from a run's record.
fn machine(findings: &Findings) -> Vec<String> {
    let fact = |name: &str| findings.header.environment.facts.get(name).map(String::as_str);
    let kernel = fact("kernel.release").map(|release| release.split('.').take(2).collect::<Vec<_>>().join("."));
    let all = [
        fact("toolchain.wsceiling").map(|version| format!("wsceiling {version}")),
        kernel.map(|release| format!("Linux {release}")),
        fact("cpu.cores").map(|cores| format!("{cores} cores")),
        fact("cgroup.version").map(|version| format!("cgroup {version}")),
        fact("engine.version").map(|version| format!("Docker {version}")),
    ];
    all.into_iter().flatten().collect()
}

/// Cores that the machine was busy with beside the generator and the instances, on average over the trial.
fn others(series: &[PlotSeries]) -> Option<f64> {
    let mean = |series: &PlotSeries| {
        let values: Vec<f64> = series.points.iter().filter_map(|(_, value)| *value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let cpu = || series.iter().filter(|series| series.name == SeriesName::Cpu);
    let machine = cpu().find(|series| series.component == Component::Host).and_then(mean)?;
    let own: f64 = cpu().filter(|series| series.component != Component::Host).filter_map(mean).sum();
    Some((machine - own).max(0.0))
}

fn write(folder: &Path, score: &Score) -> Result<()> {
    put(folder, "selftest.json", &serde_json::to_string_pretty(score)?)?;
    put(folder, "selftest.md", &markdown(score))?;
    put(folder, "index.html", &html(score))
}

fn put(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
}
