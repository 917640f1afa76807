//! Holds the import rules of `docs/architecture.md` by reading the sources.

#[path = "architecture/paths.rs"]
mod paths;
#[path = "architecture/rules.rs"]
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use paths::named_paths;
use rules::faults;

fn harness() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under `folder`, sorted.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry of it").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn imports_follow_the_data_flow() {
    let source = harness().join("src");
    let files = rust_files(&source);
    assert!(files.len() > 10, "only {} files found under {}", files.len(), source.display());
    let broken: Vec<String> = files
        .iter()
        .flat_map(|path| faults(path.strip_prefix(&source).unwrap(), &fs::read_to_string(path).unwrap()))
        .collect();
    assert!(broken.is_empty(), "{} import(s) break a rule:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn harness_and_targets_know_nothing_of_each_other() {
    let mut manifests = vec![harness().join("Cargo.toml")];
    for entry in fs::read_dir(harness().join("../targets")).unwrap() {
        manifests.push(entry.unwrap().path().join("Cargo.toml"));
    }
    manifests.retain(|manifest| manifest.exists());
    assert!(manifests.len() >= 3, "the harness and two targets have a manifest: {manifests:?}");
    for manifest in manifests {
        let table: toml::Table = fs::read_to_string(&manifest).unwrap().parse().unwrap();
        let mut inside = dependencies_by_path(&table);
        // What the targets in Rust share among themselves is a target's code.
        inside.retain(|name| name != "target-common");
        assert!(
            inside.is_empty(),
            "{} depends on {inside:?}: a server is measured as its users run it, so it shares no code with the program \
             that measures it",
            manifest.display()
        );
    }
}

/// Names of the dependencies of a manifest that are folders of this repository.
fn dependencies_by_path(manifest: &toml::Table) -> Vec<String> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|kind| manifest.get(*kind)?.as_table())
        .flatten()
        .filter(|(name, value)| *name == "wsceiling" || value.get("path").is_some() || value.get("workspace").is_some())
        .map(|(name, _)| name.clone())
        .collect()
}

#[test]
fn a_dependency_by_path_is_found() {
    let manifest: toml::Table =
        "[dependencies]\nserde = \"1\"\nwsceiling = { path = \"../../harness\" }\n[dev-dependencies]\necho.path = \"../echo\""
            .parse()
            .unwrap();
    assert_eq!(dependencies_by_path(&manifest), ["wsceiling", "echo"]);
}

/// Words of every path that the snippet names.
fn words(file: &str, source: &str) -> Vec<String> {
    named_paths(Path::new(file), source).expect("a snippet that lexes").iter().map(paths::Named::text).collect()
}

#[test]
fn paths_are_read_from_declarations_code_and_macros() {
    let source = r#"
        //! Links like [`crate::run::drive`] are comments.
        use std::{fs, io::{self, Read as _}};
        use super::{trial::*, Component};
        pub use self::metric::Metric;
        /* use tokio::net; */
        fn f() { let text = "tokio::spawn"; vec![bollard::Docker::new(text)]; crate::plan::expand::<u8>(1); }
        mod inner { use super::super::Cell; }
    "#;
    let expected = [
        "std::fs",
        "std::io",
        "std::io::Read",
        "crate::record::trial::*",
        "crate::record::Component",
        "crate::record::file::metric::Metric",
        "bollard::Docker::new",
        "crate::plan::expand",
        "crate::record::Cell",
    ];
    assert_eq!(words("record/file.rs", source), expected);
}

#[test]
fn a_module_file_is_its_folder() {
    assert_eq!(
        words("record/mod.rs", "use super::run; use self::trial::X;"),
        ["crate::run", "crate::record::trial::X"]
    );
    assert_eq!(words("lib.rs", "pub use self::cli::run;"), ["crate::cli::run"]);
}

#[track_caller]
fn refused(file: &str, source: &str, because: &str) {
    let found = faults(Path::new(file), source);
    assert_eq!(found.len(), 1, "{file}: {source}: {found:?}");
    assert!(found[0].contains(because), "{}", found[0]);
}

