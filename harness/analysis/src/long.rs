//! What became of the connections beside the load, for a cell: which timeout ends them, or which one could not be seen in the
//! time that they were kept.

use serde::Serialize;

use super::context::Distance;
use super::rules::{Timeout, TimeoutKind};
use wsceiling_model::format;
use wsceiling_model::matrix::Cell;
use wsceiling_model::platforms::LimitKind;
use wsceiling_model::record::{LongRecord, RunHeader, TrialRecord};

/// What the long connections of a cell say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LongFinding {
    /// The timeout that they show; `None`: none, or they contradict each other.
    pub kind: Option<TimeoutKind>,
    /// Its time in milliseconds.
    pub after_ms: Option<f64>,
    /// The same for a person.
    pub sentence: String,
}

/// What the long connections of the trials say: the first that shows a timeout, or else the one that kept them longest.
/// `None`: there were none.
pub(super) fn of_cell<'a>(
    header: &RunHeader,
    cell: &Cell,
    trials: impl Iterator<Item = &'a TrialRecord>,
) -> Option<LongFinding> {
    let distance = Distance::of(header, cell);
    let kept = |long: &LongRecord| long.ended_ms - long.started_ms;
    let all: Vec<(&TrialRecord, &LongRecord)> =
        trials.filter_map(|trial| Some((trial, trial.long.as_ref()?))).collect();
    let shown = all.iter().find_map(|(trial, long)| {
        let timeout = Timeout::of_long(long)?;
        // They were opened together, so where all is lost at once they have one age too.
        (timeout.kind == TimeoutKind::Idle || !lost_most(trial)).then_some(timeout)
    });
    if let Some(timeout) = shown {
        let documented = timeout.documented(distance.as_ref()).map_or(String::new(), |row| format!(" {row}."));
        return Some(LongFinding {
            kind: Some(timeout.kind),
            after_ms: Some(timeout.ms),
            sentence: format!("Of the connections beside the load, {}{documented}", timeout.sentence()),
        });
    }
    let longest = all.into_iter().map(|(_, long)| long).max_by(|a, b| kept(a).total_cmp(&kept(b)))?;
    Some(LongFinding { kind: None, after_ms: None, sentence: unshown(longest, kept(longest), distance.as_ref()) })
}

/// Whether an instance ended by itself, or most connections of the load were lost in one step.
fn lost_most(trial: &TrialRecord) -> bool {
    let ended = trial.instances.iter().filter_map(|instance| instance.exit.as_ref()).any(|exit| !exit.requested);
    ended || trial.steps.iter().any(|step| step.lost > step.open)
}

fn unshown(long: &LongRecord, kept_ms: f64, distance: Option<&Distance<'_>>) -> String {
    let sum = |of: fn(&wsceiling_model::record::LongSide) -> u64| long.sides.iter().map(of).sum::<u64>();
    let (opened, open) = (sum(|side| side.opened), sum(|side| side.open));
    let kept = format::micros(kept_ms * 1e3);
    let lost = opened.saturating_sub(open);
    let what = if opened == 0 {
        "None of the connections beside the load could be opened.".to_owned()
    } else if lost == 0 {
        format!("None of the {} beside the load was lost in {kept}.", format::connections(opened as f64))
    } else {
        format!(
            "Of the {} beside the load {} were lost in {kept}, at ages that show no timeout.",
            format::connections(opened as f64),
            format::whole(lost as f64)
        )
    };
    let unseen = distance.and_then(|distance| {
        let mut all = distance.limits(LimitKind::Lifetime).chain(distance.limits(LimitKind::IdleTimeout));
        all.find(|(_, limit)| limit.value * 1e3 > kept_ms)
    });
    unseen.map_or(what.clone(), |(platform, limit)| {
        format!(
            "{what} {} documents {} of {} ({}), which is longer: set `stay` of `long` in [load] to see it.",
            platform.title,
            limit.kind.noun(),
            format::micros(limit.value * 1e6),
            limit.reference()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{remote_header, script};
    use wsceiling_model::record::{AgeCounts, Ages, FailureReason, LongSide, LostAges};

    fn finding(platform: Option<&str>, kept_ms: f64, silent: Option<u64>) -> LongFinding {
        let ages =
            |ms| Ages { min_ms: ms, p10_ms: ms, median_ms: ms, p90_ms: ms, max_ms: ms, counts: AgeCounts::default() };
        let lost = |ms| LostAges { reason: FailureReason::Eof, count: 5, silent: 5, age: ages(ms), quiet: ages(ms) };
        let side = |silent, ended: Option<u64>| LongSide {
            silent,
            opened: 5,
            open: if ended.is_some() { 0 } else { 5 },
            lost: ended.map(lost).into_iter().collect(),
            errors: Vec::new(),
        };
        let long =
            LongRecord { started_ms: 0.0, ended_ms: kept_ms, sides: vec![side(false, None), side(true, silent)] };
        let (mut record, _) = script().good(500).finish();
        record.long = Some(long);
        let header = remote_header("shop", platform, None);
        of_cell(&header, &header.cells[0], [record].iter()).unwrap()
    }

    #[test]
    fn silent_connections_that_end_show_an_idle_timeout_with_the_documented_number() {
        let found = finding(Some("aws-alb"), 90_000.0, Some(60_200));
        assert_eq!(found.kind, Some(TimeoutKind::Idle));
        assert!(
            found.sentence.contains("an idle timeout. AWS Application Load Balancer documents an idle timeout"),
            "{}",
            found.sentence
        );
    }

    #[test]
    fn where_all_is_lost_at_once_one_age_is_no_lifetime() {
        let ages = Ages {
            min_ms: 20_000,
            p10_ms: 20_000,
            median_ms: 20_000,
            p90_ms: 20_100,
            max_ms: 20_100,
            counts: AgeCounts::default(),
        };
        let lost = LostAges { reason: FailureReason::Eof, count: 5, silent: 0, age: ages.clone(), quiet: ages };
        let side = |silent| LongSide { silent, opened: 5, open: 0, lost: vec![lost.clone()], errors: Vec::new() };
        let long = LongRecord { started_ms: 0.0, ended_ms: 30_000.0, sides: vec![side(false), side(true)] };
        let header = remote_header("shop", None, None);
        let kind = |script: crate::testing::Script| {
            let (mut record, _) = script.finish();
            record.long = Some(long.clone());
            of_cell(&header, &header.cells[0], [record].iter()).unwrap().kind
        };
        assert_eq!(kind(script().good(500)), Some(TimeoutKind::Lifetime));
        let restart = crate::testing::Fail::collapse(900).error(wsceiling_model::record::FailedAt::Open, "eof", 900);
        assert_eq!(kind(script().good(500).fail(restart)), None);
    }

    #[test]
    fn what_the_time_could_not_show_is_said_with_what_would() {
        let found = finding(Some("aws-alb"), 14_000.0, None);
        assert_eq!(found.kind, None);
        assert!(found.sentence.contains("documents an idle timeout of 60.0 s"), "{}", found.sentence);
        assert!(!finding(Some("aws-alb"), 90_000.0, None).sentence.contains("which is longer"));
        assert!(!finding(None, 14_000.0, None).sentence.contains("which is longer"));
    }
}
