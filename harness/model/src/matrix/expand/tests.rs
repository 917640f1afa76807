use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;
use crate::matrix::Matrix;

fn quoted<T: ToString>(list: &[T]) -> String {
    list.iter().map(|item| format!("\"{}\"", item.to_string())).collect::<Vec<_>>().join(", ")
}

fn cell(
    target: &str,
    runtime: Runtime,
    instances: u32,
    front: Option<&str>,
    size: Option<&str>,
    scenario: Scenario,
) -> Cell {
    let (front, size) = (front.map(str::to_owned), size.map(str::to_owned));
    Cell { id: String::new(), target: target.to_owned(), runtime, instances, front, size, scenario }.named()
}

/// The axes of a matrix: every non-empty choice of values.
#[derive(Debug, Clone)]
struct Choice {
    targets: Vec<&'static str>,
    runtimes: Vec<&'static str>,
    instances: Vec<u32>,
    sizes: Vec<&'static str>,
    scenarios: Vec<&'static str>,
}

impl Choice {
    fn count(&self) -> usize {
        let sizes = self.sizes.len().max(1);
        self.targets.len() * self.runtimes.len() * self.instances.len() * sizes * self.scenarios.len()
    }

    fn text(&self, rules: &str) -> String {
        let described = |table: &str, key: &str, names: &[&str]| -> String {
            names.iter().map(|name| format!("[{table}.{name}{key}")).collect::<Vec<_>>().join("\n")
        };
        let sizes = if self.sizes.is_empty() { String::new() } else { format!("size = [{}]\n", quoted(&self.sizes)) };
        format!(
            "{}\n{}\n[axes]\ntarget = [{}]\nruntime = [{}]\ninstances = {:?}\n{sizes}scenario = [{}]\n{rules}",
            described("targets", "]\nprocess = { cargo = \"x\" }\nprotocol = \"app\"", &["echo", "app", "\"bun-1.2\""]),
            described("sizes", "]", &["small", "1cpu-512m"]),
            quoted(&self.targets),
            quoted(&self.runtimes),
            self.instances,
            quoted(&self.scenarios),
        )
    }

    fn matrix(&self, rules: &str) -> Matrix {
        crate::matrix::parsed(&self.text(rules))
    }
}

fn choice() -> impl Strategy<Value = Choice> {
    (
        subsequence(vec!["echo", "app", "bun-1.2"], 1..=3).prop_shuffle(),
        subsequence(vec!["bare", "docker"], 1..=2),
        subsequence(vec![1, 2, 4, 256], 1..=4),
        subsequence(vec!["small", "1cpu-512m"], 0..=2),
        subsequence(vec!["idle", "echo", "broadcast", "churn"], 1..=4),
    )
        .prop_map(|(targets, runtimes, instances, sizes, scenarios)| Choice {
            targets,
            runtimes,
            instances,
            sizes,
            scenarios,
        })
}

proptest! {
    #[test]
    fn the_product_has_every_combination_once_under_a_safe_id(choice in choice()) {
        let matrix = choice.matrix("");
        prop_assert_eq!(matrix.cells.len(), choice.count());
        let ids: BTreeSet<&str> = matrix.cells.iter().map(|cell| cell.id.as_str()).collect();
        prop_assert_eq!(ids.len(), choice.count());
        for id in ids {
            prop_assert!(id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c)));
            prop_assert!(!id.starts_with('.') && !id.contains(".."));
        }
    }

    #[test]
    fn an_exclude_removes_exactly_what_it_matches(choice in choice(), which in any::<prop::sample::Index>()) {
        let all = choice.matrix("").cells;
        let victim = &all[which.index(all.len())];
        let rule = format!("[[exclude]]\ntarget = \"{}\"\ninstances = [{}]\n", victim.target, victim.instances);
        let left: Vec<Cell> = all.iter()
            .filter(|cell| cell.target != victim.target || cell.instances != victim.instances)
            .cloned()
            .collect();
        if left.is_empty() {
            prop_assert!(crate::matrix::parse(&choice.text(&rule), Path::new("m.toml")).is_err());
        } else {
            prop_assert_eq!(choice.matrix(&rule).cells, left);
        }
    }

    #[test]
    fn an_include_adds_one_cell_at_the_end(choice in choice()) {
        let mut cells = choice.matrix("").cells;
        cells.push(cell("app", Runtime::Docker, 7, None, Some("small"), Scenario::Churn));
        let rule = "[[include]]\ntarget = \"app\"\nruntime = \"docker\"\ninstances = 7\nsize = \"small\"\nscenario = \"churn\"\n";
        prop_assert_eq!(choice.matrix(rule).cells, cells);
    }

    #[test]
    fn an_include_of_a_cell_that_is_there_is_a_fault(choice in choice(), which in any::<prop::sample::Index>()) {
        let cells = choice.matrix("").cells;
        let twin = &cells[which.index(cells.len())];
        let size = twin.size.as_ref().map_or_else(String::new, |size| format!("size = \"{size}\"\n"));
        let rule = format!(
            "[[include]]\ntarget = \"{}\"\nruntime = \"{}\"\ninstances = {}\nscenario = \"{}\"\n{size}",
            twin.target, twin.runtime, twin.instances, twin.scenario
        );
        let faults = crate::matrix::parse(&choice.text(&rule), Path::new("m.toml")).unwrap_err();
        prop_assert_eq!(faults.len(), 1);
    }
}

#[test]
fn idle_and_no_size_are_left_out_of_the_id() {
    let id = |runtime, instances, front, size, scenario| cell("echo", runtime, instances, front, size, scenario).id;
    assert_eq!(id(Runtime::Bare, 1, None, None, Scenario::Idle), "echo-bare-x1");
    assert_eq!(id(Runtime::Docker, 2, None, Some("small"), Scenario::Churn), "echo-docker-x2-small-churn");
    let fronted = id(Runtime::Docker, 2, Some("nginx"), Some("small"), Scenario::Idle);
    assert_eq!(fronted, "echo-docker-x2-nginx-small");
}
