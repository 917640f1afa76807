//! The Prometheus text format, version 0.0.4, and what OpenMetrics adds to it: `name{label="value"} number timestamp`.
//!
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::borrow::Cow;

/// One line with a number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series<'t> {
    pub name: &'t str,
    pub labels: Vec<(&'t str, Cow<'t, str>)>,
    pub value: f64,
    /// Seconds since 1970, where the line has a timestamp.
    pub at_unix_s: Option<f64>,
}

impl Series<'_> {
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }
}

/// A line that is no series; lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub line: u64,
    pub what: &'static str,
}

/// Most labels of a series: far above what exporters have.
const MOST_LABELS: usize = 128;

/// The series of a text whose names are wanted; every line has to be well formed. Timestamps are milliseconds, in
/// OpenMetrics (`seconds`) they are seconds.
pub(crate) fn series(
    text: &str,
    seconds: bool,
    wanted: impl Fn(&str) -> bool,
) -> Result<(Vec<Series<'_>>, usize), BadLine> {
    let (mut found, mut all) = (Vec::new(), 0);
    for (index, line) in text.split('\n').enumerate() {
        let line = line.trim_matches([' ', '\t', '\r']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let one = one(line, seconds).map_err(|what| BadLine { line: index as u64 + 1, what })?;
        all += 1;
        if wanted(one.name) {
            found.push(one);
        }
    }
    Ok((found, all))
}

fn one(line: &str, seconds: bool) -> Result<Series<'_>, &'static str> {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("no name of a series");
    }
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None if rest.starts_with([' ', '\t']) => (Vec::new(), rest),
        None => return Err("no number after the name"),
    };
    // What OpenMetrics adds after ` # ` is an example of what was counted.
    let rest = rest.split_once(" # ").map_or(rest, |(before, _)| before);
    let mut words = rest.split_ascii_whitespace();
    let value = number(words.next().ok_or("no number after the name")?).ok_or("what stands for the number is none")?;
    let at_unix_s = match words.next() {
        None => None,
        Some(word) => {
            let at: f64 = word.parse().ok().filter(|at: &f64| at.is_finite()).ok_or("the timestamp is no number")?;
            Some(if seconds { at } else { at / 1000.0 })
        }
    };
    if words.next().is_some() {
        return Err("more than a number and a timestamp");
    }
    Ok(Series { name, labels, value, at_unix_s })
}

/// Go's `ParseFloat`: `NaN`, `+Inf`, `1e9`.
fn number(word: &str) -> Option<f64> {
    word.parse().ok()
}

type Labels<'t> = Vec<(&'t str, Cow<'t, str>)>;

/// What stands in braces, and what comes after them.
fn labels(mut rest: &str) -> Result<(Labels<'_>, &str), &'static str> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        if labels.len() == MOST_LABELS {
            return Err("too many labels");
        }
        let (name, after) = rest.split_once('=').ok_or("a label without a value")?;
        let name = name.trim();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err("no name of a label");
        }
        let quoted = after.trim_start().strip_prefix('"').ok_or("the value of a label is not quoted")?;
        let (value, after) = quoted_value(quoted)?;
        labels.push((name, value));
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err("no comma between two labels"),
        }
    }
}

/// The value up to its closing quote, without escapes.
fn quoted_value(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    let end = text.find(['"', '\\']).ok_or("a quote is not closed")?;
    if text[end..].starts_with('"') {
        return Ok((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = text[..end].to_owned();
    let mut chars = text[end..].char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Cow::Owned(value), &text[end + at + 1..])),
            '\\' => match chars.next().ok_or("a quote is not closed")?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            c => value.push(c),
        }
    }
    Err("a quote is not closed")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Result<Vec<Series<'_>>, BadLine> {
        series(text, false, |_| true).map(|(found, _)| found)
    }

    #[test]
    fn lines_of_real_exporters_are_read() {
        let text = "# HELP a b\n# TYPE a counter\na 1\nb{} 2 1700000000500\r\n\n\
                    c{x=\"1\",y=\"a\\\"b\\\\c\\nd\",} 3e-2\nd { x = \"ä\" } +Inf\ne NaN\nf{a=\"}\"} 1 # {t=\"1\"} 0.5\n";
        let read = all(text).unwrap();
        let names: Vec<&str> = read.iter().map(|series| series.name).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e", "f"]);
        assert_eq!((read[1].value, read[1].at_unix_s), (2.0, Some(1_700_000_000.5)));
        assert_eq!(read[2].label("y"), Some("a\"b\\c\nd"));
        assert_eq!(read[3].label("x"), Some("ä"));
        assert!(read[3].value.is_infinite() && read[4].value.is_nan());
        assert_eq!((read[5].label("a"), read[5].value), (Some("}"), 1.0));
        let (_, count) = series(text, false, |name| name == "a").unwrap();
        assert_eq!(count, 6);
        assert_eq!(series("a 1 1.5\n", true, |_| true).unwrap().0[0].at_unix_s, Some(1.5));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for (text, line, what) in [
            ("<html>", 1, "no name of a series"),
            ("a 1\nb", 2, "no number after the name"),
            ("a one", 1, "what stands for the number is none"),
            ("a{b=\"c} 1", 1, "a quote is not closed"),
            ("a{b=c} 1", 1, "the value of a label is not quoted"),
            ("a{b=\"c\" d=\"e\"} 1", 1, "no comma between two labels"),
            ("a 1 2 3", 1, "more than a number and a timestamp"),
            ("a 1 x", 1, "the timestamp is no number"),
        ] {
            assert_eq!(all(text), Err(BadLine { line, what }), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = all(&text);
        }

        #[test]
        fn no_text_that_looks_like_series_makes_it_panic(text in "[a-c{}=\",\\\\ \n#0-9.+eNaInf\u{e4}-]{0,120}") {
            let found = all(&text).unwrap_or_default();
            prop_assert!(found.len() <= text.lines().count());
            for series in found {
                let bytes: usize = series.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
                prop_assert!(bytes <= text.len());
            }
        }

        #[test]
        fn what_is_written_is_read(name in "[a-z_:][a-z0-9_:]{0,10}", value in any::<f64>(), label in "\\PC{0,20}") {
            let escaped = label.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("{name}{{l=\"{escaped}\"}} {value} 5");
            let read = all(&text).unwrap();
            prop_assert_eq!(read[0].name, &name);
            prop_assert_eq!(read[0].label("l"), Some(label.as_str()));
            prop_assert!(read[0].value.total_cmp(&value).is_eq() || value.is_nan());
        }
    }
}
