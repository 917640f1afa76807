//! Workers of the generator: in containers, where they are the harness's own program, packed like a target, on the network
//! of the instances; and the cgroup that keeps them to a CPU quota.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::docker::{ContainerPlan, Containers, Extra, Streams};
use super::label::{PREFIX, cgroup_name, safe_name};
use super::launcher::Launcher;
use super::own_cgroup::OwnCgroup;
use super::prepared::Program;
use super::{LaunchContext, LaunchError, log};
use wsceiling_machine::cgroup::Cgroup;
use wsceiling_model::matrix::Size;

/// Name of the image's repository.
pub(super) const IMAGE: &str = "generator";

/// Workers that run in containers, which go when this is dropped.
pub struct Workers {
    containers: Containers,
    /// The line to each of them, until it is taken.
    pub lines: Vec<Streams>,
}

impl Workers {
    /// Ids of the containers.
    pub fn ids(&self) -> Vec<String> {
        self.containers.launched().filter_map(|launched| launched.container.clone()).collect()
    }

    /// Cgroups of the containers, where all of them are known.
    pub fn cgroups(&self) -> Vec<Cgroup> {
        let all: Option<Vec<Cgroup>> = self.containers.launched().map(|launched| launched.cgroup.clone()).collect();
        all.unwrap_or_default()
    }

    /// Ends and removes the containers; those that do not end by themselves within `grace` are killed.
    pub async fn stop(&mut self, grace: Duration) {
        let begun = std::time::Instant::now();
        while self.containers.exits().iter().any(Option::is_none) && begun.elapsed() < grace {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.containers.stop(Duration::ZERO).await;
    }
}

impl Launcher {
    /// Starts `count` workers on the network of the instances, which were launched before.
    pub async fn workers(&mut self, ctx: &LaunchContext<'_>, count: u32) -> Result<Workers, LaunchError> {
        let engine = self.engine_or_missing()?;
        let network = self.network.clone();
        let network =
            network.ok_or_else(|| LaunchError::failed("the instances have no network for the workers to join"))?;
        if self.worker_image.is_none() {
            let program = Program::own()?;
            let packed = self.pack(IMAGE, &program.path, &[], Path::new("/")).await?;
            self.worker_image = Some((packed.image, program));
        }
        let ready = self.worker_image.clone();
        let (image, program) = ready.ok_or_else(|| LaunchError::failed("the workers have no image"))?;
        let size = ctx.matrix.load.generator.cpus;
        let size = size.map(|cpus| Size { cpus: Some(cpus / f64::from(count.max(1))), ..Size::unlimited("generator") });
        let plan = |index: u32| {
            let name = format!("{}-{}-worker-{index}", self.run_id, ctx.name);
            ContainerPlan {
                index,
                name: format!("{PREFIX}{}", safe_name(&name)),
                run_id: self.run_id.clone(),
                image: image.id.clone(),
                digest: image.digest.clone(),
                program: Some(program.path.clone()),
                args: vec!["worker".to_owned()],
                env: vec![],
                folder: PathBuf::from("/"),
                tmp: false,
                port: 0,
                network: network.clone(),
                overlay: None,
                size: size.clone(),
                cpus: vec![],
                epoch: ctx.epoch,
                log: log::path(&ctx.logs, &format!("{}.worker", ctx.name), index),
                binary_sha256: Some(program.sha256.clone()),
                extra: Extra { attached: true, ..Extra::default() },
            }
        };
        let containers = engine.start((0..count).map(plan).collect()).await.map_err(|error| {
            error.unwrap_or_else(|| LaunchError::failed("the image of the generator's workers has gone away"))
        })?;
        let lines = containers.attach().await?;
        Ok(Workers { containers, lines })
    }

    /// Makes a cgroup with a quota of `cpus` CPUs and moves running processes into it.
    ///
    /// # Errors
    /// Why this machine has none, as a fragment of a sentence.
    pub fn generator_cgroup(&mut self, run_id: &str, name: &str, cpus: f64, pids: &[u32]) -> Result<OwnCgroup, String> {
        let size = Size { cpus: Some(cpus), ..Size::unlimited(name) };
        let (own, limits) = OwnCgroup::create(&self.cgroup_parent(), &cgroup_name(run_id, name), Some(&size));
        if let Some(limit) = limits.into_iter().find(|limit| limit.enforced_by.is_none()) {
            return Err(limit.reason.unwrap_or_else(|| "no cgroup can be made".to_owned()));
        }
        let own = own.ok_or("no cgroup can be made")?;
        for pid in pids {
            // A write to `cgroup.procs` moves one process.
            for mut file in own.procs_files().map_err(|error| format!("cannot enter its cgroup: {error}"))? {
                file.write_all(pid.to_string().as_bytes())
                    .map_err(|error| format!("cannot move process {pid} into its cgroup: {error}"))?;
            }
        }
        Ok(own)
    }
}
