use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wsceiling_model::record::{Component, Metric, Sample};

use super::sample_loop::SampleLoop;
use super::tree::Tree;
use super::*;
use crate::cgroup::{Cgroup, cgroup_of_pid_in};
use crate::environment::kernel::Kernel;

const HYBRID: &str = include_str!("../../trees/hybrid.txt");
const V2: &str = include_str!("../../trees/v2.txt");

/// A component without anything but processes.
fn plain(component: Component, pids: Vec<u32>) -> Watch {
    Watch { component, pids, cgroup: None, more: vec![], listens_on: None, front: None }
}

fn watch(kernel: &Kernel, pid: u32, port: u16) -> Watch {
    let cgroup = cgroup_of_pid_in(kernel, pid);
    Watch { cgroup, listens_on: Some(port), ..plain(Component::Instance(0), vec![pid]) }
}

/// Ticks without a thread, so that a test decides what happens between two of them.
fn tick(sample_loop: &mut SampleLoop) -> BTreeMap<Component, Vec<(Metric, f64)>> {
    sample_loop.tick(BTreeMap::new()).into_iter().collect()
}

fn described(tree: &Tree, watch: Watch) -> String {
    let mut sample_loop = SampleLoop::new(tree.kernel(), Component::Host, Instant::now());
    sample_loop.replace(vec![watch]);
    let rows = tick(&mut sample_loop);
    let sources = sample_loop.finish().sources;
    let mut text = String::new();
    for (component, values) in rows {
        for (metric, value) in values {
            let source = &sources[&component][metric.name()];
            writeln!(text, "{component} {} = {value}  <- {source}", metric.name()).unwrap();
        }
    }
    text
}

#[test]
fn a_captured_hybrid_machine() {
    let tree = Tree::from_capture(HYBRID);
    insta::assert_snapshot!(described(&tree, watch(&tree.kernel(), 4242, 18080)));
}

#[test]
fn without_the_unified_tree_version_1_has_the_same_numbers_but_no_pressure() {
    let hybrid = Tree::from_capture(HYBRID);
    let v1: String = HYBRID.split_inclusive('\n').filter(|line| !line.contains("cgroup2")).collect();
    let v1 = Tree::from_capture(&v1);
    let with = described(&hybrid, watch(&hybrid.kernel(), 4242, 18080));
    let without = described(&v1, watch(&v1.kernel(), 4242, 18080));
    let is_pressure = |line: &&str| line.starts_with("instance-0 psi");
    assert_eq!(with.lines().filter(is_pressure).count(), 2);
    assert_eq!(with.lines().filter(|line| !is_pressure(line)).collect::<Vec<_>>(), without.lines().collect::<Vec<_>>());
}

#[test]
fn a_container_on_version_2() {
    let tree = Tree::from_capture(V2);
    insta::assert_snapshot!(described(&tree, watch(&tree.kernel(), 900, 8080)));
}

