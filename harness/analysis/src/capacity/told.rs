//! Plans for runs whose cells are told where they stopped and by what, so that each rule shows by itself.

use super::caps::caps;
use super::limits::Limits;
use super::predict::predict;
use super::restart::restart;
use super::set_up::{SetUp, stopped};
use super::simulated::{found, unstopped};
use super::*;
use crate::findings::{CellFindings, Findings};
use std::time::Duration;
use wsceiling_model::matrix::{Runtime, Size};
use wsceiling_model::record::{Cause, Component, Wall, WallName};
use wsceiling_simulate::sizes::{SERVER, size};

/// Three cells that are told their sizes and instances, where they stopped, and by what. `costs`: their costs stay.
fn told(costs: bool, cells: &[(Size, u32, f64, Cause)]) -> Findings {
    let names: Vec<Size> = (0..cells.len()).map(|at| size(&format!("s{at}"), 1.0, 64)).collect();
    let mut run = unlimited(found(&SERVER, &names, &[1], 0.0, 1));
    for (at, (size, instances, held, cause)) in cells.iter().enumerate() {
        run.header.sizes[at] = Size { name: names[at].name.clone(), ..size.clone() };
        let cell = &mut run.cells[at];
        cell.cell.instances = *instances;
        stop(cell, *held, *cause);
        if !costs {
            (cell.memory, cell.cpu) = (None, None);
        }
    }
    run
}

/// Without the limit of descriptors of the simulated machine.
fn unlimited(mut run: Findings) -> Findings {
    run.header.environment.facts.remove("limits.nofile_hard");
    run.cells.iter_mut().flat_map(|cell| &mut cell.trials).for_each(|trial| trial.record.walls.clear());
    run
}

fn stop(cell: &mut CellFindings, held: f64, cause: Cause) {
    cell.verdict.as_mut().unwrap().cause = cause;
    cell.ceiling.as_mut().unwrap().connections = held as u64;
    for trial in &mut cell.trials {
        (trial.numbers.ceiling, trial.bracket) = (Some(held), None);
    }
}

fn set_up(run: &Findings) -> SetUp<'_> {
    SetUp::all(run, None, |_| true).remove(0)
}

/// What so many instances of a size hold, and by what they are stopped.
fn at(run: &Findings, size: &Size, instances: u32) -> Option<Prediction> {
    predict(&Limits::of(&set_up(run)), size, instances)
}

#[track_caller]
fn holds(run: &Findings, size: &Size, instances: u32, connections: f64) -> Prediction {
    let found = at(run, size, instances).unwrap();
    assert!((found.held / connections - 1.0).abs() < 0.003, "{connections}: {found:?}");
    found
}

fn beyond(found: &Prediction) -> &[Beyond] {
    if let Basis::Extrapolated(beyond) = &found.basis { beyond } else { &[] }
}

fn large() -> Size {
    size("large", 8.0, 8192)
}

#[test]
fn a_number_that_the_size_does_not_move_is_that_of_each_instance_or_of_all() {
    let sizes = [(size("a", 1.0, 64), 1, 1000.0), (size("b", 2.0, 256), 2, 2000.0)];
    let of = |cause| told(false, &sizes.clone().map(|(size, instances, held)| (size, instances, held, cause)));
    let each = of(Cause::ApplicationCap);
    let one = holds(&each, &large(), 1, 1000.0);
    assert_eq!((one.cause, one.origin), (Cause::ApplicationCap, Origin::Seen));
    assert!(one.interval.0 > 950.0 && one.interval.1 < 1050.0, "{one:?}");
    holds(&each, &large(), 2, 2000.0);
    let shared = told(false, &[(size("a", 1.0, 64), 1, 1000.0, Cause::PathDied)]);
    holds(&shared, &large(), 3, 1000.0);
}

