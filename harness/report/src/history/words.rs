//! The words for what a history says, the same on pages, in the feed and on the terminal.

use std::fmt::Write as _;

use crate::text;
use wsceiling_history::interval::Share;
use wsceiling_history::judge::{Suspect, Why};
use wsceiling_history::night::{CellLine, Header};
use wsceiling_history::series::Seam;
use wsceiling_history::{Judgement, Metric};
use wsceiling_model::format::{self, Unit};
use wsceiling_model::record::{Cause, Outcome};

/// Digits of a commit.
const COMMIT: usize = 10;

/// What a metric is called.
pub const fn title(metric: Metric) -> &'static str {
    match metric {
        Metric::Ceiling => "Ceiling",
        Metric::Memory => "Memory per connection",
        Metric::Cpu => "CPU per connection",
        Metric::Opening => "CPU per opening",
    }
}

/// What it is counted in.
pub const fn unit(metric: Metric) -> Unit {
    match metric {
        Metric::Ceiling => Unit::Count,
        Metric::Memory => Unit::Bytes,
        Metric::Cpu => Unit::Microcores,
        Metric::Opening => Unit::Micros,
    }
}

/// A value with its unit: `at least 12,000`, `7.13 KiB`.
pub fn value(metric: Metric, value: f64, at_least: bool) -> String {
    let text = format::quantity(unit(metric), value);
    if at_least { format!("at least {text}") } else { text }
}

/// A change as a share: `+20.1 %`, `−3.2 %`.
pub fn ratio(ratio: f64) -> String {
    if !ratio.is_finite() {
        return format::UNKNOWN.to_owned();
    }
    let sign = if ratio < 0.0 { "−" } else { "+" };
    format!("{sign}{:.1} %", ratio.abs() * 100.0)
}

/// `2026-11-29`.
pub fn day(header: &Header) -> String {
    header.started.strftime("%Y-%m-%d").to_string()
}

/// `2026-11-29 02:17 UTC`.
pub fn moment(header: &Header) -> String {
    header.started.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The start of a commit.
pub fn commit(commit: &str) -> String {
    commit.chars().take(COMMIT).collect()
}

/// `0123456789..abcdef0123`: what came between both; the same commit on both sides is said.
pub fn commits(from: Option<&str>, to: Option<&str>) -> String {
    match (from, to) {
        (Some(from), Some(to)) if from == to => format!("{}, the same commit", commit(to)),
        (Some(from), Some(to)) => format!("{}..{}", commit(from), commit(to)),
        (None, Some(to)) => format!("up to {}", commit(to)),
        (Some(from), None) => format!("after {}", commit(from)),
        (None, None) => "unknown commits".to_owned(),
    }
}

/// `kernel 6.17.4 → 6.18.0`.
pub fn seam(seam: &Seam) -> String {
    let known = |value: &Option<String>| value.as_deref().map_or_else(|| "unknown".to_owned(), text::one_line);
    format!("{} {} → {}", seam.what, known(&seam.before), known(&seam.after))
}

/// Several of them.
pub fn seams(all: &[Seam]) -> String {
    all.iter().map(seam).collect::<Vec<_>>().join(", ")
}

/// `28 of 30 (93.33 %; 77.93 % to 99.18 % at 95 %)`.
pub fn share(share: Share) -> String {
    let count = format!("{} of {}", format::count(share.count), format::count(share.of));
    share.value().map_or(count.clone(), |value| {
        let [value, low, high] = [value, share.low, share.high].map(percent);
        format!("{count} ({value}; {low} to {high} at 95 %)")
    })
}

fn percent(value: f64) -> String {
    format!("{:.1} %", value * 100.0)
}

/// Why something is suspected.
pub fn why(why: &Why) -> String {
    match why {
        Why::BeyondFence => "outside of the fence of the nights before".to_owned(),
        Why::ChangePoint { p, nights } => {
            format!(
                "a change point {} ago (p = {})",
                format::counted(*nights as u64, "night", "nights"),
                format::number(*p)
            )
        }
        Why::Proven => "proven by tonight's experiment on its cell".to_owned(),
        Why::EndsDifferently { usual, tonight } => format!("it ended with {tonight}, and usually with {usual}"),
    }
}

/// All of a suspect in a sentence.
pub fn suspect(suspect: &Suspect) -> String {
    let mut line = suspect.metric.map_or_else(|| "outcome".to_owned(), |metric| title(metric).to_owned());
    if let Some(changed) = suspect.ratio {
        let _ = write!(line, " {}", ratio(changed));
    }
    if let Some(strength) = suspect.strength {
        let _ = write!(line, ", {} times the noise", format::number(strength));
    }
    let reasons: Vec<String> = suspect.why.iter().map(why).collect();
    let _ = write!(line, ": {}; {}", reasons.join(", "), commits(suspect.from.as_deref(), suspect.to.as_deref()));
    if !suspect.seams.is_empty() {
        let _ = write!(line, "; also changed: {}", seams(&suspect.seams));
    }
    line
}

/// What stopped a cell in a night, in a word.
pub fn ending(line: &CellLine) -> String {
    match (line.outcome, line.cause) {
        (Outcome::Ok, _) | (Outcome::Ceiling, Some(Cause::None)) => "reached the end".to_owned(),
        (Outcome::Ceiling, Some(cause)) => cause.to_string(),
        (outcome, _) => outcome.to_string(),
    }
}

/// The judgement of a night for a terminal.
pub fn judgement(judgement: &Judgement) -> String {
    let mut out = format!("night of {}, {} in all\n", moment(&judgement.night), judgement.nights);
    let width = judgement.cells.iter().map(|cell| cell.cell.chars().count()).max().unwrap_or_default();
    for cell in &judgement.cells {
        let reason =
            cell.reason.as_deref().map(|reason| format!(": {}", text::shorten(reason, 100))).unwrap_or_default();
        let _ = writeln!(out, "{:width$}  {}{reason}", cell.cell, cell.word);
    }
    for moved in &judgement.controls_moved {
        let _ = writeln!(out, "the control {} moved: {} {}", moved.cell, title(moved.metric), ratio(moved.ratio));
    }
    for found in &judgement.suspects {
        let _ = writeln!(out, "{}: {}: {}", found.word, found.cell, suspect(found));
    }
    for nominated in &judgement.nominated {
        let base = nominated.base.as_deref().map_or_else(|| "an unknown commit".to_owned(), commit);
        let _ = writeln!(out, "to be tested against {base}: {}", nominated.cell);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_commits_read_as_people_write_them() {
        assert_eq!([ratio(0.2013), ratio(-0.032), ratio(f64::NAN)], ["+20.1 %", "−3.2 %", "–"]);
        assert_eq!(commits(Some("0123456789ab"), Some("fedcba987654")), "0123456789..fedcba9876");
        assert_eq!(commits(Some("0123456789ab"), Some("0123456789ab")), "0123456789, the same commit");
        assert_eq!(commits(None, None), "unknown commits");
        assert_eq!(value(Metric::Ceiling, 12_000.0, true), "at least 12,000");
        let changed = Seam { what: "kernel", before: None, after: Some("6.18.0".into()) };
        assert_eq!(seam(&changed), "kernel unknown → 6.18.0");
        assert_eq!(share(Share::new(28, 30)), "28 of 30 (93.3 %; 77.9 % to 99.2 % at 95 %)");
        assert_eq!(share(Share::new(0, 0)), "0 of 0");
    }
}
