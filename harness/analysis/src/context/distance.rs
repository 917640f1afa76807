//! A server that the harness did not start: what it runs on, and whether anything was sampled of it.

use super::TrialContext;
use crate::verdict::{Evidence, EvidenceName};
use wsceiling_model::format;
use wsceiling_model::matrix::Cell;
use wsceiling_model::platforms::{EdgeAnswer, LimitKind, PlatformLimit, PlatformRecord};
use wsceiling_model::record::{Answer, Component, Environment, FailedAt, FailureReason, Metric, RunHeader};

/// Facts of a machine of which nothing is known.
static NOTHING_KNOWN: Environment = Environment { facts: std::collections::BTreeMap::new() };

/// Share of a documented number by which a measured one may differ to be it.
const SAME_NUMBER: f64 = 0.01;
/// Share of a documented time by which a measured one may differ to be it.
const SAME_TIME: f64 = 0.05;
/// The client learns of an end this much later, in seconds.
const LATER_S: f64 = 1.5;

/// 1009, message too big (RFC 6455, section 7.4.1).
const TOO_BIG: u16 = 1009;

/// A server at a distance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Distance<'a> {
    /// What it runs on, where the matrix names it.
    pub platform: Option<&'a PlatformRecord>,
    /// Whether the run measures the server by its own address, too.
    pub has_own_address: bool,
    /// All platforms of the run.
    platforms: &'a [PlatformRecord],
    /// Start of the run, to which the age of a row is compared.
    started: &'a str,
}

impl<'a> Distance<'a> {
    /// `None`: the harness starts the server itself.
    pub(crate) fn of(header: &'a RunHeader, cell: &Cell) -> Option<Self> {
        let target = header.targets.iter().find(|target| target.name == cell.target)?.remote.as_ref()?;
        let platforms = header.platforms.as_slice();
        let platform = target.platform.as_ref();
        let platform = platform.and_then(|name| platforms.iter().find(|known| known.is_named(name)));
        Some(Self { platform, has_own_address: target.front_of.is_some(), platforms, started: &header.started })
    }

    /// The facts of the server's machine that the run knows: those in the record are the client's.
    pub(crate) fn environment() -> &'static Environment {
        &NOTHING_KNOWN
    }

    /// The platform and those that its traffic passes.
    fn edges(&self) -> impl Iterator<Item = &'a PlatformRecord> {
        let platforms = self.platforms;
        let before = self.platform.map_or(&[][..], |platform| platform.edges.as_slice());
        let before = before.iter().filter_map(|name| platforms.iter().find(|known| known.is_named(name)));
        self.platform.into_iter().chain(before)
    }

    /// What an answer means that an edge before the server gave by itself.
    pub(crate) fn own_answer(&self, answer: &Answer) -> Option<(&'a PlatformRecord, &'a EdgeAnswer)> {
        self.edges().find_map(|edge| {
            // A code is the edge's own word; a status alone may be the server's.
            let known = edge.own_answer(answer, self.started)?;
            (known.code.is_some() || edge.sent(answer)).then_some((edge, known))
        })
    }

    /// Documented limits of a kind, of all edges, that are not too old.
    pub(crate) fn limits(&self, kind: LimitKind) -> impl Iterator<Item = (&'a PlatformRecord, &'a PlatformLimit)> {
        let started = self.started;
        self.edges().flat_map(move |edge| edge.limits_of(kind, started).map(move |limit| (edge, limit)))
    }

    /// The documented number of connections that so many are, within 1 %.
    pub(crate) fn number(&self, held: f64, instances: u32) -> Option<(&'a PlatformRecord, &'a PlatformLimit)> {
        let kinds = [LimitKind::Connections, LimitKind::Concurrency];
        let mut all = kinds.into_iter().flat_map(|kind| self.limits(kind)).filter(|(_, limit)| !limit.about);
        all.find(|(_, limit)| (held - limit.total(instances)).abs() <= SAME_NUMBER * limit.total(instances))
    }

    /// The documented time of a kind that so many milliseconds are.
    pub(crate) fn time(&self, kind: LimitKind, ms: f64) -> Option<(&'a PlatformRecord, &'a PlatformLimit)> {
        let s = ms / 1e3;
        let fits = |limit: &PlatformLimit| {
            let slack = SAME_TIME * limit.value;
            (limit.value - slack..=limit.value + slack + LATER_S).contains(&s)
        };
        self.limits(kind).find(|(_, limit)| fits(limit))
    }
}

