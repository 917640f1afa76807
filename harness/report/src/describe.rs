//! The words for outcomes, ceilings and confidence, the same on pages, in tables and on the terminal.

use serde::Serialize;

use super::text;
use wsceiling_analysis::FailurePattern;
use wsceiling_analysis::confirm::Confirmation;
use wsceiling_analysis::{Ceiling, CellFindings, Ending, Findings, InstancePrice, Reading};
use wsceiling_model::format;
use wsceiling_model::matrix::{Cell, Runtime};
use wsceiling_model::record::{Errno, FailedAt, FailureReason, Measure, Outcome, StepKind};

/// An outcome as a badge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Badge {
    /// Class of the badge and stable name.
    pub slug: &'static str,
    /// The word.
    pub text: &'static str,
}

/// The badge of an outcome.
pub fn badge(outcome: Outcome) -> Badge {
    let (slug, text) = match outcome {
        Outcome::Ok => ("ok", "ok"),
        Outcome::Ceiling => ("ceiling", "ceiling"),
        Outcome::Invalid => ("invalid", "invalid"),
        Outcome::Skipped => ("skipped", "skipped"),
        Outcome::FailedToStart => ("failed-to-start", "failed to start"),
        Outcome::FailedVerification => ("failed-verification", "failed verification"),
        Outcome::TimedOut => ("timed-out", "timed out"),
        Outcome::Killed => ("killed", "killed"),
    };
    Badge { slug, text }
}

/// What the outcome means, for a tooltip and the key under the table.
pub fn meaning(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "every step passed, so the ceiling is at least this number",
        Outcome::Ceiling => "a step failed because of the server",
        Outcome::Invalid => "the numbers contradict each other, or the client was the limit: no ceiling can be stated",
        Outcome::Skipped => "this machine lacks something that the cell needs",
        Outcome::FailedToStart => "the target did not start or did not listen in time",
        Outcome::FailedVerification => "the target gave a wrong answer, so it was not measured",
        Outcome::TimedOut => "the trial exceeded its time limit",
        Outcome::Killed => "the run was stopped",
    }
}

/// `1,830` or `at least 8,000`.
pub fn ceiling(ceiling: &Ceiling) -> String {
    let number = format::count(ceiling.connections);
    if ceiling.at_least { format!("at least {number}") } else { number }
}

/// Where the ceiling can be, from the minimum to the maximum of the trials: `1,800 to 1,860`; empty where no trial met one.
pub fn ceiling_interval(ceiling: &Ceiling) -> String {
    match ceiling.high {
        _ if ceiling.unmet == ceiling.valid => String::new(),
        Some(high) => format!("{} to {}", format::count(ceiling.low), format::count(high)),
        None => format!("{} or more", format::count(ceiling.low)),
    }
}

/// `3 trials`, or `2 of 3 trials valid`.
pub fn valid_trials(ceiling: &Ceiling) -> String {
    if ceiling.valid < ceiling.trials {
        let trials = format::counted(u64::from(ceiling.trials), "trial", "trials");
        return format!("{} of {trials} valid", ceiling.valid);
    }
    format::counted(u64::from(ceiling.trials), "trial", "trials")
}

/// Whether all trials of a cell ended alike.
pub fn agree(cell: &CellFindings) -> bool {
    cell.endings.len() < 2
}

/// How the trials of a cell ended: `2 reached the end, 1 crash`.
pub fn endings(cell: &CellFindings) -> String {
    let words = |ending: &Ending| match (ending.outcome, ending.cause) {
        (Outcome::Ok, _) => "reached the end".to_owned(),
        (Outcome::Ceiling | Outcome::Invalid, Some(cause)) => cause.to_string(),
        (outcome, _) => badge(outcome).text.to_owned(),
    };
    let each =
        cell.endings.iter().map(|ending| format!("{} {}", format::count(u64::from(ending.trials)), words(ending)));
    each.collect::<Vec<_>>().join(", ")
}

/// `The trials disagree: 2 reached the end, 1 crash.`; nothing where they agree.
pub fn disagreement(cell: &CellFindings) -> Option<String> {
    (!agree(cell)).then(|| format!("The trials disagree: {}.", endings(cell)))
}

/// Price of 1,000 connections for a month, in the currency of the cell's price; `None`: no price or no ceiling.
pub fn price_per_thousand(cell: &CellFindings) -> Option<f64> {
    let per_price = cell.connections_per_price?;
    (per_price.is_finite() && per_price > 0.0).then(|| 1_000.0 / per_price)
}

