//! The page on noise: by how much a measurement differs from itself, and how often the judge is wrong.

use serde::Serialize;

use super::{Top, words};
use crate::text;
use wsceiling_history::Assessment;
use wsceiling_history::noise::Noise;
use wsceiling_model::format;

#[derive(Serialize)]
pub(super) struct NoisePage {
    top: Top,
    title: String,
    machines: Vec<Machine>,
    alarms: Vec<super::Fact>,
}

/// A class of machines with its numbers: a table of its own, since its name is long and its numbers are few.
#[derive(Serialize)]
struct Machine {
    class: String,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    metric: &'static str,
    nights: String,
    comparisons: String,
    percentile: String,
    floor: String,
}

pub(super) fn page(assessment: &Assessment<'_>) -> NoisePage {
    let share = |ln: f64| format::percent(ln.exp_m1());
    let row = |noise: &Noise| Row {
        metric: words::title(noise.metric),
        nights: format::count(noise.nights as u64),
        comparisons: format::count(noise.differences.len() as u64),
        percentile: noise.percentile.map_or_else(|| format::UNKNOWN.to_owned(), share),
        floor: noise.floor.map_or_else(|| "not known yet".to_owned(), share),
    };
    let machines = assessment.noise.chunk_by(|a, b| a.class == b.class).map(|of| Machine {
        class: of.first().map(|noise| text::one_line(&noise.class)).unwrap_or_default(),
        rows: of.iter().map(row).collect(),
    });
    let alarms = assessment.false_alarms.iter().filter(|alarms| alarms.tests.of > 0).flat_map(|alarms| {
        [
            super::Fact::new("nights with a false alarm", words::share(alarms.nights)),
            super::Fact::new("false alarms of all tests", words::share(alarms.tests)),
        ]
    });
    NoisePage {
        top: Top::new(assessment, "", "Noise", "By how much a measurement differs from itself."),
        title: "Noise".into(),
        machines: machines.collect(),
        alarms: alarms.collect(),
    }
}
