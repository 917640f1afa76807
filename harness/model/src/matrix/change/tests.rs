//! Each knob turns one thing.

use super::super::Matrix;
use super::*;

fn matrix() -> Matrix {
    let text = "[targets.t]\n[targets.t.process]\nprogram = \"node\"\nargs = [\"--heap=16\", \"s.js\", \"--port\", \
                \"{port}\", \"--backlog\", \"8\"]\n[targets.t.confirm]\nheap = [\"--heap={value}\"]\nbacklog = \
                [\"--backlog\", \"{value}\"]\nthreads = [\"--threads\", \"{value}\"]\n[sizes.s]\nnofile = 1000\n\
                [fronts.f]\nkind = \"haproxy\"\nmaxconn = 100\nsize = \"s\"\n\
                [axes]\ntarget = [\"t\"]\nsize = [\"s\"]\nfront = [\"f\"]\n";
    crate::matrix::parsed(text)
}

fn changed(knob: Knob, to: f64) -> CellSetup {
    let matrix = matrix();
    let mut setup = matrix.setup(&matrix.cells[0]).unwrap();
    Change { knob, from: 0.0, to }.apply(&mut setup);
    setup
}

/// Every knob turns something, and each something else.
#[test]
fn each_knob_changes_one_thing() {
    let matrix = matrix();
    let before = matrix.setup(&matrix.cells[0]).unwrap();
    let turning = Knob::ALL.iter().filter(|knob| **knob != Knob::Again);
    let after: Vec<(&Knob, CellSetup)> = turning.map(|knob| (knob, changed(*knob, 7.0))).collect();
    for (knob, setup) in &after {
        assert_ne!(setup, &before, "{knob:?}");
        assert_eq!(after.iter().filter(|(_, other)| other == setup).count(), 1, "{knob:?}");
    }
    assert_eq!(changed(Knob::Again, 7.0), before);
}

#[test]
fn a_front_keeps_the_size_that_it_shares() {
    let matrix = matrix();
    let with = matrix.with(changed(Knob::Nofile, 1500.0));
    assert_eq!(with.size(&with.cells[0]).unwrap().nofile, Some(1500));
    let front = with.front(&with.cells[0]).unwrap();
    assert_eq!(with.sizes[front.size.as_ref().unwrap()].nofile, Some(1000));
}

#[test]
fn an_argument_takes_the_place_of_the_one_that_is_there() {
    let args = |knob| changed(knob, 64.0).target.process.unwrap().args;
    assert_eq!(args(Knob::Backlog), ["--heap=16", "s.js", "--port", "{port}", "--backlog", "64"]);
    assert_eq!(args(Knob::Heap), ["--heap=64", "s.js", "--port", "{port}", "--backlog", "8"]);
    assert_eq!(args(Knob::Threads), ["--heap=16", "s.js", "--port", "{port}", "--backlog", "8", "--threads", "64"]);
    let target = &matrix().targets["t"];
    assert_eq!(target.argument(&target.confirm.heap), Some(16.0));
    assert_eq!(target.argument(&target.confirm.threads), None);
}

#[test]
fn changes_read_as_words() {
    let words = |knob, from, to| Change { knob, from, to }.to_string();
    assert_eq!(words(Knob::Nofile, 1000.0, 1500.0), "descriptors of an instance 1,000 -> 1,500");
    assert_eq!(words(Knob::Memory, 67_108_864.0, 100_663_296.0), "memory of an instance 64MiB -> 96MiB");
    assert_eq!(words(Knob::Cpus, 0.25, 0.5), "CPU quota of an instance 0.25 -> 0.5");
    assert_eq!(words(Knob::Front, 1.0, 0.0), "the front is left out");
}
