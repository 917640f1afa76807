//! The outcome in a sentence, and the generator's part in it in another.

use std::fmt::Write as _;

use super::drive::Ended;
use super::outcome::Outcome;
use wsceiling_model::format::{self, count as grouped};
use wsceiling_model::record::FailedAt;

/// Share of a core from which on a worker has itself to blame for its lag.
const BUSY: f64 = 0.7;

/// Causes that the verdict names.
const CAUSES_MAX: usize = 3;

/// Whether the generator was the limit, in a sentence.
pub fn own_statement(outcome: &Outcome) -> String {
    let own = &outcome.own;
    if let Some(why) = failed_itself(outcome) {
        return format!("the generator itself failed: {why}");
    }
    let mut facts = Vec::new();
    if let Some(ratio) = own.cpu_ratio {
        let busiest = own
            .busiest_worker_ratio
            .map_or_else(String::new, |busiest| format!(" (its busiest worker {:.0} %)", busiest * 100.0));
        facts.push(format!("used {:.0} % of a core{busiest}", ratio * 100.0));
    }
    if let Some(p99) = own.lag.p99_us {
        facts.push(format!("lag p99 {}", format::micros(p99 as f64)));
    }
    if facts.is_empty() {
        facts.push("did nothing that could be measured".to_owned());
    }
    let facts = facts.join(", ");
    if !own.limited_by.is_empty() {
        // Late without being busy: others have the cores, often the server that is measured.
        let starved = own.busiest_worker_ratio.is_some_and(|ratio| ratio < BUSY);
        let advice = if starved {
            "other programs kept it from the cores: fewer of them, or another machine"
        } else {
            "more of --workers, or a lower rate"
        };
        return format!("the generator {facts}: it was a limit itself: {} (hint: {advice})", own.limited_by.join("; "));
    }
    let late =
        own.lag.p99_us.zip(outcome.latency.replies().p99_us).is_some_and(|(lag, reply)| lag * 4 > reply && lag > 1000);
    if late {
        return format!("the generator {facts}: it was not the limit, but its lag is part of the latencies");
    }
    format!("the generator {facts}: it was not the limit")
}

fn failed_itself(outcome: &Outcome) -> Option<&str> {
    match &outcome.ended {
        Ended::GeneratorFailed(why) => Some(why),
        _ => None,
    }
}

/// The outcome in a sentence.
pub fn verdict(outcome: &Outcome) -> String {
    let mut text = match &outcome.ended {
        Ended::Complete => String::new(),
        Ended::Interrupted => "interrupted: ".to_owned(),
        Ended::MaxDuration => "ended by --max-duration: ".to_owned(),
        Ended::GeneratorFailed(why) => format!("the generator itself failed ({why}); what is known: "),
    };
    text.push_str(&what_happened(outcome));
    if !outcome.own.limited_by.is_empty() {
        text.push_str("; the generator was a limit itself");
    }
    let failed: Vec<_> = outcome.gates.iter().filter(|judged| !judged.passed).collect();
    if outcome.gates.is_empty() {
        return text;
    }
    let _ = match failed.as_slice() {
        [] => write!(text, "; every threshold is met"),
        some => write!(text, "; {} of {} thresholds not met", some.len(), outcome.gates.len()),
    };
    text
}

fn what_happened(outcome: &Outcome) -> String {
    let counts = &outcome.connections;
    let wanted = counts.wanted();
    let of = |stages: fn(FailedAt) -> bool| {
        let causes: Vec<_> =
            outcome.errors.iter().filter(|error| stages(error.tally.at) && !error.is_retried()).collect();
        match causes.as_slice() {
            [] => "no cause known".to_owned(),
            [only] => only.tally.reason.to_string(),
            several => {
                let mut listed: Vec<_> = several
                    .iter()
                    .take(CAUSES_MAX)
                    .map(|error| format!("{} ({})", error.describe(), grouped(error.tally.count)))
                    .collect();
                if several.len() > CAUSES_MAX {
                    listed.push(format!("and {} more causes", several.len() - CAUSES_MAX));
                }
                listed.join(", ")
            }
        }
    };
    let before = |at: FailedAt| at != FailedAt::Open;
    let after = |at: FailedAt| at == FailedAt::Open;
    let mut parts = Vec::new();
    if counts.failed > 0 {
        parts.push(format!("{} of {} connects failed: {}", grouped(counts.failed), grouped(wanted), of(before)));
    } else if counts.opened == wanted && wanted > 0 {
        parts.push(format!("all {} connections opened", grouped(wanted)));
    } else {
        parts.push(format!("{} of {} connections opened", grouped(counts.opened), grouped(wanted)));
    }
    if counts.lost > 0 {
        parts.push(format!("{} of {} were lost: {}", grouped(counts.lost), grouped(counts.opened), of(after)));
    } else if counts.opened > 0 {
        parts.push("none was lost".to_owned());
    }
    if counts.open > 0 && counts.held < counts.open {
        parts.push(format!("{} of {} were not answered", grouped(counts.open - counts.held), grouped(counts.open)));
    }
    let replies = outcome.latency.replies();
    if let (Some(p50), Some(p99)) = (replies.p50_us, replies.p99_us) {
        parts.push(format!("replies took {} (p50), {} (p99)", format::micros(p50 as f64), format::micros(p99 as f64)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_done_is_not_called_a_success() {
        let mut outcome = Outcome::default();
        outcome.connections.requested = 5;
        outcome.ended = Ended::Interrupted;
        assert_eq!(verdict(&outcome), "interrupted: 0 of 5 connections opened");
        assert!(own_statement(&outcome).contains("nothing that could be measured"));
    }

    #[test]
    fn a_generator_that_was_starved_is_told_from_one_that_was_busy() {
        let mut outcome = Outcome::default();
        outcome.own.limited_by = vec!["it lagged".to_owned()];
        outcome.own.busiest_worker_ratio = Some(0.3);
        assert!(own_statement(&outcome).contains("other programs kept it from the cores"));
        outcome.own.busiest_worker_ratio = Some(0.99);
        assert!(own_statement(&outcome).contains("more of --workers"));
        assert!(verdict(&outcome).contains("the generator was a limit itself"));
    }
}
