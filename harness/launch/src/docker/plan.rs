//! What a container is to be.

use std::path::PathBuf;
use std::time::Instant;

use wsceiling_model::matrix::Size;

/// A container to start; everything is resolved.
#[derive(Debug, Clone)]
pub struct ContainerPlan {
    /// Index among the instances.
    pub index: u32,
    /// Name of the container.
    pub name: String,
    /// Id of the run.
    pub run_id: String,
    /// Id of the image.
    pub image: String,
    /// What is recorded as the image.
    pub digest: String,
    /// Entry point; `None`: the image's own, with the user, the folder and the rights that the image expects.
    pub program: Option<PathBuf>,
    /// Arguments.
    pub args: Vec<String>,
    /// Environment, `NAME=value`.
    pub env: Vec<String>,
    /// Working directory of a packed program.
    pub folder: PathBuf,
    /// Gets an empty `/tmp` to write to, 16 MiB of memory at most.
    pub tmp: bool,
    /// Port that the server listens on.
    pub port: u16,
    /// Network that the container is in.
    pub network: String,
    /// Limits.
    pub size: Option<Size>,
    /// CPUs; empty: any.
    pub cpus: Vec<u32>,
    /// Start of the trial.
    pub epoch: Instant,
    /// Log file.
    pub log: PathBuf,
    /// SHA-256 of the packed program.
    pub binary_sha256: Option<String>,
    /// What else it has.
    pub extra: Extra,
}

/// More of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extra {
    /// Files that are put into it before it starts, by absolute path. Its root can then be written to.
    pub files: Vec<(String, String)>,
    /// Kernel settings of its own namespaces.
    pub sysctls: Vec<(String, String)>,
    /// Its port is published on 127.0.0.1.
    pub publish: bool,
    /// Its standard input stays open, and its output goes to whoever attaches and to no log.
    pub attached: bool,
}
