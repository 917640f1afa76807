//! Starting one stage of a front, bare or as a container.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::super::bare::{self, Start};
use super::super::docker::{ContainerPlan, Extra};
use super::super::label::{ENV_HARNESS, ENV_RUN, PREFIX, Stamp, cgroup_name, safe_name};
use super::super::{LaunchContext, LaunchError, Launcher, log, ports};
use super::{FrontLaunched, Part, Prepared, Setup, haproxy, nginx, relay};
use wsceiling_model::matrix::{Front, FrontKind, Runtime, Size};

/// Port of a front inside its container, and of haproxy's counters.
const PORT_INSIDE: u16 = 8000;
const STATS_INSIDE: u16 = 8001;
/// Where a container has its configuration, and where it may write.
const CONFIG_INSIDE: &str = "/front/front.conf";
const SCRATCH_INSIDE: &str = "/tmp";
/// Longest wait for a balancer to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(5);

/// Starts a stage; folders that it writes to are added to `scratch`.
pub(super) async fn stage(
    launcher: &mut Launcher,
    ctx: &LaunchContext<'_>,
    front: &Front,
    kind: &str,
    index: u32,
    upstreams: &[SocketAddr],
    scratch: &mut Vec<PathBuf>,
) -> Result<(FrontLaunched, Part), LaunchError> {
    let prepared =
        launcher.prepared(front).cloned().ok_or_else(|| LaunchError::failed(format!("{kind} was not prepared")))?;
    let stage = Stage { front, kind, index, upstreams, prepared, size: size(ctx, front) };
    match ctx.cell.runtime {
        Runtime::Bare => bare_stage(launcher, ctx, stage, scratch).await,
        Runtime::Docker => docker_stage(launcher, ctx, stage).await,
    }
}

/// Waits until something listens, so that a proxy does not begin with a refusal. Whether it answers is found out later.
pub(super) async fn listening(address: SocketAddr) {
    let started = Instant::now();
    while started.elapsed() < LISTENS_WITHIN && tokio::net::TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

struct Stage<'a> {
    front: &'a Front,
    kind: &'a str,
    index: u32,
    upstreams: &'a [SocketAddr],
    prepared: Prepared,
    size: Size,
}

impl Stage<'_> {
    /// Configuration, where the program has one, and arguments.
    fn generate(&self, setup: &Setup<'_>, config: &str) -> (Option<String>, Vec<String>) {
        match self.front.kind {
            FrontKind::Nginx => (Some(nginx::config(setup)), nginx::args(config, setup)),
            FrontKind::Haproxy => (Some(haproxy::config(setup)), haproxy::args(config)),
            FrontKind::Relay | FrontKind::DockerPublish => (None, relay::args(setup, self.kind)),
        }
    }

    /// The source port range that the kernel gives to a pair where nothing else is asked for.
    fn range(&self) -> Result<(u16, u16), LaunchError> {
        let (low, high) = ports::ephemeral().unwrap_or((32_768, 60_999));
        let Some(ports) = self.front.ports else { return Ok((low, high)) };
        let last = u32::from(low) + ports - 1;
        u16::try_from(last).ok().filter(|last| *last <= high).map(|last| (low, last)).ok_or_else(|| {
            LaunchError::missing(
                format!("front `{}` asks for {ports} ports, the range has {low} to {high}", self.front.name),
                "lower `ports`, or widen net.ipv4.ip_local_port_range",
            )
        })
    }

    fn launched(&self, launched: super::Launched, more: More) -> FrontLaunched {
        let (first, last) = more.range;
        FrontLaunched {
            launched,
            kind: self.kind.to_owned(),
            version: self.prepared.version.clone(),
            config: more.config,
            upstreams: self.upstreams.to_vec(),
            sources: more.sources,
            ports_per_pair: Some(u64::from(last - first) + 1),
            stats: more.stats,
        }
    }
}

/// What a stage has beside what an instance has.
struct More {
    config: Option<PathBuf>,
    sources: Vec<IpAddr>,
    range: (u16, u16),
    stats: Option<SocketAddr>,
}

async fn bare_stage(
    launcher: &mut Launcher,
    ctx: &LaunchContext<'_>,
    stage: Stage<'_>,
    scratch: &mut Vec<PathBuf>,
) -> Result<(FrontLaunched, Part), LaunchError> {
    let mut reserved = ports::reserve(2).map_err(|error| LaunchError::failed(error.to_string()))?.into_iter();
    let (Some(port), Some(stats_port)) = (reserved.next(), reserved.next()) else {
        return Err(LaunchError::failed("no free port is left"));
    };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port.port));
    let stats = (stage.front.kind == FrontKind::Haproxy).then(|| (Ipv4Addr::LOCALHOST, stats_port.port).into());
    let (sources, range) = (sources(stage.front.sources), stage.range()?);
    let log = log::path(&ctx.logs, &name(ctx), stage.index);
    let folder = log.with_extension("tmp");
    let config = log.with_extension("conf");
    std::fs::create_dir_all(&folder)
        .map_err(|error| LaunchError::failed(format!("cannot make {}: {error}", folder.display())))?;
    scratch.push(folder.clone());
    let user = root_user();
    let setup = Setup {
        front: stage.front,
        listen,
        upstreams: stage.upstreams,
        sources: &sources,
        ports: stage.front.ports.map(|_| range),
        scratch: &folder,
        stats,
        user: user.as_deref(),
    };
    let (text, args) = stage.generate(&setup, &config.display().to_string());
    let config = keep(text, &config)?;
    let start = Start {
        index: stage.index,
        address: listen,
        sockets: None,
        program: stage.prepared.path.clone(),
        args,
        env: BTreeMap::from([
            (ENV_RUN.to_owned(), ctx.run_id.to_owned()),
            (ENV_HARNESS.to_owned(), Stamp::own().to_string()),
        ]),
        folder,
        log,
        cgroup_name: cgroup_name(ctx.run_id, &format!("{}-{}", name(ctx), stage.index)),
        size: Some(stage.size.clone()),
        cpus: ctx.cpus.clone(),
        epoch: ctx.epoch,
        binary_sha256: Some(stage.prepared.sha256.clone()),
    };
    let cgroup_parent = launcher.cgroup_parent();
    let instance = bare::start(start, vec![port, stats_port], &cgroup_parent).await?;
    let more = More { config, sources, range, stats };
    Ok((stage.launched(instance.launched.clone(), more), Part::Bare(Box::new(instance))))
}

