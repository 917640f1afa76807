//! Numbers in words, for sentences and evidence.

pub(crate) use wsceiling_model::format::{bytes, connections, micros, number as short, percent, whole as count};

/// A stage of a front by its kind, as the plan of a sentence.
pub(crate) fn front(kind: &str) -> &str {
    match kind {
        "relay" => "the relay",
        "balancer" => "the balancer",
        "docker-publish" => "Docker's userland proxy",
        program => program,
    }
}