#[test]
fn one_cell_says_something_of_other_sizes_only_where_its_cause_has_nothing_to_do_with_size() {
    let one = |cause| told(false, &[(size("a", 1.0, 64), 1, 1000.0, cause)]);
    holds(&one(Cause::ApplicationCap), &large(), 1, 1000.0);
    assert_eq!(at(&one(Cause::Hang), &large(), 1), None);
    holds(&one(Cause::Hang), &size("a", 1.0, 64), 2, 2000.0);
    let apart =
        told(false, &[(size("a", 1.0, 64), 1, 1000.0, Cause::Hang), (size("b", 1.0, 128), 1, 3000.0, Cause::Hang)]);
    assert_eq!(at(&apart, &large(), 1), None);
    holds(&apart, &size("b", 1.0, 128), 2, 6000.0);
}

#[test]
fn a_heap_goes_with_the_memory_of_the_size() {
    let of = |mib, held| (size("a", 1.0, mib), 1, held, Cause::RuntimeHeap);
    let run = told(false, &[of(64, 1000.0), of(128, 2000.0)]);
    assert_eq!(beyond(&holds(&run, &size("c", 2.0, 96), 1, 1500.0)), []);
    assert_eq!(beyond(&at(&run, &size("c", 2.0, 256), 1).unwrap()), [Beyond::Memory]);
}

#[test]
fn what_a_resource_explains_is_no_cap() {
    let run = told(true, &[(size("a", 1.0, 64), 1, 1000.0, Cause::MemoryLimit)]);
    let alone = set_up(&run).stopped_alone();
    assert!(caps(&alone, |cause| cause == Cause::MemoryLimit).is_empty());
    let descriptors = Size { nofile: Some(507), ..size("a", 1.0, 512) };
    let cell = |size: &Size| (size.clone(), 1, 500.0, Cause::ServerDescriptors);
    let run = told(true, &[cell(&descriptors), cell(&Size { cpus: Some(2.0), ..descriptors.clone() })]);
    let more = Size { nofile: Some(10_000_000), ..size("b", 1.0, 512) };
    assert!(at(&run, &more, 1).unwrap().held > 2000.0);
    let run = told(true, &[(size("a", 1.0, 64), 1, 2_000.0, Cause::MemoryPressure)]);
    assert_eq!(at(&run, &size("b", 1.0, 96), 1).unwrap().origin, Origin::Met, "the same memory, slowly");
    // Without a cost of memory the size that met it is all that is known.
    let run = told(false, &[(size("a", 1.0, 64), 1, 1000.0, Cause::MemoryLimit)]);
    assert_eq!(holds(&run, &size("a", 1.0, 64), 2, 2000.0).origin, Origin::Seen);
    assert_eq!(at(&run, &large(), 1), None);
}

#[test]
fn a_size_that_has_less_than_the_idle_server_takes_holds_nothing() {
    let run = told(true, &[(size("a", 1.0, 512), 1, 15_000.0, Cause::CpuQuota)]);
    assert_eq!(at(&run, &size("b", 0.0005, 512), 1), None);
    let run = told(true, &[(size("a", 1.0, 64), 1, 2_100.0, Cause::MemoryLimit)]);
    assert_eq!(at(&run, &size("b", 1.0, 4), 1), None);
}

#[test]
fn a_server_that_uses_one_core_holds_no_more_with_four() {
    let run = told(true, &[(size("a", 2.0, 8192), 1, 15_000.0, Cause::SingleThread)]);
    let one = at(&run, &size("b", 1.0, 8192), 1).unwrap();
    assert!((one.held / 15_000.0 - 1.0).abs() < 0.03 && one.cause == Cause::SingleThread, "{one:?}");
    let four = at(&run, &size("b", 4.0, 8192), 1).unwrap();
    assert_eq!((four.held.round(), four.cause), (one.held.round(), Cause::SingleThread));
    assert!(!beyond(&four).contains(&Beyond::Cores), "it is known: {four:?}");
    let half = at(&run, &size("b", 0.5, 8192), 1).unwrap();
    assert_eq!(half.cause, Cause::CpuQuota);
    assert!((half.held / one.held - 0.5).abs() < 0.05, "{half:?}");
    let set_up = set_up(&run);
    assert_eq!(Limits::of(&set_up).usable_cpus(&size("b", 4.0, 8192)), Some(1.0));
}

