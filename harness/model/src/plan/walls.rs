//! Walls: limits that arithmetic knows before the first connection is made.

use super::fronts;
use crate::component::Component;
use crate::format;
use crate::matrix::units::format_bytes;
use crate::matrix::{Cell, FrontKind, Matrix, ProcessSpec, Runtime, Size, WorkersIn, is_loopback};
use crate::wall::{Wall, WallName};

/// Descriptors a server uses for itself: three standard streams, the listening socket, epoll, a wake-up descriptor and
/// one more. A server with a limit of 1000 was seen to hold 993 connections.
pub const OWN_DESCRIPTORS: u64 = 7;

/// Kernel memory of one idle connection's end: the socket's structures, a descriptor and their share of slabs. 1.5 kB
/// were seen on cgroup v1 and 3.6 kB with the server's own small part on v2; one page is a round assumption.
pub const CONNECTION_KERNEL_BYTES: u64 = 4096;

/// Memory of one connection on the whole machine: both ends in the kernel, and the generator's own buffers.
const CONNECTION_HOST_BYTES: u64 = 4 * 4096;

/// Source addresses that loopback has for the generator: 127.0.0.0/8 without its first and last.
const LOOPBACK_SOURCES: u64 = (1 << 24) - 2;

/// First and last source port that the generator takes.
const OWN_PORTS: (u16, u16) = (1024, u16::MAX);

/// What the walls need to know about the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Hard limit of open descriptors of the harness and so of its children.
    pub nofile_hard: u64,
    /// First and last local port, `net.ipv4.ip_local_port_range`.
    pub port_range: (u16, u16),
    /// Ports of that range in `net.ipv4.ip_local_reserved_ports`.
    pub reserved_ports: u32,
    /// Memory of the machine, `MemTotal` in bytes.
    pub memory_bytes: u64,
    /// Cores that the harness may use.
    pub cores: u32,
}

impl Machine {
    /// Source ports that one (source, destination) pair has.
    pub fn ports_per_pair(&self) -> u64 {
        let (first, last) = self.port_range;
        let ports = if last < first { 0 } else { u64::from(last - first) + 1 };
        ports.saturating_sub(u64::from(self.reserved_ports))
    }
}

/// The walls of a cell, nearest first. Connections are those of all instances together.
pub fn walls(matrix: &Matrix, cell: &Cell, machine: &Machine) -> Vec<Wall> {
    let size = matrix.size(cell);
    let mut walls = vec![host_memory(machine)];
    // Of somebody else's server only the limits are known that its size names.
    if cell.runtime != Runtime::Remote {
        walls.push(descriptors(cell, size, machine));
    } else if let Some(nofile) = size.and_then(|size| size.nofile) {
        walls.push(descriptors(cell, size, &Machine { nofile_hard: nofile, ..*machine }));
    }
    if has_ports(matrix, cell) {
        walls.push(ports(matrix, cell, machine));
    }
    walls.extend(size.and_then(|size| memory(cell, size)));
    walls.extend(matrix.load.workers.map(|workers| generator_descriptors(workers, machine)));
    walls.extend(matrix.front(cell).map(|front| fronts::walls(matrix, cell, front, machine)).unwrap_or_default());
    walls.sort_by(|a, b| (a.connections, &a.name).cmp(&(b.connections, &b.name)));
    walls
}

fn descriptors(cell: &Cell, size: Option<&Size>, machine: &Machine) -> Wall {
    let asked = size.and_then(|size| size.nofile);
    let limit = asked.map_or(machine.nofile_hard, |asked| asked.min(machine.nofile_hard));
    let each = limit.saturating_sub(OWN_DESCRIPTORS);
    let whose = match asked {
        Some(asked) if asked > machine.nofile_hard => {
            format!("the hard limit, which is below the size's {}", format::count(asked))
        }
        Some(_) => "the size's nofile".to_owned(),
        None => "the hard limit".to_owned(),
    };
    let (one, all) = times(each, cell.instances);
    Wall {
        name: WallName::Descriptors,
        component: Component::Instance(0),
        connections: all,
        why: format!(
            "{} descriptors ({whose}) less about {OWN_DESCRIPTORS} of its own are {one}",
            format::count(limit)
        ),
    }
}

/// Whether ports can be a wall: not over unix-domain sockets, and not where each worker has an address of its own, which
/// has more ports than a worker has descriptors.
fn has_ports(matrix: &Matrix, cell: &Cell) -> bool {
    let process = matrix.targets.get(&cell.target).and_then(|target| target.process.as_ref());
    let in_containers = match matrix.load.workers_in {
        Some(WorkersIn::Docker) => cell.is_reached_from_containers(),
        Some(WorkersIn::Swarm) => true,
        Some(WorkersIn::Host) | None => false,
    };
    !in_containers && !process.is_some_and(ProcessSpec::listens_on_socket)
}

