//! A proxy says that it is at its own limit of connections.

use super::rule::{Candidate, Proof, Rule, near};
use crate::context::{TrialContext, describe_hop, is_timeout};
use crate::verdict::Evidence;
use wsceiling_model::format;
use wsceiling_model::matrix::FrontKind;
use wsceiling_model::record::{Cause, Component, FrontRecord, HopKind, KnownLine, Metric, log_patterns};

pub(super) const RULE: Rule = Rule {
    cause: Cause::ProxyCap,
    // A proxy at its cap accepts no more, or lets new connections wait: the queue before it fills.
    consequences: &[Cause::ApplicationCap, Cause::AcceptQueue, Cause::SynQueue, Cause::Hang],
    judge,
};

/// Share of a limit from which it counts as met.
const FULL: f64 = 0.98;
/// Descriptors of one proxied connection: one to the client, one to the server.
const DESCRIPTORS: f64 = 2.0;

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let front = trial
        .fronts()
        .find(|front| front.kind != HopKind::Proxy(FrontKind::DockerPublish))
        .and_then(|front| haproxy(trial, front).or_else(|| nginx(trial, front)).or_else(|| descriptors(trial, front)));
    // Of a front that somebody else runs there are samples at most.
    let far = || trial.distance.and_then(|_| full_haproxy(trial, Component::Front(0), None));
    front.or_else(far).or_else(|| log(trial))
}

/// haproxy tells each of its limits, and how full it is.
fn haproxy(trial: &TrialContext<'_>, front: &FrontRecord) -> Option<Candidate> {
    let servers = (front.upstreams.len().max(1) * front.sources.len().max(1)) as f64;
    let mut found = full_haproxy(trial, Component::Front(front.index), Some(servers))?;
    found.evidence.extend(TrialContext::front_evidence(front));
    Some(found)
}

/// A haproxy with so many servers, where that is known, that is as full as it may be.
fn full_haproxy(trial: &TrialContext<'_>, component: Component, servers: Option<f64>) -> Option<Candidate> {
    let full = |count, limit| {
        let (_, limit) = trial.most(component, limit).filter(|(_, limit)| *limit > 0.0)?;
        let points = trial.series.between(component, count, trial.from, trial.to);
        let onset = points.iter().find(|(_, count)| *count >= FULL * limit)?.0;
        Some((limit, onset))
    };
    let waiting = trial.most(component, Metric::FrontQueue).is_some_and(|(_, waiting)| waiting > 0.0);
    let servers = servers.unwrap_or_else(|| f64::from(trial.cell.instances.max(1)));
    let process = full(Metric::FrontConnections, Metric::FrontConnectionsLimit);
    let frontend = full(Metric::FrontSessions, Metric::FrontSessionsLimit);
    let server = full(Metric::FrontServerSessions, Metric::FrontServerSessionsLimit).filter(|_| waiting);
    let (what, cap, limit, onset) = match (server, process, frontend) {
        (Some((limit, onset)), ..) => ("its `maxconn` for each server", limit * servers, limit, onset),
        // Both are full where the frontend has no limit of its own.
        (_, Some((limit, onset)), _) => ("the `maxconn` of the whole process", limit, limit, onset),
        (.., Some((limit, onset))) => ("the `maxconn` of its frontend", limit, limit, onset),
        _ => return None,
    };
    let held = trial.held_at_failure();
    let evidence = trial.all_evidence(
        component,
        &[
            Metric::FrontConnections,
            Metric::FrontConnectionsLimit,
            Metric::FrontSessions,
            Metric::FrontSessionsLimit,
            Metric::FrontServerSessions,
            Metric::FrontServerSessionsLimit,
            Metric::FrontQueue,
            Metric::ListenQueue,
        ],
    );
    Some(Candidate {
        sentence: format!("At {} haproxy was at {what}, {}.", format::connections(held), format::whole(limit)),
        fix: "raise haproxy's `maxconn` (process, frontend and server each have one)".into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: near(held, cap),
            timely: trial.at_first_failure(onset),
            explains: trial.turned_away(),
            onset_ms: Some(onset),
        },
    })
}