#[test]
fn cores_that_nobody_saw_used_are_not_counted_and_less_cpu_than_measured_is_an_extrapolation() {
    let of = |cpus: f64| (size("a", cpus, 8192), 1, 15_000.0 * cpus, Cause::CpuQuota);
    let run = told(true, &[of(0.5), of(1.0)]);
    let (one, four) = (at(&run, &size("b", 1.0, 4096), 1).unwrap(), at(&run, &size("b", 4.0, 8192), 1).unwrap());
    assert_eq!((four.held.round(), beyond(&four)), (one.held.round(), &[Beyond::Cores][..]));
    assert_eq!((beyond(&one), one.origin), (&[][..], Origin::Met));
    assert_eq!(beyond(&at(&run, &size("b", 0.1, 8192), 1).unwrap()), [Beyond::Cpus]);
}

#[test]
fn without_a_quota_the_cores_of_the_machine_are_the_limit() {
    let of_machine = || Size { cpus: None, ..size("a", 1.0, 8192) };
    let mut run = told(true, &[(size("a", 1.0, 8192), 1, 15_000.0, Cause::CpuQuota)]);
    run.header.environment.facts.insert("cpu.cores_usable".into(), "4".into());
    let found = at(&run, &of_machine(), 1).unwrap();
    assert_eq!((found.cause, beyond(&found)), (Cause::CpuSaturated, &[Beyond::Cores][..]));
    // Two instances of a full machine have half of it each.
    let mut two = told(true, &[(of_machine(), 2, 60_000.0, Cause::CpuSaturated)]);
    two.header.environment.facts.insert("cpu.cores_usable".into(), "4".into());
    let one = at(&two, &size("b", 2.0, 8192), 1).unwrap();
    assert!((one.held / 30_000.0 - 1.0).abs() < 0.03, "{one:?}");
}

#[test]
fn a_law_of_instances_is_that_of_one_size_and_one_cause() {
    let of = |instances, held| (size("a", 1.0, 64), instances, held, Cause::MemoryLimit);
    let cells = [of(1, 2_000.0), of(2, 3_200.0), of(3, 3_900.0)];
    let run = told(true, &cells);
    let law = |run: &Findings| Limits::of(&set_up(run)).scales.len();
    assert_eq!(law(&run), 1);
    let four = at(&run, &size("a", 1.0, 64), 4).unwrap();
    assert!((4_000.0..5_000.0).contains(&four.held), "{four:?}");
    let other = |at: usize, cell: (Size, u32, f64, Cause)| {
        let mut cells = cells.clone();
        cells[at] = cell;
        law(&told(true, &cells))
    };
    assert_eq!(other(2, (size("b", 1.0, 128), 3, 9_000.0, Cause::MemoryLimit)), 0, "another size");
    assert_eq!(other(2, (size("a", 1.0, 64), 3, 9_000.0, Cause::CpuQuota)), 0, "another cause");
    let shared = [1, 2, 3].map(|instances| (size("a", 1.0, 64), instances, 1_000.0, Cause::PathDied));
    assert_eq!(law(&told(true, &shared)), 0, "what they share is no law");
    // It says nothing of other limits.
    let small = size("c", 0.02, 512);
    let (one, four) = (at(&run, &small, 1).unwrap(), at(&run, &small, 4).unwrap());
    assert_eq!(four.cause, Cause::CpuQuota);
    assert!((four.held / one.held - 4.0).abs() < 0.02, "{four:?}");
}

