//! The score in words: for a terminal, and as Markdown.

use std::fmt::Write as _;

use super::score::{Row, Score};

/// Cores of other programs from which a trial was disturbed.
const NOISE: f64 = 0.5;

/// The score for standard output.
pub fn terminal(score: &Score) -> String {
    let mut out = String::new();
    let width = score.rows.iter().map(|row| row.plant.len() + 2).max().unwrap_or(0);
    for row in &score.rows {
        let mark = if row.right() { "right" } else { "WRONG" };
        let name = format!("{}.{}", row.plant, row.repeat);
        let noise =
            row.others_cores.filter(|cores| *cores >= NOISE).map(|cores| format!("; others used {cores:.1} cores"));
        let _ = writeln!(out, "{mark}  {name:width$}  {}{}", found(row), noise.unwrap_or_default());
        if !row.right() {
            let _ = writeln!(out, "       planted {}: {}", row.expected, row.what);
            let _ = writeln!(out, "       {}", one_line(&row.sentence));
        }
    }
    out.push('\n');
    for item in &score.not_planted {
        let _ = writeln!(out, "not planted: {}: {}", item.name, one_line(&item.reason));
    }
    out.push('\n');
    for (confidence, words) in calibration(score) {
        let _ = writeln!(out, "confidence {confidence}: {words}");
    }
    let _ = writeln!(out, "{}", summary(score));
    out
}

/// `crash (0.85)`, or the outcome where there is no verdict.
fn found(row: &Row) -> String {
    row.confidence.map_or_else(|| row.found.clone(), |confidence| format!("{} ({confidence:.2})", row.found))
}

/// Confidence and how many of the verdicts that claimed it were right.
pub(super) fn calibration(score: &Score) -> Vec<(String, String)> {
    let bin =
        |bin: &super::score::Bin| (format!("{:.2}", bin.confidence), format!("{} of {} right", bin.right, bin.claimed));
    score.calibration.iter().map(bin).collect()
}

/// The result in one line.
pub(super) fn summary(score: &Score) -> String {
    let Some(accuracy) = score.accuracy else { return "nothing was planted".into() };
    let right = score.rows.iter().filter(|row| row.right()).count();
    let mut text = format!("{right} of {} planted trials found: {:.1} %", score.rows.len(), accuracy * 100.0);
    if !score.sure_and_wrong.is_empty() {
        let _ = write!(text, "; sure and wrong: {}", score.sure_and_wrong.join(", "));
    }
    if !score.clean_accused.is_empty() {
        let _ = write!(text, "; clean and accused: {}", score.clean_accused.join(", "));
    }
    if let Some(seed) = score.seed {
        let _ = write!(text, "; numbers drawn by seed {seed}");
    }
    text.push_str(if score.passed { "; passed" } else { "; not good enough" });
    text
}

/// The score as Markdown.
pub fn markdown(score: &Score) -> String {
    let mut out = format!("## wsceiling selftest\n\n{}\n\n### Planted (rows) and found (columns)\n\n", summary(score));
    let columns = score.columns();
    let _ = writeln!(out, "| planted | {} |", columns.join(" | "));
    let _ = writeln!(out, "|---|{}", "---:|".repeat(columns.len()));
    for (planted, found) in &score.confusion {
        let cells = columns.iter().map(|cause| found.get(*cause).map_or_else(String::new, ToString::to_string));
        let _ = writeln!(out, "| {planted} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    let _ = writeln!(out, "\n### Confidence\n\n| claimed | right |\n|---:|---|");
    for (confidence, words) in calibration(score) {
        let _ = writeln!(out, "| {confidence} | {words} |");
    }
    let _ = writeln!(out, "\n### Trials\n\n| trial | planted | found | sentence |\n|---|---|---|---|");
    for row in &score.rows {
        let found = if row.right() { found(row) } else { format!("**{}**", found(row)) };
        let sentence = one_line(&row.sentence).replace('|', "\\|");
        let _ = writeln!(out, "| {}.{} | {} | {found} | {sentence} |", row.plant, row.repeat, row.expected);
    }
    if !score.not_planted.is_empty() {
        let _ = writeln!(out, "\n### Not planted\n\n| what | why |\n|---|---|");
        for item in &score.not_planted {
            let _ = writeln!(out, "| {} | {} |", item.name, one_line(&item.reason).replace('|', "\\|"));
        }
    }
    out
}

/// Without line breaks and control characters: sentences quote logs of servers.
pub(super) fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::score::NotPlanted;
    use super::*;

    fn score() -> Score {
        let row = |expected: &str, found: &str, confidence| Row {
            plant: "plant".into(),
            what: "something".into(),
            repeat: 2,
            expected: expected.into(),
            found: found.into(),
            confidence,
            sentence: "a | b\n<script>".into(),
            others_cores: Some(1.25),
            run: "2026-plant".into(),
        };
        let not_planted = vec![NotPlanted { name: "tcp-memory".into(), reason: "one pool".into() }];
        Score::new(None, vec![row("crash", "crash", Some(0.85)), row("hang", "timed out", None)], not_planted)
    }

    #[test]
    fn a_wrong_verdict_says_what_was_planted() {
        let text = terminal(&score());
        assert!(text.contains("right  plant.2  crash (0.85); others used 1.2 cores"), "{text}");
        assert!(
            text.contains("WRONG  plant.2  timed out; others used 1.2 cores\n       planted hang: something\n"),
            "{text}"
        );
        assert!(text.contains("confidence 0.85: 1 of 1 right"), "{text}");
        assert!(text.contains("1 of 2 planted trials found: 50.0 %; not good enough"), "{text}");
    }

    #[test]
    fn the_markdown_has_the_confusion_matrix_and_breaks_no_table() {
        let text = markdown(&score());
        assert!(
            text.contains("| planted | crash | hang | timed out |\n|---|---:|---:|---:|\n| crash | 1 |  |  |"),
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
