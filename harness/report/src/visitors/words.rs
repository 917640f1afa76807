//! What a run with visitors found, in words.

use wsceiling_analysis::{LoadEnd, Sign, SignKind, VisitorsCeiling, VisitorsFindings};
use wsceiling_model::format::{self, Unit};
use wsceiling_model::matrix::units;
use wsceiling_model::record::{Cause, FailedAt, FailureTally, client_limits};
use wsceiling_model::visitors::{MarkKind, PausedBy, Setting, StoppedBy};

use crate::text;

/// What nobody can know from visitors.
pub const CANNOT: [&str; 4] = [
    "Why a connect failed: a browser hides that from the page. Refused, not resolved, no TLS and answered with 503 all look the same.",
    "Whether a connection that fell silent with its visitor is still open. It counts as unknown, and not as lost.",
    "What the server is limited by. Only its own numbers tell (--metrics).",
    "Anything about one visitor: no address, no cookie and no name is kept, only the family of the browser.",
];

/// Causes that a sentence names.
const CAUSES: usize = 3;

/// The ceiling in a line.
pub fn headline(findings: &VisitorsFindings) -> String {
    let connections = |number: u32| format::connections(f64::from(number));
    match findings.ceiling {
        VisitorsCeiling::Nothing if findings.has_generator => "No connection was held".to_owned(),
        VisitorsCeiling::Nothing => "No visitor held a connection".to_owned(),
        VisitorsCeiling::AtLeast { connections: number, .. } => format!("At least {}", connections(number)),
        VisitorsCeiling::Plateau { connections: 0, .. } => "No connection could be opened".to_owned(),
        VisitorsCeiling::Plateau { connections: number, .. } => format!("Plateau near {}", connections(number)),
        VisitorsCeiling::Collapse { connections: number, .. } => format!("Collapse at {}", connections(number)),
    }
}

/// What that rests on.
pub fn sentence(findings: &VisitorsFindings) -> String {
    let count = |number: u32| format::count(u64::from(number));
    let counted = counted(findings).map(|words| format!(" {words}")).unwrap_or_default();
    let visitors = findings.peak.map_or(0, |peak| peak.visitors);
    let visitors = format::counted(u64::from(visitors), "visitor", "visitors");
    let who = if findings.has_generator { "visitors and the generator" } else { "visitors" };
    match findings.ceiling {
        VisitorsCeiling::Nothing => "No visitor has said yet that a connection is open.".to_owned(),
        VisitorsCeiling::AtLeast { connections, because } => {
            let why = match because {
                LoadEnd::Goal => "That was the goal, so the ceiling is above it.".to_owned(),
                LoadEnd::Visitors => format!(
                    "There was no more load: {visitors}, at most {} each.",
                    count(
                        findings.marks.iter().rev().find_map(setting_of).unwrap_or(findings.header.setting).per_visitor
                    )
                ),
                LoadEnd::Time => {
                    "It was still rising, or the connections were not held long enough to be sure.".to_owned()
                }
            };
            let generator = findings.peak.and_then(|peak| peak.generator).map_or(0, |generator| generator.open);
            let (holders, of_it) = match generator {
                0 => (visitors, String::new()),
                open if open == connections => ("The generator alone".to_owned(), String::new()),
                open => (format!("{visitors} and the generator"), format!(", {} of them the generator's", count(open))),
            };
            format!("{holders} held {} connections at the same time{of_it}. {why}{counted}", count(connections))
        }
        VisitorsCeiling::Plateau { connections, granted, from_ms, to_ms } => format!(
            "From {} to {} {who} were told to hold {} connections, connects went on failing, and {} stayed open.{counted}",
            format::moment(from_ms as f64),
            format::moment(to_ms as f64),
            count(granted),
            count(connections),
        ),
        VisitorsCeiling::Collapse { lost, from_ms, .. } => format!(
            "Within ten seconds from {} on, {who} lost {} without closing them.{counted}",
            format::moment(from_ms as f64),
            format::connections(lost as f64),
        ),
    }
}

fn setting_of(mark: &wsceiling_model::visitors::Mark) -> Option<Setting> {
    match &mark.what {
        MarkKind::Changed { to, .. } => Some(*to),
        _ => None,
    }
}

/// What the server counted at the peak.
fn counted(findings: &VisitorsFindings) -> Option<String> {
    let peak = findings.peak?;
    let at = peak.t_ms as f64;
    let nearest = |points: &[(f64, f64)]| {
        let near = points.iter().filter(|(t_ms, _)| (t_ms - at).abs() <= 10_000.0);
        near.min_by(|a, b| (a.0 - at).abs().total_cmp(&(b.0 - at).abs())).map(|(_, value)| *value)
    };
    let values: Vec<f64> = findings.counted.iter().filter_map(|series| nearest(&series.points)).collect();
    let metric = findings.counted.first()?.metric;
    let what = match metric {
        wsceiling_model::record::Metric::Descriptors => "open descriptors, its connections among them",
        _ => "connections, those of others among them",
    };
    let sum: f64 = values.iter().sum();
    (!values.is_empty()).then(|| format!("At the peak the server itself counted {} {what}.", format::whole(sum)))
}

