//! A run over sizes of a server that follows a law, so that the ceiling of every size is known: what `capacity` predicts is
//! compared with it.

use std::cell::Cell as State;

use crate::law::normal;
use crate::script::{Fail, Moment, Script, load, rising};
use crate::{Trial, header};
use wsceiling_model::matrix::{Cell, Runtime, Scenario, Size};
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{Cause, Component, FailedAt, Metric, RunHeader};

/// What one instance takes.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// Bytes without connections, of a connection, and of the kernel for it.
    pub idle_bytes: f64,
    pub bytes: f64,
    pub kernel_bytes: f64,
    /// Bytes of page cache, and of that what cannot be taken back.
    pub cache: f64,
    pub pinned: f64,
    /// Micro-cores without connections, and of a connection with its messages.
    pub idle_cpu: f64,
    pub cpu: f64,
    /// CPU microseconds of an opening.
    pub opening: f64,
    /// Share of its quota that it can use before answers are late.
    pub usable: f64,
}

/// 24 KiB a connection of its own and 4 KiB of the kernel; 60 micro-cores.
pub const SERVER: Server = Server {
    idle_bytes: 5e6,
    bytes: 24_576.0,
    kernel_bytes: 4_096.0,
    cache: 6e6,
    pinned: 1.5e6,
    idle_cpu: 1_500.0,
    cpu: 60.0,
    opening: 90.0,
    usable: 0.93,
};

impl Server {
    /// Connections that one instance of a size holds, and what stops it there.
    pub fn holds(&self, size: &Size) -> (f64, Cause) {
        let memory = size.memory_bytes.map_or(f64::INFINITY, |limit| {
            (limit as f64 - self.idle_bytes - self.pinned) / (self.bytes + self.kernel_bytes)
        });
        let cpu = size.cpus.map_or(f64::INFINITY, |cpus| (self.usable * cpus * 1e6 - self.idle_cpu) / self.cpu);
        if memory < cpu { (memory, Cause::MemoryLimit) } else { (cpu, Cause::CpuQuota) }
    }
}

/// A size with these limits.
pub fn size(name: &str, cpus: f64, mebibytes: u64) -> Size {
    Size { cpus: Some(cpus), memory_bytes: Some(mebibytes << 20), ..Size::unlimited(name) }
}

/// A run of the target `echo`, bare, with each of these sizes and numbers of instances. Trials scatter by that share.
pub fn run(
    server: &Server,
    sizes: &[Size],
    instances: &[u32],
    repeats: u32,
    scatter: f64,
    seed: u64,
) -> (RunHeader, Vec<Trial>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let cell = |size: &Size, instances: u32| Cell {
        id: format!("echo-bare-x{instances}-{}", size.name),
        target: "echo".into(),
        runtime: Runtime::Bare,
        instances,
        front: None,
        size: Some(size.name.clone()),
        scenario: Scenario::Idle,
    };
    let mut cells = Vec::new();
    let mut trials = Vec::new();
    for size in sizes {
        for instances in instances {
            let cell = cell(size, *instances);
            for repeat in 1..=repeats {
                let off = 1.0 + scatter * normal(&mut random);
                trials.push(trial(server, &cell, size, repeat, off));
            }
            cells.push(cell);
        }
    }
    let plan: Vec<TrialId> = trials.iter().map(|(record, _)| record.trial.clone()).collect();
    let mut header = header("sizes", "", cells, plan, repeats);
    header.sizes = sizes.to_vec();
    header.load = load();
    (header, trials)
}

/// A trial that stops at what its instances hold, times `off`.
fn trial(server: &Server, cell: &Cell, size: &Size, repeat: u32, off: f64) -> Trial {
    let (each, cause) = server.holds(size);
    let instances = f64::from(cell.instances);
    let most = (each * instances * off).floor();
    let mut script = Script::new(cell.clone(), repeat).size(|own| *own = size.clone());
    let last = (most * 0.97) as u32;
    let step = last / 6;
    script = script.load(step, last * 2).rate(4000.0);
    let mut script = script.good_up_to(last);
    let limit = size.memory_bytes.map_or(f64::INFINITY, |limit| limit as f64);
    let of_memory = cause == Cause::MemoryLimit;
    script = if of_memory {
        let fail = Fail::collapse(most as u32).error(FailedAt::Open, "eof", most as u64).error(
            FailedAt::Connect,
            "errno ECONNREFUSED",
            300,
        );
        script.fail(fail).exit(|exit| (exit.signal, exit.oom_killed) = (Some(9), Some(true)))
    } else {
        script.load.step = ((most - f64::from(last)) * 2.0).max(2.0) as u32;
        script.fail(Fail::late(1_900_000).held(0.9))
    };
    for index in 0..cell.instances {
        let instance = Component::Instance(index);
        let server = *server;
        let anon = move |m: &Moment| server.idle_bytes + server.bytes * m.open / instances;
        let kernel = move |m: &Moment| server.kernel_bytes * m.open / instances;
        let file = move |m: &Moment| server.cache.min((limit - anon(m) - kernel(m)).max(server.pinned));
        script = script
            .set(instance, Metric::MemoryAnon, move |m| Some(anon(m)))
            .set(instance, Metric::MemoryKernel, move |m| Some(kernel(m)))
            .set(instance, Metric::MemoryFile, move |m| Some(file(m)))
            .set(instance, Metric::MemoryCurrent, move |m| Some((anon(m) + kernel(m) + file(m)).min(limit)))
            .set(instance, Metric::CpuUsage, used(server, size.cpus.filter(|_| !of_memory), instances));
        if of_memory {
            let kills: Value = if index == 0 { Box::new(rising(1.0)) } else { Box::new(|_| Some(0.0)) };
            script = script.set(instance, Metric::OomKills, kills);
        } else {
            script = script
                .set(instance, Metric::CpuPeriods, |m| Some((m.t_ms / 100.0).floor()))
                .set(instance, Metric::CpuThrottledPeriods, |m| Some((m.since_failed_s.max(0.0) * 9.4).floor()))
                .set(instance, Metric::CpuThrottled, |m| Some((m.since_failed_s.max(0.0) * 610_000.0).floor()));
        }
    }
    script.finish()
}

type Value = Box<dyn Fn(&Moment) -> Option<f64>>;

/// CPU that an instance has used: by its law, and all of its quota while it fails for lack of it. Asked in the order of time.
fn used(server: Server, quota: Option<f64>, instances: f64) -> impl Fn(&Moment) -> Option<f64> {
    let before = State::new((0.0, 0.0, 0.0, 5_000.0));
    move |m| {
        let (t_ms, open, opened, total) = before.get();
        let seconds = (m.t_ms - t_ms) / 1e3;
        let law = seconds * (server.idle_cpu + server.cpu * f64::midpoint(open, m.open) / instances)
            + server.opening * (m.opened - opened) / instances;
        let all = quota.filter(|_| m.failing).map(|cpus| cpus * 1e6 * seconds);
        let total = total + all.unwrap_or(law);
        before.set((m.t_ms, m.open, m.opened, total));
        Some(total)
    }
}
