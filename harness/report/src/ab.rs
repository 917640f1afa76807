//! What a shuffled run says of two of its targets, as text that is Markdown too.

use std::fmt::Write as _;

use super::change_words;
use super::describe;
use super::summary::{code, escape};
use super::table::{Column, table};
use super::text;
use wsceiling_analysis::ab::{Ab, AbCell};
use wsceiling_analysis::{Change, Silence};
use wsceiling_model::format;

/// Characters of a reason.
const WHY_CHARS: usize = 160;

/// The judgement for standard output or a job summary.
pub fn ab(ab: &Ab) -> String {
    let mut out = format!("# {}\n\n{}\n\n", escape(&title(ab)), escape(&in_a_line(ab)));
    let lines = silences(ab);
    for line in &lines {
        let _ = writeln!(out, "- not judged, {line}");
    }
    if !lines.is_empty() {
        out.push('\n');
    }
    out.push_str(&numbers(ab));
    for cell in ab.cells.iter().filter(|cell| cell.reason.is_some() || cell.base.is_none()) {
        let _ = writeln!(out, "- {}: {}", code(&cell.cell), escape(&why(ab, cell)));
    }
    for base in &ab.only_base {
        let _ = writeln!(out, "- {}: {} has no such cell", code(base), code(&ab.head));
    }
    out.truncate(out.trim_end().len());
    let _ = writeln!(out, "\n\n{}", how(ab));
    out
}

/// `head against base: 1 confirmed worse, 0 confirmed better`.
pub fn title(ab: &Ab) -> String {
    let counts = ab.counts;
    format!(
        "{} against {}: {} confirmed worse, {} confirmed better",
        text::one_line(&ab.head),
        text::one_line(&ab.base),
        counts.worse,
        counts.better
    )
}

fn in_a_line(ab: &Ab) -> String {
    let counts = ab.counts;
    let mut parts = vec![format!("{} the same", counts.same)];
    for (count, words) in [
        (counts.not_confirmed, "changed and not confirmed"),
        (counts.cannot_know, "not to be judged"),
        (counts.not_measured, "not measured"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {words}"));
        }
    }
    format!(
        "Of all other numbers: {}. All trials of {} ran in one shuffle, by seed {}; {} judged together.",
        parts.join(", "),
        change_words::run(&ab.run),
        ab.seed,
        format::counted(u64::from(ab.tested), "number was", "numbers were"),
    )
}

/// Why how many numbers could not be judged.
pub fn silences(ab: &Ab) -> Vec<String> {
    change_words::silences(ab.cells.iter().flat_map(|cell| &cell.changes))
}

/// A row for each number that is judged, and for a cause that changed.
fn numbers(ab: &Ab) -> String {
    let columns: [Column; 8] = [
        ("cell", false),
        ("number", false),
        ("before", true),
        ("after", true),
        ("change", true),
        ("provable", true),
        ("noise", true),
        ("judgement", false),
    ];
    table(columns, ab.cells.iter().flat_map(rows))
}

fn rows(cell: &AbCell) -> Vec<[String; 8]> {
    let words = |number: &str, before: String, after: String| {
        let [none, nothing, empty, blank] = [const { String::new() }; 4];
        [code(&cell.cell), number.to_owned(), before, after, none, nothing, empty, blank]
    };
    let mut rows = Vec::new();
    if let Some(before) = cell.outcome_base.filter(|before| *before != cell.outcome_head) {
        let text = |outcome| describe::badge(outcome).text.to_owned();
        rows.push(words("outcome", text(before), text(cell.outcome_head)));
    }
    if let (Some(before), Some(after)) = (cell.cause_base, cell.cause_head)
        && before != after
    {
        rows.push(words("what stopped it", before.to_string(), after.to_string()));
    }
    rows.extend(cell.changes.iter().filter(|change| is_of_interest(change)).map(|change| {
        let [before, after] = change_words::sides(change);
        [
            code(&cell.cell),
            change_words::number(change.quantity).0.to_owned(),
            before,
            after,
            change_words::percent(change.ratio),
            change_words::provable(change),
            change_words::percent(cell.noise_of(change.quantity).and_then(|noise| noise.ratio)),
            change_words::judged(change),
        ]
    }));
    rows
}

