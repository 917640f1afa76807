//! Runs the program.

use std::process::{Command, Output};

use serde_json::Value;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_wsceiling");

/// What a run said and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Stage, cause and count of each kind of failure.
    pub fn errors(&self) -> Vec<(String, String, u64)> {
        let errors = self.json()["errors"].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        errors.iter().map(|one| (text(&one["stage"]), text(&one["cause"]), one["count"].as_u64().unwrap())).collect()
    }
}

pub fn load(url: &str, arguments: &[&str]) -> Ran {
    Command::new(PROGRAM).args(["load", url]).args(arguments).output().unwrap().into()
}

/// A short load with its outcome as JSON.
pub fn short(url: &str, arguments: &[&str]) -> Ran {
    let mut all = vec!["--format", "json"];
    for [name, value] in [["-n", "5"], ["--hold", "300ms"]] {
        if !arguments.contains(&name) {
            all.extend([name, value]);
        }
    }
    all.extend(arguments);
    load(url, &all)
}

/// An address that nothing listens at.
pub fn closed() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("ws://{}", listener.local_addr().unwrap())
}