/// nginx says it for every connection that it lets go.
fn nginx(trial: &TrialContext<'_>, front: &FrontRecord) -> Option<Candidate> {
    let said = front.known_lines.get(&KnownLine::WorkerConnections).is_some_and(|count| *count > 0);
    let settings = trial.front.filter(|front| front.kind == FrontKind::Nginx);
    let each = settings.map(|front| f64::from(front.worker_connections));
    let workers = settings.and_then(|front| front.workers).map(f64::from).or_else(|| trial.cores_of_the_machine());
    let held = trial.held_at_failure();
    // Two of them a proxied connection, and two for the listener and the channel to the master.
    let cap = each.zip(workers).map(|(each, workers)| workers * (each - 2.0) / 2.0);
    let arithmetic = cap.is_some_and(|cap| near(held, cap));
    // Where only a few connections are too many, nginx may reset them and write no line.
    if !said && !arithmetic {
        return None;
    }
    let each = each.map_or(String::new(), |each| format!(" ({} of them each)", format::whole(each)));
    Some(Candidate {
        sentence: format!(
            "At {} nginx had no `worker_connections` left{each}: a proxied WebSocket takes two.",
            format::connections(held)
        ),
        fix: "raise nginx's `worker_connections`, or run more workers".into(),
        evidence: TrialContext::front_evidence(front),
        proof: Proof {
            moved: said,
            arithmetic,
            timely: true,
            explains: trial.turned_away(),
            onset_ms: trial.first_failure_ms,
        },
    })
}

/// A front has as many descriptors as it may.
fn descriptors(trial: &TrialContext<'_>, front: &FrontRecord) -> Option<Candidate> {
    let component = Component::Front(front.index);
    let said = [KnownLine::AcceptDescriptors, KnownLine::SocketDescriptors]
        .iter()
        .any(|line| front.known_lines.contains_key(line));
    let (_, limit) = trial.most(component, Metric::DescriptorLimit)?;
    let (onset, most) = trial.most(component, Metric::Descriptors)?;
    if !said && most < FULL * limit {
        return None;
    }
    let idle = trial.series.get(component, Metric::Descriptors).iter().map(|(_, count)| *count).reduce(f64::min);
    let held = trial.held_at_failure();
    let workers = trial.front.and_then(|front| front.workers).map_or(1.0, f64::from);
    let mut evidence = trial.all_evidence(component, &[Metric::Descriptors, Metric::DescriptorLimit]);
    evidence.extend(TrialContext::front_evidence(front));
    Some(Candidate {
        sentence: format!(
            "At {} {} had no descriptor left of the {} it may have: each connection takes two of them.",
            format::connections(held),
            describe_hop(front.kind),
            format::whole(limit)
        ),
        fix: "raise the proxy's descriptor limit (nginx worker_rlimit_nofile, LimitNOFILE of its service)".into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: near(held, workers * (limit - idle.unwrap_or(0.0)) / DESCRIPTORS),
            timely: said || trial.at_first_failure(onset),
            explains: trial.turned_away(),
            onset_ms: trial.first_failure_ms.or(Some(onset)),
        },
    })
}

