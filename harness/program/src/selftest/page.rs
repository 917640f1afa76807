//! The score as a page of its own, beside the reports of the runs.

use std::fmt::Write as _;

use super::score::{Row, Score};
use super::text::{about, calibration, kind_words, one_line, summary};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}\
table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #8886;padding:.25rem .6rem;text-align:left;\
vertical-align:top}td.n{text-align:right}.right{background:#2a82}.wrong{background:#c332}.scroll{overflow-x:auto}\
:root{color-scheme:light dark}";

/// The page; it holds everything it needs.
pub fn html(score: &Score) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>wsceiling selftest</title>\n<style>{STYLE}</style>\n\
         <h1>Selftest of the diagnosis</h1>\n<p>{}</p>\n<p>Each trial is an ordinary run against a server with one \
         limit injected on purpose.</p>\n<p>{}</p>\n",
        escape(&summary(score)),
        escape(&about(&score.about))
    );
    out.push_str("<h2>Kinds</h2>\n<table><tr><th>kind<th>right<th>95 % sure<th>tried\n");
    for kind in &score.kinds {
        let _ = writeln!(out, "<tr><td>{}<td>{}", kind.kind.name(), kind_words(kind).join("<td>"));
    }
    out.push_str("</table>\n");
    confusion(&mut out, score);
    let _ = write!(out, "<h2>Confidence</h2>\n<table><tr><th>claimed<th>right\n");
    for (confidence, words) in calibration(score) {
        let _ = writeln!(out, "<tr><td class=\"n\">{confidence}<td>{words}");
    }
    out.push_str(
        "</table>\n<h2>Trials</h2>\n<div class=\"scroll\"><table><tr><th>trial<th>injected<th>found<th>sentence\n",
    );
    for row in &score.rows {
        trial(&mut out, row);
    }
    out.push_str("</table></div>\n");
    if !score.not_injected.is_empty() {
        out.push_str("<h2>Not injected</h2>\n<table><tr><th>what<th>why\n");
        for item in &score.not_injected {
            let _ = writeln!(out, "<tr><td>{}<td>{}", escape(&item.name), escape(&item.reason));
        }
        out.push_str("</table>\n");
    }
    out
}

fn confusion(out: &mut String, score: &Score) {
    let columns = score.columns();
    out.push_str("<h2>Injected (rows) and found (columns)</h2>\n<div class=\"scroll\"><table><tr><th>");
    for cause in &columns {
        let _ = write!(out, "<th>{}", escape(cause));
    }
    for (injected, found) in &score.confusion {
        let _ = write!(out, "\n<tr><th>{}", escape(injected));
        for cause in &columns {
            let count = found.get(*cause).map_or_else(String::new, ToString::to_string);
            let class = match (count.is_empty(), *cause == injected) {
                (true, _) => "n",
                (false, true) => "n right",
                (false, false) => "n wrong",
            };
            let _ = write!(out, "<td class=\"{class}\">{count}");
        }
    }
    out.push_str("\n</table></div>\n");
}

fn trial(out: &mut String, row: &Row) {
    let class = if row.right() { "right" } else { "wrong" };
    let confidence = row.confidence.map_or_else(String::new, |confidence| format!(" ({confidence:.2})"));
    let _ = writeln!(
        out,
        "<tr><td><a href=\"runs/{}/index.html\">{}.{}</a><td title=\"{}\">{}<td class=\"{class}\">{}{confidence}<td>{}",
        escape(&row.run),
        escape(&row.limit),
        row.repeat,
        escape(&row.what),
        row.expected,
        row.found,
        escape(&row.sentence),
    );
}

/// Text made safe for a page, in elements and in attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
