//! Servers that are not ours: their sources, written beside the runs, and what a machine lacks for them.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::limits::Need;

/// Sources by file name.
const SOURCES: [(&str, &str); 9] = [
    ("node.js", include_str!("node.js")),
    ("bun.ts", include_str!("bun.ts")),
    ("websockets_asyncio.py", include_str!("websockets_asyncio.py")),
    ("threads.py", include_str!("threads.py")),
    ("gorilla.go", include_str!("gorilla.go")),
    ("Echo.java", include_str!("Echo.java")),
    ("em.rb", include_str!("em.rb")),
    ("select.php", include_str!("select.php")),
    ("proxied.py", include_str!("proxied.py")),
];

/// Where Debian's package `golang-github-gorilla-websocket-dev` has its sources.
const GOPATH: &str = "/usr/share/gocode";
/// Pythons to look for the package `websockets` in.
const PYTHONS: [&str; 2] = ["python3", "/usr/bin/python3"];

/// Writes the sources into a folder.
pub(super) fn write(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    for (name, source) in SOURCES {
        let path = folder.join(name);
        std::fs::write(&path, source).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

/// A matrix's text with the places of this machine filled in.
pub(super) fn fill(matrix: &str, folder: &Path) -> String {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let folder = folder.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    matrix.replace("{strangers}", &folder).replace("{python}", python().unwrap_or(PYTHONS[0]))
}

/// What this machine lacks, if it does. A server that has to be built is built here.
pub(super) fn missing(need: Need, folder: &Path) -> Option<String> {
    match need {
        Need::PythonWebsockets => python().is_none().then(|| "Python has no package `websockets`".into()),
        Need::Gorilla => gorilla(folder).err(),
        Need::Java => java(folder).err(),
        Need::RubyWebsocket => {
            let there = succeeds(Command::new("ruby").args(["-e", "require 'em-websocket'"]));
            (!there).then(|| "Ruby has no package `em-websocket`".into())
        }
        _ => None,
    }
}

fn python() -> Option<&'static str> {
    PYTHONS.into_iter().find(|python| succeeds(Command::new(python).args(["-c", "import websockets"])))
}

fn gorilla(folder: &Path) -> Result<(), String> {
    if folder.join("gorilla").exists() {
        return Ok(());
    }
    if !Path::new(GOPATH).join("src/github.com/gorilla/websocket").exists() {
        return Err(format!("there is no github.com/gorilla/websocket in {GOPATH}"));
    }
    let mut build = Command::new("go");
    build.args(["build", "-o", "gorilla", "gorilla.go"]).current_dir(folder);
    build.env("GO111MODULE", "off").env("GOPATH", GOPATH);
    if succeeds(&mut build) { Ok(()) } else { Err("`go build` of the server on gorilla failed".into()) }
}

fn java(folder: &Path) -> Result<(), String> {
    let there = folder.join("Echo.class").exists();
    let built = there || succeeds(Command::new("javac").arg("Echo.java").current_dir(folder));
    if built { Ok(()) } else { Err("`javac` of the server in Java failed".into()) }
}

fn succeeds(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_this_machine_are_filled_in() {
        let filled = fill("args = [\"{strangers}/node.js\", \"{port}\"]", Path::new("/runs/a \"b\""));
        assert_eq!(filled, "args = [\"/runs/a \\\"b\\\"/node.js\", \"{port}\"]");
    }
}
