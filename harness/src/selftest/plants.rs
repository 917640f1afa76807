//! The planted ceilings, as data. Each is a real limit of the kernel, of the engine or of the server's own, small enough
//! to be met within seconds; the numbers are round and mean nothing. A new plant is one entry here.

use std::fmt::Write as _;

/// What a machine must have for a plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A Docker engine.
    Docker,
    /// A program on PATH.
    Program(&'static str),
    /// Cores to spare beside the server's.
    Cores(u32),
    /// Limits of CPU, memory and processes can be set: cgroups that may be written.
    Cgroups,
}

/// A planted ceiling.
#[derive(Debug, Clone, Copy)]
pub struct Plant {
    /// Short name, a name of the matrix.
    pub name: &'static str,
    /// What is planted, for a person.
    pub what: &'static str,
    /// The cause that has to be found; `none` for a clean cell.
    pub expected: &'static str,
    /// Part of the short form.
    pub quick: bool,
    /// What the machine must have.
    pub needs: &'static [Need],
    /// Lines of `[load]` that differ from [`LOAD`], as `key = value`.
    pub load: &'static [&'static str],
    /// The target's table below `[targets.planted]`, without its header.
    pub target: Target,
    /// Lines of `[sizes.planted]`.
    pub size: &'static [&'static str],
    /// Runtime of the cell.
    pub runtime: &'static str,
    /// Instances of the cell.
    pub instances: u32,
}

/// The server of a plant.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// `targets/planted` with these arguments.
    Planted(&'static [&'static str]),
    /// `targets/echo` with these arguments.
    Echo(&'static [&'static str]),
    /// `targets/app` with these arguments.
    App(&'static [&'static str]),
    /// `targets/node/server.js`, with these arguments for Node itself.
    Node(&'static [&'static str]),
}

/// The load that every plant starts from. Slow enough that a small machine with other things to do keeps up.
pub const LOAD: &[(&str, &str)] = &[
    ("step", "200"),
    ("max", "800"),
    ("rate", "\"400/s\""),
    ("hold", "\"1500ms\""),
    ("narrow", "0"),
    ("connect_timeout", "\"1500ms\""),
    ("handshake_timeout", "\"2s\""),
    ("message", "{ bytes = 64, every = \"1s\" }"),
];

/// What a plant starts from: bare, one instance, no limits, the plain echo server of `targets/planted`.
const PLAIN: Plant = Plant {
    name: "",
    what: "",
    expected: "none",
    quick: false,
    needs: &[],
    load: &[],
    target: Target::Planted(&[]),
    size: &[],
    runtime: "bare",
    instances: 1,
};

/// A plant in a container.
const DOCKER: Plant = Plant { runtime: "docker", needs: &[Need::Docker], ..PLAIN };

