//! Each folder below `folders` is a project as its author would have it: what is guessed, what is written, and that a matrix
//! is what is written.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use wsceiling_detect::{Folder, guess, matrix};
use wsceiling_model::matrix::parse;

/// Reads a folder of the fixtures.
fn read(name: &str) -> Folder {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/folders").join(name);
    let (mut files, mut folders) = (BTreeMap::new(), BTreeSet::new());
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let inner = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.insert(inner);
                open.push(path);
            } else if inner != ".keep" {
                files.insert(inner, fs::read_to_string(&path).unwrap());
            }
        }
    }
    Folder { name: name.to_owned(), files, folders }
}

/// What is guessed of a folder and written for it, after the load that all have.
#[track_caller]
fn told(name: &str) -> String {
    let guess = guess(&read(name));
    let Some(server) = &guess.server else {
        return guess.unread.iter().fold("no server\n".to_owned(), |told, unread| format!("{told}{unread}\n"));
    };
    let text = matrix(&guess, "matrix.toml").unwrap();
    match parse(&text, Path::new("matrix.toml")) {
        Ok(loaded) => {
            let cells: Vec<_> = loaded.matrix.cells.iter().map(|cell| cell.id.as_str()).collect();
            assert_eq!(cells.len(), 1, "{text}");
            assert!(loaded.warnings.is_empty(), "{}", loaded.warnings.render(false));
        }
        Err(faults) => panic!("{name}: {}\n{text}", faults.render(false)),
    }
    let (head, rest) = text.split_once("\n[run]").unwrap();
    let (_, tables) = rest.split_once("\n[targets").unwrap();
    let (target, _) = tables.split_once("\n[axes]").unwrap();
    let (_, head) = head.split_once("# Found:").unwrap();
    format!("{server}\n# Found:{head}\n[targets{target}")
}

macro_rules! folders {
    ($($test:ident: $folder:literal;)*) => {
        $(#[test] fn $test() { insta::assert_snapshot!($folder, told($folder)); })*

        #[test]
        fn every_folder_has_a_test() {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/folders");
            let all: BTreeSet<String> =
                fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            assert_eq!(all, BTreeSet::from([$($folder.to_owned(),)*]));
        }
    };
}

folders! {
    node_with_ws: "node-ws";
    node_with_a_script_for_a_shell: "node-script";
    bun: "bun";
    deno: "deno";
    go_with_gorilla: "go-gorilla";
    go_examples_with_a_client_beside_the_server: "go-example";
    rust_with_tungstenite: "rust-tungstenite";
    python_with_websockets: "python-websockets";
    fastapi: "fastapi";
    django_channels: "django-channels";
    rails: "rails";
    rack_with_faye: "ruby-faye";
    php_with_ratchet: "php-ratchet";
    only_a_dockerfile: "dockerfile";
    compose_with_two_services: "compose";
    nothing: "empty";
    a_broken_manifest: "broken-package";
}

#[test]
fn any_text_becomes_a_matrix_or_nothing() {
    let nasty = "\"\\\n\u{7}\u{1f310} ${PORT} {port} '`";
    for (file, text) in [
        ("package.json", format!("{{\"scripts\":{{\"start\":{}}}}}", serde_string(&format!("node '{nasty}' x.js")))),
        ("package.json", format!("{{\"scripts\":{{\"start\":{}}}}}", serde_string("A=\"x y\" node 'a\"b.js'"))),
        ("compose.yml", format!("services:\n  a:\n    image: own/x\n    environment:\n      A: {nasty}\n")),
        ("Dockerfile", format!("EXPOSE {nasty}")),
        ("Dockerfile", String::new()),
    ] {
        let folder = Folder {
            name: "..My \u{1f310} Server v1.2".to_owned(),
            files: BTreeMap::from([(file.to_owned(), text.clone())]),
            folders: BTreeSet::new(),
        };
        if let Some(written) = matrix(&guess(&folder), "m.toml") {
            let parsed = parse(&written, Path::new("m.toml"));
            assert!(parsed.is_ok(), "{text}\n{written}\n{}", parsed.unwrap_err().render(false));
        }
    }
}

fn serde_string(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}
