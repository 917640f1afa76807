//! A hop between client and server ran out of ports towards one address.

use super::{Candidate, Evidence, Facts, Proof, Rule, near, words};
use crate::record::{Component, Metric};
use crate::record::signs;

pub(super) const RULE: Rule =
    Rule { cause: "port-exhaustion", consequences: &["conntrack-full", "application-cap", "proxy-cap"], judge };

fn judge(facts: &Facts<'_>) -> Option<Candidate> {
    nat(facts).or_else(|| log(facts))
}

/// A source-translating hop: an entry could not be made since every port of the tuple is taken. Both counters rise
/// together; a full table raises `drop` alone.
fn nat(facts: &Facts<'_>) -> Option<Candidate> {
    let at = |component| {
        let taken = facts.rise(component, Metric::ConntrackInsertFailed)?;
        let dropped = facts.rise(component, Metric::ConntrackDrops)?;
        Some((taken, dropped))
    };
    let components = [Component::Host, Component::Generator].into_iter().chain(facts.instances());
    let (taken, dropped) = components.filter_map(at).max_by(|a, b| a.0.by.total_cmp(&b.0.by))?;
    let lost = facts.failed_count();
    let retransmitted = facts.rise(Component::Generator, Metric::SynRetransmits).map_or(0.0, |rise| rise.by);
    Some(Candidate {
        short: format!("address translation had no port left, {} entries not made", words::count(taken.by)),
        sentence: format!(
            "At {} the address translation on the way had no port left: {} connection entries could not be made.",
            words::connections(facts.held_at_failure()),
            words::count(taken.by)
        ),
        fix: "give the translating hop more source addresses or ports, or go around it".into(),
        evidence: facts.all_evidence(
            taken.component,
            &[Metric::ConntrackInsertFailed, Metric::ConntrackDrops, Metric::ConntrackCount],
        ),
        proof: Proof {
            moved: true,
            arithmetic: near(taken.by, dropped.by) && (near(taken.by, lost + retransmitted) || retransmitted > 0.0),
            timely: facts.at_first_failure(taken.onset_ms),
            explains: facts.slowness(),
            onset_ms: Some(taken.onset_ms),
        },
    })
}

/// A proxy that says so itself.
fn log(facts: &Facts<'_>) -> Option<Candidate> {
    let (component, line) = facts.log_line(signs::PORTS)?;
    let held = facts.held_at_failure();
    let ports = match facts.setting("ip_local_port_range")[..] {
        [low, high] => Some(high - low + 1.0),
        _ => None,
    };
    let range = ports.map_or(String::new(), |ports| format!(" The range has {} ports.", words::count(ports)));
    Some(Candidate {
        short: format!("{component} had no local port left for its connections onwards"),
        sentence: format!(
            "At {} {component} had no local port left for its connections onwards.{range}",
            words::connections(held)
        ),
        fix: "give the proxy more source addresses or more upstream addresses, or widen net.ipv4.ip_local_port_range"
            .into(),
        evidence: vec![Evidence {
            component,
            name: "log".into(),
            before: None,
            after: Some(line.to_owned()),
            source: "log of the instance".into(),
        }],
        proof: Proof {
            moved: true,
            arithmetic: ports.is_some_and(|ports| near(held, ports)),
            timely: true,
            explains: facts.share(|error| super::facts::http_status(error).is_some()),
            onset_ms: facts.first_failure_ms,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fail, cause, rising, script};
    use crate::record::{Component, Metric, Stage};

    #[test]
    fn a_translation_without_ports_raises_both_counters() {
        // F2: 3000 connect timeouts, insert_failed = drop = 13,996.
        let fail = Fail::plateau(1200).error(Stage::Connect, "timeout", 300);
        let verdict = script()
            .good(1000)
            .fail(fail)
            .set(Component::Instance(0), Metric::ConntrackInsertFailed, rising(1400.0))
            .set(Component::Instance(0), Metric::ConntrackDrops, rising(1400.0))
            .set(Component::Generator, Metric::SynRetransmits, rising(1100.0))
            .verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("port-exhaustion", 0.85));
    }

    #[test]
    fn a_proxys_own_words_with_a_full_range_are_sure() {
        let fail = Fail::plateau(2000).error(Stage::Handshake, "http 502", 500);
        let line = "[crit] connect() to 10.99.2.2:80 failed (99: Cannot assign requested address)";
        let verdict = script()
            .load(500, 4000)
            .good(1500)
            .good(2000)
            .fail(fail)
            .log(line)
            .fact("sysctl.net.ipv4.ip_local_port_range", "20000 21999")
            .verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("port-exhaustion", 0.85), "{}", verdict.sentence);
    }

    #[test]
    fn drops_without_clashes_are_not_ports() {
        let fail = Fail::plateau(1200).error(Stage::Connect, "timeout", 300);
        let drops = script().good(1000).fail(fail).set(Component::Instance(0), Metric::ConntrackDrops, rising(1400.0));
        assert_ne!(cause(drops), "port-exhaustion");
    }
}