/// [`price_per_thousand`] in words; an upper bound where the ceiling is a lower one.
pub fn price_words(cell: &CellFindings) -> String {
    let most = cell.ceiling.as_ref().is_some_and(|ceiling| ceiling.at_least);
    price_per_thousand(cell).filter(|_| measured(cell)).map_or_else(
        || format::UNKNOWN.to_owned(),
        |price| format!("{}{}", if most { "at most " } else { "" }, money(cell, price)),
    )
}

/// An amount in the currency of a cell's price: `1.50 EUR`, or `1.50` in that of the matrix.
pub fn money(cell: &CellFindings, amount: f64) -> String {
    let currency = cell.price.as_ref().and_then(InstancePrice::currency);
    let currency = currency.map(|currency| format!(" {}", text::one_line(currency))).unwrap_or_default();
    format!("{}{currency}", format::price(amount))
}

/// In which currencies the prices of a run are; `None`: it has none.
pub fn currencies(findings: &Findings) -> Option<&'static str> {
    let priced = || findings.cells.iter().filter(|cell| price_per_thousand(cell).is_some());
    let listed = priced().filter(|cell| cell.price.as_ref().is_some_and(|price| price.row.is_some())).count();
    match (priced().count(), listed) {
        (0, _) => None,
        (_, 0) => Some("Prices are in the currency of the matrix."),
        (all, listed) if listed == all => {
            Some("Prices are those of the plans, in their currencies, and not converted.")
        }
        _ => Some(
            "Prices without a currency are in that of the matrix, the others are those of the plans; none is converted.",
        ),
    }
}

/// The rows of the catalogue that sizes are named by, with their sources and their age when the run began: name of the size,
/// and the row in words.
pub fn plans(findings: &Findings) -> impl Iterator<Item = (String, String)> {
    let header = &findings.header;
    header.sizes.iter().filter_map(move |size| {
        let row = header.prices.iter().find(|row| Some(row.full_name()) == size.plan)?;
        let (plan, amount, machine) = (row.full_name(), row.amount(), row.machine());
        let words = format!("{plan}: {amount}, {machine}, {}", row.reference(&header.started));
        Some((text::one_line(&size.name), text::one_line(&words)))
    })
}

/// A confidence in words.
pub fn confidence(value: f64) -> &'static str {
    match value {
        _ if !value.is_finite() => "of unknown confidence",
        _ if value >= 0.97 => "confirmed: one change moved the ceiling as predicted",
        _ if value >= 0.85 => "very likely: the arithmetic and the time match",
        _ if value >= 0.60 => "likely: its counter moved",
        _ if value >= 0.30 => "suspected: only a symptom was seen",
        _ if value > 0.20 => "a guess: the evidence is weak",
        _ => "rejected: one change did not move the ceiling as predicted",
    }
}

/// The first word of [`confidence`], for tables.
pub fn confidence_short(value: f64) -> &'static str {
    let words = confidence(value);
    words.split_once(':').map_or(words, |(word, _)| word)
}

/// How far a connection had come when it failed, in a word.
pub fn stage(at: FailedAt) -> &'static str {
    match at {
        FailedAt::Socket => "socket",
        FailedAt::Bind => "bind",
        FailedAt::Connect => "connect",
        FailedAt::Handshake => "upgrade",
        FailedAt::Open => "open",
    }
}

/// What a failure means, for who does not know the names of errors; empty where the reason says it all.
pub fn failure(at: FailedAt, reason: &FailureReason) -> &'static str {
    match (at, reason) {
        (_, FailureReason::Retried(_)) => "the port was in use, so the next one was used",
        (FailedAt::Connect, FailureReason::Timeout) => "the connection was not accepted in time",
        (FailedAt::Handshake, FailureReason::Timeout) => "connected, but the upgrade was not answered in time",
        (FailedAt::Handshake, FailureReason::Eof) => "the server closed it before answering the upgrade",
        (FailedAt::Open, FailureReason::Eof) => "the server closed it without a close frame",
        (FailedAt::Open, FailureReason::Close(Some(_))) => "the server closed it with this code",
        (FailedAt::Handshake, FailureReason::Http(_)) => "the server refused it with this HTTP status",
        (_, FailureReason::Reset) => "the server reset it (RST)",
        (_, FailureReason::Errno(errno)) => match errno {
            Errno::ConnectionRefused => "nothing listens at the address any more",
            Errno::HostUnreachable | Errno::NetworkUnreachable => "the address is gone",
            Errno::TimedOut => "the kernel gave up: the other side did not answer",
            Errno::AddressNotAvailable => "the generator ran out of source ports",
            Errno::ProcessFiles | Errno::SystemFiles => "the generator ran out of descriptors",
            Errno::NoBufferSpace | Errno::NoMemory => "the kernel had no memory for it on the generator's side",
            _ => "",
        },
        _ => "",
    }
}