/// All plants.
pub const PLANTS: &[Plant] = &[
    Plant {
        name: "descriptors-wait",
        what: "nofile 400; the server waits and tries again",
        expected: "server-descriptors",
        quick: true,
        target: Target::Echo(&[]),
        size: &["nofile = 400"],
        ..PLAIN
    },
    Plant {
        name: "descriptors-exit",
        what: "nofile 450; the server exits on EMFILE",
        expected: "server-descriptors",
        target: Target::Planted(&["--on-accept-error", "exit"]),
        size: &["nofile = 450"],
        ..PLAIN
    },
    Plant {
        name: "descriptors-spin",
        what: "nofile 350; the server tries again at once and fills a core",
        expected: "server-descriptors",
        target: Target::Planted(&["--on-accept-error", "spin", "--threads", "1"]),
        size: &["nofile = 350"],
        ..PLAIN
    },
    Plant {
        name: "descriptors-two",
        what: "nofile 250 for each of two instances",
        expected: "server-descriptors",
        target: Target::Echo(&[]),
        size: &["nofile = 250"],
        instances: 2,
        ..PLAIN
    },
    Plant {
        name: "descriptors-docker",
        what: "--ulimit nofile=500 of a container",
        expected: "server-descriptors",
        target: Target::Echo(&[]),
        size: &["nofile = 500"],
        ..DOCKER
    },
    Plant {
        name: "client-ports",
        what: "the generator has 500 ports",
        expected: "client-limited",
        quick: true,
        load: &["generator = { ports = 500 }"],
        target: Target::Echo(&[]),
        ..PLAIN
    },
    Plant {
        name: "client-descriptors",
        what: "each worker of the generator may have 430 descriptors",
        expected: "client-limited",
        load: &["generator = { descriptors = 430 }", "workers = 1"],
        target: Target::Echo(&[]),
        ..PLAIN
    },
    Plant {
        name: "client-starved",
        what: "the generator may use 0.03 CPU, for 8,000 messages a second",
        expected: "client-limited",
        needs: &[Need::Cgroups],
        load: &["generator = { cpus = 0.03 }", "message = { bytes = 64, every = \"100ms\" }"],
        target: Target::Echo(&[]),
        ..PLAIN
    },
    Plant {
        name: "memory-kill",
        what: "32 MiB, 64 KiB a connection",
        expected: "memory-limit",
        quick: true,
        needs: &[Need::Cgroups],
        target: Target::Planted(&["--state", "65536"]),
        size: &["memory = \"32MiB\""],
        ..PLAIN
    },
    Plant {
        name: "memory-kill-two",
        what: "24 MiB for each of two instances, 100 KiB a connection",
        expected: "memory-limit",
        needs: &[Need::Cgroups],
        target: Target::Planted(&["--state", "102400"]),
        size: &["memory = \"24MiB\""],
        instances: 2,
        ..PLAIN
    },
    Plant {
        name: "memory-docker",
        what: "40 MiB of a container, 96 KiB a connection",
        expected: "memory-limit",
        target: Target::Planted(&["--state", "98304"]),
        size: &["memory = \"40MiB\""],
        ..DOCKER
    },
    Plant {
        name: "memory-thrash",
        what: "64 MiB of a container, `app` with 32 KiB a connection: its page cache is squeezed out before it is killed",
        expected: "memory-limit",
        load: &["step = 500", "max = 2500", "rate = \"1000/s\""],
        target: Target::App(&["--state", "32KiB", "--threads", "1"]),
        size: &["memory = \"64MiB\""],
        ..DOCKER
    },
    Plant {
        name: "heap-node",
        what: "Node with a heap of 16 MB",
        expected: "runtime-heap",
        needs: &[Need::Program("node")],
        load: &["step = 1000", "max = 10000", "rate = \"1500/s\"", "message = { bytes = 64, every = \"5s\" }"],
        target: Target::Node(&["--max-old-space-size=16", "--max-semi-space-size=1"]),
        ..PLAIN
    },
    Plant {
        name: "cpu-quota",
        what: "0.25 CPU, 4 ms for each upgrade",
        expected: "cpu-quota",
        quick: true,
        needs: &[Need::Cgroups],
        load: &["rate = \"200/s\""],
        target: Target::Planted(&["--work", "4000"]),
        size: &["cpus = 0.25"],
        ..PLAIN
    },
    Plant {
        name: "cpu-quota-docker",
        what: "--cpus 0.2 of a container, 3 ms for each message",
        expected: "cpu-quota",
        target: Target::Planted(&["--message-work", "3000"]),
        size: &["cpus = 0.2"],
        ..DOCKER
    },
    Plant {
        name: "single-thread",
        what: "one thread with 6 ms for each upgrade, cores to spare",
        expected: "single-thread",
        needs: &[Need::Cores(2)],
        load: &["rate = \"400/s\"", "step = 1000", "max = 2000"],
        target: Target::Planted(&["--threads", "1", "--work", "6000"]),
        ..PLAIN
    },
    Plant {
        name: "single-acceptor",
        what: "one thread accepts, with 5 ms for each connection; others serve",
        expected: "single-thread",
        needs: &[Need::Cores(2)],
        load: &["rate = \"400/s\"", "step = 1000", "max = 2000"],
        target: Target::Planted(&["--accept-work", "6000"]),
        ..PLAIN
    },
    Plant {
        name: "machine-full",
        what: "all cores with 20 ms for each upgrade",
        expected: "cpu-saturated",
        load: &["rate = \"500/s\"", "step = 1000", "max = 2000"],
        target: Target::Planted(&["--work", "16000"]),
        ..PLAIN
    },
    Plant {
        name: "short-backlog",
        what: "a backlog of 8, a pause of 4 ms after each accept, a burst",
        expected: "accept-queue",
        quick: true,
        load: &["rate = \"5000/s\"", "step = 400", "gates = { p99 = \"400ms\" }"],
        target: Target::Planted(&["--backlog", "8", "--accept-pause", "4000"]),
        ..PLAIN
    },
    Plant {
        name: "pids",
        what: "300 processes and threads, a thread for each connection",
        expected: "pids-limit",
        quick: true,
        needs: &[Need::Cgroups],
        target: Target::Planted(&["--thread-per-connection"]),
        size: &["pids = 300"],
        ..PLAIN
    },
    Plant {
        name: "pids-docker",
        what: "--pids-limit 260 of a container, a thread for each connection",
        expected: "pids-limit",
        target: Target::Planted(&["--thread-per-connection"]),
        size: &["pids = 260"],
        ..DOCKER
    },
    Plant {
        name: "cap-close",
        what: "the server closes every connection above 500",
        expected: "application-cap",
        quick: true,
        target: Target::Planted(&["--cap", "500"]),
        ..PLAIN
    },
    Plant {
        name: "cap-503",
        what: "the server answers 503 above 450 connections",
        expected: "application-cap",
        target: Target::App(&["--connections", "450"]),
        ..PLAIN
    },
    Plant {
        name: "cap-stop",
        what: "the server accepts nothing above 350 connections, backlog 64",
        expected: "application-cap",
        target: Target::Planted(&["--cap", "350", "--at-cap", "stop", "--backlog", "64"]),
        ..PLAIN
    },
    Plant {
        name: "cap-docker",
        what: "a container whose server answers 503 above 300 connections",
        expected: "application-cap",
        target: Target::Planted(&["--cap", "300", "--at-cap", "refuse"]),
        ..DOCKER
    },
    Plant {
        name: "idle-timeout",
        what: "the server closes what sent nothing for 2 s; clients send every 60 s",
        expected: "lifetime-limit",
        quick: true,
        load: &["rate = \"200/s\"", "step = 1000", "max = 1000", "message = { bytes = 64, every = \"60s\" }"],
        target: Target::Planted(&["--idle", "2000000"]),
        ..PLAIN
    },
    Plant {
        name: "lifetime",
        what: "the server ends each connection after 3 s",
        expected: "lifetime-limit",
        load: &["rate = \"150/s\"", "step = 1000", "max = 1000"],
        target: Target::Planted(&["--lifetime", "3000000"]),
        ..PLAIN
    },
    Plant {
        name: "crash-exit",
        what: "the server exits with code 3 at 500 connections",
        expected: "crash",
        quick: true,
        target: Target::Planted(&["--fail-at", "500", "--fail", "exit"]),
        ..PLAIN
    },
    Plant {
        name: "crash-abort",
        what: "the server aborts at 450 connections",
        expected: "crash",
        target: Target::Planted(&["--fail-at", "450", "--fail", "abort"]),
        ..PLAIN
    },
    Plant {
        name: "crash-segv",
        what: "the server in a container dies of SIGSEGV at 350 connections",
        expected: "crash",
        target: Target::Planted(&["--fail-at", "350", "--fail", "segv"]),
        ..DOCKER
    },
    Plant {
        name: "crash-one-of-two",
        what: "one of two instances exits at 200 connections",
        expected: "crash",
        target: Target::Planted(&["--fail-at", "200", "--fail", "exit"]),
        instances: 2,
        ..PLAIN
    },
    Plant {
        name: "lock",
        what: "a lock is held for 2 ms for each reply, one message a second",
        expected: "server-waits",
        load: &["max = 1200"],
        target: Target::Planted(&["--serial-pause", "2000"]),
        ..PLAIN
    },
    Plant {
        name: "hang-frozen",
        what: "the server is stopped at 500 connections",
        expected: "hang",
        quick: true,
        target: Target::Planted(&["--fail-at", "500", "--fail", "freeze"]),
        ..PLAIN
    },
    Plant {
        name: "hang-deadlock",
        what: "every thread waits for ever from 350 connections on",
        expected: "hang",
        target: Target::Planted(&["--fail-at", "350", "--fail", "deadlock"]),
        ..PLAIN
    },
    Plant {
        name: "clean-echo",
        what: "nothing; 2,000 connections",
        quick: true,
        load: CLEAN,
        target: Target::Echo(&[]),
        ..PLAIN
    },
    Plant { name: "clean-app", what: "nothing; 2,000 connections", load: CLEAN, target: Target::App(&[]), ..PLAIN },
    Plant {
        name: "clean-echo-docker",
        what: "nothing; 2,000 connections",
        load: CLEAN,
        target: Target::Echo(&[]),
        ..DOCKER
    },
    Plant {
        name: "clean-app-docker",
        what: "nothing; 2,000 connections",
        load: CLEAN,
        target: Target::App(&[]),
        ..DOCKER
    },
    Plant {
        name: "clean-near-limits",
        what: "limits that are near and not met: 1 CPU, 64 MiB, 1,000 descriptors, 20 processes; 800 connections",
        needs: &[Need::Cgroups],
        target: Target::Echo(&["--threads", "2"]),
        size: &["cpus = 1", "memory = \"64MiB\"", "nofile = 1000", "pids = 20"],
        ..PLAIN
    },
];

