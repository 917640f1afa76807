//! The launcher of a run: builds, packs and probes once, launches many times.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use super::cgroup_parent::CgroupParent;
use super::docker::{ContainerPlan, Engine, Extra, ImageReady, Overlay, Whose};
use super::label::{PREFIX, safe_name};
use super::placeholder::Placeholders;
use super::prepared::{ImageToRun, Program, ProxyProgram};
use super::swarm_workers::SwarmReady;
use super::{EngineStatus, Group, LaunchContext, LaunchError, Missing, bare, log, program};
use wsceiling_model::matrix::{DockerSpec, FrontKind, Image, Matrix, ProcessSpec, Runtime, Target, WorkersIn};

/// Port that packed programs listen on: each container has an address of its own.
const PORT_INSIDE: u16 = 9000;

/// Launches the instances of a run's cells. One lives as long as the run.
#[derive(Debug)]
pub struct Launcher {
    pub(super) folder: PathBuf,
    pub(super) run_id: String,
    engine: Result<Engine, EngineStatus>,
    cgroup_parent: Option<Arc<CgroupParent>>,
    programs: BTreeMap<String, Program>,
    images: BTreeMap<String, ImageToRun>,
    /// The image of the generator's workers, once it is needed.
    pub(super) worker_image: Option<(ImageReady, Program)>,
    /// What workers in a swarm need, once that is made ready.
    pub(super) swarm: Option<SwarmReady>,
    /// Ids of the overlay networks that were made.
    pub(super) overlays: BTreeMap<Overlay, String>,
    pub(super) network: Option<String>,
    /// The network of instances whose ports are published, which an internal one cannot do.
    published_network: Option<String>,
    /// Programs of fronts.
    pub(super) fronts: BTreeMap<String, ProxyProgram>,
    /// Something was asked of the engine that may have to be undone.
    engine_used: bool,
}

/// Networks of a cell's instances.
struct Networks {
    /// By which this machine reaches them.
    own: String,
    /// By which workers in a swarm do.
    overlay: Option<String>,
}

impl Launcher {
    /// A launcher for a run. Looks for the engine only where a cell runs in it, and never fails: what is missing shows
    /// when it is needed.
    pub async fn new(matrix: &Matrix, run_id: &str, progress: &(dyn Fn(&str) + Sync)) -> Self {
        let swarm = matrix.load.workers_in == Some(WorkersIn::Swarm);
        let engine = if swarm || matrix.cells.iter().any(|cell| cell.runtime == Runtime::Docker) {
            progress("looking for the Docker engine");
            Engine::connect().await
        } else {
            Err(EngineStatus::NotNeeded)
        };
        let folder = std::path::absolute(&matrix.folder).unwrap_or_else(|_| matrix.folder.clone());
        let folder = folder.canonicalize().unwrap_or(folder);
        Self::with(engine, folder, run_id)
    }

    /// A launcher of workers alone, for servers that somebody else started.
    pub async fn of_workers(run_id: &str) -> Self {
        Self::with(Engine::connect().await, PathBuf::from("/"), run_id)
    }

    fn with(engine: Result<Engine, EngineStatus>, folder: PathBuf, run_id: &str) -> Self {
        Self {
            folder,
            run_id: run_id.to_owned(),
            engine,
            cgroup_parent: None,
            programs: BTreeMap::new(),
            images: BTreeMap::new(),
            worker_image: None,
            swarm: None,
            overlays: BTreeMap::new(),
            network: None,
            published_network: None,
            fronts: BTreeMap::new(),
            engine_used: false,
        }
    }

    /// Where a target lives: in the folder of the matrix file, or one of its own.
    fn folder_of(&self, target: &Target) -> PathBuf {
        let Some(own) = &target.folder else { return self.folder.clone() };
        let folder = self.folder.join(own);
        folder.canonicalize().unwrap_or(folder)
    }

    /// The engine, as it was found at the start.
    pub fn engine(&self) -> EngineStatus {
        match &self.engine {
            Ok(engine) => engine.status().clone(),
            Err(status) => status.clone(),
        }
    }

    /// SHA-256 of a target's program, hex, once it is prepared; `None`: it has none of its own.
    pub fn binary_sha256(&self, target: &str) -> Option<String> {
        self.programs.get(target).map(|program| program.sha256.clone())
    }

