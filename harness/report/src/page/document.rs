//! The project's own documentation as pages of the report, so that a published report explains itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pulldown_cmark::{Alignment, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use serde::Serialize;

use super::{Link, Pages, RunPage};
use crate::RenderError;
use crate::describe;
use crate::output::Output;
use crate::text;
use wsceiling_analysis::Findings;
use wsceiling_model::record::Cause;

/// The pages of the documents.
pub const PAGE: RunPage = RunPage {
    templates: &[("document.html", include_str!("../templates/document.html"))],
    links: &[(LIMITS.page, "What can stop a server"), (METHODOLOGY.page, "How the numbers are computed")],
    write: |pages, findings, output| put_documents(pages, "All cells of this run", Some(findings), output),
};

/// A document that becomes a page.
struct Document {
    /// Its file in the run folder.
    page: &'static str,
    markdown: &'static str,
    about: &'static str,
}

/// What can stop a server; its sections are named like the causes.
const LIMITS: Document = Document {
    page: "limits.html",
    markdown: include_str!("../../../../docs/limits.md"),
    about: "Every cause that a report can name: how to recognise it, what proves it, and what to do about it.",
};

/// How the numbers of a report are computed.
const METHODOLOGY: Document = Document {
    page: "methodology.html",
    markdown: include_str!("../../../../docs/methodology.md"),
    about: "What is measured, how each number of a report is computed, and what it does not show.",
};

/// What the pages of a history say.
const HISTORY: Document = Document {
    page: "history.html",
    markdown: include_str!("../../../../docs/history.md"),
    about: "How nights are kept and compared, what the words mean, and how far they can be trusted.",
};

/// Those of every report.
const ALL: [&Document; 2] = [&LIMITS, &METHODOLOGY];

#[derive(Serialize)]
struct DocumentPage {
    title: String,
    about: &'static str,
    back: &'static str,
    contents: Vec<Link>,
    body: String,
}

/// Cells that are linked from the section of their cause, by its name.
#[derive(Debug, Default)]
struct Seen(BTreeMap<&'static str, Vec<Link>>);

/// The cells of a run by the cause that stopped them.
fn seen(findings: &Findings) -> Seen {
    let mut seen = Seen::default();
    for cell in findings.cells.iter().filter(|cell| describe::measured(cell)) {
        if let Some(verdict) = cell.verdict.as_ref().filter(|verdict| verdict.cause != Cause::None) {
            let link = Link::new(format!("cells/{}.html", cell.cell.id), &cell.cell.id, "");
            seen.0.entry(verdict.cause.name()).or_default().push(link);
        }
    }
    seen
}

/// The address of the section on a cause, relative to the run folder; `None` where nothing stopped the cell.
pub fn section(cause: Cause) -> Option<String> {
    (cause != Cause::None).then(|| format!("{}#{cause}", LIMITS.page))
}

/// Hands over every document; `back` is what its way back is called. The sections on causes list the cells of `findings`.
pub fn put_documents(
    pages: &Pages,
    back: &'static str,
    findings: Option<&Findings>,
    output: &mut Output<'_>,
) -> Result<(), RenderError> {
    let seen = findings.map(seen).unwrap_or_default();
    ALL.into_iter().try_for_each(|one| output.put(one.page, &document(pages, one, back, &seen)?))
}

/// Hands over the document on histories.
pub fn put_history_document(pages: &Pages, output: &mut Output<'_>) -> Result<(), RenderError> {
    output.put(HISTORY.page, &document(pages, &HISTORY, "Tonight", &Seen::default())?)
}

fn document(pages: &Pages, document: &Document, back: &'static str, seen: &Seen) -> Result<String, RenderError> {
    let title = headings(document.markdown).find(|(level, _)| *level == HeadingLevel::H1);
    let sections = headings(document.markdown).filter(|(level, _)| *level == HeadingLevel::H2);
    let page = DocumentPage {
        title: title.map(|(_, text)| text).unwrap_or_default(),
        about: document.about,
        back,
        contents: sections.map(|(_, text)| Link::new(format!("#{}", slug(&text)), text, "")).collect(),
        body: body(document.markdown, seen),
    };
    pages.render("document.html", &page)
}

fn parser(markdown: &str) -> Parser<'_> {
    Parser::new_ext(markdown, Options::ENABLE_TABLES)
}

/// Levels and texts of the headings.
fn headings(markdown: &str) -> impl Iterator<Item = (HeadingLevel, String)> + '_ {
    let mut open: Option<(HeadingLevel, String)> = None;
    parser(markdown).filter_map(move |event| match event {
        Event::Start(Tag::Heading { level, .. }) => {
            open = Some((level, String::new()));
            None
        }
        Event::Text(text) | Event::Code(text) => {
            if let Some((_, heading)) = &mut open {
                heading.push_str(&text);
            }
            None
        }
        Event::End(TagEnd::Heading(_)) => open.take(),
        _ => None,
    })
}

