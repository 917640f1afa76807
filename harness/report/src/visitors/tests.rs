use super::*;
use std::collections::BTreeMap;

use wsceiling_analysis::visitors;
use wsceiling_model::record::{Component, Errno, FailedAt, FailureReason, FailureTally};
use wsceiling_model::visitors::{
    BrowserCounts, BrowserFamily, Change, GeneratorSummary, GeneratorTick, Lie, Mark, MarkKind, PausedBy, Refusal,
    ServerRow, Setting, StoppedBy, Summary, Tick, VISITORS_FORMAT, VisitorsHeader, VisitorsLine,
};

const HOSTILE: &str = "<script>alert(1)</script>\u{202e}\u{1b}[31m";

fn header() -> VisitorsHeader {
    VisitorsHeader {
        format: VISITORS_FORMAT,
        wsceiling: HOSTILE.into(),
        started: "2026-11-24T04:00:48Z".into(),
        name: HOSTILE.into(),
        target: "wss://shop.example/chat".parse().unwrap(),
        sites: vec![HOSTILE.into()],
        setting: Setting { goal: 1_000, per_visitor: 5, rate_per_s: 100.0, message: None, generator: 0 },
        byte_budget: 5 << 20,
        poll_ms: 5_000,
        valid_ms: 14_000,
        silent_ms: 18_000,
        sources: vec![HOSTILE.into()],
    }
}

/// A server that holds 700, until its descriptors are used up.
fn plateau() -> Vec<VisitorsLine> {
    let mark = |second: u64, what| VisitorsLine::Mark(Mark { t_ms: second * 1_000, what });
    let mut lines = vec![mark(0, MarkKind::Started)];
    for second in 0..90_u64 {
        let open = (second as u32 * 50).min(700);
        lines.push(VisitorsLine::Tick(Tick {
            t_ms: second * 1_000,
            goal: 1_000,
            granted: 1_000,
            open,
            visitors: 200,
            failed: second * 20,
            unknown: u32::from(second > 80),
            ..Tick::default()
        }));
        let values = [("descriptors_count", f64::from(open) + 12.0), ("descriptors_limit", 712.0)];
        let values: BTreeMap<String, f64> = values.map(|(name, value)| (name.to_owned(), value)).into();
        lines.push(VisitorsLine::Server(ServerRow {
            t_ms: second as f64 * 1e3,
            component: Component::Instance(0),
            values,
        }));
    }
    let from = header().setting;
    let to = from.with(Change { goal: Some(2_000), ..Change::default() }).unwrap();
    lines.push(mark(40, MarkKind::Changed { from, to }));
    lines.push(mark(50, MarkKind::Note { text: HOSTILE.into() }));
    lines.push(mark(60, MarkKind::Paused { by: PausedBy::Target }));
    lines.push(mark(89, MarkKind::Stopped { by: StoppedBy::Operator }));
    let counts = BrowserCounts { visitors: 120, most_open: 5, opened: 700, stuck: 90, ..BrowserCounts::default() };
    let mut summary = Summary {
        browsers: BTreeMap::from([(BrowserFamily::Firefox, counts), (BrowserFamily::Other, counts)]),
        closes: BTreeMap::from([(1006, 1_234), (4001, 1)]),
        refused: BTreeMap::from([(Refusal::Forged, 3), (Refusal::Huge, 4_000)]),
        lies: BTreeMap::from([(Lie::Open, 2)]),
        notes: vec![HOSTILE.into()],
        ..Summary::default()
    };
    (summary.round_trips[5], summary.round_trips[13]) = (900, 100);
    lines.push(VisitorsLine::Summary(summary));
    lines
}

fn files(lines: &[VisitorsLine]) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    render_visitors(&visitors(&header(), lines), &mut |name, bytes| {
        files.insert(name.to_owned(), String::from_utf8(bytes.to_vec()).unwrap());
        Ok(())
    })
    .unwrap();
    files
}