/// A proxy that was run as a target says it in its log.
fn log(trial: &TrialContext<'_>) -> Option<Candidate> {
    let (component, line) = trial.log_line(log_patterns::PROXY_CAP)?;
    let held = trial.held_at_failure();
    // `4096 worker_connections are not enough`: two of them a proxied connection, two more for the listeners.
    let cap = line
        .split_whitespace()
        .zip(line.split_whitespace().skip(1))
        .find_map(|(number, word)| (word == "worker_connections").then(|| number.parse::<f64>().ok()).flatten());
    Some(Candidate {
        sentence: format!("At {} {component} was at its own limit of connections.", format::connections(held)),
        fix: "raise the proxy's limit (nginx worker_connections, two a proxied connection; haproxy maxconn)".into(),
        evidence: vec![Evidence::log_line(component, line)],
        proof: Proof {
            moved: true,
            arithmetic: cap.is_some_and(|cap| near(held, (cap - 2.0) / 2.0)),
            timely: true,
            explains: trial.share(|error| error.reason.is_broken() || is_timeout(error)),
            onset_ms: trial.first_failure_ms,
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, script};
    use wsceiling_model::matrix::{Front, FrontKind};
    use wsceiling_model::record::{Cause, Component, FailedAt, KnownLine, Metric};

    const FRONT: Component = Component::Front(0);

    /// H1 to H3, in small: 1500 are held and the others stall.
    fn stalled(kind: FrontKind) -> Script {
        let fail =
            Fail::plateau(1500).error(FailedAt::Handshake, "timeout", 129).error(FailedAt::Connect, "timeout", 371);
        script().load(500, 3000).good(1000).fail(fail).fronted(Front::new("edge", kind), |_| {})
    }

    #[test]
    fn haproxy_at_its_maxconn_is_sure_and_its_full_queue_a_consequence() {
        let script = || {
            stalled(FrontKind::Haproxy).set(FRONT, Metric::FrontConnectionsLimit, |_| Some(1500.0)).set(
                FRONT,
                Metric::ListenQueue,
                |m| Some(if m.since_trouble_s > 0.0 { 129.0 } else { 0.0 }),
            )
        };
        let verdict = script().set(FRONT, Metric::FrontConnections, |m| Some(m.open)).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ProxyCap, 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("whole process"), "{}", verdict.sentence);
        assert_ne!(cause(script().set(FRONT, Metric::FrontConnections, |_| Some(900.0))), Cause::ProxyCap);
    }

    #[test]
    fn a_server_at_its_maxconn_counts_only_with_requests_that_wait() {
        let script = |waiting: f64| {
            let fail = Fail::plateau(1000).error(FailedAt::Handshake, "http 503", 1000);
            script()
                .load(1000, 2000)
                .fail(fail)
                .fronted(Front::new("edge", FrontKind::Haproxy), |front| front.upstreams.truncate(1))
                .set(FRONT, Metric::FrontServerSessions, |m| Some(m.open))
                .set(FRONT, Metric::FrontServerSessionsLimit, |_| Some(1000.0))
                .set(FRONT, Metric::FrontQueue, move |m| Some(if m.since_trouble_s > 0.0 { waiting } else { 0.0 }))
        };
        let verdict = script(400.0).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ProxyCap, 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("for each server"), "{}", verdict.sentence);
        assert_ne!(cause(script(0.0)), Cause::ProxyCap);
    }

    #[test]
    fn workers_and_their_connections_are_the_arithmetic_of_nginx() {
        let fail = || Fail::plateau(998).error(FailedAt::Handshake, "reset", 502);
        let with = |workers: u32| {
            let front = Front { worker_connections: 1000, workers: Some(workers), ..Front::new("n", FrontKind::Nginx) };
            script().load(1500, 1500).fail(fail()).fronted(front, |front| {
                front.known_lines.insert(KnownLine::WorkerConnections, 502);
                front.log_tail = vec!["[alert] 1000 worker_connections are not enough".into()];
            })
        };
        let verdict = with(2).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ProxyCap, 0.85), "{verdict:?}");
        assert_eq!(with(1).verdict().confidence.to_bits(), 0.60_f64.to_bits());
    }

    #[test]
    fn nginx_at_its_number_is_suspected_without_a_line_in_its_log_and_elsewhere_it_is_not() {
        let at = |open: u32| {
            let front = Front { worker_connections: 200, workers: Some(1), ..Front::new("n", FrontKind::Nginx) };
            let fail = Fail::plateau(open).error(FailedAt::Handshake, "reset", u64::from(120 - open));
            script().load(120, 120).fail(fail).fronted(front, |_| {}).verdict()
        };
        assert_eq!((at(97).cause, at(97).confidence), (Cause::ProxyCap, 0.30));
        assert_ne!(at(60).cause, Cause::ProxyCap);
    }

    #[test]
    fn a_front_without_descriptors_is_capped() {
        let verdict = stalled(FrontKind::Nginx)
            .set(FRONT, Metric::Descriptors, |m| Some(8.0 + 2.0 * m.open))
            .set(FRONT, Metric::DescriptorLimit, |_| Some(3008.0))
            .verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ProxyCap, 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("no descriptor left of the 3,008"), "{}", verdict.sentence);
    }

    #[test]
    fn nginx_says_so_and_its_arithmetic_matches() {
        // H4: worker_connections 1000 holds 499.
        let fail =
            || Fail::plateau(499).error(FailedAt::Handshake, "reset", 1037).error(FailedAt::Handshake, "eof", 464);
        let script = || script().load(2000, 2000).fail(fail());
        let verdict = script().log("[alert] 1000 worker_connections are not enough").verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ProxyCap, 0.85));
        assert_ne!(cause(script().log("ready")), Cause::ProxyCap);
    }
}