#[test]
fn cores_add_up_by_their_law_from_one_on() {
    let of = |cpus: f64, held| (size("a", cpus, 8192), 1, held, Cause::CpuQuota);
    let run = told(true, &[of(1.0, 15_000.0), of(2.0, 24_000.0), of(4.0, 31_500.0)]);
    let set_up = set_up(&run);
    let limits = Limits::of(&set_up);
    assert!(matches!(&limits.scales[..], [scale] if scale.over == ScaleOver::Cpus && scale.range == (1.0, 4.0)));
    assert_eq!(limits.usable_cpus(&size("b", 8.0, 8192)), Some(8.0));
    let three = at(&run, &size("b", 3.0, 8192), 1).unwrap();
    assert!((27_000.0..30_500.0).contains(&three.held) && beyond(&three).is_empty(), "{three:?}");
    assert!(three.interval.0 > 24_000.0, "not fewer than two cores: {three:?}");
    assert_eq!(beyond(&at(&run, &size("b", 8.0, 8192), 1).unwrap()), [Beyond::Cpus]);
    let two = at(&run, &size("b", 3.0, 8192), 2).unwrap();
    assert!((two.held / three.held - 2.0).abs() < 0.02, "instances have a law of their own: {two:?}");
    let below = told(true, &[of(0.5, 8_000.0), of(1.0, 15_000.0), of(2.0, 24_000.0)]);
    assert_eq!(Limits::of(&SetUp::all(&below, None, |_| true)[0]).scales, [], "half a core is none");
}

#[test]
fn what_stands_beside_the_size_limits_it_too() {
    let mut run = told(true, &[(size("a", 1.0, 64), 1, 2_000.0, Cause::MemoryLimit)]);
    let why = String::new();
    let wall = Wall { name: WallName::FrontCap, component: Component::Front(0), connections: 600, why };
    run.cells[0].trials[0].record.walls = vec![wall];
    assert_eq!(holds(&run, &large(), 2, 600.0).cause, Cause::ProxyCap);
    let mut run = told(true, &[(size("a", 1.0, 64), 1, 2_000.0, Cause::MemoryLimit)]);
    run.cells[0].cell.runtime = Runtime::Docker;
    run.header.environment.facts.insert("sysctl.net.netfilter.nf_conntrack_max".into(), "700".into());
    assert_eq!(holds(&run, &large(), 1, 700.0).cause, Cause::ConntrackFull);
}

#[test]
fn a_cell_that_held_more_is_believed_before_costs() {
    let mut run = unlimited(unstopped());
    let own = Size { pids: Some(99), ..size("own", 0.5, 512) };
    let memory = run.cells[0].memory.clone();
    run.cells[0].memory.as_mut().unwrap().per_connection.value *= 100.0;
    assert!(at(&run, &own, 1).unwrap().held > 2_900.0);
    run.cells[0].memory = memory;
    let cpu = run.cells[0].cpu.as_mut().unwrap();
    cpu.per_connection.as_mut().unwrap().value *= 100.0;
    assert!(at(&run, &own, 1).unwrap().held > 2_900.0);
}

#[test]
fn costs_alone_leave_the_idle_server_its_share() {
    let run = unlimited(unstopped());
    let known = set_up(&run).coefficients;
    let value = |known: Option<Known>| known.unwrap().value;
    let memory = (f64::from(16 << 20) - value(known.memory_idle) - f64::from(2 << 20)) / value(known.memory);
    holds(&run, &size("b", 4.0, 16), 1, memory);
    let cpu = 0.9 * (10_000.0 - value(known.cpu_idle)) / value(known.cpu);
    holds(&run, &size("b", 0.01, 8192), 1, cpu);
}

