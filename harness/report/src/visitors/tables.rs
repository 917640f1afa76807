//! The tables of a run with visitors.

use std::time::Duration;

use serde::Serialize;

use super::words;
use crate::page::Fact;
use crate::{describe, text};
use wsceiling_analysis::{BrowserFinding, LimitMet, VisitorsFindings};
use wsceiling_model::format;
use wsceiling_model::matrix::units;
use wsceiling_model::record::FailureTally;
use wsceiling_model::visitors::{BrowserFamily, Lie, Refusal, round_trip_end_ms};

/// A table of texts; the columns after the first are numbers where they say so.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Table {
    heads: Vec<Head>,
    rows: Vec<Vec<Cell>>,
}

/// What stands above a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Head {
    text: &'static str,
    /// The column holds numbers.
    number: bool,
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    text: String,
    note: String,
    number: bool,
}

fn heads<const COLUMNS: usize>(heads: [(&'static str, bool); COLUMNS]) -> Vec<Head> {
    heads.map(|(text, number)| Head { text, number }).to_vec()
}

fn number(value: u64) -> Cell {
    Cell { text: format::count(value), note: String::new(), number: true }
}

fn text_of(text: impl Into<String>, note: impl Into<String>) -> Cell {
    Cell { text: text.into(), note: note.into(), number: false }
}

/// The last counters.
pub fn now(findings: &VisitorsFindings) -> Vec<Fact> {
    let Some(tick) = findings.ticks.last() else { return Vec::new() };
    let count = |value: u32| format::count(u64::from(value));
    let mut facts = vec![
        Fact::new(
            "connections",
            format!("{} open of {} granted, goal {}", count(tick.open), count(tick.granted), count(tick.goal)),
        ),
        Fact::new(
            "visitors",
            format!("{} in sight, {} hidden, {} silent", count(tick.visitors), count(tick.hidden), count(tick.silent)),
        ),
        Fact::new(
            "connects",
            format!(
                "{} opened, {} failed, {} given up after 20 s",
                format::count(tick.opened),
                format::count(tick.failed),
                format::count(tick.stuck)
            ),
        ),
        Fact::new("lost", format!("{} without the visitor closing them", format::count(tick.lost))),
        Fact::new(
            "messages",
            format!("{} sent, {} came back unchanged", format::count(tick.sent), format::count(tick.answered)),
        ),
    ];
    if let Some(generator) = tick.generator {
        facts.push(Fact::new(
            "generator",
            format!(
                "{} open of {}, {} connects failed, {} lost",
                count(generator.open),
                count(generator.goal),
                format::count(generator.failed),
                format::count(generator.lost)
            ),
        ));
    }
    let summary = &findings.summary;
    if tick.unknown > 0 || summary.vanished > 0 {
        let unknown = u64::from(tick.unknown) + summary.vanished_connections;
        facts.push(Fact::new(
            "unknown",
            format!(
                "{} of visitors that fell silent; nobody knows when they ended",
                format::connections(unknown as f64)
            ),
        ));
    }
    facts
}

/// How the generator's connects failed and its connections were lost, by cause.
pub fn generator(findings: &VisitorsFindings) -> Table {
    let row = |tally: &FailureTally| {
        vec![
            text_of(describe::stage(tally.at), ""),
            text_of(text::shorten(&tally.reason.to_string(), 120), describe::failure(tally.at, &tally.reason)),
            number(tally.count),
            Cell { text: format::moment(tally.first_ms as f64), note: String::new(), number: true },
        ]
    };
    let heads = heads([("While", false), ("Cause", false), ("Connections", true), ("First after", true)]);
    Table { heads, rows: findings.summary.generator.failures.iter().map(row).collect() }
}

/// Each family of browsers, and whether its own limits were met.
pub fn browsers(findings: &VisitorsFindings) -> Table {
    let row = |found: &BrowserFinding| {
        let counts = &found.counts;
        let (limit, source) = match found.family.limit() {
            Some(limit) => {
                let host = limit.to_a_host.map(|most| format!("{most} to a host"));
                let all = limit.in_all.map(|most| format!("{most} in all"));
                (host.into_iter().chain(all).collect::<Vec<_>>().join(", "), limit.source)
            }
            None => (format::UNKNOWN.to_owned(), "not found in its documentation"),
        };
        vec![
            text_of(family(found.family), ""),
            number(counts.visitors),
            number(u64::from(counts.most_open)),
            text_of(limit, source),
            text_of(met(found.limit), ""),
            number(counts.opened),
            number(counts.failed),
            number(counts.stuck),
            number(counts.lost),
        ]
    };
    let heads = heads([
        ("Browser", false),
        ("Visitors", true),
        ("Most of one visitor", true),
        ("The browser's own limit", false),
        ("Met", false),
        ("Opened", true),
        ("Failed", true),
        ("Given up", true),
        ("Lost", true),
    ]);
    Table { heads, rows: findings.browsers.iter().map(row).collect() }
}

fn family(family: BrowserFamily) -> &'static str {
    match family {
        BrowserFamily::Chromium => "Chromium and relatives",
        BrowserFamily::Firefox => "Firefox",
        BrowserFamily::Safari => "Safari, and iOS",
        BrowserFamily::Other => "others",
    }
}

fn met(limit: LimitMet) -> &'static str {
    match limit {
        LimitMet::No => "no",
        LimitMet::Perhaps => {
            "perhaps: connects failed, and a page cannot tell a browser at its limit from a server that refuses"
        }
        LimitMet::Yes => "yes",
        LimitMet::Unknown => format::UNKNOWN,
    }
}

