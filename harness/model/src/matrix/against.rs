//! The matrix of an experiment: some cells of a matrix, each beside the same cell of another checkout, in one shuffle.

use std::collections::BTreeSet;
use std::path::PathBuf;

use toml::{Table, Value};

use super::{Cell, Image, Matrix, Runtime};

/// A target of a matrix, and the checkout that it is put against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Against {
    /// The target.
    pub head: String,
    /// What the same target of the other checkout is called.
    pub base: String,
    /// The same once more, which shows the noise.
    pub again: String,
    /// The other checkout's folder of the matrix file, relative to this one's, or absolute.
    pub folder: PathBuf,
    /// Ids of the cells.
    pub cells: Vec<String>,
}

/// How such a matrix runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shuffle {
    /// Name of the run.
    pub name: String,
    /// Seed of its order.
    pub seed: u64,
    /// Trials of each cell.
    pub repeats: u32,
}

/// The text is no TOML, or cannot be written as such.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the matrix cannot be written anew: {0}")]
pub struct NotWritten(String);

impl Matrix {
    /// Whether another checkout can have another program in this cell: not where the harness starts none, and not where it
    /// comes from a registry.
    pub fn has_code(&self, cell: &Cell) -> bool {
        let Some(target) = self.targets.get(&cell.target) else { return false };
        match (cell.runtime, &target.docker) {
            (Runtime::Remote, _) => false,
            (Runtime::Docker, Some(own)) => matches!(own.image, Image::Build(_)),
            _ => target.process.is_some(),
        }
    }

    /// The text of a matrix with these cells alone, each three times: as it is, and twice as it is in the other checkout. It
    /// belongs into the same folder as this one. Limits, load, fronts and targets are the same.
    ///
    /// # Errors
    /// When the text is no TOML.
    pub fn against(&self, pairs: &[Against], shuffle: &Shuffle) -> Result<String, NotWritten> {
        let not_written = |error: &dyn std::fmt::Display| NotWritten(error.to_string());
        let mut table: Table = self.text.parse().map_err(|error: toml::de::Error| not_written(&error))?;
        for key in ["axes", "exclude", "include"] {
            table.remove(key);
        }
        let mut run = sub_table(&mut table, "run");
        for key in ["confirm", "confirm_max"] {
            run.remove(key);
        }
        run.insert("name".into(), shuffle.name.clone().into());
        run.insert("seed".into(), Value::Integer((shuffle.seed & (u64::MAX >> 1)).cast_signed()));
        run.insert("order".into(), "shuffled".into());
        run.insert("repeats".into(), i64::from(shuffle.repeats).into());
        table.insert("run".into(), run.into());
        let described = sub_table(&mut table, "targets");
        let (mut targets, mut includes, mut heads) = (Table::new(), Vec::new(), BTreeSet::new());
        for pair in pairs {
            let Some(Value::Table(head)) = described.get(&pair.head) else { continue };
            let mut base = head.clone();
            base.insert("folder".into(), pair.folder.display().to_string().into());
            targets.insert(pair.head.clone(), head.clone().into());
            for name in [&pair.base, &pair.again] {
                targets.insert(name.clone(), base.clone().into());
            }
            for cell in pair.cells.iter().filter_map(|id| self.cell(id)) {
                let of = |target: &str| include(cell, target);
                includes.extend(heads.insert(&cell.id).then(|| of(&pair.head)));
                includes.extend([of(&pair.base), of(&pair.again)]);
            }
        }
        table.insert("targets".into(), targets.into());
        table.insert("include".into(), includes.into());
        toml::to_string(&table).map_err(|error| not_written(&error))
    }
}

/// Takes a table out; empty if it is not there.
fn sub_table(table: &mut Table, key: &str) -> Table {
    match table.remove(key) {
        Some(Value::Table(found)) => found,
        _ => Table::new(),
    }
}

