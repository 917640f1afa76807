//! Targets that the harness starts, as they are written, and what is wrong with them.

use std::path::Path;

use crate::matrix::{Expect, Target, parse, parsed};

/// A matrix with this in the tables of its target, and this after the axis `target`.
fn with(target: &str, process: &str, axes: &str) -> String {
    format!(
        "[targets.shop]\n{target}\n[targets.shop.process]\nprogram = \"server\"\n{process}\n[axes]\ntarget = [\"shop\"]\n{axes}\n"
    )
}

fn faults(text: &str) -> String {
    parse(text, Path::new("m.toml")).map_or_else(|faults| faults.render(false), |_| String::new())
}

fn again(target: &Target) -> Target {
    serde_json::from_str(&serde_json::to_string(target).unwrap()).unwrap()
}

#[test]
fn a_port_in_the_code_a_build_and_an_answer_are_read_and_recorded() {
    let process = "port = 8080\nbuild = [\"go\", \"build\", \"-o\", \"server\", \".\"]";
    let matrix = parsed(&with("expect = \"none\"", process, ""));
    let shop = &matrix.targets["shop"];
    assert_eq!((shop.expect, shop.expects()), (Expect::None, Expect::None));
    let process = shop.process.as_ref().unwrap();
    assert_eq!((process.port, process.build.join(" ")), (Some(8080), "go build -o server .".to_owned()));
    assert_eq!(again(shop), *shop);
}

#[test]
fn what_is_not_said_leaves_the_record_as_it_was() {
    let matrix = parsed(&with("", "args = [\"{port}\"]", ""));
    let shop = &matrix.targets["shop"];
    let text = serde_json::to_string(shop).unwrap();
    assert!(["expect", "\"port\"", "build"].iter().all(|key| !text.contains(key)), "{text}");
    assert_eq!(again(shop), *shop);
}

#[test]
fn a_port_in_the_code_is_one_and_told_nowhere_else() {
    let said = faults(&with("", "port = 8080\nargs = [\"--port\", \"{port}\"]", ""));
    assert!(said.contains("`targets.shop.process` has a `port` and is told one"), "{said}");
    let said = faults(&with("", "port = 70000", ""));
    assert!(said.contains("`targets.shop.process.port`") && !said.contains("never told"), "{said}");
    let said = faults(&with("", "port = 8080", "instances = [1, 2]"));
    assert!(said.contains("target `shop` listens on port 8080 whatever it is told"), "{said}");
    // Each container has an address of its own.
    assert_eq!(faults(&with("", "port = 8080", "instances = [1, 2]\nruntime = [\"docker\"]")), "");
}

#[test]
fn a_build_is_a_command_and_not_of_a_package() {
    let said = faults(&with("", "port = 1\nbuild = []", ""));
    assert!(said.contains("`targets.shop.process.build` has no program"), "{said}");
    let text = "[targets.a.process]\ncargo = \"a\"\nbuild = [\"make\"]\n[axes]\ntarget = [\"a\"]\n";
    assert!(faults(text).contains("stands beside `cargo`, which builds already"), "{}", faults(text));
}

#[test]
fn a_protocol_has_answers_of_its_own() {
    let said = faults(&with("protocol = \"app\"\nexpect = \"none\"", "port = 1", ""));
    assert!(said.contains("the protocol `app` has messages of its own"), "{said}");
}
