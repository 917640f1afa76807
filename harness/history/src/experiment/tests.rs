use std::path::Path;

use super::*;
use crate::demo::{Plan, What, demo};
use crate::judge::Nominated;
use crate::{History, Rules, judge};
use wsceiling_model::matrix::{Order, parse};

const MATRIX: &str = r#"
[targets.echo.process]
cargo = "echo"
[targets.app.process]
cargo = "app"
[targets.web.docker]
image = "ghcr.io/you/web:1"
[sizes.small]
memory = "64MiB"
[axes]
target = ["echo", "app"]
instances = [1, 2]
size = ["small"]
[[include]]
target = "web"
runtime = "docker"
"#;

fn read(text: &str) -> Matrix {
    parse(text, Path::new("ci/nightly.toml")).unwrap_or_else(|faults| panic!("{}", faults.render(false))).matrix
}

/// A night in which memory of the echo server jumped.
fn judged() -> Judgement {
    let step = What::Step(Metric::Memory, 1.2);
    let history = History::of(demo(&Plan::quiet(1, 60).with(59, "echo-bare-x1-small", step)));
    judge(&history, 59, &Rules { permutations: 199, ..Rules::default() })
}

fn commit(digit: char) -> String {
    digit.to_string().repeat(40)
}

fn nominated(cell: &str, base: Option<String>) -> Nominated {
    Nominated { cell: cell.into(), series: format!("series of {cell}"), base }
}

fn folders(commits: &[&String]) -> BTreeMap<String, PathBuf> {
    commits.iter().map(|commit| ((*commit).clone(), PathBuf::from(format!("/old/{commit}/ci")))).collect()
}

#[test]
fn what_is_nominated_is_put_to_the_test_with_its_suspects_and_the_noise_of_the_nights() {
    let (judgement, matrix) = (judged(), read(MATRIX));
    let base = judgement.nominated[0].base.clone().unwrap();
    let (setup, not_tried) = setup(&judgement, &matrix, &folders(&[&base]));
    let setup = setup.unwrap();
    assert_eq!(not_tried, []);
    assert_eq!(Some(&setup.commit), judgement.night.commit.as_ref());
    assert_eq!((setup.pairs[0].head.as_str(), &setup.pairs[0].commit), ("echo", &base));
    assert_eq!(setup.pairs[0].cells, [Tried { cell: "echo-bare-x1-small".into(), suspected: vec![Metric::Memory] }]);
    assert!(setup.floors.len() == 4 && setup.floors.values().all(|floor| (0.02..0.2).contains(floor)), "{setup:?}");
    let text = setup.matrix(&matrix, &folders(&[&base]), 4711).unwrap();
    let experiment = read(&text);
    assert_eq!((experiment.run.order, experiment.run.repeats, experiment.cells.len()), (Order::Shuffled, REPEATS, 3));
    let json = serde_json::to_string(&setup).unwrap();
    let read: Setup = serde_json::from_str(&json).unwrap();
    assert_eq!((&read.commit, &read.pairs, read.floors.len()), (&setup.commit, &setup.pairs, 4));
}

#[test]
fn cells_of_one_target_and_commit_are_one_pair() {
    let (mut judgement, matrix) = (judged(), read(MATRIX));
    let (a, b) = (commit('a'), commit('b'));
    judgement.nominated = vec![
        nominated("echo-bare-x1-small", Some(a.clone())),
        nominated("app-bare-x1-small", Some(a.clone())),
        nominated("echo-bare-x2-small", Some(a.clone())),
        nominated("app-bare-x2-small", Some(b.clone())),
    ];
    let setup = setup(&judgement, &matrix, &folders(&[&a, &b])).0.unwrap();
    let pairs: Vec<_> = setup
        .pairs
        .iter()
        .map(|pair| (pair.head.as_str(), pair.base.as_str(), pair.commit.as_str(), pair.cells.len()))
        .collect();
    let expected =
        [("echo", "before-1", a.as_str(), 2), ("app", "before-2", a.as_str(), 1), ("app", "before-3", b.as_str(), 1)];
    assert_eq!(pairs, expected);
    assert_eq!(read(&setup.matrix(&matrix, &folders(&[&a, &b]), 1).unwrap()).cells.len(), 12);
}

#[test]
fn what_cannot_be_put_to_the_test_says_why() {
    let (mut judgement, matrix) = (judged(), read(MATRIX));
    let (a, b) = (commit('a'), commit('b'));
    let tonight = judgement.night.commit.clone();
    judgement.nominated = vec![
        nominated("echo-bare-x1-small", None),
        nominated("echo-bare-x2-small", tonight),
        nominated("gone-bare-x1-small", Some(a.clone())),
        nominated("web-docker-x1", Some(a.clone())),
        nominated("app-bare-x1-small", Some(b)),
    ];
    let (none, not_tried) = setup(&judgement, &matrix, &folders(&[&a]));
    assert_eq!(none, None);
    let why: Vec<String> = not_tried.iter().map(ToString::to_string).collect();
    for (line, part) in why.iter().zip([
        "it is not known which commit",
        "the code did not change",
        "no such cell",
        "an image of a registry",
        "no checkout of its last good commit bbbb",
    ]) {
        assert!(line.contains(part), "{line}: {part}");
    }
    assert_eq!(why.len(), 5);
    judgement.night.commit = None;
    assert_eq!(setup(&judgement, &matrix, &folders(&[&a])).1.len(), 5);
}
