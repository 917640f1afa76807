//! Starting one hop of a front, bare or as a container.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::super::bare::{self, Start};
use super::super::docker::{ContainerPlan, Extra};
use super::super::label::{ENV_HARNESS, ENV_RUN, PREFIX, Stamp, cgroup_name, safe_name};
use super::super::prepared::ProxyProgram;
use super::super::{LaunchContext, LaunchError, Launched, Launcher, Missing, log, ports};
use super::hop::{LaunchedHop, Running};
use super::proxy::{HopSettings, Proxy};
use super::proxy_of;
use super::relay::Relay;
use wsceiling_model::matrix::{Front, Runtime, Size};
use wsceiling_model::record::HopKind;

/// Port of a front inside its container, and of its counters.
const PORT_INSIDE: u16 = 8000;
const STATS_INSIDE: u16 = 8001;
/// Where a container has its configuration, and where it may write.
const CONFIG_INSIDE: &str = "/front/front.conf";
const SCRATCH_INSIDE: &str = "/tmp";
/// Longest wait for a balancer to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(5);

/// Starts a hop; folders that it writes to are added to `scratch`.
pub(super) async fn hop(
    launcher: &mut Launcher,
    ctx: &LaunchContext<'_>,
    front: &Front,
    kind: HopKind,
    upstreams: &[SocketAddr],
    scratch: &mut Vec<PathBuf>,
) -> Result<(LaunchedHop, Running), LaunchError> {
    let proxy: &dyn Proxy = match kind {
        HopKind::Proxy(kind) => proxy_of(kind).ok_or_else(|| LaunchError::failed(format!("{kind} is no program")))?,
        HopKind::Balancer => &Relay,
    };
    let prepared = launcher.prepared(front).cloned();
    let prepared = prepared.ok_or_else(|| LaunchError::failed(format!("{kind} was not prepared")))?;
    let index = u32::from(kind == HopKind::Balancer);
    let hop = Hop { front, kind, proxy, index, upstreams, prepared, size: size(ctx, front) };
    match ctx.cell.runtime {
        Runtime::Bare => start_bare(launcher, ctx, hop, scratch).await,
        Runtime::Remote => Err(Missing::Process(ctx.cell.target.clone()).into()),
        Runtime::Docker => start_container(launcher, ctx, hop).await,
    }
}

/// Waits until something listens, so that a proxy does not begin with a refusal. Whether it answers is found out later.
pub(super) async fn listening(address: SocketAddr) {
    let started = Instant::now();
    while started.elapsed() < LISTENS_WITHIN && tokio::net::TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

struct Hop<'a> {
    front: &'a Front,
    kind: HopKind,
    proxy: &'a dyn Proxy,
    /// Among the hops, in the order a connection passes them.
    index: u32,
    upstreams: &'a [SocketAddr],
    prepared: ProxyProgram,
    size: Size,
}

impl Hop<'_> {
    /// The source port range that the kernel gives to a pair where nothing else is asked for.
    fn range(&self) -> Result<(u16, u16), Missing> {
        let (low, high) = ports::ephemeral().unwrap_or((32_768, 60_999));
        let Some(ports) = self.front.ports else { return Ok((low, high)) };
        let last = u32::from(low) + ports - 1;
        let found = u16::try_from(last).ok().filter(|last| *last <= high).map(|last| (low, last));
        found.ok_or_else(|| Missing::Ports { front: self.front.name.clone(), ports, range: (low, high) })
    }

    fn launched(&self, launched: Launched, details: Details) -> LaunchedHop {
        let (first, last) = details.range;
        LaunchedHop {
            launched,
            kind: self.kind,
            version: self.prepared.version.clone(),
            config: details.config,
            upstreams: self.upstreams.to_vec(),
            sources: details.sources,
            ports_per_pair: Some(u64::from(last - first) + 1),
            stats: details.stats,
        }
    }
}

/// What a launched hop has beside what an instance has.
struct Details {
    config: Option<PathBuf>,
    sources: Vec<IpAddr>,
    range: (u16, u16),
    stats: Option<SocketAddr>,
}

