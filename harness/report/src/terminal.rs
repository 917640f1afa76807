//! The verdicts on a terminal: a line a cell with what it holds, what a connection costs and what stopped it, and below
//! it the sentence that says how, in full.

use std::fmt::Write as _;

use super::cost_words;
use super::describe;
use super::text;
use wsceiling_analysis::{CellFindings, Findings};
use wsceiling_model::format::Unit;
use wsceiling_model::record::{Cause, Outcome};

/// Longest line of a sentence, so that it stays readable on a wide terminal.
const LINE_MAX: usize = 100;
/// Shortest line of a sentence, however narrow the terminal.
const LINE_MIN: usize = 20;
/// Characters of a hint or a log; the report has them whole.
const HINT_CHARS: usize = 300;
const HEAD: [&str; 6] = ["cell", "ceiling", "memory/conn", "CPU/conn", "1,000 a month", "what stopped it"];
/// Columns that are aligned to the right.
const NUMBERS: std::ops::RangeInclusive<usize> = 1..=4;
const CEILING: usize = 1;
const PRICE: usize = 4;
const CAUSE: usize = 5;

/// The columns of a cell, as in [`HEAD`].
type Columns = [String; 6];

/// The verdicts for standard output. `width` is that of the terminal in characters; `color` allows ANSI colours.
pub fn terminal(findings: &Findings, width: usize, color: bool) -> String {
    let paint = Paint { color };
    let line = width.clamp(LINE_MIN, LINE_MAX);
    let rows: Vec<(&CellFindings, Columns)> = findings.cells.iter().map(|cell| (cell, columns(cell))).collect();
    let mut out = String::new();
    for text in text::wrap(&describe::run_in_a_line(findings), line) {
        let _ = writeln!(out, "{text}");
    }
    for remark in &findings.remarks {
        paragraph(&mut out, paint, "note: ", remark, ("", line));
    }
    out.push('\n');
    if rows.is_empty() {
        return out;
    }
    let priced = findings.cells.iter().any(|cell| describe::price_per_thousand(cell).is_some());
    match widths(&rows, priced, width) {
        Some(widths) => {
            let head = HEAD.map(str::to_owned);
            let _ = writeln!(out, "{}", paint.dim(row(&head, &widths, |_, text| text).trim_end()));
            for (cell, columns) in &rows {
                let text = row(columns, &widths, |at, text| paint.column(cell, at, text));
                let _ = writeln!(out, "{}", text.trim_end());
                details(&mut out, cell, widths[CAUSE] == 0, line, paint);
            }
        }
        None => rows.iter().for_each(|(cell, columns)| stacked(&mut out, cell, columns, line, paint)),
    }
    out.push('\n');
    legend(&mut out, findings, line, paint);
    out
}

fn columns(cell: &CellFindings) -> Columns {
    let measured = describe::measured(cell);
    let ceiling = match &cell.ceiling {
        Some(ceiling) if measured => describe::ceiling(ceiling),
        _ => describe::badge(cell.outcome).text.to_owned(),
    };
    [
        cell.cell.id.clone(),
        ceiling,
        cost_words::estimate(cost_words::memory(cell), Unit::Bytes),
        cost_words::estimate(cost_words::cpu(cell), Unit::Microcores),
        describe::price_words(cell),
        cause(cell),
    ]
}

/// The name of the cause and how sure it is.
fn cause(cell: &CellFindings) -> String {
    match cell.verdict.as_ref().filter(|_| describe::measured(cell)) {
        Some(verdict) if verdict.cause == Cause::None => "nothing: the load ended".to_owned(),
        Some(verdict) => {
            format!("{}, {}", verdict.cause, describe::confidence_short(verdict.confidence))
        }
        None => String::new(),
    }
}

/// Widths of the columns. Where they need more than `most`, the price goes first, then the cause, which the sentence
/// below then begins with; `None` where even that is too wide. A column of no width is left out.
fn widths(rows: &[(&CellFindings, Columns)], priced: bool, most: usize) -> Option<[usize; 6]> {
    let mut widths = HEAD.map(length);
    for (_, columns) in rows {
        for (width, column) in widths.iter_mut().zip(columns) {
            *width = length(column).max(*width);
        }
    }
    if !priced {
        widths[PRICE] = 0;
    }
    let taken = |widths: &[usize; 6]| widths.iter().filter(|width| **width > 0).map(|width| width + 2).sum::<usize>();
    for dropped in [PRICE, CAUSE] {
        if taken(&widths) > most + 2 {
            widths[dropped] = 0;
        }
    }
    (taken(&widths) <= most + 2).then_some(widths)
}

/// One line of the table; `paint` colours the text of a column, not its padding.
fn row(columns: &Columns, widths: &[usize; 6], paint: impl Fn(usize, String) -> String) -> String {
    let shown = (0..columns.len()).filter(|at| widths[*at] > 0);
    let cells = shown.map(|at| {
        let (text, width) = (&columns[at], widths[at]);
        let room = " ".repeat(width.saturating_sub(length(text)));
        let painted = paint(at, text.clone());
        if NUMBERS.contains(&at) { format!("{room}{painted}") } else { format!("{painted}{room}") }
    });
    cells.collect::<Vec<_>>().join("  ")
}

