//! The score in words: for a terminal, and as Markdown.

use std::fmt::Write as _;

use super::rates::{Bin, Share};
use super::score::{About, OfKind, Row, Score, bar};

/// Cores of other programs from which a trial was disturbed.
const NOISE: f64 = 0.5;

/// The score for standard output.
pub fn terminal(score: &Score) -> String {
    let mut out = String::new();
    let width = score.rows.iter().map(|row| row.limit.len() + 2).max().unwrap_or(0);
    for row in &score.rows {
        let mark = if row.right() { "right" } else { "WRONG" };
        let name = format!("{}.{}", row.limit, row.repeat);
        let noise =
            row.others_cores.filter(|cores| *cores >= NOISE).map(|cores| format!("; others used {cores:.1} cores"));
        let _ = writeln!(out, "{mark}  {name:width$}  {}{}", found(row), noise.unwrap_or_default());
        if !row.right() {
            let _ = writeln!(out, "       injected {}: {}", row.expected, row.what);
            let _ = writeln!(out, "       {}", one_line(&row.sentence));
        }
    }
    out.push('\n');
    for item in &score.not_injected {
        let _ = writeln!(out, "not injected: {}: {}", item.name, one_line(&item.reason));
    }
    out.push('\n');
    for (confidence, words) in calibration(score) {
        let _ = writeln!(out, "confidence {confidence}: {words}");
    }
    for kind in &score.kinds {
        let _ = writeln!(out, "{}: {}", kind.kind.name(), kind_words(kind).join("; "));
    }
    for row in score.sure_rows() {
        let _ = writeln!(out, "sure and wrong: {}.{}: {}", row.limit, row.repeat, one_line(&row.sentence));
    }
    let _ = writeln!(out, "{}", summary(score));
    out
}

/// What a kind gave, its bound, how much of it was tried.
pub(super) fn kind_words(kind: &OfKind) -> [String; 3] {
    let Share { right, of } = kind.right;
    let mut words = if of > 0 { format!("{right} of {of} right") } else { "nothing to judge".to_owned() };
    if kind.reached > 0 {
        let _ = write!(words, ", {} reached their end", kind.reached);
    }
    let bound = if of > 0 { format!("at least {:.1} %", kind.at_least * 100.0) } else { "no bound".to_owned() };
    [words, bound, format!("{} of {} limits tried", kind.covered.right, kind.covered.of)]
}

/// `crash (0.85)`, or the outcome where there is no verdict.
fn found(row: &Row) -> String {
    row.confidence.map_or_else(|| row.found.to_string(), |confidence| format!("{} ({confidence:.2})", row.found))
}

/// Stated confidence, and how many of the verdicts that claimed it were right.
pub(super) fn calibration(score: &Score) -> Vec<(String, String)> {
    let bin = |bin: &Bin| {
        let Share { right, of } = bin.share;
        let share = bin.share.value().map_or_else(|| "none".to_owned(), |share| format!("{:.1} %", share * 100.0));
        (format!("{:.2}", bin.confidence), format!("{right} of {of} right: {share}"))
    };
    score.reliability.iter().map(bin).collect()
}

/// The result in one line.
pub(super) fn summary(score: &Score) -> String {
    if score.rows.is_empty() {
        return "nothing was injected".into();
    }
    let all = Share {
        right: score.kinds.iter().map(|kind| kind.right.right).sum(),
        of: score.kinds.iter().map(|kind| kind.right.of).sum(),
    };
    let mut text = format!("the verdict was right in {} of {} trials", all.right, all.of);
    if let Some(accuracy) = score.accuracy {
        let _ = write!(text, ": {:.1} % (at least {:.1} %)", accuracy * 100.0, all.at_least() * 100.0);
    }
    if let Some(brier) = score.brier {
        let _ = write!(text, "; Brier score {brier:.3}");
    }
    if !score.sure_and_wrong.is_empty() {
        let _ = write!(text, "; sure and wrong: {}", score.sure_and_wrong.join(", "));
    }
    if !score.clean_accused.is_empty() {
        let _ = write!(text, "; clean and accused: {}", score.clean_accused.join(", "));
    }
    text.push_str(if score.passed { "; passed" } else { "; not good enough" });
    text
}