/// Lost connections by their close code.
pub fn closes(findings: &VisitorsFindings) -> Table {
    let row = |(code, count): (&u16, &u64)| vec![text_of(code.to_string(), meaning(*code)), number(*count)];
    let heads = heads([("Close code", false), ("Lost connections", true)]);
    Table { heads, rows: findings.summary.closes.iter().map(row).collect() }
}

/// What a code means (RFC 6455, section 7.4, and the registry of IANA).
fn meaning(code: u16) -> &'static str {
    match code {
        1000 => "the server closed normally",
        1001 => "the server goes away",
        1002 => "protocol error",
        1003 => "a kind of data that the server does not take",
        1005 => "a close without a code",
        1006 => "broken off without a close",
        1007 => "data that is not what it says",
        1008 => "against the server's policy",
        1009 => "a message too big",
        1011 => "an error in the server",
        1012 => "the server restarts",
        1013 => "try again later: the server is overloaded",
        1014 => "a gateway got a bad answer",
        1015 => "TLS failed",
        3000..=3999 => "of a library or framework",
        4000..=4999 => "of the application",
        _ => "",
    }
}

/// How long messages took to come back.
pub fn round_trips(findings: &VisitorsFindings) -> Table {
    let trips = &findings.summary.round_trips;
    let all: u64 = trips.iter().sum();
    if all == 0 {
        return Table::default();
    }
    let mut so_far = 0;
    let mut start = 0;
    let mut rows = Vec::new();
    for (bucket, count) in trips.iter().enumerate() {
        so_far += count;
        let end = round_trip_end_ms(bucket);
        let range = match end {
            Some(end) => format!("{start} to {end} ms"),
            None => format!("{start} ms and more"),
        };
        if *count > 0 {
            let share = format::percent(so_far as f64 / all as f64);
            rows.push(vec![
                text_of(range, ""),
                number(*count),
                Cell { text: share, note: String::new(), number: true },
            ]);
        }
        start = end.unwrap_or(start);
    }
    Table { heads: heads([("Round trip", false), ("Messages", true), ("So far", true)]), rows }
}

/// Reports that were not taken, or not whole.
pub fn not_taken(findings: &VisitorsFindings) -> Table {
    let summary = &findings.summary;
    let refused = summary
        .refused
        .iter()
        .map(|(why, count)| vec![text_of(why.name(), refusal(*why)), text_of("refused", ""), number(*count)]);
    let lies = summary
        .lies
        .iter()
        .map(|(what, count)| vec![text_of(what.name(), lie(*what)), text_of("cut to what can be", ""), number(*count)]);
    let heads = heads([("What", false), ("Became", false), ("Reports", true)]);
    Table { heads, rows: refused.chain(lies).collect() }
}

fn refusal(why: Refusal) -> &'static str {
    match why {
        Refusal::Forged => "its token was not signed by this run",
        Refusal::Forgotten => "its visitor was silent for too long, and began anew",
        Refusal::Replayed => "its number was not above the last one",
        Refusal::Huge => "it was longer than a report can be",
        Refusal::Malformed => "it was no report",
        Refusal::TooFast => "it came too soon after the last one",
        Refusal::TooMany => "there were as many visitors, or new ones at once, as are let in",
        Refusal::WrongSite => "it came from a page of another site",
        Refusal::NotHere => "a target on loopback is for browsers of its own machine only",
    }
}

fn lie(what: Lie) -> &'static str {
    match what {
        Lie::Open => "more open connections than the visitor was told to hold",
        Lie::Attempts => "more connects than the snippet can make in the time",
        Lie::Messages => "more messages than the snippet can send in the time",
        Lie::Fell => "a counter that went back",
        Lie::Sums => "numbers that contradict each other",
    }
}

/// What was fixed, and the setting at the start.
pub fn settings(findings: &VisitorsFindings) -> Vec<Fact> {
    let header = &findings.header;
    let setting = &header.setting;
    let duration = |ms: u64| units::format_duration(Duration::from_millis(ms));
    let sites = if header.sites.is_empty() { "any".to_owned() } else { header.sites.join(", ") };
    let sources = if header.sources.is_empty() { "none".to_owned() } else { header.sources.join(", ") };
    vec![
        Fact::new("target", header.target.to_string()),
        Fact::new("goal at the start", format::count(u64::from(setting.goal))),
        Fact::new("per visitor at the start", setting.per_visitor.to_string()),
        Fact::new("rate at the start", units::format_rate(setting.rate_per_s)),
        Fact::new("message at the start", words::message(setting)),
        Fact::new("generator at the start", format::count(u64::from(setting.generator))),
        Fact::new("bytes of a visitor, at most", format::bytes(header.byte_budget as f64)),
        Fact::new("pages of", text::one_line(&sites)),
        Fact::new("a visitor reports every", format!("{} ± 20 %", duration(header.poll_ms))),
        Fact::new("without an answer it closes all after", duration(header.valid_ms)),
        Fact::new("it is unknown after", duration(header.silent_ms)),
        Fact::new("the server's own numbers", text::one_line(&sources)),
    ]
}