const CLEAN: &[&str] = &["step = 1000", "max = 2000", "rate = \"1000/s\""];

/// What no plant of this version makes, and why.
pub const NOT_PLANTED: &[(&str, &str)] = &[
    ("host-memory", "it would take the memory of the whole machine"),
    ("conntrack-full", "the table's size is a setting of the whole machine"),
    ("tcp-memory", "the pool is one for the whole machine"),
    ("syn-queue", "cookies are a setting of the whole network namespace"),
    ("port-exhaustion", "needs a proxy or a translating hop before the server"),
    ("proxy-cap", "needs a proxy before the server"),
    ("path-died", "needs a hop between client and server"),
    ("silent-loss", "needs a hop that loses packets"),
    ("memory-pressure", "memory.high is no limit of a size"),
];

impl Plant {
    /// The matrix file of this plant.
    pub fn matrix(&self, repeats: u32) -> String {
        let mut text = format!("[run]\nname = \"{}\"\nrepeats = {repeats}\n\n[load]\n", self.name);
        let own = |key: &str| self.load.iter().any(|line| line.split('=').next().map(str::trim) == Some(key));
        for (key, value) in LOAD.iter().filter(|(key, _)| !own(key)) {
            let _ = writeln!(text, "{key} = {value}");
        }
        for line in self.load {
            let _ = writeln!(text, "{line}");
        }
        text.push('\n');
        text.push_str(&self.target.table());
        if !self.size.is_empty() {
            let _ = write!(text, "\n[sizes.planted]\n{}\n", self.size.join("\n"));
        }
        let _ = write!(
            text,
            "\n[axes]\ntarget = [\"planted\"]\nruntime = [\"{}\"]\ninstances = [{}]\n",
            self.runtime, self.instances
        );
        if !self.size.is_empty() {
            text.push_str("size = [\"planted\"]\n");
        }
        text
    }
}

