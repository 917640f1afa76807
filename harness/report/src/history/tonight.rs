//! The first page: tonight, and in a line each how far it can be trusted.

use serde::Serialize;

use super::words;
use super::{BadgeRow, Fact, Top, WordBadge, run_folder};
use crate::site::SiteRun;
use crate::text;
use wsceiling_history::judge::{CellJudgement, Judgement, Number};
use wsceiling_history::night::Header;
use wsceiling_history::{Assessment, Metric, Word};
use wsceiling_model::format;

#[derive(Serialize)]
pub(super) struct TonightPage {
    top: Top,
    title: String,
    night: Option<NightView>,
}

#[derive(Serialize)]
struct NightView {
    facts: Vec<Fact>,
    job: Option<String>,
    report: Option<String>,
    counts: Vec<BadgeRow>,
    machine: Option<String>,
    suspects: Vec<SuspectRow>,
    columns: Vec<&'static str>,
    rows: Vec<Row>,
    key: Vec<BadgeRow>,
    noise: String,
    accuracy: String,
}

#[derive(Serialize)]
struct SuspectRow {
    badge: WordBadge,
    cell: String,
    text: String,
    nominated: bool,
}

#[derive(Serialize)]
struct Row {
    cell: String,
    badge: WordBadge,
    reason: String,
    ending: String,
    numbers: Vec<NumberView>,
}

/// A number with what it usually is; empty texts: there is none.
#[derive(Serialize)]
struct NumberView {
    name: &'static str,
    value: String,
    change: String,
    slug: &'static str,
}

pub(super) fn page(assessment: &Assessment<'_>, runs: &[SiteRun<'_>]) -> TonightPage {
    let lead = match &assessment.tonight {
        Some(judgement) => format!(
            "Night of {}. {} in the history.",
            words::moment(&judgement.night),
            format::counted(judgement.nights as u64, "night", "nights")
        ),
        None => "First night: the history is empty. The next run fills it.".to_owned(),
    };
    TonightPage {
        top: Top::new(assessment, "", "Tonight", lead),
        title: "Tonight".into(),
        night: assessment.tonight.as_ref().map(|judgement| night(assessment, judgement, runs)),
    }
}

fn night(assessment: &Assessment<'_>, judgement: &Judgement, runs: &[SiteRun<'_>]) -> NightView {
    let header = &judgement.night;
    let count = |word: Word| {
        let cells = judgement.cells.iter().filter(|cell| cell.word == word).count() as u64;
        (cells > 0).then(|| BadgeRow::new(word, format::counted(cells, "cell", "cells")))
    };
    NightView {
        facts: facts(header),
        job: header.job.clone(),
        report: run_folder(runs, header).map(|folder| format!("{folder}/index.html")),
        counts: Word::ALL.into_iter().filter_map(count).collect(),
        machine: machine(judgement),
        suspects: judgement
            .suspects
            .iter()
            .map(|suspect| SuspectRow {
                badge: suspect.word.into(),
                cell: suspect.cell.clone(),
                text: words::suspect(suspect),
                nominated: judgement.nominated.iter().any(|nominated| nominated.series == suspect.series),
            })
            .collect(),
        columns: Metric::ALL.map(words::title).to_vec(),
        rows: judgement.cells.iter().map(|cell| row(assessment, cell)).collect(),
        key: Word::ALL.into_iter().map(|word| BadgeRow::new(word, word.meaning())).collect(),
        noise: noise(judgement),
        accuracy: accuracy(assessment),
    }
}

fn facts(header: &Header) -> Vec<Fact> {
    let machine = &header.machine;
    let commit = header.commit.as_deref().map(words::commit);
    let all = [
        ("commit", commit),
        ("branch", header.reference.clone()),
        ("machine", Some(machine.class())),
        ("kernel", machine.kernel.clone()),
        ("image", machine.image.clone()),
        ("rustc", machine.rustc.clone()),
        ("wsceiling", Some(header.wsceiling.clone())),
    ];
    all.into_iter().filter_map(|(name, value)| Some(Fact::new(name, value?))).collect()
}

fn machine(judgement: &Judgement) -> Option<String> {
    let moved: Vec<String> = judgement
        .controls_moved
        .iter()
        .map(|moved| format!("{} {}", words::title(moved.metric), words::ratio(moved.ratio)))
        .collect();
    (!moved.is_empty()).then(|| {
        format!(
            "Machine night: the control, which never changes, moved ({}). What moved with it is listed, and not put to the \
             test.",
            moved.join(", ")
        )
    })
}

fn noise(judgement: &Judgement) -> String {
    let known: Vec<String> = judgement
        .noise
        .iter()
        .filter_map(|noise| Some(format!("{} {}", words::title(noise.metric), format::percent(noise.floor?.exp_m1()))))
        .collect();
    if known.is_empty() {
        let nights = judgement.noise.iter().map(|noise| noise.nights).max().unwrap_or_default();
        return format!(
            "Not known yet: {} with sentinels on this class of machines, and ten are needed.",
            format::counted(nights as u64, "night", "nights")
        );
    }
    let controls = match judgement.controls {
        0 => " There is no control, so a bad machine cannot be told from a bad change.".to_owned(),
        some => format!(" {} watched.", format::counted(some as u64, "control cell is", "control cells are")),
    };
    format!("A change counts from here on: {}.{controls}", known.join(", "))
}

fn accuracy(assessment: &Assessment<'_>) -> String {
    assessment.selftests.as_ref().map_or_else(
        || "No night has a selftest yet.".to_owned(),
        |pooled| {
            format!(
                "In the last {} the diagnosis was right in {} trials with injected limits.",
                format::counted(pooled.nights as u64, "night", "nights"),
                words::share(pooled.right)
            )
        },
    )
}

fn row(assessment: &Assessment<'_>, cell: &CellJudgement) -> Row {
    let last = assessment.history.nights.last();
    let line = last.and_then(|night| night.cells.iter().find(|line| line.id == cell.cell));
    Row {
        cell: cell.cell.clone(),
        badge: cell.word.into(),
        reason: cell.reason.as_deref().map(|reason| text::shorten(reason, 140)).unwrap_or_default(),
        ending: line.map(words::ending).unwrap_or_default(),
        numbers: Metric::ALL.map(|metric| number(cell, metric)).into_iter().collect(),
    }
}

fn number(cell: &CellJudgement, metric: Metric) -> NumberView {
    let name = words::title(metric);
    let Some(found) = cell.numbers.iter().find(|number| number.metric == metric) else {
        return NumberView { name, value: format::UNKNOWN.to_owned(), change: String::new(), slug: "" };
    };
    NumberView {
        name,
        value: words::value(metric, found.value, found.at_least),
        change: change(found),
        slug: found.word.slug(),
    }
}

/// How far it is from its usual value.
fn change(number: &Number) -> String {
    let usual = number.usual.filter(|usual| *usual > 0.0);
    usual.map(|usual| words::ratio(number.value / usual - 1.0)).unwrap_or_default()
}
