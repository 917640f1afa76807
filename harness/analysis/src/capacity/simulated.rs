//! Plans for simulated servers whose ceilings are known.

use super::*;
use crate::Analysis;
use crate::findings::Findings;
use std::slice::from_ref;
use std::time::Duration;
use wsceiling_model::matrix::{Runtime, Size};
use wsceiling_model::plan::TrialId;
use wsceiling_model::platforms::built_in_prices;
use wsceiling_model::record::{Cause, RunHeader};
use wsceiling_simulate::law::{self, Drive, LAW, Scatter};
use wsceiling_simulate::sizes::{SERVER, Server, run, size};
use wsceiling_simulate::{Trial, script};

/// Trials differ by 3 %.
const USUAL: f64 = 0.03;

fn findings(header: &RunHeader, trials: &[Trial]) -> Findings {
    let records: Vec<_> = trials.iter().map(|(record, _)| record.clone()).collect();
    let mut analysis = Analysis::new(header, &records);
    for (record, samples) in trials {
        analysis.samples(&record.trial, samples);
    }
    analysis.finish()
}

/// Sizes that memory stops, and sizes that CPU stops.
fn all_sizes() -> Vec<Size> {
    let memory = [64, 96, 128, 192, 256].map(|mib| size(&format!("m{mib}"), 1.0, mib));
    let cpu = [0.05_f64, 0.1, 0.15, 0.2].map(|cpus| size(&format!("c{}", (cpus * 100.0).round()), cpus, 512));
    memory.into_iter().chain(cpu).collect()
}

pub(super) fn found(server: &Server, sizes: &[Size], instances: &[u32], scatter: f64, seed: u64) -> Findings {
    let (header, trials) = run(server, sizes, instances, 3, scatter, seed);
    findings(&header, &trials)
}

fn asked(sizes: &[Size], header: &RunHeader) -> Question {
    let sizes = sizes.iter().map(|size| PlanSize::of_size(header, size)).collect();
    Question { sizes, reserve: 0.0, ..Question::about(1000) }
}

#[test]
fn the_simulated_server_is_stopped_by_what_it_lacks_at_what_it_holds() {
    let found = found(&SERVER, &all_sizes(), &[1], 0.0, 1);
    for (cell, size) in found.cells.iter().zip(all_sizes()) {
        let (holds, cause) = SERVER.holds(&size);
        assert_eq!(cell.verdict.as_ref().map(|verdict| verdict.cause), Some(cause), "{}", cell.cell.id);
        let seen = set_up::stopped(&found.header, cell).unwrap().held();
        assert!((seen / holds - 1.0).abs() < 0.02, "{}: {seen} {holds}", cell.cell.id);
    }
}

#[test]
fn sizes_that_were_left_out_are_predicted_with_their_causes_and_intervals_cover_them() {
    let mut total = [0_u32; 6];
    for seed in 0..25 {
        let server = Server { bytes: 12_000.0 + 1_500.0 * seed as f64, cpu: 50.0 + 2.0 * seed as f64, ..SERVER };
        let shares = validate(&[found(&server, &all_sizes(), &[1], USUAL, seed)], &[]).unwrap().total;
        let all =
            [shares.cells, shares.within_10, shares.within_20, shares.covered, shares.causes, shares.causes_right];
        total.iter_mut().zip(all).for_each(|(total, own)| *total += own);
    }
    let [cells, within_10, within_20, covered, causes, right] = total.map(f64::from);
    assert!(cells >= 200.0, "{total:?}");
    assert!(within_10 >= 0.9 * cells && within_20 >= 0.99 * cells, "{total:?}");
    assert!(right >= 0.9 * causes, "{total:?}");
    // Stated as 90 %: not less than 85 %, and not so wide that it says nothing.
    assert!(covered >= 0.85 * cells && covered < cells, "{total:?}");
}

#[test]
fn what_the_cgroup_counts_is_the_servers_memory_its_kernel_memory_and_the_cache_in_use() {
    // Most of a connection is in the kernel, and 20 MiB of page cache cannot be taken back.
    let server = Server { bytes: 3_000.0, kernel_bytes: 9_000.0, pinned: 20e6, cache: 30e6, cpu: 10.0, ..SERVER };
    let found = found(&server, &[size("a", 1.0, 64), size("b", 1.0, 128)], &[1], 0.0, 1);
    let plan = plan(&found, &asked(&[size("c", 1.0, 96), size("d", 1.0, 160)], &found.header)).unwrap();
    let memory = plan.set_ups[0].coefficients.memory.unwrap();
    assert!((memory.value - 12_000.0).abs() < 100.0, "{memory:?}");
    for (size, own) in plan.set_ups[0].sizes.iter().zip([size("c", 1.0, 96), size("d", 1.0, 160)]) {
        let one = size.one.as_ref().unwrap();
        let (holds, cause) = server.holds(&own);
        assert!((one.held / holds - 1.0).abs() < 0.03, "{one:?} {holds}");
        assert_eq!((one.cause, cause, one.origin), (Cause::MemoryLimit, Cause::MemoryLimit, Origin::Met));
    }
    assert_eq!(plan.set_ups[0].sizes[0].one.as_ref().unwrap().basis, Basis::Interpolated);
    let beyond = &plan.set_ups[0].sizes[1].one.as_ref().unwrap().basis;
    assert_eq!(*beyond, Basis::Extrapolated(vec![Beyond::Memory]));
}

