//! Instances as processes of the host.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, User, geteuid, getppid};

use super::cgroup_parent::CgroupParent;
use super::io_error::describe;
use super::label::{ENV_HARNESS, ENV_RUN, Stamp, cgroup_name};
use super::nofile::Nofile;
use super::own_cgroup::OwnCgroup;
use super::placeholder::Placeholders;
use super::sockets::SocketFolder;
use super::spawner::on_spawner;
use super::{LaunchContext, LaunchError, Launched, Missing, log, ports};
use wsceiling_machine::cgroup::Cgroup;
use wsceiling_model::matrix::{ProcessSpec, Size};
use wsceiling_model::record::{AppliedLimit, Exit};

/// Longest wait for the kernel to end a process that got SIGKILL.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// Longest wait for the port that a server has in its code: the one before it may still be ending.
const PORT_WAIT: Duration = Duration::from_secs(3);

/// A process, its process group and its cgroup; all of it ends when this is dropped.
#[derive(Debug)]
pub struct BareInstance {
    /// What verification, driving and sampling know of it.
    pub launched: Launched,
    pid: Pid,
    own: Option<OwnCgroup>,
    ended: Arc<OnceLock<Exit>>,
    requested: bool,
    reaped: bool,
    /// Folder of its socket, which goes with the last instance.
    _sockets: Option<Arc<SocketFolder>>,
    /// Dropped after the cgroup: on v2 the last holder switches the controllers off, and with them the limits.
    _cgroup_parent: Arc<CgroupParent>,
}

/// What is to be started; everything is resolved.
#[derive(Debug)]
pub(super) struct Start {
    pub index: u32,
    pub address: SocketAddr,
    pub sockets: Option<Arc<SocketFolder>>,
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub folder: PathBuf,
    pub log: PathBuf,
    pub cgroup_name: String,
    pub size: Option<Size>,
    pub cpus: Vec<u32>,
    pub epoch: Instant,
    pub binary_sha256: Option<String>,
    /// User and group that it runs as; `None`: those of the harness.
    pub user: Option<(u32, u32)>,
}

/// Starts the instances of a cell, one right after the other.
pub async fn launch(
    ctx: &LaunchContext<'_>,
    spec: &ProcessSpec,
    program: &Path,
    folder: &Path,
    sha256: Option<String>,
    cgroup_parent: &Arc<CgroupParent>,
) -> Result<Vec<BareInstance>, LaunchError> {
    let user = spec.user.as_deref().map(user).transpose()?;
    let reserved = match spec.port {
        None => ports::reserve(ctx.cell.instances as usize).map_err(|error| error.to_string()),
        Some(port) => ports::wait_for(port, PORT_WAIT).await.map(|port| vec![port]),
    };
    let reserved = reserved.map_err(LaunchError::failed)?;
    let sockets = if spec.listens_on_socket() {
        let folder = SocketFolder::create()
            .map_err(|error| LaunchError::failed(format!("cannot make a folder for sockets: {error}")))?;
        if let (Some((user, group)), Some(path)) = (user, folder.socket(0).parent()) {
            std::os::unix::fs::chown(path, Some(user), Some(group))
                .map_err(|error| LaunchError::failed(format!("cannot give the folder for sockets away: {error}")))?;
        }
        Some(Arc::new(folder))
    } else {
        None
    };
    let mut instances = Vec::new();
    for (index, port) in (0..).zip(reserved) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.port));
        let socket = sockets.as_ref().map(|folder| folder.socket(index));
        let fill = Placeholders { listen: address, instance: index, socket: socket.as_deref() };
        let mut env: BTreeMap<_, _> = spec.env.iter().map(|(key, value)| (key.clone(), fill.fill(value))).collect();
        env.insert(ENV_RUN.to_owned(), ctx.run_id.to_owned());
        env.insert(ENV_HARNESS.to_owned(), Stamp::own().to_string());
        let start = Start {
            index,
            address,
            sockets: sockets.clone(),
            program: program.to_owned(),
            args: spec.args.iter().map(|arg| fill.fill(arg)).collect(),
            env,
            folder: folder.to_owned(),
            log: log::path(&ctx.logs, &ctx.name, index),
            cgroup_name: cgroup_name(ctx.run_id, &format!("{}-{index}", ctx.name)),
            size: ctx.matrix.size(ctx.cell).cloned(),
            cpus: ctx.cpus.clone(),
            epoch: ctx.epoch,
            binary_sha256: sha256.clone(),
            user,
        };
        instances.push(self::start(start, vec![port], cgroup_parent).await?);
    }
    Ok(instances)
}