/// The include that gives this cell to a target.
fn include(cell: &Cell, target: &str) -> Value {
    let mut include = Table::new();
    include.insert("target".into(), target.into());
    include.insert("runtime".into(), cell.runtime.name().into());
    include.insert("instances".into(), i64::from(cell.instances).into());
    include.insert("scenario".into(), cell.scenario.name().into());
    for (key, value) in [("front", &cell.front), ("size", &cell.size)] {
        if let Some(value) = value {
            include.insert(key.into(), value.clone().into());
        }
    }
    include.into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::matrix::{Order, parse};

    const NIGHT: &str = r#"
[run]
name = "nightly"
repeats = 3
confirm = true
trial_within = "60s"
[load]
step = 100
max = 300
[targets.echo.process]
cargo = "echo"
[targets.app]
protocol = "app"
path = "/ws"
[targets.app.process]
cargo = "app"
args = ["--address", "{address}", "--token", "t"]
[targets.web.docker]
image = "ghcr.io/you/web:1"
[sizes.small]
cpus = 0.5
memory = "64MiB"
[axes]
target = ["echo", "app"]
runtime = ["bare", "docker"]
size = ["small"]
scenario = ["idle", "echo"]
[[include]]
target = "web"
runtime = "docker"
"#;

    fn read(text: &str) -> Matrix {
        parse(text, Path::new("ci/nightly.toml")).unwrap_or_else(|faults| panic!("{}", faults.render(false))).matrix
    }

    fn pair(head: &str, number: u32, folder: &str, cells: &[&str]) -> Against {
        Against {
            head: head.into(),
            base: format!("before-{number}"),
            again: format!("before-{number}-again"),
            folder: folder.into(),
            cells: cells.iter().map(|id| (*id).to_owned()).collect(),
        }
    }

    #[test]
    fn each_cell_runs_as_it_is_and_twice_as_it_was_in_one_shuffle() {
        let night = read(NIGHT);
        let pairs = [
            pair("echo", 1, "/old/a/ci", &["echo-docker-x1-small-echo", "echo-bare-x1-small"]),
            pair("app", 2, "/old/b/ci", &["app-bare-x1-small"]),
        ];
        let shuffle = Shuffle { name: "experiment".into(), seed: 4711, repeats: 7 };
        let experiment = read(&night.against(&pairs, &shuffle).unwrap());
        assert_eq!((experiment.run.order, experiment.run.seed, experiment.run.repeats), (Order::Shuffled, 4711, 7));
        assert_eq!((experiment.run.confirm, experiment.run.trial_within), (false, night.run.trial_within));
        assert_eq!((&experiment.load, &experiment.sizes), (&night.load, &night.sizes));
        let mut ids: Vec<&str> = experiment.cells.iter().map(|cell| cell.id.as_str()).collect();
        ids.sort_unstable();
        let expected = [
            "app-bare-x1-small",
            "before-1-again-bare-x1-small",
            "before-1-again-docker-x1-small-echo",
            "before-1-bare-x1-small",
            "before-1-docker-x1-small-echo",
            "before-2-again-bare-x1-small",
            "before-2-bare-x1-small",
            "echo-bare-x1-small",
            "echo-docker-x1-small-echo",
        ];
        assert_eq!(ids, expected);
        for name in ["echo", "app"] {
            assert_eq!(experiment.targets[name], night.targets[name], "tonight's target is the same");
        }
        let base = &experiment.targets["before-2"];
        assert_eq!(base.folder.as_deref(), Some(Path::new("/old/b/ci")));
        assert_eq!((&base.process, base.path.as_str()), (&night.targets["app"].process, "/ws"));
        assert_eq!(experiment.targets.len(), 6, "targets that take no part are left out");
    }

    #[test]
    fn two_older_checkouts_of_one_target_share_its_new_cell() {
        let night = read(NIGHT);
        let cells = ["echo-bare-x1-small"];
        let pairs = [pair("echo", 1, "/old/a/ci", &cells), pair("echo", 2, "/old/b/ci", &cells)];
        let shuffle = Shuffle { name: "experiment".into(), seed: u64::MAX, repeats: 7 };
        let experiment = read(&night.against(&pairs, &shuffle).unwrap());
        assert_eq!(experiment.cells.len(), 5);
    }

    #[test]
    fn what_comes_from_a_registry_has_no_older_code() {
        let night = read(NIGHT);
        let has_code = |id: &str| night.has_code(night.cell(id).unwrap());
        assert!(has_code("echo-bare-x1-small") && has_code("app-docker-x1-small"));
        assert!(!has_code("web-docker-x1"));
    }
}
