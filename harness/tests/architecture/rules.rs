//! The import rules of `docs/architecture.md`, each with its reason.

use std::path::Path;

use crate::paths::{Named, module_of, named_paths};

/// A stage and the stages it may import, besides itself. A stage that is missing here may not exist.
const STAGES: &[(&str, &[&str])] = &[
    ("matrix", &[]),
    ("plan", &["matrix"]),
    ("record", &["matrix", "plan"]),
    ("environment", &["matrix", "plan", "record"]),
    ("run", &["matrix", "plan", "record", "environment"]),
    ("analyse", &["matrix", "plan", "record"]),
    ("render", &["matrix", "plan", "record", "analyse"]),
    ("load", &["matrix", "record", "run"]),
    ("cli", &["matrix", "plan", "record", "environment", "run", "load", "analyse", "render"]),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Types that a stage may name although they live in a later one: stage, type, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("plan", "crate::record::Wall", "`plan` predicts walls, which the record keeps in the same form"),
    ("plan", "crate::record::Component", "a wall says whose it is"),
];

/// A crate that only some modules may name.
struct Owned {
    crates: &'static [&'static str],
    by: &'static [&'static str],
    why: &'static str,
}

const OWNED: &[Owned] = &[
    Owned {
        crates: &["tokio", "futures_util"],
        by: &["run", "environment", "load", "cli", "main"],
        why: "stages that only compute must run, and be tested, without a runtime",
    },
    Owned {
        crates: &["bollard"],
        by: &["run/launch/docker"],
        why: "one place knows the engine's API, so that it can be replaced and so that every resource made there is \
              labelled and freed there",
    },
    Owned {
        crates: &["tungstenite", "tokio_tungstenite"],
        by: &["run/websocket"],
        why: "one place knows the WebSocket library, so that its buffers are set once, on purpose",
    },
    Owned {
        crates: &["rustls", "rustls_native_certs"],
        by: &["run/tls"],
        why: "one place knows the TLS library, so that whom to trust is decided once and every error has one name",
    },
];

/// What makes a function depend on more than its arguments.
const MACHINE: &[&str] =
    &["std::fs", "std::env", "std::net", "std::process", "std::time::Instant", "std::time::SystemTime"];

/// Everything that breaks a rule in `source`, a file at `file` relative to `src`: one sentence each.
pub fn faults(file: &Path, source: &str) -> Vec<String> {
    let named = match named_paths(file, source) {
        Ok(named) => named,
        Err(error) => return vec![error],
    };
    let stage = stage_of(file);
    let Some((_, allowed)) = STAGES.iter().find(|(name, _)| *name == stage) else {
        return vec![format!(
            "{}: `{stage}` is no stage of the data flow; give it a place in STAGES and in docs/architecture.md",
            file.display()
        )];
    };
    let mut faults = Vec::new();
    for path in &named {
        let broken = order(&stage, allowed, path)
            .or_else(|| owner(file, path))
            .or_else(|| render_computes_nothing(&stage, path))
            .or_else(|| analyse_is_pure(&stage, path));
        if let Some(why) = broken {
            faults.push(format!("{} names `{}`: {why}", file.display(), path.text()));
        }
    }
    faults.dedup();
    faults
}

/// First word of a file's module path; `main` and `lib` for those two.
fn stage_of(file: &Path) -> String {
    module_of(file)
        .first()
        .cloned()
        .unwrap_or_else(|| file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()))
}

/// Imports go one way along the data flow.
fn order(stage: &str, allowed: &[&str], path: &Named) -> Option<String> {
    let inside = matches!(path.words[0].as_str(), "crate" | "wsceiling");
    let other = path.words.get(1).filter(|_| inside)?;
    let is_stage = STAGES.iter().any(|(name, _)| name == other);
    if !is_stage || other == stage || allowed.contains(&other.as_str()) || excepted(stage, path) {
        return None;
    }
    let may = if allowed.is_empty() { "no other stage".to_owned() } else { allowed.join(", ") };
    Some(format!("imports go one way along the data flow, and `{stage}` may import {may}"))
}

/// The path is a type of EXCEPTIONS, or something of it (`crate::record::Component::Host`).
fn excepted(stage: &str, path: &Named) -> bool {
    let text = path.text();
    EXCEPTIONS.iter().any(|(of, named, _)| *of == stage && (text == *named || text.starts_with(&format!("{named}::"))))
}

/// Some crates have one owner.
fn owner(file: &Path, path: &Named) -> Option<String> {
    let owned = OWNED.iter().find(|owned| owned.crates.contains(&path.words[0].as_str()))?;
    let module = module_of(file).join("/");
    let module = if module.is_empty() { stage_of(file) } else { module };
    let is_owner = |owner: &&str| module == **owner || module.starts_with(&format!("{owner}/"));
    if owned.by.iter().any(is_owner) {
        return None;
    }
    Some(format!("only {} may, because {}", owned.by.join(", "), owned.why))
}

/// Pages show findings; a number that is computed while it is drawn is in no test and in no CSV.
fn render_computes_nothing(stage: &str, path: &Named) -> Option<String> {
    let from_analyse = path.words.len() >= 2 && path.words[0] == "crate" && path.words[1] == "analyse";
    if stage != "render" || !from_analyse || path.in_tests {
        return None;
    }
    let names_type = path.words[2..].iter().any(|word| word.starts_with(char::is_uppercase));
    if names_type {
        return None;
    }
    Some("`render` takes types from `analyse`, never a function or a whole module: it computes no statistic".to_owned())
}

/// An old run folder must give the same findings on any machine and any day.
fn analyse_is_pure(stage: &str, path: &Named) -> Option<String> {
    if stage != "analyse" || path.in_tests {
        return None;
    }
    let text = path.text();
    let touches = MACHINE.iter().find(|machine| text == **machine || text.starts_with(&format!("{machine}::")))?;
    Some(format!("`analyse` is a pure function of the record, and `{touches}` reads the machine or the clock"))
}
