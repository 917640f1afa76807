//! The runtime's own heap limit ended the process: it gave up below the memory that the machine would have given.

use super::rule::{Candidate, Proof, Rule};
use crate::context::TrialContext;
use crate::verdict::Evidence;
use wsceiling_model::format;
use wsceiling_model::record::log_patterns;
use wsceiling_model::record::{Cause, Component};

pub(super) const RULE: Rule = Rule {
    cause: Cause::RuntimeHeap,
    consequences: &[
        Cause::Crash,
        Cause::PathDied,
        Cause::SingleThread,
        Cause::CpuQuota,
        Cause::CpuSaturated,
        Cause::ApplicationCap,
        Cause::AcceptQueue,
        Cause::SynQueue,
        Cause::Hang,
    ],
    judge,
};

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let (component, line) = trial.log_line(log_patterns::HEAP)?;
    let exit = trial.exits().find(|(instance, _)| Component::Instance(instance.index) == component);
    // The kernel's kill is the other rule's.
    if exit.is_some_and(|(_, exit)| exit.oom_killed == Some(true)) {
        return None;
    }
    let onset_ms = exit.map(|(_, exit)| exit.t_ms);
    // V8 and Go abort, PHP and a JVM that is told to exit with an error.
    let gave_up = exit.is_some_and(|(_, exit)| exit.signal == Some(6) || exit.code.is_some_and(|code| code != 0));
    let mut evidence = trial.exit_evidence();
    evidence.push(Evidence::log_line(component, line));
    evidence.extend(trial.evidence(component, wsceiling_model::record::Metric::MemoryCurrent));
    Some(Candidate {
        sentence: format!(
            "At {} the runtime of {component} reached its own heap limit and gave up, though the kernel had not refused \
             it memory.",
            format::connections(trial.peak())
        ),
        fix: "raise the runtime's heap (node --max-old-space-size, JVM -Xmx, GOMEMLIMIT) up to the memory limit".into(),
        evidence,
        proof: Proof {
            moved: true,
            // The runtime names its limit itself; to give up right then is what it does about it.
            arithmetic: gave_up,
            // Collecting garbage over and over it was slow before, so the losses are its moment.
            timely: onset_ms.is_some_and(|t| trial.at_first_failure(t) || trial.at_first_loss(t)),
            explains: 1.0,
            onset_ms,
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, script};
    use wsceiling_model::record::{Cause, FailedAt};

    fn aborted() -> Script {
        // M3: node --max-old-space-size=64.
        let fail = Fail::collapse(415).error(FailedAt::Open, "eof", 415).error(FailedAt::Handshake, "reset", 486);
        script().load(1000, 3000).fail(fail).exit(|exit| exit.signal = Some(6))
    }

    #[test]
    fn an_abort_with_the_runtimes_words_is_its_heap() {
        let line = "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory";
        let verdict = aborted().log(line).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::RuntimeHeap, 0.85));
        assert!(verdict.sentence.starts_with("At 415 connections"), "{}", verdict.sentence);
    }

    #[test]
    fn it_is_slow_with_garbage_before_it_gives_up() {
        // Node with 12 MB: upgrades time out for 2.4 s before the abort.
        let fail = Fail::collapse(2562).error(FailedAt::Handshake, "timeout", 438).error(FailedAt::Open, "eof", 2562);
        let line =
            "FATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of memory";
        let aborted = script().load(1000, 10_000).good(1000).good(2000).fail(fail).exit(|exit| exit.signal = Some(6));
        assert_eq!(aborted.log(line).verdict().confidence.to_bits(), 0.85_f64.to_bits());
    }

    #[test]
    fn php_names_its_limit_and_exits_with_an_error() {
        let fail = Fail::collapse(270).error(FailedAt::Open, "eof", 270);
        let exited = |line: &str| {
            script().load(200, 800).good(200).fail(fail.clone()).exit(|exit| exit.code = Some(255)).log(line)
        };
        let line = "PHP Fatal error:  Allowed memory size of 33554432 bytes exhausted (tried to allocate 102432 bytes)";
        let verdict = exited(line).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::RuntimeHeap, 0.85));
        assert_eq!(cause(exited("PHP Fatal error:  Uncaught TypeError")), Cause::Crash);
    }

    #[test]
    fn an_abort_without_them_is_a_crash() {
        assert_eq!(cause(aborted().log("assertion failed")), Cause::Crash);
    }
}
