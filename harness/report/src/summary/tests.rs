//! Every outcome in every form.

use std::path::Path;

use super::*;
use crate::ab::tests::a_run;
use crate::comparison::tests::two_runs;
use crate::fixture;

fn written(of: &dyn Summarise, form: Form) -> String {
    summary::<RenderError>(of, form, || Ok("{}".to_owned())).unwrap()
}

#[test]
fn the_ending_of_a_name_says_the_form_and_an_unknown_one_is_told_those_that_work() {
    for (form, ending) in Form::ALL {
        assert_eq!(Form::of(Path::new(&format!("a/b.x.{ending}"))), Ok(form));
        assert_eq!(Form::of(Path::new(&format!("B.{}", ending.to_uppercase()))), Ok(form));
    }
    let known = "these work: .md, .json, .csv, .prom, .xml";
    let unknown = Form::of(Path::new("a.html")).unwrap_err();
    assert!(unknown.contains("`.html`") && unknown.ends_with(known), "{unknown}");
    assert!(Form::of(Path::new("md")).unwrap_err().ends_with(known));
}

#[test]
fn outcomes_are_written_as_agreed() {
    let (run, runs, targets) = (fixture::findings(), two_runs(), a_run());
    let all: [(&str, &dyn Summarise); 3] = [("run", &run), ("comparison", &runs), ("ab", &targets)];
    for (name, of) in all {
        for (form, ending) in Form::ALL {
            // Markdown and the table of a run have golden files of their own.
            if form != Form::Json && form != Form::Markdown && !(name == "run" && form == Form::Csv) {
                insta::assert_snapshot!(format!("{name}.{ending}"), written(of, form));
            }
        }
        insta::assert_snapshot!(format!("{name}.annotations"), annotations(&of.annotations()));
        let values = of.outputs();
        insta::assert_snapshot!(format!("{name}.outputs"), outputs(&values));
    }
}

#[test]
fn every_form_holds_against_hostile_names() {
    const HOSTILE: &str = "=1+1 a\"}\n::error::x | <script> & @f %0A\u{1b}[31m";
    let mut targets = a_run();
    targets.head = HOSTILE.into();
    for cell in &mut targets.cells {
        cell.cell = HOSTILE.into();
        cell.reason = Some(HOSTILE.into());
    }
    let (mut run, mut runs) = (fixture::findings(), two_runs());
    run.header.run.name = HOSTILE.into();
    for cell in &mut run.cells {
        (cell.cell.id, cell.cell.target) = (HOSTILE.into(), HOSTILE.into());
        cell.reason = Some(HOSTILE.into());
    }
    for cell in &mut runs.cells {
        (cell.cell, cell.reason) = (HOSTILE.into(), Some(HOSTILE.into()));
    }
    let all: [&dyn Summarise; 3] = [&run, &runs, &targets];
    for of in all {
        let xml = written(of, Form::Junit);
        assert!(!xml.contains("<script>") && !xml.contains('\u{1b}'), "{xml}");
        let prom = written(of, Form::OpenMetrics);
        assert!(prom.lines().all(|line| line.starts_with("wsceiling_") || line.starts_with("# ")), "{prom}");
        let commands = annotations(&of.annotations());
        assert!(commands.lines().all(|line| line.starts_with("::") && line.matches("::").count() >= 2), "{commands}");
        let known = ["::error title=", "::warning title=", "::notice title="];
        assert!(commands.lines().all(|line| known.iter().any(|known| line.starts_with(known))), "{commands}");
        let markdown = written(of, Form::Markdown);
        assert!(!markdown.contains("<script>"), "{markdown}");
        for row in csv::Reader::from_reader(written(of, Form::Csv).as_bytes()).records() {
            assert!(row.unwrap().iter().all(|field| !field.starts_with('=')));
        }
    }
}
