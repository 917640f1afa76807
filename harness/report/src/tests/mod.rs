//! The whole report from findings made by hand: golden text files, the structure of the pages, and hostile or empty input.

mod hostile;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::fixture::{self, Behaviour};
use super::{INDEX, RenderError, Sink, SiteRun, render, render_site, terminal};
use wsceiling_analysis::{CellFindings, Ending, Findings};
use wsceiling_model::matrix::Runtime;
use wsceiling_model::record::{Cause, Outcome};

/// The files that `render` hands over, in the order of paths.
fn collected(
    render: impl FnOnce(&mut Sink<'_>) -> Result<(), RenderError>,
) -> Result<Vec<(PathBuf, String)>, RenderError> {
    let mut files = BTreeMap::new();
    render(&mut |name, bytes| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(files.insert(PathBuf::from(name), text).is_none(), "{name} was handed over twice");
        Ok(())
    })?;
    Ok(files.into_iter().collect())
}

fn rendered(findings: &Findings) -> Vec<(PathBuf, String)> {
    collected(|sink| render(findings, sink)).unwrap()
}

/// The first page of a site.
fn site(runs: &[SiteRun<'_>]) -> String {
    let all = collected(|sink| render_site(runs, sink)).unwrap();
    all.into_iter().find(|(path, _)| path == Path::new(INDEX)).unwrap().1
}

fn pages(findings: &Findings) -> Vec<(PathBuf, String)> {
    let mut all = rendered(findings);
    all.retain(|(path, _)| path.extension().is_some_and(|extension| extension == "html"));
    all
}

/// Values of an attribute in a page.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    html.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn text_files_are_as_agreed() {
    let findings = fixture::findings();
    insta::assert_snapshot!("summary", super::summary::run_markdown(&findings));
    insta::assert_snapshot!("results", super::results::table(&findings).unwrap());
    insta::assert_snapshot!("terminal", terminal(&findings, 140, false));
    insta::assert_snapshot!("terminal_100", terminal(&findings, 100, false));
    insta::assert_snapshot!("terminal_narrow", terminal(&findings, 60, false));
}

#[test]
fn every_cell_has_a_row_and_a_page_and_every_link_leads_somewhere() {
    let findings = fixture::findings();
    let all = rendered(&findings);
    let known: BTreeSet<String> = all.iter().map(|(path, _)| path.display().to_string()).collect();
    // Written by the run, not by us.
    let recorded = ["trials.jsonl", "samples.csv", "run.json", "logs/"];
    for (path, html) in all.iter().filter(|(path, _)| path.extension().is_some_and(|extension| extension == "html")) {
        let ids: BTreeSet<&str> = attributes(html, "id").into_iter().collect();
        assert_eq!(ids.len(), attributes(html, "id").len(), "ids are unique in {}", path.display());
        for href in attributes(html, "href") {
            let (file, anchor) = href.split_once('#').unwrap_or((href, ""));
            if file == "data:," {
                continue;
            }
            let below = file.strip_prefix("../").unwrap_or(file);
            let target = if path.starts_with("cells") && !file.starts_with("../") && !file.is_empty() {
                format!("cells/{file}")
            } else {
                below.to_owned()
            };
            let exists =
                file.is_empty() || known.contains(&target) || recorded.iter().any(|name| target.starts_with(name));
            assert!(exists, "{} links to {href}", path.display());
            let page = if file.is_empty() {
                Some(html)
            } else {
                all.iter().find(|(path, _)| path.display().to_string() == target).map(|(_, text)| text)
            };
            if let Some(page) = page.filter(|_| !anchor.is_empty()) {
                assert!(attributes(page, "id").contains(&anchor), "{} links to {href}: no such anchor", path.display());
            }
        }
    }
    let index = &all.iter().find(|(path, _)| path == Path::new("index.html")).unwrap().1;
    for cell in &findings.cells {
        assert!(index.contains(&format!("href=\"cells/{}.html\"", cell.cell.id)), "{}", cell.cell.id);
    }
}

#[test]
fn pages_hold_everything_they_need() {
    for (path, html) in pages(&fixture::findings()) {
        for outside in [
            "http:",
            "https:",
            "//fonts",
            "<script",
            "<link rel=\"stylesheet",
            "@import",
            "url(",
            " style=\"",
            "onclick",
        ] {
            assert!(!html.contains(outside), "{} contains {outside}", path.display());
        }
        assert!(
            html.contains("default-src &#x27;none&#x27;")
                || html.contains("default-src 'none'")
                || html.contains("default-src &#39;none&#39;"),
            "{}",
            path.display()
        );
        if matches!(path.to_str(), Some("limits.html" | "methodology.html")) {
            continue;
        }
        assert!(!html.contains("NaN") && !html.contains("inf ") && !html.contains("None"), "{}", path.display());
    }
}

