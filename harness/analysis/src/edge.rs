//! The public address of a server beside its own: the strongest experiment there is on what stands between. The same client
//! asks both in turn, in one run.

use serde::Serialize;

use super::findings::{Ceiling, CellFindings};
use super::verdict::{Evidence, EvidenceName, confidence};
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, RunHeader};

/// The server's own address must hold so many times as many for the edge to be the limit, and no more for it to be cleared.
const MORE: f64 = 1.15;
/// Causes that what is between can have as well as the server.
const BETWEEN: [Cause; 7] = [
    Cause::PlatformCap,
    Cause::ApplicationCap,
    Cause::RateLimit,
    Cause::Lifetime,
    Cause::ProxyCap,
    Cause::PortExhaustion,
    Cause::PathDied,
];

/// What the two addresses of a server say together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EdgeFinding {
    /// Cell of the public address.
    pub public: String,
    /// Cell of the server's own address.
    pub own: String,
    /// What they held.
    pub public_held: u64,
    /// See [`Self::public_held`].
    pub own_held: u64,
    /// Where the limit is.
    pub reading: EdgeReading,
    /// The same for a person.
    pub sentence: String,
    /// Whether the verdict on the public address says it already.
    pub in_verdict: bool,
}

/// Where the limit of a public address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeReading {
    /// Between the client and the server: the server's own address holds more.
    Edge,
    /// Not between: both hold the same.
    Cleared,
    /// It does not tell: the load ended first, or the own address holds less.
    Unclear,
}

/// Compares each public address of a run with the server's own one, and lets the comparison count in the verdict.
pub(super) fn apply(header: &RunHeader, cells: &mut [CellFindings]) {
    let front_of = |target: &str| {
        let target = header.targets.iter().find(|known| known.name == target)?;
        target.remote.as_ref()?.front_of.clone()
    };
    for at in 0..cells.len() {
        let Some(behind) = front_of(&cells[at].cell.target) else { continue };
        let scenario = cells[at].cell.scenario;
        let own = cells.iter().position(|cell| cell.cell.target == behind && cell.cell.scenario == scenario);
        let Some(own) = own.filter(|own| *own != at) else { continue };
        let Some(mut finding) = compare(&cells[at], &cells[own]) else { continue };
        let other = cells[own].verdict.as_ref().map(|verdict| verdict.cause).filter(|cause| *cause != Cause::None);
        cells[own].edge = Some(finding.clone());
        finding.in_verdict = count(&mut cells[at], &finding, other);
        cells[at].edge = Some(finding);
    }
}

/// What the cell of a public address and that of the server's own one say together; `None`: one of them has no ceiling.
pub fn compare(public: &CellFindings, own: &CellFindings) -> Option<EdgeFinding> {
    let (front, behind) = (public.ceiling.as_ref()?, own.ceiling.as_ref()?);
    let reading = reading(front, behind);
    let held = |ceiling: &Ceiling| {
        format!("{}{}", if ceiling.at_least { "at least " } else { "" }, format::whole(ceiling.connections as f64))
    };
    let meaning = match reading {
        EdgeReading::Edge => "the edge is the limit, not the server",
        EdgeReading::Cleared => "what stands between them is not the limit",
        EdgeReading::Unclear => "that does not tell where the limit is",
    };
    let sentence =
        format!("The server's own address held {}, the public address {}: {meaning}.", held(behind), held(front));
    Some(EdgeFinding {
        public: public.cell.id.clone(),
        own: own.cell.id.clone(),
        public_held: front.connections,
        own_held: behind.connections,
        reading,
        sentence,
        in_verdict: false,
    })
}

fn reading(front: &Ceiling, behind: &Ceiling) -> EdgeReading {
    let (public, own) = (front.connections as f64, behind.connections as f64);
    // Where the public address met no ceiling, nothing is between that could be told.
    if front.at_least {
        return EdgeReading::Unclear;
    }
    // The intervals of both must be apart, too.
    let apart = front.high.is_some_and(|high| high <= behind.connections || behind.low as f64 >= high as f64);
    if own >= MORE * public && apart {
        EdgeReading::Edge
    } else if !behind.at_least && own <= MORE * public && public <= MORE * own {
        EdgeReading::Cleared
    } else {
        EdgeReading::Unclear
    }
}

