//! The series of a cell: the identity under which nights may be compared.
//!
//! It is the SHA-256 of what was measured and where: the target with its arguments, the size, the load, the scenario, the
//! front, the number of instances, and the model and cores of the CPU, the version of cgroups and which limits were
//! enforced. Names are no part of it. So an edited matrix and another machine start a new line, a renamed target goes on
//! with its own, and two cells that differ in their names alone are the same measurement twice.
//!
//! What may change under the same matrix is no part of it either: the program, the kernel, the compiler, the runner's image
//! and the harness. Those are [`seams`].

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::digest::sha256;
use crate::night::Header;
use wsceiling_model::matrix::{Cell, Front, Runtime, Scenario, Size, Target};
use wsceiling_model::record::RunHeader;

/// The series of a cell of a run whose limits were enforced so.
pub fn key(run: &RunHeader, cell: &Cell, limits: &BTreeMap<String, bool>) -> String {
    let fact = |name: &str| run.environment.facts.get(name);
    let subject = json!({
        "target": run.targets.iter().find(|target| target.name == cell.target).map(|found| target(found, cell.runtime)),
        "runtime": cell.runtime,
        "instances": cell.instances,
        "scenario": cell.scenario,
        "size": cell.size.as_ref().and_then(|name| size(&run.sizes, name)),
        "front": cell.front.as_ref().map(|name| front(run, name)),
        "load": load(run, cell.scenario),
        "cpu": fact("cpu.model"),
        "cores": fact("cpu.cores"),
        "cgroup": fact("cgroup.version"),
        "limits": limits,
    });
    let mut canonical = String::new();
    write(&mut canonical, &subject);
    sha256(canonical.as_bytes())
}

/// How the target starts in that runtime, or where it is. Its secrets are no part of what is published as a digest.
fn target(target: &Target, runtime: Runtime) -> Value {
    let mut value = fields(target);
    for name in ["name", "token", "confirm"] {
        value.remove(name);
    }
    let unused = if runtime == Runtime::Docker && target.docker.is_some() { "process" } else { "docker" };
    if runtime != Runtime::Remote {
        value.remove(unused);
    }
    if let Some(Value::Object(remote)) = value.get_mut("remote") {
        for name in ["token", "headers", "metrics", "price_per_month", "platform", "authorised"] {
            remote.remove(name);
        }
    }
    Value::Object(value)
}

fn size(sizes: &[Size], name: &str) -> Option<Value> {
    let mut value = fields(sizes.iter().find(|size| size.name == name)?);
    value.remove("name");
    value.remove("price_per_month");
    Some(Value::Object(value))
}

/// The settings of a front. A built-in one is known by its name.
fn front(run: &RunHeader, name: &str) -> Value {
    let found = run.fronts.iter().find(|front| front.name == name).cloned().or_else(|| Front::built_in(name));
    let Some(found) = found else { return json!(name) };
    let mut value = fields(&found);
    value.remove("name");
    value.insert("size".into(), json!(found.size.as_ref().and_then(|name| size(&run.sizes, name))));
    Value::Object(value)
}

/// The load, without what the scenario does not use.
fn load(run: &RunHeader, scenario: Scenario) -> Value {
    let mut value = fields(&run.load);
    for (name, used) in [("broadcast", scenario == Scenario::Broadcast), ("churn", scenario == Scenario::Churn)] {
        if !used {
            value.remove(name);
        }
    }
    Value::Object(value)
}

fn fields(of: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(of) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// JSON with sorted keys. What is absent, empty or not set is left out, so that a new setting that nobody uses changes no
/// series.
fn write(out: &mut String, value: &Value) {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for key in keys {
                let value = &object[key];
                if !is_nothing(value) {
                    let _ = write!(out, "{key:?}:");
                    write(out, value);
                    out.push(',');
                }
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write(out, item);
                out.push(',');
            }
            out.push(']');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_nothing),
        _ => false,
    }
}

/// Something under a series that may move its numbers and is not what is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seam {
    /// What changed: `kernel`, `rustc`, `image` or `wsceiling`.
    pub what: &'static str,
    /// From what; `None`: not known.
    pub before: Option<String>,
    /// See [`Self::before`].
    pub after: Option<String>,
}

/// What changed under a series between two nights.
pub fn seams(before: &Header, after: &Header) -> Vec<Seam> {
    let all = |header: &Header| {
        let machine = &header.machine;
        [
            ("kernel", machine.kernel.clone()),
            ("rustc", machine.rustc.clone()),
            ("image", machine.image.clone()),
            ("wsceiling", Some(header.wsceiling.clone())),
        ]
    };
    let pairs = all(before).into_iter().zip(all(after));
    pairs
        .filter(|((_, before), (_, after))| before != after)
        .map(|((what, before), (_, after))| Seam { what, before, after })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_no_part_of_the_canonical_text() {
        let canonical = |value: Value| {
            let mut out = String::new();
            write(&mut out, &value);
            out
        };
        let full = canonical(json!({"b": 1, "a": {"x": "y"}, "no": null, "none": [], "e": "", "o": {"n": null}}));
        assert_eq!(full, r#"{"a":{"x":"y",},"b":1,}"#);
        assert_eq!(canonical(json!({"a": {"x": "y"}, "b": 1})), full);
        assert_ne!(canonical(json!({"a": {"x": "y"}, "b": 1, "on": false})), full);
    }

    #[test]
    fn a_seam_is_what_differs_between_two_nights() {
        let before = crate::night::tests::night().header;
        let mut after = before.clone();
        assert!(seams(&before, &after).is_empty());
        after.machine.kernel = Some("6.19.0".into());
        after.machine.cpu = None;
        let found = seams(&before, &after);
        assert_eq!(found, [Seam { what: "kernel", before: None, after: Some("6.19.0".into()) }]);
    }
}