#[test]
fn the_policy_allows_the_style_sheet_of_the_page_and_no_other() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let all = pages(&fixture::findings());
    let html = &all[0].1;
    let style = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = base64::prelude::BASE64_STANDARD.encode(sha2::Sha256::digest(style.as_bytes()));
    let policy = attributes(html, "content")[0].replace("&#x2F;", "/").replace("&#x3D;", "=");
    assert!(policy.contains(&format!("sha256-{hash}")), "{policy} does not allow sha256-{hash}");
    assert!(!policy.contains("unsafe"), "{policy}");
}

#[test]
fn the_same_findings_give_the_same_bytes() {
    assert_eq!(rendered(&fixture::findings()), rendered(&fixture::findings()));
}

#[test]
fn the_report_says_what_it_found() {
    let all = rendered(&fixture::findings());
    let text = |name: &str| all.iter().find(|(path, _)| path == Path::new(name)).unwrap().1.clone();
    let index = text("index.html");
    for words in ["at least 8,000", "memory-limit", "7.13 KiB", "11.8 µcore", "No program", "Install bun", "0.75"] {
        assert!(index.contains(words), "index.html lacks {words}");
    }
    let cell = text("cells/app-docker-x1-small.html");
    for words in [
        "FAIL 70 % connected ≥ 99.9 %",
        "very likely",
        "accept-queue",
        "killed by signal 9 (SIGKILL), out of memory",
        "not enforced: no writable pids hierarchy",
        "--only app-docker-x1-small",
        "../limits.html#memory-limit",
    ] {
        assert!(cell.contains(words), "the cell's page lacks {words}");
    }
    assert!(text("cells/python-bare-x1-small.html").contains("No module named"));
}

#[test]
fn trials_that_disagree_are_said_to_wherever_the_cell_is_shown() {
    let mut findings = fixture::findings();
    let words = "The trials disagree: 2 reached the end, 1 crash.";
    assert!(!terminal(&findings, 100, false).contains("disagree"));
    let ending = |outcome, cause, trials| Ending { outcome, cause, trials };
    findings.cells[0].endings = vec![ending(Outcome::Ok, None, 2), ending(Outcome::Ceiling, Some(Cause::Crash), 1)];
    let shown = pages(&findings).into_iter().filter(|(_, html)| html.contains(words)).map(|(path, _)| path);
    let expected = [Path::new("cells/echo-bare-x1-small.html"), Path::new("index.html")];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    assert!(terminal(&findings, 100, false).contains(words) && terminal(&findings, 40, false).contains("disagree"));
    assert!(super::summary::run_markdown(&findings).contains(words));
}

