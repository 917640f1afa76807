//! The machine and the settings of a run, as tables of facts.

use serde::Serialize;

use super::Fact;
use crate::describe;
use crate::text;
use wsceiling_analysis::Findings;
use wsceiling_model::format;
use wsceiling_model::matrix::{Load, Message, ThinkTime};
use wsceiling_model::record::GateName;

/// Facts whose names begin with the same word.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    name: String,
    facts: Vec<Fact>,
}

/// All facts of the environment by the first word of their names, in alphabetical order.
pub fn groups(findings: &Findings) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (name, value) in &findings.header.environment.facts {
        let (group, rest) = name.split_once('.').unwrap_or((name, name));
        let group = text::one_line(group);
        if groups.last().is_none_or(|last| last.name != group) {
            groups.push(Group { name: group, facts: Vec::new() });
        }
        if let Some(last) = groups.last_mut() {
            last.facts.push(Fact::new(&text::one_line(rest), text::one_line(value)));
        }
    }
    groups
}

/// The machine in a line: the first fact known of each kind.
pub fn machine(findings: &Findings) -> String {
    const KINDS: [&[&str]; 6] = [
        &["cpu.model", "cpu.name"],
        &["cpu.cores", "cpu.count", "cpu.online", "cpu.logical", "cpu.threads"],
        &["memory.total", "memory.total_bytes"],
        &["kernel.release", "kernel.version"],
        &["cgroup.version", "cgroup.mode"],
        &["engine.version", "engine.name"],
    ];
    let facts = &findings.header.environment.facts;
    let known = KINDS.iter().filter_map(|names| names.iter().find_map(|name| Some((*name, facts.get(*name)?))));
    known.map(|(name, value)| in_words(name, &text::one_line(value))).collect::<Vec<_>>().join(" · ")
}

fn in_words(name: &str, value: &str) -> String {
    let bare = value.chars().all(|c| c.is_ascii_digit() || c == '.');
    match (name.split_once('.').map_or(name, |(group, _)| group), name) {
        ("cpu", "cpu.model" | "cpu.name") => value.to_owned(),
        ("cpu", _) if bare => format!("{value} CPUs"),
        ("memory", _) if bare => {
            let words = |bytes| format!("{} memory", format::quantity(format::Unit::Bytes, bytes));
            value.parse().map_or_else(|_| value.to_owned(), words)
        }
        ("kernel", _) => format!("Linux {}", value.trim_start_matches("Linux ")),
        ("cgroup", _) if !value.contains("cgroup") => format!("cgroup {value}"),
        ("engine", _) if value.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("Docker {}", value.split('+').next().unwrap_or(value))
        }
        _ => value.to_owned(),
    }
}

/// The staircase or the stages.
fn course(load: &Load) -> Fact {
    if !load.stages.is_empty() {
        return Fact::new("stages", load.phases().iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    }
    let words = format!(
        "steps of {} connections at {}/s, up to {}",
        format::count(u64::from(load.step)),
        format::trimmed(load.rate),
        format::count(u64::from(load.max))
    );
    Fact::new("staircase", words)
}

/// `64 B`, or `64 B (90 %), 4.00 KiB (10 %)`.
fn sizes(message: &Message) -> String {
    let size = |bytes: u32| format::quantity(format::Unit::Bytes, f64::from(bytes));
    let portions: Vec<_> = message
        .mix
        .iter()
        .map(|portion| format!("{} ({})", size(portion.bytes), format::percent(portion.share)))
        .collect();
    if portions.is_empty() { size(message.bytes) } else { portions.join(", ") }
}

/// What was asked of each cell.
pub fn settings(findings: &Findings) -> Vec<Fact> {
    let (run, load) = (&findings.header.run, &findings.header.load);
    let mut settings = vec![
        course(load),
        Fact::new("hold", format!("{} per step", format::setting(load.hold))),
        Fact::new(
            "message",
            format!(
                "{} every {}{} on each connection",
                sizes(&load.message),
                format::setting(load.message.every),
                match load.message.spread {
                    ThinkTime::Fixed => String::new(),
                    random => format!(" on average ({random})"),
                }
            ),
        ),
        Fact::new("gates", gates(load)),
        Fact::new(
            "narrowing",
            format!(
                "until the bracket is within {} of the last good step, at most {}",
                format::percent(load.resolution),
                format::counted(u64::from(load.narrow), "extra step", "extra steps")
            ),
        ),
        Fact::new(
            "repeats",
            format!(
                "{}, shuffled with seed {}",
                format::counted(u64::from(run.repeats), "trial per cell", "trials per cell"),
                run.seed
            ),
        ),
        Fact::new("sampling", format!("every {}", format::setting(run.sample_every))),
    ];
    settings.extend(describe::plans(findings).map(|(size, row)| Fact::new(&format!("plan of {size}"), row)));
    settings
}

/// `connected ≥ 99.9 %, echoed ≥ 99.9 %, p99 < 500 ms`.
fn gates(load: &Load) -> String {
    let gate = |name: GateName| {
        format!("{} {} {}", name.label(), name.rule().sign(), format::quantity(name.unit(), name.limit(&load.gates)))
    };
    GateName::ALL.map(gate).join(", ")
}
