//! Asks workers on other machines what time it is, so that all of them start at one moment and what they saw has one clock.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, bail};

use super::clock::Offset;
use super::{Generator, Node, Worker, monotonic_ns};
use crate::ipc::{Command, Report};

/// Pings of one measurement; the one with the shortest round trip counts.
const PINGS: u64 = 8;
/// Longest wait for the answers to one ping.
const ANSWER: Duration = Duration::from_secs(5);
/// Time from a command to the moment at which it is to begin, on this machine.
const AHEAD_NS: u64 = 2_000_000;

/// Where a worker runs that dialled, and how its clock relates to the coordinator's.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeClock {
    /// Where.
    pub node: Node,
    /// Addresses that it connects from.
    pub addresses: Vec<IpAddr>,
    /// Its clock less the coordinator's, and the most by which that was wrong, in nanoseconds; `None`: it is the same clock.
    pub measured: Option<(i64, u64)>,
}

impl Generator {
    /// Measures how the workers' clocks relate to this one, where they are others; returns a moment that all workers get to
    /// know before it comes, on this machine's clock.
    pub(super) async fn relate_clocks(&mut self) -> Result<u64> {
        if !self.workers.iter().any(|worker| worker.clock.is_apart()) {
            return Ok(monotonic_ns() + AHEAD_NS);
        }
        let mut longest_ns = 0;
        for _ in 0..PINGS {
            longest_ns = self.ping().await?.max(longest_ns);
        }
        let now_ns = monotonic_ns();
        for worker in &mut self.workers {
            worker.clock.rely(now_ns);
        }
        Ok(now_ns + AHEAD_NS + longest_ns)
    }

    /// Pings each of those workers once; the longest round trip.
    async fn ping(&mut self) -> Result<u64> {
        self.pings += 1;
        let id = self.pings;
        let mut sent_ns = vec![None; self.workers.len()];
        for (worker, sent) in self.workers.iter_mut().zip(&mut sent_ns).filter(|(worker, _)| worker.clock.is_apart()) {
            *sent = Some(monotonic_ns());
            worker.send(&Command::Ping { id }).await?;
        }
        let deadline = tokio::time::Instant::now() + ANSWER;
        let mut longest_ns = 0;
        while sent_ns.iter().any(Option::is_some) {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            match self.next_at(left).await? {
                (index, Report::Pong { id: of, now_ns }, received_ns) if of == id => {
                    let Some(sent) = sent_ns[index].take() else { continue };
                    longest_ns = longest_ns.max(received_ns.saturating_sub(sent));
                    self.workers[index].clock.learn(Offset::of(sent, now_ns, received_ns));
                }
                (index, Report::Status(status), _) => self.workers[index].status = status,
                (index, Report::Fatal { message }, _) => bail!("worker {index} failed: {message}"),
                _ => {}
            }
        }
        Ok(longest_ns)
    }

    /// Where the workers run that dialled, in their order; empty: all of them were started on this host.
    pub fn nodes(&self) -> Vec<NodeClock> {
        let of = |worker: &Worker| {
            let (node, addresses) = (worker.node.clone()?, worker.addresses.clone());
            Some(NodeClock { node, addresses, measured: worker.clock.measured() })
        };
        self.workers.iter().filter_map(of).collect()
    }
}
