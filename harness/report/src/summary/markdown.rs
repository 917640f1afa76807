//! Text inside Markdown.

use crate::text;

/// Text that Markdown shows as it is: no markup, no HTML, no mention, no line break.
pub fn escape(text: &str) -> String {
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

/// Text as code; what would end the code is replaced, and tags are, for renderers that look inside code. In a table that
/// does not do it itself, `|` is to be escaped too.
pub fn code(text: &str) -> String {
    format!("`{}`", text::one_line(text).replace('`', "'").replace('<', "‹"))
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
        assert_eq!(code("a`b\n<c"), "`a'b ‹c`");
    }
}
