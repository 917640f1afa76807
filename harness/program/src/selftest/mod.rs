//! The diagnoser's own test: limits are injected on purpose, each a real one on a real server, and run through the
//! ordinary matrix machinery (matrix text -> run folder -> analysis). What comes back is compared with what was injected.
//!
//! `limits/` is the list; `score.rs` the arithmetic; `text.rs` and `page.rs` what a person reads. Files of a selftest:
//! `runs/` (an ordinary run folder for each limit), `selftest.json`, `selftest.md`, `index.html`.

mod confirm;
pub mod limits;
mod noise;
mod page;
mod rates;
pub mod score;
mod stand_in;
mod strangers;
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
use stand_in::StandIn;
use wsceiling_analysis::confirm::has_experiment;
use wsceiling_analysis::{self, Findings, PlotSeries, SeriesName};
use wsceiling_launch::{EngineStatus, engine_status};
use wsceiling_model::matrix;
use wsceiling_model::plan::Plan;
use wsceiling_model::record::{Cause, Component, Outcome, Reason, TrialRecord};
use wsceiling_report as render;
use wsceiling_runfolder::Run;

pub use confirm::{Confirmed, text as confirmations};
pub use page::html;
pub use text::{markdown, terminal};

/// Trials of each limit, and in the short form.
const REPEATS: u32 = 3;
/// See [`REPEATS`].
const QUICK_REPEATS: u32 = 1;

/// Folder of a selftest with the sources of servers that are not ours.
const STRANGERS: &str = "strangers";

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
    /// Trials of each limit; `None`: 3, or 1 in the short form and with experiments.
    pub repeats: Option<u32>,
    /// Keeps one core busy with another program meanwhile.
    pub noise: bool,
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
    let strangers = runs.with_file_name(STRANGERS);
    strangers::write(&strangers)?;
    let engine = engine_status().await;
    let mut about = About {
        seeds: vec![options.seed.map_or_else(|| "usual".to_owned(), |seed| format!("seed {seed}"))],
        revision: revision(&options.workspace),
        noise: options.noise,
        started: now.strftime("%Y-%m-%d").to_string(),
        ..About::default()
    };
    let _noise = options.noise.then(noise::start).transpose()?;
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
        if let Some(reason) = limit.needs.iter().find_map(|need| missing(*need, &engine, &strangers)) {
            not_injected.push(NotInjected { kind: Some(limit.kind), name: limit.name.into(), reason });
            continue;
        }
        progress.tell(ProgressEvent::Injecting(limit.name, &limit.what));
        match Box::pin(trials(&limit, options, &runs, progress, cancel.clone())).await? {
            Ok(found) => {
                rows.extend(found.rows);
                about.machine = found.machine;
                confirmed.extend(found.confirmed.filter(|_| options.confirm));
            }
            Err(reason) => {
                not_injected.push(NotInjected { kind: Some(limit.kind), name: limit.name.into(), reason });
            }
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
    not_injected.extend(causes.map(|(cause, reason)| NotInjected {
        kind: None,
        name: cause.to_string(),
        reason: reason.into(),
    }));
    let score = Score::new(about, rows, not_injected);
    write(&folder, &score)?;
    let stopped = *cancel.borrow();
    Ok(Done { folder, score, confirmed, stopped })
}

/// What is missing on this machine, if it is.
fn missing(need: Need, engine: &EngineStatus, folder: &Path) -> Option<String> {
    match need {
        Need::Docker => match engine {
            EngineStatus::Up { .. } => None,
            EngineStatus::Down { reason, .. } => Some(reason.clone()),
            EngineStatus::NotNeeded => Some("no Docker engine was looked for".into()),
        },
        Need::Program(program) => which::which(program).is_err().then(|| format!("program `{program}` is not on PATH")),
        Need::Node => node(),
        Need::Root => (!root()).then(|| "only root can start a server as another user".into()),
        Need::PythonWebsockets | Need::Gorilla | Need::Java | Need::RubyWebsocket => strangers::missing(need, folder),
        Need::Cores(least) => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from) as u32;
            (cores < least).then(|| format!("needs {least} cores, this machine has {cores}"))
        }
        // Known only once it was tried: the record says which limits were enforced.
        Need::Cgroups => None,
    }
}

