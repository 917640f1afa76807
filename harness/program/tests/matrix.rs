//! Matrix files: what is wrong with bad ones, what good ones become, and the files this repository ships.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use wsceiling::matrix_file;
use wsceiling_model::matrix::{self, Matrix, Start, names};
use wsceiling_model::plan::{Description, Machine, Plan, describe};

/// The machine of the snapshots.
const MACHINE: Machine =
    Machine { nofile_hard: 20_000, port_range: (32_768, 60_999), reserved_ports: 0, memory_bytes: 24 << 30, cores: 2 };

/// Loads a file under its short name, so that snapshots have no path of this machine.
fn parse(path: &Path) -> Result<matrix::Loaded, matrix::Faults> {
    let text = std::fs::read_to_string(path).unwrap();
    matrix::parse(&text, Path::new(path.file_name().unwrap()))
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files a user of this repository starts from.
fn shipped() -> Vec<PathBuf> {
    let examples = std::fs::read_dir(top().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = examples.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.push(top().join("matrix.toml"));
    files.sort();
    files
}

#[test]
fn every_bad_file_shows_all_its_faults_in_place() {
    insta::glob!("matrix/bad/*.toml", |path| {
        let faults = parse(path).expect_err("a bad file has faults");
        assert!(!faults.is_empty());
        insta::assert_snapshot!(faults.to_string());
    });
}

#[test]
fn every_fault_has_a_hint_or_a_label_and_a_place_in_the_file() {
    insta::glob!("matrix/bad/*.toml", |path| {
        for fault in parse(path).unwrap_err().iter() {
            assert!(fault.hint.is_some() || !fault.label.is_empty(), "{}: {}", path.display(), fault.message);
            let whole = ["no target", "no `[axes]`"].iter().any(|start| fault.message.starts_with(start));
            assert!(fault.span.is_some() || whole, "{}: {}", path.display(), fault.message);
        }
    });
}

#[test]
fn good_files_become_matrices() {
    insta::glob!("matrix/good/*.toml", |path| {
        let loaded = parse(path).unwrap_or_else(|faults| panic!("{faults}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
        let Matrix { run, load, targets, sizes, fronts, cells, .. } = loaded.matrix;
        let mut text = format!("{run:#?}\n{load:#?}\n{targets:#?}\n{sizes:#?}\n");
        if !fronts.is_empty() {
            writeln!(text, "{fronts:#?}").unwrap();
        }
        for cell in &cells {
            writeln!(text, "{}", cell.id).unwrap();
        }
        insta::assert_snapshot!(text);
    });
}

#[test]
fn questionable_files_load_with_warnings() {
    let loaded = parse(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/matrix/warned/everything.toml")).unwrap();
    assert_eq!(loaded.matrix.cells.len(), 1);
    insta::assert_snapshot!(loaded.warnings.to_string());
}

#[test]
fn colors_are_an_option() {
    let faults = matrix::parse("[run]\nrepeats = 0\n", Path::new("m.toml")).unwrap_err();
    assert!(faults.render(true).contains('\x1b'));
    assert!(!faults.render(false).contains('\x1b'));
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let absent = matrix_file::load(&folder.path().join("absent.toml")).unwrap_err();
    assert!(absent.to_string().contains("failed to read the matrix"), "{absent}");
    assert!(matrix_file::load(folder.path()).unwrap_err().to_string().contains("failed to read"));
    let latin1 = folder.path().join("latin1.toml");
    std::fs::write(&latin1, b"[run]\nname = \"gr\xf6sse\"\n").unwrap();
    assert!(matrix_file::load(&latin1).unwrap_err().to_string().contains("byte 16 is not UTF-8"));
    let large = folder.path().join("large.toml");
    std::fs::write(&large, vec![b'\n'; (1 << 20) + 1]).unwrap();
    assert!(matrix_file::load(&large).unwrap_err().to_string().contains("larger than 1 MiB"));
}

#[test]
fn a_loaded_file_keeps_its_text_and_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.toml");
    let text = "[targets.echo.process]\ncargo = \"echo\"\n[axes]\ntarget = [\"echo\"]\n";
    std::fs::write(&path, text).unwrap();
    let matrix = matrix_file::load(&path).unwrap().matrix;
    assert_eq!((matrix.text.as_str(), matrix.folder.as_path()), (text, folder.path()));
    let here = matrix::parse(text, Path::new("m.toml")).unwrap().matrix;
    assert_eq!(here.folder, Path::new("."));
}

#[test]
fn windows_line_ends_are_no_fault() {
    let text = "[targets.echo.process]\r\ncargo = \"echo\"\r\n[axes]\r\ntarget = [\"echo\"]\r\n";
    assert_eq!(matrix::parse(text, Path::new("m.toml")).unwrap().matrix.cells[0].id, "echo-bare-x1");
}

#[test]
fn every_shipped_matrix_loads_without_a_warning() {
    let files = shipped();
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        // Not as a user loads it: what the catalogue says of plans and platforms is old one day.
        let loaded = parse(&path).unwrap_or_else(|faults| panic!("{faults}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
        assert_eq!(names::unsafe_name(&loaded.matrix.run.name), None);
    }
}

#[test]
fn shipped_matrices_point_at_targets_that_are_there() {
    for path in shipped() {
        let matrix = matrix_file::load(&path).unwrap().matrix;
        for process in matrix.targets.values().filter_map(|target| target.process.as_ref()) {
            if let Start::Cargo(package) = &process.start {
                assert!(top().join("targets").join(package).join("Cargo.toml").exists(), "{package}");
            }
        }
    }
}

#[test]
fn the_default_matrix_is_described() {
    let matrix = matrix_file::load(&top().join("matrix.toml")).unwrap().matrix;
    let plan = Plan::new(&matrix);
    assert_eq!(plan.trials.len(), 24);
    insta::assert_snapshot!(describe(&matrix, &plan, &MACHINE));
}

#[test]
fn one_cell_is_described_as_json() {
    let matrix = matrix_file::load(&top().join("matrix.toml")).unwrap().matrix;
    let plan = Plan::new(&matrix).only(&["app-docker-x2-small".to_owned()]).unwrap();
    let description = Description::new(&matrix, &plan, &MACHINE);
    assert_eq!(description.cells.len(), 1);
    insta::assert_snapshot!(serde_json::to_string_pretty(&description).unwrap());
}

#[test]
fn no_damage_to_a_file_makes_the_program_panic() {
    let text = std::fs::read_to_string(top().join("matrix.toml")).unwrap();
    let path = Path::new("m.toml");
    let mut random = fastrand::Rng::with_seed(7);
    let bits = ["[", "]", "\"", "=", "\n", "{", "}", ",", "[[", "\"\"\"", "'", "\\u", "#", "é", "0", "-", "\0", "\r"];
    for _ in 0..2000 {
        let mut damaged: Vec<char> = text.chars().collect();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(0..damaged.len());
            let end = (at + random.usize(0..12)).min(damaged.len());
            damaged.splice(at..end, random.choice(bits).unwrap().chars());
        }
        if random.bool() {
            damaged.truncate(random.usize(1..damaged.len()));
        }
        let damaged: String = damaged.into_iter().collect();
        match matrix::parse(&damaged, path) {
            Ok(loaded) => assert!(!loaded.matrix.cells.is_empty()),
            Err(faults) => assert!(faults.render(random.bool()).len() > 10),
        }
    }
}

fn document(name: &str) -> String {
    std::fs::read_to_string(top().join("docs").join(name)).unwrap()
}

/// The examples of a document, each made whole with a target and an axis where it has none.
fn documented(name: &str) -> Vec<String> {
    let document = document(name);
    let blocks = document.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks
        .map(|block| {
            let mut text = block.to_owned();
            if !text.contains("[targets.") {
                text.push_str("\n[targets.echo.process]\ncargo = \"echo\"\n");
            }
            if !text.contains("[axes]") {
                let name = text.split("[targets.").nth(1).and_then(|rest| rest.split(['.', ']']).next()).unwrap();
                let axes = format!("\n[axes]\ntarget = [\"{name}\"]\n");
                text.push_str(&axes);
            }
            text
        })
        .collect()
}

#[test]
fn every_example_of_the_documentation_loads() {
    for (name, least) in [("matrix.md", 6), ("remote.md", 6), ("compare.md", 1)] {
        let examples = documented(name);
        assert!(examples.len() >= least, "{name}");
        for text in examples {
            if let Err(faults) = matrix::parse(&text, Path::new(name)) {
                panic!("{text}\n{faults}");
            }
        }
    }
}

#[test]
fn the_story_is_told_in_one_short_file() {
    let file = top().join("examples/story-remote.toml");
    assert!(std::fs::read_to_string(&file).unwrap().lines().count() < 60);
    let matrix = parse(&file).unwrap().matrix;
    assert_eq!(matrix.cells.len(), 8);
    assert!(matrix.targets.values().all(|target| target.remote.as_ref().is_some_and(|remote| remote.authorised)));
}

#[test]
fn the_reference_has_the_defaults() {
    let last = documented("matrix.md").pop().unwrap();
    let stated = matrix::parse(&last, Path::new("m.toml")).unwrap().matrix;
    let smallest = matrix::parse(&documented("matrix.md")[0], Path::new("m.toml")).unwrap().matrix;
    assert_eq!(stated.run, smallest.run);
    assert_eq!(stated.load, smallest.load);
}

#[test]
fn the_reference_has_every_key() {
    let tables = [
        "[run]\n",
        "[load]\n",
        "[load.message]\n",
        "[load.gates]\n",
        "[load.broadcast]\n",
        "[load.churn]\n",
        "[targets.t]\n",
        "[targets.t]\nurl = \"ws://127.0.0.1\"\n",
        "[targets.t]\nurl = \"wss://127.0.0.1\"\n[targets.t.tls]\n",
        "[targets.t.process]\n",
        "[targets.t.docker]\n",
        "[sizes.s]\n",
        "[fronts.nginx]\n",
        "[fronts.haproxy]\n",
        "[fronts.relay]\n",
        "[fronts.docker-publish]\n",
        "[axes]\n",
        "[[include]]\n",
        "[[exclude]]\n",
    ];
    let reference = document("matrix.md");
    for table in tables {
        let faults = matrix::parse(&format!("{table}zzzzzzzz = 1\n"), Path::new("m.toml")).unwrap_err();
        let unknown = faults.iter().find(|fault| fault.message.contains("zzzzzzzz")).unwrap();
        let known = unknown.hint.as_ref().unwrap().split('`').skip(1).step_by(2);
        for key in known {
            assert!(reference.contains(&format!("\n| `{key}` |")), "{table}{key}");
        }
    }
}

#[test]
fn keys_that_are_left_out_follow_from_each_other() {
    let load = |text: &str| {
        let text = format!("{text}[targets.t.process]\ncargo = \"echo\"\n[axes]\ntarget = [\"t\"]\n");
        let load = matrix::parse(&text, Path::new("m.toml")).unwrap().matrix.load;
        (load.step, load.max)
    };
    assert_eq!(load(""), (2000, 20_000));
    assert_eq!(load("[load]\nstep = 50\n"), (50, 500));
    assert_eq!(load("[load]\nmax = 55\n"), (6, 55));
    assert_eq!(load("[load]\nmax = 1\n"), (1, 1));
    assert_eq!(load("[load]\nstep = 10000000\n"), (10_000_000, 10_000_000));
}
