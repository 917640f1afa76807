//! The search for the ceiling: phases of the staircase, or stages, until one fails; on a staircase then one step past the
//! edge, and probes inside the bracket.
//!
//! The step past the edge finds no ceiling: how more connections fail is evidence of what stopped the first ones. A limit
//! of number lets nobody in any more, one of rate does; one failure of 800 is a hint, 200 of 1,000 are a pattern. Where the
//! step ended early because so many were refused, a few are asked for again instead ([`again`]).
//!
//! A probe runs against freshly launched instances: what a failed step leaves behind (connections that the client gave
//! up on and the server still accepts, a heap that has grown, a process that is gone) must not falsify it.

use std::time::Duration;

use anyhow::{Result, bail};

use super::again;
use wsceiling_model::matrix::{Load, Phase};
use wsceiling_model::record::{Bracket, StepKind, StepRecord};

/// What the search drives: the real generator and instances, or a model of them in tests.
pub trait LoadDriver {
    /// Opens or closes connections until [`Phase::to`] are open, holds them and measures.
    fn step(&mut self, kind: StepKind, phase: Phase) -> impl Future<Output = Result<StepRecord>> + Send;

    /// Starts instances and generator anew, with no connection.
    fn restart(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Whether the failed step is the client's own doing, so that probing further would measure nothing.
    fn is_client_limited(&self, failed: &StepRecord) -> bool;

    /// Whether the last step ended early: so many connects failed that no more were made, to spare the server.
    fn ended_early(&self) -> bool;

    /// Leaves everything as it is for a while.
    fn rest(&mut self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// What the search has found so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The steps in the order they were driven.
    pub steps: Vec<StepRecord>,
    /// What they say of the ceiling.
    pub bracket: Bracket,
}

/// Drives the phases of the load until one fails, then narrows the bracket.
///
/// # Errors
/// When the generator or a relaunch fails; `found` has what was learned until then.
pub async fn find_ceiling(driver: &mut impl LoadDriver, load: &Load, found: &mut Found) -> Result<()> {
    for phase in load.phases() {
        let kind = match phase.storm {
            Some(_) => StepKind::Storm,
            None if load.stages.is_empty() => StepKind::Staircase,
            None => StepKind::Stage,
        };
        let step = driver.step(kind, phase).await?;
        if step.passed {
            found.add(step);
            continue;
        }
        let limited = driver.is_client_limited(&step);
        let more = past_the_edge(load, &step).filter(|_| kind == StepKind::Staircase && !limited);
        let again = again::phase(load, &step).filter(|_| more.is_none() && driver.ended_early());
        let rest = again::rest_before(&step);
        found.add(step);
        if limited {
            return Ok(());
        }
        if let Some(target) = more {
            found.add_aside(driver.step(StepKind::PastEdge, load.phase(target)).await?);
        }
        if let Some(phase) = again {
            driver.rest(rest).await;
            found.add_aside(driver.step(StepKind::Again, phase).await?);
        }
        break;
    }
    for _ in 0..load.narrow {
        let Some(target) = found.next_probe(load.resolution) else { break };
        driver.restart().await?;
        let step = driver.step(StepKind::Narrow, load.phase(target)).await?;
        if !step.passed && driver.is_client_limited(&step) {
            // The bracket stays as wide as it is: this probe says nothing of the server.
            found.add_aside(step);
            bail!("the client was the limit of the step to {target}");
        }
        found.add(step);
    }
    Ok(())
}

/// Share of the connections asked for that a step which failed by a little still holds.
const A_LITTLE: f64 = 0.5;

/// What to ask for past a step that failed by a little: a step more, and never more than the load's end, for which the
/// client was set up. `None`: too much was lost, or there is nothing more to ask for.
fn past_the_edge(load: &Load, failed: &StepRecord) -> Option<u32> {
    let target = failed.target.saturating_add(load.step).min(load.max);
    let holds = failed.held as f64 >= A_LITTLE * f64::from(failed.target);
    (holds && u64::from(target) > failed.open).then_some(target)
}

impl Default for Found {
    fn default() -> Self {
        Self { steps: Vec::new(), bracket: Bracket { last_good: 0, first_bad: None, peak: 0 } }
    }
}

impl Found {
    /// The first step that failed.
    pub fn first_failed(&self) -> Option<&StepRecord> {
        self.steps.iter().find(|step| !step.passed)
    }

    /// Takes a step that says nothing of the ceiling.
    fn add_aside(&mut self, step: StepRecord) {
        self.bracket.peak = self.bracket.peak.max(step.held);
        self.steps.push(step);
    }

    /// Takes a step into the bracket. A number that failed once is not good, even where it passed before: stages may ask
    /// it twice, or send a storm over it.
    fn add(&mut self, step: StepRecord) {
        self.bracket.peak = self.bracket.peak.max(step.held);
        self.steps.push(step);
        let targets = |passed: bool| {
            let asked = self.steps.iter().filter(|step| step.kind.finds_ceiling());
            let those = asked.filter(move |step| step.passed == passed);
            those.map(|step| u64::from(step.target))
        };
        let first_bad = targets(false).min();
        let last_good = targets(true).filter(|good| first_bad.is_none_or(|bad| *good < bad)).max();
        (self.bracket.first_bad, self.bracket.last_good) = (first_bad, last_good.unwrap_or(0));
    }

    /// Where to look next, or `None` when the bracket is narrow enough.
    ///
    /// A plateau tells its own ceiling: what the failed step still held is tried first, and once it is known to be good,
    /// one resolution above it. Only then, or when nothing was held, the bracket is halved.
    fn next_probe(&self, resolution: f64) -> Option<u32> {
        let bad = self.bracket.first_bad?;
        let good = self.bracket.last_good;
        let fine = ((good as f64 * resolution) as u64).max(1);
        if bad - good <= fine {
            return None;
        }
        let failed = self.steps.iter().rfind(|step| !step.passed && step.kind.finds_ceiling());
        let plateau = failed.map_or(0, |step| step.held);
        let middle = good + (bad - good) / 2;
        let target = if plateau > good && plateau < bad {
            plateau
        } else if plateau == good && good > 0 && good + fine < middle {
            good + fine
        } else {
            middle
        };
        u32::try_from(target).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_model::matrix::{Broadcast, Churn, Gates, LoadStage, Message};

    fn load(step: u32, max: u32, narrow: u32) -> Load {
        Load {
            step,
            rate: 1000.0,
            hold: Duration::from_secs(1),
            max,
            stages: Vec::new(),
            message: Message::plain(64, Duration::from_secs(5)),
            gates: Gates::default(),
            resolution: 0.05,
            narrow,
            connect_timeout: Duration::from_secs(1),
            handshake_timeout: Duration::from_secs(1),
            workers: None,
            workers_in: None,
            registry: None,
            broadcast: Broadcast { room: 10, every: Duration::from_secs(1), bytes: 64 },
            churn: Churn { lifetime: Duration::from_secs(1) },
            generator: wsceiling_model::matrix::GeneratorLimits::default(),
            long: None,
        }
    }

    /// A server with a ceiling; past it, it keeps `ceiling` connections or loses all.
    struct Model {
        ceiling: u32,
        collapses: bool,
        client: bool,
        restarts: u32,
        /// Its steps end early; a rest is noted.
        spared: bool,
        rested: Option<Duration>,
    }

    /// A server that keeps what it holds, and the client is never the limit.
    fn server(ceiling: u32) -> Model {
        Model { ceiling, collapses: false, client: false, restarts: 0, spared: false, rested: None }
    }

    impl LoadDriver for Model {
        async fn step(&mut self, kind: StepKind, phase: Phase) -> Result<StepRecord> {
            let target = phase.to;
            let passed = target <= self.ceiling && !(kind == StepKind::Storm && target > self.ceiling / 2);
            let held = match (passed, self.collapses) {
                (true, _) => target,
                (false, true) => 0,
                (false, false) => self.ceiling,
            };
            let held = u64::from(held);
            Ok(StepRecord { kind, target, passed, held, open: held, ..StepRecord::default() })
        }

        async fn restart(&mut self) -> Result<()> {
            self.restarts += 1;
            Ok(())
        }

        fn is_client_limited(&self, _: &StepRecord) -> bool {
            self.client
        }

        fn ended_early(&self) -> bool {
            self.spared
        }

        async fn rest(&mut self, time: Duration) {
            self.rested = Some(time);
        }
    }

    fn run(model: &mut Model, load: &Load) -> (Bracket, Vec<(StepKind, u32)>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut found = Found::default();
        runtime.block_on(find_ceiling(model, load, &mut found)).unwrap();
        (found.bracket, found.steps.iter().map(|step| (step.kind, step.target)).collect())
    }

    #[test]
    fn a_server_that_holds_everything_has_no_first_bad() {
        let mut model = server(9999);
        let (bracket, steps) = run(&mut model, &load(2000, 5000, 3));
        assert_eq!(bracket, Bracket { last_good: 5000, first_bad: None, peak: 5000 });
        assert_eq!(steps.iter().map(|step| step.1).collect::<Vec<_>>(), [2000, 4000, 5000]);
        assert_eq!(model.restarts, 0);
    }

    #[test]
    fn a_plateau_is_found_exactly_in_two_probes() {
        let mut model = server(700);
        let (bracket, steps) = run(&mut model, &load(500, 2000, 3));
        assert_eq!((bracket.last_good, bracket.first_bad), (700, Some(735)));
        let probes = [(StepKind::PastEdge, 1500), (StepKind::Narrow, 700), (StepKind::Narrow, 735)];
        assert_eq!(steps[2..], probes);
    }

    #[test]
    fn a_collapse_is_bisected_with_fresh_instances() {
        let mut model = Model { collapses: true, ..server(1830) };
        let (bracket, steps) = run(&mut model, &load(1000, 4000, 3));
        assert_eq!(steps[2..].iter().map(|step| step.1).collect::<Vec<_>>(), [1500, 1750, 1875]);
        assert_eq!((bracket.last_good, bracket.first_bad), (1750, Some(1875)));
        assert_eq!(model.restarts, 3);
    }

    #[test]
    fn the_step_past_the_edge_asks_for_what_is_missing_and_never_for_more_than_the_load() {
        let step = |target, held, open| StepRecord { target, held, open, ..StepRecord::default() };
        let load = load(500, 1200, 0);
        assert_eq!(past_the_edge(&load, &step(500, 499, 499)), Some(1000));
        assert_eq!(past_the_edge(&load, &step(1000, 700, 700)), Some(1200));
        assert_eq!(past_the_edge(&load, &step(1200, 1190, 1190)), Some(1200));
        // All are open and late: nothing can be added. Nothing is left: it is no edge but a fall.
        assert_eq!(past_the_edge(&load, &step(1200, 1200, 1200)), None);
        assert_eq!(past_the_edge(&load, &step(1000, 0, 0)), None);
    }

    #[test]
    fn who_was_spared_and_holds_less_than_half_is_asked_for_a_few_again() {
        let mut model = Model { spared: true, ..server(90) };
        let (bracket, steps) = run(&mut model, &load(600, 1200, 0));
        assert_eq!(steps, [(StepKind::Staircase, 600), (StepKind::Again, 110)]);
        assert_eq!(bracket, Bracket { last_good: 0, first_bad: Some(600), peak: 90 });
        assert_eq!(model.rested, Some(Duration::from_secs(1)));
        // A step past the edge shows the same, and who refuses few was not spared.
        let mut most = Model { spared: true, ..server(400) };
        assert_eq!(run(&mut most, &load(600, 1200, 0)).1.last(), Some(&(StepKind::PastEdge, 1200)));
        assert_eq!(run(&mut server(90), &load(600, 1200, 0)).1, [(StepKind::Staircase, 600)]);
        // The client's own limit says nothing of the server.
        let mut tired = Model { spared: true, client: true, ..server(90) };
        assert_eq!(run(&mut tired, &load(600, 1200, 0)).1, [(StepKind::Staircase, 600)]);
    }

    #[test]
    fn a_client_limit_in_a_probe_leaves_the_bracket_alone_and_is_told() {
        /// A client that is the limit of probes.
        struct Tired(Model);
        impl LoadDriver for Tired {
            async fn step(&mut self, kind: StepKind, phase: Phase) -> Result<StepRecord> {
                self.0.client = kind == StepKind::Narrow;
                self.0.step(kind, phase).await
            }
            async fn restart(&mut self) -> Result<()> {
                self.0.restart().await
            }
            fn is_client_limited(&self, failed: &StepRecord) -> bool {
                self.0.is_client_limited(failed)
            }
            fn ended_early(&self) -> bool {
                self.0.ended_early()
            }
            async fn rest(&mut self, time: Duration) {
                self.0.rest(time).await;
            }
        }
        let mut driver = Tired(Model { collapses: true, ..server(1830) });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut found = Found::default();
        // 1,500 passes, 1,750 passes, 1,875 fails and was the client's doing.
        let ended = runtime.block_on(find_ceiling(&mut driver, &load(1000, 4000, 5), &mut found)).unwrap_err();
        assert_eq!((found.bracket.last_good, found.bracket.first_bad), (1750, Some(2000)));
        assert!(ended.to_string().contains("the client was the limit of the step to 1875"), "{ended}");
    }

    #[test]
    fn a_client_limit_is_not_probed() {
        let mut model = Model { client: true, ..server(700) };
        let (bracket, steps) = run(&mut model, &load(500, 2000, 3));
        assert_eq!((steps.len(), bracket.first_bad), (2, Some(1000)));
    }

    fn stages(parts: &[Option<u32>]) -> Load {
        let hold = Duration::from_secs(1);
        let stage = |part: &Option<u32>| match part {
            Some(to) => LoadStage::To { to: *to, rate: 100.0, hold },
            None => LoadStage::Storm { jitter: Duration::ZERO, hold },
        };
        Load { stages: parts.iter().map(stage).collect(), ..load(900, 900, 0) }
    }

    #[test]
    fn stages_go_up_and_down_and_the_largest_that_passed_is_the_ceiling() {
        let mut model = server(900);
        let (bracket, steps) = run(&mut model, &stages(&[Some(300), None, Some(900), Some(100)]));
        let kinds = [StepKind::Stage, StepKind::Storm, StepKind::Stage, StepKind::Stage];
        assert_eq!(steps, kinds.into_iter().zip([300, 300, 900, 100]).collect::<Vec<_>>());
        assert_eq!((bracket.last_good, bracket.first_bad), (900, None));
    }

    #[test]
    fn a_number_that_does_not_survive_its_storm_is_not_good() {
        let mut model = server(1000);
        let (bracket, steps) = run(&mut model, &stages(&[Some(300), None, Some(800), None, Some(900)]));
        assert_eq!(steps.last(), Some(&(StepKind::Storm, 800)));
        assert_eq!((bracket.last_good, bracket.first_bad, model.restarts), (300, Some(800), 0));
    }

    #[test]
    fn the_first_step_can_fail() {
        let mut model = Model { collapses: true, ..server(3) };
        let (bracket, _) = run(&mut model, &load(100, 200, 2));
        assert_eq!((bracket.last_good, bracket.first_bad), (0, Some(25)));
    }
}