/// The score as Markdown: a page of its own, or a part of `docs/accuracy.md`.
pub fn markdown(score: &Score) -> String {
    let mut out = format!("## Outcome\n\n**{}.**\n\n{}\n", summary(score), about(&score.about));
    out.push_str("\n### Kinds\n\n| kind | right | 95 % sure | bar | tried |\n|---|---|---|---:|---|\n");
    for kind in &score.kinds {
        let [right, bound, tried] = kind_words(kind);
        let _ =
            writeln!(out, "| {} | {right} | {bound} | {:.0} % | {tried} |", kind.kind.name(), bar(kind.kind) * 100.0);
    }
    out.push_str("\n### Injected (rows) and found (columns)\n\n");
    let columns = score.columns();
    let _ = writeln!(out, "| injected | {} |", columns.join(" | "));
    let _ = writeln!(out, "|---|{}", "---:|".repeat(columns.len()));
    for (injected, found) in &score.confusion {
        let cells = columns.iter().map(|cause| found.get(*cause).map_or_else(String::new, ToString::to_string));
        let _ = writeln!(out, "| {injected} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    let _ = writeln!(out, "\n### Confidence\n\n| claimed | right |\n|---:|---|");
    for (confidence, words) in calibration(score) {
        let _ = writeln!(out, "| {confidence} | {words} |");
    }
    let sure: Vec<&Row> = score.sure_rows().collect();
    if !sure.is_empty() {
        out.push_str("\n### Sure and wrong\n\n");
        for row in sure {
            let _ = writeln!(
                out,
                "* {}.{}, {} injected, {} found: {}",
                row.limit,
                row.repeat,
                row.expected,
                found(row),
                one_line(&row.sentence)
            );
        }
    }
    let _ = writeln!(
        out,
        "\n### Injected limits\n\n| limit | kind | what it is | cause | right | confidence |\n|---|---|---|---|---|---|"
    );
    for rows in score.by_limit() {
        let right = rows.iter().filter(|row| row.right()).count();
        let Some(row) = rows.first() else { continue };
        let of = format!("{right} of {}", rows.len());
        let of = if right == rows.len() { of } else { format!("**{of}**") };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {of} | {} |",
            row.limit,
            row.kind.name(),
            cell(&row.what),
            row.expected,
            confidences(rows)
        );
    }
    let wrong: Vec<&Row> = score.rows.iter().filter(|row| !row.right()).collect();
    if !wrong.is_empty() {
        out.push_str("\n### Wrong\n\n| trial | injected | found | sentence |\n|---|---|---|---|\n");
        for row in wrong {
            let (name, sentence) = (format!("{}.{}", row.limit, row.repeat), cell(&row.sentence));
            let _ = writeln!(out, "| {name} | {} | {} | {sentence} |", row.expected, found(row));
        }
    }
    if !score.not_injected.is_empty() {
        let _ = writeln!(out, "\n### Not injected\n\n| what | why |\n|---|---|");
        for item in &score.not_injected {
            let _ = writeln!(out, "| {} | {} |", item.name, cell(&item.reason));
        }
    }
    out
}

/// When, where and for how long.
pub(super) fn about(about: &About) -> String {
    let took = format!("{:.0} minutes", (about.took_s / 60.0).ceil());
    let noise = if about.noise { " --noise" } else { "" };
    let seeds = if about.seeds.is_empty() { "usual".to_owned() } else { about.seeds.join(", ") };
    let revision = about.revision.as_ref().map_or_else(String::new, |revision| format!(" revision {revision},"));
    let machine = about.machine.join(", ");
    format!("`wsceiling selftest{noise}`, numbers: {seeds};{revision} {}, {took}; {machine}.", about.started)
}

/// `0.85`, or `0.60 to 0.85` where the trials differ.
fn confidences(rows: &[Row]) -> String {
    let mut all: Vec<f64> = rows.iter().filter_map(|row| row.confidence).collect();
    all.sort_by(f64::total_cmp);
    match (all.first(), all.last()) {
        (Some(least), Some(most)) if least < most => format!("{least:.2} to {most:.2}"),
        (Some(all), _) => format!("{all:.2}"),
        _ => String::new(),
    }
}

/// Text as a cell of a table.
fn cell(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}

/// Without line breaks and control characters: sentences quote logs of servers.
pub(super) fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::score::{About, Found, NotInjected};
    use super::*;
    use wsceiling_model::record::{Cause, Outcome};

    fn score() -> Score {
        let row = |expected, found, confidence| Row {
            limit: "limit".into(),
            kind: super::super::limits::Kind::Plain,
            what: "something".into(),
            repeat: 2,
            expected,
            found,
            confidence,
            sentence: "a | b\n<script>".into(),
            reached: false,
            others_cores: Some(1.25),
            run: "2026-limit".into(),
        };
        let not_injected = vec![NotInjected { kind: None, name: "tcp-memory".into(), reason: "one pool".into() }];
        Score::new(
            About::default(),
            vec![
                row(Cause::Crash, Found::Cause(Cause::Crash), Some(0.85)),
                row(Cause::Hang, Found::NotJudged(Outcome::TimedOut), None),
            ],
            not_injected,
        )
    }

    #[test]
    fn a_wrong_verdict_says_what_was_injected() {
        let text = terminal(&score());
        assert!(text.contains("right  limit.2  crash (0.85); others used 1.2 cores"), "{text}");
        assert!(
            text.contains("WRONG  limit.2  timed out; others used 1.2 cores\n       injected hang: something\n"),
            "{text}"
        );
        assert!(text.contains("confidence 0.85: 1 of 1 right: 100.0 %"), "{text}");
        assert!(text.contains("plain: 1 of 2 right; at least 9.5 %; 1 of 1 limits tried"), "{text}");
        let summary =
            "the verdict was right in 1 of 2 trials: 50.0 % (at least 9.5 %); Brier score 0.023; not good enough";
        assert!(text.contains(summary), "{text}");
    }

    #[test]
    fn the_markdown_has_the_confusion_matrix_and_breaks_no_table() {
        let text = markdown(&score());
        assert!(
            text.contains("| injected | crash | hang | timed out |\n|---|---:|---:|---:|\n| crash | 1 |  |  |"),
            "{text}"
        );
        assert!(text.contains("a \\| b <script> |"), "{text}");
        assert!(text.contains("| tcp-memory | one pool |"), "{text}");
    }

    #[test]
    fn the_page_escapes_what_servers_say() {
        let page = super::super::html(&score());
        assert!(!page.contains("<script>"), "{page}");
        assert!(page.contains("&lt;script&gt;"));
    }
}
