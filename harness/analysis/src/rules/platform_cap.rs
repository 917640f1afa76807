//! The number held is one that the target's platform documents, and the server is far from its own limits; or the platform's
//! edge says so itself. What stands in a table of somebody else's proves nothing by itself, so it is never more than 0.60.

use super::rule::{Candidate, Proof, Rule};
use crate::context::{Distance, EdgeAnswered, TrialContext};
use crate::pattern::FailurePattern;
use crate::verdict::{Evidence, EvidenceName};
use wsceiling_model::format;
use wsceiling_model::platforms::{LimitKind, PlatformLimit, PlatformRecord};
use wsceiling_model::record::{Cause, Component, Metric};

/// Share of the failures that must look like an edge that lets nobody in.
const TURNED_AWAY: f64 = 0.8;
/// Share of an own limit from which a server is no longer far from it.
const NEAR_ITS_OWN: f64 = 0.9;
/// Cores an instance may use and still be far from its limit, where it is not known how many it has.
const IDLE: f64 = 0.5;

pub(super) const RULE: Rule = Rule {
    cause: Cause::PlatformCap,
    consequences: &[Cause::ApplicationCap, Cause::AcceptQueue, Cause::SynQueue, Cause::ServerWaits, Cause::Hang],
    judge,
};

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let distance = trial.distance.as_ref()?;
    if trial.ended() {
        return None;
    }
    said(trial).or_else(|| number(trial, distance)).or_else(|| message(trial, distance))
}

/// The edge answers with its own error for a limit of number.
fn said(trial: &TrialContext<'_>) -> Option<Candidate> {
    let of_number = |answered: &EdgeAnswered<'_>| {
        matches!(answered.known.kind, Some(LimitKind::Connections | LimitKind::Concurrency))
    };
    let answers: Vec<EdgeAnswered<'_>> = trial.edge_answers().into_iter().filter(of_number).collect();
    let share: f64 = answers.iter().map(|answered| answered.share).sum();
    let first = answers.first().filter(|_| share >= TURNED_AWAY && server_has_room(trial) != Some(false))?;
    let held = format::connections(trial.held_at_failure());
    Some(Candidate {
        sentence: format!("At {held} the edge of {} let no more through: {}.", first.edge.title, first.known.meaning),
        fix: format!("see {}, seen {}", first.known.source, first.known.seen),
        evidence: evidence(trial, None),
        proof: proof(trial, true, share),
    })
}

/// The number held is a documented one.
fn number(trial: &TrialContext<'_>, distance: &Distance<'_>) -> Option<Candidate> {
    let newest = trial.closes_newest();
    let full = newest || trial.pattern == FailurePattern::Plateau;
    if !full || !newest && trial.keeps_letting_in() {
        return None;
    }
    let held = trial.held_at_failure();
    let (platform, limit) = distance.number(held, trial.cell.instances)?;
    let turned_away =
        if newest { 1.0 } else { trial.share(|error| error.at != wsceiling_model::record::FailedAt::Open) };
    let room = server_has_room(trial);
    if turned_away < TURNED_AWAY || room == Some(false) {
        return None;
    }
    let far = match room {
        Some(true) => "and the server is far from its own limits",
        _ => "and nothing was sampled that says how far the server is from its own limits",
    };
    Some(Candidate {
        sentence: format!(
            "Held {}, {}: {} ({}), {far}. Failures: {}.",
            format::connections(held),
            within(held, limit.total(trial.cell.instances)),
            documented(platform, limit),
            limit.reference(),
            trial.symptom_words()
        ),
        fix: "ask the platform for a higher limit, spread the connections over more of what the limit is for, or compare \
              with the server's own address (`front_of`)"
            .into(),
        evidence: evidence(trial, Some((platform, limit))),
        proof: proof(trial, room == Some(true), turned_away),
    })
}

/// Connections are closed because a message is larger than the platform takes.
fn message(trial: &TrialContext<'_>, distance: &Distance<'_>) -> Option<Candidate> {
    let share = trial.too_big();
    let bytes = f64::from(trial.message_bytes);
    let mut sizes = distance.limits(LimitKind::MessageSize).chain(distance.limits(LimitKind::FrameSize));
    let (platform, limit) = sizes.find(|(_, limit)| bytes > limit.value).filter(|_| share >= TURNED_AWAY)?;
    Some(Candidate {
        sentence: format!(
            "Connections were closed with 1009 (message too big): a message has {}, and {} ({}).",
            format::bytes(bytes),
            documented(platform, limit),
            limit.reference()
        ),
        fix: "send smaller messages".into(),
        evidence: evidence(trial, Some((platform, limit))),
        proof: proof(trial, true, share),
    })
}

/// Never above 0.60: the arithmetic is that of a table, and what is between is not seen.
fn proof(trial: &TrialContext<'_>, moved: bool, explains: f64) -> Proof {
    Proof { moved, arithmetic: false, timely: true, explains, onset_ms: trial.first_failure_ms }
}

fn within(held: f64, limit: f64) -> String {
    if (held - limit).abs() < 0.5 { "exactly the number".to_owned() } else { "within 1 % of the number".to_owned() }
}

/// `Railway documents 10,000 connections for each domain`
fn documented(platform: &PlatformRecord, limit: &PlatformLimit) -> String {
    let value = match limit.kind {
        LimitKind::MessageSize | LimitKind::FrameSize => {
            format!("{} of {}", limit.kind.noun(), format::bytes(limit.value))
        }
        _ => format::connections(limit.value),
    };
    let plan = limit.plan.as_ref().map_or(String::new(), |plan| format!(" in its plan {plan}"));
    format!("{} documents {value} for each {}{plan}", platform.title, limit.scope)
}

