//! Why a launch did not happen.

use std::path::PathBuf;

use super::EngineStatus;

/// Why a launch did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LaunchError {
    /// Something it needs is missing: the trial is a row `skipped`.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// It was tried and failed: the trial is a row `failed to start`.
    #[error("{reason}")]
    Failed {
        /// What was attempted and how it failed.
        reason: String,
        /// Last lines of the log.
        log_tail: Vec<String>,
    },
}

impl LaunchError {
    /// It was tried and failed, and there is no log to quote.
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), log_tail: vec![] }
    }
}

/// What is missing, or not as it has to be. `Display` says what, [`Self::hint`] what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The container engine.
    #[error("{}", .0.reason())]
    Engine(EngineStatus),
    /// A swarm that takes the generator's workers.
    #[error("{0}")]
    Swarm(SwarmFault),
    /// A target that the matrix does not have.
    #[error("the matrix has no target `{0}`")]
    Target(String),
    /// The process of a target that is to run bare.
    #[error("target `{0}` has no process to run bare")]
    Process(String),
    /// An image that the engine neither has nor can pull.
    #[error("image `{reference}` is not known to the engine and cannot be pulled: {why}")]
    Image {
        /// Its reference.
        reference: String,
        /// The engine's answer.
        why: String,
    },
    /// The Dockerfile in a folder that an image is built from.
    #[error("there is no Dockerfile in {}", .0.display())]
    Dockerfile(PathBuf),
    /// A program that is not on PATH.
    #[error("program `{0}` is not on PATH")]
    Program(String),
    /// A file that has to be a program.
    #[error("program {} {why}", path.display())]
    ProgramFile {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it: `is not executable`.
        why: String,
    },
    /// cargo, for a target that is a package.
    #[error("target `{0}` is a cargo package and cargo is not on PATH")]
    Cargo(String),
    /// The user that an instance is to run as.
    #[error("this machine has no user `{0}`")]
    User(String),
    /// The right to run an instance as another user.
    #[error("only root can run an instance as user `{0}`")]
    Root(String),
    /// The program of a front, which is not on PATH.
    #[error("{program} is not on PATH")]
    Proxy {
        /// Its name.
        program: String,
        /// The name that its kind has by default.
        usual: &'static str,
        /// What to do where the usual one is missing.
        install: &'static str,
    },
    /// The program of a front, given as a path.
    #[error("program {} of front `{front}` is not there", path.display())]
    ProxyFile {
        /// The path.
        path: PathBuf,
        /// Name of the front.
        front: String,
    },
    /// Ports that a front asks for.
    #[error("front `{front}` asks for {ports} ports, the range has {} to {}", range.0, range.1)]
    Ports {
        /// Name of the front.
        front: String,
        /// How many it asks for.
        ports: u32,
        /// First and last port of the machine's range.
        range: (u16, u16),
    },
}

/// Why an engine's swarm takes no workers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwarmFault {
    /// The engine is in none.
    #[error("the Docker engine is in no swarm")]
    NoSwarm,
    /// The engine is a worker of its swarm.
    #[error("the Docker engine is no manager of its swarm")]
    NotManager,
    /// The swarm waits for its key.
    #[error("the swarm of the Docker engine is locked")]
    Locked,
    /// The swarm does not work.
    #[error("the swarm of the Docker engine does not work{}", if why.is_empty() { String::new() } else { format!(": {why}") })]
    Broken {
        /// What the engine says; empty: nothing.
        why: String,
    },
    /// Other nodes cannot get the image.
    #[error("the swarm has {nodes} nodes, and no registry is named from which they could take the workers' image")]
    NoRegistry {
        /// Nodes that take tasks.
        nodes: usize,
    },
}

impl SwarmFault {
    /// What to do about it.
    fn hint(&self) -> &'static str {
        match self {
            Self::NoSwarm => {
                "make one of this machine with `docker swarm init`, or let the workers run elsewhere (`workers_in`)"
            }
            Self::NotManager => {
                "run this on a manager (`docker node ls` lists them), or `docker node promote` this node there"
            }
            Self::Locked => "unlock it with `docker swarm unlock`",
            Self::Broken { .. } => "look at `docker node ls`; more than half of the managers have to be there",
            Self::NoRegistry { .. } => {
                "run a registry that every node reaches, and name a repository in it: `registry = \"HOST:5000/wsceiling\"` \
                 in [load], or `--registry`"
            }
        }
    }
}

impl Missing {
    /// What to do about it.
    pub fn hint(&self) -> String {
        let hint = match self {
            Self::Engine(status) => status.hint(),
            Self::Swarm(fault) => fault.hint(),
            Self::User(_) => "use the name of a user in /etc/passwd, for example `nobody`",
            Self::Root(_) => "run the harness as root, or leave `user` out",
            Self::Target(_) => "declare it as [targets.NAME.process]",
            Self::Process(target) => {
                return format!("add [targets.{target}.process], or run it only with the runtime `docker`");
            }
            Self::Image { reference, .. } => {
                return format!("check the name, or get it with: docker pull {reference}");
            }
            Self::Dockerfile(_) => "`build` is the folder of a Dockerfile, relative to the matrix file",
            Self::Program(program) => return format!("install {program}, or leave its target out of the axes"),
            Self::ProgramFile { .. } => {
                "a path with a `/` is taken relative to the matrix file; build the program first"
            }
            Self::Cargo(_) => "install Rust from https://rustup.rs, or give the target a `program`",
            Self::Proxy { program, usual, install } if program == usual => install,
            Self::Proxy { usual, .. } => return format!("install it, or leave `program` out to use {usual}"),
            Self::ProxyFile { .. } => "a path with a `/` is taken relative to the matrix file",
            Self::Ports { .. } => "lower `ports`, or widen net.ipv4.ip_local_port_range",
        };
        hint.to_owned()
    }
}
