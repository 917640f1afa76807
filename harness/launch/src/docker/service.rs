//! The workers of a generator as a service of a swarm: as many tasks as workers, none of which is started again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bollard::errors::Error;
use bollard::models::{
    EndpointSpec, EndpointSpecModeEnum, Limit, NetworkAttachmentConfig, ResourcesUlimits, ServiceSpec, ServiceSpecMode,
    ServiceSpecModeReplicated, Task, TaskSpec, TaskSpecContainerSpec, TaskSpecPlacement, TaskSpecPlacementPreferences,
    TaskSpecPlacementSpread, TaskSpecResources, TaskSpecRestartPolicy, TaskSpecRestartPolicyConditionEnum, TaskState,
};
use bollard::query_parameters::{ListContainersOptionsBuilder, ListTasksOptionsBuilder, LogsOptionsBuilder};
use futures_util::StreamExt as _;

use super::super::LaunchError;
use super::life::cgroup_of_container;
use super::spec::NOBODY;
use super::{Engine, is_not_found, labels, readable};
use wsceiling_machine::cgroup::Cgroup;

/// Time between two looks at the tasks.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Time that a task gets between SIGTERM, which a worker does not know, and SIGKILL, in nanoseconds.
const TASK_GRACE_NS: i64 = 500_000_000;
/// Longest wait for the containers of this node to go with their service.
const GONE_WITHIN: Duration = Duration::from_secs(15);
/// Longest wait for the swarm to say which process a task of this node is.
const KNOWN_WITHIN: Duration = Duration::from_secs(3);
/// Lines of a failed task that are quoted.
const LINES: &str = "20";

/// A service to start.
#[derive(Debug, Clone)]
pub struct ServicePlan {
    /// Its name: a label of the DNS.
    pub name: String,
    /// Id of the run.
    pub run_id: String,
    /// The image: an id on a swarm of one node, else a reference with a digest that every node can pull.
    pub image: String,
    /// Entry point with its arguments.
    pub command: Vec<String>,
    /// Environment, `NAME=value`; the engine fills in `{{.Node.Hostname}}` and `{{.Task.Slot}}`.
    pub env: Vec<String>,
    /// Tasks.
    pub tasks: u32,
    /// Ids of the networks that each task joins.
    pub networks: Vec<String>,
    /// CPUs of each task; `None`: no limit.
    pub cpus: Option<f64>,
    /// Descriptors of each task.
    pub nofile: u64,
}

/// A running service, which goes when this is dropped.
#[derive(Debug)]
pub struct Service {
    engine: Engine,
    /// `None`: it was removed.
    id: Option<String>,
}

/// A task of this node.
#[derive(Debug, Clone)]
pub struct LocalTask {
    /// Its number, from 1.
    pub slot: u32,
    /// Its container.
    pub container: String,
    /// Its process on this host.
    pub pid: u32,
    /// Its cgroup, where that is visible.
    pub cgroup: Option<Cgroup>,
}

impl Engine {
    /// Asks the swarm for a service. Its tasks start when their nodes have the image.
    pub async fn start_service(&self, plan: ServicePlan) -> Result<Service, LaunchError> {
        let (docker, spec) = (self.docker.clone(), spec(&plan));
        let made = self.pending.follow(async move { docker.create_service(spec, None).await }).await;
        let made = made
            .map_err(|error| LaunchError::failed(format!("cannot make a service of workers: {}", readable(&error))))?;
        Ok(Service { engine: self.clone(), id: made.id })
    }
}

