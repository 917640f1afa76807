//! Numbers in words, for sentences and evidence.

use wsceiling_model::matrix::FrontKind;
use wsceiling_model::record::HopKind;

pub(crate) use wsceiling_model::format::{bytes, connections, micros, number as short, percent, whole as count};

/// A hop of a front, as a part of a sentence.
pub(crate) fn front(kind: HopKind) -> &'static str {
    match kind {
        HopKind::Balancer => "the balancer",
        HopKind::Proxy(FrontKind::Relay) => "the relay",
        HopKind::Proxy(FrontKind::DockerPublish) => "Docker's userland proxy",
        HopKind::Proxy(program) => program.name(),
    }
}
