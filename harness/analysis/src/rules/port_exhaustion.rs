//! A hop between client and server ran out of ports towards one address.

use super::rule::{Candidate, Proof, Rule, near};
use crate::context::{TrialContext, describe_hop};
use crate::verdict::Evidence;
use wsceiling_model::format;
use wsceiling_model::record::log_patterns;
use wsceiling_model::record::{Cause, Component, KnownLine, Metric};

pub(super) const RULE: Rule = Rule {
    cause: Cause::PortExhaustion,
    consequences: &[Cause::ConntrackFull, Cause::ApplicationCap, Cause::ProxyCap],
    judge,
};

/// Names of the same in what is counted of a front's log.
const KNOWN: [KnownLine; 3] = [KnownLine::NoFreePorts, KnownLine::SourcePortTaken, KnownLine::CannotAssignAddress];
/// Share of a pair's ports from which it counts as full, and from which it is so beyond doubt.
const NEARLY: f64 = 0.95;
const FULL: f64 = 0.995;

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    front(trial).or_else(|| nat(trial)).or_else(|| log(trial))
}

/// How full the fullest pair of a front was.
struct Pair {
    ports: f64,
    /// Connections of the pair at most; `None`: not counted.
    most: Option<f64>,
    onset_ms: f64,
}

/// A front whose connections onwards have used up the ports of a pair of addresses.
fn front(trial: &TrialContext<'_>) -> Option<Candidate> {
    let pair = |front: &wsceiling_model::record::FrontRecord| {
        let component = Component::Front(front.index);
        let (_, ports) = trial.most(component, Metric::PairPorts).filter(|(_, ports)| *ports > 0.0)?;
        let (onset_ms, most) = trial.most(component, Metric::PairEstablished)?;
        Some(Pair { ports, most: Some(most), onset_ms })
    };
    let fullest = trial.fronts().find_map(|front| {
        let nearly = |pair: &Pair| pair.most.is_some_and(|most| most >= NEARLY * pair.ports);
        Some((front, pair(front).filter(nearly)?))
    });
    let said = trial.front_line(&KNOWN);
    let (stage, Pair { ports, most, onset_ms }) = match (fullest, said) {
        (Some(found), _) => found,
        // The counting comes once a second at most: a short plateau may lie between two of them.
        (None, Some((stage, _))) => {
            let ports = stage.ports_per_pair? as f64;
            let most = trial.most(Component::Front(stage.index), Metric::PairEstablished).map(|(_, most)| most);
            (stage, Pair { ports, most, onset_ms: trial.first_failure_ms? })
        }
        (None, None) => return None,
    };
    let component = Component::Front(stage.index);
    let full = most.is_some_and(|most| most >= FULL * ports);
    let pairs = stage.upstreams.len().max(1) as f64 * stage.sources.len().max(1) as f64;
    let held = trial.held_at_failure();
    let towards = if let [only] = &stage.upstreams[..] { only.clone() } else { "each address".to_owned() };
    let more = if trial.cell.instances > 1 && stage.upstreams.len() == 1 {
        " All instances are behind that one address, so more of them do not help."
    } else {
        ""
    };
    let mut evidence =
        trial.all_evidence(component, &[Metric::PairEstablished, Metric::PairPorts, Metric::UpstreamEstablished]);
    evidence.extend(TrialContext::front_evidence(stage));
    Some(Candidate {
        sentence: format!(
            "At {} {} had no local port left towards {towards}: {}.{more}",
            format::connections(held),
            describe_hop(stage.kind),
            match most {
                // What was counted before the last ports went would contradict the front's own words.
                Some(most) if full || said.is_none() => format!(
                    "{} of {} source ports of the pair of addresses were in use",
                    format::whole(most),
                    format::whole(ports)
                ),
                _ => format!("its log says so, and the pair of addresses has {} source ports", format::whole(ports)),
            }
        ),
        fix: "give the front a second source address or a second address to connect to, or widen its range of ports"
            .into(),
        evidence,
        proof: Proof {
            moved: said.is_some() || full,
            // Where the front says that none is left, others may have some of them.
            arithmetic: near(held, ports * pairs)
                || said.is_some() && most.is_some_and(|most| most < ports && near(held, most * pairs)),
            timely: said.is_some() || trial.at_first_failure(onset_ms),
            explains: trial.turned_away(),
            onset_ms: trial.first_failure_ms.or(Some(onset_ms)),
        },
    })
}

