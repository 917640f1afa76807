//! Judging simulated trials.

#[path = "../../../../tests/support/script.rs"]
mod simulate;

pub(in crate::analyse) use simulate::{Fail, Script, rising};

use crate::analyse::cause::{Facts, Verdict, judge};
use crate::analyse::tracks::Tracks;
use crate::matrix::{Protocol, Runtime, Target};
use crate::record::{Environment, RunHeader};

/// A trial of one bare instance.
pub(in crate::analyse) fn script() -> Script {
    Script::new(simulate::cell("echo-bare-x1-small", Runtime::Bare, 1), 1)
}

/// A trial of several bare instances.
pub(in crate::analyse) fn instances(instances: u32) -> Script {
    Script::new(simulate::cell(&format!("echo-bare-x{instances}-small"), Runtime::Bare, instances), 1)
}

/// The cause that a trial is judged to have.
pub(in crate::analyse) fn cause(script: Script) -> String {
    script.verdict().cause
}

impl Script {
    pub(in crate::analyse) fn verdict(self) -> Verdict {
        self.with(|_, facts| judge(facts).unwrap())
    }

    /// Looks at the trial as an analysis does.
    pub(in crate::analyse) fn with<T>(self, look: impl FnOnce(&RunHeader, &Facts<'_>) -> T) -> T {
        let header = RunHeader {
            format: crate::record::FORMAT_VERSION,
            wsceiling: "0.1.0".into(),
            started: "2026-11-24T03:14:41Z".into(),
            matrix_path: "matrix.toml".into(),
            matrix_text: String::new(),
            matrix_sha256: String::new(),
            run: crate::matrix::RunSettings {
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
            targets: vec![self.target()],
            sizes: vec![self.size.clone()],
            fronts: self.front.clone().into_iter().collect(),
            cells: vec![self.cell.clone()],
            plan: Vec::new(),
            environment: Environment { facts: self.facts.clone() },
            binaries: std::collections::BTreeMap::new(),
        };
        let cell = self.cell.clone();
        let (record, samples) = self.finish();
        let tracks = Tracks::new(&samples);
        look(&header, &Facts::new(&header, &cell, &record, &tracks).unwrap())
    }

    /// A server that says how its backlog, its threads and its heap are set.
    fn target(&self) -> Target {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
        Target {
            name: self.cell.target.clone(),
            protocol: Protocol::Echo,
            path: "/".into(),
            token: None,
            process: Some(crate::matrix::ProcessSpec {
                start: crate::matrix::Start::Program("server".into()),
                args: self.args.clone(),
                env: std::collections::BTreeMap::new(),
                files: Vec::new(),
            }),
            docker: None,
            confirm: crate::matrix::ConfirmArgs {
                backlog: words(&["--backlog", "{value}"]),
                threads: words(&["--threads", "{value}"]),
                heap: words(&["--heap={value}"]),
            },
        }
    }
}
