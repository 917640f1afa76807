//! `[[load.stage]]`: a load that is given stage by stage.

use std::time::Duration;

use super::table::Table;
use super::value::{HOUR, MOST_CONNECTIONS, MOST_STEPS, MS, duration, integer32, one_of, rate};
use crate::format;
use crate::keyword::Keyword;
use crate::matrix::diagnostics::Diagnostic;
use crate::matrix::{Load, LoadStage};

/// Keys of `[load]` that make a staircase, which stages take the place of.
const STAIRCASE: [&str; 4] = ["step", "max", "narrow", "resolution"];
/// Longest time that reconnects are spread over.
const LONGEST_JITTER: Duration = Duration::from_secs(1800);

/// What the key `reconnect` can say.
#[derive(Debug, Clone, Copy)]
struct Everyone;

impl Keyword for Everyone {
    const KEYWORDS: &'static [Self] = &[Self];

    fn keyword(self) -> &'static str {
        "all"
    }
}

/// Reads the stages into the load, whose rate and hold are their defaults.
pub(super) fn stages(load_table: &mut Table<'_, '_>, load: &mut Load) {
    let sink = load_table.sink();
    if load_table.is_empty_list("stage") {
        let fault = Diagnostic::new("`load.stage` is empty").label("no stage");
        let fault = fault.hint("add a stage like `{ to = 1000 }`, or leave the key out for a staircase");
        sink.fault(load_table.key_span("stage").into_iter().fold(fault, Diagnostic::at));
    }
    let tables = load_table.tables("stage");
    if tables.is_empty() {
        return;
    }
    for key in STAIRCASE {
        if let Some(span) = load_table.key_span(key) {
            let fault = Diagnostic::new(format!("`load.{key}` and `[[load.stage]]` exclude each other")).at(span);
            let fault = fault.label("belongs to a staircase").context(tables[0].place.span.clone(), "stages");
            sink.fault(fault.hint("keep the stages or the staircase"));
        }
    }
    if tables.len() > MOST_STEPS as usize {
        let count = format::count(tables.len() as u64);
        let fault = Diagnostic::new(format!("{count} stages, at most {MOST_STEPS} are driven"));
        sink.fault(fault.at(tables[MOST_STEPS as usize].place.span.clone()).label("too many stages"));
    }
    for (index, table) in tables.into_iter().enumerate() {
        load.stages.extend(stage(table, index == 0, load));
    }
    let numbers = load.stages.iter().filter_map(|stage| match stage {
        LoadStage::To { to, .. } => Some(*to),
        LoadStage::Storm { .. } => None,
    });
    load.max = numbers.max().unwrap_or(1);
    load.step = load.max;
    load.narrow = 0;
}

/// One stage; `None` where it was reported.
fn stage(mut table: Table<'_, '_>, first: bool, load: &Load) -> Option<LoadStage> {
    let place = table.place.span.clone();
    let sink = table.sink();
    let hold = table.get("hold", duration(100 * MS, HOUR)).unwrap_or(load.hold);
    let storm = table.has("reconnect");
    let to = table.get("to", integer32(1, MOST_CONNECTIONS));
    let per_second = table.get("rate", rate(0.1, 1e6)).unwrap_or(load.rate);
    let everyone = table.get("reconnect", one_of);
    let jitter = table.get("jitter", duration(Duration::ZERO, LONGEST_JITTER)).unwrap_or(Duration::ZERO);
    let wrong = |key: &str, why: &str, hint: &str| {
        if let Some(span) = table.key_span(key) {
            sink.fault(Diagnostic::new(format!("`load.stage.{key}` {why}")).at(span).hint(hint));
        }
    };
    let stage = if storm {
        let why = "has no meaning in a stage that reconnects";
        wrong("to", why, "leave it out: as many come back as the stage before had");
        wrong("rate", why, "leave it out; `jitter` says over which time they come back");
        if first {
            let fault = Diagnostic::new("the first stage reconnects, and nothing is connected yet").at(place);
            sink.fault(fault.hint("put a stage like `{ to = 1000 }` before it"));
        }
        everyone.map(|Everyone| LoadStage::Storm { jitter, hold })
    } else {
        wrong("jitter", "has no meaning without `reconnect`", "add `reconnect = \"all\"`, or use `rate`");
        if !table.has("to") {
            let fault = Diagnostic::new("a stage without `to` and without `reconnect`").at(place);
            let fault = fault.label("what is to happen?");
            sink.fault(fault.hint("add `to = 1000`, or `reconnect = \"all\"` for a storm"));
        }
        to.map(|to| LoadStage::To { to, rate: per_second, hold })
    };
    table.finish();
    stage
}