async fn docker_stage(
    launcher: &mut Launcher,
    ctx: &LaunchContext<'_>,
    stage: Stage<'_>,
) -> Result<(FrontLaunched, Part), LaunchError> {
    let engine = launcher.engine_or_missing()?;
    let network = launcher.network(false).await?;
    let image =
        stage.prepared.image.clone().ok_or_else(|| LaunchError::failed(format!("{} has no image", stage.kind)))?;
    let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let haproxy = stage.front.kind == FrontKind::Haproxy;
    let range = match stage.front.ports {
        // A container has a range of its own.
        Some(ports) => (32_768, u16::try_from(32_767 + ports).unwrap_or(u16::MAX)),
        None => (32_768, 60_999),
    };
    let setup = Setup {
        front: stage.front,
        listen: any(PORT_INSIDE),
        upstreams: stage.upstreams,
        sources: &[],
        ports: None,
        scratch: Path::new(SCRATCH_INSIDE),
        stats: haproxy.then(|| any(STATS_INSIDE)),
        user: None,
    };
    let (text, args) = stage.generate(&setup, CONFIG_INSIDE);
    let log = log::path(&ctx.logs, &name(ctx), stage.index);
    let config = keep(text.clone(), &log.with_extension("conf"))?;
    let mut env = vec![format!("{ENV_RUN}={}", ctx.run_id)];
    env.extend(image.path.iter().map(|path| format!("PATH={path}")));
    let words = |(first, last): (u16, u16)| format!("{first} {last}");
    let plan = ContainerPlan {
        index: stage.index,
        name: format!("{PREFIX}{}", safe_name(&format!("{}-{}-{}", ctx.run_id, name(ctx), stage.index))),
        run_id: ctx.run_id.to_owned(),
        image: image.image.id.clone(),
        digest: image.image.digest.clone(),
        program: Some(stage.prepared.path.clone()),
        args,
        env,
        folder: PathBuf::from("/"),
        tmp: true,
        port: PORT_INSIDE,
        network,
        size: Some(stage.size.clone()),
        cpus: ctx.cpus.clone(),
        epoch: ctx.epoch,
        log,
        binary_sha256: Some(stage.prepared.sha256.clone()),
        extra: Extra {
            files: text.map(|text| vec![(CONFIG_INSIDE.to_owned(), text)]).unwrap_or_default(),
            sysctls: vec![("net.ipv4.ip_local_port_range".to_owned(), words(range))],
            publish: false,
            attached: false,
        },
    };
    let gone = || LaunchError::failed(format!("the image or the network of front `{}` is gone", stage.front.name));
    let containers = engine.start(vec![plan]).await.map_err(|error| error.unwrap_or_else(gone))?;
    let first = containers.launched().next().cloned().ok_or_else(gone)?;
    let stats = haproxy.then(|| SocketAddr::new(first.address.ip(), STATS_INSIDE));
    let more = More { config, sources: Vec::new(), range, stats };
    Ok((stage.launched(first, more), Part::Docker(Box::new(containers))))
}

/// Writes the configuration beside the log, for the record.
fn keep(text: Option<String>, path: &Path) -> Result<Option<PathBuf>, LaunchError> {
    let Some(text) = text else { return Ok(None) };
    std::fs::write(path, text)
        .map_err(|error| LaunchError::failed(format!("cannot write {}: {error}", path.display())))?;
    Ok(Some(path.to_owned()))
}

/// The front's own size, with its own descriptor limit.
fn size(ctx: &LaunchContext<'_>, front: &Front) -> Size {
    let named = front.size.as_ref().and_then(|name| ctx.matrix.sizes.get(name)).cloned();
    let mut size = named.unwrap_or_else(|| Size::unlimited(&front.name));
    size.nofile = front.nofile.or(size.nofile);
    size
}

/// Source addresses on loopback; another block for each launch, so that one does not meet the sockets of the last. One
/// address is left to the kernel.
fn sources(count: u32) -> Vec<IpAddr> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    if count <= 1 {
        return Vec::new();
    }
    let block = NEXT.fetch_add(1, Ordering::Relaxed) % 250;
    (1..=count.min(250)).map(|at| Ipv4Addr::new(127, 2, block as u8, at as u8).into()).collect()
}

/// The name of root, where the harness is root: nginx's workers would become another user, who cannot write here.
fn root_user() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(0)).ok().flatten();
    user.map(|user| user.name)
}

/// What a front's log, cgroup and container are called, before the number of the stage.
fn name(ctx: &LaunchContext<'_>) -> String {
    format!("{}-front", ctx.name)
}