/// Lets the comparison count in the verdict on the public address: it confirms what is between, or clears it.
/// True: the verdict says so.
fn count(public: &mut CellFindings, finding: &EdgeFinding, other: Option<Cause>) -> bool {
    let Some(verdict) = &mut public.verdict else { return false };
    verdict.evidence.push(Evidence {
        component: Component::Generator,
        name: EvidenceName::HeldByOwnAddress,
        before: Some(format::whole(finding.public_held as f64)),
        after: Some(format::whole(finding.own_held as f64)),
        source: format!("cell {}", finding.own),
    });
    if !BETWEEN.contains(&verdict.cause) {
        return false;
    }
    match finding.reading {
        EdgeReading::Edge => {
            verdict.sentence = format!("{} {}", verdict.sentence, finding.sentence);
            // What was half sure is sure; a mere symptom is half sure.
            let more = if verdict.confidence >= confidence::MOVED { confidence::MATCHED } else { confidence::MOVED };
            // An application's own cap can be anybody's number: where it is, is known now, and not what it is.
            let most = if verdict.cause == Cause::ApplicationCap { confidence::MOVED } else { more };
            verdict.confidence = verdict.confidence.max(most);
        }
        EdgeReading::Cleared => {
            verdict.confidence = verdict.confidence.min(confidence::REJECTED);
            let other = other.map_or(String::new(), |cause| format!(" That one was stopped by `{cause}`."));
            verdict.sentence = format!("{}{other} Until then suspected: {}", finding.sentence, verdict.sentence);
        }
        EdgeReading::Unclear => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cell_findings, remote_header};

    fn judged(public: u64, own: u64, cause: Cause, confidence: f64) -> (EdgeFinding, CellFindings) {
        let mut front = cell_findings("shop", public, cause);
        if let Some(verdict) = &mut front.verdict {
            verdict.confidence = confidence;
        }
        let mut cells = [front, cell_findings("direct", own, Cause::CpuSaturated)];
        let header = remote_header("shop", None, Some("direct"));
        apply(&header, &mut cells);
        let [front, behind] = cells;
        let other = behind.edge.unwrap();
        assert!(!other.in_verdict, "the verdict on the own address says nothing of it");
        assert_eq!(front.edge.as_ref().map(|edge| &edge.sentence), Some(&other.sentence));
        (front.edge.clone().unwrap(), front)
    }

    #[test]
    fn a_server_that_holds_more_by_itself_accuses_the_edge() {
        let (finding, cell) = judged(3000, 12_000, Cause::PlatformCap, 0.60);
        assert_eq!(finding.reading, EdgeReading::Edge);
        let expected =
            "The server's own address held 12,000, the public address 3,000: the edge is the limit, not the server.";
        assert_eq!(finding.sentence, expected);
        let verdict = cell.verdict.unwrap();
        assert_eq!(verdict.confidence.to_bits(), 0.85_f64.to_bits());
        assert!(finding.in_verdict && verdict.sentence.ends_with(expected), "{}", verdict.sentence);
        assert_eq!(
            judged(3000, 12_000, Cause::PlatformCap, 0.30).1.verdict.unwrap().confidence.to_bits(),
            0.60_f64.to_bits()
        );
        assert_eq!(
            judged(3000, 12_000, Cause::ApplicationCap, 0.60).1.verdict.unwrap().confidence.to_bits(),
            0.60_f64.to_bits()
        );
    }

    #[test]
    fn a_server_that_holds_as_many_by_itself_clears_the_edge() {
        let (finding, cell) = judged(3000, 3100, Cause::PlatformCap, 0.60);
        assert_eq!(finding.reading, EdgeReading::Cleared);
        let verdict = cell.verdict.unwrap();
        assert_eq!(verdict.confidence.to_bits(), 0.20_f64.to_bits());
        assert!(verdict.sentence.contains("stopped by `cpu-saturated`"), "{}", verdict.sentence);
    }

    #[test]
    fn a_cause_that_samples_of_the_server_prove_is_left_as_it_is() {
        for (own, reading) in [(12_000, EdgeReading::Edge), (3000, EdgeReading::Cleared)] {
            let (finding, cell) = judged(3000, own, Cause::ServerDescriptors, 0.85);
            assert_eq!((finding.reading, cell.verdict.unwrap().confidence.to_bits()), (reading, 0.85_f64.to_bits()));
        }
    }

    #[test]
    fn an_own_address_that_holds_less_tells_nothing() {
        assert_eq!(judged(3000, 2000, Cause::PlatformCap, 0.60).0.reading, EdgeReading::Unclear);
        // Where the load to the public address ended first, it met no limit.
        assert_eq!(judged(3000, 12_000, Cause::None, 0.85).0.reading, EdgeReading::Unclear);
    }
}