#[test]
fn costs_are_measured_up_to_where_they_were_and_messages_move_no_memory() {
    let run = unlimited(unstopped());
    let message = Message { every: Duration::from_secs(1), bytes: 64 };
    let set_up = SetUp::all(&run, Some(message), |_| true).remove(0);
    let limits = Limits::of(&set_up);
    let at = |size: &Size| predict(&limits, size, 1).unwrap();
    assert_eq!(beyond(&at(&size("b", 8.0, 16))), [Beyond::NeverMet], "memory");
    assert_eq!(beyond(&at(&size("b", 0.02, 8192))), [Beyond::Messages, Beyond::NeverMet], "CPU");
    assert_eq!(beyond(&at(&size("b", 1.0, 64))), [Beyond::Connections, Beyond::NeverMet], "more than were open");
    let silent = Message { every: Duration::ZERO, bytes: 4096 };
    assert_eq!(SetUp::all(&run, Some(silent), |_| true)[0].coefficients.messages, MessageRange::Within);
    // Another message than that of the run was not measured, whatever the run held.
    let busy = Message { every: Duration::from_millis(100), bytes: 64 };
    let busy = SetUp::all(&run, Some(busy), |_| true).remove(0);
    let found = predict(&Limits::of(&busy), &run.header.sizes[0], 1).unwrap();
    assert!(found.held < 1_500.0 && found.measured.is_none(), "{found:?}");
}

#[test]
fn a_ceiling_that_was_measured_has_the_scatter_of_its_trials_and_the_confidence_of_its_verdict() {
    let mut run = told(true, &[(size("a", 1.0, 64), 1, 2_000.0, Cause::MemoryLimit)]);
    run.cells[0].verdict.as_mut().unwrap().confidence = 0.7;
    let one = holds(&run, &size("a", 1.0, 64), 1, 2_000.0);
    assert_eq!((one.probability, &one.basis), (0.7, &Basis::Measured));
    // Three trials that agree: sqrt(4 * 0.02^2 / (4 + 2)), times 1.645.
    assert!((one.interval.1 / 2_000.0 - 1.0 - 0.0272).abs() < 0.001, "{one:?}");
}

#[test]
fn a_second_cause_is_told_where_it_is_nearly_as_likely() {
    let run = unlimited(unstopped());
    let memory = at(&run, &size("b", 8.0, 16), 1).unwrap();
    assert_eq!(memory.otherwise, None);
    let known = set_up(&run).coefficients;
    let cpus = (known.cpu.unwrap().value * memory.held + known.cpu_idle.unwrap().value) / 0.9e6;
    let both = at(&run, &size("b", cpus, 16), 1).unwrap();
    assert!(both.otherwise.is_some_and(|(_, probability)| probability > 0.2), "{both:?}");
    assert!(both.probability >= both.otherwise.unwrap().1);
}

#[test]
fn only_what_stopped_says_where_it_stopped_and_within_its_bracket() {
    let mut run = told(true, &[(size("a", 1.0, 64), 1, 2_000.0, Cause::MemoryLimit)]);
    let held = |run: &Findings| stopped(&run.header, &run.cells[0]).map(|stopped| stopped.held());
    assert_eq!(held(&run), Some(2_000.0));
    let bracket = wsceiling_model::record::Bracket { last_good: 1_500, first_bad: Some(1_800), peak: 2_000 };
    for trial in &mut run.cells[0].trials {
        trial.bracket = Some(bracket);
    }
    assert_eq!(held(&run), Some(1_800.0), "a step that is far too large held more for a moment");
    run.cells[0].trials[0].numbers.ceiling = Some(1_000.0);
    run.cells[0].trials[1].numbers.ceiling = Some(1_000.0);
    assert_eq!(held(&run), Some(1_500.0));
    for trial in &mut run.cells[0].trials[..2] {
        trial.numbers.at_least = true;
    }
    assert_eq!(held(&run), Some(1_800.0), "a trial that was not stopped says nothing");
    run.cells[0].ceiling.as_mut().unwrap().at_least = true;
    assert_eq!(held(&run), None);
}

#[test]
fn alone_is_the_fewest_instances_of_a_size_that_a_cause_stopped() {
    let of = |instances, held, cause| (size("a", 1.0, 64), instances, held, cause);
    let run = told(
        true,
        &[of(2, 4_000.0, Cause::MemoryLimit), of(1, 2_000.0, Cause::MemoryLimit), of(1, 900.0, Cause::Hang)],
    );
    let set_up = set_up(&run);
    let alone: Vec<_> = set_up.stopped_alone().iter().map(|cell| (cell.cause, cell.instances)).collect();
    assert_eq!(alone, [(Cause::MemoryLimit, 1), (Cause::Hang, 1)]);
    assert_eq!(set_up.instances(), (1, 2));
    assert_eq!(set_up.held().map(|(_, held)| held).collect::<Vec<_>>(), [2_000.0, 2_000.0, 900.0]);
}