/// The generator binds its sockets to ports itself, so `ip_local_port_range` is no limit for it.
fn ports(matrix: &Matrix, cell: &Cell, machine: &Machine) -> Wall {
    let (first, last) = OWN_PORTS;
    let pair = (u64::from(last - first) + 1).saturating_sub(u64::from(machine.reserved_ports));
    let reserved = match machine.reserved_ports {
        0 => String::new(),
        reserved => format!(" less {reserved} reserved"),
    };
    let range = format!("ports {first} to {last}{reserved} are {} a pair of addresses", format::count(pair));
    // A front is one address before all instances; published ports are addresses of loopback.
    let front = matrix.front(cell).map(|front| front.kind);
    let remote = matrix.targets.get(&cell.target).and_then(|target| target.remote.as_ref());
    let addresses = match remote {
        Some(remote) => remote.urls.len() as u32,
        None if front.is_some_and(|kind| kind != FrontKind::DockerPublish) => 1,
        None => cell.instances,
    };
    let instances = u64::from(addresses);
    let loopback = match remote {
        Some(remote) => remote.urls.iter().all(is_loopback),
        None => cell.runtime == Runtime::Bare || front == Some(FrontKind::DockerPublish),
    };
    let (connections, why) = if loopback {
        (
            pair.saturating_mul(LOOPBACK_SOURCES).saturating_mul(instances),
            format!(
                "{range}; loopback has {} source addresses, so ports are no wall here",
                format::count(LOOPBACK_SOURCES)
            ),
        )
    } else if remote.is_some() {
        (
            pair.saturating_mul(instances),
            format!("{range}; for each URL of the target, at least, since a name can have several addresses"),
        )
    } else {
        let (words, all) = times(pair, addresses);
        (all, format!("{range}; the host has one address on the containers' network, so {words}"))
    };
    Wall { name: WallName::Ports, component: Component::Generator, connections, why }
}

fn memory(cell: &Cell, size: &Size) -> Option<Wall> {
    let limit = size.memory_bytes?;
    let (words, all) = times(limit / CONNECTION_KERNEL_BYTES, cell.instances);
    let (limit, each) = (format_bytes(limit), format_bytes(CONNECTION_KERNEL_BYTES));
    Some(Wall {
        name: WallName::Memory,
        component: Component::Instance(0),
        connections: all,
        why: format!(
            "at most: {limit} by {each} a connection are {words}; {each} is an assumption for the kernel alone, what \
             the server keeps comes on top"
        ),
    })
}

fn host_memory(machine: &Machine) -> Wall {
    let (limit, each) = (format_bytes(machine.memory_bytes >> 20 << 20), format_bytes(CONNECTION_HOST_BYTES));
    Wall {
        name: WallName::HostMemory,
        component: Component::Host,
        connections: machine.memory_bytes / CONNECTION_HOST_BYTES,
        why: format!(
            "at most: {limit} of the machine by {each} a connection; {each} is an assumption for both ends in the \
             kernel and the generator's buffers"
        ),
    }
}

fn generator_descriptors(workers: u32, machine: &Machine) -> Wall {
    let each = machine.nofile_hard.saturating_sub(OWN_DESCRIPTORS);
    Wall {
        name: WallName::GeneratorDescriptors,
        component: Component::Generator,
        connections: each.saturating_mul(u64::from(workers)),
        why: format!(
            "{} descriptors less about {OWN_DESCRIPTORS} of its own, for each of the {workers} workers of `load.workers`",
            format::count(machine.nofile_hard)
        ),
    }
}