/// Whether this process is root's.
fn root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
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
    let usual = if options.quick || options.confirm { QUICK_REPEATS } else { REPEATS };
    let repeats = options.repeats.unwrap_or(usual);
    // Targets are looked for in the folder of the matrix file, so its text is read as if it were there.
    let path = options.workspace.join(format!("{}.toml", limit.name));
    let mut text = strangers::fill(&limit.matrix(repeats), &runs.with_file_name(STRANGERS));
    let stand_in = match &limit.remote {
        None => None,
        Some(remote) => match StandIn::start(remote, &options.workspace).await {
            Ok(stand_in) => Some(stand_in),
            Err(reason) => return Ok(Err(reason)),
        },
    };
    if let Some(stand_in) = &stand_in {
        text = stand_in.fill(&text);
    }
    let mut loaded = matrix::parse(&text, &path)
        .map_err(|faults| anyhow::anyhow!("limit {} is no valid matrix: {}", limit.name, faults.render(false)))?;
    if options.confirm {
        confirm::switch_on(&mut loaded.matrix);
    }
    let plan = Plan::new(&loaded.matrix);
    let request =
        Request { matrix: loaded.matrix, matrix_path: Some(path), plan, reports: runs.to_owned(), resume: None };
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

/// A row for each trial. The inner error: no trial could have the limit, and why. A trial that ran is never left out.
fn rows(limit: &InjectedLimit, findings: &Findings, folder: &Path) -> Result<Vec<Row>, String> {
    let trials = || findings.cells.iter().flat_map(|cell| &cell.trials);
    // Without a trial the user stopped it.
    let reasons: Vec<Option<String>> = trials().map(|trial| not_tried(&trial.record)).collect();
    if reasons.iter().all(Option::is_some) {
        return Err(reasons.into_iter().flatten().next().unwrap_or_else(|| "stopped".into()));
    }
    let row = |trial: &wsceiling_analysis::TrialFindings| {
        let (record, verdict) = (&trial.record, trial.verdict.as_ref());
        let reason = || record.reason.as_ref().map(ToString::to_string).unwrap_or_default();
        Row {
            limit: limit.name.into(),
            kind: limit.kind,
            what: limit.what.clone(),
            repeat: trial.trial.repeat,
            expected: limit.expected,
            found: match verdict {
                Some(verdict) => Found::Cause(verdict.cause),
                // Before the first step, which is all that a verdict can be about.
                None if client_limited(record) => Found::Cause(Cause::ClientLimited),
                None => Found::NotJudged(record.outcome),
            },
            confidence: verdict.map(|verdict| verdict.confidence),
            sentence: verdict.map_or_else(reason, |verdict| verdict.sentence.clone()),
            reached: record.outcome == Outcome::Ok,
            others_cores: others(&trial.series),
            run: folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        }
    };
    Ok(trials().map(row).collect())
}

/// Whether the client was the limit, even if that was before the first step.
fn client_limited(record: &TrialRecord) -> bool {
    matches!(record.reason, Some(Reason::ClientLimited { .. }))
}

/// Why the limit was not set in a trial, if it was not.
fn not_tried(record: &TrialRecord) -> Option<String> {
    let reason = || record.reason.as_ref().map(ToString::to_string).unwrap_or_default();
    match record.outcome {
        Outcome::Skipped => return Some(reason()),
        Outcome::Killed => return Some("stopped by the user".into()),
        // The machine could not be set up for it.
        Outcome::Invalid if record.steps.is_empty() && !client_limited(record) => return Some(reason()),
        _ => {}
    }
    let mut limits = record.instances.iter().flat_map(|instance| &instance.limits);
    let unset = limits.find(|applied| applied.enforced_by.is_none())?;
    let why = unset.reason.clone().unwrap_or_default();
    Some(format!("the limit `{}` cannot be set here: {why}", unset.name))
}

/// The revision of the workspace, with `+` where files differ from it; `None` outside of a repository.
fn revision(workspace: &Path) -> Option<String> {
    let git = |args: &[&str]| {
        let output = std::process::Command::new("git").arg("-C").arg(workspace).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let revision = git(&["rev-parse", "--short=10", "HEAD"])?;
    let differs = git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|files| !files.is_empty());
    Some(format!("{revision}{}", if differs { "+" } else { "" }))
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

/// Scores several finished selftests as one, and writes it as a selftest of its own.
///
/// # Errors
/// When a folder has no `selftest.json` of this version, or the result cannot be written.
pub fn pool(folders: &[PathBuf], reports: &Path) -> Result<Done> {
    let read = |folder: &PathBuf| -> Result<Score> {
        let path = folder.join("selftest.json");
        let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let mut score: Score =
            serde_json::from_str(&text).with_context(|| format!("{} is of another version", path.display()))?;
        // The runs stay where they are.
        let runs = std::path::absolute(folder.join("runs")).unwrap_or_else(|_| folder.join("runs"));
        for row in &mut score.rows {
            row.run = runs.join(&row.run).display().to_string();
        }
        Ok(score)
    };
    let score = Score::pooled(folders.iter().map(read).collect::<Result<_>>()?);
    let folder = reports.join(jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ-selftest").to_string());
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    write(&folder, &score)?;
    Ok(Done { folder, score, confirmed: Vec::new(), stopped: false })
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