#[test]
fn costs_are_those_of_one_instance() {
    let two = found(&SERVER, &[size("a", 1.0, 64)], &[2], 0.0, 1);
    let known = set_up(&two).coefficients;
    let idle = known.memory_idle.unwrap().value;
    assert!((idle / SERVER.idle_bytes - 1.0).abs() < 0.5, "{idle}");
    let cpu = known.cpu_idle.unwrap().value;
    assert!((cpu / SERVER.idle_cpu - 1.0).abs() < 0.5, "{cpu} {:?}", two.cells[0].cpu);
    let (holds, _) = SERVER.holds(&size("a", 1.0, 64));
    assert!(known.open_most <= holds && known.open_most > 0.9 * holds, "{} {holds}", known.open_most);
    assert!(known.opened_per_s.unwrap() <= 2_000.0, "4,000 a second of two: {:?}", known.opened_per_s);
}

#[test]
fn a_restart_takes_the_rate_that_was_measured_or_the_cpu_beside_half_of_the_connections() {
    let run = unlimited(unstopped());
    let mut set_up = set_up(&run);
    let known = |value| Some(Known { value, error: 0.0, cells: 1 });
    let of = &mut set_up.coefficients;
    (of.opened_per_s, of.opening, of.cpu, of.cpu_idle) = (Some(1_000.0), known(100.0), known(20.0), known(10_000.0));
    let at = |cpus: f64, connections: f64, instances| {
        let found = restart(&set_up, &size("a", cpus, 64), None, connections, instances).unwrap();
        (found.seconds.round(), found.per_second.round(), found.by_cpu)
    };
    assert_eq!(at(1.0, 10_000.0, 1), (10.0, 1_000.0, false));
    // 100,000 micro-cores, less 10,000 and 2,500 times 20: 40,000 for openings of 100.
    assert_eq!(at(0.1, 5_000.0, 1), (13.0, 400.0, true));
    assert_eq!(at(0.1, 10_000.0, 2), (13.0, 800.0, true));
    assert_eq!(at(0.1, 50_000.0, 1), (1_000.0, 50.0, true), "a twentieth is left at least");
    let usable = restart(&set_up, &size("a", 4.0, 64), Some(0.1), 5_000.0, 1).unwrap();
    assert!((usable.per_second - 400.0).abs() < 1.0, "cores that are not used open nothing: {usable:?}");
}

#[test]
fn a_plan_is_sure_where_the_low_end_holds_the_goal_with_its_reserve() {
    let run = told(true, &[(size("a", 1.0, 64), 1, 2_000.0, Cause::MemoryLimit)]);
    let plan_of = |goal: u64, instances_max: u32| {
        let question = Question { instances_max, ..Question::about(goal) };
        plan(&run, &question).unwrap().set_ups.remove(0).sizes.remove(0)
    };
    // 30 % free: 2,000 hold 1,400; the low end is 1,947.
    let sure = |goal| plan_of(goal, 1).plan.map(|plan| plan.sure);
    assert_eq!((sure(1_360), sure(1_390), sure(1_410)), (Some(true), Some(false), None));
    assert_eq!(plan_of(2_000, 2).plan.map(|plan| plan.prediction.instances), Some(2));
    let ladder = plan_of(2_000, 9).ladder;
    assert_eq!(ladder.iter().map(|(instances, _)| *instances).collect::<Vec<_>>(), [1, 2]);
    assert!((ladder[0].1 - 1_400.0).abs() < 5.0, "{ladder:?}");
    assert!((Question::about(700).needed() - 1_000.0).abs() < 0.5);
}

