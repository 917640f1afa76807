//! What the ages of lost connections say: a lifetime ends all at one age, whether they say something or not; an idle timeout
//! ends those that were quiet for one time.

use crate::context::{Distance, TrialContext};
use crate::pattern::FailurePattern;
use wsceiling_model::format;
use wsceiling_model::platforms::LimitKind;
use wsceiling_model::record::{Ages, LongRecord, LostAges, StepRecord};

/// How far the middle 80 % of the ages may be apart to be one age: sweeps of timeouts come once in a while.
const ONE_AGE: f64 = 0.12;
/// The same in milliseconds, for short ones.
const ONE_AGE_MS: u64 = 500;
/// Fewer losses than these say nothing of an age.
const FEW: u64 = 10;
/// Share of the losses that one reason must have.
const MOST: f64 = 0.8;
/// Shorter times than this are refusals of connections that had just been opened.
const SHORTEST_MS: u64 = 300;
/// Of the time that opening them took, the part within which the middle 80 % of the ages must be.
const AT_ONE_MOMENT: f64 = 0.25;
/// In a shorter opening than this, ages do not tell one moment from one age.
const SHORTEST_OPENING_MS: f64 = 100.0;
/// So many times closer together the quiet times must be than the ages, where both are one time.
const TIGHTER: f64 = 4.0;
/// Of a time, the part that a connection must have been less quiet than old to have been active.
const ACTIVE: f64 = 0.8;

/// Which timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeoutKind {
    /// All are ended at one age, active or not.
    Lifetime,
    /// Those are ended that were quiet for one time.
    Idle,
    /// All said nothing, so that age and quiet are the same: it may be either.
    Either,
}

/// A timeout that the ages of lost connections show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timeout {
    /// Which.
    pub kind: TimeoutKind,
    /// The time, in milliseconds.
    pub ms: f64,
    /// How many were lost to it.
    pub lost: u64,
}

impl Timeout {
    /// The timeout that explains most losses of the failed step.
    pub(crate) fn of_step(trial: &TrialContext<'_>) -> Option<Self> {
        let step = trial.failed?;
        let most = step.lost_ages.first()?;
        let all: u64 = step.lost_ages.iter().map(|lost| lost.count).sum();
        let enough = most.count >= FEW && most.count as f64 >= MOST * all as f64;
        let timeout = of_losses(most)?;
        let at_once = matches!(trial.pattern, FailurePattern::Collapse | FailurePattern::Sawtooth);
        if at_once && !follow_the_opening(most, step) || !is_no_moment(timeout.kind, most, step) {
            return None;
        }
        // What is open longer than that contradicts it.
        let outlived = trial.first_opened_ms().is_some_and(|opened| {
            timeout.kind != TimeoutKind::Idle && step.started_ms - opened > 2.0 * timeout.ms && step.open > 2 * all
        });
        (enough && !outlived).then_some(timeout)
    }

    /// The timeout that the long connections beside the load show.
    pub(crate) fn of_long(long: &LongRecord) -> Option<Self> {
        let side = |silent| long.sides.iter().find(|side| side.silent == silent && side.opened > 0);
        let ended = |silent| {
            let side = side(silent)?;
            let lost = side.lost.first().filter(|lost| lost.count as f64 >= MOST * side.opened as f64)?;
            Some((one_time(&lost.age)?, lost.count))
        };
        let kept = |silent| side(silent).is_some_and(|side| side.lost.is_empty() && side.open > 0);
        let timeout = |kind, (ms, lost): (u64, u64)| Some(Self { kind, ms: ms as f64, lost });
        match (ended(true), ended(false)) {
            (Some(silent), Some(active)) if same(silent.0, active.0) => {
                timeout(TimeoutKind::Lifetime, (silent.0, silent.1 + active.1))
            }
            (Some(silent), None) if kept(false) => timeout(TimeoutKind::Idle, silent),
            (Some(silent), None) if side(false).is_none() => timeout(TimeoutKind::Either, silent),
            _ => None,
        }
    }

    /// The platform's documented number, where it is that one: `, which Heroku documents (55 s idle; ...)`.
    pub(crate) fn documented(&self, distance: Option<&Distance<'_>>) -> Option<String> {
        let distance = distance?;
        let kinds: &[LimitKind] = match self.kind {
            TimeoutKind::Lifetime => &[LimitKind::Lifetime],
            TimeoutKind::Idle => &[LimitKind::IdleTimeout],
            TimeoutKind::Either => &[LimitKind::Lifetime, LimitKind::IdleTimeout],
        };
        let (platform, limit) = kinds.iter().find_map(|kind| distance.time(*kind, self.ms))?;
        Some(format!(
            "{} documents {} of {} ({})",
            platform.title,
            limit.kind.noun(),
            format::micros(limit.value * 1e6),
            limit.reference()
        ))
    }