/// How the connections went.
pub fn pattern(pattern: FailurePattern) -> &'static str {
    match pattern {
        FailurePattern::Reached => "every requested connection was held",
        FailurePattern::Churn => "connections closed as fast as they opened, without failures",
        FailurePattern::Plateau => "the number of open connections stayed constant while attempts failed",
        FailurePattern::Slope => "connections still rose, but far slower than requested",
        FailurePattern::Collapse => "at least half of the open connections were lost within 2 s",
        FailurePattern::Sawtooth => "the connections collapsed, then rose again",
    }
}

/// What an experiment compares.
pub const fn measure(measure: Measure) -> &'static str {
    match measure {
        Measure::Connections => "connections at the stop",
        Measure::Passed => "largest step that passed",
        Measure::Opened => "connections opened",
        Measure::Answered => "messages answered",
        Measure::Overflows => "overflows of the accept queue",
    }
}

/// How ceilings go with the number of instances.
pub const fn reading(reading: Reading) -> &'static str {
    match reading {
        Reading::PerInstance => "per instance",
        Reading::SharedHop => "shared hop",
        Reading::SharedMachine => "shared machine",
        Reading::OfferedLoad => "offered load",
        Reading::Partly => "partly shared",
    }
}

/// Why a step was driven.
pub const fn step_kind(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Staircase => "staircase",
        StepKind::PastEdge => "past the edge",
        StepKind::Again => "asked again",
        StepKind::Narrow => "narrow",
        StepKind::Stage => "stage",
        StepKind::Storm => "storm",
    }
}

/// `docker, 2 instances, 1 cpu, 512 MiB, echo`.
pub fn set_up(cell: &CellFindings) -> String {
    let mut words =
        vec![cell.cell.runtime.to_string(), format::counted(u64::from(cell.cell.instances), "instance", "instances")];
    words.extend(cell.cell.front.as_ref().map(|front| format!("behind {}", text::one_line(front))));
    words.extend(size(cell).map(|size| size.replace(' ', "\u{a0}").replace(",\u{a0}", ", ")));
    words.push(cell.cell.scenario.to_string());
    words.join(", ")
}

/// The limits of the cell's size; `None`: it runs elsewhere, and nobody said what it has.
fn size(cell: &CellFindings) -> Option<String> {
    match (&cell.size, &cell.cell.size) {
        (Some(size), _) => Some(text::one_line(&size.text)),
        (None, Some(name)) => Some(format!("size {}", text::one_line(name))),
        (None, None) => (cell.cell.runtime != Runtime::Remote).then(|| "no limits".to_owned()),
    }
}

/// The sentence of the verdict, else the reason of the outcome, else what the outcome means.
pub fn why(cell: &CellFindings) -> String {
    let known = |text: &Option<String>| text.as_deref().map(text::one_line).filter(|text| !text.is_empty());
    if measured(cell)
        && let Some(verdict) = &cell.verdict
    {
        return text::one_line(&verdict.sentence);
    }
    known(&cell.reason).unwrap_or_else(|| meaning(cell.outcome).to_owned())
}

/// What was changed in an experiment, and what came of it: `descriptors of an instance 1,000 -> 1,500: ceiling moved ...`.
pub fn experiment(of: &Confirmation) -> String {
    text::one_line(&format!("{}: {}", of.experiment.change, of.sentence))
}

/// Whether a ceiling may be read from the cell.
pub fn measured(cell: &CellFindings) -> bool {
    cell.ceiling.is_some() && matches!(cell.outcome, Outcome::Ok | Outcome::Ceiling)
}

/// The command that measures everything again, or one cell of it.
pub fn command(findings: &Findings, cell: Option<&Cell>) -> String {
    let file = text::shell(&text::one_line(&findings.header.matrix_path));
    match cell {
        Some(cell) => format!("cargo run -- matrix {file} --only {}", cell.id),
        None => format!("cargo run -- matrix {file}"),
    }
}