/// What the server's own numbers say, with the cause that leads to its section.
pub fn cause(findings: &VisitorsFindings) -> (String, Option<Cause>) {
    if findings.ceiling.from_ms().is_none() {
        return ("No ceiling was met, so nothing stopped the server.".to_owned(), None);
    }
    match findings.signs.split_first() {
        Some((first, others)) => {
            let mut sentence = format!("{}, likely: {}.", first.cause, sign(first));
            if !others.is_empty() {
                let others: Vec<String> =
                    others.iter().map(|other| format!("{} ({})", other.cause, sign(other))).collect();
                sentence = format!("{sentence} Also seen: {}.", others.join(", "));
            }
            (text::sentence(&sentence), Some(first.cause))
        }
        None if findings.has_metrics => {
            ("Unknown: no number of the server that was read shows a limit.".to_owned(), Some(Cause::Unknown))
        }
        None => {
            let hint = "Unknown: visitors cannot tell. Read the server's own numbers with --metrics, or measure it with `matrix`.";
            (hint.to_owned(), Some(Cause::Unknown))
        }
    }
}

/// How the generator's connects failed and its connections were lost, the most frequent causes first; empty: they were not.
/// It knows that, and visitors do not.
pub fn generator(findings: &VisitorsFindings) -> String {
    let failures = &findings.summary.generator.failures;
    let own = |tally: &FailureTally| client_limits::is_own(tally);
    let retried = |tally: &FailureTally| client_limits::is_retried(tally);
    let lost = |tally: &FailureTally| tally.at == FailedAt::Open;
    let said = [
        ("The generator beside them failed to connect", causes(failures, |it| !own(it) && !retried(it) && !lost(it))),
        ("It lost open connections", causes(failures, |it| lost(it) && !own(it))),
        ("The machine of the generator was at its own limit", causes(failures, own)),
    ];
    let sentences = said.iter().filter_map(|(what, causes)| Some(format!("{what}: {}.", causes.as_ref()?)));
    sentences.collect::<Vec<_>>().join(" ")
}

/// The most frequent causes of some failures; `None`: there are none.
fn causes(failures: &[FailureTally], of: impl Fn(&FailureTally) -> bool) -> Option<String> {
    let mut found: Vec<&FailureTally> = failures.iter().filter(|tally| of(tally)).collect();
    found.sort_by_key(|tally| std::cmp::Reverse(tally.count));
    let named = found.iter().take(CAUSES).map(|tally| {
        let cause = text::one_line(&tally.reason.to_string());
        format!("{cause}, {}", format::counted(tally.count, "time", "times"))
    });
    let mut named: Vec<String> = named.collect();
    if found.len() > CAUSES {
        named.push("and others".to_owned());
    }
    (!named.is_empty()).then(|| named.join("; "))
}

fn sign(sign: &Sign) -> String {
    let component = sign.component;
    match sign.kind {
        SignKind::Full { metric, used, limit } => {
            format!("{component} had {} of {} of {}", format::whole(used), format::whole(limit), metric.name())
        }
        SignKind::Rose { metric, by } => format!("{} of {component} rose by {}", metric.name(), format::whole(by)),
        SignKind::Busy { share } => format!("the CPU of {component} was {} busy", format::quantity(Unit::Share, share)),
    }
}

/// What was done.
pub fn mark(what: &MarkKind) -> String {
    match what {
        MarkKind::Started => "started".to_owned(),
        MarkKind::Changed { from, to } => changed(from, to),
        MarkKind::Paused { by } => format!(
            "paused: {}",
            match by {
                PausedBy::Operator => "by the operator",
                PausedBy::Absence => "nobody watched",
                PausedBy::Target => "the target no longer says that it may be loaded",
            }
        ),
        MarkKind::Resumed => "resumed".to_owned(),
        MarkKind::Note { text } => format!("note: {}", text::one_line(text)),
        MarkKind::Stopped { by } => format!(
            "stopped: {}",
            match by {
                StoppedBy::Operator => "by the operator",
                StoppedBy::Signal => "by a signal",
            }
        ),
    }
}

fn changed(from: &Setting, to: &Setting) -> String {
    let mut changes = Vec::new();
    let mut add = |what: &str, from: String, to: String| {
        if from != to {
            changes.push(format!("{what} {from} → {to}"));
        }
    };
    add("goal", format::count(u64::from(from.goal)), format::count(u64::from(to.goal)));
    add("per visitor", from.per_visitor.to_string(), to.per_visitor.to_string());
    add("rate", units::format_rate(from.rate_per_s), units::format_rate(to.rate_per_s));
    add("message", message(from), message(to));
    add("generator", format::count(u64::from(from.generator)), format::count(u64::from(to.generator)));
    changes.join(", ")
}

/// What connections say.
pub fn message(setting: &Setting) -> String {
    setting.message.map_or_else(|| "none".to_owned(), |message| message.to_string())
}
