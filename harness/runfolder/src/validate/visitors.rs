//! The record of a run with visitors.

use std::path::Path;

use super::Found;
use crate::VisitorsRun;
use wsceiling_model::record::Metric;
use wsceiling_model::visitors::{Tick, VisitorsLine};

const FILE: &str = "visitors.jsonl";
const FIX: &str = "the file was changed after it was written; restore it";

/// Checks it whole.
pub(super) fn check(run: &Path, found: &mut Found) {
    let run = match VisitorsRun::open(run) {
        Ok(run) => run,
        Err(error) => return found.error(FILE, &error),
    };
    if let Err(error) = run.header.setting.checked() {
        found.add("visitors.json", None, format!("the setting cannot be: {error}"), FIX);
    }
    let mut before = Tick::default();
    let mut ended = false;
    for (number, line) in (1..).zip(&run.lines) {
        let mut wrong = |what: String| found.add(FILE, Some(number), what, FIX);
        match line {
            VisitorsLine::Tick(tick) => {
                tick_after(&before, tick, &mut wrong);
                before = *tick;
            }
            VisitorsLine::Server(row) => {
                for (name, value) in &row.values {
                    if Metric::from_name(name).is_none() || !value.is_finite() || *value < 0.0 {
                        wrong(format!("`{name}` = {value} is no number of a server"));
                    }
                }
            }
            VisitorsLine::Summary(summary) => {
                let lost: u64 = summary.browsers.values().map(|counts| counts.lost).sum();
                let closes: u64 = summary.closes.values().sum();
                if closes > lost {
                    wrong(format!("{closes} close codes of {lost} lost connections"));
                }
            }
            VisitorsLine::Mark(_) if ended => wrong("a mark after the end".to_owned()),
            VisitorsLine::Mark(mark) => {
                ended = matches!(mark.what, wsceiling_model::visitors::MarkKind::Stopped { .. });
            }
        }
    }
}

fn tick_after(before: &Tick, tick: &Tick, wrong: &mut impl FnMut(String)) {
    if tick.t_ms < before.t_ms {
        wrong(format!("{} ms comes after {} ms", tick.t_ms, before.t_ms));
    }
    let counters = |tick: &Tick| {
        [
            ("opened", tick.opened),
            ("failed", tick.failed),
            ("stuck", tick.stuck),
            ("lost", tick.lost),
            ("generator.failed", tick.generator.unwrap_or_default().failed),
            ("generator.lost", tick.generator.unwrap_or_default().lost),
            ("sent", tick.sent),
            ("answered", tick.answered),
        ]
    };
    for ((name, now), (_, then)) in counters(tick).into_iter().zip(counters(before)) {
        if now < then {
            wrong(format!("`{name}` fell from {then} to {now}"));
        }
    }
    if tick.generator.is_some_and(|generator| generator.granted > generator.goal) {
        wrong("the generator was granted more than its goal".to_owned());
    }
    if tick.lost > tick.opened || tick.answered > tick.sent {
        wrong("more lost than opened, or more answered than sent".to_owned());
    }
}