#[test]
fn a_measured_size_is_what_was_measured_and_more_instances_are_an_extrapolation_that_adds_up() {
    let sizes = [size("m64", 1.0, 64), size("m128", 1.0, 128)];
    let found = found(&SERVER, &sizes, &[1], 0.0, 1);
    let goal = 9_000;
    let plan = plan(&found, &Question { goal, ..Question::about(goal) }).unwrap();
    let set_up = &plan.set_ups[0];
    let one = set_up.sizes[1].one.as_ref().unwrap();
    assert_eq!((&one.basis, one.cause), (&Basis::Measured, Cause::MemoryLimit));
    let (holds, _) = SERVER.holds(&sizes[1]);
    assert!((one.held / holds - 1.0).abs() < 0.01);
    // 4,453 each, 30 % free: three hold 9,351.
    let needed = set_up.sizes[1].plan.as_ref().unwrap();
    assert_eq!(needed.prediction.instances, (9_000.0 / 0.7 / holds).ceil() as u32);
    assert!((needed.prediction.held / (f64::from(needed.prediction.instances) * holds) - 1.0).abs() < 0.02);
    assert_eq!(needed.prediction.basis, Basis::Extrapolated(vec![Beyond::Instances]));
    assert_eq!(set_up.scales, []);
    // Steps were opened at 4,000 a second, but for the moment at their ends.
    let restart = needed.restart.unwrap();
    let rate = 4_000.0 * f64::from(needed.prediction.instances);
    assert!(restart.per_second <= rate && restart.per_second > 0.7 * rate && !restart.by_cpu, "{restart:?}");
    assert!((restart.seconds - 9_000.0 / restart.per_second).abs() < 1e-6);
}

#[test]
fn three_numbers_of_instances_fit_a_law_of_scaling_and_two_do_not() {
    let sizes = [size("m64", 1.0, 64)];
    let of = |instances: &[u32]| {
        let found = found(&SERVER, &sizes, instances, 0.0, 1);
        plan(&found, &Question::about(3_000)).unwrap().set_ups.remove(0)
    };
    let three = of(&[1, 2, 3]);
    assert!(
        matches!(&three.scales[..], [scale] if scale.over == ScaleOver::Instances && scale.cause == Cause::MemoryLimit)
    );
    assert!(three.scales[0].serial < 0.02 && three.scales[0].contention < 0.01, "{:?}", three.scales);
    assert_eq!(of(&[1, 2]).scales, []);
}

#[test]
fn descriptors_are_counted_and_the_cheapest_plan_is_found_in_each_currency() {
    let found = found(&SERVER, &[size("m64", 1.0, 64), size("m256", 1.0, 256)], &[1], 0.0, 1);
    let few = Size { nofile: Some(507), ..size("few", 1.0, 256) };
    let mut question = asked(&[few], &found.header);
    let price = |name: &str| PlanSize::of_row(built_in_prices().iter().find(|row| row.name() == name).unwrap());
    question.sizes.extend(["hetzner/cx23", "vultr/vc2-2c-4gb"].map(price));
    let mut dear = PlanSize::of_size(&found.header, &size("m64", 1.0, 64));
    dear.price = price("hetzner/cx23").price.map(|price| crate::InstancePrice { per_month: 900.0, ..price });
    question.sizes.push(dear);
    let set_up = plan(&found, &question).unwrap().set_ups.remove(0);
    let one = set_up.sizes[0].one.as_ref().unwrap();
    assert_eq!((one.cause, one.origin), (Cause::ServerDescriptors, Origin::Counted));
    assert!((one.held - 500.0).abs() < 2.0, "{one:?}");
    assert_eq!(set_up.cheapest, [1, 2]);
    // Memory for 150,000, and one core that was seen to be used for 15,500: descriptors of this machine come between.
    let cx23 = set_up.sizes[1].one.as_ref().unwrap();
    assert!(matches!(cx23.cause, Cause::CpuQuota | Cause::ServerDescriptors), "{cx23:?}");
    assert!(matches!(&cx23.basis, Basis::Extrapolated(beyond) if !beyond.is_empty()));
    assert!(cx23.held < 20_000.0);
}