/// The anchor of a heading, as the usual viewers of Markdown make it.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// The Markdown as HTML: no raw HTML, no image, no inline style, links only to pages that are there.
fn body(markdown: &str, seen: &Seen) -> String {
    let mut names = headings(markdown).map(|(_, text)| slug(&text));
    let mut events: Vec<Event<'_>> = Vec::new();
    let mut dropped = 0_usize;
    let mut in_title = false;
    let mut anchor = String::new();
    for event in parser(markdown) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                anchor = names.next().unwrap_or_default();
                in_title = level == HeadingLevel::H1;
                if !in_title {
                    let id = Some(CowStr::from(anchor.clone()));
                    events.push(Event::Start(Tag::Heading { level, id, classes: Vec::new(), attrs: Vec::new() }));
                }
            }
            Event::End(TagEnd::Heading(level)) => {
                if !in_title {
                    events.push(Event::End(TagEnd::Heading(level)));
                    events.extend(seen.0.get(anchor.as_str()).map(|cells| Event::Html(of_this_run(cells).into())));
                }
                in_title = false;
            }
            _ if in_title => {}
            Event::Start(Tag::Table(columns)) => {
                events.push(Event::Html("<div class=\"scroll\">".into()));
                events.push(Event::Start(Tag::Table(vec![Alignment::None; columns.len()])));
            }
            Event::End(TagEnd::Table) => {
                events.push(Event::End(TagEnd::Table));
                events.push(Event::Html("</div>".into()));
            }
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => match address(&dest_url) {
                Some(dest) => events.push(Event::Start(Tag::Link { link_type, dest_url: dest.into(), title, id })),
                None => dropped += 1,
            },
            Event::End(TagEnd::Link) if dropped > 0 => dropped -= 1,
            Event::Start(Tag::Image { .. } | Tag::HtmlBlock) | Event::End(TagEnd::Image | TagEnd::HtmlBlock) => {}
            Event::Html(html) | Event::InlineHtml(html) => events.push(Event::Text(html)),
            // The sections are made of labelled sentences, a line each.
            Event::Start(Tag::Strong) => {
                if let Some(last @ Event::SoftBreak) = events.last_mut() {
                    *last = Event::HardBreak;
                }
                events.push(Event::Start(Tag::Strong));
            }
            other => events.push(other),
        }
    }
    let mut html = String::with_capacity(markdown.len() * 2);
    pulldown_cmark::html::push_html(&mut html, events.into_iter());
    html
}

/// Where a link leads in the run folder: to a section, or to another document that is a page too.
fn address(link: &str) -> Option<String> {
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let file = if file.is_empty() {
        ""
    } else {
        let name = file.strip_suffix(".md")?;
        ALL.into_iter().find(|document| document.page.strip_suffix(".html") == Some(name))?.page
    };
    Some(anchor.map_or_else(|| file.to_owned(), |anchor| format!("{file}#{anchor}")))
}

/// The cells that met this cause. Addresses and names are ids of cells, which were checked.
fn of_this_run(cells: &[Link]) -> String {
    let mut html = String::from("<p class=\"met\">In this run: ");
    for (at, cell) in cells.iter().enumerate() {
        let between = if at == 0 { "" } else { ", " };
        let _ = write!(html, "{between}<a href=\"{}\">{}</a>", cell.href, text::one_line(&cell.text));
    }
    html.push_str(".</p>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_html_is_text_and_links_lead_to_pages_that_are_there() {
        let html = body(
            "# Title\n\nIntro <b>bold</b> [far](https://example.com) [gone](record-format.md) [causes](limits.md#crash)\n\n\
             <script>alert(1)</script>\n\n## A `b` of C\n\n![alt](x.png)\n\n| a | b |\n|---|---:|\n| 1 | 2 |\n",
            &Seen::default(),
        );
        assert!(!html.contains("<script") && !html.contains("<b>") && !html.contains("<img"), "{html}");
        assert!(!html.contains("example.com") && !html.contains("record-format"), "{html}");
        assert!(!html.contains("style=") && !html.contains("Title"), "{html}");
        assert!(html.contains("<a href=\"limits.html#crash\">causes</a>") && html.contains("far"), "{html}");
        assert!(html.contains("<h2 id=\"a-b-of-c\">"), "{html}");
    }

    #[test]
    fn every_cause_but_none_leads_to_its_section() {
        assert_eq!(section(Cause::None), None);
        for cause in Cause::ALL.iter().filter(|cause| **cause != Cause::None) {
            assert_eq!(section(*cause), Some(format!("limits.html#{cause}")));
            assert!(headings(LIMITS.markdown).any(|(_, text)| slug(&text) == cause.name()), "{cause}");
        }
    }

    #[test]
    fn a_section_names_the_cells_that_met_it() {
        let seen = Seen(BTreeMap::from([("crash", vec![Link::new("cells/a.html", "a", "")])]));
        assert!(body("## crash\n\nText\n", &seen).contains("In this run: <a href=\"cells/a.html\">a</a>."));
    }
}