/// Whether every instance of which something was sampled is far from its own limits; `None`: nothing was sampled.
fn server_has_room(trial: &TrialContext<'_>) -> Option<bool> {
    let mut room = None;
    for instance in trial.instances() {
        let limited = [(Metric::Descriptors, Metric::DescriptorLimit), (Metric::ListenQueue, Metric::ListenBacklog)];
        for (count, limit) in limited {
            if let (Some(count), Some(limit)) = (trial.highest(instance, count), trial.highest(instance, limit)) {
                room = Some(room.unwrap_or(true) && (limit <= 0.0 || count < NEAR_ITS_OWN * limit));
            }
        }
        if let Some(cores) = trial.cores(instance, trial.from, trial.to) {
            let most = trial.size.and_then(|size| size.cpus).map_or(IDLE, |cpus| NEAR_ITS_OWN * cpus);
            room = Some(room.unwrap_or(true) && cores < most);
        }
        let memory = trial.highest(instance, Metric::MemoryCurrent);
        let limit = trial.size.and_then(|size| size.memory_bytes).map(|bytes| bytes as f64);
        if let (Some(memory), Some(limit)) = (memory, limit) {
            room = Some(room.unwrap_or(true) && memory < NEAR_ITS_OWN * limit);
        }
    }
    room
}

fn evidence(trial: &TrialContext<'_>, row: Option<(&PlatformRecord, &PlatformLimit)>) -> Vec<Evidence> {
    let mut all = trial.failures_evidence();
    all.extend(row.map(|(platform, limit)| Evidence {
        component: Component::Generator,
        name: EvidenceName::Documented(limit.kind),
        before: None,
        after: Some(documented(platform, limit)),
        source: limit.reference(),
    }));
    let metrics = [Metric::CpuUsage, Metric::Descriptors, Metric::DescriptorLimit, Metric::MemoryCurrent];
    all.extend(trial.instances().flat_map(|instance| trial.all_evidence(instance, &metrics)));
    all
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, remote};
    use wsceiling_model::record::{Answer, Cause, Component, FailedAt, Metric};

    const SERVER: Component = Component::Instance(0);

    /// So many are held, and 500 more are refused.
    fn held(platform: &str, open: u32) -> Script {
        let fail = Fail::plateau(open).error(FailedAt::Handshake, "http 503", 500);
        remote(platform).load(2000, 40_000).rate(4000.0).good_up_to(open - 500).fail(fail)
    }

    /// A server with room for more.
    fn with_room(script: Script) -> Script {
        script
            .set(SERVER, Metric::Descriptors, |m| Some(20.0 + m.open))
            .set(SERVER, Metric::DescriptorLimit, |_| Some(65_536.0))
            .set(SERVER, Metric::CpuUsage, |m| Some(m.t_ms * 100.0))
    }

    #[test]
    fn the_documented_number_of_a_server_with_room_is_the_platforms() {
        let verdict = with_room(held("railway", 10_000)).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::PlatformCap, 0.60), "{verdict:?}");
        assert!(
            verdict.sentence.contains("Railway documents 10,000 connections for each domain"),
            "{}",
            verdict.sentence
        );
        assert!(verdict.sentence.contains("seen 2026-08-21"), "{}", verdict.sentence);
        assert_eq!(cause(with_room(held("railway", 10_090))), Cause::PlatformCap);
        assert_ne!(cause(with_room(held("railway", 10_200))), Cause::PlatformCap);
        assert_ne!(cause(with_room(held("render", 10_000))), Cause::PlatformCap, "Render documents none");
    }

    #[test]
    fn without_a_sample_of_the_server_it_is_a_guess_that_says_what_would_decide() {
        let verdict = held("railway", 10_000).unsampled().verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::PlatformCap, 0.30), "{verdict:?}");
        assert!(verdict.sentence.contains("part instance-0 has no `descriptors_count`"), "{}", verdict.sentence);
    }

    #[test]
    fn a_server_at_its_own_limit_is_not_excused_by_a_number_in_a_table() {
        // Exactly 10,000 on Railway, and the descriptors end there.
        let script = held("railway", 10_000).set(SERVER, Metric::Descriptors, |m| Some(20.0 + m.open)).set(
            SERVER,
            Metric::DescriptorLimit,
            |_| Some(10_020.0),
        );
        let verdict = script.verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ServerDescriptors, 0.85), "{verdict:?}");
    }

    #[test]
    fn the_edge_that_names_its_own_limit_is_believed_and_a_status_of_the_server_is_not() {
        let answered = |code: Option<&str>| {
            let answer = Answer { count: 500, status: 503, code: code.map(str::to_owned), ..Answer::default() };
            held("heroku", 3100).answered(answer).unsampled().verdict()
        };
        let verdict = answered(Some("H11"));
        assert_eq!((verdict.cause, verdict.confidence), (Cause::PlatformCap, 0.60), "{verdict:?}");
        assert!(verdict.sentence.contains("edge of Heroku"), "{}", verdict.sentence);
        let verdict = answered(None);
        assert_ne!(verdict.cause, Cause::PlatformCap);
        assert!(!verdict.sentence.contains("edge of Heroku"), "{}", verdict.sentence);
    }

    #[test]
    fn a_message_above_the_documented_size_is_closed_by_the_platform() {
        let script = |bytes: u32| {
            let mut script = remote("aws-api-gateway").load(500, 1000);
            script.load.message.bytes = bytes;
            script.good(500).fail(Fail::lifetime(0.5, "close 1009"))
        };
        let verdict = script(200_000).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::PlatformCap, 0.60), "{verdict:?}");
        assert_ne!(cause(script(64)), Cause::PlatformCap, "the server may close with 1009 too");
    }
}