    /// What was seen, a sentence.
    pub(crate) fn sentence(&self) -> String {
        let (lost, time) = (format::connections(self.lost as f64), format::micros(self.ms * 1e3));
        match self.kind {
            TimeoutKind::Lifetime => {
                format!("{lost} were ended {time} after they opened, active ones as well: a lifetime.")
            }
            TimeoutKind::Idle => format!("{lost} were ended after {time} without a message: an idle timeout."),
            TimeoutKind::Either => {
                format!(
                    "{lost} were ended {time} after they opened, and had said nothing since: a lifetime or an idle timeout."
                )
            }
        }
    }
}

fn of_losses(lost: &LostAges) -> Option<Timeout> {
    let (age, quiet) = (one_time(&lost.age), one_time(&lost.quiet));
    let timeout = |kind, ms: u64| Some(Timeout { kind, ms: ms as f64, lost: lost.count });
    let active = (lost.quiet.median_ms as f64) < ACTIVE * lost.age.median_ms as f64;
    match (age, quiet) {
        // Whoever had been active was ended too.
        (Some(age), _) if active => timeout(TimeoutKind::Lifetime, age),
        // Most said nothing, and those that did were ended that much later.
        (Some(_), Some(quiet)) if TIGHTER * middle_ms(&lost.quiet) < middle_ms(&lost.age) => {
            timeout(TimeoutKind::Idle, quiet)
        }
        (Some(age), _) => timeout(TimeoutKind::Either, age),
        (None, Some(quiet)) => timeout(TimeoutKind::Idle, quiet),
        (None, None) => None,
    }
}

/// How far the middle 80 % of the ages are apart, in milliseconds.
fn middle_ms(ages: &Ages) -> f64 {
    ages.p90_ms.saturating_sub(ages.p10_ms) as f64
}

/// How long the lost connections took to open, in milliseconds.
fn opening_ms(lost: &LostAges, step: &StepRecord) -> f64 {
    lost.count as f64 / step.requested_per_s.max(1e-9) * 1e3
}

/// Whether what looks like a loss at one moment came one by one, as fast as they were opened: of those that are lost at one
/// moment, the older half differs in age by 40 % of the time that opening took.
fn follow_the_opening(lost: &LostAges, step: &StepRecord) -> bool {
    let opening_ms = opening_ms(lost, step);
    let older_half_ms = lost.age.median_ms.saturating_sub(lost.age.p10_ms) as f64;
    opening_ms >= SHORTEST_OPENING_MS && older_half_ms <= AT_ONE_MOMENT * 0.4 * opening_ms
}

/// Whether the times are closer together than those of connections that are all lost at one moment: they were opened one
/// after the other, and asked one after the other in the probe after a hold.
fn is_no_moment(kind: TimeoutKind, lost: &LostAges, step: &StepRecord) -> bool {
    let opening_ms = opening_ms(lost, step);
    let (ages, most_ms) = match kind {
        TimeoutKind::Idle => (&lost.quiet, opening_ms.min(step.hold_end_ms() - step.opened_ms)),
        TimeoutKind::Lifetime | TimeoutKind::Either => (&lost.age, opening_ms),
    };
    middle_ms(ages) <= AT_ONE_MOMENT * most_ms
}

/// The time that all of them are, within a little.
fn one_time(ages: &Ages) -> Option<u64> {
    let close = ages.p90_ms - ages.p10_ms.min(ages.p90_ms) <= ONE_AGE_MS.min(ages.median_ms / 4);
    let one = close || ages.spread().is_some_and(|spread| spread <= ONE_AGE);
    (one && ages.median_ms >= SHORTEST_MS).then_some(ages.median_ms)
}