    /// Builds packages in one call of cargo. [`Launcher::prepare`] says what could not be built.
    pub async fn build(&self, packages: &BTreeSet<&str>) {
        // One alone is built when it is prepared.
        if packages.len() > 1 {
            program::build_together(packages, &self.folder).await;
        }
    }

    /// Does what a launch needs and what is done once: finds or builds the program, packs, pulls or builds the image.
    pub async fn prepare(&mut self, target: &Target, runtime: Runtime) -> Result<(), LaunchError> {
        match (runtime, &target.docker) {
            (Runtime::Bare, _) => self.prepare_program(target).await.map(drop),
            // Somebody else runs it.
            (Runtime::Remote, _) => Ok(()),
            (Runtime::Docker, Some(spec)) => self.prepare_own_image(target, spec).await,
            (Runtime::Docker, None) => self.prepare_packed(target).await,
        }
    }

    pub(super) fn engine_or_missing(&mut self) -> Result<Engine, LaunchError> {
        self.engine_used = true;
        self.engine.clone().map_err(|status| Missing::Engine(status).into())
    }

    async fn prepare_program(&mut self, target: &Target) -> Result<Program, LaunchError> {
        if let Some(program) = self.programs.get(&target.name) {
            return Ok(program.clone());
        }
        let spec = process_of(target)?;
        let folder = self.folder_of(target);
        program::make(&target.name, &spec.build, &folder).await?;
        let program = Program::at(program::find(&target.name, &spec.start, &folder).await?)?;
        self.programs.insert(target.name.clone(), program.clone());
        Ok(program)
    }

    async fn prepare_packed(&mut self, target: &Target) -> Result<(), LaunchError> {
        if self.images.contains_key(&target.name) {
            return Ok(());
        }
        self.engine_or_missing()?;
        let program = self.prepare_program(target).await?;
        let (files, folder) = (&process_of(target)?.files, self.folder_of(target));
        let image = self.pack(&target.name, &program.path, files, &folder).await?;
        self.images.insert(target.name.clone(), image);
        Ok(())
    }

    async fn prepare_own_image(&mut self, target: &Target, spec: &DockerSpec) -> Result<(), LaunchError> {
        if self.images.contains_key(&target.name) {
            return Ok(());
        }
        let engine = self.engine_or_missing()?;
        let image = match &spec.image {
            Image::Reference(reference) => engine.referenced_image(reference).await?,
            Image::Build(folder) => {
                engine.built_image(&target.name, &self.folder_of(target).join(folder), &self.run_id).await?
            }
        };
        self.images.insert(target.name.clone(), ImageToRun { image, path: None, tmp: false });
        Ok(())
    }

    /// Starts the instances of a cell. Returns once they run, which is before they listen.
    pub async fn launch(&mut self, ctx: &LaunchContext<'_>) -> Result<Group, LaunchError> {
        let target = ctx.matrix.targets.get(&ctx.cell.target);
        let target = target.ok_or_else(|| Missing::Target(ctx.cell.target.clone()))?;
        self.prepare(target, ctx.cell.runtime).await?;
        match ctx.cell.runtime {
            Runtime::Bare => self.launch_bare(ctx, target).await,
            Runtime::Remote => Err(Missing::Process(target.name.clone()).into()),
            Runtime::Docker => self.launch_docker(ctx, target).await,
        }
    }

    /// Where cgroups are made, looked for when the first is needed.
    pub(super) fn cgroup_parent(&mut self) -> Arc<CgroupParent> {
        Arc::clone(self.cgroup_parent.get_or_insert_with(|| Arc::new(CgroupParent::find())))
    }

    async fn launch_bare(&mut self, ctx: &LaunchContext<'_>, target: &Target) -> Result<Group, LaunchError> {
        let program = self.prepare_program(target).await?;
        let cgroup_parent = self.cgroup_parent();
        let (spec, folder) = (process_of(target)?, self.folder_of(target));
        let started = bare::launch(ctx, spec, &program.path, &folder, Some(program.sha256), &cgroup_parent);
        started.await.map(Group::bare)
    }

