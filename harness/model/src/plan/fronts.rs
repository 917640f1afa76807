//! Walls of a front: its own caps, its descriptors, and the ports of its connections onwards.

use super::Machine;
use crate::component::Component;
use crate::format;
use crate::matrix::{Cell, Front, FrontKind, Matrix, Spread};
use crate::wall::{Wall, WallName};

/// Descriptors of one proxied connection, and about what a proxy uses for itself.
const DESCRIPTORS: u64 = 2;
const OWN_DESCRIPTORS: u64 = 10;

pub(super) fn walls(matrix: &Matrix, cell: &Cell, front: &Front, machine: &Machine) -> Vec<Wall> {
    if front.kind == FrontKind::DockerPublish {
        // What the engine's daemon may open is not known before its proxy runs.
        return Vec::new();
    }
    let mut walls = vec![ports(cell, front, machine), descriptors(matrix, front, machine)];
    walls.extend(cap(cell, front, machine));
    walls
}

fn wall(name: WallName, connections: u64, why: String) -> Wall {
    Wall { name, component: Component::Front(0), connections, why }
}

fn ports(cell: &Cell, front: &Front, machine: &Machine) -> Wall {
    let pair = front.ports.map_or_else(|| machine.ports_per_pair(), u64::from);
    let addresses = if front.spread == Spread::OneAddress { 1 } else { u64::from(cell.instances) };
    let pairs = addresses * u64::from(front.sources);
    let why = format!(
        "{} source ports for each of {pairs} pairs of addresses ({} of its own, {addresses} that it connects to)",
        format::count(pair),
        front.sources
    );
    wall(WallName::FrontPorts, pair.saturating_mul(pairs), why)
}

fn descriptors(matrix: &Matrix, front: &Front, machine: &Machine) -> Wall {
    let of_size = front.size.as_ref().and_then(|name| matrix.sizes.get(name)).and_then(|size| size.nofile);
    let asked = front.nofile.or(of_size).unwrap_or(machine.nofile_hard);
    let limit = asked.min(machine.nofile_hard);
    let processes = if front.kind.has_worker_processes() { workers(front, machine) } else { 1 };
    let each = limit.saturating_sub(OWN_DESCRIPTORS) / DESCRIPTORS;
    let why = format!(
        "{} descriptors less about {OWN_DESCRIPTORS} of its own, {DESCRIPTORS} a connection, for each of its processes \
         ({processes})",
        format::count(limit)
    );
    wall(WallName::FrontDescriptors, each.saturating_mul(processes), why)
}

/// The smallest of the limits that the proxy itself was given.
fn cap(cell: &Cell, front: &Front, machine: &Machine) -> Option<Wall> {
    if front.kind == FrontKind::Nginx {
        let (each, workers) = (u64::from(front.worker_connections), workers(front, machine));
        let why = format!("{} worker_connections less 2, two a connection, for {workers} workers", format::count(each));
        return Some(wall(WallName::FrontCap, (each.saturating_sub(2) / 2).saturating_mul(workers), why));
    }
    let each = |maxconn: u32| (u64::from(maxconn).saturating_mul(u64::from(cell.instances)), "of all servers");
    let servers = front.server_maxconn.map(each);
    let one = |maxconn: Option<u32>, whose| maxconn.map(|maxconn| (u64::from(maxconn), whose));
    let all = [one(front.maxconn, "of the process"), one(front.frontend_maxconn, "of the frontend"), servers];
    let (least, whose) = all.into_iter().flatten().min()?;
    Some(wall(WallName::FrontCap, least, format!("maxconn {whose}")))
}

fn workers(front: &Front, machine: &Machine) -> u64 {
    u64::from(front.workers.unwrap_or(machine.cores)).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::tests::MACHINE;
    use super::super::walls as all_walls;

    fn connections(front: &str, runtime: &str, wall: &str) -> Option<u64> {
        let text = format!(
            "[targets.t.process]\ncargo = \"echo\"\n[fronts.f]\n{front}\n[axes]\ntarget = [\"t\"]\nfront = [\"f\"]\n\
             runtime = [\"{runtime}\"]\ninstances = [2]\n"
        );
        let matrix = crate::matrix::parsed(&text);
        let walls = all_walls(&matrix, &matrix.cells[0], &MACHINE);
        walls.into_iter().find(|found| found.name.name() == wall).map(|wall| wall.connections)
    }

    #[test]
    fn ports_of_a_front_grow_with_its_pairs_of_addresses() {
        assert_eq!(connections("kind = \"relay\"", "bare", "front ports"), Some(56_464));
        let one = "kind = \"relay\"\nspread = \"one-address\"";
        assert_eq!(connections(one, "bare", "front ports"), Some(28_232));
        assert_eq!(connections(&format!("{one}\nsources = 3\nports = 200"), "bare", "front ports"), Some(600));
        assert_eq!(connections(one, "docker", "ports"), Some(64_512), "the generator sees one address");
    }

    #[test]
    fn caps_are_those_of_the_proxy() {
        let nginx = "kind = \"nginx\"\nworker_connections = 200";
        assert_eq!(connections(nginx, "bare", "front cap"), Some(198));
        assert_eq!(connections(&format!("{nginx}\nworkers = 1"), "bare", "front cap"), Some(99));
        let haproxy = "kind = \"haproxy\"\nmaxconn = 150";
        assert_eq!(connections(haproxy, "bare", "front cap"), Some(150));
        assert_eq!(connections(&format!("{haproxy}\nserver_maxconn = 50"), "bare", "front cap"), Some(100));
        assert_eq!(connections("kind = \"haproxy\"", "bare", "front cap"), None);
        assert_eq!(connections("kind = \"relay\"\nnofile = 1000", "bare", "front descriptors"), Some(495));
    }

    #[test]
    fn published_ports_have_no_wall_that_is_known_before() {
        assert_eq!(connections("kind = \"docker-publish\"", "docker", "front ports"), None);
        assert!(connections("kind = \"docker-publish\"", "docker", "ports").unwrap() > 1 << 32);
    }
}
