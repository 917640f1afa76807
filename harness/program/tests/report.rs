//! The golden report: `wsceiling report` on the committed run, compared with what was agreed to. After a change that is
//! meant: `INSTA_UPDATE=always cargo test --test report`, then read the difference, and look at the report in a browser.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use sha2::Digest as _;

/// What `report` printed and every file of the run folder afterwards.
struct Golden {
    printed: String,
    files: BTreeMap<String, String>,
}

fn golden() -> &'static Golden {
    static GOLDEN: OnceLock<Golden> = OnceLock::new();
    GOLDEN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run-small");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/run-small"), &run);
        let output = assert_cmd::Command::cargo_bin("wsceiling").unwrap().arg("report").arg(&run).assert().success();
        let printed = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        let mut files = BTreeMap::new();
        read(&run, "", &mut files);
        Golden { printed: printed.replace(&folder.path().display().to_string(), "[folder]"), files }
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn read(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read(&path, &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// The text between two marks, replaced by what `instead` makes of it.
fn replaced(text: &str, start: &str, end: &str, instead: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(start) {
        let (before, after) = rest.split_at(at + start.len());
        let length = after.find(end).unwrap_or_else(|| panic!("no `{end}` after `{start}`"));
        out.push_str(before);
        out.push_str(&instead(&after[..length]));
        rest = &after[length..];
    }
    out + rest
}

/// A drawing without its coordinates: how many of which element, its words, and a hash that notices everything else.
fn drawing(svg: &str) -> String {
    let mut elements: BTreeMap<&str, usize> = BTreeMap::new();
    let mut words = Vec::new();
    for part in svg.split('<').skip(1).filter(|part| !part.starts_with('/')) {
        let name = part.split([' ', '>', '/']).next().unwrap();
        *elements.entry(name).or_default() += 1;
        if name == "text" {
            words.push(part.split_once('>').unwrap().1.trim());
        }
    }
    let hash = format!(
        "{:x}",
        sha2::Sha256::digest(svg.as_bytes()).iter().fold(0_u64, |all, byte| (all << 8) | u64::from(*byte))
    );
    let elements: Vec<String> = elements.iter().map(|(name, count)| format!("{count} {name}")).collect();
    format!("{}; {}; {hash}", elements.join(", "), words.join(" | "))
}

/// A page without what would make its golden file large and its differences unreadable: style sheet, policy, drawings.
fn page(html: &str) -> String {
    let html = replaced(html, "<style>", "</style>", |_| "[style]".to_owned());
    let html = replaced(&html, "Content-Security-Policy\" content=\"", "\"", |_| "[policy]".to_owned());
    replaced(&html, "<svg class=\"", "</svg>", |svg| {
        let (tag, body) = svg.split_once('>').unwrap();
        format!("{tag}>[{}]", drawing(body))
    })
}

#[test]
fn the_report_of_the_committed_run_is_as_agreed() {
    let golden = golden();
    insta::assert_snapshot!("printed", golden.printed);
    insta::assert_snapshot!("index.html", page(&golden.files["index.html"]));
    insta::assert_snapshot!("cell.html", page(&golden.files["cells/app-docker-x1-small.html"]));
    insta::assert_snapshot!("capacity.html", page(&golden.files["capacity.html"]));
    insta::assert_snapshot!("results.csv", golden.files["results.csv"]);
    insta::assert_snapshot!("summary.md", golden.files["summary.md"]);
}

#[test]
fn the_plots_of_the_committed_run_are_as_agreed() {
    let mut list = String::new();
    for (name, svg) in golden().files.iter().filter(|(name, _)| has_extension(name, "svg")) {
        let (_, body) = svg.split_once("</style>").unwrap();
        writeln!(list, "{name}\n    {}", drawing(body)).unwrap();
    }
    insta::assert_snapshot!("plots", list);
}

fn has_extension(name: &str, wanted: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == wanted)
}

/// Values of an attribute.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    html.split(&format!(" {name}=\"")).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn every_link_of_every_page_leads_to_a_file_of_the_run_folder() {
    let files = &golden().files;
    let mut links = 0;
    for (name, html) in files.iter().filter(|(name, _)| has_extension(name, "html")) {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for href in attributes(html, "href").into_iter().filter(|href| *href != "data:,") {
            let (file, anchor) = href.split_once('#').unwrap_or((href, ""));
            let target = match (file, file.strip_prefix("../")) {
                ("", _) => name.clone(),
                (_, Some(up)) if !folder.is_empty() => up.to_owned(),
                _ if folder.is_empty() => file.to_owned(),
                _ => format!("{folder}/{file}"),
            };
            let found =
                files.keys().any(|name| *name == target || (target.ends_with('/') && name.starts_with(&target)));
            assert!(found, "{name} links to {href}, which is not in the run folder");
            if !anchor.is_empty() {
                let ids: BTreeSet<&str> = attributes(&files[&target], "id").into_iter().collect();
                assert!(ids.contains(anchor), "{name} links to {href}: no such place");
            }
            links += 1;
        }
    }
    assert!(links > 100, "only {links} links were looked at");
}
