//! What was recorded, as evidence.

use super::TrialContext;
use crate::verdict::{Evidence, EvidenceName};
use wsceiling_model::format;
use wsceiling_model::format::quantity;
use wsceiling_model::matrix::FrontKind;
use wsceiling_model::record::{Component, Exit, FrontRecord, HopKind, KnownLine, Metric};

impl TrialContext<'_> {
    /// A sampled number before and after; of a gauge the largest value is what counts.
    pub(crate) fn evidence(&self, component: Component, metric: Metric) -> Option<Evidence> {
        let before = self.series.near(component, metric, self.from).map(|(_, value)| value)?;
        let after = self.most(component, metric).map(|(_, value)| value);
        let source = self.record.sources.get(&component).and_then(|sources| sources.get(metric.name()));
        Some(Evidence {
            component,
            name: EvidenceName::Metric(metric),
            before: Some(quantity(metric.unit(), before)),
            after: after.map(|value| quantity(metric.unit(), value)),
            source: source.cloned().unwrap_or_else(|| "source not recorded".into()),
        })
    }

    /// Several of them.
    pub(crate) fn all_evidence(&self, component: Component, metrics: &[Metric]) -> Vec<Evidence> {
        metrics.iter().filter_map(|metric| self.evidence(component, *metric)).collect()
    }

    /// How often each known line is in the log of a hop, with an example.
    pub(crate) fn front_evidence(front: &FrontRecord) -> Vec<Evidence> {
        let each = |(line, count): (&KnownLine, &u64)| Evidence {
            component: Component::Front(front.index),
            name: EvidenceName::LogLines(*line),
            before: None,
            after: Some(format::whole(*count as f64)),
            source: format!("log of the {}", front.kind),
        };
        let lines = front.known_lines.iter().map(each);
        let example = front.log_tail.first().filter(|_| !front.known_lines.is_empty()).map(|line| Evidence {
            component: Component::Front(front.index),
            name: EvidenceName::LogLine,
            before: None,
            after: Some(line.clone()),
            source: format!("log of the {}", front.kind),
        });
        lines.chain(example).collect()
    }

    /// Ends of instances as evidence.
    pub(crate) fn exit_evidence(&self) -> Vec<Evidence> {
        let each = self.exits().map(|(instance, exit)| Evidence {
            component: Component::Instance(instance.index),
            name: EvidenceName::Exit,
            before: Some("running".into()),
            after: Some(match exit.oom_killed {
                Some(true) => format!("{}, killed for memory", describe_exit(exit)),
                _ => describe_exit(exit),
            }),
            source: if instance.container.is_some() { "state of the container".into() } else { "wait status".into() },
        });
        each.collect()
    }

    /// Each kind of failure of the failed step.
    pub(crate) fn failures_evidence(&self) -> Vec<Evidence> {
        let each = self.failures.iter().map(|error| Evidence {
            component: Component::Generator,
            name: EvidenceName::Failures(error.at, error.reason.clone()),
            before: Some("0".into()),
            after: Some(format::whole(error.count as f64)),
            source: "own tally of the generator".into(),
        });
        each.collect()
    }

    /// What a person would look at first.
    pub(crate) fn overview_evidence(&self) -> Vec<Evidence> {
        const SERVER: [Metric; 5] = [
            Metric::MemoryCurrent,
            Metric::BusiestThread,
            Metric::Descriptors,
            Metric::ListenQueue,
            Metric::ListenOverflows,
        ];
        let mut all: Vec<Evidence> =
            self.instances().flat_map(|instance| self.all_evidence(instance, &SERVER)).collect();
        all.extend(self.evidence(Component::Generator, Metric::Lag));
        all
    }
}

/// `exit code 1`, `signal 11 (SIGSEGV)`.
pub(crate) fn describe_exit(exit: &Exit) -> String {
    match (exit.code, exit.signal) {
        (_, Some(signal)) => {
            let name = match signal {
                4 => " (SIGILL)",
                6 => " (SIGABRT)",
                7 => " (SIGBUS)",
                9 => " (SIGKILL)",
                11 => " (SIGSEGV)",
                15 => " (SIGTERM)",
                _ => "",
            };
            format!("signal {signal}{name}")
        }
        (Some(code), None) => format!("exit code {code}"),
        (None, None) => "no exit code is known".into(),
    }
}

/// A hop of a front, as a part of a sentence.
pub(crate) fn describe_hop(kind: HopKind) -> &'static str {
    match kind {
        HopKind::Balancer => "the balancer",
        HopKind::Proxy(FrontKind::Relay) => "the relay",
        HopKind::Proxy(FrontKind::DockerPublish) => "Docker's userland proxy",
        HopKind::Proxy(program) => program.name(),
    }
}