/// The user and the group of a name.
fn user(name: &str) -> Result<(u32, u32), LaunchError> {
    let found = User::from_name(name).ok().flatten().ok_or_else(|| Missing::User(name.to_owned()))?;
    if !geteuid().is_root() && found.uid != geteuid() {
        return Err(Missing::Root(name.to_owned()).into());
    }
    Ok((found.uid.as_raw(), found.gid.as_raw()))
}

/// Starts one process; its ports are free only from the moment it starts.
pub(super) async fn start(
    start: Start,
    ports: Vec<ports::Reserved>,
    cgroup_parent: &Arc<CgroupParent>,
) -> Result<BareInstance, LaunchError> {
    let (log, cgroup_parent) = (start.log.clone(), Arc::clone(cgroup_parent));
    let started = on_spawner(move || {
        drop(ports);
        start.run(cgroup_parent)
    });
    let started = started.await.unwrap_or_else(|| Err("cannot start a thread for the instances".to_owned()));
    started.map_err(|reason| LaunchError::Failed { reason, log_tail: log::tail(&log, 20) })
}

impl Start {
    /// Starts the process. Runs on the spawner's thread.
    fn run(self, cgroup_parent: Arc<CgroupParent>) -> Result<BareInstance, String> {
        let nofile = Nofile::of(self.size.as_ref().and_then(|size| size.nofile), "rlimit");
        let (own, mut limits) = OwnCgroup::create(&cgroup_parent, &self.cgroup_name, self.size.as_ref());
        let mut own = own;
        let mut child = match &own {
            Some(cgroup) => cgroup.procs_files().and_then(|files| self.spawn(files, nofile.value)),
            None => self.spawn(vec![], nofile.value),
        };
        if let (Err(error), true) = (&child, own.is_some()) {
            // A cgroup that can be made but not entered must not keep the target from running.
            let reason = format!("the instance could not enter its cgroup: {}", describe(error));
            child = self.spawn(vec![], nofile.value);
            if child.is_ok() {
                own = None;
                for limit in &mut limits {
                    *limit = AppliedLimit::not_enforced(&limit.name, limit.value, reason.clone());
                }
            }
        }
        let child = child.map_err(|error| format!("cannot start {}: {}", self.program.display(), describe(&error)))?;
        limits.extend(nofile.applied);
        let cgroup = own.as_ref().map(|own| own.cgroup.clone());
        let command = std::iter::once(self.program.display().to_string()).chain(self.args).collect();
        let launched = Launched {
            index: self.index,
            address: self.address,
            overlay: None,
            socket: self.sockets.as_ref().map(|folder| folder.socket(self.index)),
            pid: child,
            cgroup: cgroup.clone(),
            container: None,
            image: None,
            published: None,
            command,
            binary_sha256: self.binary_sha256,
            limits,
            log: self.log,
        };
        let pid = Pid::from_raw(child.cast_signed());
        let ended = Arc::new(OnceLock::new());
        let instance = BareInstance {
            launched,
            pid,
            own,
            ended: Arc::clone(&ended),
            requested: false,
            reaped: false,
            _sockets: self.sockets,
            _cgroup_parent: cgroup_parent,
        };
        std::thread::Builder::new()
            .name("wsceiling-wait".to_owned())
            .stack_size(64 * 1024)
            .spawn(move || watch(pid, cgroup.as_ref(), self.epoch, &ended))
            .map_err(|error| format!("cannot start a thread that waits for the instance: {}", describe(&error)))?;
        Ok(instance)
    }