/// A service whose tasks have no right: nobody's, a read-only root, no capability.
fn spec(plan: &ServicePlan) -> ServiceSpec {
    let nofile = Some(plan.nofile.cast_signed());
    let container = TaskSpecContainerSpec {
        image: Some(plan.image.clone()),
        command: Some(plan.command.clone()),
        env: Some(plan.env.clone()),
        user: Some(NOBODY.to_owned()),
        read_only: Some(true),
        capability_drop: Some(vec!["ALL".to_owned()]),
        stop_grace_period: Some(TASK_GRACE_NS),
        ulimits: Some(vec![ResourcesUlimits { name: Some("nofile".to_owned()), soft: nofile, hard: nofile }]),
        ..TaskSpecContainerSpec::default()
    };
    let spread = TaskSpecPlacementSpread { spread_descriptor: Some("node.id".to_owned()) };
    let attach =
        |id: &String| NetworkAttachmentConfig { target: Some(id.clone()), ..NetworkAttachmentConfig::default() };
    let limits = |cpus: f64| Limit { nano_cpus: Some((cpus * 1e9).round() as i64), ..Limit::default() };
    ServiceSpec {
        name: Some(plan.name.clone()),
        labels: Some(labels(&plan.run_id)),
        mode: Some(ServiceSpecMode {
            replicated: Some(ServiceSpecModeReplicated { replicas: Some(i64::from(plan.tasks)) }),
            ..ServiceSpecMode::default()
        }),
        // Nobody connects to a worker, so it needs no address of the service.
        endpoint_spec: Some(EndpointSpec { mode: Some(EndpointSpecModeEnum::DNSRR), ports: None }),
        task_template: Some(TaskSpec {
            container_spec: Some(container),
            resources: plan
                .cpus
                .map(|cpus| TaskSpecResources { limits: Some(limits(cpus)), ..TaskSpecResources::default() }),
            // Another task in the place of one that ended would have none of its connections.
            restart_policy: Some(TaskSpecRestartPolicy {
                condition: Some(TaskSpecRestartPolicyConditionEnum::NONE),
                ..TaskSpecRestartPolicy::default()
            }),
            placement: Some(TaskSpecPlacement {
                preferences: Some(vec![TaskSpecPlacementPreferences { spread: Some(spread) }]),
                ..TaskSpecPlacement::default()
            }),
            networks: Some(plan.networks.iter().map(attach).collect()),
            ..TaskSpec::default()
        }),
        ..ServiceSpec::default()
    }
}

impl Service {
    async fn tasks(&self) -> Vec<Task> {
        let Some(id) = &self.id else { return Vec::new() };
        let filters = HashMap::from([("service", vec![id.as_str()])]);
        let options = ListTasksOptionsBuilder::default().filters(&filters).build();
        self.engine.docker.list_tasks(Some(options)).await.unwrap_or_default()
    }

