//! Judging simulated trials.

use wsceiling_simulate::script as simulate;
pub(crate) use wsceiling_simulate::script::{Fail, Script, rising};

use crate::context::TrialContext;
use crate::judge::judge;
use crate::time_series::TimeSeries;
use crate::verdict::Verdict;
use wsceiling_model::matrix::{Protocol, Runtime, Target};
use wsceiling_model::record::{Cause, Environment, RunHeader};

/// A trial of one bare instance.
pub(crate) fn script() -> Script {
    Script::new(simulate::cell("echo-bare-x1-small", Runtime::Bare, 1), 1)
}

/// A trial of several bare instances.
pub(crate) fn instances(instances: u32) -> Script {
    Script::new(simulate::cell(&format!("echo-bare-x{instances}-small"), Runtime::Bare, instances), 1)
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
        let header = RunHeader {
            format: wsceiling_model::record::FORMAT_VERSION,
            wsceiling: "0.1.0".into(),
            started: "2026-11-24T03:14:41Z".into(),
            matrix_path: "matrix.toml".into(),
            matrix_text: String::new(),
            matrix_sha256: String::new(),
            run: wsceiling_model::matrix::RunSettings {
                name: "test".into(),
                seed: 1,
                repeats: 1,
                sample_every: std::time::Duration::from_millis(250),
                ready_within: std::time::Duration::from_secs(10),
                trial_within: std::time::Duration::from_secs(120),
                confirm: false,
                confirm_max: 3,
            },
            load: self.load.clone(),
            targets: vec![target(&self)],
            sizes: vec![self.size.clone()],
            fronts: self.front.clone().into_iter().collect(),
            cells: vec![self.cell.clone()],
            plan: Vec::new(),
            environment: Environment { facts: self.facts.clone() },
            binaries: std::collections::BTreeMap::new(),
        };
        let cell = self.cell.clone();
        let (record, samples) = self.finish();
        let series = TimeSeries::new(&samples);
        look(&header, &TrialContext::new(&header, &cell, &record, &series).unwrap())
    }
}

/// A server that says how its backlog, its threads and its heap are set.
fn target(script: &Script) -> Target {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    Target {
        name: script.cell.target.clone(),
        protocol: Protocol::Echo,
        path: "/".into(),
        token: None,
        process: Some(wsceiling_model::matrix::ProcessSpec {
            start: wsceiling_model::matrix::Start::Program("server".into()),
            args: script.args.clone(),
            env: std::collections::BTreeMap::new(),
            files: Vec::new(),
            user: None,
        }),
        docker: None,
        remote: None,
        confirm: wsceiling_model::matrix::ConfirmArgs {
            backlog: words(&["--backlog", "{value}"]),
            threads: words(&["--threads", "{value}"]),
            heap: words(&["--heap={value}"]),
        },
    }
}