async fn start_bare(
    launcher: &mut Launcher,
    ctx: &LaunchContext<'_>,
    hop: Hop<'_>,
    scratch: &mut Vec<PathBuf>,
) -> Result<(LaunchedHop, Running), LaunchError> {
    let mut reserved = ports::reserve(2).map_err(|error| LaunchError::failed(error.to_string()))?.into_iter();
    let (Some(port), Some(stats_port)) = (reserved.next(), reserved.next()) else {
        return Err(LaunchError::failed("no free port is left"));
    };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port.port));
    let stats = hop.proxy.has_stats().then(|| (Ipv4Addr::LOCALHOST, stats_port.port).into());
    let (sources, range) = (sources(hop.front.sources), hop.range()?);
    let log = log::path(&ctx.logs, &name(ctx), hop.index);
    let folder = log.with_extension("tmp");
    let config = log.with_extension("conf");
    std::fs::create_dir_all(&folder)
        .map_err(|error| LaunchError::failed(format!("cannot make {}: {error}", folder.display())))?;
    scratch.push(folder.clone());
    let user = root_user();
    let settings = HopSettings {
        kind: hop.kind,
        front: hop.front,
        listen,
        upstreams: hop.upstreams,
        sources: &sources,
        ports: hop.front.ports.map(|_| range),
        config: &config.display().to_string(),
        scratch: &folder,
        stats,
        user: user.as_deref(),
    };
    let args = hop.proxy.args(&settings);
    let config = keep(hop.proxy.config(&settings), &config)?;
    let start = Start {
        index: hop.index,
        address: listen,
        sockets: None,
        program: hop.prepared.program.path.clone(),
        args,
        env: BTreeMap::from([
            (ENV_RUN.to_owned(), ctx.run_id.to_owned()),
            (ENV_HARNESS.to_owned(), Stamp::own().to_string()),
        ]),
        folder,
        log,
        cgroup_name: cgroup_name(ctx.run_id, &format!("{}-{}", name(ctx), hop.index)),
        size: Some(hop.size.clone()),
        cpus: ctx.cpus.clone(),
        epoch: ctx.epoch,
        binary_sha256: Some(hop.prepared.program.sha256.clone()),
        user: None,
    };
    let cgroup_parent = launcher.cgroup_parent();
    let instance = bare::start(start, vec![port, stats_port], &cgroup_parent).await?;
    let details = Details { config, sources, range, stats };
    Ok((hop.launched(instance.launched.clone(), details), Running::Bare(Box::new(instance))))
}

async fn start_container(
    launcher: &mut Launcher,
    ctx: &LaunchContext<'_>,
    hop: Hop<'_>,
) -> Result<(LaunchedHop, Running), LaunchError> {
    let engine = launcher.engine_or_missing()?;
    let network = launcher.network(false).await?;
    // The first hop is the one that the load goes to.
    let overlay = if hop.index == 0 { launcher.load_overlay(ctx).await? } else { None };
    let image = hop.prepared.image.clone().ok_or_else(|| LaunchError::failed(format!("{} has no image", hop.kind)))?;
    let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let has_stats = hop.proxy.has_stats();
    let range = match hop.front.ports {
        // A container has a range of its own.
        Some(ports) => (32_768, u16::try_from(32_767 + ports).unwrap_or(u16::MAX)),
        None => (32_768, 60_999),
    };
    let settings = HopSettings {
        kind: hop.kind,
        front: hop.front,
        listen: any(PORT_INSIDE),
        upstreams: hop.upstreams,
        sources: &[],
        ports: None,
        config: CONFIG_INSIDE,
        scratch: Path::new(SCRATCH_INSIDE),
        stats: has_stats.then(|| any(STATS_INSIDE)),
        user: None,
    };
    let (text, args) = (hop.proxy.config(&settings), hop.proxy.args(&settings));
    let log = log::path(&ctx.logs, &name(ctx), hop.index);
    let config = keep(text.clone(), &log.with_extension("conf"))?;
    let mut env = vec![format!("{ENV_RUN}={}", ctx.run_id)];
    env.extend(image.path.iter().map(|path| format!("PATH={path}")));
    let words = |(first, last): (u16, u16)| format!("{first} {last}");
    let plan = ContainerPlan {
        index: hop.index,
        name: format!("{PREFIX}{}", safe_name(&format!("{}-{}-{}", ctx.run_id, name(ctx), hop.index))),
        run_id: ctx.run_id.to_owned(),
        image: image.image.id.clone(),
        digest: image.image.digest.clone(),
        program: Some(hop.prepared.program.path.clone()),
        args,
        env,
        folder: PathBuf::from("/"),
        tmp: true,
        port: PORT_INSIDE,
        network,
        overlay,
        size: Some(hop.size.clone()),
        cpus: ctx.cpus.clone(),
        epoch: ctx.epoch,
        log,
        binary_sha256: Some(hop.prepared.program.sha256.clone()),
        extra: Extra {
            files: text.map(|text| vec![(CONFIG_INSIDE.to_owned(), text)]).unwrap_or_default(),
            sysctls: vec![("net.ipv4.ip_local_port_range".to_owned(), words(range))],
            publish: false,
            attached: false,
        },
    };
    let gone = || LaunchError::failed(format!("the image or the network of front `{}` is gone", hop.front.name));
    let containers = engine.start(vec![plan]).await.map_err(|error| error.unwrap_or_else(gone))?;
    let first = containers.launched().next().cloned().ok_or_else(gone)?;
    let stats = has_stats.then(|| SocketAddr::new(first.address.ip(), STATS_INSIDE));
    let details = Details { config, sources: Vec::new(), range, stats };
    Ok((hop.launched(first, details), Running::Docker(Box::new(containers))))
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

/// What a front's log, cgroup and container are called, before the number of the hop.
fn name(ctx: &LaunchContext<'_>) -> String {
    format!("{}-front", ctx.name)
}
