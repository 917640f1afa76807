//! Workers of the generator as tasks of a Docker Swarm service. They are the harness's own program, packed like a target, and
//! dial the coordinator, for nothing can be attached to a task on another node.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::docker::{LocalTask, Overlay, Service, ServicePlan, Swarm, swarm_name};
use super::error::SwarmFault;
use super::label::{ENV_NODE, ENV_SLOT};
use super::launcher::Launcher;
use super::nofile::Nofile;
use super::prepared::Program;
use super::workers::IMAGE;
use super::{LaunchContext, LaunchError, Missing};
use wsceiling_machine::cgroup::Cgroup;
use wsceiling_model::matrix::WorkersIn;

/// What the engine fills in for each task (Go templates of `docker service create`).
const NODE: &str = "{{.Node.Hostname}}";
const SLOT: &str = "{{.Task.Slot}}";

/// What is made once for a run whose workers are in a swarm.
#[derive(Debug, Clone)]
pub(super) struct SwarmReady {
    swarm: Swarm,
    /// Address of this machine that the tasks dial.
    address: IpAddr,
    /// The image, as the service names it.
    image: String,
    program: Program,
}

/// Workers to start.
#[derive(Debug, Clone)]
pub struct SwarmRequest {
    /// Of the launch: `<trial id>.<launch>`.
    pub name: String,
    /// How many.
    pub tasks: u32,
    /// Arguments of the program.
    pub args: Vec<String>,
    /// More of its environment, `NAME=value`.
    pub env: Vec<String>,
    /// CPUs of each; `None`: no limit.
    pub cpus: Option<f64>,
    /// They join the overlay network that the instances are on.
    pub beside_instances: bool,
}

/// Workers in a swarm. The service goes when this is dropped.
#[derive(Debug)]
pub struct SwarmWorkers {
    service: Service,
    node_id: String,
    local: Vec<LocalTask>,
}

impl SwarmWorkers {
    /// Resolves when a task has ended, which before the load is a failure.
    pub async fn failure(&self) -> LaunchError {
        self.service.failure().await
    }

    /// Why tasks have not started, where the swarm says so.
    pub async fn waits_for(&self) -> Option<String> {
        self.service.waits_for().await
    }

    /// What became of a worker, by its index, where the swarm knows.
    pub async fn end_of(&self, worker: u32) -> Option<String> {
        self.service.end_of(worker + 1).await
    }

    /// Finds out which of the tasks run on this node, and as which processes.
    pub async fn find_local(&mut self) {
        self.local = self.service.local(&self.node_id).await;
    }

    /// The process on this host of a worker, by its index, once that was found out; `None`: it runs elsewhere.
    pub fn pid(&self, worker: u32) -> Option<u32> {
        self.local.iter().find(|task| task.slot == worker + 1).map(|task| task.pid)
    }

    /// Ids of the containers on this node.
    pub fn containers(&self) -> Vec<String> {
        self.local.iter().map(|task| task.container.clone()).collect()
    }

    /// Cgroups of those containers, where all of them are known.
    pub fn cgroups(&self) -> Vec<Cgroup> {
        let all: Option<Vec<Cgroup>> = self.local.iter().map(|task| task.cgroup.clone()).collect();
        all.unwrap_or_default()
    }

    /// Removes the service once its tasks have ended, or `grace` is over.
    pub async fn stop(&mut self, grace: Duration) {
        self.service.stop(grace).await;
    }
}

impl Launcher {
    /// Makes ready what workers in a swarm need: the swarm is there, and every node can get the image. `registry` is where it
    /// is pushed to.
    ///
    /// # Errors
    /// [`Missing::Swarm`] where there is no swarm to use.
    pub async fn prepare_swarm(&mut self, registry: Option<&str>) -> Result<IpAddr, LaunchError> {
        if let Some(ready) = &self.swarm {
            return Ok(ready.address);
        }
        let engine = self.engine_or_missing()?;
        let swarm = engine.swarm().await?;
        if swarm.nodes > 1 && registry.is_none() {
            return Err(Missing::Swarm(SwarmFault::NoRegistry { nodes: swarm.nodes }).into());
        }
        let address = engine.address_for_tasks(&swarm).await?;
        let program = Program::own()?;
        let image = self.pack(IMAGE, &program.path, &[], Path::new("/")).await?.image;
        let image = match registry {
            Some(registry) => engine.push(&image, registry).await?,
            // Of an id the engine knows that there is nothing to pull.
            None => image.id,
        };
        self.swarm = Some(SwarmReady { swarm, address, image, program });
        Ok(address)
    }

    /// Nodes of the swarm that take tasks, once [`Launcher::prepare_swarm`] has looked.
    pub fn swarm_nodes(&self) -> Option<u32> {
        self.swarm.as_ref().map(|ready| ready.swarm.nodes as u32)
    }

    /// Starts workers in the swarm, which [`Launcher::prepare_swarm`] has made ready. They run when they have dialled.
    ///
    /// # Errors
    /// When the swarm takes no such service.
    pub async fn swarm_workers(&mut self, request: SwarmRequest) -> Result<SwarmWorkers, LaunchError> {
        let ready = self.swarm.clone().ok_or_else(|| LaunchError::failed("the swarm was not made ready"))?;
        let engine = self.engine_or_missing()?;
        let mut networks = vec![self.overlay(Overlay::Control).await?];
        if request.beside_instances {
            networks.push(self.overlay(Overlay::Load).await?);
        }
        let mut env = request.env;
        env.extend([format!("{ENV_NODE}={NODE}"), format!("{ENV_SLOT}={SLOT}")]);
        let command = [ready.program.path.display().to_string()].into_iter().chain(request.args).collect();
        let plan = ServicePlan {
            name: swarm_name(&format!("{}-{}", self.run_id, request.name), "workers"),
            run_id: self.run_id.clone(),
            image: ready.image,
            command,
            env,
            tasks: request.tasks,
            networks,
            cpus: request.cpus,
            nofile: Nofile::of(None, "docker").value,
        };
        let service = engine.start_service(plan).await?;
        Ok(SwarmWorkers { service, node_id: ready.swarm.node_id, local: Vec::new() })
    }

    /// The overlay network that servers of a cell join, where its workers are tasks of a swarm.
    pub(super) async fn load_overlay(&mut self, ctx: &LaunchContext<'_>) -> Result<Option<String>, LaunchError> {
        if ctx.matrix.load.workers_in != Some(WorkersIn::Swarm) {
            return Ok(None);
        }
        self.overlay(Overlay::Load).await.map(Some)
    }

    /// An overlay network of the run, made when it is first needed.
    async fn overlay(&mut self, overlay: Overlay) -> Result<String, LaunchError> {
        if let Some(id) = self.overlays.get(&overlay) {
            return Ok(id.clone());
        }
        let id = self.engine_or_missing()?.create_overlay(&self.run_id, overlay).await?;
        self.overlays.insert(overlay, id.clone());
        Ok(id)
    }
}
