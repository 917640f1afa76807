//! What is changed for each cause, and what that must do.

use super::*;
use wsceiling_model::matrix::{Front, FrontKind, Load, Runtime};
use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

const SERVER: Component = Component::Instance(0);

/// Knob, from, to, before, predicted.
fn numbers(found: &Experiment) -> (Knob, f64, f64, f64, f64) {
    (found.change.knob, found.change.from, found.change.to, found.before, found.predicted)
}

fn reaches(load: &Load) -> (u32, u32) {
    (load.step, load.max)
}

#[test]
fn descriptors_follow_the_limit_less_what_the_server_has_itself() {
    let at = |hard: &str| {
        let script = stalled().size(|size| size.nofile = Some(1000)).fact("limits.nofile_hard", hard);
        let script = script.set(SERVER, Metric::DescriptorLimit, |_| Some(1000.0));
        first(script.set(SERVER, Metric::Descriptors, |m| Some(7.0 + m.open)), Cause::ServerDescriptors)
    };
    let found = at("20000");
    assert_eq!(numbers(&found), (Knob::Nofile, 1000.0, 1500.0, 993.0, 1493.0));
    // The prediction lies within the last step, which is no larger than it must be.
    assert_eq!((reaches(&found.load), found.load.narrow), ((448, 1792), 0));
    // Where the machine allows no more, less tells as much.
    assert_eq!(numbers(&at("1200")), (Knob::Nofile, 1000.0, 667.0, 993.0, 660.0));
}

#[test]
fn memory_follows_what_is_left_beside_the_idle_server() {
    const MIB: f64 = 1_048_576.0;
    let fail = Fail::collapse(1500).error(FailedAt::Open, "eof", 1500);
    let script = script().good(500).fail(fail).size(|size| size.memory_bytes = Some(64 << 20));
    let script = script.set(SERVER, Metric::MemoryCurrent, |m| Some(6.0 * MIB + m.open * 40_000.0)).set(
        SERVER,
        Metric::MemoryFile,
        |_| Some(2.0 * MIB),
    );
    let found = first(script, Cause::MemoryLimit);
    // (96 - 4) / (64 - 4) MiB.
    assert_eq!(numbers(&found), (Knob::Memory, 64.0 * MIB, 96.0 * MIB, 1500.0, 2300.0));
}

#[test]
fn pids_and_heap_follow_their_limits() {
    let fail = || Fail::plateau(297).error(FailedAt::Handshake, "reset", 303);
    let pids = script().load(600, 600).size(|size| size.pids = Some(300)).fail(fail());
    let found = first(pids.set(SERVER, Metric::Pids, |m| Some(3.0 + m.open)), Cause::PidsLimit);
    assert_eq!(numbers(&found), (Knob::Pids, 300.0, 450.0, 297.0, 447.0));
    let heap = || script().load(600, 600).fail(fail());
    let found = first(heap().args(&["--heap=16"]), Cause::RuntimeHeap);
    assert_eq!((numbers(&found), found.tolerance), ((Knob::Heap, 16.0, 24.0, 297.0, 446.0), Tolerance::Half));
    assert!(experiments(heap(), Cause::RuntimeHeap).is_empty(), "what it has is not known");
}

#[test]
fn twice_the_quota_serves_twice_as_much_or_all_that_is_asked() {
    let slow = || {
        let fail = Fail::slope(620).error(FailedAt::Handshake, "timeout", 380);
        script().load(500, 1000).rate(1000.0).good(500).fail(fail).fact("cpu.cores", "4")
    };
    let found = first(slow().size(|size| size.cpus = Some(0.25)), Cause::CpuQuota);
    assert_eq!((found.measure, found.change.to), (Measure::Opened, 0.5));
    assert!((found.predicted - 2.0 * found.before).abs() < 1e-9, "{found:?}");
    // The rate is compared where it was too low, and not where many more are open.
    let further = slow().load(500, 4000).size(|size| size.cpus = Some(0.25));
    assert_eq!(first(further, Cause::CpuQuota).load.max, 1000);
    // Where there are no such cores, a slow ramp.
    let found = first(slow().size(|size| size.cpus = Some(3.0)), Cause::CpuQuota);
    assert_eq!((found.change.knob, found.measure, found.predicted), (Knob::Rate, Measure::Connections, 1000.0));
    assert!(found.change.to <= 250.0, "{found:?}");
}