#[test]
fn a_cell_that_another_with_no_more_cpu_outdoes_says_nothing_of_cpu() {
    let sizes = [64, 128, 192, 256].map(|mib| size(&format!("m{mib}"), 1.0, mib));
    let mut found = found(&SERVER, &sizes, &[1], 0.0, 1);
    let holds = |mib: u64| SERVER.holds(&size("", 1.0, mib)).0;
    // At 128 MiB the collector of garbage takes all of the CPU; with 256 MiB twice as many are held by the same CPU.
    let verdict = found.cells[1].verdict.as_mut().unwrap();
    assert_eq!(verdict.cause, Cause::MemoryLimit);
    verdict.cause = Cause::CpuQuota;
    let plan = plan(&found, &asked(&[size("m160", 1.0, 160), size("m224", 1.0, 224)], &found.header)).unwrap();
    for (size, mib) in plan.set_ups[0].sizes.iter().zip([160, 224]) {
        let one = size.one.as_ref().unwrap();
        assert_eq!(one.cause, Cause::MemoryLimit, "{one:?}");
        assert!((one.held / holds(mib) - 1.0).abs() < 0.05, "{one:?} {}", holds(mib));
    }
}

#[test]
fn descriptors_are_those_of_the_machine_that_the_size_is_of() {
    let many = |name: &str| Size { nofile: Some(1_000_000), ..size(name, 1.0, 64) };
    let found = found(&SERVER, &[many("m64"), size("m256", 1.0, 256)], &[1], 0.0, 1);
    let set_up = set_up::SetUp::all(&found, None, |_| true).remove(0);
    let of = |size: &Size| walls::descriptors(&set_up, size).map(|limit| limit.chance.connections);
    let here = of(&size("other", 2.0, 512)).unwrap();
    assert!(here < 100_000.0, "the simulated machine has fewer: {here}");
    assert_eq!(of(&many("m64")), Some(here), "it ran on that machine");
    assert!(of(&Size { nofile: Some(1_000_000), ..size("elsewhere", 2.0, 512) }).unwrap() > 999_000.0);
}

/// A run in which nothing stopped the server, and which tells idle connections and messages apart.
pub(super) fn unstopped() -> Findings {
    let cell = script::cell("echo-bare-x1-small", Runtime::Bare, 1);
    let scatter = Scatter { trials: 0.02, samples: 0.02, bytes: 0.0 };
    let drive = Drive::new(0.6, 5.0);
    let trials: Vec<Trial> = (1..=3)
        .map(|repeat| {
            let (mut record, samples) = law::trial(&cell.id, repeat, &LAW, &drive, scatter);
            record.ceiling = Some(wsceiling_model::record::Bracket { last_good: 3000, first_bad: None, peak: 3000 });
            (record, samples)
        })
        .collect();
    let plan: Vec<TrialId> = trials.iter().map(|(record, _)| record.trial.clone()).collect();
    let mut header = wsceiling_simulate::header("unstopped", "", vec![cell], plan, 3);
    header.sizes = vec![size("small", 0.5, 512)];
    header.load.message.every = Duration::from_secs(5);
    findings(&header, &trials)
}

#[test]
fn without_a_ceiling_costs_alone_predict_and_say_so_and_messages_are_converted() {
    let found = unstopped();
    let held = |every: u64, bytes: u32| {
        let message = Message { every: Duration::from_secs(every), bytes };
        let sizes = asked(&[size("tiny", 0.1, 512)], &found.header).sizes;
        let question = Question { message: Some(message), sizes, ..Question::about(1000) };
        plan(&found, &question).unwrap().set_ups.remove(0).sizes.remove(0).one.unwrap()
    };
    let truth = |every: f64| (0.9 * 0.1e6 - LAW.baseline) / (LAW.idle + LAW.message / every);
    for (every, seconds) in [(5, 5.0), (30, 30.0), (1, 1.0)] {
        let one = held(every, 64);
        assert_eq!((one.cause, one.origin), (Cause::CpuQuota, Origin::Costs));
        assert!((one.held / truth(seconds) - 1.0).abs() < 0.1, "{every}: {one:?} {}", truth(seconds));
        assert!(one.interval.0 < truth(seconds) && one.interval.1 > truth(seconds));
        let Basis::Extrapolated(beyond) = &one.basis else { panic!("{one:?}") };
        assert!(beyond.contains(&Beyond::NeverMet));
        assert_eq!(beyond.contains(&Beyond::Messages), every == 1, "{beyond:?}");
    }
    let Basis::Extrapolated(longer) = held(5, 4096).basis else { panic!() };
    assert!(longer.contains(&Beyond::Messages));
    // What the run held without a ceiling is a lower bound of its own size.
    let own = plan(&found, &Question::about(1000)).unwrap().set_ups.remove(0).sizes.remove(0).one.unwrap();
    assert!(own.interval.0 >= 3000.0 && own.measured.unwrap().at_least);
}

