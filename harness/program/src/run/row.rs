//! How the end of a trial becomes its row: outcome, reason and warnings.

use std::time::Duration;

use super::search::Found;
use super::verify::VerifyError;
use wsceiling_generator::coordinator::{WorkerLost, WorkerSilent};
use wsceiling_launch::LaunchError;
use wsceiling_machine::sample::SamplerError;
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{
    ClientLimit, Component, Contradiction, Event, EventKind, InstanceRecord, Metric, Outcome, Reason, Sample,
    TrialRecord, Warning,
};
use wsceiling_model::url::Url;

/// How a trial ended.
pub enum End {
    /// Instances, front or generator did not come up.
    NotStarted(StartFailure),
    /// The search is over; an error ended it early.
    Searched(anyhow::Result<()>),
    /// It took longer than it may.
    TimedOut {
        /// The time that it had.
        within: Duration,
    },
    /// The user stopped the run.
    Stopped,
}

/// Why instances, front or generator did not come up.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct StartFailure {
    /// What that makes of a trial.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
}

impl StartFailure {
    /// An instance, or the front, is not what the load relies on.
    pub fn not_verified(who: Component, error: &VerifyError, log_tail: Vec<String>) -> Self {
        let outcome = match error {
            VerifyError::Wrong { .. } => Outcome::FailedVerification,
            VerifyError::NeverListened { .. } | VerifyError::Exited(_) => Outcome::FailedToStart,
        };
        Self { outcome, reason: Reason::NotVerified { who, what: error.to_string(), log_tail } }
    }

    /// A server that somebody else runs is not what the load relies on.
    pub fn remote(url: &Url, error: &VerifyError) -> Self {
        let Self { outcome, .. } = Self::not_verified(Component::Instance(0), error, Vec::new());
        Self { outcome, reason: Reason::RemoteNotVerified { url: Box::new(url.clone()), what: error.to_string() } }
    }

    /// The generator did not start.
    pub fn generator(error: &anyhow::Error) -> Self {
        Self { outcome: Outcome::Invalid, reason: Reason::GeneratorFailed { what: format!("{error:#}") } }
    }

    /// Nothing is sampled: without samples a trial has neither costs nor causes.
    pub fn sampler(error: &SamplerError) -> Self {
        Self { outcome: Outcome::Invalid, reason: Reason::NotSampled { what: error.to_string() } }
    }

    /// The front was not launched, though the instances were: what is missing then is no reason to skip the trial.
    pub fn front(error: LaunchError) -> Self {
        Self { outcome: Outcome::FailedToStart, ..error.into() }
    }
}

impl From<LaunchError> for StartFailure {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Missing(missing) => {
                let (what, hint) = (missing.to_string(), missing.hint());
                Self { outcome: Outcome::Skipped, reason: Reason::Missing { what, hint } }
            }
            LaunchError::Failed { reason, log_tail } => {
                Self { outcome: Outcome::FailedToStart, reason: Reason::LaunchFailed { what: reason, log_tail } }
            }
        }
    }
}

/// The row of a trial whose target or front could not be prepared.
pub fn unprepared(trial: &TrialId, error: &LaunchError) -> TrialRecord {
    let StartFailure { outcome, reason } = error.clone().into();
    // What failed was tried, so its row has a moment; what is missing was not.
    let started = (outcome != Outcome::Skipped).then(|| jiff::Timestamp::now().to_string());
    TrialRecord { reason: Some(reason), started, ..TrialRecord::unmeasured(trial.clone(), outcome) }
}

/// The sampler ended within the trial: what would be a measurement is none.
pub fn unsampled(record: &mut TrialRecord, error: &SamplerError) {
    if matches!(record.outcome, Outcome::Ok | Outcome::Ceiling) {
        let failure = StartFailure::sampler(error);
        (record.outcome, record.reason) = (failure.outcome, Some(failure.reason));
    }
}