    /// Resolves when a task has ended: why, in words.
    pub async fn failure(&self) -> LaunchError {
        loop {
            let ended = self.tasks().await.into_iter().find_map(|task| ended(&task));
            if let Some(reason) = ended {
                return LaunchError::Failed { reason, log_tail: self.last_lines().await };
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What became of a task, where the swarm knows; `None`: as far as it knows it runs.
    pub async fn end_of(&self, slot: u32) -> Option<String> {
        self.tasks().await.iter().filter(|task| task.slot == Some(i64::from(slot))).find_map(ended)
    }

    /// Why tasks have not started, where the swarm says so: `no suitable node (...)`.
    pub async fn waits_for(&self) -> Option<String> {
        let tasks = self.tasks().await;
        let why = |task: &Task| {
            let status = task.status.clone()?;
            let waits = matches!(status.state?, TaskState::NEW | TaskState::PENDING | TaskState::PREPARING);
            let why = status.err.filter(|err| !err.is_empty()).or(status.message).unwrap_or_default();
            waits.then(|| {
                format!(
                    "task {} is {} ({why})",
                    task.slot.unwrap_or(0),
                    status.state.map(|s| s.to_string()).unwrap_or_default()
                )
            })
        };
        tasks.iter().find_map(why)
    }

    /// The last lines that its tasks wrote.
    async fn last_lines(&self) -> Vec<String> {
        let Some(id) = &self.id else { return Vec::new() };
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(LINES).build();
        let read = async {
            let mut stream = Box::pin(self.engine.docker.service_logs(id, Some(options)));
            let mut text = String::new();
            while let Some(Ok(output)) = stream.next().await {
                text.push_str(&output.to_string());
            }
            text
        };
        let text = tokio::time::timeout(KNOWN_WITHIN, read).await.unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The tasks that run on this very node, in the order of their slots, as soon as the swarm knows their processes.
    pub async fn local(&self, node_id: &str) -> Vec<LocalTask> {
        let begun = Instant::now();
        loop {
            let here: Vec<Task> =
                self.tasks().await.into_iter().filter(|task| task.node_id.as_deref() == Some(node_id)).collect();
            let mut known: Vec<LocalTask> = here.iter().filter_map(local).collect();
            if known.len() == here.len() || begun.elapsed() > KNOWN_WITHIN {
                known.sort_by_key(|task| task.slot);
                return known;
            }
            tokio::time::sleep(LOOK_EVERY / 5).await;
        }
    }

    /// Waits up to `grace` for the tasks to end by themselves, then removes the service, with what still runs of it.
    pub async fn stop(&mut self, grace: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < grace && self.tasks().await.iter().any(|task| ended(task).is_none()) {
            tokio::time::sleep(LOOK_EVERY / 5).await;
        }
        if let Some(id) = self.id.take()
            && !self.engine.remove_service(&id).await
        {
            // The drop tries again.
            self.id = Some(id);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let host = self.engine.host.clone();
            super::sweep::blocking(async move {
                if let Ok(engine) = Engine::connect_to(&host).await {
                    engine.remove_service(&id).await;
                }
            });
        }
    }
}

impl Engine {
    /// Removes a service, and waits for its containers on this node to go with it; whether it is gone.
    pub(super) async fn remove_service(&self, id: &str) -> bool {
        let removed = match self.docker.delete_service(id).await {
            Ok(()) => true,
            Err(error) => is_not_found(&error),
        };
        let begun = Instant::now();
        while removed && begun.elapsed() < GONE_WITHIN && self.has_containers_of(id).await {
            tokio::time::sleep(LOOK_EVERY / 5).await;
        }
        removed
    }

    async fn has_containers_of(&self, service: &str) -> bool {
        let filters = HashMap::from([("label", vec![format!("com.docker.swarm.service.id={service}")])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        self.docker.list_containers(Some(options)).await.is_ok_and(|listed| !listed.is_empty())
    }

    /// Services with this program's label; none where the engine manages no swarm.
    pub(super) async fn labelled_services(
        &self,
        filters: &HashMap<&'static str, Vec<String>>,
    ) -> Result<Vec<bollard::models::Service>, Error> {
        let options = bollard::query_parameters::ListServicesOptionsBuilder::default().filters(filters).build();
        match self.docker.list_services(Some(options)).await {
            // 503: the engine is no manager of a swarm.
            Err(Error::DockerResponseServerError { status_code: 503 | 406, .. }) => Ok(Vec::new()),
            listed => listed,
        }
    }
}

/// How a task ended, in words; `None`: it has not.
fn ended(task: &Task) -> Option<String> {
    let status = task.status.as_ref()?;
    let state = status.state?;
    let over = matches!(
        state,
        TaskState::COMPLETE
            | TaskState::SHUTDOWN
            | TaskState::FAILED
            | TaskState::REJECTED
            | TaskState::ORPHANED
            | TaskState::REMOVE
    );
    let why = status.err.as_deref().filter(|err| !err.is_empty()).or(status.message.as_deref()).unwrap_or_default();
    over.then(|| format!("task {} of the workers' service is {state}: {why}", task.slot.unwrap_or(0)))
}

fn local(task: &Task) -> Option<LocalTask> {
    let container = task.status.as_ref()?.container_status.as_ref()?;
    let id = container.container_id.clone().filter(|id| !id.is_empty())?;
    let pid = u32::try_from(container.pid?).ok().filter(|pid| *pid > 0)?;
    Some(LocalTask { slot: u32::try_from(task.slot?).ok()?, cgroup: cgroup_of_container(pid, &id), container: id, pid })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::TaskStatus;

    fn plan() -> ServicePlan {
        ServicePlan {
            name: "wsceiling-0".into(),
            run_id: "run".into(),
            image: "sha256:1".into(),
            command: vec!["/w".into(), "worker".into()],
            env: vec!["A=1".into()],
            tasks: 3,
            networks: vec!["n1".into(), "n2".into()],
            cpus: Some(0.5),
            nofile: 1000,
        }
    }

    #[test]
    fn a_service_has_its_tasks_on_all_nodes_once_and_with_no_right() {
        let json = serde_json::to_value(spec(&plan())).unwrap();
        let task = &json["TaskTemplate"];
        assert_eq!(json["Mode"]["Replicated"]["Replicas"], 3);
        assert_eq!(task["Placement"]["Preferences"][0]["Spread"]["SpreadDescriptor"], "node.id");
        assert_eq!(task["RestartPolicy"]["Condition"], "none");
        assert_eq!(task["Networks"][1]["Target"], "n2");
        assert_eq!(task["Resources"]["Limits"]["NanoCPUs"], 500_000_000);
        let container = &task["ContainerSpec"];
        assert_eq!((&container["User"], &container["ReadOnly"]), (&NOBODY.into(), &true.into()));
        assert_eq!(container["CapabilityDrop"][0], "ALL");
        assert_eq!(json["Labels"]["dev.wsceiling.run"], "run");
    }

    #[test]
    fn a_task_that_cannot_run_says_why() {
        let task = |state, err: &str| Task {
            slot: Some(2),
            status: Some(TaskStatus { state: Some(state), err: Some(err.into()), ..TaskStatus::default() }),
            ..Task::default()
        };
        assert_eq!(ended(&task(TaskState::RUNNING, "")), None);
        let words = ended(&task(TaskState::REJECTED, "No such image: x")).unwrap();
        assert_eq!(words, "task 2 of the workers' service is rejected: No such image: x");
    }
}
