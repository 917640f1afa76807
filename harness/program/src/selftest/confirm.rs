//! Whether experiments confirm what was injected.

use std::fmt::Write as _;

use serde::Serialize;

use super::limits::InjectedLimit;
use wsceiling_analysis::confirm::{Finding, has_experiment};
use wsceiling_analysis::{CellFindings, Findings};
use wsceiling_model::matrix::{ConfirmArgs, Matrix, Start};
use wsceiling_model::record::Cause;

/// A limit whose cause has an experiment, and what that found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confirmed {
    /// The limit.
    pub limit: String,
    /// The injected cause.
    pub expected: Cause,
    /// The cause of the verdict after the experiments, and its confidence.
    pub cause: Cause,
    /// See [`Self::cause`].
    pub confidence: f64,
    /// What the experiments found together: `confirmed`, `suspected only`, `rejected`, `inconclusive`, or `none`.
    pub finding: String,
    /// A sentence for each experiment.
    pub experiments: Vec<String>,
    /// The injected cause was confirmed; a cap of the application can only be suspected.
    pub as_it_must: bool,
}

/// Switches the experiments on, and says how the servers of the limits are told what only they can set.
pub(super) fn switch_on(matrix: &mut Matrix) {
    matrix.run.confirm = true;
    for target in matrix.targets.values_mut() {
        let node = target.process.as_ref().is_some_and(|process| matches!(process.start, Start::Program(_)));
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        target.confirm = if node {
            ConfirmArgs { heap: words(&["--max-old-space-size={value}"]), ..ConfirmArgs::default() }
        } else {
            ConfirmArgs {
                backlog: words(&["--backlog", "{value}"]),
                threads: words(&["--threads", "{value}"]),
                heap: Vec::new(),
            }
        };
    }
}

/// What was found about a limit; `None` where its cause has no experiment, or nothing was judged.
pub(super) fn confirmed(limit: &InjectedLimit, findings: &Findings) -> Option<Confirmed> {
    let cell = findings.cells.first().filter(|_| has_experiment(limit.expected))?;
    let verdict = cell.verdict.as_ref()?;
    let finding = overall(cell, limit.expected);
    let must = if limit.expected == Cause::ApplicationCap { Finding::Suspected } else { Finding::Confirmed };
    Some(Confirmed {
        limit: limit.name.into(),
        expected: limit.expected,
        cause: verdict.cause,
        confidence: verdict.confidence,
        finding: finding.map_or("none", Finding::word).into(),
        experiments: cell
            .confirmations
            .tried
            .iter()
            .map(|one| format!("{}: {}: {}", one.experiment.suspect, one.experiment.change, one.sentence))
            .collect(),
        as_it_must: verdict.cause == limit.expected && finding == Some(must),
    })
}

/// What the experiments on a cause found together. One that rejects it outweighs any that leave it suspected.
fn overall(cell: &CellFindings, cause: Cause) -> Option<Finding> {
    let of = cell.confirmations.tried.iter().filter(|one| one.experiment.suspect == cause).map(|one| one.finding);
    strongest(&of.collect::<Vec<_>>())
}

fn strongest(found: &[Finding]) -> Option<Finding> {
    let order = [Finding::Confirmed, Finding::Rejected, Finding::Suspected];
    order.into_iter().find(|finding| found.contains(finding)).or_else(|| found.first().copied())
}

/// The table for a person.
pub fn text(rows: &[Confirmed]) -> String {
    let mut out = String::new();
    let right = rows.iter().filter(|row| row.as_it_must).count();
    let _ = writeln!(out, "\nexperiments: {right} of {} injected limits came out as they must", rows.len());
    for row in rows {
        let mark = if row.as_it_must { "ok " } else { "NOT" };
        let _ = writeln!(out, "  {mark} {}: {}, {} ({:.2})", row.limit, row.finding, row.cause, row.confidence);
        for sentence in &row.experiments {
            let _ = writeln!(out, "        {sentence}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_beats_suspected_whichever_came_first() {
        assert_eq!(strongest(&[Finding::Suspected, Finding::Rejected]), Some(Finding::Rejected));
        assert_eq!(strongest(&[Finding::Rejected, Finding::Suspected]), Some(Finding::Rejected));
        assert_eq!(strongest(&[Finding::Suspected, Finding::Suspected]), Some(Finding::Suspected));
        assert_eq!(strongest(&[]), None);
    }
}