#[test]
fn late_answers_are_counted_and_not_connections() {
    let late = script().load(500, 1000).good(500).fail(Fail::late(900_000).held(0.4)).fact("cpu.cores", "4");
    let found = first(late.size(|size| size.cpus = Some(0.5)), Cause::CpuQuota);
    assert_eq!((found.measure, found.before, found.predicted), (Measure::Answered, 400.0, 800.0));
}

#[test]
fn twice_nothing_is_no_prediction() {
    let late = script().load(500, 1000).good(500).fail(Fail::late(900_000).held(0.0)).fact("cpu.cores", "4");
    let found = first(late.size(|size| size.cpus = Some(0.5)), Cause::CpuQuota);
    assert_eq!((found.change.knob, found.measure), (Knob::MessageEvery, Measure::Passed));
}

#[test]
fn a_thread_is_added_where_the_server_can_be_told_and_else_an_instance() {
    let slow = || {
        let fail = Fail::slope(620).error(FailedAt::Handshake, "timeout", 380);
        script().load(500, 1000).rate(1000.0).good(500).fail(fail)
    };
    assert_eq!(first(slow().args(&["--threads", "1"]), Cause::SingleThread).change.knob, Knob::Threads);
    let found = first(slow().args(&["--threads", "4"]), Cause::SingleThread);
    assert_eq!((found.change.knob, found.change.to), (Knob::Instances, 2.0));
}

#[test]
fn with_a_queue_that_takes_the_whole_burst_the_step_passes() {
    let overflowing = stalled()
        .args(&["--backlog", "8"])
        .set(SERVER, Metric::ListenOverflows, |m| Some(if m.since_trouble_s > 0.0 { 310.0 } else { 0.0 }));
    let found = first(overflowing, Cause::AcceptQueue);
    assert_eq!(numbers(&found), (Knob::Backlog, 8.0, 1500.0, 500.0, 1500.0));
    assert_eq!((found.measure, found.load.max), (Measure::Passed, 2000), "it may hold more than is predicted");
}

#[test]
fn silent_connections_are_kept_by_pings_and_those_that_speak_come_twice_as_fast() {
    let churn = |every: u64| {
        let mut script = script().load(1000, 1000).rate(200.0);
        script.load.message.every = std::time::Duration::from_secs(every);
        let found = experiments(script.fail(Fail::lifetime(3.0, "close 1000")), Cause::Lifetime);
        found.into_iter().map(|one| one.change.knob).collect::<Vec<_>>()
    };
    assert_eq!(churn(60), [Knob::MessageEvery, Knob::Rate]);
    assert_eq!(churn(1), [Knob::Rate]);
}

fn behind(kind: FrontKind, change: impl FnOnce(&mut Front), script: Script) -> Script {
    let mut front = Front::new("front", kind);
    change(&mut front);
    script.fronted(front, |_| {})
}

#[test]
fn a_front_gets_a_source_address_more_or_ports_or_is_left_out() {
    let relay = |ports| behind(FrontKind::Relay, |front| front.ports = ports, stalled());
    assert_eq!(numbers(&first(relay(None), Cause::PortExhaustion)), (Knob::FrontSources, 1.0, 2.0, 993.0, 1986.0));
    let mut docker = relay(Some(1000));
    docker.cell.runtime = Runtime::Docker;
    assert_eq!(numbers(&first(docker, Cause::PortExhaustion)), (Knob::FrontPorts, 1000.0, 2000.0, 993.0, 1986.0));
    let published = behind(FrontKind::DockerPublish, |_| {}, stalled());
    let found = first(published, Cause::PortExhaustion);
    assert_eq!(numbers(&found), (Knob::Front, 1.0, 0.0, 500.0, 1500.0));
    assert_eq!(found.measure, Measure::Passed);
}

