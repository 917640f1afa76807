//! The golden site: the pages of a history made from a seed, compared with what was agreed to. After a change that is meant:
//! `INSTA_UPDATE=always cargo test -p wsceiling --test site`, then read the difference, and look at the pages of
//! `ci/site-demo` in a browser.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use sha2::Digest as _;

/// Every file of the site.
fn site() -> &'static BTreeMap<String, String> {
    static SITE: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    SITE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (history, site) = (folder.path().join("history"), folder.path().join("site"));
        let run = |arguments: &[&str], paths: [&Path; 1]| {
            let mut command = assert_cmd::Command::cargo_bin("wsceiling").unwrap();
            command.args(arguments).args(paths).assert().success();
        };
        run(&["history", "demo", "--seed", "1"], [&history]);
        run(&["site", "--history", history.to_str().unwrap()], [&site]);
        let mut files = BTreeMap::new();
        read(&site, "", &mut files);
        files
    })
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

/// A page without its style sheet and policy, and with a digest in the place of each drawing.
fn page(name: &str) -> String {
    let html = replaced(&site()[name], "<style>", "</style>", |_| "[style]".to_owned());
    let html = replaced(&html, "Content-Security-Policy\" content=\"", "\"", |_| "[policy]".to_owned());
    replaced(&html, "<svg class=\"", "</svg>", |svg| {
        let (tag, body) = svg.split_once('>').unwrap();
        let digest = sha2::Sha256::digest(body.as_bytes());
        format!("{tag}>[{} elements, {:02x}{:02x}{:02x}]", body.matches('<').count(), digest[0], digest[1], digest[2])
    })
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

#[test]
fn the_pages_of_the_demo_are_as_agreed() {
    for name in ["index.html", "changes.html", "changes.atom", "noise.html", "accuracy.html", "data/metrics.txt"] {
        insta::assert_snapshot!(name.replace('/', "-"), page(name));
    }
    insta::assert_snapshot!("cell.html", page("cells/app-bare-x2-small.html"));
    insta::assert_snapshot!("badge.json", site()["badges/app-bare-x2-small.json"]);
}

/// Values of an attribute.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    html.split(&format!(" {name}=\"")).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn every_link_leads_to_a_file_of_the_site_or_to_the_job() {
    let files = site();
    let mut links = 0;
    for (name, html) in files.iter().filter(|(name, _)| name.ends_with("html")) {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for href in attributes(html, "href").into_iter().filter(|href| *href != "data:,") {
            let (file, anchor) = href.split_once('#').unwrap_or((href, ""));
            let target = match file.strip_prefix("../") {
                Some(up) => up.to_owned(),
                None if file.is_empty() => name.clone(),
                None if folder.is_empty() => file.to_owned(),
                None => format!("{folder}/{file}"),
            };
            assert!(files.contains_key(&target), "{name} links to {href}");
            if !anchor.is_empty() {
                assert!(attributes(&files[&target], "id").contains(&anchor), "{name} links to {href}: no such place");
            }
            links += 1;
        }
        assert!(!html.contains("<script") && !html.contains(" style=\""), "{name}");
        let ids = attributes(html, "id");
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{name} has an id twice");
    }
    assert!(links > 200, "{links}");
}

#[test]
fn the_data_says_what_the_pages_say() {
    let files = site();
    let value: serde_json::Value = serde_json::from_str(&files["data/history.json"]).unwrap();
    assert_eq!(value["nights"].as_array().unwrap().len(), 394);
    let rows = files["data/history.csv"].lines().count();
    assert_eq!(rows, 1 + 394 * 9, "a row for each of nine cells and each night, and the head");
    for (name, text) in files.iter().filter(|(name, _)| name.starts_with("badges/")) {
        let badge: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(badge["schemaVersion"], 1, "{name}");
    }
    let metrics = &files["data/metrics.txt"];
    assert!(metrics.ends_with("# EOF\n") && metrics.contains("wsceiling_memory_bytes{cell=\"app-bare-x2-small\"} "));
}