/// Gives a row its outcome, with the reason where it is no measurement. `limits` say that the client stopped the step
/// that failed.
pub fn judge(
    record: &mut TrialRecord,
    end: End,
    found: &Found,
    limits: Vec<ClientLimit>,
    contradictions: Vec<Contradiction>,
) {
    let failed = found.bracket.first_bad.is_some();
    let (outcome, reason) = match end {
        End::NotStarted(StartFailure { outcome, reason }) => (outcome, Some(reason)),
        End::Stopped => (Outcome::Killed, Some(Reason::Stopped)),
        End::TimedOut { within } => {
            (Outcome::TimedOut, Some(Reason::TimedOut { within_ms: within.as_millis() as u64 }))
        }
        // It lives and gets too little CPU.
        End::Searched(Err(error)) if !failed && error.is::<WorkerSilent>() => {
            (Outcome::Invalid, Some(Reason::ClientLimited { limits: vec![ClientLimit::WorkerSilent] }))
        }
        // With the connections of a node that left, the client lost what it was to hold.
        End::Searched(Err(error)) if !failed && error.is::<WorkerLost>() => {
            let limits = error.downcast_ref().map(lost_worker).into_iter().collect();
            (Outcome::Invalid, Some(Reason::ClientLimited { limits }))
        }
        End::Searched(Err(error)) if !failed => {
            (Outcome::Invalid, Some(Reason::SearchFailed { what: format!("{error:#}") }))
        }
        End::Searched(_) if !contradictions.is_empty() => {
            (Outcome::Invalid, Some(Reason::Contradictory { contradictions }))
        }
        End::Searched(_) if !limits.is_empty() => (Outcome::Invalid, Some(Reason::ClientLimited { limits })),
        End::Searched(result) => {
            let narrowing = result.err().map(|error| Warning::NarrowingEnded { why: format!("{error:#}") });
            record.warnings.extend(narrowing);
            (if failed { Outcome::Ceiling } else { Outcome::Ok }, None)
        }
    };
    (record.outcome, record.reason) = (outcome, reason);
}

fn lost_worker(lost: &WorkerLost) -> ClientLimit {
    let WorkerLost { worker, node, connections, why } = lost.clone();
    ClientLimit::WorkerLost { worker, node, connections, why }
}

/// Adds what the search found.
pub fn add_found(record: &mut TrialRecord, found: Found) {
    record.ceiling = (!found.steps.is_empty()).then_some(found.bracket);
    record.to_first_connect_ms = found.steps.first().map(|step| step.started_ms);
    record.steps = found.steps;
}

/// Adds a warning for each limit of the size that the machine did not let the harness apply.
pub fn add_unenforced(record: &mut TrialRecord) {
    let limits = record.instances.first().into_iter().flat_map(|instance| &instance.limits);
    let unenforced = limits.filter(|limit| limit.enforced_by.is_none()).map(|limit| Warning::LimitNotEnforced {
        limit: limit.name.clone(),
        value: limit.value,
        why: limit.reason.clone(),
    });
    record.warnings.extend(unenforced);
}

/// Adds how instances ended that the harness only looked at from afar.
pub fn add_ends(instances: &mut [InstanceRecord], events: &[Event]) {
    for event in events {
        if let (Some(Component::Instance(index)), EventKind::InstanceEnded { exit }) = (event.component, &event.what) {
            let ended = instances.iter_mut().filter(|instance| instance.index == index && instance.exit.is_none());
            ended.for_each(|instance| instance.exit = Some(exit.clone()));
        }
    }
}