/// A source-translating hop: an entry could not be made since every port of the tuple is taken. Both counters rise
/// together; a full table raises `drop` alone.
fn nat(trial: &TrialContext<'_>) -> Option<Candidate> {
    let at = |component| {
        let taken = trial.rise(component, Metric::ConntrackInsertFailed)?;
        let dropped = trial.rise(component, Metric::ConntrackDrops)?;
        Some((taken, dropped))
    };
    let components = [Component::Host, Component::Generator].into_iter().chain(trial.instances());
    let (taken, dropped) = components.filter_map(at).max_by(|a, b| a.0.by.total_cmp(&b.0.by))?;
    let lost = trial.failed_count();
    let retransmitted = trial.risen(Component::Generator, Metric::SynRetransmits);
    Some(Candidate {
        sentence: format!(
            "At {} the address translation on the way had no port left: {} connection entries could not be made.",
            format::connections(trial.held_at_failure()),
            format::whole(taken.by)
        ),
        fix: "give the translating hop more source addresses or ports, or go around it".into(),
        evidence: trial.all_evidence(
            taken.component,
            &[Metric::ConntrackInsertFailed, Metric::ConntrackDrops, Metric::ConntrackCount],
        ),
        proof: Proof {
            moved: true,
            arithmetic: near(taken.by, dropped.by) && (near(taken.by, lost + retransmitted) || retransmitted > 0.0),
            timely: trial.at_first_failure(taken.onset_ms),
            explains: trial.slowness(),
            onset_ms: Some(taken.onset_ms),
        },
    })
}

