//! The cgroup that keeps the generator's workers to a CPU quota.

use std::io::Write as _;

use super::Launcher;
use super::label::cgroup_name;
use super::own_cgroup::OwnCgroup;
use wsceiling_model::matrix::Size;

impl Launcher {
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