/// Adds the CPU time of the generator: the last value of its counter.
pub fn add_cpu(record: &mut TrialRecord, samples: &[Sample]) {
    let values = samples.iter().filter(|sample| sample.component == Component::Generator).flat_map(|it| &it.values);
    let usage = values.filter(|(metric, _)| *metric == Metric::CpuUsage).map(|(_, value)| *value);
    if let Some(generator) = &mut record.generator {
        generator.cpu_us = usage.reduce(f64::max).map(|us| us as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_launch::Missing;
    use wsceiling_model::record::{Bracket, StepRecord};

    fn judged(end: End, first_bad: Option<u64>, limits: Vec<ClientLimit>, of: Vec<Contradiction>) -> TrialRecord {
        let bracket = Bracket { last_good: 100, first_bad, peak: 100 };
        let found = Found { steps: vec![StepRecord::default()], bracket };
        let mut record = TrialRecord::unmeasured(TrialId::new("echo", 1), Outcome::Ok);
        judge(&mut record, end, &found, limits, of);
        record
    }

    fn failed() -> End {
        End::Searched(Err(anyhow::anyhow!("a worker ended")))
    }

    #[test]
    fn a_search_that_failed_is_no_measurement_until_a_step_had_failed() {
        let record = judged(failed(), None, Vec::new(), Vec::new());
        assert_eq!(record.reason, Some(Reason::SearchFailed { what: "a worker ended".into() }));
        let silent = End::Searched(Err(anyhow::Error::new(WorkerSilent).context("the hold")));
        let record = judged(silent, None, Vec::new(), Vec::new());
        assert_eq!(record.reason, Some(Reason::ClientLimited { limits: vec![ClientLimit::WorkerSilent] }));
        let lost = WorkerLost { worker: 1, node: "b".into(), connections: 70, why: "gone".into() };
        let record = judged(End::Searched(Err(lost.into())), None, Vec::new(), Vec::new());
        let limit = ClientLimit::WorkerLost { worker: 1, node: "b".into(), connections: 70, why: "gone".into() };
        assert_eq!(record.outcome, Outcome::Invalid);
        assert_eq!(record.reason, Some(Reason::ClientLimited { limits: vec![limit] }));
        let record = judged(failed(), Some(200), Vec::new(), Vec::new());
        assert_eq!((record.outcome, record.reason), (Outcome::Ceiling, None));
        assert_eq!(record.warnings, [Warning::NarrowingEnded { why: "a worker ended".into() }]);
    }

    #[test]
    fn a_measurement_without_samples_is_none_and_what_was_none_keeps_its_reason() {
        let mut record = judged(End::Searched(Ok(())), Some(200), Vec::new(), Vec::new());
        unsampled(&mut record, &SamplerError::Ended);
        let what = "the sampler ended before the trial".to_owned();
        assert_eq!((record.outcome, record.reason), (Outcome::Invalid, Some(Reason::NotSampled { what })));
        let mut record = judged(End::Stopped, None, Vec::new(), Vec::new());
        unsampled(&mut record, &SamplerError::Ended);
        assert_eq!((record.outcome, record.reason), (Outcome::Killed, Some(Reason::Stopped)));
    }

    #[test]
    fn numbers_that_contradict_each_other_say_more_than_a_client_at_its_limit() {
        let limits = vec![ClientLimit::NotIssued { issued: 1, due: 2 }];
        let contradictions = vec![Contradiction::FrontHasFewer { open: 9, upstream: 1 }];
        let record = judged(End::Searched(Ok(())), Some(200), limits.clone(), contradictions.clone());
        assert_eq!((record.outcome, record.reason), (Outcome::Invalid, Some(Reason::Contradictory { contradictions })));
        let record = judged(End::Searched(Ok(())), Some(200), limits.clone(), Vec::new());
        assert_eq!((record.outcome, record.reason), (Outcome::Invalid, Some(Reason::ClientLimited { limits })));
    }

    #[test]
    fn what_is_missing_skips_a_trial_of_which_nothing_runs_yet() {
        let missing = || LaunchError::from(Missing::Program("nginx".into()));
        assert_eq!(StartFailure::from(missing()).outcome, Outcome::Skipped);
        assert_eq!(StartFailure::front(missing()).outcome, Outcome::FailedToStart);
    }
}