/// One instance's number in words, times the instances.
fn times(each: u64, instances: u32) -> (String, u64) {
    let all = each.saturating_mul(u64::from(instances));
    match instances {
        1 => (format::count(each), all),
        n => (format!("{} an instance, {} for {n}", format::count(each), format::count(all)), all),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{MACHINE, matrix};
    use super::*;

    fn wall(matrix: &Matrix, id: &str, machine: &Machine, name: &str) -> Option<Wall> {
        walls(matrix, matrix.cell(id).unwrap(), machine).into_iter().find(|wall| wall.name.name() == name)
    }

    fn sized(size: &str) -> Matrix {
        crate::matrix::parsed(&format!(
            "[targets.t.process]\ncargo = \"echo\"\n[sizes.s]\n{size}\n[axes]\ntarget = [\"t\"]\nsize = [\"s\"]\n\
             runtime = [\"bare\", \"docker\"]\ninstances = [1, 2]\n"
        ))
    }

    #[test]
    fn descriptors_are_the_limit_less_the_servers_own_times_instances() {
        let matrix = matrix("");
        assert_eq!(wall(&matrix, "echo-bare-x1", &MACHINE, "descriptors").unwrap().connections, 19_993);
        assert_eq!(wall(&matrix, "echo-bare-x2", &MACHINE, "descriptors").unwrap().connections, 39_986);
        let sized = sized("nofile = 1000");
        assert_eq!(wall(&sized, "t-bare-x1-s", &MACHINE, "descriptors").unwrap().connections, 993);
    }

    #[test]
    fn a_size_cannot_lift_the_hard_limit() {
        let wall = wall(&sized("nofile = 30000"), "t-bare-x1-s", &MACHINE, "descriptors").unwrap();
        assert_eq!(wall.connections, 19_993);
        assert!(wall.why.contains("below the size's 30,000"), "{}", wall.why);
    }

    #[test]
    fn ports_are_a_wall_for_containers_only() {
        let matrix = matrix("");
        assert_eq!(wall(&matrix, "echo-docker-x1", &MACHINE, "ports").unwrap().connections, 64_512);
        assert_eq!(wall(&matrix, "echo-docker-x2", &MACHINE, "ports").unwrap().connections, 129_024);
        let reserved = Machine { reserved_ports: 232, ..MACHINE };
        assert_eq!(wall(&matrix, "echo-docker-x1", &reserved, "ports").unwrap().connections, 64_280);
        assert!(wall(&matrix, "echo-bare-x1", &MACHINE, "ports").unwrap().connections > 1 << 32);
    }

    #[test]
    fn ports_are_no_wall_over_sockets_and_for_workers_in_containers() {
        let inside = matrix("[load]\nworkers_in = \"docker\"");
        assert_eq!(wall(&inside, "echo-docker-x1", &MACHINE, "ports"), None);
        assert!(wall(&inside, "echo-bare-x1", &MACHINE, "ports").is_some());
        let swarm = crate::matrix::parsed(
            "[load]\nworkers_in = \"swarm\"\n[targets.echo.process]\ncargo = \"echo\"\n[axes]\ntarget = [\"echo\"]\n\
             runtime = [\"docker\"]\n",
        );
        assert_eq!(wall(&swarm, "echo-docker-x1", &MACHINE, "ports"), None);
        let text = "[targets.t.process]\ncargo = \"echo\"\nargs = [\"unix:{socket}\"]\n[axes]\ntarget = [\"t\"]\n";
        let unix = crate::matrix::parsed(text);
        assert_eq!(wall(&unix, "t-bare-x1", &MACHINE, "ports"), None);
    }

    #[test]
    fn an_empty_or_reversed_port_range_is_no_port() {
        assert_eq!(Machine { port_range: (2, 1), ..MACHINE }.ports_per_pair(), 0);
        assert_eq!(Machine { port_range: (1, 1), reserved_ports: 5, ..MACHINE }.ports_per_pair(), 0);
        assert_eq!(Machine { port_range: (0, 65_535), ..MACHINE }.ports_per_pair(), 65_536);
    }

    #[test]
    fn memory_is_at_most_and_says_that_it_is_an_assumption() {
        let wall_of = |id| wall(&sized("memory = \"64MiB\""), id, &MACHINE, "memory").unwrap();
        assert_eq!(wall_of("t-docker-x1-s").connections, 16_384);
        assert_eq!(wall_of("t-docker-x2-s").connections, 32_768);
        assert!(wall_of("t-docker-x1-s").why.contains("assumption"));
        assert_eq!(wall(&sized("cpus = 1"), "t-bare-x1-s", &MACHINE, "memory"), None);
    }

    #[test]
    fn the_nearest_wall_comes_first() {
        let matrix = sized("memory = \"4MiB\"\nnofile = 5000");
        for cell in &matrix.cells {
            let walls = walls(&matrix, cell, &MACHINE);
            assert!(walls.is_sorted_by_key(|wall| wall.connections));
            assert_eq!(walls[0].name, WallName::Memory);
        }
    }

    #[test]
    fn given_workers_are_a_wall_of_the_generator() {
        let matrix = matrix("[load]\nworkers = 2");
        assert_eq!(wall(&matrix, "echo-bare-x1", &MACHINE, "generator descriptors").unwrap().connections, 39_986);
    }
}