#[test]
fn the_overview_plans_for_three_goals_above_the_most_that_a_cell_held() {
    let of = |mib, held| (size("a", 1.0, mib), 1, held, Cause::MemoryLimit);
    let run = told(true, &[of(64, 1_900.0), of(128, 4_100.0)]);
    let plans = overview(&run).unwrap();
    assert_eq!(plans.iter().map(|plan| plan.goal).collect::<Vec<_>>(), [5_000, 10_000, 20_000]);
    for plan in &plans {
        let two = plan.set_ups[0].sizes[1].plan.as_ref().unwrap();
        assert!(two.prediction.held >= plan.needed, "{two:?}");
        assert_eq!(plan.set_ups[0].cheapest, [1], "without prices the fewest instances");
    }
    assert!(plans[2].set_ups[0].sizes[1].ladder.len() > plans[0].set_ups[0].sizes[1].ladder.len());
}

#[test]
fn the_cheapest_is_by_the_price_of_all_instances() {
    let run = told(true, &[(size("a", 1.0, 64), 1, 2_000.0, Cause::MemoryLimit)]);
    let priced = |mib, per_month| {
        let own = size("a", 1.0, mib);
        let price = Some(crate::InstancePrice { per_month, row: None });
        PlanSize { size: own, price }
    };
    let sizes = vec![priced(64, 5.0), priced(256, 9.0), priced(256, 8.0)];
    let question = Question { sizes, reserve: 0.0, ..Question::about(3_500) };
    let set_up = plan(&run, &question).unwrap().set_ups.remove(0);
    let prices: Vec<_> = set_up.sizes.iter().map(|size| size.plan.as_ref().unwrap().per_month.unwrap()).collect();
    assert_eq!((prices, set_up.cheapest), (vec![10.0, 9.0, 8.0], vec![2]));
    let mut without = run.clone();
    without.header.sizes.clear();
    assert_eq!(plan(&without, &Question::about(1)).unwrap_err(), NoPlan::NoSizes);
    let only = |only: &str| Question { only: Some(only.into()), ..Question::about(1_000) };
    assert_eq!(plan(&run, &only("ech")).unwrap().set_ups.len(), 1, "a part of the name is enough");
}

#[test]
fn a_set_up_that_tells_nothing_is_refused_by_its_name_and_the_others_are_planned() {
    let of = |held| (size("a", 1.0, 64), 1, held, Cause::MemoryLimit);
    let mut run = told(true, &[of(2_000.0), of(2_000.0)]);
    run.cells[1].cell.target = "other".into();
    (run.cells[1].memory, run.cells[1].cpu) = (None, None);
    let plans = |run: &Findings| {
        let plan = plan(run, &Question::about(1_000)).unwrap();
        (plan.set_ups.len(), plan.refused.iter().map(|(id, _)| id.target.clone()).collect::<Vec<_>>())
    };
    assert_eq!(plans(&run), (2, Vec::new()), "where it stopped is something");
    run.cells[1].ceiling.as_mut().unwrap().at_least = true;
    assert_eq!(plans(&run), (1, vec!["other".to_owned()]));
}

#[test]
fn a_price_is_that_of_the_row_of_the_plan_unless_the_size_has_its_own() {
    let mut run = told(true, &[(size("a", 1.0, 64), 1, 2_000.0, Cause::MemoryLimit)]);
    run.header.prices = wsceiling_model::platforms::built_in_prices()[..2].to_vec();
    let row = run.header.prices[1].clone();
    let size = Size {
        plan: Some(row.full_name()),
        price_per_month: Some(row.price),
        currency: Some(row.currency.clone()),
        ..size("a", 1.0, 64)
    };
    let price = |size: &Size| PlanSize::of_size(&run.header, size).price.unwrap();
    assert_eq!(price(&size).row, Some(row));
    assert_eq!(price(&Size { currency: None, price_per_month: Some(3.0), ..size }).row, None, "its own");
}
