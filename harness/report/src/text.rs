//! Text of the record made safe and short: one line, no control characters, cut at a word.

use wsceiling_model::record::Hint;

/// At most `most` characters, cut at a word with an ellipsis; line breaks and control characters become spaces.
pub fn shorten(text: &str, most: usize) -> String {
    let flat = one_line(text);
    if flat.chars().count() <= most {
        return flat;
    }
    let cut: String = flat.chars().take(most.saturating_sub(1)).collect();
    let end = cut.rfind(' ').filter(|end| *end > cut.len() / 2).unwrap_or(cut.len());
    format!("{}…", cut[..end].trim_end_matches([' ', ',', ';', ':', '.']))
}

/// The lines of a log that a hint quotes; `None` where it is a hint of another kind.
pub fn quoted_log(hint: &Hint) -> Option<Vec<String>> {
    let lines = hint.log_tail()?.iter().map(|line| lines(line).trim_end().to_owned());
    Some(lines.filter(|line| line.chars().any(char::is_alphanumeric)).collect())
}

/// At most `most` characters of a hint, one line; of a log the end is kept, since that says why it ended.
pub fn hint(hint: &Hint, most: usize) -> String {
    let Some(log) = quoted_log(hint) else { return shorten(&hint.to_string(), most) };
    let mut kept = String::new();
    let mut shown = 0;
    for line in log.iter().rev().map(|line| one_line(line)) {
        if !kept.is_empty() && kept.chars().count() + line.chars().count() + 3 > most {
            break;
        }
        kept = if kept.is_empty() { shorten(&line, most) } else { format!("{line} | {kept}") };
        shown += 1;
    }
    format!("{} {kept}", if shown > 1 { "its last lines:" } else { "its last line:" })
}

/// Lines of at most `most` characters, broken between words; a longer word has a line of its own.
pub fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in one_line(text).split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// One line without control characters, so that a server's output can neither break a table nor drive a terminal.
pub fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() || is_direction(c) { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One line that begins like a sentence; names such as `somaxconn=4096` stay as they are.
pub fn sentence(text: &str) -> String {
    let line = one_line(text);
    let first = line.split(' ').next().unwrap_or_default();
    if !first.is_empty() && first.trim_end_matches([',', ':', ';']).bytes().all(|byte| byte.is_ascii_lowercase()) {
        let (head, rest) = line.split_at(1);
        return format!("{}{rest}", head.to_ascii_uppercase());
    }
    line
}

/// Text of several lines: line breaks and tabs stay, other control characters become spaces.
pub fn lines(text: &str) -> String {
    let kept = |c: char| matches!(c, '\n' | '\t') || !(c.is_control() || is_direction(c));
    text.replace("\r\n", "\n").chars().map(|c| if kept(c) { c } else { ' ' }).collect()
}

/// Characters that turn the direction of the text around them.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `2026-11-24 03:17:05 UTC` of an RFC 3339 time; other text stays as it is.
pub fn time(rfc3339: &str) -> String {
    rfc3339
        .parse::<jiff::Timestamp>()
        .map_or_else(|_| one_line(rfc3339), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// Quoted for a POSIX shell where that is needed.
pub fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '=' | '@' | '%' | '+');
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_begins_with_a_capital_unless_it_is_a_name() {
        assert_eq!(sentence("no program `bun` on PATH"), "No program `bun` on PATH");
        assert_eq!(sentence("cpu.max is 100000"), "cpu.max is 100000");
        assert_eq!(sentence("élan"), "élan");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn of_a_log_the_end_is_kept() {
        let log = ["File \"x\"", "raise it", "  OSError: no", "------"].map(str::to_owned);
        let log = Hint::LogTail(log.to_vec());
        assert_eq!(quoted_log(&log).unwrap(), ["File \"x\"", "raise it", "  OSError: no"]);
        assert_eq!(hint(&log, 24), "its last lines: raise it | OSError: no");
        assert_eq!(hint(&log, 12), "its last line: OSError: no");
        assert_eq!(hint(&"install bun".into(), 40), "install bun");
        assert_eq!(quoted_log(&"install bun".into()), None);
    }

    #[test]
    fn text_of_a_server_cannot_drive_a_terminal() {
        assert_eq!(one_line("a\u{1b}[31m\n\tb\u{202e}c"), "a [31m b c");
        assert_eq!(shorten("one two three four", 10), "one two…");
        assert_eq!(shorten("short", 10), "short");
        assert_eq!(wrap("one two three\nfour", 8), ["one two", "three", "four"]);
        assert_eq!(wrap("a longerthanthat b", 6), ["a", "longerthanthat", "b"]);
        assert!(wrap(" ", 8).is_empty());
        assert_eq!(shell("a b'c"), r"'a b'\''c'");
        assert_eq!(shell("matrix.toml"), "matrix.toml");
    }
}