#[test]
fn the_cap_that_was_met_is_the_one_that_is_raised() {
    let nginx =
        behind(FrontKind::Nginx, |front| (front.workers, front.worker_connections) = (Some(1), 1988), stalled());
    assert_eq!(numbers(&first(nginx, Cause::ProxyCap)), (Knob::WorkerConnections, 1988.0, 2982.0, 993.0, 1490.0));
    let haproxy =
        behind(FrontKind::Haproxy, |front| (front.maxconn, front.server_maxconn) = (Some(5000), Some(993)), stalled());
    assert_eq!(first(haproxy, Cause::ProxyCap).change.knob, Knob::ServerMaxconn);
    let none = behind(FrontKind::Haproxy, |_| {}, stalled());
    assert_eq!(first(none, Cause::ProxyCap).change.knob, Knob::Front, "no cap explains it");
}

#[test]
fn the_client_gets_more_of_what_it_ran_out_of() {
    let out_of = |errno: &str| {
        let fail = Fail::plateau(500).error(FailedAt::Connect, &format!("errno {errno}"), 500);
        script().load(1000, 1000).fail(fail)
    };
    let mut ports = out_of("EADDRNOTAVAIL");
    ports.load.generator.ports = Some(500);
    assert_eq!(numbers(&first(ports, Cause::ClientLimited)), (Knob::GeneratorPorts, 500.0, 1000.0, 500.0, 1000.0));
    let found = first(out_of("EMFILE"), Cause::ClientLimited);
    assert_eq!(numbers(&found), (Knob::Workers, 1.0, 2.0, 500.0, 1000.0));
    let mut starved = script().load(500, 1000).fail(Fail::late(900_000).issued(0.4)).fact("cpu.cores", "2");
    starved.load.generator.cpus = Some(0.05);
    let found = first(starved, Cause::ClientLimited);
    assert_eq!((found.change.knob, found.change.to, found.measure), (Knob::GeneratorCpus, 1.0, Measure::Passed));
}

#[test]
fn what_nothing_of_ours_moves_is_only_repeated_or_left_alone() {
    let found = first(stalled(), Cause::ApplicationCap);
    assert_eq!((found.change.knob, found.before, found.predicted), (Knob::Again, 993.0, 993.0));
    for cause in [Cause::Crash, Cause::Hang, Cause::ServerWaits, Cause::HostMemory, Cause::Unknown, Cause::None] {
        assert!(experiments(stalled(), cause).is_empty(), "{cause}");
    }
}

#[test]
fn every_cause_that_is_said_to_have_an_experiment_has_one_and_no_other() {
    let script = || {
        let script = stalled().args(&["--heap=16", "--backlog", "8"]).size(|size| {
            (size.nofile, size.pids, size.cpus, size.memory_bytes) = (Some(1000), Some(300), Some(0.2), Some(64 << 20));
        });
        behind(FrontKind::Relay, |_| {}, script)
    };
    for &cause in Cause::ALL {
        // A lifetime needs losses.
        let has = cause == Cause::Lifetime || !experiments(script(), cause).is_empty();
        assert_eq!(has, super::super::has_experiment(cause), "{cause}");
    }
}

#[test]
fn a_load_that_cannot_show_the_prediction_has_no_experiment() {
    let mut stages = stalled().size(|size| size.nofile = Some(1000));
    stages.load.stages = vec![wsceiling_model::matrix::LoadStage::To {
        to: 1400,
        rate: 1000.0,
        hold: std::time::Duration::from_secs(1),
    }];
    stages.load.max = 1400;
    let stages = stages.set(SERVER, Metric::DescriptorLimit, |_| Some(1000.0));
    assert!(experiments(stages, Cause::ServerDescriptors).is_empty(), "stages end below 1,493");
    let mut endless = stalled();
    endless.load.hold = std::time::Duration::from_secs(60);
    let endless = endless.set(SERVER, Metric::DescriptorLimit, |_| Some(1000.0));
    assert_eq!(experiments(endless, Cause::ServerDescriptors), [], "longer than a trial may take");
}
