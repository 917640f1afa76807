//! `summary.md`: the verdict table as Markdown, for the summary of a CI job or a comment.

use std::fmt::Write as _;

use super::cost_words;
use super::describe;
use super::text;
use wsceiling_analysis::{CellFindings, Findings};
use wsceiling_model::format::{self, Unit};

/// Characters of the cause in a row.
const WHY_CHARS: usize = 160;

/// The summary.
pub fn markdown(findings: &Findings) -> String {
    let header = &findings.header;
    let mut out = format!("## wsceiling: {}\n\n", escape(&header.run.name));
    let _ = writeln!(out, "{} {}\n", escape(&describe::run_in_a_line(findings)), escape(&text::time(&header.started)));
    for remark in &findings.remarks {
        let _ = writeln!(out, "- {}", escape(remark));
    }
    if !findings.remarks.is_empty() {
        out.push('\n');
    }
    let priced = findings.cells.iter().any(|cell| describe::price_per_thousand(cell).is_some());
    let (head, rule) = if priced { (" 1,000 for a month |", "---:|") } else { ("", "") };
    let _ = writeln!(
        out,
        "| cell | ceiling | what stopped it | memory / connection | CPU / connection | CPU by cause |{head}"
    );
    let _ = writeln!(out, "|---|---:|---|---:|---:|---|{rule}");
    for cell in &findings.cells {
        row(&mut out, cell, priced);
    }
    let _ = writeln!(out, "\nRepeat: {}", code(&describe::command(findings, None)));
    out
}

fn row(out: &mut String, cell: &CellFindings, priced: bool) {
    let with = |value: String, interval: String| {
        if interval.is_empty() { value } else { format!("{value} ({interval})") }
    };
    let ceiling = cell.ceiling.as_ref().map_or_else(
        || format!("**{}**", describe::badge(cell.outcome).text),
        |ceiling| {
            let words = with(format!("**{}**", describe::ceiling(ceiling)), describe::ceiling_interval(ceiling));
            if describe::measured(cell) { words } else { format!("{} {words}", describe::badge(cell.outcome).text) }
        },
    );
    let hint = cell.hint.as_ref().filter(|_| !describe::measured(cell));
    let hint = hint.map(|hint| format!("; hint: {}", text::hint(hint, WHY_CHARS))).unwrap_or_default();
    let tried = cell.confirmations.tried.last().map(|tried| format!(" Tried: {}", describe::experiment(tried)));
    let tried = tried.unwrap_or_default();
    let disagreement = describe::disagreement(cell).map(|words| format!("{words} ")).unwrap_or_default();
    let _ = write!(
        out,
        "| {} | {ceiling} | {} | {} | {} | {} |",
        code(&cell.cell.id),
        escape(&format!("{disagreement}{}{tried}{hint}", text::shorten(&describe::why(cell), WHY_CHARS))),
        cost_words::with_interval(cost_words::memory(cell), Unit::Bytes),
        cost_words::with_interval(cost_words::cpu(cell), Unit::Microcores),
        escape(&by_cause(cell)),
    );
    if priced {
        let price = describe::price_per_thousand(cell)
            .map_or_else(|| format::UNKNOWN.to_owned(), |price| describe::money(cell, price));
        let _ = write!(out, " {} |", escape(&price));
    }
    out.push('\n');
}

/// What CPU is spent on, and up to where that holds.
fn by_cause(cell: &CellFindings) -> String {
    let Some(cpu) = &cell.cpu else { return String::new() };
    let knee = cost_words::knee(&cpu.check).map(|knee| format!("; {knee}")).unwrap_or_default();
    format!("{}{knee}", cost_words::by_cause(cpu))
}

/// Text that Markdown shows as it is: no markup, no HTML, no mention, no line break.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text::one_line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A zero-width joiner keeps a name from being notified.
            '@' => out.push_str("@\u{200d}"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Text as code; what would end the code or the cell is replaced, and tags are, for renderers that look inside code.
pub(super) fn code(text: &str) -> String {
    format!("`{}`", text::one_line(text).replace('`', "'").replace('|', "\\|").replace('<', "‹"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_cell() {
        assert_eq!(
            escape("a | b\n<img src=x> `c` [d](http://e) @f"),
            "a \\| b &lt;img src=x&gt; \\`c\\` \\[d\\](http://e) @\u{200d}f"
        );
        assert_eq!(code("a`b|c"), "`a'b\\|c`");
    }
}