    fn spawn(&self, procs_files: Vec<File>, nofile: u64) -> io::Result<u32> {
        let output = log::open(&self.log)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(&self.env)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0);
        if let Some((user, group)) = self.user {
            // As root this drops all other groups too.
            command.uid(user).gid(group);
        }
        let affinity = affinity(&self.cpus)?;
        let parent = Pid::this();
        let prepare = move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            if getppid() != parent {
                // The harness died between the fork and the line above, too early for the signal.
                return Err(io::Error::from(nix::errno::Errno::ESRCH));
            }
            for mut file in &procs_files {
                io::Write::write_all(&mut file, b"0")?;
            }
            setrlimit(Resource::RLIMIT_NOFILE, nofile, nofile)?;
            if let Some(set) = &affinity {
                sched_setaffinity(Pid::from_raw(0), set)?;
            }
            Ok(())
        };
        #[expect(unsafe_code, reason = "the closure only makes system calls and allocates nothing, as fork demands")]
        unsafe {
            command.pre_exec(prepare);
        }
        command.spawn().map(|child| child.id())
    }
}

fn affinity(cpus: &[u32]) -> io::Result<Option<CpuSet>> {
    if cpus.is_empty() {
        return Ok(None);
    }
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu as usize)?;
    }
    Ok(Some(set))
}

/// Waits for the process without reaping it: as long as it is a zombie, nobody else gets its number, and a signal to
/// its group cannot hit a stranger.
fn watch(pid: Pid, cgroup: Option<&Cgroup>, epoch: Instant, ended: &OnceLock<Exit>) {
    let status = loop {
        match waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return,
            Ok(status) => break status,
        }
    };
    let t_ms = epoch.elapsed().as_secs_f64() * 1e3;
    let (code, signal) = match status {
        WaitStatus::Exited(_, code) => (Some(code), None),
        WaitStatus::Signaled(_, signal, _) => (None, Some(signal as i32)),
        _ => (None, None),
    };
    let oom_killed = cgroup.and_then(Cgroup::oom_kills).map(|kills| kills > 0);
    let _ = ended.set(Exit { code, signal, oom_killed, requested: false, t_ms });
}

impl BareInstance {
    /// How it ended; `None`: it runs.
    pub fn exit(&self) -> Option<Exit> {
        self.ended.get().map(|exit| Exit { requested: self.requested, ..exit.clone() })
    }

    /// Asks the whole process group to end.
    pub fn terminate(&mut self) {
        if self.ended.get().is_none() {
            self.requested = true;
            let _ = killpg(self.pid, Signal::SIGTERM);
        }
    }

    /// Kills the process group and what else is in the cgroup, and takes the process out of the process table.
    pub fn kill(&mut self) {
        if self.reaped {
            return;
        }
        self.requested |= self.ended.get().is_none();
        let _ = killpg(self.pid, Signal::SIGKILL);
        let started = Instant::now();
        while self.ended.get().is_none() && started.elapsed() < KILL_WAIT {
            std::thread::sleep(Duration::from_millis(1));
        }
        // Only what has ended is waited for: a process that the kernel cannot end must not hang the harness.
        let _ = waitpid(self.pid, Some(WaitPidFlag::WNOHANG));
        self.reaped = true;
        if let Some(own) = self.own.take() {
            own.kill();
        }
    }
}

impl Drop for BareInstance {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ends the instances: SIGTERM to all, up to `grace` for them to go, then SIGKILL.
pub async fn stop(instances: &mut [BareInstance], grace: Duration) {
    for instance in instances.iter_mut() {
        instance.terminate();
    }
    let started = Instant::now();
    while instances.iter().any(|instance| instance.exit().is_none()) && started.elapsed() < grace {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for instance in instances {
        instance.kill();
    }
}
