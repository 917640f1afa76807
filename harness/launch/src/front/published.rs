//! The engine's userland proxy as a front: each container's port is published on 127.0.0.1, and a process `docker-proxy`
//! of the engine passes every byte on.

use std::time::Instant;

use super::super::label::{Life, Stamp, stamp_of};
use wsceiling_model::record::Exit;

/// A process of the engine, which ends with its container.
#[derive(Debug)]
pub(super) struct Published {
    /// The process, where it can be seen; a stamp, since its number may become another's.
    stamp: Option<Stamp>,
    epoch: Instant,
    exit: Option<Exit>,
    stopping: bool,
}

impl Published {
    /// The process `pid`, of a trial that began at `epoch`.
    pub(super) fn new(pid: u32, epoch: Instant) -> Self {
        Self { stamp: stamp_of(pid), epoch, exit: None, stopping: false }
    }

    /// How it ended; nobody but the engine, its parent, learns its exit code.
    pub(super) fn exit(&mut self) -> Option<Exit> {
        if self.exit.is_none() && !self.stopping && self.stamp.is_some_and(|stamp| stamp.life() == Life::Gone) {
            let t_ms = self.epoch.elapsed().as_secs_f64() * 1e3;
            self.exit = Some(Exit { code: None, signal: None, oom_killed: None, requested: false, t_ms });
        }
        self.exit.clone()
    }

    /// From here on its end is no news: the containers are about to be stopped.
    pub(super) fn left_to_the_engine(&mut self) {
        self.exit();
        self.stopping = true;
    }
}

/// The `docker-proxy` that listens on a port of 127.0.0.1, with its command line; `None`: the engine uses none, or runs
/// where its processes cannot be seen.
pub(super) fn find(port: u16) -> Option<(u32, Vec<String>)> {
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter().find_map(|pid| {
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<String> = bytes
            .split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .filter(|word| !word.is_empty())
            .collect();
        is_proxy_of(&words, port).then_some((pid, words))
    })
}

fn is_proxy_of(words: &[String], port: u16) -> bool {
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    words.first().is_some_and(|program| program.ends_with("docker-proxy"))
        && value("-host-port").is_some_and(|value| *value == port.to_string())
        && value("-proto").is_none_or(|proto| proto == "tcp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_userland_proxy_is_known_by_its_port() {
        let line = "/usr/sbin/docker-proxy -proto tcp -host-ip 127.0.0.1 -host-port 49153 -container-ip 172.18.0.2";
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        assert!(is_proxy_of(&words, 49153));
        assert!(!is_proxy_of(&words, 4915));
        assert!(!is_proxy_of(&words[1..], 49153));
        assert!(!is_proxy_of(&[], 1));
    }
}
