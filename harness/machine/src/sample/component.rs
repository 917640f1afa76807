//! One component: which of its files tell which number.

use super::context::Context;
use super::controllers::Controllers;
use super::haproxy::HaproxyStats;
use super::network::{Namespaces, key_of};
use super::pairs::Pairs;
use super::processes::Processes;
use super::row::Row;
use super::watch::Watch;
use wsceiling_model::record::Component;

/// Reads everything about one component.
pub(super) struct Reader {
    watch: Watch,
    controllers: Option<Controllers>,
    processes: Processes,
    /// Connections onwards and the program's own counters, of a front.
    pairs: Option<Pairs>,
    haproxy: Option<HaproxyStats>,
    /// Its network namespace, known once it has a process.
    namespace: Option<String>,
}

impl Reader {
    pub(super) fn new(context: &mut Context, watch: Watch) -> Self {
        let controllers =
            watch.cgroup.as_ref().map(|cgroup| Controllers::new(context, cgroup).with(context, &watch.more));
        let pairs = watch.front.as_ref().map(Pairs::new);
        let haproxy = watch.front.as_ref().and_then(|front| front.stats).map(HaproxyStats::new);
        Self { controllers, processes: Processes::new(&watch.pids), pairs, haproxy, namespace: None, watch }
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    pub(super) fn component(&self) -> Component {
        self.watch.component
    }

    pub(super) fn sample(&mut self, context: &mut Context, namespaces: &mut Namespaces, row: &mut Row) {
        if let Some(controllers) = &mut self.controllers {
            controllers.sample(context, row);
        }
        self.processes.sample(context, self.controllers.as_ref(), row);
        if let Some(haproxy) = &mut self.haproxy {
            haproxy.sample(context, row);
        }
        // A namespace lives as long as somebody in it: without a process there is no number, and nothing to hold open.
        let Some(pid) = self.processes.first_alive() else { return };
        let key = self.namespace.get_or_insert_with(|| key_of(context, pid));
        namespaces.sample(context, key, &pid.to_string(), self.watch.listens_on, row);
        if let Some(pairs) = &mut self.pairs {
            pairs.sample(context, pid, namespaces.ours() == Some(key), row);
        }
    }
}