#[test]
fn without_a_cgroup_proc_tells_cpu_memory_and_threads() {
    let tree = Tree::from_capture(V2);
    let text = described(&tree, Watch { cgroup: None, ..watch(&tree.kernel(), 900, 8080) });
    for expected in [
        "cpu_usage_us_total = 5050000  <- /proc/PID/stat utime + stime",
        "memory_current_bytes = 81920000  <- /proc/PID/statm resident",
        "pids_count = 11  <- /proc/PID/stat num_threads",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
    assert!(!text.contains("cgroup"), "{text}");
}

#[test]
fn every_file_may_be_cut_off_anywhere_or_be_garbage() {
    for cut in [0, 1, 3, 7, 12, 20, 40, 90] {
        for garbage in [false, true] {
            let mut text = String::new();
            for part in V2.split("=== ").skip(1) {
                let (path, content) = part.split_once('\n').unwrap();
                let content: String = content.lines().filter(|line| !line.starts_with("-->")).collect();
                let content = if garbage { "\u{fffd}-1 x\n".repeat(cut) } else { content.chars().take(cut).collect() };
                writeln!(text, "=== {path}\n{content}").unwrap();
            }
            let tree = Tree::from_capture(&text);
            let cgroup = Cgroup::unified("/sys/fs/cgroup/system.slice/docker-4f2a.scope".into(), |_| true);
            let text = described(&tree, Watch { cgroup: Some(cgroup), ..watch(&tree.kernel(), 900, 8080) });
            assert!(!text.contains("-1") && !text.contains("NaN"), "{text}");
        }
    }
}

#[test]
fn a_vanished_container_is_absent_and_not_zero() {
    let tree = Tree::from_capture(V2);
    let mut sample_loop = SampleLoop::new(tree.kernel(), Component::Host, Instant::now());
    sample_loop.replace(vec![watch(&tree.kernel(), 900, 8080)]);
    assert!(tick(&mut sample_loop)[&Component::Instance(0)].len() > 20);
    tree.remove("/proc/900");
    tree.remove("/sys/fs/cgroup/system.slice");
    // Kept descriptors of a real kernel fail once the process or cgroup is gone; those of a folder do not.
    sample_loop.replace(vec![]);
    sample_loop.replace(vec![watch(&tree.kernel(), 900, 8080)]);
    assert_eq!(tick(&mut sample_loop)[&Component::Instance(0)], []);
}

#[test]
fn an_unchanged_watch_goes_on_when_others_change() {
    let tree = Tree::from_capture(V2);
    let mut sample_loop = SampleLoop::new(tree.kernel(), Component::Host, Instant::now());
    let first = watch(&tree.kernel(), 900, 8080);
    sample_loop.replace(vec![first.clone()]);
    tick(&mut sample_loop);
    tree.write("/proc/900/task/900/schedstat", "9050000000 0 1");
    std::thread::sleep(Duration::from_millis(30));
    sample_loop.replace(vec![plain(Component::Generator, vec![77]), first]);
    let rows = tick(&mut sample_loop);
    assert!(rows[&Component::Instance(0)].iter().any(|(metric, _)| *metric == Metric::BusiestThread));
    assert_eq!(rows[&Component::Generator], []);
}

#[test]
fn pushed_numbers_join_the_next_row_once() {
    let tree = Tree::new();
    let sampler = Sampler::start_in(tree.kernel(), Component::Host, Duration::from_secs(3600), Instant::now(), vec![]);
    while !sampler.has_begun() {
        std::thread::sleep(Duration::from_millis(1));
    }
    sampler.push(Component::Generator, vec![(Metric::Open, 5.0), (Metric::Lag, 900.0)]);
    sampler.push(Component::Generator, vec![(Metric::Open, 6.0), (Metric::Lag, 100.0)]);
    assert_eq!(sampler.latest(Component::Generator, Metric::Open), None);
    let all = sampler.stop().unwrap();
    let rows: Vec<_> = all.samples.iter().filter(|sample| sample.component == Component::Generator).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].values, [(Metric::Open, 6.0), (Metric::Lag, 900.0)]);
    assert_eq!(all.sources[&Component::Generator]["open_count"], "generator");
    assert!(all.own_cpu.is_some());
}

/// A process of our own, ended and reaped with the test.
struct Running(Child);