#[test]
fn imports_against_the_flow_are_refused() {
    refused("matrix/parse.rs", "use crate::plan::TrialId;", "`matrix` may import no other stage");
    refused("plan.rs", "use crate::record::Sample;", "`plan` may import matrix");
    refused("plan/walls.rs", "use crate::record::{Wall, WallKind};", "`crate::record::WallKind`");
    refused("matrix/mod.rs", "use crate::record::Wall;", "`matrix` may import no other stage");
    refused("record/write.rs", "fn f() { crate::run::now(); }", "one way");
    refused("record/mod.rs", "use super::run::drive;", "one way");
    refused("record/read.rs", "use crate::{matrix::Cell, environment};", "one way");
    refused("analyse/cost.rs", "use super::super::run::sample::Watch;", "`analyse` may import matrix, plan, record");
    refused("analyse/mod.rs", "mod tests { use crate::render::page; }", "one way");
    refused("render/page.rs", "use crate::environment::facts;", "one way");
    refused("environment/doctor.rs", "use crate::run::launch;", "one way");
    refused("run/mod.rs", "use crate::analyse::Findings;", "one way");
    refused("run/mod.rs", "macro_rules! m { () => { crate::cli::say() } }", "one way");
    refused("helpers.rs", "", "`helpers` is no stage");
}

#[test]
fn crates_outside_their_place_are_refused() {
    refused("matrix/mod.rs", "use tokio::fs;", "without a runtime");
    refused("render/mod.rs", "#[tokio::main] async fn f() {}", "without a runtime");
    refused("record/mod.rs", "use ::tokio::time;", "without a runtime");
    refused("run/launch/bare.rs", "use bollard::Docker;", "only run/launch/docker may");
    refused("environment/engine.rs", "use bollard::Docker;", "only run/launch/docker may");
    refused("run/launch/dockerish.rs", "use bollard::Docker;", "only run/launch/docker may");
    refused("run/drive/worker.rs", "use tokio_tungstenite::connect_async;", "only run/websocket may");
    refused("run/drive/worker.rs", "use rustls::ClientConnection;", "only run/tls may");
    refused("load/probe.rs", "use crate::analyse::Findings;", "one way");
}

#[test]
fn statistics_in_pages_and_clocks_in_analysis_are_refused() {
    refused("render/page.rs", "use crate::analyse::cost::fit;", "computes no statistic");
    refused("render/page.rs", "use crate::analyse::cost;", "computes no statistic");
    refused("render/page.rs", "use crate::analyse::*;", "computes no statistic");
    refused("render/page.rs", "fn f() { crate::analyse::median(&[]) }", "computes no statistic");
    refused("analyse/mod.rs", "use std::time::Instant;", "pure function of the record");
    refused("analyse/mod.rs", "fn f() { std::fs::read(p) }", "pure function of the record");
}

#[test]
fn imports_along_the_flow_are_accepted() {
    let accepted = [
        ("plan.rs", "use crate::matrix::Matrix;"),
        ("plan/walls.rs", "use crate::record::{Component, Wall}; fn f() { crate::record::Component::Host; }"),
        ("record/trial.rs", "use super::Component; use crate::plan::TrialId;"),
        ("run/mod.rs", "use crate::{environment, matrix, plan, record}; use tokio::time;"),
        ("run/launch/docker.rs", "use bollard::Docker;"),
        ("run/launch/docker/image.rs", "use bollard::Docker;"),
        ("run/websocket/mod.rs", "use tokio_tungstenite::tungstenite::Message;"),
        ("analyse/mod.rs", "use std::time::Duration; mod tests { use std::fs; }"),
        (
            "render/page.rs",
            "use crate::analyse::{cause::Verdict, Findings}; mod tests { use crate::analyse::analyse; }",
        ),
        ("cli/mod.rs", "use crate::{analyse, render, run};"),
        ("main.rs", "fn main() { wsceiling::cli::main() }"),
        ("lib.rs", "pub mod analyse; pub mod run;"),
    ];
    for (file, source) in accepted {
        assert_eq!(faults(Path::new(file), source), Vec::<String>::new(), "{file}");
    }
}
