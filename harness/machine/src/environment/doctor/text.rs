//! The findings for a terminal.

use std::fmt::Write;

use super::{Doctor, Level};

/// Lines are broken at this column.
const WIDTH: usize = 110;
const LEVEL_WIDTH: usize = 9;

/// Writes the findings as aligned text, with ANSI colours where they are wanted.
pub fn render_text(doctor: &Doctor, color: bool) -> String {
    let name_width = doctor.findings.iter().map(|finding| finding.name.len()).max().unwrap_or(0) + 2;
    let indent = 2 + LEVEL_WIDTH + name_width;
    let mut text = String::new();
    for finding in &doctor.findings {
        let level = paint(&format!("{:LEVEL_WIDTH$}", word(finding.level)), style(finding.level), color);
        let name = paint(&format!("{:name_width$}", finding.name), "1", color);
        push(&mut text, format_args!("  {level}{name}{}", wrapped(&finding.value, indent)));
        let meaning = wrapped(&finding.meaning, indent);
        push(&mut text, format_args!("{:indent$}{}", "", paint(&meaning, "2", color)));
        if let Some(hint) = &finding.hint {
            let hint = wrapped(&format!("hint: {hint}"), indent);
            push(&mut text, format_args!("{:indent$}{hint}", ""));
        }
    }
    push(&mut text, format_args!("\n  {}", summary(doctor)));
    text
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

/// `15 checks: 13 ok, 1 note, 1 warning, no problem`
fn summary(doctor: &Doctor) -> String {
    let counted = |level, one: &str| match doctor.count(level) {
        0 => format!("no {one}"),
        1 => format!("1 {one}"),
        several => format!("{several} {one}s"),
    };
    format!(
        "{} checks: {} ok, {}, {}, {}",
        doctor.findings.len(),
        doctor.count(Level::Ok),
        counted(Level::Note, "note"),
        counted(Level::Warn, "warning"),
        counted(Level::Problem, "problem")
    )
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Note => "note",
        Level::Warn => "warn",
        Level::Problem => "problem",
    }
}

fn style(level: Level) -> &'static str {
    match level {
        Level::Ok => "32",
        Level::Note => "36",
        Level::Warn => "33",
        Level::Problem => "1;31",
    }
}

fn paint(text: &str, style: &str, color: bool) -> String {
    if color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Breaks a text at spaces; further lines begin at the column `indent`.
fn wrapped(text: &str, indent: usize) -> String {
    let mut broken = String::new();
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
            let _ = write!(broken, "\n{:indent$}", "");
            column = indent;
        } else if column > indent {
            broken.push(' ');
            column += 1;
        }
        broken.push_str(word);
        column += length;
    }
    broken
}