fn same(a: u64, b: u64) -> bool {
    a.abs_diff(b) as f64 <= ONE_AGE * a.max(b) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_model::record::{AgeCounts, FailureReason, LongSide};

    fn ages(p10_ms: u64, median_ms: u64, p90_ms: u64) -> Ages {
        Ages { min_ms: p10_ms, p10_ms, median_ms, p90_ms, max_ms: p90_ms, counts: AgeCounts::default() }
    }

    fn lost(count: u64, age: Ages, quiet: Ages) -> LostAges {
        LostAges { reason: FailureReason::Eof, count, silent: 0, age, quiet }
    }

    fn kind(lost: &LostAges) -> Option<TimeoutKind> {
        of_losses(lost).map(|timeout| timeout.kind)
    }

    #[test]
    fn one_age_of_active_connections_is_a_lifetime_and_of_silent_ones_either() {
        let age = ages(59_900, 60_100, 61_000);
        assert_eq!(kind(&lost(100, age.clone(), ages(100, 5000, 9900))), Some(TimeoutKind::Lifetime));
        assert_eq!(kind(&lost(100, age.clone(), age)), Some(TimeoutKind::Either));
    }

    #[test]
    fn one_quiet_time_at_many_ages_is_an_idle_timeout() {
        let quiet = ages(59_900, 60_100, 61_000);
        assert_eq!(kind(&lost(100, ages(60_000, 130_000, 300_000), quiet)), Some(TimeoutKind::Idle));
        assert_eq!(kind(&lost(100, ages(1000, 130_000, 300_000), ages(100, 5000, 9900))), None);
        // All at once, whatever their age, as when a proxy restarts.
        assert_eq!(kind(&lost(100, ages(1000, 5000, 9000), ages(900, 4000, 9000))), None);
        assert_eq!(kind(&lost(100, ages(1, 5, 9), ages(1, 5, 9))), None, "refusals of the newest are no timeout");
    }

    #[test]
    fn connections_that_are_all_lost_at_one_moment_have_no_common_age() {
        // 500 opened in a second, and lost at once 10 s later: their ages differ by that second.
        let step = StepRecord { requested_per_s: 500.0, opened_ms: 1000.0, ended_ms: 3000.0, ..StepRecord::default() };
        let at_once = lost(500, ages(10_100, 10_500, 10_900), ages(100, 5000, 9900));
        assert_eq!(kind(&at_once), Some(TimeoutKind::Lifetime));
        assert!(!is_no_moment(TimeoutKind::Lifetime, &at_once, &step));
        let lifetime = lost(500, ages(10_000, 10_010, 10_100), ages(100, 5000, 9900));
        assert!(is_no_moment(TimeoutKind::Lifetime, &lifetime, &step));
    }

    #[test]
    fn those_that_spoke_and_were_ended_later_show_an_idle_timeout() {
        // 100 opened in 250 ms: 88 said nothing, 12 were ended 4 s after their one message.
        let mostly_silent = lost(100, ages(4001, 4001, 4227), ages(4001, 4001, 4001));
        assert_eq!(kind(&mostly_silent), Some(TimeoutKind::Idle));
        assert_eq!(kind(&lost(100, ages(4001, 4001, 4003), ages(4001, 4001, 4003))), Some(TimeoutKind::Either));
    }

    #[test]
    fn losses_as_fast_as_the_opening_are_no_moment() {
        let step = StepRecord { requested_per_s: 400.0, ..StepRecord::default() };
        let follow = |count, age| follow_the_opening(&lost(count, age, ages(4001, 4001, 4001)), &step);
        assert!(follow(100, ages(4001, 4001, 4227)));
        // All at once, 4 s after the last of them opened: a quarter of a second apart, or so few that nobody can tell.
        assert!(!follow(100, ages(4025, 4125, 4225)));
        assert!(!follow(20, ages(4001, 4001, 4001)));
    }

    fn side(silent: bool, opened: u64, ended: Option<u64>) -> LongSide {
        let lost: Vec<LostAges> =
            ended.map(|ms| lost(opened, ages(ms, ms, ms), ages(ms, ms, ms))).into_iter().collect();
        LongSide { silent, opened, open: if lost.is_empty() { opened } else { 0 }, lost, errors: Vec::new() }
    }

    fn long(silent: Option<u64>, active: Option<u64>) -> Option<TimeoutKind> {
        let sides = vec![side(false, 5, active), side(true, 5, silent)];
        Timeout::of_long(&LongRecord { started_ms: 0.0, ended_ms: 90_000.0, sides }).map(|timeout| timeout.kind)
    }

    #[test]
    fn long_connections_tell_an_idle_timeout_from_a_lifetime() {
        assert_eq!(long(Some(60_000), None), Some(TimeoutKind::Idle));
        assert_eq!(long(Some(30_000), Some(30_400)), Some(TimeoutKind::Lifetime));
        assert_eq!(long(None, None), None);
        assert_eq!(long(None, Some(30_000)), None, "that only active ones end is no timeout");
        assert_eq!(long(Some(60_000), Some(20_000)), None);
    }
}
