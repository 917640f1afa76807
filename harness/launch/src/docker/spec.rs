//! What a container is to be, what the engine is asked to create for it, and how it says that it applied the limits.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, ResourcesUlimits};

use super::super::nofile::Nofile;
use super::super::own_cgroup::CPU_PERIOD_US;
use super::extra::bindings;
use super::labels;
use wsceiling_model::matrix::Size;
use wsceiling_model::record::AppliedLimit;

/// User of packed programs: nobody, by number, for the image has no `/etc/passwd`.
pub const NOBODY: &str = "65534:65534";

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
    /// Overlay network of a swarm that it is in as well.
    pub overlay: Option<String>,
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

/// A container without any right: nobody's, a read-only root, no capability. An image of the user's own keeps the user
/// and the root that it was made for.
pub fn body(plan: &ContainerPlan, nofile: Option<&Nofile>) -> ContainerCreateBody {
    let size = plan.size.as_ref();
    let memory = size.and_then(|size| size.memory_bytes).map(u64::cast_signed);
    let packed = plan.program.as_ref();
    let cpus: Vec<_> = plan.cpus.iter().map(u32::to_string).collect();
    let map = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let host = HostConfig {
        // A quota and not `NanoCpus`: the engine refuses more of those than the machine has, and bare takes any number.
        cpu_period: size.and_then(|size| size.cpus).map(|_| CPU_PERIOD_US.cast_signed()),
        cpu_quota: size.and_then(|size| size.cpus).map(|cpus| (cpus * CPU_PERIOD_US as f64).round() as i64),
        cpuset_cpus: (!cpus.is_empty()).then(|| cpus.join(",")),
        memory,
        memory_swap: memory,
        pids_limit: size.and_then(|size| size.pids).map(u64::cast_signed),
        ulimits: nofile.map(|nofile| {
            let value = Some(nofile.value.cast_signed());
            vec![ResourcesUlimits { name: Some("nofile".to_owned()), soft: value, hard: value }]
        }),
        network_mode: Some(plan.network.clone()),
        log_config: Some(if plan.extra.attached {
            HostConfigLogConfig { typ: Some("none".to_owned()), config: None }
        } else {
            HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(map(&[("max-size", "64m")])) }
        }),
        privileged: Some(false),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        cap_drop: packed.map(|_| vec!["ALL".to_owned()]),
        // Files cannot be put into a root that is read-only.
        readonly_rootfs: packed.map(|_| plan.extra.files.is_empty()),
        sysctls: (!plan.extra.sysctls.is_empty()).then(|| plan.extra.sysctls.iter().cloned().collect()),
        port_bindings: plan.extra.publish.then(|| bindings(plan.port)),
        tmpfs: plan.tmp.then(|| map(&[("/tmp", "rw,nosuid,nodev,noexec,size=16m,mode=1777")])),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(plan.image.clone()),
        entrypoint: packed.map(|program| vec![program.display().to_string()]),
        cmd: (packed.is_some() || !plan.args.is_empty()).then(|| plan.args.clone()),
        env: Some(plan.env.clone()),
        user: packed.map(|_| NOBODY.to_owned()),
        working_dir: packed.map(|_| plan.folder.display().to_string()),
        // Once: when the harness dies its end of the line is closed, and the worker ends.
        open_stdin: Some(plan.extra.attached),
        stdin_once: Some(plan.extra.attached),
        attach_stdin: Some(plan.extra.attached),
        labels: Some(labels(&plan.run_id)),
        exposed_ports: plan.extra.publish.then(|| bindings(plan.port).into_keys().collect()),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

/// How the engine applied the limits: it drops those that the kernel does not have, with a warning.
pub fn applied(size: Option<&Size>, warnings: &[String]) -> Vec<AppliedLimit> {
    let Some(size) = size else { return vec![] };
    let number = |value: Option<u64>| value.map(|value| value as f64);
    [
        ("cpus", size.cpus, ["CPU CFS", "CPU quota"]),
        ("memory_bytes", number(size.memory_bytes), ["memory limit capabilities", "Memory limit is not"]),
        ("pids", number(size.pids), ["PIDs limit", "pids limit"]),
    ]
    .into_iter()
    .filter_map(|(name, value, signs)| {
        let value = value?;
        let warning = warnings.iter().find(|warning| signs.iter().any(|sign| warning.contains(sign)));
        Some(match warning {
            Some(warning) => AppliedLimit::not_enforced(name, value, warning.clone()),
            None => AppliedLimit::enforced(name, value, "docker"),
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_the_engine_dropped_is_not_enforced() {
        let size = Size { cpus: Some(1.0), memory_bytes: Some(1 << 26), pids: Some(9), ..Size::unlimited("s") };
        let warnings = [
            "Your kernel does not support CPU CFS quota/period or the cgroup is not mounted. Quota discarded.".to_owned(),
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap."
                .to_owned(),
        ];
        let limits = applied(Some(&size), &warnings);
        let by: Vec<_> = limits.iter().map(|limit| limit.enforced_by.as_deref()).collect();
        assert_eq!(by, [None, Some("docker"), Some("docker")]);
        assert!(limits[0].reason.as_deref().unwrap().contains("Quota discarded"));
        assert!(applied(None, &warnings).is_empty());
    }
}