/// What was not asked for is in the files for programs only.
fn is_of_interest(change: &Change) -> bool {
    !matches!(change.why, Some(Silence::PartOfCpu | Silence::NotAsked))
}

/// Why a cell was not measured, with what to do about it.
pub fn why(ab: &Ab, cell: &AbCell) -> String {
    if cell.base.is_none() {
        return format!("{} has no such cell", text::one_line(&ab.base));
    }
    let reason = cell.reason.as_deref().map(|reason| text::shorten(reason, WHY_CHARS)).unwrap_or_default();
    let hint = cell.hint.as_ref().map(|hint| format!("; hint: {}", text::hint(hint, WHY_CHARS))).unwrap_or_default();
    format!("not measured: {reason}{hint}")
}

fn how(ab: &Ab) -> String {
    let noise = match &ab.again {
        Some(again) => {
            format!(" Noise is what the base did against itself ({}); no smaller change is confirmed.", code(again))
        }
        None => String::new(),
    };
    format!(
        "Confirmed: an exact permutation test with Holm's correction. Were nothing changed, anything would be confirmed \
         worse in at most {} of such runs. Provable is the smallest change for the worse that these trials could have \
         confirmed.{noise}",
        format::percent(ab.level)
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::comparison::tests::change;
    use wsceiling_analysis::ab::Counts;
    use wsceiling_analysis::{Judgement, Quantity};
    use wsceiling_model::record::{Cause, Outcome};

    /// A judgement with everything in it.
    pub(crate) fn a_run() -> Ab {
        let noise = vec![
            change(Quantity::Ceiling, 5e3, 5_030.0, Judgement::Same),
            change(Quantity::Memory, 8e3, 7_960.0, Judgement::Same),
        ];
        let asked = Change { why: Some(Silence::NotAsked), ..change(Quantity::Cpu, 1.0, 2.0, Judgement::CannotKnow) };
        let few = Some(Silence::TooFewTrials { needed: 5 });
        let measured = AbCell {
            cell: "head-docker-x1-small".into(),
            base: Some("base-docker-x1-small".into()),
            outcome_base: Some(Outcome::Ceiling),
            outcome_head: Outcome::Ceiling,
            cause_base: Some(Cause::CpuQuota),
            cause_head: Some(Cause::MemoryLimit),
            reason: None,
            hint: None,
            changes: vec![
                change(Quantity::Ceiling, 5e3, 4.1e3, Judgement::ConfirmedWorse),
                change(Quantity::Memory, 8e3, 8.4e3, Judgement::NotConfirmed),
                asked,
                Change { why: few, ..change(Quantity::OpeningCpu, 90.0, 95.0, Judgement::CannotKnow) },
            ],
            noise,
            judgement: Judgement::ConfirmedWorse,
        };
        let failed = AbCell {
            cell: "head-docker-x2-small".into(),
            base: Some("base-docker-x2-small".into()),
            outcome_head: Outcome::FailedToStart,
            cause_head: None,
            reason: Some("exited with code 3 before it listened".into()),
            hint: Some("read its log".into()),
            changes: Vec::new(),
            noise: Vec::new(),
            judgement: Judgement::NotMeasured,
            ..measured.clone()
        };
        Ab {
            run: "2026-11-24T03:56:16Z nightly".into(),
            base: "base".into(),
            head: "head".into(),
            again: Some("again".into()),
            seed: 7,
            level: 0.01,
            tested: 2,
            judgement: Judgement::ConfirmedWorse,
            counts: Counts { worse: 1, not_confirmed: 1, cannot_know: 1, not_measured: 1, ..Counts::default() },
            only_base: vec!["base-bare-x1".into()],
            cells: vec![measured, failed],
        }
    }

    #[test]
    fn a_judgement_reads_as_text_and_as_markdown() {
        insta::assert_snapshot!("ab", ab(&a_run()));
    }

    #[test]
    fn a_log_cannot_leave_its_line() {
        let mut hostile = a_run();
        hostile.cells[1].reason = Some("<img src=x>\n## @f [x](http://e)".into());
        let text = ab(&hostile);
        assert!(!text.contains("<img") && !text.contains("\n## ") && !text.contains("[x](") && !text.contains(" @f"));
    }
}
