//! The data behind the pages: JSON, CSV and OpenMetrics.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::json;

use super::{FEED, Top};
use crate::RenderError;
use crate::output::Output;
use wsceiling_history::assessment::Drawn;
use wsceiling_history::history::Place;
use wsceiling_history::{Assessment, Metric, Word};

const COLUMNS: [&str; 17] = [
    "started",
    "commit",
    "wsceiling",
    "machine",
    "kernel",
    "image",
    "cell",
    "series",
    "outcome",
    "cause",
    "confidence",
    "ceiling_connections",
    "at_least",
    "memory_bytes_per_connection",
    "cpu_microcores_per_connection",
    "cpu_us_per_opening",
    "trials",
];

/// The gauges of OpenMetrics, each with its name, which ends in its unit, and what it is.
const METRICS: [(Metric, &str, &str); 4] = [
    (Metric::Ceiling, "wsceiling_ceiling_connections", "Connections at which the cell stopped."),
    (Metric::Memory, "wsceiling_memory_bytes", "Memory of a connection."),
    (Metric::Cpu, "wsceiling_cpu_microcores", "CPU of a connection at the configured load."),
    (Metric::Opening, "wsceiling_opening_microseconds", "CPU of an opening."),
];

#[derive(Serialize)]
pub(super) struct DataPage {
    top: Top,
    title: String,
    files: Vec<File>,
    badges: Vec<File>,
}

#[derive(Serialize)]
struct File {
    href: String,
    text: String,
    note: String,
}

impl File {
    fn new(href: &str, note: &str) -> Self {
        Self { href: href.to_owned(), text: href.to_owned(), note: note.to_owned() }
    }
}

pub(super) fn page(assessment: &Assessment<'_>) -> DataPage {
    let cells = assessment.tonight.iter().flat_map(|tonight| &tonight.cells);
    let badges = cells.map(|cell| File::new(&format!("badges/{}.json", cell.cell), cell.word.text()));
    DataPage {
        top: Top::new(assessment, "", "Data", "Everything that the pages show, for other programs."),
        title: "Data".into(),
        files: vec![
            File::new(
                "data/history.json",
                "every series with its values, changes and seams, and the judgement of the last night",
            ),
            File::new("data/history.csv", "a row for each cell and night"),
            File::new("data/metrics.txt", "the last night as OpenMetrics"),
            File::new(FEED, "changes as an Atom feed"),
        ],
        badges: std::iter::once(File::new("badges/all.json", "the gravest word of the night")).chain(badges).collect(),
    }
}

/// Hands over the files.
pub(super) fn put(assessment: &Assessment<'_>, output: &mut Output<'_>) -> Result<(), RenderError> {
    output.put("data/history.json", &json(assessment)?)?;
    output.put("data/history.csv", &csv(assessment)?)?;
    output.put("data/metrics.txt", &open_metrics(assessment))
}

fn json(assessment: &Assessment<'_>) -> Result<String, RenderError> {
    let history = assessment.history;
    let nights: Vec<_> = history.nights.iter().map(|night| &night.header).collect();
    let series = |drawn: &Drawn| {
        json!({
            "cell": drawn.series.cell,
            "series": drawn.series.key,
            "control": drawn.series.control,
            "machine": drawn.series.class,
            "numbers": drawn.trends,
            "seams": drawn.seams.iter().map(|(night, seams)| json!({ "night": night, "seams": seams })).collect::<Vec<_>>(),
        })
    };
    let value = json!({
        "schema": 1,
        "nights": nights,
        "series": assessment.series.iter().map(series).collect::<Vec<_>>(),
        "judgement": assessment.tonight,
        "noise": assessment.noise,
        "false_alarms": assessment.false_alarms,
        "selftests": assessment.selftests,
        "faults": history.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    Ok(format!("{}\n", serde_json::to_string(&value)?))
}

fn csv(assessment: &Assessment<'_>) -> Result<String, RenderError> {
    let history = assessment.history;
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for (at, night) in history.nights.iter().enumerate() {
        for cell in 0..night.cells.len() {
            writer.write_record(row(assessment, Place { night: at, cell }))?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| RenderError::Table(error.into_error().into()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn row(assessment: &Assessment<'_>, place: Place) -> [String; 17] {
    let (header, line) = (assessment.history.header(place.night), assessment.history.line(place));
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let machine = &header.machine;
    [
        header.started.to_string(),
        header.commit.clone().unwrap_or_default(),
        header.wsceiling.clone(),
        machine.class(),
        machine.kernel.clone().unwrap_or_default(),
        machine.image.clone().unwrap_or_default(),
        line.id.clone(),
        line.series.clone(),
        line.outcome.to_string(),
        line.cause.map(|cause| cause.to_string()).unwrap_or_default(),
        number(line.confidence),
        number(line.ceiling),
        line.at_least.to_string(),
        number(line.memory),
        number(line.cpu),
        number(line.opening),
        line.trials.len().to_string(),
    ]
}

/// The last night in the text format of OpenMetrics 1.0.
fn open_metrics(assessment: &Assessment<'_>) -> String {
    let mut out = String::new();
    let cells = assessment.tonight.as_ref().map(|tonight| tonight.cells.as_slice()).unwrap_or_default();
    for (metric, name, help) in METRICS {
        let unit = name.rsplit('_').next().unwrap_or_default();
        let _ = writeln!(out, "# TYPE {name} gauge\n# UNIT {name} {unit}\n# HELP {name} {help}");
        for cell in cells {
            let found = cell.numbers.iter().find(|number| number.metric == metric);
            let Some(number) = found else { continue };
            let bound =
                if metric == Metric::Ceiling { format!(",at_least=\"{}\"", number.at_least) } else { String::new() };
            let _ = writeln!(out, "{name}{{cell=\"{}\"{bound}}} {}", escaped(&cell.cell), number.value);
        }
    }
    let name = "wsceiling_word";
    let _ = writeln!(out, "# TYPE {name} stateset\n# HELP {name} What became of the cell.");
    for cell in cells {
        for word in Word::ALL {
            let on = u8::from(word == cell.word);
            let _ = writeln!(out, "{name}{{cell=\"{}\",{name}=\"{}\"}} {on}", escaped(&cell.cell), word.slug());
        }
    }
    if let Some(noise) = assessment.tonight.as_ref().map(|tonight| &tonight.noise) {
        let name = "wsceiling_noise_ratio";
        let _ =
            writeln!(out, "# TYPE {name} gauge\n# UNIT {name} ratio\n# HELP {name} The smallest change that counts.");
        for (metric, floor) in noise.iter().filter_map(|noise| Some((noise.metric, noise.floor?))) {
            let _ = writeln!(out, "{name}{{number=\"{metric}\"}} {}", floor.exp_m1());
        }
    }
    out.push_str("# EOF\n");
    out
}

/// A value of a label: backslash, quote and line break are escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_its_value() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