    async fn launch_docker(&mut self, ctx: &LaunchContext<'_>, target: &Target) -> Result<Group, LaunchError> {
        let engine = self.engine_or_missing()?;
        let published = ctx.matrix.front(ctx.cell).is_some_and(|front| front.kind == FrontKind::DockerPublish);
        let networks = Networks { own: self.network(published).await?, overlay: self.load_overlay(ctx).await? };
        match engine.start(self.containers(ctx, target, &networks)?).await {
            Ok(containers) => return Ok(Group::docker(containers)),
            Err(Some(error)) => return Err(error),
            Err(None) => {}
        }
        // Another run has made the same image, ended, and taken it along.
        self.images.remove(&target.name);
        self.prepare(target, Runtime::Docker).await?;
        match engine.start(self.containers(ctx, target, &networks)?).await {
            Ok(containers) => Ok(Group::docker(containers)),
            Err(error) => Err(error.unwrap_or_else(|| {
                LaunchError::failed(format!("the image or the network of target `{}` keeps going away", target.name))
            })),
        }
    }

    /// The run's network, made when it is first needed.
    pub(super) async fn network(&mut self, published: bool) -> Result<String, LaunchError> {
        let known = if published { &self.published_network } else { &self.network };
        if let Some(network) = known {
            return Ok(network.clone());
        }
        let made = self.engine_or_missing()?.create_network(&self.run_id, published).await;
        let network = made.map_err(LaunchError::failed)?;
        *if published { &mut self.published_network } else { &mut self.network } = Some(network.clone());
        Ok(network)
    }

    fn containers(
        &self,
        ctx: &LaunchContext<'_>,
        target: &Target,
        networks: &Networks,
    ) -> Result<Vec<ContainerPlan>, LaunchError> {
        let image = self
            .images
            .get(&target.name)
            .ok_or_else(|| LaunchError::failed(format!("target `{}` has no image", target.name)))?;
        let packed = if target.docker.is_none() { self.programs.get(&target.name) } else { None };
        let (args, env, port) = match &target.docker {
            Some(spec) => (&spec.args, &spec.env, spec.port),
            None => process_of(target).map(|spec| (&spec.args, &spec.env, spec.port.unwrap_or(PORT_INSIDE)))?,
        };
        let publish = ctx.matrix.front(ctx.cell).is_some_and(|front| front.kind == FrontKind::DockerPublish);
        let plan = |index: u32| {
            let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            let fill = Placeholders { listen, instance: index, socket: None };
            let mut env: Vec<_> = env.iter().map(|(name, value)| format!("{name}={}", fill.fill(value))).collect();
            env.extend(image.path.iter().map(|path| format!("PATH={path}")));
            ContainerPlan {
                index,
                name: format!("{PREFIX}{}", safe_name(&format!("{}-{}-{index}", self.run_id, ctx.name))),
                run_id: self.run_id.clone(),
                image: image.image.id.clone(),
                digest: image.image.digest.clone(),
                program: packed.map(|program| program.path.clone()),
                args: args.iter().map(|arg| fill.fill(arg)).collect(),
                env,
                folder: self.folder_of(target),
                tmp: image.tmp,
                port,
                network: networks.own.clone(),
                overlay: networks.overlay.clone(),
                size: ctx.matrix.size(ctx.cell).cloned(),
                cpus: ctx.cpus.clone(),
                epoch: ctx.epoch,
                log: log::path(&ctx.logs, &ctx.name, index),
                binary_sha256: packed.map(|program| program.sha256.clone()),
                extra: Extra { publish, ..Extra::default() },
            }
        };
        Ok((0..ctx.cell.instances).map(plan).collect())
    }

    /// Removes what the run has made at the engine: containers that are left, its network, its image tags.
    pub async fn finish(mut self) {
        let used = std::mem::take(&mut self.engine_used);
        if let (Ok(engine), true) = (&self.engine, used) {
            engine.sweep(&Whose::OwnRun(self.run_id.clone())).await;
        }
    }
}

impl Drop for Launcher {
    /// The same as [`Launcher::finish`], for a run that ended early.
    fn drop(&mut self) {
        if let (Ok(engine), true) = (&self.engine, self.engine_used) {
            engine.sweep_blocking(Whose::OwnRun(self.run_id.clone()));
        }
    }
}

/// How the engine of this machine is doing, for `doctor`.
pub async fn engine_status() -> EngineStatus {
    match Engine::connect().await {
        Ok(engine) => engine.status().clone(),
        Err(status) => status,
    }
}

fn process_of(target: &Target) -> Result<&ProcessSpec, Missing> {
    target.process.as_ref().ok_or_else(|| Missing::Process(target.name.clone()))
}
