//! What the sampler watches of a trial.

use std::time::Duration;

use super::load_side::LoadSide;
use super::servers::Servers;
use wsceiling_generator::ipc::Status;
use wsceiling_launch::{Fronts, Launched, LaunchedHop};
use wsceiling_machine::sample::{FrontWatch, Sampler, Watch};
use wsceiling_model::record::{Component, Metric};

/// Everything that runs now.
pub fn watches(servers: &Servers, load_side: &LoadSide) -> Vec<Watch> {
    let instances = servers.running().map(instance);
    let hops = servers.fronts().into_iter().flat_map(Fronts::hops).map(hop);
    instances.chain(hops).chain(load_side.watch()).collect()
}

fn instance(instance: &Launched) -> Watch {
    Watch {
        component: Component::Instance(instance.index),
        pids: vec![instance.pid],
        cgroup: instance.cgroup.clone(),
        more: vec![],
        listens_on: instance.socket.is_none().then(|| instance.address.port()),
        front: None,
    }
}

fn hop(hop: &LaunchedHop) -> Watch {
    Watch {
        component: Component::Front(hop.launched.index),
        pids: vec![hop.launched.pid],
        cgroup: hop.launched.cgroup.clone(),
        more: vec![],
        listens_on: Some(hop.launched.address.port()),
        front: Some(FrontWatch {
            upstreams: hop.upstreams.clone(),
            ports_per_pair: hop.ports_per_pair,
            stats: hop.stats,
        }),
    }
}

/// Waits for a sample of everything while nothing is connected yet: what counters are compared with.
pub async fn wait_for_first_sample(sampler: &Sampler) {
    let wait = async {
        while !sampler.has_begun() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // A sampler that is busy or gone must not stop the trial.
    let _ = tokio::time::timeout(Duration::from_millis(200), wait).await;
}

/// Adds the generator's own numbers to its next sample.
pub fn push_status(sampler: &Sampler, status: &Status) {
    sampler.push(
        Component::Generator,
        vec![
            (Metric::Open, status.open as f64),
            (Metric::Held, status.held as f64),
            (Metric::Due, status.due as f64),
            (Metric::Issued, status.issued as f64),
            (Metric::Failed, status.failed as f64),
            (Metric::Lost, status.lost as f64),
            (Metric::Lag, status.lag_us_max as f64),
        ],
    );
}

/// Adds what the workers say that they use, where this host cannot see it.
pub fn push_usage(sampler: &Sampler, status: &Status) {
    let Some(usage) = status.usage else { return };
    let mut values = vec![(Metric::CpuUsage, usage.cpu_us as f64)];
    values.extend(usage.core_ratio.map(|ratio| (Metric::BusiestThread, ratio)));
    values.extend(usage.memory_bytes.map(|bytes| (Metric::MemoryAnon, bytes as f64)));
    sampler.push(Component::Generator, values);
}