impl Target {
    fn table(self) -> String {
        let list = |args: &[&str]| args.iter().map(|arg| format!("\"{arg}\"")).collect::<Vec<_>>().join(", ");
        let cargo = |package: &str, args: &[&str]| {
            let args = [&["--address", "{address}"], args].concat();
            format!("[targets.planted.process]\ncargo = \"{package}\"\nargs = [{}]\n", list(&args))
        };
        match self {
            Self::Planted(args) => cargo("planted", args),
            Self::Echo(args) => cargo("echo", args),
            Self::App(args) => format!(
                "[targets.planted]\nprotocol = \"app\"\npath = \"/ws\"\ntoken = \"secret\"\n\n{}",
                cargo("app", args)
            ),
            Self::Node(args) => {
                let args = [args, &["targets/node/server.js", "--port", "{port}"]].concat();
                format!("[targets.planted.process]\nprogram = \"node\"\nargs = [{}]\n", list(&args))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_plant_is_a_valid_matrix_of_one_cell_with_a_name_of_its_own() {
        let mut names = BTreeSet::new();
        for plant in PLANTS {
            assert!(names.insert(plant.name), "{} is there twice", plant.name);
            let loaded = crate::matrix::parse(&plant.matrix(3), Path::new("selftest.toml"));
            let loaded = loaded.unwrap_or_else(|faults| panic!("{}: {}", plant.name, faults.render(false)));
            assert_eq!(loaded.matrix.cells.len(), 1, "{}", plant.name);
        }
        assert!(PLANTS.len() >= 25);
    }

    #[test]
    fn expected_causes_are_sections_of_the_documentation_and_all_others_are_accounted_for() {
        let text = include_str!("../../../docs/limits.md");
        let sections: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let planted: BTreeSet<&str> = PLANTS.iter().map(|plant| plant.expected).collect();
        for cause in &planted {
            assert!(sections.contains(cause), "docs/limits.md has no section `## {cause}`");
        }
        for (cause, _) in NOT_PLANTED {
            assert!(sections.contains(cause), "{cause}");
            assert!(!planted.contains(cause), "{cause} is planted");
        }
    }

    #[test]
    fn what_needs_an_engine_says_so() {
        for plant in PLANTS.iter().filter(|plant| plant.runtime == "docker") {
            assert!(plant.needs.contains(&Need::Docker), "{}", plant.name);
        }
    }
}
