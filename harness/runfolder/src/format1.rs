//! Records of format 1, brought to the present form. There reasons, hints, events, warnings and the client's limits were
//! sentences; they stay words, but for the log that a hint quotes, which becomes lines again.

use serde_json::{Map, Value, json};

use wsceiling_model::record::TrialRecord;

/// What a hint that quotes the end of a log began with; its lines stood between bars.
const LAST_LINES: &str = "its last lines: ";

/// Reads a line of `trials.jsonl` of a run of `format`, 1 or later.
pub(super) fn trial(line: &[u8], format: u32) -> Result<TrialRecord, serde_json::Error> {
    if format > 1 {
        return TrialRecord::from_json(line);
    }
    let mut record: Value = serde_json::from_slice(line)?;
    if let Some(fields) = record.as_object_mut() {
        upgrade(fields);
    }
    TrialRecord::from_json(&serde_json::to_vec(&record)?)
}

fn upgrade(trial: &mut Map<String, Value>) {
    let hint = trial.remove("hint").and_then(|hint| Some(hint_of(hint.as_str()?)));
    if let Some(reason @ Value::String(_)) = trial.get_mut("reason") {
        *reason = json!({ "kind": "words", "reason": reason.take(), "hint": hint });
    }
    for warning in array(trial.get_mut("warnings")) {
        words(warning);
    }
    for event in array(trial.get_mut("events")) {
        event.get_mut("what").map(words);
    }
    for limit in array(trial.get_mut("generator").and_then(|generator| generator.get_mut("limited_by"))) {
        words(limit);
    }
}

fn hint_of(hint: &str) -> Value {
    match hint.strip_prefix(LAST_LINES) {
        Some(lines) => json!({ "log-tail": lines.split(" | ").collect::<Vec<_>>() }),
        None => json!({ "advice": hint }),
    }
}

fn words(value: &mut Value) {
    if value.is_string() {
        *value = json!({ "kind": "words", "words": value.take() });
    }
}

fn array(value: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    value.and_then(Value::as_array_mut).into_iter().flatten()
}
