//! Every outcome is a row, with a reason that a person can act on.

use super::support::{Bench, LOAD, text};

fn only_trial(bench: &Bench) -> serde_json::Value {
    let mut trials = bench.trials();
    assert_eq!(trials.len(), 1);
    trials.remove(0)
}

#[test]
fn a_server_that_holds_everything_ends_at_least_max() {
    let bench = Bench::misbehaving("none", 0);
    let output = bench.run();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let trial = only_trial(&bench);
    assert_eq!(trial["outcome"], "ok");
    assert_eq!(trial["ceiling"]["last_good"], 100);
    assert!(bench.run_folder().join("index.html").is_file());
    assert!(text(&output).contains("at least 100"), "{}", text(&output));
}

#[test]
fn a_cap_is_a_ceiling_with_its_bracket_around_the_cap() {
    let bench = Bench::misbehaving("cap", 70);
    let output = bench.run();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let trial = only_trial(&bench);
    assert_eq!(trial["outcome"], "ceiling", "{trial:#}");
    assert_eq!(trial["ceiling"]["last_good"], 70);
    assert!(trial["ceiling"]["first_bad"].as_u64().unwrap() <= 78);
}

#[test]
fn connections_that_are_open_but_never_answered_are_not_held() {
    let bench = Bench::misbehaving("mute", 60);
    bench.run();
    let trial = only_trial(&bench);
    assert_eq!(trial["outcome"], "ceiling", "{trial:#}");
    let failed = trial["steps"].as_array().unwrap().iter().find(|step| step["passed"] == false).unwrap();
    assert!(failed["open"].as_u64() > failed["held"].as_u64(), "{failed:#}");
}

#[test]
fn a_crash_under_load_is_a_collapse_with_exit_code_and_last_words() {
    let bench = Bench::misbehaving("crash", 70);
    bench.run();
    let trial = only_trial(&bench);
    assert_eq!(trial["outcome"], "ceiling", "{trial:#}");
    let crashed = &trial["instances"][0];
    assert_eq!(crashed["exit"]["code"], 1);
    assert_eq!(crashed["exit"]["requested"], false);
    assert!(crashed["log_tail"].to_string().contains("is too many"), "{crashed:#}");
}

#[test]
fn a_server_that_answers_wrongly_is_not_benchmarked() {
    let bench = Bench::misbehaving("upcase", 0);
    let output = bench.run();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let trial = only_trial(&bench);
    assert_eq!(trial["outcome"], "failed-verification");
    assert_eq!(trial["steps"].as_array().unwrap().len(), 0);
}

#[test]
fn a_server_that_exits_is_a_row_with_its_last_lines_escaped_in_the_report() {
    let bench = Bench::misbehaving("exit", 0);
    let output = bench.run();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let trial = only_trial(&bench);
    assert_eq!(trial["outcome"], "failed-to-start");
    assert!(trial["reason"]["what"].to_string().contains("exit code 3"), "{trial:#}");
    assert!(trial["reason"]["log_tail"].to_string().contains("giving up"), "{trial:#}");
    let page = std::fs::read_to_string(bench.run_folder().join("cells/server-bare-x1.html")).unwrap();
    assert!(page.contains("&lt;database&gt;") && !page.contains("<database>"));
}

#[test]
fn servers_that_never_listen_or_never_answer_end_at_the_deadline() {
    for fault in ["deaf", "silent"] {
        let bench = Bench::misbehaving(fault, 0);
        bench.run();
        let trial = only_trial(&bench);
        assert!(
            ["failed-to-start", "failed-verification"].contains(&trial["outcome"].as_str().unwrap()),
            "{fault}: {trial:#}"
        );
    }
}

#[test]
fn a_program_that_is_not_there_is_skipped_loudly_and_strict_makes_it_a_failure() {
    let bench = Bench::new(
        r#"
        [run]
        repeats = 1
        [targets.ghost.process]
        program = "no-such-server-anywhere"
        args = ["{address}"]
        [axes]
        target = ["ghost"]
        "#,
    );
    let output = bench.run();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("no-such-server-anywhere"));
    assert_eq!(only_trial(&bench)["outcome"], "skipped");
    assert_eq!(bench.command().arg("--strict").output().unwrap().status.code(), Some(1));
}

#[test]
fn docker_cells_without_an_engine_are_rows_that_say_where_it_was_looked_for() {
    let bench = Bench::new(
        r#"
        [run]
        repeats = 1
        [targets.shell.process]
        program = "/bin/sh"
        args = ["{address}"]
        [axes]
        target = ["shell"]
        runtime = ["docker"]
        "#,
    );
    let output = bench.command().env("DOCKER_HOST", "unix:///nonexistent/docker.sock").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let trial = only_trial(&bench);
    assert_eq!(trial["outcome"], "skipped");
    assert_eq!(trial["reason"]["what"], "no Docker engine at unix:///nonexistent/docker.sock");
    assert!(!trial["reason"]["hint"].as_str().unwrap().is_empty());
}

#[test]
fn one_broken_cell_does_not_stop_the_others() {
    let program = super::support::misbehave();
    let program = program.display();
    let bench = Bench::new(&format!(
        r#"
        [run]
        repeats = 1
        ready_within = "1s"
        [targets.broken.process]
        program = "{program}"
        args = ["exit", "{{address}}"]
        [targets.good.process]
        program = "{program}"
        args = ["none", "{{address}}"]
        [axes]
        target = ["broken", "good"]
        instances = [1, 2]
        {LOAD}
        "#
    ));
    bench.run();
    let trials = bench.trials();
    let outcomes = |name: &str| {
        let of = trials.iter().filter(|trial| trial["trial"]["cell"].as_str().unwrap().starts_with(name));
        of.map(|trial| trial["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(outcomes("broken"), ["failed-to-start", "failed-to-start"]);
    assert_eq!(outcomes("good"), ["ok", "ok"]);
    let two = trials.iter().find(|trial| trial["trial"]["cell"] == "good-bare-x2").unwrap();
    assert_eq!(two["steps"][1]["spread"], serde_json::json!([50, 50]));
}