impl Running {
    fn shell(script: &str) -> Self {
        let mut command = Command::new("sh");
        Self(command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    fn watch(&self) -> Watch {
        plain(Component::Instance(3), vec![self.0.id()])
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_process_that_works_uses_cpu_and_memory_and_its_end_is_seen() {
    let mut running = Running::shell("while :; do :; done");
    let watches = vec![running.watch()];
    let sampler = Sampler::start(Duration::from_millis(25), Instant::now(), watches);
    let latest = |metric| sampler.latest(Component::Instance(3), metric);
    let is_busy = || latest(Metric::CpuUsage).is_some_and(|us| us > 100_000.0);
    while !is_busy() || latest(Metric::BusiestThread).is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(latest(Metric::BusiestThread).unwrap() > 0.0);
    assert!(latest(Metric::MemoryCurrent).unwrap() > 100_000.0);
    assert!(latest(Metric::MemoryCurrent).unwrap() >= latest(Metric::MemoryAnon).unwrap());
    assert!(latest(Metric::Descriptors).unwrap() >= 3.0);
    assert!(latest(Metric::DescriptorLimit).unwrap() >= latest(Metric::Descriptors).unwrap());
    assert!(latest(Metric::Established).is_some(), "network counters of the namespace");
    assert!(sampler.latest(Component::Host, Metric::HostIdle).is_some());
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    while latest(Metric::CpuUsage).is_some() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let all = sampler.stop().unwrap();
    let last = all.samples.iter().rfind(|sample| sample.component == Component::Instance(3)).unwrap();
    assert_eq!(last.values, []);
    assert!(all.samples.is_sorted_by_key(|sample| sample.t_ms));
}

#[test]
fn descriptors_of_a_real_process_are_counted() {
    // The shell says when its descriptors are open, and then waits for its input.
    let mut running = Running::shell("exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null; echo open; read end");
    let mut said = [0; 5];
    std::io::Read::read_exact(running.0.stdout.as_mut().unwrap(), &mut said).unwrap();
    let expected = Kernel::real().numbered(format!("/proc/{}/fd", running.0.id())).len();
    assert!(expected >= 7);
    let sampler = Sampler::start(Duration::from_secs(60), Instant::now(), vec![running.watch()]);
    let all = sampler.stop().unwrap();
    let row = all.samples.iter().find(|sample| sample.component == Component::Instance(3)).unwrap();
    assert!(row.values.contains(&(Metric::Descriptors, expected as f64)), "{:?}", row.values);
}

#[test]
fn a_real_cgroup_that_is_removed_is_absent_from_then_on() {
    let kernel = Kernel::real();
    let hierarchies = crate::environment::hierarchy::Hierarchies::read(&kernel);
    let Some(point) = hierarchies.mount_point("memory") else { return };
    let folder = point.join(format!("wsceiling-test-{}", std::process::id()));
    // Without the right to make a cgroup there is nothing to test.
    if std::fs::create_dir(&folder).is_err() {
        return;
    }
    let version = if hierarchies.unified_point() == Some(point) { 2 } else { 1 };
    let cgroup = Cgroup { version, memory: Some(folder.clone()), ..Cgroup::default() };
    let mut sample_loop = SampleLoop::new(kernel, Component::Host, Instant::now());
    sample_loop.replace(vec![Watch { cgroup: Some(cgroup), ..plain(Component::Instance(0), vec![]) }]);
    let before = tick(&mut sample_loop);
    std::fs::remove_dir(&folder).unwrap();
    let after = tick(&mut sample_loop);
    if version == 1 {
        assert!(before[&Component::Instance(0)].contains(&(Metric::MemoryCurrent, 0.0)), "{before:?}");
    }
    assert_eq!(after[&Component::Instance(0)], []);
}

#[test]
fn rows_of_others_stand_at_their_own_moments_with_their_own_sources() {
    let tree = Tree::from_capture(HYBRID);
    let hour = Duration::from_secs(3600);
    let sampler = Sampler::start_in(tree.kernel(), Component::ClientHost, hour, Instant::now(), vec![]);
    let inlet = sampler.inlet();
    let row = |t_ms, component, values: &[(Metric, f64)]| Sample { t_ms, component, values: values.to_vec() };
    let from = |metric, source: &str| vec![(metric, source.into())];
    let instance = Component::Instance(0);
    inlet.add(row(2e6, instance, &[(Metric::Descriptors, 9.0)]), from(Metric::Descriptors, "prometheus b"));
    inlet.add(row(1e6, instance, &[(Metric::CpuUsage, 5.0)]), from(Metric::CpuUsage, "prometheus a"));
    inlet.add(row(2e6, instance, &[(Metric::CpuUsage, 7.0)]), from(Metric::CpuUsage, "docker c"));
    inlet.add(row(1.5e6, Component::Host, &[(Metric::HostIdle, 1.0)]), from(Metric::HostIdle, "prometheus d"));
    assert_eq!(sampler.latest(instance, Metric::CpuUsage), Some(7.0));
    assert_eq!(sampler.latest(instance, Metric::Descriptors), Some(9.0), "of another row");
    let Sampled { samples, sources, .. } = sampler.stop().unwrap();
    let own: Vec<_> = samples.iter().filter(|sample| sample.component == Component::ClientHost).collect();
    assert!(own.iter().all(|sample| sample.t_ms < 1e6 && sample.values.iter().any(|(m, _)| *m == Metric::HostIdle)));
    assert!(!own.is_empty() && sources[&Component::ClientHost]["host_idle_us_total"].starts_with("/proc/stat"));
    assert_eq!(
        samples[own.len()..],
        [
            row(1e6, instance, &[(Metric::CpuUsage, 5.0)]),
            row(1.5e6, Component::Host, &[(Metric::HostIdle, 1.0)]),
            row(2e6, instance, &[(Metric::CpuUsage, 7.0), (Metric::Descriptors, 9.0)]),
        ]
    );
    assert_eq!(sources[&instance]["cpu_usage_us_total"], "prometheus a, later docker c");
    assert_eq!(sources[&Component::Host]["host_idle_us_total"], "prometheus d");
}