#[test]
fn a_limit_that_was_met_counts_for_its_size_even_without_a_cost() {
    // CPU that stopped it, and no CPU of a connection: two instances hold twice what one did, and no more.
    let mut found = found(&SERVER, &[size("c10", 0.1, 512)], &[1], 0.0, 1);
    found.cells[0].cpu = None;
    let (holds, _) = SERVER.holds(&size("c10", 0.1, 512));
    let set_up =
        plan(&found, &Question { reserve: 0.0, ..Question::about(2 * holds as u64 - 200) }).unwrap().set_ups.remove(0);
    let two = &set_up.sizes[0].plan.as_ref().unwrap().prediction;
    assert_eq!((two.instances, two.cause, two.origin), (2, Cause::CpuQuota, Origin::Seen));
    assert!((two.held / (2.0 * holds) - 1.0).abs() < 0.05, "{two:?} {holds}");
}

#[test]
fn questions_that_cannot_be_answered_say_why() {
    let found = found(&SERVER, &[size("m64", 1.0, 64)], &[1], 0.0, 1);
    let error = |change: &dyn Fn(&mut Question)| {
        let mut question = Question::about(1000);
        change(&mut question);
        plan(&found, &question).unwrap_err()
    };
    assert_eq!(error(&|question| question.goal = 0), NoPlan::NoGoal);
    assert_eq!(error(&|question| question.reserve = 1.0), NoPlan::Reserve);
    let unknown = error(&|question| question.only = Some("echo bear".into())).to_string();
    assert!(unknown.contains("did you mean `echo bare`?"), "{unknown}");
    // Messages come once a second, and holds last a second.
    let not_told = error(&|question| question.message = Some(Message { every: Duration::from_secs(30), bytes: 64 }));
    assert!(not_told.to_string().contains("messages every 30s of 64 B cost was not measured"), "{not_told}");
    assert!(not_told.to_string().contains("messages every 1s of 64 B"), "{not_told}");
    let (header, _) = run(&SERVER, &[size("m64", 1.0, 64)], &[1], 1, 0.0, 1);
    let nothing = findings(&header, &[]);
    assert_eq!(plan(&nothing, &Question::about(1)).unwrap_err(), NoPlan::NoCoefficients);
    assert_eq!(overview(&nothing).unwrap_err(), NoPlan::NoCoefficients);
}

#[test]
fn cells_are_left_out_by_name_size_or_instances_and_unknown_ones_are_named() {
    let sizes = [size("m64", 1.0, 64), size("m96", 1.0, 96), size("m128", 1.0, 128)];
    let found = found(&SERVER, &sizes, &[1, 2], USUAL, 3);
    let names = |held_out: &[&str]| {
        let held_out: Vec<String> = held_out.iter().map(|name| (*name).to_owned()).collect();
        let validation = validate(from_ref(&found), &held_out).unwrap();
        validation.cells.iter().map(|cell| cell.cell.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["m96"]), ["echo-bare-x1-m96", "echo-bare-x2-m96"]);
    assert_eq!(names(&["x2"]).len(), 3);
    assert_eq!(names(&["echo-bare-x1-m64"]), ["echo-bare-x1-m64"]);
    assert_eq!(names(&[]).len(), 6);
    let unknown = validate(from_ref(&found), &["m69".into()]).unwrap_err().to_string();
    assert!(unknown.contains("`m69`") && unknown.contains("did you mean `m64`?"), "{unknown}");
    let single = validate(&[self::found(&SERVER, &sizes[..1], &[1], 0.0, 1)], &[]);
    assert_eq!(single.unwrap_err(), NoValidation::NothingToPredict);
    // None of what was left out may be seen: with a server that holds half as much there, the prediction stays.
    let mut changed = found.clone();
    for cell in changed.cells.iter_mut().filter(|cell| cell.cell.size.as_deref() == Some("m96")) {
        for trial in &mut cell.trials {
            trial.numbers.ceiling = trial.numbers.ceiling.map(|held| held / 2.0);
            trial.bracket = None;
        }
    }
    let predicted = |found: &Findings| validate(from_ref(found), &["m96".into()]).unwrap().cells[0].clone();
    let (before, after) = (predicted(&found), predicted(&changed));
    assert!((before.predicted - after.predicted).abs() < 1e-9);
    assert!(before.error.unwrap().abs() < 0.1 && after.error.unwrap() > 0.8);
    assert!(!validate(&[changed], &["m96".into()]).unwrap().passed);
}