impl<'a> TrialContext<'a> {
    /// What the edge before the server answered by itself in the failed step, with the share of all failures.
    pub(crate) fn edge_answers(&self) -> Vec<EdgeAnswered<'a>> {
        let (Some(distance), Some(step)) = (&self.distance, self.failed) else { return Vec::new() };
        let all = self.failed_count().max(1.0);
        let each = step.answers.iter().filter_map(|answer| {
            let (edge, known) = distance.own_answer(answer)?;
            Some(EdgeAnswered { edge, known, answer, share: (answer.count as f64 / all).min(1.0) })
        });
        each.collect()
    }

    /// Share of the failures that came with a time after which to try again.
    pub(crate) fn asked_to_retry(&self) -> f64 {
        let answers = self.failed.into_iter().flat_map(|step| &step.answers);
        let later = answers.filter(|answer| answer.header("retry-after").is_some()).map(|answer| answer.count);
        later.sum::<u64>() as f64 / self.failed_count().max(1.0)
    }

    /// What upgrades were answered with, as evidence.
    pub(crate) fn answers_evidence(&self) -> Vec<Evidence> {
        let step = self.failed.into_iter().flat_map(|step| &step.answers);
        step.map(|answer| Evidence {
            component: Component::Generator,
            name: EvidenceName::Answer(answer.status),
            before: None,
            after: Some(format::whole(answer.count as f64)),
            source: describe_answer(answer),
        })
        .collect()
    }

    /// How old the connections were that were lost, as evidence.
    pub(crate) fn ages_evidence(&self) -> Vec<Evidence> {
        let step = self.failed.into_iter().flat_map(|step| &step.lost_ages);
        step.map(|lost| {
            let time = |ms: u64| format::micros(ms as f64 * 1e3);
            let (age, quiet) = (&lost.age, &lost.quiet);
            Evidence {
                component: Component::Generator,
                name: EvidenceName::Ages,
                before: Some(format!(
                    "quiet for {} ({} to {})",
                    time(quiet.median_ms),
                    time(quiet.p10_ms),
                    time(quiet.p90_ms)
                )),
                after: Some(format!("{} ({} to {})", time(age.median_ms), time(age.p10_ms), time(age.p90_ms))),
                source: format!(
                    "{} lost by {}, median and the middle 80 %",
                    format::whole(lost.count as f64),
                    lost.reason
                ),
            }
        })
        .collect()
    }

    /// Parts of the server that lack one of these counters, as what to do about it; `None`: nothing is missing.
    pub(crate) fn missing(&self, wanted: &[Metric]) -> Option<String> {
        self.distance.as_ref()?;
        let mut instances = (0..self.cell.instances.max(1)).map(Component::Instance);
        let lacks = |component: Component| {
            wanted
                .iter()
                .find(|metric| self.series.get(component, **metric).is_empty())
                .map(|metric| (component, metric))
        };
        let (component, metric) = instances.find_map(lacks)?;
        Some(format!("part {component} has no `{}`: give its /metrics to prove it", metric.name()))
    }

    /// Share of the failures that are connections closed because a message is too big.
    pub(crate) fn too_big(&self) -> f64 {
        self.share(|error| error.at == FailedAt::Open && error.reason == FailureReason::close(TOO_BIG))
    }
}

/// An answer of an edge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EdgeAnswered<'a> {
    /// Whose edge.
    pub edge: &'a PlatformRecord,
    /// What it documents about the answer.
    pub known: &'a EdgeAnswer,
    /// The answer.
    pub answer: &'a Answer,
    /// Share of the failures of the step.
    pub share: f64,
}

/// `503 Service Unavailable, code H11, server: heroku-router`
pub(crate) fn describe_answer(answer: &Answer) -> String {
    let phrase = if answer.phrase.is_empty() { String::new() } else { format!(" {}", answer.phrase) };
    let code = answer.code.as_ref().map_or(String::new(), |code| format!(", code {code}"));
    let headers = answer.headers.iter().map(|(name, value)| format!(", {name}: {value}"));
    format!("{}{phrase}{code}{}", answer.status, headers.collect::<String>())
}