#[test]
fn an_id_never_becomes_a_path_unchecked() {
    let refused = |findings: &Findings| {
        render(findings, &mut |name, _| panic!("{name} was handed over before the check")).unwrap_err()
    };
    for id in ["../evil", "", ".hidden", "a/b", "A", "a b", "a\0", "-x", &"a".repeat(201)] {
        let mut findings = fixture::findings();
        id.clone_into(&mut findings.cells[0].cell.id);
        let error = refused(&findings);
        assert!(matches!(error, RenderError::UnsafeId { .. }), "{id}: {error}");
        assert!(error.to_string().contains("hint: "), "{error}");
    }
    let mut findings = fixture::findings();
    findings.cells[1].cell.id = findings.cells[0].cell.id.clone();
    assert!(matches!(refused(&findings), RenderError::DuplicateId { .. }));
    for name in ["..", "a/b", "/x", ""] {
        let runs = [SiteRun { folder: name, findings: &fixture::findings() }];
        let error = render_site(&runs, &mut |name, _| panic!("{name} was handed over")).unwrap_err();
        assert!(matches!(error, RenderError::UnsafeId { .. }), "{name}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_ends_the_rendering() {
    let mut taken = Vec::new();
    let error = render(&fixture::findings(), &mut |name, _| {
        taken.push(name.to_owned());
        if name.starts_with("cells/") { Err(std::io::Error::other("disk full")) } else { Ok(()) }
    });
    let error = error.unwrap_err().to_string();
    let last = taken.last().unwrap();
    assert!(error.contains(last) && error.contains("disk full") && error.contains("hint: "), "{error}");
    assert_eq!(taken.iter().filter(|name| name.starts_with("cells/")).count(), 1);
}

#[test]
fn five_hundred_trials_are_rendered_without_drowning_the_pages() {
    let echo = Behaviour { ceiling: None, bytes: 7_000.0, microcores: 12.0, cause: Cause::None };
    let one = fixture::run(vec![fixture::measured("echo", Runtime::Bare, 1, echo, 500)]);
    let spread: Vec<CellFindings> = (0..100)
        .map(|at| {
            let mut cell = fixture::measured("echo", Runtime::Bare, 2, echo, 5);
            cell.cell.id = format!("echo-{at}");
            cell
        })
        .collect();
    for findings in [one, fixture::run(spread)] {
        let start = Instant::now();
        let all = rendered(&findings);
        let took = start.elapsed();
        println!(
            "{} files, {} KiB, {:?}",
            all.len(),
            all.iter().map(|(_, text)| text.len()).sum::<usize>() / 1024,
            took
        );
        for (path, text) in &all {
            assert!(text.len() < 2 * 1024 * 1024, "{} has {} bytes", path.display(), text.len());
        }
        let trials: usize = findings.cells.iter().map(|cell| cell.trials.len()).sum();
        let rows: usize = all.iter().map(|(_, text)| text.matches(">trial ").count()).sum();
        assert_eq!(rows, trials, "every trial has a row");
    }
}

#[test]
fn a_site_lists_runs_latest_first_and_links_them() {
    let (mut old, new) = (fixture::findings(), fixture::findings());
    old.header.started = "2026-11-23T23:30:00-05:00".into();
    let (mut oldest, mut unknown) = (fixture::findings(), fixture::findings());
    oldest.header.started = "2026-11-20T00:00:00Z".into();
    oldest.cells.truncate(2);
    unknown.header.started = "yesterday".into();
    let runs = [
        SiteRun { folder: "c-unknown", findings: &unknown },
        SiteRun { folder: "b-oldest", findings: &oldest },
        SiteRun { folder: "20261124T043000Z-old", findings: &old },
        SiteRun { folder: "a-new", findings: &new },
    ];
    let html = site(&runs);
    let links: Vec<&str> = attributes(&html, "href").into_iter().filter(|href| href.ends_with("/index.html")).collect();
    assert_eq!(
        links,
        ["20261124T043000Z-old/index.html", "a-new/index.html", "b-oldest/index.html", "c-unknown/index.html"]
    );
    assert!(html.contains("href=\"a-new/cells/bun-bare-x1-small.html\""));
    assert!(html.contains("class=\"spark\""));
    assert_eq!(html.matches("class=\"spark\"").count(), new.cells.len(), "one history for each cell of a matrix");
    let mut renamed = fixture::findings();
    renamed.header.run.name = "other".into();
    let two = [SiteRun { folder: "a", findings: &new }, SiteRun { folder: "b", findings: &renamed }];
    let mixed = site(&two);
    assert_eq!(mixed.matches("class=\"spark\"").count(), 2 * new.cells.len(), "another matrix has its own history");
    let none = site(&[]);
    assert!(none.contains("There is no run yet."));
}

#[test]
fn colours_are_only_there_when_allowed() {
    let findings = fixture::findings();
    assert!(terminal(&findings, 140, true).contains("\u{1b}[32mat least 8,000\u{1b}[0m"));
    assert!(!terminal(&findings, 140, false).contains('\u{1b}'));
    for width in [0, 1, 40, 60, 100, 500] {
        let text = terminal(&findings, width, false);
        // Words and columns cannot be broken, so a terminal has to be at least as wide as those.
        let most = width.max(70);
        assert!(text.lines().all(|line| line.chars().count() <= most), "{width}:\n{text}");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("; upgrades took longer than 5 s."), "sentences are whole at {width}:\n{text}");
    }
}

/// Writes a report to look at: `cargo test -p wsceiling-report --lib demo_report -- --ignored` and open
/// `target/demo/index.html`.
#[test]
#[ignore = "writes a demo report into the target folder"]
fn demo_report() {
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/demo");
    let findings = fixture::findings();
    let into = |folder: PathBuf| {
        move |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap())?;
            std::fs::write(path, bytes)
        }
    };
    render(&findings, &mut into(out.clone())).unwrap();
    render_site(&[SiteRun { folder: "run", findings: &findings }], &mut into(out.join("site"))).unwrap();
    println!("{}", out.join(INDEX).display());
}
