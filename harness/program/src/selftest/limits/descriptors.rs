//! Servers without descriptors, and with too few processes.

use super::{InjectedLimit, Need, Numbers};
use wsceiling_model::record::Cause;

const DESCRIPTORS: Cause = Cause::ServerDescriptors;
const PIDS: Cause = Cause::PidsLimit;

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let mut nofile = |usual| numbers.pick(usual, usual * 6 / 10..=usual * 3 / 2);
    let (wait, exit, spin, two, docker, node) =
        (nofile(400), nofile(450), nofile(350), nofile(250), nofile(500), nofile(380));
    let (pids, container) = (numbers.pick(300, 150..=550), numbers.pick(260, 150..=550));
    vec![
        InjectedLimit::new("descriptors-wait", DESCRIPTORS, format!("nofile {wait}; the server waits and tries again"))
            .quick()
            .size(format!("nofile = {wait}")),
        InjectedLimit::new("descriptors-exit", DESCRIPTORS, format!("nofile {exit}; the server exits on EMFILE"))
            .planted("--on-accept-error exit")
            .size(format!("nofile = {exit}")),
        InjectedLimit::new(
            "descriptors-spin",
            DESCRIPTORS,
            format!("nofile {spin}; it tries again at once and fills a core"),
        )
        .planted("--on-accept-error spin --threads 1")
        .size(format!("nofile = {spin}")),
        InjectedLimit::new("descriptors-two", DESCRIPTORS, format!("nofile {two} for each of two instances"))
            .size(format!("nofile = {two}"))
            .instances(2),
        InjectedLimit::new("descriptors-docker", DESCRIPTORS, format!("--ulimit nofile={docker} of a container"))
            .docker()
            .size(format!("nofile = {docker}")),
        InjectedLimit::new(
            "descriptors-node",
            DESCRIPTORS,
            format!("nofile {node} of Node, which closes what it cannot keep"),
        )
        .node("")
        .size(format!("nofile = {node}")),
        InjectedLimit::new("pids", PIDS, format!("{pids} processes and threads, a thread for each connection"))
            .needs(Need::Cgroups)
            .planted("--thread-per-connection")
            .size(format!("pids = {pids}")),
        InjectedLimit::new("pids-docker", PIDS, format!("--pids-limit {container}, a thread for each connection"))
            .docker()
            .planted("--thread-per-connection")
            .size(format!("pids = {container}")),
    ]
}