/// A proxy that says so itself.
fn log(trial: &TrialContext<'_>) -> Option<Candidate> {
    let (component, line) = trial.log_line(log_patterns::PORTS)?;
    let held = trial.held_at_failure();
    let ports = match trial.setting("ip_local_port_range")[..] {
        [low, high] => Some(high - low + 1.0),
        _ => None,
    };
    let range = ports.map_or(String::new(), |ports| format!(" The range has {} ports.", format::whole(ports)));
    Some(Candidate {
        sentence: format!(
            "At {} {component} had no local port left for its connections onwards.{range}",
            format::connections(held)
        ),
        fix: "give the proxy more source addresses or more upstream addresses, or widen net.ipv4.ip_local_port_range"
            .into(),
        evidence: vec![Evidence::log_line(component, line)],
        proof: Proof {
            moved: true,
            arithmetic: ports.is_some_and(|ports| near(held, ports)),
            timely: true,
            explains: trial.share(|error| error.reason.http_status().is_some()),
            onset_ms: trial.first_failure_ms,
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, cause, rising, script};
    use wsceiling_model::matrix::{Front, FrontKind};
    use wsceiling_model::record::{Cause, Component, FailedAt, KnownLine, Metric};

    const EDGE: Component = Component::Front(0);

    #[test]
    fn a_translation_without_ports_raises_both_counters() {
        // F2: 3000 connect timeouts, insert_failed = drop = 13,996.
        let fail = Fail::plateau(1200).error(FailedAt::Connect, "timeout", 300);
        let verdict = script()
            .good(1000)
            .fail(fail)
            .set(Component::Instance(0), Metric::ConntrackInsertFailed, rising(1400.0))
            .set(Component::Instance(0), Metric::ConntrackDrops, rising(1400.0))
            .set(Component::Generator, Metric::SynRetransmits, rising(1100.0))
            .verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::PortExhaustion, 0.85));
    }

    #[test]
    fn a_proxys_own_words_with_a_full_range_are_sure() {
        let fail = Fail::plateau(2000).error(FailedAt::Handshake, "http 502", 500);
        let line = "[crit] connect() to 10.99.2.2:80 failed (99: Cannot assign requested address)";
        let verdict = script()
            .load(500, 4000)
            .good(1500)
            .good(2000)
            .fail(fail)
            .log(line)
            .fact("sysctl.net.ipv4.ip_local_port_range", "20000 21999")
            .verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::PortExhaustion, 0.85), "{}", verdict.sentence);
    }

    fn shared_hop(instances: u32) -> crate::testing::Script {
        // E: 2000 ports towards one address, whatever the number of instances behind it.
        let fail = Fail::plateau(2000).error(FailedAt::Handshake, "http 502", 500);
        let cell = crate::testing::instances(instances);
        let front = Front { ports: Some(2000), ..Front::new("edge", FrontKind::Nginx) };
        cell.load(500, 4000).good(1500).good(2000).fail(fail).fronted(front, |front| {
            front.ports_per_pair = Some(2000);
            front.upstreams = vec!["10.99.2.100:80".into()];
        })
    }

    #[test]
    fn a_front_with_a_full_pair_is_sure_with_any_number_of_instances() {
        for instances in [1, 4] {
            let verdict = shared_hop(instances)
                .set(EDGE, Metric::PairPorts, |_| Some(2000.0))
                .set(EDGE, Metric::PairEstablished, |m| Some(m.open))
                .verdict();
            assert_eq!((verdict.cause, verdict.confidence), (Cause::PortExhaustion, 0.85), "{verdict:?}");
            assert!(verdict.sentence.contains("towards 10.99.2.100:80"), "{}", verdict.sentence);
            assert_eq!(verdict.sentence.contains("more of them do not help"), instances > 1);
        }
    }

    #[test]
    fn a_front_with_room_in_its_pairs_is_not_the_cause() {
        let script = shared_hop(1).set(EDGE, Metric::PairPorts, |_| Some(28_232.0));
        assert_ne!(cause(script.set(EDGE, Metric::PairEstablished, |m| Some(m.open))), Cause::PortExhaustion);
    }

    #[test]
    fn a_pair_that_was_not_counted_is_not_said_to_be_empty() {
        let said = |count: Option<f64>| {
            let fail = Fail::plateau(430).error(FailedAt::Handshake, "http 503", 170);
            let front = Front { ports: Some(430), ..Front::new("edge", FrontKind::Haproxy) };
            let script = script().load(200, 600).good(200).good(400).fail(fail).fronted(front, |front| {
                front.ports_per_pair = Some(430);
                front.known_lines.insert(KnownLine::NoFreePorts, 1);
            });
            script.set(EDGE, Metric::PairEstablished, move |_| count).verdict()
        };
        // Counted not at all, or for the last time before the step filled it.
        for count in [None, Some(200.0)] {
            let verdict = said(count);
            assert_eq!((verdict.cause, verdict.confidence), (Cause::PortExhaustion, 0.85), "{verdict:?}");
            assert!(verdict.sentence.contains("its log says so, and the pair"), "{}", verdict.sentence);
            assert!(!verdict.sentence.contains(" of 430 source ports"), "{}", verdict.sentence);
        }
        assert!(said(Some(430.0)).sentence.contains("430 of 430 source ports"));
    }

    #[test]
    fn ports_that_others_hold_are_missing_from_the_range() {
        // haproxy with 450 ports on a machine whose other programs have 26 of them.
        let fail = || Fail::plateau(424).error(FailedAt::Handshake, "http 503", 176);
        let front = || Front { ports: Some(450), ..Front::new("edge", FrontKind::Haproxy) };
        let script = |lines: u64| {
            let script = script().load(200, 600).good(200).good(400).fail(fail()).fronted(front(), |front| {
                front.ports_per_pair = Some(450);
                front.known_lines.insert(KnownLine::SourcePortTaken, lines);
            });
            script.set(EDGE, Metric::PairPorts, |_| Some(450.0)).set(EDGE, Metric::PairEstablished, |m| Some(m.open))
        };
        let verdict = script(352).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::PortExhaustion, 0.85), "{verdict:?}");
        assert_eq!(cause(script(0)), Cause::ApplicationCap);
    }

    #[test]
    fn drops_without_clashes_are_not_ports() {
        let fail = Fail::plateau(1200).error(FailedAt::Connect, "timeout", 300);
        let drops = script().good(1000).fail(fail).set(Component::Instance(0), Metric::ConntrackDrops, rising(1400.0));
        assert_ne!(cause(drops), Cause::PortExhaustion);
    }
}