#[test]
fn the_report_says_what_was_found_and_what_was_done() {
    let files = files(&plateau());
    let page = &files[INDEX];
    for says in [
        "Plateau near 700 connections",
        "visitors were told to hold 1,000 connections",
        "At the peak the server itself counted 712 open descriptors",
        "server-descriptors, likely: instance-0 had 712 of 712 of descriptors_count",
        "limits.html#server-descriptors",
        "goal 1,000 → 2,000",
        "the target no longer says that it may be loaded",
        "200 in all",
        "perhaps: connects failed",
        "broken off without a close",
        "32 to 64 ms",
        "its token was not signed by this run",
        "4,000",
        "more open connections than the visitor was told to hold",
        "Why a connect failed",
    ] {
        assert!(page.contains(says), "{says}");
    }
    assert!(files["limits.html"].contains("id=\"server-descriptors\""));
    for plot in ["connections", "visitors", "troubles"] {
        assert!(files[&format!("plots/visitors-{plot}.svg")].starts_with("<svg "), "{plot}");
        assert!(page.contains(&format!("plots/visitors-{plot}.svg")), "{plot}");
    }
}

#[test]
fn nothing_of_the_record_becomes_an_element() {
    for (name, text) in files(&plateau()) {
        assert!(!text.contains("<script"), "{name}");
        assert!(!text.contains('\u{202e}') && !text.contains('\u{1b}'), "{name}");
    }
}

#[test]
fn the_page_of_a_run_that_goes_on_needs_no_file_beside_it() {
    for lines in [plateau(), Vec::new()] {
        let page = visitors_page(&visitors(&header(), &lines)).unwrap();
        assert!(!page.contains(".svg\"") && !page.contains("limits.html") && !page.contains("visitors.jsonl"));
    }
    let page = visitors_page(&visitors(&header(), &[])).unwrap();
    assert!(page.contains("No visitor held a connection") && page.contains("No visitor has reported yet."));
}

#[test]
fn a_generator_beside_them_says_why_its_connects_failed() {
    let mut lines = plateau();
    for line in &mut lines {
        match line {
            VisitorsLine::Tick(tick) => {
                let open = (tick.t_ms as u32 / 100).min(200);
                tick.generator =
                    Some(GeneratorTick { goal: 500, granted: 500, open, failed: tick.t_ms / 500, lost: 7 });
            }
            VisitorsLine::Summary(summary) => {
                let tally = |at, reason, count| FailureTally { at, reason, count, first_ms: 4_000 };
                summary.generator = GeneratorSummary {
                    failures: vec![
                        tally(FailedAt::Connect, FailureReason::Errno(Errno::AddressNotAvailable), 12),
                        tally(FailedAt::Connect, FailureReason::Timeout, 9),
                        tally(FailedAt::Handshake, FailureReason::Http(503), 1_234),
                        tally(FailedAt::Handshake, FailureReason::Other(HOSTILE.into()), 1),
                        tally(FailedAt::Open, FailureReason::Reset, 7),
                    ],
                    notes: vec![HOSTILE.into()],
                };
            }
            _ => {}
        }
    }
    let from = header().setting;
    let to = from.with(Change { generator: Some(500), ..Change::default() }).unwrap();
    lines.push(VisitorsLine::Mark(Mark { t_ms: 1_000, what: MarkKind::Changed { from, to } }));
    let files = files(&lines);
    let page = &files[INDEX];
    for says in [
        "Plateau near 900 connections",
        "visitors and the generator were told to hold 1,500 connections",
        "The generator beside them failed to connect: http 503, 1,234 times; timeout, 9 times;",
        "It lost open connections: reset, 7 times.",
        "The machine of the generator was at its own limit: errno EADDRNOTAVAIL, 12 times.",
        "generator 0 → 500",
        "200 open of 500, 178 connects failed, 7 lost",
        "the server refused it with this HTTP status",
        "the generator ran out of source ports",
    ] {
        assert!(page.contains(says), "{says}");
    }
    let plot: String = files["plots/visitors-connections.svg"].split_whitespace().collect();
    assert!(plot.contains(">generator<") && plot.contains(">together<"));
    assert!(files.values().all(|text| !text.contains("<script") && !text.contains('\u{202e}')));
    assert_eq!(words::generator(&visitors(&header(), &plateau())), "", "nothing is said of one that was not there");
}