/// What stopped it, in full, after its name where that has no column; nothing where every step passed, since the number
/// says so.
fn details(out: &mut String, cell: &CellFindings, named: bool, line: usize, paint: Paint) {
    let indent = ("    ", line);
    if cell.outcome != Outcome::Ok || !describe::measured(cell) {
        let name = Some(cause(cell)).filter(|cause| named && !cause.is_empty());
        let name = name.map(|cause| format!("{cause}: ")).unwrap_or_default();
        paragraph(out, paint, "", &format!("{name}{}", text::sentence(&describe::why(cell))), indent);
    }
    if let Some(words) = describe::disagreement(cell) {
        paragraph(out, paint, "", &words, indent);
    }
    for note in describe::notes(cell) {
        paragraph(out, paint, "", note, indent);
    }
    if let Some(words) = costs(cell) {
        paragraph(out, paint, "cost: ", &words, indent);
    }
    for tried in &cell.confirmations.tried {
        paragraph(out, paint, "tried: ", &describe::experiment(tried), indent);
    }
    if let Some(hint) = cell.hint.as_ref().filter(|_| !describe::measured(cell)) {
        paragraph(out, paint, "hint: ", &text::hint(hint, HINT_CHARS), indent);
    }
}

/// What its CPU is spent on, where the costs stop being linear, and memory that is not of connections.
fn costs(cell: &CellFindings) -> Option<String> {
    let cpu = cell.cpu.as_ref().filter(|_| describe::measured(cell));
    let mut words: Vec<String> = cpu.map(cost_words::by_cause).filter(|words| !words.is_empty()).into_iter().collect();
    words.extend(cpu.and_then(|cpu| cost_words::knee(&cpu.check)).map(|knee| format!("CPU is {knee}")));
    let memory = cell.memory.as_ref().filter(|_| describe::measured(cell));
    words.extend(memory.and_then(|memory| cost_words::knee(&memory.check)).map(|knee| format!("memory is {knee}")));
    words.extend(memory.and_then(|memory| memory.growth).map(|growth| format!("memory grows by {growth}")));
    (!words.is_empty()).then(|| words.join("; "))
}

/// A cell in several lines, for a terminal too narrow for the table.
fn stacked(out: &mut String, cell: &CellFindings, columns: &Columns, line: usize, paint: Paint) {
    let [id, ceiling, memory, cpu, price, cause] = columns;
    let _ = writeln!(out, "{}", paint.bold(id));
    let ceiling = paint.column(cell, CEILING, ceiling.clone());
    let by = if cause.is_empty() { String::new() } else { format!("  {}", paint.column(cell, CAUSE, cause.clone())) };
    let _ = writeln!(out, "    {ceiling}{by}");
    if describe::measured(cell) {
        let price =
            describe::price_per_thousand(cell).map(|_| format!(", {price} per month for 1,000")).unwrap_or_default();
        for text in text::wrap(&format!("{memory} and {cpu} per connection{price}"), line.saturating_sub(4)) {
            let _ = writeln!(out, "    {text}");
        }
    }
    details(out, cell, false, line, paint);
}

/// What the columns mean, for somebody who sees them for the first time.
fn legend(out: &mut String, findings: &Findings, line: usize, paint: Paint) {
    if findings.cells.iter().any(describe::measured) {
        let text = "A ceiling is the median of what the trials held. Memory and CPU are what one more connection adds, \
                    CPU with the messages that the matrix configures. 1,000 µcore are 0.1 % of a core.";
        for text in text::wrap(text, line) {
            let _ = writeln!(out, "{}", paint.dim(&text));
        }
    }
    for (_, row) in describe::plans(findings) {
        for text in text::wrap(&format!("Price of {row}."), line) {
            let _ = writeln!(out, "{}", paint.dim(&text));
        }
    }
}

/// Text in lines of at most `line` characters with the indent, after a dim first word.
fn paragraph(out: &mut String, paint: Paint, first: &str, text: &str, (indent, line): (&str, usize)) {
    let room = line.saturating_sub(length(indent) + length(first)).max(LINE_MIN);
    for (at, text) in text::wrap(text, room).iter().enumerate() {
        let before = if at == 0 { paint.dim(first) } else { " ".repeat(length(first)) };
        let _ = writeln!(out, "{indent}{before}{text}");
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[derive(Clone, Copy)]
struct Paint {
    color: bool,
}

impl Paint {
    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// The id and the cause stand out, the ceiling has the colour of the outcome.
    fn column(self, cell: &CellFindings, at: usize, text: String) -> String {
        match at {
            0 => self.bold(&text),
            CEILING => self.with(outcome_color(cell.outcome), &text),
            CAUSE if cell.outcome == Outcome::Ok => self.dim(&text),
            CAUSE => self.bold(&text),
            _ => text,
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.color && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

const fn outcome_color(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "32",
        Outcome::Ceiling => "36",
        Outcome::Invalid | Outcome::TimedOut => "33",
        Outcome::Skipped | Outcome::Killed => "2",
        Outcome::FailedToStart | Outcome::FailedVerification => "31",
    }
}