/// `8 cells, 24 trials: 5 reached a ceiling, 2 held every connection, 1 skipped.`
pub fn run_in_a_line(findings: &Findings) -> String {
    let trials: usize = findings.cells.iter().map(|cell| cell.trials.len()).sum();
    let mut parts = Vec::new();
    for outcome in Outcome::ALL {
        let cells = findings.cells.iter().filter(|cell| cell.outcome == outcome).count();
        let words = match outcome {
            _ if cells == 0 => continue,
            Outcome::Ok => "held every connection",
            Outcome::Ceiling => "reached a ceiling",
            _ => badge(outcome).text,
        };
        parts.push(format!("{} {words}", format::count(cells as u64)));
    }
    let head = format!(
        "{}, {}",
        format::counted(findings.cells.len() as u64, "cell", "cells"),
        format::counted(trials as u64, "trial", "trials")
    );
    if parts.is_empty() { format!("{head}.") } else { format!("{head}: {}.", parts.join(", ")) }
}

/// What was found of a cell beside its verdict: its own address beside the public one, and the connections beside the load.
pub fn notes(cell: &CellFindings) -> impl Iterator<Item = &str> {
    let edge = cell.edge.as_ref().filter(|edge| !edge.in_verdict).map(|edge| edge.sentence.as_str());
    let long = cell.long.as_ref().map(|long| long.sentence.as_str());
    edge.into_iter().chain(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(connections: u64, high: Option<u64>, unmet: u32) -> Ceiling {
        let at_least = unmet > 1;
        Ceiling { connections, low: connections, high, at_least, unmet, peak: connections, valid: 3, trials: 3 }
    }

    #[test]
    fn a_ceiling_that_was_not_met_is_at_least() {
        assert_eq!(ceiling(&met(8_000, None, 3)), "at least 8,000");
        assert_eq!(ceiling_interval(&met(8_000, None, 3)), "");
        assert_eq!(ceiling(&met(1_830, Some(1_860), 0)), "1,830");
        assert_eq!(ceiling_interval(&met(1_830, Some(1_860), 0)), "1,830 to 1,860");
        assert_eq!(ceiling_interval(&met(1_830, None, 1)), "1,830 or more");
        // Two of three met none, so the median is a lower bound, and one of them did.
        assert_eq!(
            (ceiling(&met(1_830, None, 2)).as_str(), ceiling_interval(&met(1_830, None, 2)).as_str()),
            ("at least 1,830", "1,830 or more")
        );
    }

    #[test]
    fn confidence_is_told_in_words_at_its_borders() {
        assert_eq!(confidence_short(0.97), "confirmed");
        assert_eq!(confidence_short(0.85), "very likely");
        assert_eq!(confidence_short(0.60), "likely");
        assert_eq!(confidence_short(0.30), "suspected");
        assert_eq!(confidence_short(0.25), "a guess");
        assert_eq!(confidence_short(0.2), "rejected");
        assert_eq!(confidence_short(f64::NAN), "of unknown confidence");
    }

    #[test]
    fn prices_have_the_currency_of_their_plan_and_none_where_the_matrix_has_them() {
        let mut findings = crate::fixture::findings();
        findings.cells.retain(|cell| price_per_thousand(cell).is_some());
        findings.cells.truncate(2);
        assert!(currencies(&findings).unwrap().contains("of the matrix."));
        let row = wsceiling_model::platforms::Catalogue::default().plan("hetzner/cx23").unwrap().clone();
        let listed = Some(InstancePrice { per_month: row.price, row: Some(row) });
        findings.cells[0].price.clone_from(&listed);
        assert!(currencies(&findings).unwrap().contains("without a currency"));
        assert!(price_words(&findings.cells[0]).ends_with(" EUR"), "{}", price_words(&findings.cells[0]));
        assert!(!price_words(&findings.cells[1]).contains("EUR"));
        findings.cells[1].price = listed;
        assert!(currencies(&findings).unwrap().contains("not converted"));
        findings.cells.clear();
        assert_eq!(currencies(&findings), None);
    }

    #[test]
    fn trials_that_ended_in_two_ways_disagree() {
        let mut cell = crate::fixture::findings().cells.swap_remove(0);
        let ending = |outcome, cause, trials| Ending { outcome, cause, trials };
        cell.endings = vec![ending(Outcome::Ok, None, 3)];
        assert_eq!(disagreement(&cell), None);
        cell.endings.push(ending(Outcome::Ceiling, Some(wsceiling_model::record::Cause::Crash), 1));
        cell.endings.push(ending(Outcome::TimedOut, None, 1));
        assert_eq!(disagreement(&cell).unwrap(), "The trials disagree: 3 reached the end, 1 crash, 1 timed out.");
    }
}
